# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON Patch: the examples of RFC 6902, refusals, limits."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kplane_server.model.errors import BadRequest, Invalid, RequestEntityTooLarge
from kplane_server.schema.patch import json_patch

# RFC 6902, appendix A (those that succeed)
APPENDIX: list[tuple[Any, list[dict[str, Any]], Any]] = [
    ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux"}], {"baz": "qux", "foo": "bar"}),
    ({"foo": ["bar", "baz"]}, [{"op": "add", "path": "/foo/1", "value": "qux"}], {"foo": ["bar", "qux", "baz"]}),
    ({"baz": "qux", "foo": "bar"}, [{"op": "remove", "path": "/baz"}], {"foo": "bar"}),
    ({"foo": ["bar", "qux", "baz"]}, [{"op": "remove", "path": "/foo/1"}], {"foo": ["bar", "baz"]}),
    ({"baz": "qux", "foo": "bar"}, [{"op": "replace", "path": "/baz", "value": "boo"}], {"baz": "boo", "foo": "bar"}),
    (
        {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
        [{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}],
        {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}},
    ),
    (
        {"foo": ["all", "grass", "cows", "eat"]},
        [{"op": "move", "from": "/foo/1", "path": "/foo/3"}],
        {"foo": ["all", "cows", "eat", "grass"]},
    ),
    (
        {"baz": "qux", "foo": ["a", 2, "c"]},
        [{"op": "test", "path": "/baz", "value": "qux"}, {"op": "test", "path": "/foo/1", "value": 2}],
        {"baz": "qux", "foo": ["a", 2, "c"]},
    ),
    ({"foo": "bar"}, [{"op": "add", "path": "/child", "value": {"grandchild": {}}}], {"foo": "bar", "child": {"grandchild": {}}}),
    ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux", "xyz": 123}], {"foo": "bar", "baz": "qux"}),
    ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": 10}], {"/": 9, "~1": 10}),
    ({"foo": ["bar"]}, [{"op": "add", "path": "/foo/-", "value": ["abc", "def"]}], {"foo": ["bar", ["abc", "def"]]}),
    ({"a": 1}, [{"op": "copy", "from": "/a", "path": "/b"}], {"a": 1, "b": 1}),
    ({"a": 1}, [{"op": "replace", "path": "", "value": {"b": 2}}], {"b": 2}),
    ({"a": 1}, [{"op": "test", "path": "", "value": {"a": 1}}], {"a": 1}),
    ({"a": [1, 2]}, [{"op": "remove", "path": "/a/-1"}], {"a": [1]}),
    ({"a": 1}, [{"op": "replace", "path": "/b", "value": 2}], {"a": 1, "b": 2}),  # as upstream, unlike the RFC
]

FAILS: list[tuple[Any, list[dict[str, Any]], str]] = [
    ({"baz": "qux"}, [{"op": "test", "path": "/baz", "value": "bar"}], "testing value /baz failed: test failed"),
    ({"foo": "bar"}, [{"op": "add", "path": "/baz/bat", "value": "qux"}], 'doc is missing path: "/baz/bat"'),
    ({"~1": 10}, [{"op": "test", "path": "/~01", "value": "10"}], "test failed"),
    ({"a": 1}, [{"op": "test", "path": "/a", "value": True}], "test failed"),
    ({}, [{"op": "remove", "path": "/a"}], "Unable to remove nonexistent key: a"),
    ({"a": []}, [{"op": "remove", "path": "/a/0"}], "Unable to access invalid index: 0"),
    ({"a": []}, [{"op": "add", "path": "/a/2", "value": 1}], "Unable to access invalid index: 2"),
    ({"a": []}, [{"op": "add", "path": "/a/x", "value": 1}], "value was not a proper array index: 'x'"),
    ({"a": []}, [{"op": "replace", "path": "/a/0", "value": 1}], "doc is missing key: /a/0"),
    ({"a": {"b": 1}}, [{"op": "move", "from": "/a", "path": "/a/b"}], "is inside of"),
    ({"a": 1}, [{"op": "copy", "from": "/x/y", "path": "/b"}], "doc is missing from path: /x/y"),
    ({"a": 1}, [{"op": "remove", "path": ""}], "removes the whole document"),
]

MALFORMED: list[Any] = [
    {},
    [5],
    [{"op": "jump", "path": "/a"}],
    [{"op": ["add"], "path": "/a"}],
    [{"op": "add", "value": 1}],
    [{"op": "add", "path": "/a"}],
    [{"op": "add", "path": "a", "value": 1}],
    [{"op": "move", "path": "/a"}],
    [{"op": "add", "path": "/a" * 200, "value": 1}],
]


@pytest.mark.parametrize(("document", "operations", "expected"), APPENDIX)
def test_operations(document: Any, operations: list[dict[str, Any]], expected: Any) -> None:
    before = repr(document)
    assert json_patch.apply(document, operations) == expected
    assert repr(document) == before


@pytest.mark.parametrize(("document", "operations", "message"), FAILS)
def test_operations_that_do_not_apply(document: Any, operations: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(Invalid) as caught:
        json_patch.apply(document, operations)
    assert message in caught.value.message


@pytest.mark.parametrize("operations", MALFORMED)
def test_what_is_not_a_patch(operations: Any) -> None:
    """A list of objects it must be; what one of them says is judged as its application is."""
    of_objects = isinstance(operations, list) and all(isinstance(operation, dict) for operation in operations)
    with pytest.raises(Invalid if of_objects else BadRequest):
        json_patch.apply({"a": 1}, operations)


def test_limits() -> None:
    with pytest.raises(RequestEntityTooLarge):
        json_patch.apply({}, [{"op": "test", "path": "/a", "value": None}] * 10_001)
    doubling = [{"op": "copy", "from": "/a", "path": "/a/-"}] * 40
    with pytest.raises(Invalid, match="accumulated size"):
        json_patch.apply({"a": ["x" * 100]}, doubling)


@given(
    st.lists(
        st.fixed_dictionaries(
            {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"])},
            optional={
                "path": st.text("/ab01-~", max_size=6),
                "from": st.text("/ab01-~", max_size=6),
                "value": st.one_of(st.none(), st.integers(), st.just([]), st.just({})),
            },
        ),
        max_size=6,
    )
)
def test_any_patch_applies_or_is_refused(operations: list[dict[str, Any]]) -> None:
    document = {"a": [1, {"b": 2}], "b": {"a": [0]}}
    with contextlib.suppress(BadRequest, Invalid):  # anything else fails the test
        json_patch.apply(document, operations)
    assert document == {"a": [1, {"b": 2}], "b": {"a": [0]}}
