// Copyright (c) 2026, kplane.core contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package clients

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

// exchange is one request for a collection, and how it was answered.
type exchange struct {
	path, sendInitialEvents, accept string
	watch                           bool
	code                            int
}

// recorder notes every exchange that passes through it.
type recorder struct {
	next http.RoundTripper
	lock sync.Mutex
	seen []exchange
}

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	answer, err := r.next.RoundTrip(request)
	query := request.URL.Query()
	noted := exchange{
		path: request.URL.Path, sendInitialEvents: query.Get("sendInitialEvents"), accept: request.Header.Get("Accept"), watch: query.Has("watch"),
	}
	if err == nil {
		noted.code = answer.StatusCode
	}
	r.lock.Lock()
	defer r.lock.Unlock()
	r.seen = append(r.seen, noted)
	return answer, err
}

func (r *recorder) exchanges(collection string) []exchange {
	r.lock.Lock()
	defer r.lock.Unlock()
	found := []exchange{}
	for _, one := range r.seen {
		if strings.HasSuffix(one.path, "/"+collection) {
			found = append(found, one)
		}
	}
	return found
}

// TestWatchListIsServed: client-go asks for a list as a stream by default. It falls back to LIST without a word when the server
// cannot, so what went over the wire is what counts.
func TestWatchListIsServed(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	wire := config(t)
	tap := &recorder{}
	wire.Wrap(func(next http.RoundTripper) http.RoundTripper { tap.next = next; return tap })
	clients := kubernetes.NewForConfigOrDie(wire)
	for number := range 30 {
		object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("streamed-%d", number), Labels: map[string]string{"suite": "streamed"}}}
		if _, err := clients.CoreV1().ConfigMaps("default").Create(ctx, object, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	factory := informers.NewSharedInformerFactory(clients, 0)
	maps := factory.Core().V1().ConfigMaps()
	lister := maps.Lister()
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), maps.Informer().HasSynced) {
		t.Fatal("the cache did not sync")
	}
	selector := labels.SelectorFromSet(labels.Set{"suite": "streamed"})
	if found, err := lister.List(selector); err != nil || len(found) != 30 {
		t.Fatalf("the cache synced with %d of 30 objects: %v", len(found), err)
	}
	seen := []exchange{}
	for _, one := range tap.exchanges("configmaps") {
		if !strings.Contains(one.path, "/namespaces/") {
			seen = append(seen, one)
		}
	}
	if len(seen) != 1 || !seen[0].watch || seen[0].sendInitialEvents != "true" || seen[0].code != http.StatusOK {
		t.Fatalf("want one watch with sendInitialEvents and no list: %+v", seen)
	}
	// The same stream goes on with what happens later.
	if err := clients.CoreV1().ConfigMaps("default").Delete(ctx, "streamed-0", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the deletion", func() bool { found, err := lister.List(selector); return err == nil && len(found) == 29 })
	if again := len(tap.exchanges("configmaps")); again != 31 {
		t.Fatalf("want 30 creations and one watch, got %d", again)
	}
}

// TestRetryWatcher: a watch that ends, again and again, goes on where it was, with no event twice and none lost.
func TestRetryWatcher(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	api := kubernetes.NewForConfigOrDie(config(t)).CoreV1().ConfigMaps("default")
	list, err := api.List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	second := int64(1)
	rounds := 0
	source := &cache.ListWatch{WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
		rounds++
		options.TimeoutSeconds = &second
		options.LabelSelector = "suite=retried"
		return api.Watch(ctx, options)
	}}
	watcher, err := watchtools.NewRetryWatcherWithContext(ctx, list.ResourceVersion, source)
	if err != nil {
		t.Fatal(err)
	}
	const number = 15
	written := make(chan struct{}) // an event may be here before the answer to the write is
	go func() {
		defer close(written)
		for index := range number {
			object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("retried-%d", index), Labels: map[string]string{"suite": "retried"}}}
			if _, err := api.Create(ctx, object, metav1.CreateOptions{}); err != nil {
				t.Error(err)
			}
			time.Sleep(250 * time.Millisecond)
		}
	}()
	for index := range number {
		select {
		case event := <-watcher.ResultChan():
			object, ok := event.Object.(*corev1.ConfigMap)
			if event.Type != watch.Added || !ok || object.Name != fmt.Sprintf("retried-%d", index) {
				t.Fatalf("event %d: %s %v", index, event.Type, event.Object)
			}
		case <-time.After(patience):
			t.Fatalf("event %d did not come", index)
		}
	}
	<-written
	watcher.Stop()
	<-watcher.Done()
	if rounds < 2 {
		t.Fatalf("%d watches: the stream never ended, so nothing was retried", rounds)
	}
}

