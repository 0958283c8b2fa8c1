// Copyright (c) 2026, kplane.core contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package clients

import (
	"context"
	"os"
	"testing"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/common"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/cli"
	"helm.sh/helm/v4/pkg/kube"
	release "helm.sh/helm/v4/pkg/release/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const template = `apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-settings}
data: {greeting: {{ .Values.greeting | quote }}, revision: {{ .Release.Revision | quote }}}
---
apiVersion: v1
kind: Service
metadata: {name: {{ .Release.Name }}}
spec: {selector: {app: x}, ports: [{port: 80}]}
`

func suiteChart(version string) *chart.Chart {
	return &chart.Chart{
		Metadata:  &chart.Metadata{APIVersion: "v2", Name: "suite", Version: version},
		Values:    map[string]any{"greeting": "hello " + version},
		Templates: []*common.File{{Name: "templates/all.yaml", Data: []byte(template)}},
	}
}

func TestHelm(t *testing.T) {
	ctx := context.Background()
	const space = "helm-suite"
	settings := cli.New()
	settings.KubeConfig = os.Getenv("KUBECONFIG")
	settings.SetNamespace(space)
	configuration := action.NewConfiguration()
	if err := configuration.Init(settings.RESTClientGetter(), space, "secret"); err != nil {
		t.Fatal(err)
	}
	clients := kubernetes.NewForConfigOrDie(config(t))
	greeting := func() string {
		found, err := clients.CoreV1().ConfigMaps(space).Get(ctx, "r-settings", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return found.Data["greeting"]
	}

	install := action.NewInstall(configuration)
	install.ReleaseName, install.Namespace, install.CreateNamespace, install.WaitStrategy = "r", space, true, kube.HookOnlyStrategy
	if _, err := install.RunWithContext(ctx, suiteChart("1.0.0"), nil); err != nil {
		t.Fatal(err)
	}
	if greeting() != "hello 1.0.0" {
		t.Fatal(greeting())
	}
	upgrade := action.NewUpgrade(configuration)
	upgrade.Namespace, upgrade.WaitStrategy = space, kube.HookOnlyStrategy
	if _, err := upgrade.RunWithContext(ctx, "r", suiteChart("2.0.0"), nil); err != nil {
		t.Fatal(err)
	}
	if greeting() != "hello 2.0.0" {
		t.Fatal(greeting())
	}
	rollback := action.NewRollback(configuration)
	rollback.Version, rollback.WaitStrategy = 1, kube.HookOnlyStrategy
	if err := rollback.Run("r"); err != nil {
		t.Fatal(err)
	}
	if greeting() != "hello 1.0.0" {
		t.Fatal(greeting())
	}
	releases, err := action.NewList(configuration).Run()
	if err != nil || len(releases) != 1 || releases[0].(*release.Release).Version != 3 {
		t.Fatalf("list: %v %v", releases, err)
	}
	uninstall := action.NewUninstall(configuration)
	uninstall.WaitStrategy = kube.HookOnlyStrategy
	if _, err := uninstall.Run("r"); err != nil {
		t.Fatal(err)
	}
	if _, err := clients.CoreV1().ConfigMaps(space).Get(ctx, "r-settings", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Fatalf("want NotFound, got %v", err)
	}
}
