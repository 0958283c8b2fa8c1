// Copyright (c) 2026, kplane.core contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Recorder: prints the functions that expressions know in Kubernetes 1.34, with the types of their arguments, as
// server/src/kplane_server/schema/cel/data/overloads.json holds them. Needs a module that requires k8s.io/apiserver v0.34.2.
package main

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"

	"github.com/google/cel-go/common/types"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apiserver/pkg/cel/environment"
)

func shown(t *types.Type) string {
	if t.Kind() == types.TypeParamKind {
		return "<" + t.DeclaredTypeName() + ">"
	}
	name := t.DeclaredTypeName()
	if t.Kind() == types.DynKind {
		name = "dyn"
	}
	parameters := []string{}
	for _, parameter := range t.Parameters() {
		parameters = append(parameters, shown(parameter))
	}
	if len(parameters) == 0 {
		return name
	}
	return name + "(" + strings.Join(parameters, ", ") + ")"
}

func text(value any) string {
	out, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&", `","`, `", "`, `],"`, `], "`, `",[`, `", [`).Replace(string(out))
}

func main() {
	env := environment.MustBaseEnvSet(version.MajorMinor(1, 34), true).StoredExpressionsEnv()
	rows := map[string][]string{
		// only expressions of mutating policies have this one
		"jsonpatch.escapeKey": {text([]any{"string_jsonpatch_escapekey_string", "global", []string{"string"}, "string"})},
	}
	for name, function := range env.Functions() {
		if name == "__not_strictly_false__" || name == "_in_" || name == "in" { // old names
			continue
		}
		for _, overload := range function.OverloadDecls() {
			style, arguments := "global", []string{}
			if overload.IsMemberFunction() {
				style = "member"
			}
			for _, argument := range overload.ArgTypes() {
				arguments = append(arguments, shown(argument))
			}
			rows[name] = append(rows[name], text([]any{overload.ID(), style, arguments, shown(overload.ResultType())}))
		}
	}
	functions := []string{}
	for name, overloads := range rows {
		functions = append(functions, "  "+text(name)+": [\n    "+strings.Join(overloads, ",\n    ")+"\n  ]")
	}
	sort.Strings(functions)
	fmt.Println("{\n" + strings.Join(functions, ",\n") + "\n}")
}
