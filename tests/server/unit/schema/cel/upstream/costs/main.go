// Copyright (c) 2026, kplane.core contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Recorder: judges schemas (JSON lines {"name": ..., "schema": ...}) as Kubernetes 1.34 judges those of a CustomResourceDefinition,
// and prints what is wrong with each, and the worst cost of each expression. Needs a module that requires
// k8s.io/apiextensions-apiserver v0.34.2. Used only when answers.jsonl is made anew.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sort"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/version"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
)

type input struct {
	Name   string              `json:"name"`
	Schema *v1.JSONSchemaProps `json:"schema"`
}

type output struct {
	Name   string               `json:"name"`
	Causes [][3]string          `json:"causes"`
	Costs  map[string][2]uint64 `json:"costs"`
}

func definition(schema *v1.JSONSchemaProps) (*apiextensions.CustomResourceDefinition, error) {
	crd := &v1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "widgets.example.com"},
		Spec: v1.CustomResourceDefinitionSpec{
			Group: "example.com",
			Scope: v1.NamespaceScoped,
			Names: v1.CustomResourceDefinitionNames{Plural: "widgets", Kind: "Widget"},
			Versions: []v1.CustomResourceDefinitionVersion{
				{Name: "v1", Served: true, Storage: true, Schema: &v1.CustomResourceValidation{OpenAPIV3Schema: schema}},
			},
		},
		Status: v1.CustomResourceDefinitionStatus{StoredVersions: []string{"v1"}},
	}
	v1.SetDefaults_CustomResourceDefinition(crd)
	v1.SetDefaults_CustomResourceDefinitionSpec(&crd.Spec)
	internal := &apiextensions.CustomResourceDefinition{}
	return internal, v1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(crd, internal, nil)
}

func walk(s *schema.Structural, root bool, path string, costs map[string][2]uint64) {
	if len(s.XValidations) > 0 {
		declared := model.SchemaDeclType(s, root || s.XEmbeddedResource)
		env := environment.MustBaseEnvSet(version.MajorMinor(1, 34), true)
		results, err := cel.Compile(s, declared, celconfig.PerCallLimit, env, cel.StoredExpressionsEnvLoader())
		if err == nil {
			for index, result := range results {
				if result.Error == nil {
					costs[fmt.Sprintf("%s[%d]", path, index)] = [2]uint64{result.MaxCost, result.MessageExpressionMaxCost}
				}
			}
		}
	}
	for name, child := range s.Properties {
		walk(&child, false, path+"."+name, costs)
	}
	if s.Items != nil {
		walk(s.Items, false, path+".items", costs)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Structural != nil {
		walk(s.AdditionalProperties.Structural, false, path+".additionalProperties", costs)
	}
}

func judge(in input) output {
	out := output{Name: in.Name, Causes: [][3]string{}, Costs: map[string][2]uint64{}}
	crd, err := definition(in.Schema)
	if err != nil {
		panic(err)
	}
	for _, cause := range validation.ValidateCustomResourceDefinition(context.Background(), crd) {
		out.Causes = append(out.Causes, [3]string{string(cause.Type), cause.Field, cause.Detail})
	}
	sort.Slice(out.Causes, func(i, j int) bool {
		return fmt.Sprint(out.Causes[i]) < fmt.Sprint(out.Causes[j])
	})
	props := &apiextensions.JSONSchemaProps{}
	if err := v1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(in.Schema, props, nil); err != nil {
		panic(err)
	}
	if structural, err := schema.NewStructural(props); err == nil {
		walk(structural, true, "", out.Costs)
	}
	return out
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 1<<20), 1<<26)
	for lines.Scan() {
		var in input
		if err := json.Unmarshal(lines.Bytes(), &in); err != nil {
			panic(err)
		}
		text, err := json.Marshal(judge(in))
		if err != nil {
			panic(err)
		}
		fmt.Println(string(text))
	}
}
