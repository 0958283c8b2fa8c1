# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pruning and defaulting: cases, and that doing either twice changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kplane_server.model.resources import GroupVersionKind
from kplane_server.registry.builtin_schemas import schema_for
from kplane_server.schema.defaulting import apply_defaults, copy_json, has_defaults
from kplane_server.schema.pruning import MAX_REPORTED, prune, unknown_field_messages
from kplane_server.schema.structural import compile_resource_schema, compile_schema

POD = schema_for(GroupVersionKind("", "v1", "Pod"))
WIDGET = compile_resource_schema(
    {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "default": {},
                "properties": {
                    "a": {"type": "integer", "default": 1},
                    "n": {"type": "string", "nullable": True, "default": "x"},
                    "plain": {"type": "string"},
                    "free": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                        "properties": {"known": {"type": "object", "properties": {"b": {"type": "string"}}}},
                    },
                    "map": {
                        "type": "object",
                        "additionalProperties": {"type": "object", "properties": {"c": {"type": "integer", "default": 2}}},
                    },
                    "list": {"type": "array", "items": {"type": "object", "properties": {"d": {"type": "integer", "default": 3}}}},
                    "nulls": {"type": "array", "items": {"type": "integer", "default": 4}},
                    "template": {"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"e": {"type": "string"}}},
                },
            }
        },
    }
)


def test_unknown_fields_are_dropped_and_told() -> None:
    document = {
        "bogus": 1,
        "metadata": {"name": "x", "what": 1},
        "spec": {
            "x": {},
            "free": {"anything": {"goes": 1}, "known": {"b": "", "z": 1}},
            "map": {"k": {"c": 1, "z": 1}},
            "list": [{"d": 1}, {"z": 1}],
            "template": {"apiVersion": "v1", "kind": "K", "metadata": {"name": "n", "z": 1}, "e": "", "z": 1},
        },
    }
    pruned, unknown = prune(document, WIDGET)
    assert pruned is document
    assert document["spec"] == {
        "free": {"anything": {"goes": 1}, "known": {"b": ""}},
        "map": {"k": {"c": 1}},
        "list": [{"d": 1}, {}],
        "template": {"apiVersion": "v1", "kind": "K", "metadata": {"name": "n"}, "e": ""},
    }
    assert sorted(unknown) == [
        "bogus",
        "metadata.what",
        "spec.free.known.z",
        "spec.list[1].z",
        "spec.map.k.z",
        "spec.template.metadata.z",
        "spec.template.z",
        "spec.x",
    ]
    assert unknown_field_messages(["spec.x"]) == ['unknown field "spec.x"']


def test_typed_documents_lose_their_nulls() -> None:
    document = {
        "metadata": {"labels": None, "name": "x"},
        "spec": {"containers": [{"name": "a", "env": None, "bogus": 1}], "volumes": None},
    }
    _, unknown = prune(document, POD)
    assert document == {"metadata": {"name": "x"}, "spec": {"containers": [{"name": "a"}]}}
    assert unknown == ["spec.containers[0].bogus"]


def test_custom_resources_keep_nulls_until_defaulting() -> None:
    document = {"spec": {"n": None, "plain": None}}
    assert prune(document, WIDGET) == ({"spec": {"n": None, "plain": None}}, [])
    assert apply_defaults(document, WIDGET) == {"spec": {"n": None, "a": 1}}


def test_what_is_reported_is_bounded() -> None:
    document = {f"x{i}": 1 for i in range(500)}
    _, unknown = prune(document, WIDGET)
    assert document == {}
    assert len(unknown) == MAX_REPORTED


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({}, {"spec": {"a": 1, "n": "x"}}),
        ({"spec": None}, {"spec": {"a": 1, "n": "x"}}),
        ({"spec": {"a": None}}, {"spec": {"a": 1, "n": "x"}}),
        ({"spec": {"a": 5, "n": "y", "map": {"k": {}}}}, {"spec": {"a": 5, "n": "y", "map": {"k": {"c": 2}}}}),
        ({"spec": {"map": {"k": None}}}, {"spec": {"a": 1, "n": "x", "map": {}}}),
        ({"spec": {"list": [{}, {"d": None}]}}, {"spec": {"a": 1, "n": "x", "list": [{"d": 3}, {"d": 3}]}}),
        ({"spec": {"nulls": [None, 1]}}, {"spec": {"a": 1, "n": "x", "nulls": [4, 1]}}),
    ],
)
def test_defaults(document: dict[str, Any], expected: dict[str, Any]) -> None:
    assert apply_defaults(document, WIDGET) == expected


def test_a_default_is_not_shared() -> None:
    first, second = apply_defaults({}, WIDGET), apply_defaults({}, WIDGET)
    first["spec"]["a"] = 99
    assert second["spec"]["a"] == 1
    assert apply_defaults({}, WIDGET)["spec"]["a"] == 1


def test_where_defaults_are() -> None:
    assert has_defaults(WIDGET)
    assert not has_defaults(compile_schema({"type": "object", "properties": {"a": {"type": "string"}}}))


documents = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.text("ab", max_size=2)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["spec", "a", "n", "free", "known", "map", "list", "nulls", "template", "c", "d", "z"]), inner, max_size=4
        ),
    ),
    max_leaves=20,
)


@given(documents)
def test_twice_is_once(document: Any) -> None:
    pruned, _ = prune(copy_json(document), WIDGET)
    assert prune(copy_json(pruned), WIDGET) == (pruned, [])
    defaulted = apply_defaults(pruned, WIDGET)
    assert apply_defaults(copy_json(defaulted), WIDGET) == defaulted
    assert prune(copy_json(defaulted), WIDGET) == (defaulted, [])


@given(documents)
def test_a_copy_is_equal_and_separate(document: Any) -> None:
    copied = copy_json(document)
    assert copied == document
    if isinstance(copied, (dict, list)):
        assert copied is not document
