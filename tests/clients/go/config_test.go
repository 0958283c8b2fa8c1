// Copyright (c) 2026, kplane.core contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package clients

import (
	"os"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const patience = 20 * time.Second

// config reads the kubeconfig that the suite was given.
func config(t *testing.T) *rest.Config {
	t.Helper()
	path := os.Getenv("KUBECONFIG")
	if path == "" {
		t.Fatal("KUBECONFIG must name the kubeconfig of a virtual control plane")
	}
	made, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	made.QPS, made.Burst = 200, 400
	return made
}

// eventually fails the test when a condition does not come true in time.
func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !check() {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come true in %s", what, patience)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
