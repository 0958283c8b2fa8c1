// Copyright (c) 2026, kplane.core contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Recorder: runs sequences of writes through upstream's own field manager and prints what it answers.
// See record.py, which feeds it. Used only when the recordings are made anew.
package main

import (
	"bufio"
	"encoding/json"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apimachinery/pkg/util/managedfields/managedfieldstest"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

type write struct {
	Verb    string                 `json:"verb"`
	Manager string                 `json:"manager"`
	Force   bool                   `json:"force"`
	Object  map[string]interface{} `json:"object"`
}

type answer struct {
	Error string                 `json:"error,omitempty"`
	Live  map[string]interface{} `json:"live"`
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 1<<20), 1<<28)
	lines.Scan()
	schemas := map[string]*spec.Schema{}
	check(json.Unmarshal(lines.Bytes(), &schemas))
	converter, err := managedfields.NewTypeConverter(schemas, false)
	check(err)
	for lines.Scan() {
		var writes []write
		check(json.Unmarshal(lines.Bytes(), &writes))
		fields := managedfieldstest.NewTestFieldManager(converter, schema.GroupVersionKind{Group: "g", Version: "v1", Kind: "T"})
		answers := []answer{}
		for _, w := range writes {
			body, err := json.Marshal(w.Object)
			check(err)
			object := &unstructured.Unstructured{}
			check(object.UnmarshalJSON(body))
			if w.Verb == "apply" {
				err = fields.Apply(object, w.Manager, w.Force)
			} else {
				err = fields.Update(object, w.Manager)
			}
			a := answer{Live: fields.Live().(*unstructured.Unstructured).Object}
			if err != nil {
				a.Error = err.Error()
			}
			answers = append(answers, a)
		}
		out, err := json.Marshal(answers)
		check(err)
		os.Stdout.Write(append(out, '\n'))
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
