# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every VCP has from its first moment on, each its own, before and after a restart (T7, T8, T16 to T18 of the reference's suite)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.client import Client, eventually
from support.objects import config_map, crd, namespace, widget
from support.server import GROUP, Server, free_port

MAPS = "/api/v1/namespaces/default/configmaps"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"
SYSTEM = ("default", "kube-system", "kube-public", "kube-node-lease")


def names(client: Client, path: str) -> set[str]:
    return {item["metadata"]["name"] for item in client.get(path).ok()["items"]}


def test_the_first_request_finds_everything(vcp: Client, root: Client) -> None:
    for client in (vcp, root):
        assert set(SYSTEM) <= names(client, "/api/v1/namespaces")
        service = client.get("/api/v1/namespaces/default/services/kubernetes").ok()
        assert service["spec"]["clusterIP"].startswith("10.")
        assert service["metadata"]["labels"] == {"component": "apiserver", "provider": "kubernetes"}
        endpoints = client.get("/api/v1/namespaces/default/endpoints/kubernetes").ok()
        assert endpoints["subsets"][0]["addresses"][0]["ip"]
        slices = client.get("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes").ok()
        assert slices["endpoints"][0]["addresses"] == [endpoints["subsets"][0]["addresses"][0]["ip"]]
        assert client.get("/apis/networking.k8s.io/v1/servicecidrs/kubernetes").ok()["spec"]["cidrs"]
        system = "/api/v1/namespaces/kube-system/configmaps"
        assert client.get(f"{system}/extension-apiserver-authentication").code == 200
        assert client.get(f"{system}/kube-apiserver-legacy-service-account-token-tracking").ok()["data"]["since"]
        for name in SYSTEM:
            assert "default" in names(client, f"/api/v1/namespaces/{name}/serviceaccounts")
            ca = client.get(f"/api/v1/namespaces/{name}/configmaps/kube-root-ca.crt").ok()["data"]["ca.crt"]
            assert ca.strip() == client.ca.strip()


def test_what_it_finds_can_be_changed_around(vcp: Client) -> None:
    """The server's own address may be on loopback; nobody else's, and it is in nobody's way."""
    path = "/api/v1/namespaces/default/endpoints/kubernetes"
    assert vcp.patch(path, {"metadata": {"labels": {"a": "b"}}}).ok()["metadata"]["labels"]["a"] == "b"
    refused = vcp.patch(path, {"subsets": [{"addresses": [{"ip": "127.0.0.9"}]}]}).fails(422, "Invalid")
    assert "may not be in the loopback range" in refused["message"]


def test_each_has_its_own(two_vcps: tuple[Client, Client], root: Client) -> None:
    for path in (
        "/api/v1/namespaces/default",
        "/api/v1/namespaces/default/services/kubernetes",
        "/api/v1/namespaces/default/serviceaccounts/default",
        "/apis/rbac.authorization.k8s.io/v1/clusterroles/cluster-admin",
    ):
        assert len({client.get(path).ok()["metadata"]["uid"] for client in (*two_vcps, root)}) == 3, path
    a, b = two_vcps
    a.patch("/api/v1/namespaces/default", {"metadata": {"labels": {"of": "a"}}}).ok()
    assert "of" not in b.get("/api/v1/namespaces/default").ok()["metadata"].get("labels", {})
    assert "of" not in root.get("/api/v1/namespaces/default").ok()["metadata"].get("labels", {})


def test_addresses_of_services_are_counted_for_each(two_vcps: tuple[Client, Client]) -> None:
    """The reference's allocator was shared: an address that one VCP took was gone for the others."""
    path = "/api/v1/namespaces/default/services"
    for client in two_vcps:
        body = {
            "metadata": {"name": "s"},
            "spec": {"clusterIP": "10.96.0.99", "ports": [{"port": 80, "nodePort": 30099}], "type": "NodePort"},
        }
        client.post(path, body).ok()
        client.post(path, {**body, "metadata": {"name": "t"}}).fails(422, "Invalid")


def test_everybody_finds_the_own_after_a_restart(make_server: Callable[..., Server]) -> None:
    server = make_server().start()
    clients = {name: server.create_vcp(name) for name in ("one", "two", "three")}
    for name, client in clients.items():
        client.post("/api/v1/namespaces", namespace(f"ns-{name}")).ok()
        client.post(MAPS, config_map("same", {"of": name})).ok()
    assert server.stop() == 0
    server.start()
    for name, client in clients.items():
        assert names(client, "/api/v1/namespaces") == {*SYSTEM, "kplane-system", f"ns-{name}"}
        assert client.get(MAPS).ok()["items"][-1]["data"] == {"of": name}
        stream = client.watch("/api/v1/namespaces?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=1")
        assert f"ns-{name}" in [event["object"]["metadata"]["name"] for event in stream]
    assert not {f"ns-{name}" for name in clients} & names(server.root, "/api/v1/namespaces")


