# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenAPI v2, as JSON and in gnostic's protobuf: the same document, with the custom kinds of this control plane alone."""

from __future__ import annotations

from support.client import Client, eventually
from support.objects import crd

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"


def references(value: object) -> set[str]:
    if isinstance(value, dict):
        own = {str(value["$ref"])} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(references(child) for child in value.values()))
    return set().union(*(references(child) for child in value)) if isinstance(value, list) else set()


def test_every_reference_leads_somewhere(vcp: Client) -> None:
    document = vcp.get("/openapi/v2").ok()
    assert document["swagger"] == "2.0"
    names = {f"#/definitions/{name}" for name in document["definitions"]}
    assert references(document["paths"]) <= names
    assert references(document["definitions"]) <= names
    patch = document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
    assert "application/strategic-merge-patch+json" in patch["consumes"]
    kinds = document["definitions"]["io.k8s.api.apps.v1.Deployment"]["x-kubernetes-group-version-kind"]
    assert kinds == [{"group": "apps", "version": "v1", "kind": "Deployment"}]


def test_custom_kinds_of_one_control_plane(two_vcps: tuple[Client, Client]) -> None:
    a, b = two_vcps
    a.post(CRDS, crd(spec={"size": {"type": "string", "nullable": True}})).ok()
    eventually(lambda: a.get("/apis/example.com/v1").code == 200)
    assert a.get("/openapi/v2").ok()["definitions"]["com.example.v1.Widget"]["properties"]["spec"]["properties"]["size"] == {
        "type": "string"
    }
    assert "com.example.v1.Widget" not in b.get("/openapi/v2").ok()["definitions"]
    with_widget, without = (client.request("GET", "/openapi/v2", headers={"Accept": PROTOBUF}) for client in (a, b))
    assert b"com.example.v1.Widget" in with_widget.body
    assert b"com.example.v1.Widget" not in without.body
    assert with_widget.headers["content-type"].endswith("v2.v1.0+protobuf")


def test_a_client_that_has_it_gets_304(vcp: Client) -> None:
    first = vcp.request("GET", "/openapi/v2", headers={"Accept": PROTOBUF})
    again = vcp.request("GET", "/openapi/v2", headers={"Accept": PROTOBUF, "If-None-Match": first.headers["etag"]})
    assert (again.code, again.body) == (304, b"")
    assert vcp.request("GET", "/openapi/v2", headers={"If-None-Match": first.headers["etag"]}).code == 200
