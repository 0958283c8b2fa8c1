# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws of pruning and defaulting, for any structural schema and any document."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kplane_server.schema.crdschema import check_structural
from kplane_server.schema.defaulting import apply_defaults, copy_json
from kplane_server.schema.pruning import prune
from kplane_server.schema.structural import Schema, compile_resource_schema

NAMES = st.sampled_from(["a", "b", "c", "d"])
SCALARS: dict[str, Any] = {"string": st.sampled_from(["", "x", "yz"]), "integer": st.integers(-2, 2), "boolean": st.booleans()}


def value_of(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Documents that a schema knows every field of."""
    kind = schema["type"]
    if kind in SCALARS:
        return SCALARS[kind]  # type: ignore[no-any-return]
    if kind == "array":
        return st.lists(value_of(schema["items"]), max_size=2)
    if "additionalProperties" in schema:
        return st.dictionaries(NAMES, value_of(schema["additionalProperties"]), max_size=2)
    return st.fixed_dictionaries({}, optional={name: value_of(child) for name, child in schema.get("properties", {}).items()})


@st.composite
def with_default(draw: st.DrawFn, schema: dict[str, Any]) -> dict[str, Any]:
    choice = draw(st.integers(0, 3))
    if choice == 0:
        return {**schema, "default": draw(value_of(schema))}
    return {**schema, "nullable": True} if choice == 1 else schema


def structs(children: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    properties = st.dictionaries(NAMES, children.flatmap(with_default), min_size=1, max_size=3)
    kept = st.sampled_from([{}, {}, {"x-kubernetes-preserve-unknown-fields": True}])
    return st.builds(lambda fields, more: {"type": "object", "properties": fields, **more}, properties, kept)


def nodes(children: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    lists = st.builds(lambda items: {"type": "array", "items": items}, children)
    maps = st.builds(lambda values: {"type": "object", "additionalProperties": values}, children)
    return structs(children) | lists | maps


LEAVES = st.sampled_from([{"type": kind} for kind in SCALARS])
SCHEMAS = structs(st.recursive(LEAVES, nodes, max_leaves=6)).map(lambda spec: {"type": "object", "properties": {"spec": spec}})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "x"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=10,
)
DOCUMENTS = st.fixed_dictionaries({}, optional={"spec": JSON, "status": JSON, "a": JSON})


def contained(small: Any, large: Any) -> bool:
    """Whether a document is another one with some fields left out."""
    if isinstance(small, dict) and isinstance(large, dict):
        return all(name in large and contained(value, large[name]) for name, value in small.items())
    if isinstance(small, list) and isinstance(large, list):
        return len(small) == len(large) and all(map(contained, small, large))
    return type(small) is type(large) and small == large


def all_known(document: Any, schema: Schema) -> bool:
    """Whether a schema knows every field, by its plain definition. What must be a scalar is refused as a whole if it is none."""
    if schema.scalar:
        return True
    if isinstance(document, list):
        return schema.items is None or all(all_known(item, schema.items) for item in document)
    if not isinstance(document, dict):
        return True
    for name, value in document.items():
        child = schema.properties.get(name, schema.additional)
        if child is None:
            if not schema.open:
                return False
        elif not all_known(value, child):
            return False
    return True


def without_nulls(document: Any) -> Any:
    if isinstance(document, dict):
        return {name: without_nulls(value) for name, value in document.items() if value is not None}
    return [without_nulls(item) for item in document if item is not None] if isinstance(document, list) else document


@given(SCHEMAS)
def test_these_are_schemas(schema: dict[str, Any]) -> None:
    assert check_structural(schema) == []


@given(SCHEMAS, DOCUMENTS)
def test_pruning_leaves_out_what_is_unknown_and_nothing_else(schema: dict[str, Any], document: Any) -> None:
    compiled = compile_resource_schema(schema)
    pruned, dropped = prune(copy_json(document), compiled)
    assert contained(pruned, document)
    assert all_known(pruned, compiled)
    assert bool(dropped) is not all_known(document, compiled)
    assert (pruned == document) is not bool(dropped)


@given(SCHEMAS, DOCUMENTS)
def test_defaulting_adds_and_changes_nothing_but_nulls(schema: dict[str, Any], document: Any) -> None:
    compiled = compile_resource_schema(schema)
    defaulted = apply_defaults(copy_json(document), compiled)
    if without_nulls(document) == document:
        assert contained(document, defaulted)
    assert apply_defaults(copy_json(defaulted), compiled) == defaulted


@given(SCHEMAS, DOCUMENTS)
def test_it_does_not_matter_which_comes_first(schema: dict[str, Any], document: Any) -> None:
    compiled = compile_resource_schema(schema)
    one = apply_defaults(prune(copy_json(document), compiled)[0], compiled)
    other = prune(apply_defaults(copy_json(document), compiled), compiled)[0]
    assert one == other


@given(SCHEMAS, DOCUMENTS)
def test_after_defaulting_each_default_is_there(schema: dict[str, Any], document: Any) -> None:
    def check(node: Any, known: dict[str, Any]) -> None:
        if isinstance(node, list):
            for item in node:
                check(item, known.get("items", {}))
        elif isinstance(node, dict):
            for name, child in known.get("properties", {}).items():
                assert "default" not in child or name in node
            for name, value in node.items():
                check(value, known.get("properties", {}).get(name) or known.get("additionalProperties") or {})

    check(apply_defaults(copy_json(document), compile_resource_schema(schema)), schema)
