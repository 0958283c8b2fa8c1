// Copyright (c) 2026, kplane.core contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Recorder: the first line is a schema, each other one {"new": ..., "old": ...}, a custom resource and what it was before (or null).
// Prints what Kubernetes 1.34 has against each by the rules of the schema. Needs a module that requires
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
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	kjson "k8s.io/apimachinery/pkg/util/json"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/common"
)

type pair struct {
	New map[string]interface{} `json:"new"`
	Old map[string]interface{} `json:"old"`
}

func compiled(text []byte) *schema.Structural {
	given, props := &v1.JSONSchemaProps{}, &apiextensions.JSONSchemaProps{}
	if err := json.Unmarshal(text, given); err != nil {
		panic(err)
	}
	if err := v1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(given, props, nil); err != nil {
		panic(err)
	}
	structural, err := schema.NewStructural(props)
	if err != nil {
		panic(err)
	}
	return structural
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 1<<20), 1<<26)
	lines.Scan()
	structural := compiled(lines.Bytes())
	validator := cel.NewValidator(structural, true, celconfig.PerCallLimit)
	for lines.Scan() {
		var in pair
		if err := kjson.Unmarshal(lines.Bytes(), &in); err != nil {
			panic(err)
		}
		var old interface{}
		options := []cel.Option{}
		if in.Old != nil {
			old = in.Old
			options = append(options, cel.WithRatcheting(common.NewCorrelatedObject(in.New, in.Old, &model.Structural{Structural: structural})))
		}
		errs, _ := validator.Validate(context.Background(), nil, structural, in.New, old, celconfig.RuntimeCELCostBudget, options...)
		causes := [][3]string{}
		for _, err := range errs {
			causes = append(causes, [3]string{string(err.Type), err.Field, err.ErrorBody()})
		}
		sort.Slice(causes, func(i, j int) bool { return fmt.Sprint(causes[i]) < fmt.Sprint(causes[j]) })
		text, err := json.Marshal(causes)
		if err != nil {
			panic(err)
		}
		fmt.Println(string(text))
	}
}
