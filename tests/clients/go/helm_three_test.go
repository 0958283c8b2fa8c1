// Copyright (c) 2026, kplane.core contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package clients

import (
	"context"
	"os"
	"testing"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/cli"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

func chartForThree(version string) *chart.Chart {
	return &chart.Chart{
		Metadata:  &chart.Metadata{APIVersion: "v2", Name: "suite", Version: version},
		Values:    map[string]any{"greeting": "hello " + version},
		Templates: []*chart.File{{Name: "templates/all.yaml", Data: []byte(template)}},
	}
}

// TestHelmThree is TestHelm with the library before: three-way merges where version 4 applies on the server.
func TestHelmThree(t *testing.T) {
	ctx := context.Background()
	const space = "helm-three"
	settings := cli.New()
	settings.KubeConfig = os.Getenv("KUBECONFIG")
	settings.SetNamespace(space)
	configuration := new(action.Configuration)
	if err := configuration.Init(settings.RESTClientGetter(), space, "secret", t.Logf); err != nil {
		t.Fatal(err)
	}
	clients := kubernetes.NewForConfigOrDie(config(t))
	expect := func(greeting string) {
		t.Helper()
		found, err := clients.CoreV1().ConfigMaps(space).Get(ctx, "r-settings", metav1.GetOptions{})
		if err != nil || found.Data["greeting"] != greeting {
			t.Fatalf("want %q: %v %v", greeting, err, found.Data)
		}
	}
	install := action.NewInstall(configuration)
	install.ReleaseName, install.Namespace, install.CreateNamespace = "r", space, true
	if _, err := install.RunWithContext(ctx, chartForThree("1.0.0"), nil); err != nil {
		t.Fatal(err)
	}
	expect("hello 1.0.0")
	upgrade := action.NewUpgrade(configuration)
	upgrade.Namespace = space
	if _, err := upgrade.RunWithContext(ctx, "r", chartForThree("2.0.0"), nil); err != nil {
		t.Fatal(err)
	}
	expect("hello 2.0.0")
	rollback := action.NewRollback(configuration)
	rollback.Version = 1
	if err := rollback.Run("r"); err != nil {
		t.Fatal(err)
	}
	expect("hello 1.0.0")
	if _, err := action.NewUninstall(configuration).Run("r"); err != nil {
		t.Fatal(err)
	}
	if _, err := clients.CoreV1().ConfigMaps(space).Get(ctx, "r-settings", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Fatalf("want NotFound, got %v", err)
	}
}
