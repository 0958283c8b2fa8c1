// Copyright (c) 2026, kplane.core contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package clients

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// TestEnvironment: a virtual control plane takes the place of the API server that envtest would start.
func TestEnvironment(t *testing.T) {
	ctx := context.Background()
	existing := true
	definition := gadgetDefinition()
	definition.Name, definition.Spec.Group = "gadgets.envtest.example.com", "envtest.example.com"
	environment := &envtest.Environment{
		UseExistingCluster: &existing, Config: config(t),
		CRDInstallOptions: envtest.CRDInstallOptions{CRDs: []*apiextensions.CustomResourceDefinition{definition}, CleanUpAfterUse: true},
	}
	connection, err := environment.Start()
	if err != nil {
		t.Fatal(err)
	}
	api, err := client.New(connection, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(gadget)
	object.SetAPIVersion("envtest.example.com/v1")
	object.SetGenerateName("g-")
	object.SetNamespace("default")
	if err := api.Create(ctx, object); err != nil {
		t.Fatal(err)
	}
	// Patches with optimistic locks and with fields that are owned.
	config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "envtest", Namespace: "default"}, Data: map[string]string{"a": "1"}}
	if err := api.Create(ctx, config); err != nil {
		t.Fatal(err)
	}
	stale := config.DeepCopy()
	changed := config.DeepCopy()
	changed.Data["a"] = "2"
	if err := api.Patch(ctx, changed, client.MergeFromWithOptions(config, client.MergeFromWithOptimisticLock{})); err != nil {
		t.Fatal(err)
	}
	again := stale.DeepCopy()
	again.Data["a"] = "3"
	if err := api.Patch(ctx, again, client.MergeFromWithOptions(stale, client.MergeFromWithOptimisticLock{})); !apierrors.IsConflict(err) {
		t.Fatalf("want a conflict, got %v", err)
	}
	if err := environment.Stop(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the definition gone", func() bool {
		return apierrors.IsNotFound(api.Get(ctx, client.ObjectKey{Name: definition.Name}, crdPrototype()))
	})
}

func crdPrototype() *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetAPIVersion("apiextensions.k8s.io/v1")
	object.SetKind("CustomResourceDefinition")
	return object
}
