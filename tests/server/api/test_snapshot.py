# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The snapshot of one control plane (reference test T25): whole, of one moment, of this control plane alone, by the rights of who asks."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.client import Client, eventually
from support.objects import cluster_role, cluster_role_binding, config_map, crd, widget

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
MAPS = "/api/v1/namespaces/default/configmaps"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"


def collections(document: dict[str, Any]) -> dict[str, list[Any]]:
    assert document["complete"] is True
    assert document["liveResources"] == len(document["resources"])
    assert all(part["itemCount"] == len(part["items"]) for part in document["resources"])
    return {f"{part['resource']}.{part['group']}".rstrip("."): part["items"] for part in document["resources"]}


def names(items: list[Any]) -> list[str]:
    return [item["metadata"]["name"] for item in items]


def test_all_that_is_there_and_nothing_of_others(two_vcps: tuple[Client, Client]) -> None:
    a, b = two_vcps
    a.post(CRDS, crd()).ok()
    eventually(lambda: a.get("/apis/example.com/v1").code == 200)
    a.post(WIDGETS, widget("w", {})).ok()
    a.post(MAPS, config_map("of-a", {"k": "v"})).ok()
    b.post(MAPS, config_map("of-b")).ok()
    answer = a.get("/snapshot")
    document = answer.ok()
    found = collections(document)
    assert document["forbidden"] == []
    assert document["cluster"] == answer.headers["x-snapshot-cluster"] == a.base.split("/")[-2]
    assert document["snapshotTime"] == answer.headers["x-snapshot-time"]
    assert names(found["widgets.example.com"]) == ["w"]
    mine = next(item for item in found["configmaps"] if item["metadata"]["name"] == "of-a")
    read = a.get(f"{MAPS}/of-a").ok()
    del read["metadata"]["managedFields"]
    assert mine == read  # apiVersion, kind and all, but for who wrote what
    assert "of-b" not in names(found["configmaps"])
    assert [(part["group"], part["resource"]) for part in document["resources"]] == sorted(
        (part["group"], part["resource"]) for part in document["resources"]
    )
    assert "pods" not in found, "nothing is there"
    assert int(document["resourceVersion"]) >= int(read["metadata"]["resourceVersion"])


def test_some_collections(vcp: Client) -> None:
    vcp.post(MAPS, config_map("m")).ok()
    document = vcp.get("/snapshot?resource=configmaps,deployments.apps").ok()
    assert set(collections(document)) == {"configmaps"}
    document = vcp.get("/snapshot?resource=configmaps,deployments.apps&includeEmpty=true").ok()
    assert list(collections(document)) == ["configmaps", "deployments.apps"]
    assert "'deployments' is no collection" in vcp.get("/snapshot?resource=deployments").fails(400, "BadRequest")["message"]
    assert "unknown parameter 'warm'" in vcp.get("/snapshot?warm=true").fails(400, "BadRequest")["message"]
    vcp.post("/snapshot", {}).fails(405)


def test_rights(vcp: Client) -> None:
    """The path is a right of its own, and opens no collection that could not be listed."""
    vcp.post("/api/v1/namespaces/default/secrets", {"metadata": {"name": "s"}, "stringData": {"a": "hidden"}}).ok()
    vcp.post(f"{RBAC}/clusterroles", cluster_role("lister", ["configmaps"], ["list"])).ok()
    vcp.post(f"{RBAC}/clusterrolebindings", cluster_role_binding("lister", "lister", "u")).ok()

    def ask(path: str) -> Any:
        return vcp.request("GET", path, headers={"Impersonate-User": "u"})

    ask("/snapshot").fails(403, "Forbidden")
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "snapshots"}}
    vcp.post(f"{RBAC}/clusterroles", {**role, "rules": [{"nonResourceURLs": ["/snapshot"], "verbs": ["get"]}]}).ok()
    vcp.post(f"{RBAC}/clusterrolebindings", cluster_role_binding("snapshots", "snapshots", "u")).ok()
    document = ask("/snapshot").ok()
    assert set(collections(document)) == {"configmaps"}
    assert {"secrets", "serviceaccounts", "clusterroles.rbac.authorization.k8s.io"} <= set(document["forbidden"])
    refused = ask("/snapshot?resource=configmaps,secrets").fails(403, "Forbidden")
    assert 'cannot list resource "secrets" in API group ""' in refused["message"]
    vcp.as_user("").get("/snapshot").fails(403)
    vcp.as_user("wrong").get("/snapshot").fails(401)


def test_it_is_of_one_moment(vcp: Client) -> None:
    """Two objects that are always changed together are never seen apart, and more than a page is one list."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: vcp.post(MAPS, config_map(f"m{number:03}", {"x": "y" * 2_000})).ok(), range(250)))
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            vcp.patch(f"{MAPS}/m000", {"data": {"n": str(number)}}).ok()
            vcp.patch(f"{MAPS}/m249", {"data": {"n": str(number)}}).ok()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(5):
            document = vcp.get("/snapshot?resource=configmaps").ok()
            items = {item["metadata"]["name"]: item for item in collections(document)["configmaps"]}
            assert len([name for name in items if name.startswith("m")]) == 250
            assert max(int(item["metadata"]["resourceVersion"]) for item in items.values()) <= int(document["resourceVersion"])
            first, last = (int(items[name]["data"].get("n", "0")) for name in ("m000", "m249"))
            assert first - last in (0, 1)
    finally:
        stop.set()
        writer.join()


def test_they_are_bounded(vcp: Client) -> None:
    held = []
    try:
        for number in range(400):  # more than the buffers of a connection take, so that a reader who waits holds its place
            vcp.post(MAPS, config_map(f"m{number:03}", {"x": "y" * 20_000})).ok()
        for _ in range(2):
            connection = vcp.connect()
            held.append(connection)
            path = vcp.base[vcp.base.index("/clusters/") :] + "/snapshot"
            connection.request("GET", path, headers={"Authorization": f"Bearer {vcp.token}"})
            assert connection.getresponse().status == 200
        refused = vcp.get("/snapshot")
        assert (refused.code, refused.headers.get("retry-after")) == (429, "1")
    finally:
        for connection in held:
            connection.close()
    eventually(lambda: vcp.get("/snapshot").code == 200)


@pytest.mark.parametrize("path", ["/snapshot", "/snapshot?resource=configmaps"])
def test_root_has_one_too(root: Client, path: str) -> None:
    assert "kube-root-ca.crt" in names(collections(root.get(path).ok())["configmaps"])
