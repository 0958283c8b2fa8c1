# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of fields: the laws of sets, and their written form."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kplane_server.schema.apply import fieldset

keys = st.sampled_from(["f:a", "f:b", 'k:{"n":"x"}', 'k:{"n":"y"}', 'v:"p"', "v:1"])
paths = st.lists(keys, min_size=1, max_size=3).map(tuple)
path_sets = st.sets(paths, max_size=12)


def listed(fields: fieldset.FieldSet) -> set[tuple[str, ...]]:
    return set(fieldset.members(fields))


@given(path_sets)
def test_a_set_has_what_was_put_in(wanted: set[tuple[str, ...]]) -> None:
    fields = fieldset.from_paths(wanted)
    assert listed(fields) == wanted
    assert all(fieldset.contains(fields, path) for path in wanted)
    assert len(list(fieldset.members(fields))) == len(wanted)


@given(path_sets, path_sets)
def test_operations_are_those_of_sets(left: set[tuple[str, ...]], right: set[tuple[str, ...]]) -> None:
    one, other = fieldset.from_paths(left), fieldset.from_paths(right)
    assert listed(fieldset.union(one, other)) == left | right
    assert listed(fieldset.difference(one, other)) == left - right
    assert listed(fieldset.intersection(one, other)) == left & right
    assert fieldset.overlaps(one, other) == bool(left & right)
    below = {path for path in left if any(path[: len(prefix)] == prefix for prefix in right)}
    assert listed(fieldset.recursive_difference(one, other)) == left - below
    assert listed(one) == left
    assert listed(other) == right


@given(path_sets, path_sets)
def test_results_are_in_normal_form(left: set[tuple[str, ...]], right: set[tuple[str, ...]]) -> None:
    one, other = fieldset.from_paths(left), fieldset.from_paths(right)
    for operation in (fieldset.union, fieldset.difference, fieldset.intersection, fieldset.recursive_difference):
        result = operation(one, other)
        assert fieldset.canonical(result) == fieldset.canonical(fieldset.from_paths(listed(result)))


@given(path_sets)
def test_written_form_round_trips(wanted: set[tuple[str, ...]]) -> None:
    written = fieldset.canonical(fieldset.from_paths(wanted))
    assert fieldset.decode(written) == written
    assert repr(fieldset.canonical(fieldset.decode(written))) == repr(written)


def test_order_of_the_written_form() -> None:
    fields = fieldset.from_paths(
        [("v:10",), ("v:9",), ('k:{"p":443}',), ('k:{"p":80}',), ("f:z",), ("f:a", "f:b"), ("f:a",), ("i:2",), ("i:10",)]
    )
    assert list(fieldset.canonical(fields)) == ["f:a", "f:z", 'k:{"p":80}', 'k:{"p":443}', "v:9", "v:10", "i:2", "i:10"]
    assert list(fieldset.canonical(fields)["f:a"]) == [".", "f:b"]


def test_keys_of_clients_are_brought_into_our_form() -> None:
    assert fieldset.decode({'k:{"b":1, "a":"x"}': {".": {}}}) == {'k:{"a":"x","b":1}': {}}


@pytest.mark.parametrize("document", [[], "x", {"f:a": 5}, {"a": {}}, {"x:1": {}}, {"k:5": {}}, {"k:{": {}}, {"i:x": {}}])
def test_what_is_no_set(document: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        fieldset.decode(document)


def test_depth_is_bounded() -> None:
    document: dict[str, Any] = {}
    for _ in range(500):
        document = {"f:a": document}
    with pytest.raises(ValueError, match="fieldsV1"):
        fieldset.decode(document)


def test_paths_as_conflicts_show_them() -> None:
    path = ("f:spec", 'k:{"name":"x","port":80}', 'v:"y"', "i:3", "f:a.b")
    assert fieldset.path_text(path) == '.spec[name="x",port=80][="y"][3].a.b'
