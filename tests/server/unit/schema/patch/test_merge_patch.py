# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON Merge Patch: the table of RFC 7386, and its laws."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kplane_server.schema.patch import merge_patch

# RFC 7386, appendix A
APPENDIX: list[tuple[Any, Any, Any]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]

scalars = st.one_of(st.booleans(), st.integers(-5, 5), st.text(max_size=3))
documents = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abcd"), inner, max_size=4)),
    max_leaves=12,
)


@pytest.mark.parametrize(("document", "patch", "expected"), APPENDIX)
def test_the_appendix_of_the_rfc(document: Any, patch: Any, expected: Any) -> None:
    assert merge_patch.apply(document, patch) == expected


@given(documents, documents)
def test_applying_a_difference_gives_the_other_document(before: Any, after: Any) -> None:
    assert merge_patch.apply(before, merge_patch.diff(before, after)) == after


@given(documents, documents)
def test_arguments_stay_as_they_were(document: Any, patch: Any) -> None:
    shown = repr((document, patch))
    result = merge_patch.apply(document, patch)
    _spoil(result)
    assert repr((document, patch)) == shown


@given(documents, documents)
def test_twice_is_once(document: Any, patch: Any) -> None:
    once = merge_patch.apply(document, patch)
    assert merge_patch.apply(once, patch) == once


def _spoil(value: Any) -> None:
    """Change everything that can be changed, to see whether it is shared."""
    if isinstance(value, dict):
        for child in list(value.values()):
            _spoil(child)
        value["spoiled"] = True
    elif isinstance(value, list):
        for child in value:
            _spoil(child)
        value.append("spoiled")