// TestMetadataInformer: caches of metadata alone, of built-in and of custom kinds.
func TestMetadataInformer(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	wire := config(t)
	tap := &recorder{}
	wire.Wrap(func(next http.RoundTripper) http.RoundTripper { tap.next = next; return tap })
	clients := kubernetes.NewForConfigOrDie(config(t))
	factory := metadatainformer.NewSharedInformerFactory(metadata.NewForConfigOrDie(wire), 0)
	informer := factory.ForResource(corev1.SchemeGroupVersion.WithResource("configmaps"))
	changes := make(chan string, 16)
	if _, err := informer.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		UpdateFunc: func(_, now any) { changes <- now.(*metav1.PartialObjectMetadata).Labels["n"] },
	}); err != nil {
		t.Fatal(err)
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.Informer().HasSynced) {
		t.Fatal("the cache did not sync")
	}
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "metadata", Labels: map[string]string{"n": "1"}}, Data: map[string]string{"secret": "data"}}
	made, err := clients.CoreV1().ConfigMaps("default").Create(ctx, object, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	made.Labels["n"] = "2"
	if _, err := clients.CoreV1().ConfigMaps("default").Update(ctx, made, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	select {
	case label := <-changes:
		if label != "2" {
			t.Fatalf("label %q", label)
		}
	case <-time.After(patience):
		t.Fatal("the update did not come")
	}
	var cached runtime.Object
	if cached, err = informer.Lister().ByNamespace("default").Get("metadata"); err != nil {
		t.Fatal(err)
	}
	if partial := cached.(*metav1.PartialObjectMetadata); partial.UID != made.UID {
		t.Fatalf("%+v", partial)
	}
	for _, one := range tap.exchanges("configmaps") {
		if !strings.Contains(one.accept, "as=PartialObjectMetadata") || one.code != http.StatusOK {
			t.Fatalf("%+v", one)
		}
	}
}

// TestAcrossARestart is run by a test that restarts the server meanwhile, so that the revision of the informer is no longer kept. The
// informer has to list again, which shows in what it has: what came while it could not look is there, what went is not.
func TestAcrossARestart(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	wire := config(t)
	tap := &recorder{}
	wire.Wrap(func(next http.RoundTripper) http.RoundTripper { tap.next = next; return tap })
	factory := informers.NewSharedInformerFactoryWithOptions(kubernetes.NewForConfigOrDie(wire), 0, informers.WithNamespace("default"))
	lister := factory.Core().V1().ConfigMaps().Lister().ConfigMaps("default")
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	eventually(t, "the object of before", func() bool { _, err := lister.Get("before"); return err == nil })
	fmt.Println("SYNCED")
	deadline := time.Now().Add(4 * patience)
	for {
		_, missing := lister.Get("after")
		_, stays := lister.Get("before")
		if missing == nil && stays != nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the informer does not follow")
		}
		time.Sleep(20 * time.Millisecond)
	}
	states := 0
	for _, one := range tap.exchanges("configmaps") {
		if one.code == http.StatusOK && (!one.watch || one.sendInitialEvents == "true") {
			states++
		}
	}
	if states != 2 {
		t.Fatalf("the state was asked for %d times, not at the start and after the restart: %+v", states, tap.exchanges("configmaps"))
	}
}
