# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Discovery documents."""

from __future__ import annotations

import orjson

from kplane_server.http.discovery import Discovery
from kplane_server.registry.catalog import BUILTIN

DISCOVERY = Discovery(BUILTIN.groups())


def test_core_versions_and_groups() -> None:
    versions = orjson.loads(DISCOVERY.api_versions("h:1").body)
    assert (versions["kind"], versions["versions"]) == ("APIVersions", ["v1"])
    groups = orjson.loads(DISCOVERY.group_list().body)
    assert (groups["kind"], groups["apiVersion"]) == ("APIGroupList", "v1")
    names = [group["name"] for group in groups["groups"]]
    assert "" not in names
    assert {"apps", "batch", "rbac.authorization.k8s.io", "apiextensions.k8s.io"} <= set(names)
    autoscaling = next(group for group in groups["groups"] if group["name"] == "autoscaling")
    assert autoscaling["preferredVersion"] == {"groupVersion": "autoscaling/v2", "version": "v2"}


def test_a_group_and_its_resources() -> None:
    group = DISCOVERY.group("apps")
    assert group is not None
    assert orjson.loads(group.body)["kind"] == "APIGroup"
    document = DISCOVERY.resource_list("apps", "v1")
    assert document is not None
    listing = orjson.loads(document.body)
    assert (listing["kind"], listing["groupVersion"]) == ("APIResourceList", "apps/v1")
    rows = {row["name"]: row for row in listing["resources"]}
    assert rows["deployments"]["shortNames"] == ["deploy"]
    assert rows["deployments"]["namespaced"] is True
    assert (rows["deployments/scale"]["group"], rows["deployments/scale"]["kind"]) == ("autoscaling", "Scale")
    assert rows["deployments/status"]["kind"] == "Deployment"
    assert "group" not in rows["deployments/status"]


def test_unknown_groups_have_no_document() -> None:
    assert DISCOVERY.group("") is None
    assert DISCOVERY.group("nope") is None
    assert DISCOVERY.resource_list("apps", "v9") is None


def test_aggregated_discovery_says_the_same_as_the_plain_form() -> None:
    for core in (True, False):
        items = orjson.loads(DISCOVERY.aggregated(core=core).body)["items"]
        for item in items:
            name = item["metadata"].get("name", "")
            assert (name == "") is core
            for version in item["versions"]:
                plain = DISCOVERY.resource_list(name, version["version"])
                assert plain is not None
                expected = {row["name"] for row in orjson.loads(plain.body)["resources"]}
                found = set()
                for resource in version["resources"]:
                    found.add(resource["resource"])
                    found |= {f"{resource['resource']}/{sub['subresource']}" for sub in resource.get("subresources", [])}
                assert found == expected


def test_documents_are_made_once_and_tagged_by_content() -> None:
    assert DISCOVERY.group_list() is DISCOVERY.group_list()
    other = Discovery(BUILTIN.groups())
    assert other.group_list().etag == DISCOVERY.group_list().etag
    assert other.group_list().etag != other.aggregated(core=False).etag
