// Copyright (c) 2026, kplane.core contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Recorder: evaluates expressions (JSON lines {"Expr": ..., "Vars": ...}) in the environment of Kubernetes 1.34 and prints the answers
// that answers.json holds. Needs a module that requires k8s.io/apiserver v0.34.2. Used only when the answers are made anew.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"github.com/google/cel-go/cel"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apiserver/pkg/cel/environment"
)

type in struct {
	Expr string
	Vars map[string]interface{}
}

func main() {
	set := environment.MustBaseEnvSet(version.MajorMinor(1, 34), true)
	ext, err := set.Extend(environment.VersionedOptions{IntroducedVersion: version.MajorMinor(1, 0), EnvOptions: []cel.EnvOption{cel.Variable("self", cel.DynType), cel.Variable("oldSelf", cel.DynType)}})
	if err != nil {
		panic(err)
	}
	env := ext.StoredExpressionsEnv()
	sc := bufio.NewScanner(os.Stdin)
	sc.Buffer(make([]byte, 1<<20), 1<<26)
	for sc.Scan() {
		var q in
		if err := json.Unmarshal(sc.Bytes(), &q); err != nil {
			panic(err)
		}
		fmt.Println(eval(env, q))
	}
}
func eval(env *cel.Env, q in) string {
	ast, iss := env.Compile(q.Expr)
	if iss != nil && iss.Err() != nil {
		b, _ := json.Marshal([]interface{}{"compile", iss.Err().Error()})
		return string(b)
	}
	p, err := env.Program(ast, cel.CostLimit(10000000))
	if err != nil {
		b, _ := json.Marshal([]interface{}{"compile", err.Error()})
		return string(b)
	}
	for k, v := range q.Vars {
		q.Vars[k] = ints(v)
	}
	out, det, err := p.Eval(q.Vars)
	if err != nil {
		b, _ := json.Marshal([]interface{}{"error", err.Error()})
		return string(b)
	}
	var cost uint64
	if det != nil && det.ActualCost() != nil {
		cost = *det.ActualCost()
	}
	b, err := json.Marshal([]interface{}{"ok", fmt.Sprint(out.Type()), fmt.Sprintf("%v", out.Value()), cost})
	if err != nil {
		return err.Error()
	}
	return string(b)
}
func ints(v interface{}) interface{} {
	switch t := v.(type) {
	case float64:
		if t == float64(int64(t)) {
			return int64(t)
		}
	case []interface{}:
		for i := range t {
			t[i] = ints(t[i])
		}
	case map[string]interface{}:
		for k := range t {
			t[k] = ints(t[k])
		}
	}
	return v
}
