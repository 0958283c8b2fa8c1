# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenAPI v3 documents: what kubectl reads in them, closed under references, the same form for custom kinds."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from kplane_server.model.keys import ResourceId
from kplane_server.model.resources import GroupVersion
from kplane_server.registry import openapi
from kplane_server.registry.catalog import BUILTIN
from kplane_server.registry.resource import ResourceInfo

GROUP_VERSIONS = [(group, version) for group, versions in BUILTIN.groups().items() for version in versions]
WIDGETS = ResourceInfo(
    group="example.com",
    version="v1",
    resource="widgets",
    kind="Widget",
    singular="widget",
    namespaced=True,
    verbs=("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"),
    storage_id=ResourceId("widgets.example.com"),
    storage_version=GroupVersion("example.com", "v1"),
    list_kind="WidgetList",
    builtin=False,
)
SCHEMA = {
    "type": "object",
    "description": "A widget.",
    "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}},
}


def load(text: bytes | None) -> dict[str, Any]:
    assert text is not None
    document: dict[str, Any] = json.loads(text)
    return document


@pytest.mark.parametrize(("group", "version"), GROUP_VERSIONS)
def test_every_reference_leads_somewhere(group: str, version: str) -> None:
    text = openapi.builtin_document(group, version)
    schemas = load(text)["components"]["schemas"]
    assert text is not None
    assert {name.decode() for name in re.findall(rb'"#/components/schemas/([^"]+)"', text)} <= set(schemas)


def test_kubectl_finds_kinds_patch_types_and_prose() -> None:
    document = load(openapi.builtin_document("apps", "v1"))
    item = document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]
    assert item["get"]["x-kubernetes-group-version-kind"] == {"group": "apps", "version": "v1", "kind": "Deployment"}
    types = set(item["patch"]["requestBody"]["content"])
    assert {"application/strategic-merge-patch+json", "application/apply-patch+yaml", "application/json-patch+json"} <= types
    assert {"dryRun", "fieldValidation", "force"} <= {parameter["name"] for parameter in item["patch"]["parameters"]}
    spec = document["components"]["schemas"]["io.k8s.api.apps.v1.DeploymentSpec"]
    assert spec["properties"]["replicas"]["description"].startswith("Number of desired pods.")
    strategy = document["components"]["schemas"]["io.k8s.api.apps.v1.DeploymentStrategy"]["properties"]["type"]
    assert strategy["enum"] == ["Recreate", "RollingUpdate"]
    kinds = document["components"]["schemas"]["io.k8s.api.apps.v1.Deployment"]["x-kubernetes-group-version-kind"]
    assert {"group": "apps", "version": "v1", "kind": "Deployment"} in kinds
    assert "/apis/apps/v1/deployments" in document["paths"]
    assert "/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale" in document["paths"]


def test_an_unknown_group_version_has_no_document() -> None:
    assert openapi.builtin_document("example.com", "v1") is None


def test_a_custom_kind_has_the_same_form_without_strategic_merge() -> None:
    document = load(openapi.custom_document("example.com", "v1", [openapi.CustomKind(WIDGETS, SCHEMA)]))
    item = document["paths"]["/apis/example.com/v1/namespaces/{namespace}/widgets/{name}"]
    types = set(item["patch"]["requestBody"]["content"])
    assert "application/merge-patch+json" in types
    assert "application/strategic-merge-patch+json" not in types
    widget = document["components"]["schemas"]["com.example.v1.Widget"]
    assert widget["properties"]["spec"]["properties"]["size"] == {"type": "integer"}
    assert widget["properties"]["metadata"]["allOf"][0]["$ref"].endswith(".ObjectMeta")
    assert widget["x-kubernetes-group-version-kind"] == [{"group": "example.com", "version": "v1", "kind": "Widget"}]
    assert "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta" in document["components"]["schemas"]
    assert document["components"]["schemas"]["com.example.v1.WidgetList"]["required"] == ["items"]


def test_a_custom_kind_without_schema_is_open() -> None:
    document = load(openapi.custom_document("example.com", "v1", [openapi.CustomKind(WIDGETS, None)]))
    assert document["components"]["schemas"]["com.example.v1.Widget"]["x-kubernetes-preserve-unknown-fields"] is True


def test_the_index_has_relative_urls_with_hashes() -> None:
    kinds = {GroupVersion("example.com", "v1"): [openapi.CustomKind(WIDGETS, SCHEMA)]}
    paths = openapi.index(kinds)["paths"]
    assert {"api/v1", "apis/apps/v1", "apis/example.com/v1"} <= set(paths)
    assert len(paths) == len(GROUP_VERSIONS) + 1
    for path, entry in paths.items():
        assert re.fullmatch(rf"/openapi/v3/{re.escape(path)}\?hash=[0-9A-F]{{64}}", entry["serverRelativeURL"])


def test_the_hash_follows_the_schema() -> None:
    changed = {"type": "object", "properties": {"spec": {"type": "string"}}}
    first, same, other = (openapi.custom_hash([openapi.CustomKind(WIDGETS, schema)]) for schema in (SCHEMA, dict(SCHEMA), changed))
    assert first == same != other
