# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks backup and restore on a stack with the real etcd and kube-apiserver, from one management cluster to another.

A kplane-server plays the management cluster; its pods' port-forward is served by the kubelet's code and leads to the real etcd.
"""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from components import Etcd, KubeApiServer, Secrets, program
from front import Front
from standins.world import World
from support.client import Client
from support.server import Server

SYSTEM = "/api/v1/namespaces/kplane-system"
DEPLOYMENTS = "/apis/apps/v1/namespaces/kplane-system/deployments"
PLANES = "/apis/controlplane.kplane.dev/v1alpha1/controlplanes"
TEAM = "/api/v1/namespaces/team"


def pod(component: str, name: str) -> dict[str, Any]:
    labels = {f"app.kubernetes.io/{key}": value for key, value in (("component", component), ("part-of", "kplane"))}
    spec = {"containers": [{"name": "main", "image": "example/image:1"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}


class Site:
    """A management cluster with the stack in it, whose etcd and API server are real processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.world = World(folder / "world", "kubeconfig")
        self.world.own_cluster()
        cluster = self.world.cluster
        assert cluster is not None
        self.server = Server(self.world.state / "it" / "server", cluster["api_port"])
        assert self.world.play("up")
        self.root.post(f"{SYSTEM}/pods", pod("etcd", "kplane-etcd-0")).ok()
        ready = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
        self.root.patch(f"{SYSTEM}/pods/kplane-etcd-0/status", ready).ok()
        self.etcd = Etcd(self._folder("etcd"), self.secrets)
        self.etcd.wait()
        self.front = Front(self.server, {"2379": f"127.0.0.1:{self.etcd.ports['2379']}"})
        own = Path(self.world.variables["kplane_management_kubeconfig"])
        document = yaml.safe_load(own.read_text())
        document["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{self.front.port}"
        own.write_text(yaml.safe_dump(document))
        self.kube: KubeApiServer | None = None

    def _folder(self, name: str) -> Path:
        made = self.folder / f"{name}-{len(list(self.folder.glob(f'{name}-*')))}"
        made.mkdir()
        return made

    @property
    def root(self) -> Client:
        return self.server.root

    @property
    def secrets(self) -> Secrets:
        found = self.root.get(f"{SYSTEM}/secrets").ok()["items"]
        return {
            item["metadata"]["name"]: {"data": {key: base64.b64decode(value).decode() for key, value in (item.get("data") or {}).items()}}
            for item in found
        }

    def serve(self) -> KubeApiServer:
        """Run the API server with the Secrets that are there now."""
        if self.root.get(f"{SYSTEM}/pods/apiserver").code == 404:
            self.root.post(f"{SYSTEM}/pods", pod("apiserver", "apiserver")).ok()
        self.kube = KubeApiServer(self._folder("kube"), self.secrets, self.etcd)
        self.kube.wait()
        return self.kube

    @contextlib.contextmanager
    def kubelet(self) -> Iterator[None]:
        """While this lasts, the API server ends when its Deployment has no replicas, and its pod only then."""
        over = threading.Event()

        def tend() -> None:
            while not over.wait(0.1):
                if self.root.get(f"{DEPLOYMENTS}/kplane-apiserver").ok()["spec"]["replicas"] == 0 and self.kube is not None:
                    self.kube.stop()
                    self.kube = None
                    self.root.delete(f"{SYSTEM}/pods/apiserver?gracePeriodSeconds=0").ok()

        thread = threading.Thread(target=tend, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def end(self) -> None:
        for process in (self.kube, self.etcd, self.front):
            if process is not None:
                process.stop()
        self.world.end()


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[list[Site]]:
    for name in ("etcd", "kube-apiserver", "portforward"):
        program(name)
    made: list[Site] = []
    yield made
    for site in made:
        site.end()


def at(kube: KubeApiServer, client: Client) -> Client:
    """A client from before where the API server is now: addresses of processes change, credentials do not."""
    return Client(kube.anonymous.base, client.ca, client.token)


def robot(admin: Client) -> Client:
    """A service account of the plane, with a token."""
    admin.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}}).ok()
    admin.post(f"{TEAM}/serviceaccounts", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}}).ok()
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "robot"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": "team"}],
    }
    admin.post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding).ok()
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 7200}}
    return admin.as_user(admin.post(f"{TEAM}/serviceaccounts/robot/token", request).ok()["status"]["token"])


def fill(client: Client) -> str:
    """Some history, and something to find again; its uid."""
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}, "data": {"n": "0"}}
    uid: str = client.post(f"{TEAM}/configmaps", body).ok()["metadata"]["uid"]
    for number in range(1, 30):
        client.patch(f"{TEAM}/configmaps/kept", {"data": {"n": str(number)}}).ok()
    event = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "passing"}, "involvedObject": {"kind": "Pod", "namespace": "team"}}
    client.post(f"{TEAM}/events", event).ok()
    return uid


