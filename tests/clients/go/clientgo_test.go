// Copyright (c) 2026, kplane.core contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package clients

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	appsapply "k8s.io/client-go/applyconfigurations/apps/v1"
	coreapply "k8s.io/client-go/applyconfigurations/core/v1"
	metaapply "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/util/retry"
)

// clientsets are the typed clients over each wire format.
func clientsets(t *testing.T) map[string]*kubernetes.Clientset {
	t.Helper()
	made := map[string]*kubernetes.Clientset{}
	for name, contentType := range map[string]string{"json": "application/json", "protobuf": "application/vnd.kubernetes.protobuf"} {
		wire := rest.CopyConfig(config(t))
		wire.ContentType = contentType
		wire.AcceptContentTypes = contentType + ",application/json"
		made[name] = kubernetes.NewForConfigOrDie(wire)
	}
	return made
}

func deployment(name string) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i", Env: []corev1.EnvVar{{Name: "A", Value: "1"}}}}},
			},
		},
	}
}

func TestTypedClients(t *testing.T) {
	ctx := context.Background()
	for wire, clients := range clientsets(t) {
		t.Run(wire, func(t *testing.T) {
			space := "typed-" + wire
			if _, err := clients.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: space}}, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			deployments := clients.AppsV1().Deployments(space)
			made, err := deployments.Create(ctx, deployment("d"), metav1.CreateOptions{FieldManager: "suite"})
			if err != nil {
				t.Fatal(err)
			}
			if *made.Spec.Replicas != 1 || made.UID == "" || made.CreationTimestamp.IsZero() || made.Spec.Template.Spec.Containers[0].Env[0].Value != "1" {
				t.Fatalf("not defaulted or lost a field: %+v", made)
			}
			if _, err := deployments.Create(ctx, deployment("d"), metav1.CreateOptions{}); !apierrors.IsAlreadyExists(err) {
				t.Fatalf("want AlreadyExists, got %v", err)
			}
			made.Status.Replicas = 3
			if updated, err := deployments.UpdateStatus(ctx, made, metav1.UpdateOptions{}); err != nil || updated.Status.Replicas != 3 {
				t.Fatalf("status: %v %+v", err, updated)
			}
			if _, err := deployments.UpdateStatus(ctx, made, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
				t.Fatalf("want Conflict for a stale update, got %v", err)
			}
			scale, err := deployments.GetScale(ctx, "d", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			scale.Spec.Replicas = 5
			if _, err := deployments.UpdateScale(ctx, "d", scale, metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
			patch := []byte(`{"spec":{"template":{"spec":{"containers":[{"name":"c","image":"j"}]}}}}`)
			patched, err := deployments.Patch(ctx, "d", types.StrategicMergePatchType, patch, metav1.PatchOptions{})
			if err != nil || patched.Spec.Template.Spec.Containers[0].Image != "j" || len(patched.Spec.Template.Spec.Containers[0].Env) != 1 || *patched.Spec.Replicas != 5 {
				t.Fatalf("strategic merge: %v %+v", err, patched)
			}
			secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s"}, Data: map[string][]byte{"k": {0, 1, 254, 255}}}
			if _, err := clients.CoreV1().Secrets(space).Create(ctx, secret, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			read, err := clients.CoreV1().Secrets(space).Get(ctx, "s", metav1.GetOptions{})
			if err != nil || string(read.Data["k"]) != "\x00\x01\xfe\xff" {
				t.Fatalf("secret: %v %v", err, read.Data)
			}
			list, err := deployments.List(ctx, metav1.ListOptions{LabelSelector: "nothing=here"})
			if err != nil || len(list.Items) != 0 {
				t.Fatalf("list: %v %+v", err, list)
			}
			if err := deployments.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
				t.Fatal(err)
			}
			if _, err := deployments.Get(ctx, "d", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				t.Fatalf("want NotFound, got %v", err)
			}
			if err := clients.CoreV1().Namespaces().Delete(ctx, space, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			eventually(t, "namespace gone", func() bool {
				_, err := clients.CoreV1().Namespaces().Get(ctx, space, metav1.GetOptions{})
				return apierrors.IsNotFound(err)
			})
		})
	}
}

func TestServerSideApplyConfigurations(t *testing.T) {
	ctx := context.Background()
	clients := kubernetes.NewForConfigOrDie(config(t))
	build := func(image string) *appsapply.DeploymentApplyConfiguration {
		return appsapply.Deployment("applied", "default").WithSpec(appsapply.DeploymentSpec().
			WithSelector(metaapply.LabelSelector().WithMatchLabels(map[string]string{"a": "b"})).
			WithTemplate(coreapply.PodTemplateSpec().WithLabels(map[string]string{"a": "b"}).
				WithSpec(coreapply.PodSpec().WithContainers(coreapply.Container().WithName("c").WithImage(image)))))
	}
	deployments := clients.AppsV1().Deployments("default")
	first, err := deployments.Apply(ctx, build("one"), metav1.ApplyOptions{FieldManager: "one"})
	if err != nil {
		t.Fatal(err)
	}
	again, err := deployments.Apply(ctx, build("one"), metav1.ApplyOptions{FieldManager: "one"})
	if err != nil || again.ResourceVersion != first.ResourceVersion {
		t.Fatalf("applying the same again wrote: %v %s %s", err, first.ResourceVersion, again.ResourceVersion)
	}
	if _, err := deployments.Apply(ctx, build("two"), metav1.ApplyOptions{FieldManager: "two"}); !apierrors.IsConflict(err) {
		t.Fatalf("want a conflict, got %v", err)
	}
	if _, err := deployments.Apply(ctx, build("two"), metav1.ApplyOptions{FieldManager: "two", Force: true}); err != nil {
		t.Fatal(err)
	}
	live, err := deployments.Get(ctx, "applied", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	extracted, err := appsapply.ExtractDeployment(live, "two")
	if err != nil || *extracted.Spec.Template.Spec.Containers[0].Image != "two" {
		t.Fatalf("extract: %v %+v", err, extracted)
	}
}

func TestSharedInformers(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for wire, clients := range clientsets(t) {
		t.Run(wire, func(t *testing.T) {
			factory := informers.NewSharedInformerFactoryWithOptions(clients, 0, informers.WithNamespace("default"))
			maps := factory.Core().V1().ConfigMaps()
			var lock sync.Mutex
			seen := map[string]int{}
			count := func(kind string) func(any) {
				return func(object any) {
					if m, ok := object.(*corev1.ConfigMap); ok && m.Labels["suite"] == wire {
						lock.Lock()
						defer lock.Unlock()
						seen[kind]++
					}
				}
			}
			if _, err := maps.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
				AddFunc: count("add"), UpdateFunc: func(_, now any) { count("update")(now) }, DeleteFunc: count("delete"),
			}); err != nil {
				t.Fatal(err)
			}
			factory.Start(ctx.Done())
			if !cache.WaitForCacheSync(ctx.Done(), maps.Informer().HasSynced) {
				t.Fatal("the cache did not sync")
			}
			api := clients.CoreV1().ConfigMaps("default")
			for number := range 20 {
				object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%d", wire, number), Labels: map[string]string{"suite": wire}}}
				made, err := api.Create(ctx, object, metav1.CreateOptions{})
				if err != nil {
					t.Fatal(err)
				}
				made.Data = map[string]string{"k": "v"}
				if _, err := api.Update(ctx, made, metav1.UpdateOptions{}); err != nil {
					t.Fatal(err)
				}
				if err := api.Delete(ctx, made.Name, metav1.DeleteOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "all events", func() bool {
				lock.Lock()
				defer lock.Unlock()
				return seen["add"] == 20 && seen["update"] == 20 && seen["delete"] == 20
			})
		})
	}
}

// TestAnInformerDrivesAccounts: an informer of namespaces, and a controller on it that makes an account in each (reference test T16).
func TestAnInformerDrivesAccounts(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	clients := kubernetes.NewForConfigOrDie(config(t))
	factory := informers.NewSharedInformerFactory(clients, 0)
	informer := factory.Core().V1().Namespaces().Informer()
	failed := make(chan error, 100)
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: func(object any) {
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "driven"}}
		if _, err := clients.CoreV1().ServiceAccounts(object.(*corev1.Namespace).Name).Create(ctx, account, metav1.CreateOptions{}); err != nil {
			failed <- err
		}
	}}); err != nil {
		t.Fatal(err)
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		t.Fatal("the cache did not sync")
	}
	made := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "driven"}}
	if _, err := clients.CoreV1().Namespaces().Create(ctx, made, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, namespace := range []string{"default", "kube-system", "driven"} {
		eventually(t, "an account in "+namespace, func() bool {
			_, err := clients.CoreV1().ServiceAccounts(namespace).Get(ctx, "driven", metav1.GetOptions{})
			return err == nil
		})
	}
	if len(failed) > 0 {
		t.Fatal(<-failed)
	}
}

