# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled schemas: references, recursion, sharing, what a Go struct always has."""

from __future__ import annotations

from typing import Any

import pytest

from kplane_server.model.resources import GroupVersionKind
from kplane_server.registry.builtin_schemas import schema_for
from kplane_server.schema.structural import (
    MISSING,
    Definitions,
    compile_resource_schema,
    compile_schema,
    object_meta_schema,
)

DOCUMENTS: dict[str, dict[str, Any]] = {
    "x.v1.Node": {
        "type": "object",
        "required": ["name", "list"],
        "properties": {
            "name": {"type": "string", "default": ""},
            "list": {"type": "array", "items": {"type": "string"}},
            "child": {"$ref": "#/components/schemas/x.v1.Node"},
            "inline": {"allOf": [{"$ref": "#/components/schemas/x.v1.Leaf"}], "default": {}},
            "named": {"allOf": [{"$ref": "#/components/schemas/x.v1.Leaf"}], "default": {"a": 1}},
            "whole": {"allOf": [{"$ref": "#/components/schemas/x.v1.Leaf"}], "x-kubernetes-map-type": "atomic"},
            "any": {"description": "anything"},
            "port": {"oneOf": [{"type": "integer"}, {"type": "string"}], "format": "int-or-string"},
        },
    },
    "x.v1.Leaf": {"type": "object", "properties": {"a": {"type": "integer"}}},
}


@pytest.fixture
def definitions() -> Definitions:
    return Definitions(DOCUMENTS.__getitem__, typed=True)


def test_references_are_shared_and_recursion_ends(definitions: Definitions) -> None:
    node = definitions.named("x.v1.Node")
    assert node.properties["child"] is node
    assert node.properties["inline"] is definitions.named("x.v1.Leaf")
    assert node.name == "x.v1.Node"
    with pytest.raises(KeyError):
        definitions.named("x.v1.Other")


def test_a_reference_may_add_a_default_or_a_merge_rule(definitions: Definitions) -> None:
    node, leaf = definitions.named("x.v1.Node"), definitions.named("x.v1.Leaf")
    assert node.properties["named"].default == {"a": 1}
    assert node.properties["named"].properties["a"] is leaf.properties["a"]
    assert node.properties["whole"].map_type == "atomic"
    assert leaf.map_type == ""
    assert leaf.default is MISSING


def test_what_a_struct_always_has(definitions: Definitions) -> None:
    assert definitions.named("x.v1.Node").present == {"name": "", "list": None, "inline": {}}


def test_kinds_of_nodes(definitions: Definitions) -> None:
    properties = definitions.named("x.v1.Node").properties
    assert properties["any"].open
    assert properties["port"].int_or_string
    assert properties["port"].scalar
    assert not properties["child"].scalar
    with pytest.raises(AttributeError):
        _ = properties["any"].no_such_attribute


def test_every_property_of_a_built_in_kind_compiles() -> None:
    seen: set[int] = set()
    pending = [
        schema_for(GroupVersionKind("apiextensions.k8s.io", "v1", "CustomResourceDefinition")),
        schema_for(GroupVersionKind("", "v1", "Pod")),
    ]
    while pending:
        node = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        pending.extend(child for child in (*node.properties.values(), node.additional, node.items) if child is not None)
    assert len(seen) > 200
    assert len(seen) < 1000  # leaves are shared


def test_custom_resources_know_their_metadata() -> None:
    schema = compile_resource_schema(
        {"type": "object", "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}
    )
    assert schema.properties["metadata"] is object_meta_schema()
    assert schema.properties["kind"].type == "string"
    assert schema.properties["spec"].open
    restricted = compile_resource_schema(
        {"type": "object", "properties": {"metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 5}}}}}
    )
    limits = restricted.properties["metadata"].properties["name"].limits
    assert limits is not None
    assert limits.max_length == 5
    assert restricted.properties["metadata"].properties["labels"].additional is not None


def test_embedded_resources_have_type_and_metadata() -> None:
    schema = compile_schema({"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"spec": {"type": "string"}}})
    assert set(schema.properties) == {"apiVersion", "kind", "metadata", "spec"}


def test_additional_properties() -> None:
    assert compile_schema({"type": "object", "additionalProperties": True}).open
    assert compile_schema({"type": "object", "additionalProperties": {}}).open
    assert not compile_schema({"type": "object", "additionalProperties": False}).open
    assert not compile_schema({"type": "object"}).open
    additional = compile_schema({"type": "object", "additionalProperties": {"type": "string"}}).additional
    assert additional is not None
    assert additional.type == "string"
