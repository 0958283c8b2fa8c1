# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Discovery and OpenAPI as clients read them, below a path prefix."""

from __future__ import annotations

import gzip
import json

from support.client import Client, eventually
from support.kubectl import Kubectl
from support.objects import crd

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


def test_plain_discovery(vcp: Client) -> None:
    assert vcp.get("/api").ok()["versions"] == ["v1"]
    groups = {group["name"]: group for group in vcp.get("/apis").ok()["groups"]}
    assert groups["apps"]["preferredVersion"]["groupVersion"] == "apps/v1"
    assert vcp.get("/apis/apps").ok() == {"kind": "APIGroup", "apiVersion": "v1", **groups["apps"]}
    core = {row["name"]: row for row in vcp.get("/api/v1").ok()["resources"]}
    assert core["pods"]["shortNames"] == ["po"]
    assert core["namespaces/finalize"]["verbs"] == ["update"]
    assert core["serviceaccounts/token"]["kind"] == "TokenRequest"
    vcp.get("/apis/nothing").fails(404, "NotFound")
    vcp.get("/apis/apps/v9").fails(404, "NotFound")
    vcp.get("/api/v2").fails(404, "NotFound")


def test_aggregated_discovery_has_its_type_and_an_entity_tag(vcp: Client) -> None:
    for path in ("/api", "/apis"):
        answer = vcp.get(path, Accept=AGGREGATED)
        assert answer.headers["content-type"] == "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        assert answer.ok()["kind"] == "APIGroupDiscoveryList"
        again = vcp.get(path, Accept=AGGREGATED, If_None_Match=answer.headers["etag"])
        assert (again.code, again.body) == (304, b"")
        other = vcp.get(path, If_None_Match=answer.headers["etag"])
        assert other.code == 200, "the plain form is another document"


def test_a_definition_shows_at_once_and_only_in_its_control_plane(two_vcps: tuple[Client, Client]) -> None:
    mine, other = two_vcps
    before = mine.get("/apis", Accept=AGGREGATED)
    mine.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd()).ok()
    eventually(lambda: mine.get("/apis/example.com/v1").code == 200)
    names = [row["name"] for row in mine.get("/apis/example.com/v1").ok()["resources"]]
    assert names == ["widgets", "widgets/status"]
    after = mine.get("/apis", Accept=AGGREGATED, If_None_Match=before.headers["etag"])
    assert "example.com" in [item["metadata"]["name"] for item in after.ok()["items"]]
    assert "apis/example.com/v1" in mine.get("/openapi/v3").ok()["paths"]
    other.get("/apis/example.com/v1").fails(404, "NotFound")
    assert other.get("/apis", Accept=AGGREGATED, If_None_Match=before.headers["etag"]).code == 304
    assert "apis/example.com/v1" not in other.get("/openapi/v3").ok()["paths"]


def test_openapi_v3_documents_are_found_by_the_index(vcp: Client) -> None:
    index = vcp.get("/openapi/v3").ok()["paths"]
    url = index["apis/apps/v1"]["serverRelativeURL"]
    assert url.startswith("/openapi/v3/apis/apps/v1?hash=")
    answer = vcp.get(url)
    assert answer.ok()["openapi"].startswith("3.0")
    assert "immutable" in answer.headers["cache-control"]
    patch = answer.json["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
    assert "application/strategic-merge-patch+json" in patch["requestBody"]["content"]
    assert vcp.get(url, If_None_Match=answer.headers["etag"]).code == 304
    vcp.get("/openapi/v3/apis/nothing/v1").fails(404, "NotFound")


def test_large_answers_are_compressed_for_who_accepts_it(vcp: Client) -> None:
    plain = vcp.get("/openapi/v3/api/v1")
    packed = vcp.get("/openapi/v3/api/v1", Accept_Encoding="gzip")
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert len(packed.body) < len(plain.body) / 4
    assert json.loads(gzip.decompress(packed.body)) == plain.json
    assert "content-encoding" not in vcp.get("/version", Accept_Encoding="gzip").headers


def test_kubectl_discovers(kubectl: Kubectl) -> None:
    resources = kubectl("api-resources", "--no-headers")
    assert "deployments" in resources
    assert "customresourcedefinitions" in resources
    assert "apps/v1" in kubectl("api-versions").splitlines()
    assert "FIELD: replicas <integer>" in kubectl("explain", "deployment.spec.replicas")
