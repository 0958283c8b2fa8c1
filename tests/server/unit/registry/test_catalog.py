# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalog of built-in resources: complete, ordered, consistent with schemas, strategies and tables."""

from __future__ import annotations

import pytest

from kplane_server.model.resources import GroupVersion, GroupVersionKind
from kplane_server.registry.builtin_schemas import DEFINITIONS, definition_name, schema_for
from kplane_server.registry.catalog import BUILTIN, KUBERNETES_VERSION
from kplane_server.registry.resource import ResourceInfo
from kplane_server.registry.strategies.index import strategy_for

ROWS = pytest.mark.parametrize("info", list(BUILTIN), ids=lambda info: f"{info.resource}.{info.version}.{info.group}")


def test_knows_the_resources_of_kubernetes() -> None:
    assert KUBERNETES_VERSION.startswith("1.34.")
    assert len(BUILTIN) == 68
    pods = BUILTIN.find("", "v1", "pods")
    assert pods is not None
    assert pods.namespaced
    assert pods.short_names == ("po",)
    assert {"status", "binding", "eviction", "ephemeralcontainers", "resize"} <= set(pods.subresources)
    assert pods.subresources["eviction"].kind == GroupVersionKind("policy", "v1", "Eviction")


def test_only_what_is_on_by_default_is_served_and_one_beta() -> None:
    betas = {str(row.gvr.group_resource) for row in BUILTIN if "alpha" in row.version or "beta" in row.version}
    suffix = ".admissionregistration.k8s.io"
    assert betas == {f"mutatingadmissionpolicies{suffix}", f"mutatingadmissionpolicybindings{suffix}"}
    assert [version.version for version in BUILTIN.versions("admissionregistration.k8s.io")] == ["v1", "v1beta1"]
    assert BUILTIN.find("internal.apiserver.k8s.io", "v1alpha1", "storageversions") is None


def test_core_is_the_first_group_and_versions_are_by_preference() -> None:
    assert next(iter(BUILTIN.groups())) == ""
    assert BUILTIN.versions("autoscaling") == [GroupVersion("autoscaling", "v2"), GroupVersion("autoscaling", "v1")]
    assert BUILTIN.versions("nowhere.example") == []


def test_versions_share_their_objects() -> None:
    old, new = (BUILTIN.find("autoscaling", version, "horizontalpodautoscalers") for version in ("v1", "v2"))
    assert old is not None
    assert new is not None
    assert old.storage_id == new.storage_id
    assert BUILTIN.storage_row(old) is new
    events = BUILTIN.find("events.k8s.io", "v1", "events")
    assert events is not None
    assert events.storage_id == "events"
    assert BUILTIN.storage_row(events) is BUILTIN.find("", "v1", "events")


def test_reviews_are_answered_and_never_kept() -> None:
    unstored = {row.resource for row in BUILTIN if not row.stored}
    assert unstored == {
        "bindings",
        "localsubjectaccessreviews",
        "selfsubjectaccessreviews",
        "selfsubjectreviews",
        "selfsubjectrulesreviews",
        "subjectaccessreviews",
        "tokenreviews",
    }


@ROWS
def test_every_row_can_be_found_and_has_schema_and_strategy(info: ResourceInfo) -> None:
    assert BUILTIN.find(info.group, info.version, info.resource) is info
    assert BUILTIN.kind(info.gvk) is info
    assert info.list_kind == info.kind + "List"
    schema = schema_for(info.gvk)
    assert schema.type == "object"
    assert "metadata" in schema.properties
    strategy = strategy_for(info)
    assert strategy.namespaced == info.namespaced
    assert strategy.has_status == ("status" in info.subresources)


def test_custom_rows_follow_and_never_hide_built_in_ones() -> None:
    pods = BUILTIN.find("", "v1", "pods")
    assert pods is not None
    extended = BUILTIN.with_rows([pods])
    assert len(extended) == len(BUILTIN)


def test_a_kind_that_is_not_built_in_has_no_schema() -> None:
    gvk = GroupVersionKind("example.com", "v1", "Widget")
    assert definition_name(gvk) is None
    with pytest.raises(KeyError):
        schema_for(gvk)


def test_a_definition_that_contains_itself_is_one_node() -> None:
    node = DEFINITIONS.named("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps")
    assert node.properties["not"] is node