func TestLeaderElection(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	clients := kubernetes.NewForConfigOrDie(config(t))
	var lock sync.Mutex
	leaders := []string{}
	start := func(ctx context.Context, identity string) {
		go leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
			Lock: &resourcelock.LeaseLock{
				LeaseMeta:  metav1.ObjectMeta{Name: "suite", Namespace: "kube-system"},
				Client:     clients.CoordinationV1(),
				LockConfig: resourcelock.ResourceLockConfig{Identity: identity},
			},
			LeaseDuration: 2 * time.Second, RenewDeadline: time.Second, RetryPeriod: 200 * time.Millisecond, ReleaseOnCancel: true,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(context.Context) { lock.Lock(); leaders = append(leaders, identity); lock.Unlock() },
				OnStoppedLeading: func() {},
			},
		})
	}
	number := func() int { lock.Lock(); defer lock.Unlock(); return len(leaders) }
	firstContext, stopFirst := context.WithCancel(ctx)
	start(firstContext, "a")
	eventually(t, "a leads", func() bool { return number() == 1 })
	start(ctx, "b")
	time.Sleep(time.Second)
	if number() != 1 {
		t.Fatal("two leaders at once")
	}
	stopFirst()
	eventually(t, "b leads", func() bool { return number() == 2 && leaders[1] == "b" })
}

