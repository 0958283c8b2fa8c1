// Copyright (c) 2026, kplane.core contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package clients

import (
	"context"
	"reflect"
	"testing"

	openapi_v3 "github.com/google/gnostic-models/openapiv3"
	"google.golang.org/protobuf/proto"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/openapi"
	"sigs.k8s.io/yaml"
)

// plain is what a document says, whatever the style of the YAML inside of it.
func plain(t *testing.T, document *openapi_v3.Document) any {
	t.Helper()
	text, err := document.YAMLValue("")
	if err != nil {
		t.Fatal(err)
	}
	var said any
	if err := yaml.Unmarshal(text, &said); err != nil {
		t.Fatal(err)
	}
	return said
}

// TestOpenAPIInProtobuf: what client-go reads in protobuf says what gnostic makes of the JSON.
func TestOpenAPIInProtobuf(t *testing.T) {
	wire := config(t)
	number, truth := apiextensionsv1.JSON{Raw: []byte("7")}, apiextensionsv1.JSON{Raw: []byte("true")}
	words := apiextensionsv1.JSON{Raw: []byte(`"2026-01-01"`)}
	least, longest, open := 1.5, int64(10), true
	spec := apiextensionsv1.JSONSchemaProps{Type: "object", Required: []string{"a"}, Properties: map[string]apiextensionsv1.JSONSchemaProps{
		"a": {Type: "integer", Default: &number, Minimum: &least, Enum: []apiextensionsv1.JSON{number}, Nullable: true},
		"b": {Type: "string", Default: &words, MaxLength: &longest, Pattern: "^2", Format: "date", Description: "b"},
		"c": {Type: "boolean", Default: &truth},
		"d": {Type: "array", Items: &apiextensionsv1.JSONSchemaPropsOrArray{Schema: &apiextensionsv1.JSONSchemaProps{Type: "string"}}},
		"e": {Type: "object", AdditionalProperties: &apiextensionsv1.JSONSchemaPropsOrBool{Schema: &apiextensionsv1.JSONSchemaProps{Type: "string"}}},
		"f": {XIntOrString: true, AnyOf: []apiextensionsv1.JSONSchemaProps{{Type: "integer"}, {Type: "string"}}},
		"g": {Type: "object", XPreserveUnknownFields: &open, Not: &apiextensionsv1.JSONSchemaProps{Required: []string{"no"}}},
	}}
	version := apiextensionsv1.CustomResourceDefinitionVersion{Name: "v1", Served: true, Storage: true, Schema: &apiextensionsv1.CustomResourceValidation{
		OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"spec": spec}},
	}}
	definition := &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "forms.openapi.example.com"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "openapi.example.com", Scope: apiextensionsv1.ClusterScoped, Versions: []apiextensionsv1.CustomResourceDefinitionVersion{version},
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "forms", Singular: "form", Kind: "Form", ListKind: "FormList"},
		},
	}
	definitions := apiextensions.NewForConfigOrDie(wire).ApiextensionsV1().CustomResourceDefinitions()
	if _, err := definitions.Create(context.Background(), definition, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	client := discovery.NewDiscoveryClientForConfigOrDie(wire).OpenAPIV3()
	var groupVersions map[string]openapi.GroupVersion
	eventually(t, "the custom group is in the index", func() bool {
		paths, err := client.Paths()
		groupVersions = paths
		return err == nil && paths["apis/openapi.example.com/v1"] != nil
	})
	for path, groupVersion := range groupVersions {
		asJSON, err := groupVersion.Schema("application/json")
		if err != nil {
			t.Fatal(path, err)
		}
		wanted, err := openapi_v3.ParseDocument(asJSON)
		if err != nil {
			t.Fatal(path, err)
		}
		asProtobuf, err := groupVersion.Schema(openapi.ContentTypeOpenAPIV3PB)
		if err != nil {
			t.Fatal(path, err)
		}
		given := &openapi_v3.Document{}
		if err := proto.Unmarshal(asProtobuf, given); err != nil {
			t.Fatal(path, err)
		}
		if !reflect.DeepEqual(plain(t, given), plain(t, wanted)) {
			t.Errorf("%s says something else in protobuf", path)
		}
	}
}
