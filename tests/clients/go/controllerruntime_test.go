// Copyright (c) 2026, kplane.core contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package clients

import (
	"context"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

var gadget = schema.GroupVersionKind{Group: "suite.example.com", Version: "v1", Kind: "Gadget"}

func gadgetDefinition() *apiextensions.CustomResourceDefinition {
	open := true
	return &apiextensions.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "gadgets.suite.example.com"},
		Spec: apiextensions.CustomResourceDefinitionSpec{
			Group: gadget.Group, Scope: apiextensions.NamespaceScoped,
			Names: apiextensions.CustomResourceDefinitionNames{Plural: "gadgets", Singular: "gadget", Kind: "Gadget", ListKind: "GadgetList"},
			Versions: []apiextensions.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true,
				Subresources: &apiextensions.CustomResourceSubresources{Status: &apiextensions.CustomResourceSubresourceStatus{}},
				Schema: &apiextensions.CustomResourceValidation{OpenAPIV3Schema: &apiextensions.JSONSchemaProps{
					Type: "object",
					Properties: map[string]apiextensions.JSONSchemaProps{
						"spec":   {Type: "object", XPreserveUnknownFields: &open},
						"status": {Type: "object", XPreserveUnknownFields: &open},
					},
				}},
			}},
		},
	}
}

// gadgets makes a ConfigMap for each Gadget, as operators do: owner reference, finalizer, status.
type gadgets struct {
	client.Client
	deleted atomic.Int64
}

func (r *gadgets) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(gadget)
	if err := r.Get(ctx, request.NamespacedName, object); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if !object.GetDeletionTimestamp().IsZero() {
		if controllerutil.RemoveFinalizer(object, "suite.example.com/finalizer") {
			if err := r.Update(ctx, object); err != nil {
				return reconcile.Result{}, err
			}
			r.deleted.Add(1)
		}
		return reconcile.Result{}, nil
	}
	if controllerutil.AddFinalizer(object, "suite.example.com/finalizer") {
		if err := r.Update(ctx, object); err != nil {
			return reconcile.Result{}, err
		}
	}
	config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: object.GetName(), Namespace: object.GetNamespace()}}
	_, err := controllerutil.CreateOrUpdate(ctx, r.Client, config, func() error {
		config.Data = map[string]string{"made-for": object.GetName()}
		return controllerutil.SetControllerReference(object, config, r.Scheme())
	})
	if err != nil {
		return reconcile.Result{}, err
	}
	if phase, _, _ := unstructured.NestedString(object.Object, "status", "phase"); phase == "Done" {
		return reconcile.Result{}, nil
	}
	if err := unstructured.SetNestedField(object.Object, "Done", "status", "phase"); err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{}, r.Status().Update(ctx, object)
}

func TestOperatorWithManager(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ctrl.SetLogger(zap.New())
	if _, err := envtest.InstallCRDs(config(t), envtest.CRDInstallOptions{CRDs: []*apiextensions.CustomResourceDefinition{gadgetDefinition()}}); err != nil {
		t.Fatal(err)
	}
	manager, err := ctrl.NewManager(config(t), ctrl.Options{
		Metrics: metricsserver.Options{BindAddress: "0"}, LeaderElection: true, LeaderElectionID: "suite-operator", LeaderElectionNamespace: "kube-system",
	})
	if err != nil {
		t.Fatal(err)
	}
	prototype := &unstructured.Unstructured{}
	prototype.SetGroupVersionKind(gadget)
	reconciler := &gadgets{Client: manager.GetClient()}
	if err := ctrl.NewControllerManagedBy(manager).For(prototype).Owns(&corev1.ConfigMap{}).Complete(reconciler); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- manager.Start(ctx) }()
	if !manager.GetCache().WaitForCacheSync(ctx) {
		t.Fatal("the cache did not sync")
	}
	direct, err := client.New(config(t), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	object := prototype.DeepCopy()
	object.SetName("g")
	object.SetNamespace("default")
	if err := direct.Create(ctx, object); err != nil {
		t.Fatal(err)
	}
	eventually(t, "status Done", func() bool {
		if err := direct.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
			t.Fatal(err)
		}
		phase, _, _ := unstructured.NestedString(object.Object, "status", "phase")
		return phase == "Done"
	})
	owned := &corev1.ConfigMap{}
	if err := direct.Get(ctx, client.ObjectKeyFromObject(object), owned); err != nil || owned.Data["made-for"] != "g" {
		t.Fatalf("%v %v", err, owned.Data)
	}
	// What it owns is made again when somebody deletes it.
	if err := direct.Delete(ctx, owned); err != nil {
		t.Fatal(err)
	}
	eventually(t, "made again", func() bool {
		again := &corev1.ConfigMap{}
		return direct.Get(ctx, client.ObjectKeyFromObject(object), again) == nil && again.UID != owned.UID
	})
	if err := direct.Delete(ctx, object, client.PropagationPolicy(metav1.DeletePropagationForeground)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "object and what it owned gone", func() bool {
		gone := client.IgnoreNotFound(direct.Get(ctx, client.ObjectKeyFromObject(object), object.DeepCopy())) == nil &&
			direct.Get(ctx, client.ObjectKeyFromObject(object), object.DeepCopy()) != nil
		return gone && direct.Get(ctx, client.ObjectKeyFromObject(object), &corev1.ConfigMap{}) != nil
	})
	if reconciler.deleted.Load() != 1 {
		t.Fatalf("the finalizer ran %d times", reconciler.deleted.Load())
	}
	cancel()
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
}

func TestMetadataClientAndRESTMapper(t *testing.T) {
	ctx := context.Background()
	direct, err := client.New(config(t), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if mapping, err := direct.RESTMapper().RESTMapping(schema.GroupKind{Group: "apps", Kind: "Deployment"}); err != nil || mapping.Resource.Resource != "deployments" {
		t.Fatalf("mapper: %v %v", mapping, err)
	}
	if _, err := direct.RESTMapper().RESTMapping(schema.GroupKind{Group: "nothing.example.com", Kind: "Thing"}); !meta.IsNoMatchError(err) {
		t.Fatalf("want NoMatch, got %v", err)
	}
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: "NamespaceList"})
	if err := direct.List(ctx, list); err != nil || len(list.Items) < 4 {
		t.Fatalf("metadata: %v, %d items", err, len(list.Items))
	}
}