def test_from_one_cluster_to_another(sites: list[Site], tmp_path: Path) -> None:
    file = tmp_path / "backups" / "plane.zip"
    one = Site(tmp_path / "one")
    sites.append(one)
    before = robot(one.serve().admin)
    uid = fill(before)
    assert one.world.play("create_cluster", kplane_vcp_name="demo", kplane_get_credentials=False)
    assert one.world.play("backup", kplane_backup_file=str(file), check=True)
    assert not file.exists()
    assert one.world.play("backup", kplane_backup_file=str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(file) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        assert manifest["vcps"] == 1
        lines = archive.read("etcd.jsonl").decode().splitlines()
    assert manifest["keys"] == len(lines) > 50
    assert not any(base64.b64decode(json.loads(line)[0]).startswith(b"/registry/events/") for line in lines)
    revision = int(before.get(f"{TEAM}/configmaps/kept").ok()["metadata"]["resourceVersion"])
    one.end()
    sites.clear()

    two = Site(tmp_path / "two")
    sites.append(two)
    fresh = two.serve()
    here = at(fresh, before)
    assert fresh.admin.get("/api/v1/namespaces/team").code == 404
    with pytest.raises(OSError, match="certificate"):
        here.get("/version")
    with two.kubelet():
        two.world.play("restore", kplane_backup_file=str(file), check=True)
        assert two.kube is fresh
        assert two.world.play("restore", kplane_backup_file=str(file))
        assert two.kube is None
    # The same authority, the same keys, the same uids.
    back = at(two.serve(), before)
    kept = back.get(f"{TEAM}/configmaps/kept").ok()
    assert (kept["metadata"]["uid"], kept["data"]) == (uid, {"n": "29"})
    assert back.get(f"{TEAM}/events/passing").code == 404
    assert int(back.get(f"{TEAM}/configmaps").ok()["metadata"]["resourceVersion"]) > revision
    assert back.post(f"{TEAM}/serviceaccounts", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "new"}}).code == 201
    assert two.root.get(f"{PLANES}/demo").code == 200
    assert {item["spec"]["replicas"] for item in two.root.get(DEPLOYMENTS).ok()["items"]} == {1}
    with two.kubelet():
        assert two.world.play("restore", kplane_backup_file=str(file)) == 0
        assert two.kube is not None


def test_back_in_time_and_what_interrupts_it(sites: list[Site], tmp_path: Path) -> None:
    file, later = tmp_path / "plane.zip", tmp_path / "later.zip"
    site = Site(tmp_path / "site")
    sites.append(site)
    client = robot(site.serve().admin)
    fill(client)
    assert site.world.play("create_cluster", kplane_vcp_name="demo", kplane_get_credentials=False)
    assert site.world.play("backup", kplane_backup_file=str(file))
    client.patch(f"{TEAM}/configmaps/kept", {"data": {"n": "changed"}}).ok()
    client.post(f"{TEAM}/configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "since"}}).ok()
    revision = int(client.get(f"{TEAM}/configmaps").ok()["metadata"]["resourceVersion"])
    assert site.world.play("create_cluster", kplane_vcp_name="since", kplane_get_credentials=False)
    assert site.world.play("backup", kplane_backup_file=str(later))
    site.world.play("restore", kplane_backup_file=str(file), fails="2 virtual control planes, which the restore would replace")
    with site.kubelet():
        interrupted = 0
        for number in (2, 5, 9, 14):
            if site.world.kill("restore", number, kplane_backup_file=str(file), kplane_confirm=True):
                interrupted += 1
                site.world.play("up", fails="a restore of the stack .* was begun and did not come to its end")
        assert interrupted >= 3
        site.world.play("restore", kplane_backup_file=str(later), fails="A restore of another backup was begun")
        assert site.world.play("restore", kplane_backup_file=str(file))
    assert site.world.play("up") == 0
    again = at(site.serve(), client)
    listed = again.get(f"{TEAM}/configmaps").ok()
    assert sorted(item["metadata"]["name"] for item in listed["items"]) == ["kept"]
    assert listed["items"][0]["data"] == {"n": "29"}
    assert int(listed["metadata"]["resourceVersion"]) > revision
    # Who goes on with a watch from before is told to list again.
    assert again.get(f"{TEAM}/configmaps?watch=true&resourceVersion={revision}&timeoutSeconds=1").json["object"]["code"] == 410
    assert [item["metadata"]["name"] for item in site.root.get(PLANES).ok()["items"]] == ["demo"]