// succeeded counts the updates that the server acknowledged.
var succeeded atomic.Int64

func TestConcurrentOptimisticUpdates(t *testing.T) {
	ctx := context.Background()
	clients := kubernetes.NewForConfigOrDie(config(t)).CoreV1().ConfigMaps("default")
	if _, err := clients.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "counter"}, Data: map[string]string{"n": ""}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 10 {
				err := retry.OnError(retry.DefaultBackoff, apierrors.IsConflict, func() error {
					return retry.RetryOnConflict(retry.DefaultRetry, func() error {
						live, err := clients.Get(ctx, "counter", metav1.GetOptions{})
						if err != nil {
							return err
						}
						live.Data["n"] += "x"
						_, err = clients.Update(ctx, live, metav1.UpdateOptions{})
						return err
					})
				})
				if err != nil && !apierrors.IsConflict(err) {
					t.Error(err)
				} else if err == nil {
					succeeded.Add(1)
				}
			}
		})
	}
	group.Wait()
	live, err := clients.Get(ctx, "counter", metav1.GetOptions{})
	if err != nil || len(live.Data["n"]) != int(succeeded.Load()) {
		t.Fatalf("%v: %d updates were acknowledged, %d are there", err, succeeded.Load(), len(live.Data["n"]))
	}
}

func TestDiscoveryAndDynamicClient(t *testing.T) {
	ctx := context.Background()
	found, err := discovery.NewDiscoveryClientForConfig(config(t))
	if err != nil {
		t.Fatal(err)
	}
	groups, resources, err := found.ServerGroupsAndResources()
	if err != nil || len(groups) < 15 || len(resources) < 15 {
		t.Fatalf("discovery: %v, %d groups, %d lists", err, len(groups), len(resources))
	}
	if version, err := found.ServerVersion(); err != nil || version.Major != "1" {
		t.Fatalf("version: %v %v", version, err)
	}
	if _, err := found.OpenAPIV3().Paths(); err != nil {
		t.Fatal(err)
	}
	if document, err := found.OpenAPISchema(); err != nil || len(document.Definitions.AdditionalProperties) < 100 {
		t.Fatalf("OpenAPI v2: %v", err)
	}
	objects := dynamic.NewForConfigOrDie(config(t)).Resource(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace("default")
	body := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"generateName": "dynamic-"}, "data": map[string]any{"k": "v"},
	}}
	made, err := objects.Create(ctx, body, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := objects.Get(ctx, made.GetName(), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Fatalf("a dry run left %s behind: %v", made.GetName(), err)
	}
}
