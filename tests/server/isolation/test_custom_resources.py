# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A CustomResourceDefinition belongs to one VCP (T9 to T13), also when another has one of the same name."""

from __future__ import annotations

from support.client import Client, eventually
from support.objects import crd, widget

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"


def established(client: Client, name: str = "widgets.example.com") -> bool:
    conditions = client.get(f"{CRDS}/{name}").ok().get("status", {}).get("conditions", [])
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)


def serves(client: Client, version: str = "v1") -> bool:
    return client.get(f"/apis/example.com/{version}").code == 200


def test_a_crd_is_established_and_discovered_in_its_vcp_only(two_vcps: tuple[Client, Client], root: Client) -> None:
    a, b = two_vcps
    uid = a.post(CRDS, crd()).ok()["metadata"]["uid"]
    eventually(lambda: established(a) and serves(a))
    for other in (b, root):
        assert not serves(other)
        assert "example.com" not in [g["name"] for g in other.get("/apis").ok()["groups"]]
        assert "apis/example.com/v1" not in other.get("/openapi/v3").ok()["paths"]
    assert "apis/example.com/v1" in a.get("/openapi/v3").ok()["paths"]
    assert b.post(CRDS, crd()).ok()["metadata"]["uid"] != uid
    eventually(lambda: serves(b))


def test_a_version_added_in_one_is_not_in_the_other(two_vcps: tuple[Client, Client]) -> None:
    a, b = two_vcps
    for client in two_vcps:
        client.post(CRDS, crd()).ok()
        eventually(lambda client=client: serves(client))
    changed = a.get(f"{CRDS}/widgets.example.com").ok()
    changed["spec"]["versions"] = crd(versions=("v1", "v2"))["spec"]["versions"]
    a.put(f"{CRDS}/widgets.example.com", changed).ok()
    eventually(lambda: serves(a, "v2"))
    assert not serves(b, "v2")


def test_custom_resources_live_where_their_crd_is(two_vcps: tuple[Client, Client]) -> None:
    a, b = two_vcps
    a.post(CRDS, crd()).ok()
    eventually(lambda: serves(a))
    a.post(WIDGETS, widget("w", {"size": "a"})).ok()
    assert a.get(f"{WIDGETS}/w").ok()["spec"] == {"size": "a"}
    b.post(WIDGETS, widget("w", {"size": "b"})).fails(404, "NotFound")
    b.post(CRDS, crd()).ok()
    eventually(lambda: serves(b))
    b.get(f"{WIDGETS}/w").fails(404, "NotFound")
    b.post(WIDGETS, widget("w", {"size": "b"})).ok()
    assert a.get(f"{WIDGETS}/w").ok()["spec"] == {"size": "a"}


def test_status_is_a_subresource(vcp: Client) -> None:
    vcp.post(CRDS, crd()).ok()
    eventually(lambda: serves(vcp))
    vcp.post(WIDGETS, widget("w", {"size": "a"}) | {"status": {"phase": "ignored"}}).ok()
    assert "status" not in vcp.get(f"{WIDGETS}/w").ok()
    patched = vcp.patch(f"{WIDGETS}/w/status", {"status": {"phase": "Ready"}, "spec": {"size": "ignored"}}).ok()
    assert patched["status"] == {"phase": "Ready"}
    assert patched["spec"] == {"size": "a"}


def test_the_same_kind_with_two_schemas(two_vcps: tuple[Client, Client]) -> None:
    a, b = two_vcps
    a.post(CRDS, crd(spec={"size": {"type": "integer"}})).ok()
    b.post(CRDS, crd(spec={"size": {"type": "string"}})).ok()
    eventually(lambda: serves(a) and serves(b))
    for first, second in ((a, b), (b, a)):
        right: dict[int, object] = {id(a): 1, id(b): "1"}
        for client, other in ((first, second), (second, first)):
            assert client.post(WIDGETS, widget(f"w{id(first)}", {"size": right[id(client)]})).code == 201
            client.post(WIDGETS, widget("wrong", {"size": right[id(other)]})).fails(422, "Invalid")


def test_deleting_a_crd_takes_its_objects_in_this_vcp_only(two_vcps: tuple[Client, Client]) -> None:
    a, b = two_vcps
    for client in two_vcps:
        client.post(CRDS, crd()).ok()
        eventually(lambda client=client: serves(client))
        client.post(WIDGETS, widget("w", {"size": "x"})).ok()
    assert a.delete(f"{CRDS}/widgets.example.com").code == 200
    eventually(lambda: a.get(f"{CRDS}/widgets.example.com").code == 404)
    eventually(lambda: not serves(a))
    a.post(CRDS, crd()).ok()
    eventually(lambda: serves(a))
    assert a.get(WIDGETS).ok()["items"] == []
    assert [w["metadata"]["name"] for w in b.get(WIDGETS).ok()["items"]] == ["w"]
