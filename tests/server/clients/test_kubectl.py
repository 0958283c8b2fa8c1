# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people type: a real kubectl against a virtual control plane."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import yaml
from support.client import Client, eventually
from support.kubectl import Kubectl
from support.objects import crd

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {app: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: registry.example/web:1
        ports: [{containerPort: 8080, name: http}]
        env: [{name: A, value: "1"}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: http}]
"""


def test_namespaces(kubectl: Kubectl) -> None:
    lines = kubectl("get", "namespaces").splitlines()
    assert lines[0].split() == ["NAME", "STATUS", "AGE"]
    assert {"default", "kube-system", "kube-public", "kube-node-lease"} <= {line.split()[0] for line in lines[1:]}
    assert all(line.split()[1] == "Active" for line in lines[1:])


def test_create_get_patch_delete_of_a_configmap(kubectl: Kubectl) -> None:
    assert "created" in kubectl("create", "configmap", "settings", "--from-literal=a=1")
    assert "already exists" in kubectl.fails("create", "configmap", "settings")
    kubectl("patch", "configmap", "settings", "-p", '{"data":{"b":"2"}}')
    kubectl("patch", "configmap", "settings", "--type=json", "-p", '[{"op":"remove","path":"/data/a"}]')
    kubectl("patch", "configmap", "settings", "--type=merge", "-p", '{"data":{"c":"3"}}')
    assert json.loads(kubectl("get", "configmap", "settings", "-o", "json"))["data"] == {"b": "2", "c": "3"}
    kubectl("label", "configmap", "settings", "team=x")
    kubectl("annotate", "configmap", "settings", "note=y")
    assert "settings" in kubectl("get", "configmaps", "-l", "team=x", "--no-headers")
    assert "settings" not in kubectl("get", "configmaps", "-l", "team!=x", "--no-headers")
    kubectl("delete", "configmap", "settings")
    assert "NotFound" in kubectl.fails("get", "configmap", "settings")


def test_apply_on_the_client_side(kubectl: Kubectl) -> None:
    first = kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    assert "deployment.apps/web created" in first
    assert "service/web created" in first
    again = kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    assert "deployment.apps/web unchanged" in again
    assert "service/web unchanged" in again
    changed = DEPLOYMENT.replace('value: "1"', 'value: "2"')
    assert "deployment.apps/web configured" in kubectl("apply", "-f", "-", stdin=changed)
    deployment = json.loads(kubectl("get", "deployment", "web", "-o", "json"))
    assert deployment["spec"]["template"]["spec"]["containers"][0]["env"] == [{"name": "A", "value": "2"}]
    assert deployment["spec"]["strategy"]["type"] == "RollingUpdate"
    assert deployment["metadata"]["generation"] == 2
    service = json.loads(kubectl("get", "service", "web", "-o", "json"))
    assert service["spec"]["clusterIP"].startswith("10.")
    kubectl("delete", "-f", "-", stdin=DEPLOYMENT)


def test_diff_and_dry_run_change_nothing(kubectl: Kubectl) -> None:
    assert "created (server dry run)" in kubectl("apply", "--dry-run=server", "-f", "-", stdin=DEPLOYMENT)
    assert "NotFound" in kubectl.fails("get", "deployment", "web")
    kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    different = kubectl.run("diff", "-f", "-", stdin=DEPLOYMENT.replace("replicas: 2", "replicas: 5"))
    assert different.returncode == 1, different.stderr
    assert "+  replicas: 5" in different.stdout
    assert json.loads(kubectl("get", "deployment", "web", "-o", "json"))["spec"]["replicas"] == 2
    assert kubectl.run("diff", "-f", "-", stdin=DEPLOYMENT).returncode == 0


def test_apply_on_the_server_side(kubectl: Kubectl) -> None:
    assert "serverside-applied" in kubectl("apply", "--server-side", "-f", "-", stdin=DEPLOYMENT)
    kubectl("apply", "--server-side", "-f", "-", stdin=DEPLOYMENT)
    changed = DEPLOYMENT.replace("replicas: 2", "replicas: 4")
    conflict = kubectl.fails("apply", "--server-side", "--field-manager=other", "-f", "-", stdin=changed)
    assert 'conflict with "kubectl"' in conflict
    assert ".spec.replicas" in conflict
    kubectl("apply", "--server-side", "--field-manager=other", "--force-conflicts", "-f", "-", stdin=changed)
    deployment = json.loads(kubectl("get", "deployment", "web", "-o", "json", "--show-managed-fields"))
    assert deployment["spec"]["replicas"] == 4
    assert {"kubectl", "other"} <= {entry["manager"] for entry in deployment["metadata"]["managedFields"]}


def test_moving_from_client_side_to_server_side_apply(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    without = DEPLOYMENT.replace('        env: [{name: A, value: "1"}]\n', "")
    kubectl("apply", "--server-side", "-f", "-", stdin=without)
    deployment = json.loads(kubectl("get", "deployment", "web", "-o", "json"))
    assert "env" not in deployment["spec"]["template"]["spec"]["containers"][0]


def test_scale_and_rollout(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    kubectl("scale", "deployment", "web", "--replicas=7")
    assert json.loads(kubectl("get", "deployment", "web", "-o", "json"))["spec"]["replicas"] == 7
    kubectl("set", "image", "deployment/web", "web=registry.example/web:2")
    kubectl("rollout", "restart", "deployment/web")
    kubectl("autoscale", "deployment", "web", "--min=1", "--max=3", "--cpu-percent=50")
    assert "web" in kubectl("get", "hpa")
    assert "web" in kubectl("describe", "deployment", "web")


def test_strict_validation_names_the_field(kubectl: Kubectl) -> None:
    wrong = DEPLOYMENT.replace("replicas: 2", "replicsa: 2")
    assert "spec.replicsa" in kubectl.fails("apply", "-f", "-", stdin=wrong)
    assert "Invalid value" in kubectl.fails("apply", "--validate=false", "-f", "-", stdin=DEPLOYMENT.replace("port: 80", "port: 99999"))


def test_custom_resources(kubectl: Kubectl) -> None:
    definition = crd(spec={"size": {"type": "integer", "default": 1, "description": "How large it is."}})
    definition["spec"]["names"]["shortNames"] = ["wg"]
    definition["spec"]["versions"][0]["additionalPrinterColumns"] = [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}]
    kubectl("apply", "-f", "-", stdin=yaml.safe_dump(definition))
    kubectl("wait", "--for=condition=Established", "crd/widgets.example.com", "--timeout=10s")
    body = yaml.safe_dump({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {}})
    assert "widget.example.com/w created" in kubectl("apply", "-f", "-", stdin=body)
    assert "unchanged" in kubectl("apply", "-f", "-", stdin=body)
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=body.replace("spec: {}", "spec: {size: 4}"))
    lines = kubectl("get", "wg").splitlines()
    assert lines[0].split() == ["NAME", "SIZE"]
    assert lines[1].split() == ["w", "4"]
    assert "How large it is." in kubectl("explain", "widget.spec.size")
    assert "widgets" in kubectl("api-resources", "--api-group=example.com")


def test_discovery_and_explain(kubectl: Kubectl) -> None:
    resources = kubectl("api-resources", "-o", "name").split()
    assert {"pods", "deployments.apps", "customresourcedefinitions.apiextensions.k8s.io", "leases.coordination.k8s.io"} <= set(resources)
    assert {"v1", "apps/v1", "rbac.authorization.k8s.io/v1"} <= set(kubectl("api-versions").split())
    explained = kubectl("explain", "deployment.spec.template.spec.containers")
    assert "image" in explained
    assert "KIND:       Deployment" in explained
    assert len(kubectl("explain", "pod", "--recursive").splitlines()) > 300


def test_who_and_may_i(kubectl: Kubectl) -> None:
    assert "system:serviceaccount:kplane-system:controlplane-admin" in kubectl("auth", "whoami")
    assert kubectl("auth", "can-i", "create", "pods").strip() == "yes"
    assert "*.*" in kubectl("auth", "can-i", "--list")
    refused = kubectl.run("auth", "can-i", "delete", "nodes", "--as=alice")
    assert refused.stdout.strip() == "no"


def test_create_token_and_use_it(kubectl: Kubectl, vcp: Client) -> None:
    kubectl("create", "serviceaccount", "robot")
    token = kubectl("create", "token", "robot", "--duration=20m").strip()
    vcp.as_user(token).get("/api/v1/namespaces").fails(403)
    kubectl("create", "clusterrolebinding", "robot", "--clusterrole=view", "--serviceaccount=default:robot")
    eventually(lambda: vcp.as_user(token).get("/api/v1/namespaces").code == 200)


def test_watching(kubectl: Kubectl) -> None:
    environment = {"HOME": str(kubectl.home), "KUBECONFIG": str(kubectl.kubeconfig)}
    with subprocess.Popen(
        [kubectl.program, "get", "configmaps", "-w", "-o", "name"], env=environment, stdout=subprocess.PIPE, text=True
    ) as watcher:
        assert watcher.stdout is not None
        assert watcher.stdout.readline().strip() == "configmap/kube-root-ca.crt"
        kubectl("create", "configmap", "seen")
        assert watcher.stdout.readline().strip() == "configmap/seen"
        watcher.terminate()


def test_deleting_a_namespace_ends(kubectl: Kubectl, vcp: Client) -> None:
    kubectl("create", "namespace", "short")
    kubectl("-n", "short", "create", "configmap", "inside")
    kubectl("-n", "short", "apply", "-f", "-", stdin=DEPLOYMENT)
    kubectl("delete", "namespace", "short", "--timeout=20s")
    vcp.get("/api/v1/namespaces/short").fails(404)
    vcp.get("/api/v1/namespaces/short/configmaps/inside").fails(404)
    assert "short" not in kubectl("get", "ns")


def test_everything_at_once(kubectl: Kubectl, tmp_path: Path) -> None:
    """``get all``, events, output formats, sorting, paging, versions."""
    kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    assert "deployment.apps/web" in kubectl("get", "all")
    assert kubectl("get", "ns", "-o", "jsonpath={.items[0].metadata.name}") == "default"
    assert "web" in kubectl("get", "deployments", "-A", "-o", "wide", "--sort-by=.metadata.name")
    assert "web" in kubectl("get", "deployments", "--chunk-size=1", "-A")
    assert json.loads(kubectl("version", "-o", "json"))["serverVersion"]["major"] == "1"
    assert "apiVersion: apps/v1" in kubectl("get", "deploy", "web", "-o", "yaml")
    kubectl("get", "events")
    manifest = tmp_path / "web.yaml"
    manifest.write_text(DEPLOYMENT)
    kubectl("replace", "-f", str(manifest))
    kubectl("delete", "-f", str(manifest), "--wait=true")
