# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of requests: upstream's rules and words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kplane_server.model.errors import ApiError, BadRequest, Invalid
from kplane_server.model.identity import CONTROLLER_USER
from kplane_server.registry import options

FORBIDDEN_LISTS = [
    ({"resourceVersionMatch": "Exact"}, "resourceVersionMatch is forbidden unless resourceVersion is provided"),
    ({"resourceVersionMatch": "Exact", "resourceVersion": "0"}, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'),
    (
        {"resourceVersionMatch": "Exact", "resourceVersion": "1", "continue": "x"},
        "resourceVersionMatch is forbidden when continue is provided",
    ),
    ({"sendInitialEvents": "true"}, "sendInitialEvents is forbidden for list"),
    (
        {"resourceVersionMatch": "Newer", "resourceVersion": "1"},
        'Unsupported value: "Newer": supported values: "Exact", "NotOlderThan", ""',
    ),
]


@pytest.mark.parametrize(("query", "words"), FORBIDDEN_LISTS)
def test_lists_that_are_refused(query: dict[str, str], words: str) -> None:
    with pytest.raises(Invalid, match=r"^ListOptions\.meta\.k8s\.io") as caught:
        options.parse_list_options(query)
    assert words in caught.value.message
    assert caught.value.code == 422


FORBIDDEN_WATCHES = [
    ({"sendInitialEvents": "true"}, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"),
    (
        {"resourceVersionMatch": "NotOlderThan"},
        "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
    ),
    ({"resourceVersionMatch": "Exact", "sendInitialEvents": "true"}, 'supported values: "NotOlderThan"'),
]


@pytest.mark.parametrize(("query", "words"), FORBIDDEN_WATCHES)
def test_watches_that_are_refused(query: dict[str, str], words: str) -> None:
    with pytest.raises(Invalid, match=r"^ListOptions\.meta\.k8s\.io") as caught:
        options.parse_watch_options(query)
    assert words in caught.value.message


@pytest.mark.parametrize("text", ["abc", "-1", "1.5", "٣", "9" * 30, " 1"])
def test_a_resource_version_is_an_unsigned_number(text: str) -> None:
    with pytest.raises(BadRequest, match="invalid resource version"):
        options.parse_list_options({"resourceVersion": text})


def test_zero_is_not_unset() -> None:
    assert options.parse_list_options({"resourceVersion": "0"}).resource_version == 0
    assert options.parse_list_options({"resourceVersion": ""}).resource_version is None
    assert options.parse_list_options({}).resource_version is None


def test_a_query_may_hold_all_values_of_a_name() -> None:
    parsed = options.parse_list_options({"limit": ["5", "6"], "labelSelector": ["a=b"]})
    assert (parsed.limit, parsed.label_selector) == (5, "a=b")


@pytest.mark.parametrize(("text", "value"), [("", True), ("true", True), ("1", True), ("false", False), ("0", False), ("False", False)])
def test_booleans_as_upstream_reads_them(text: str, value: bool) -> None:
    assert options.parse_watch_options({"allowWatchBookmarks": text}).allow_bookmarks is value


@pytest.mark.parametrize("text", ["x", "1e3", "99999999999999999999"])
def test_a_limit_is_a_number(text: str) -> None:
    with pytest.raises(BadRequest, match=r"strconv\.ParseInt"):
        options.parse_list_options({"limit": text})


def test_write_options() -> None:
    ctx = options.parse_write_options(
        {"dryRun": ["All"], "fieldManager": "me", "fieldValidation": "Strict"}, CONTROLLER_USER, kind="CreateOptions"
    )
    assert (ctx.dry_run, ctx.field_manager, ctx.field_validation) == (True, "me", "Strict")
    ctx = options.parse_write_options({}, CONTROLLER_USER, kind="CreateOptions", user_agent="kubectl/v1.34 (linux)")
    assert (ctx.dry_run, ctx.field_manager, ctx.field_validation) == (False, "kubectl", "Warn")


@pytest.mark.parametrize(
    ("query", "apply", "words"),
    [
        ({"dryRun": "Some"}, False, 'dryRun: Unsupported value: ["Some"]: supported values: "All"'),
        ({"fieldManager": "x" * 129}, False, "fieldManager: Too long: may not be more than 128 bytes"),
        ({"fieldManager": "a\nb"}, False, "invalid character U+000A (at position 1)"),
        ({"fieldValidation": "Maybe"}, False, "fieldValidation: Unsupported value"),
        ({}, True, "fieldManager: Required value: is required for apply patch"),
        ({"force": "true"}, False, "force: Forbidden: may not be specified for non-apply patch"),
    ],
)
def test_write_options_that_are_refused(query: dict[str, str], apply: bool, words: str) -> None:
    with pytest.raises(Invalid, match=r"^PatchOptions\.meta\.k8s\.io") as caught:
        options.parse_write_options(query, CONTROLLER_USER, kind="PatchOptions", apply=apply)
    assert words in caught.value.message


def test_delete_options_come_from_the_body_or_the_query() -> None:
    body = {"kind": "DeleteOptions", "propagationPolicy": "Foreground", "preconditions": {"uid": "u"}, "gracePeriodSeconds": 3}
    parsed, dry_run = options.parse_delete_options({"propagationPolicy": "Orphan"}, body)
    assert (parsed.propagation_policy, parsed.preconditions.uid, parsed.grace_period_seconds, dry_run) == ("Foreground", "u", 3, False)
    parsed, dry_run = options.parse_delete_options({"propagationPolicy": "Orphan", "dryRun": "All"})
    assert (parsed.propagation_policy, dry_run) == ("Orphan", True)
    assert options.parse_delete_options({"orphanDependents": "true"})[0].propagation_policy == "Orphan"
    assert options.parse_delete_options({}, {"orphanDependents": False})[0].propagation_policy == "Background"


@pytest.mark.parametrize(
    "body",
    [
        {"orphanDependents": True, "propagationPolicy": "Background"},
        {"propagationPolicy": "Maybe"},
        {"dryRun": ["Some"]},
        {"gracePeriodSeconds": "3"},
        {"gracePeriodSeconds": True},
        {"preconditions": {"uid": 5}},
        {"kind": "Pod"},
        ["x"],
        {"dryRun": "All"},
    ],
)
def test_delete_options_that_are_refused(body: Any) -> None:
    with pytest.raises((BadRequest, Invalid)):
        options.parse_delete_options({}, body)


def outcome(parse: Callable[[Any], object], value: Any) -> int | None:
    """The status code of a refusal, None when it was taken; anything but an ApiError is a failure of the test."""
    try:
        parse(value)
    except ApiError as error:
        return error.code
    return None


NAMES = st.sampled_from(
    ["resourceVersion", "resourceVersionMatch", "continue", "limit", "labelSelector", "fieldSelector", "sendInitialEvents", "dryRun",
     "timeoutSeconds", "allowWatchBookmarks", "fieldManager", "fieldValidation", "force", "propagationPolicy", "gracePeriodSeconds"]
)  # fmt: skip


@given(st.dictionaries(NAMES, st.text(max_size=20)))
def test_any_query_is_parsed_or_refused_with_a_status(query: dict[str, str]) -> None:
    for parse in (options.parse_list_options, options.parse_watch_options, options.parse_delete_options, options.parse_get_options):
        assert outcome(parse, query) in (None, 400, 422)
    assert outcome(lambda q: options.parse_write_options(q, CONTROLLER_USER, kind="PatchOptions"), query) in (None, 400, 422)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
DELETE_FIELDS = st.sampled_from(["dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy", "preconditions", "kind"])


@given(st.dictionaries(DELETE_FIELDS, JSON_VALUES) | JSON_VALUES)
def test_any_delete_body_is_parsed_or_refused_with_a_status(body: Any) -> None:
    assert outcome(lambda b: options.parse_delete_options({}, b), body) in (None, 400, 422)