def test_what_was_given_out_works_at_a_new_address(make_server: Callable[..., Server]) -> None:
    """The serving certificate is made anew for other names, by the same CA; tokens of the address before stay good."""
    server = make_server("data", "--advertise-address=127.0.0.1").start()
    before = server.create_vcp("a")
    assert server.stop() == 0
    server.port = free_port()
    server.options = ("--advertise-address=127.0.0.1", "--advertise-address=plane.example")
    server.start()
    moved = Client(server.vcp("a").base, before.ca, before.token)
    assert moved.get("/api/v1/namespaces").code == 200
    assert server.vcp("a").ca == before.ca


@pytest.mark.parametrize("name", ["Upper", "under_score", "-x", "x-", "a.b", "x" * 64, "root", "ü", "a/b"])
def test_names_that_no_vcp_can_have(root: Client, name: str) -> None:
    body = {"metadata": {"name": name}, "spec": {"classRef": {"name": "starter"}}}
    assert root.post(f"{GROUP}/controlplanes", body).code in (400, 403, 422)
    assert root.get(f"{GROUP}/controlplanes").ok()["items"] == [
        item for item in root.get(f"{GROUP}/controlplanes").ok()["items"] if item["metadata"]["name"] != name
    ]


def test_leases_of_one_name_are_held_apart(two_vcps: tuple[Client, Client]) -> None:
    path = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
    for number, client in enumerate(two_vcps):
        spec = {"holderIdentity": f"holder-{number}", "leaseDurationSeconds": 15}
        client.post(path, {"metadata": {"name": "leader"}, "spec": spec}).ok()
    a, b = two_vcps
    held = a.get(f"{path}/leader").ok()
    held["spec"]["holderIdentity"] = "other"
    a.put(f"{path}/leader", held).ok()
    a.put(f"{path}/leader", held).fails(409, "Conflict")
    assert b.get(f"{path}/leader").ok()["spec"]["holderIdentity"] == "holder-1"


def test_one_manager_applies_in_both(two_vcps: tuple[Client, Client]) -> None:
    """Ownership of fields is of the object in its own plane: the same manager and name, another conflict in each."""
    a, b = two_vcps
    a.apply(f"{MAPS}/x", config_map("x", {"k": "a"}), manager="one").ok()
    b.apply(f"{MAPS}/x", config_map("x", {"k": "b"}), manager="two").ok()
    a.apply(f"{MAPS}/x", config_map("x", {"k": "c"}), manager="one").ok()
    refused = b.apply(f"{MAPS}/x", config_map("x", {"k": "c"}), manager="one").fails(409, "Conflict")
    assert [cause["message"] for cause in refused["details"]["causes"]] == ['conflict with "two"']
    a.apply(f"{MAPS}/x", config_map("x", {}), manager="one").ok()
    assert "data" not in a.get(f"{MAPS}/x").ok() or a.get(f"{MAPS}/x").ok()["data"] in (None, {})
    assert b.get(f"{MAPS}/x").ok()["data"] == {"k": "b"}


def test_finalizers_garbage_and_namespaces_end_in_one_plane_alone(two_vcps: tuple[Client, Client]) -> None:
    a, b = two_vcps
    for client in two_vcps:
        client.post(CRDS, crd()).ok()
        eventually(lambda client=client: client.get("/apis/example.com/v1").code == 200)
        client.post("/api/v1/namespaces", namespace("team")).ok()
        inside = WIDGETS.replace("default", "team")
        held = client.post(inside, {**widget("held", {}), "metadata": {"name": "held", "finalizers": ["example.com/f"]}}).ok()
        owner = {"apiVersion": "example.com/v1", "kind": "Widget", "name": "held", "uid": held["metadata"]["uid"]}
        client.post("/api/v1/namespaces/team/configmaps", config_map("owned", ownerReferences=[owner])).ok()
    assert a.delete("/api/v1/namespaces/team").code in (200, 202)

    def conditions() -> dict[str, str]:
        status = a.get("/api/v1/namespaces/team").ok()["status"]
        return {c["type"]: c["status"] for c in status.get("conditions", [])}

    eventually(lambda: conditions().get("NamespaceFinalizersRemaining") == "True", 20)
    a.post("/api/v1/namespaces/team/configmaps", config_map("late")).fails(403, "Forbidden")
    inside = WIDGETS.replace("default", "team")
    assert b.get(f"{inside}/held").ok()["metadata"].get("deletionTimestamp") is None
    b.post("/api/v1/namespaces/team/configmaps", config_map("late")).ok()
    a.patch(f"{inside}/held", [{"op": "remove", "path": "/metadata/finalizers"}], "json-patch+json").ok()
    eventually(lambda: a.get("/api/v1/namespaces/team").code == 404, 20, "namespace gone")
    assert names(b, "/api/v1/namespaces/team/configmaps") == {"kube-root-ca.crt", "owned", "late"}
