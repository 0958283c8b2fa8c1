# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RBAC rules: cases from the documentation, and laws against a naive model."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kplane_server.access.attributes import Attributes, for_path
from kplane_server.access.rules import (
    FULL_AUTHORITY,
    PolicyRule,
    allows,
    break_down,
    compact,
    covers,
    describe,
    parse_rules,
    uncovered,
    url_matches,
)

READ_PODS = PolicyRule(("get", "list"), ("",), ("pods",))


@pytest.mark.parametrize(
    ("rule", "attributes", "expected"),
    [
        (READ_PODS, Attributes("get", resource="pods", name="a"), True),
        (READ_PODS, Attributes("delete", resource="pods", name="a"), False),
        (READ_PODS, Attributes("get", "apps", resource="pods"), False),
        (READ_PODS, Attributes("get", resource="pods", subresource="log"), False),
        (READ_PODS, Attributes("get", resource="services"), False),
        (PolicyRule(("*",), ("*",), ("*",)), Attributes("escalate", "x", "v1", "y", "z", "n", "m"), True),
        (PolicyRule(("*",), ("*",), ("*",)), for_path("get", "/metrics"), False),
        (PolicyRule(("get",), ("",), ("pods/log",)), Attributes("get", resource="pods", subresource="log"), True),
        (PolicyRule(("get",), ("",), ("pods/log",)), Attributes("get", resource="pods"), False),
        # Upstream gives "pods/*" no meaning, only "*/subresource": a rule that looks wide must not become wide here.
        (PolicyRule(("get",), ("",), ("pods/*",)), Attributes("get", resource="pods", subresource="log"), False),
        (PolicyRule(("update",), ("*",), ("*/scale",)), Attributes("update", "apps", resource="deployments", subresource="scale"), True),
        (PolicyRule(("update",), ("*",), ("*/scale",)), Attributes("update", "apps", resource="deployments"), False),
        (PolicyRule(("update",), ("*",), ("*/scale",)), Attributes("update", "apps", resource="x", subresource="rescale"), False),
        (PolicyRule(("get",), ("",), ("pods",), ("a", "b")), Attributes("get", resource="pods", name="b"), True),
        (PolicyRule(("get",), ("",), ("pods",), ("a", "b")), Attributes("get", resource="pods", name="c"), False),
        (PolicyRule(("list",), ("",), ("pods",), ("a",)), Attributes("list", resource="pods"), False),
        (PolicyRule(("list",), ("",), ("pods",), ("",)), Attributes("list", resource="pods"), True),
        (PolicyRule(("get",), non_resource_urls=("/healthz",)), for_path("get", "/healthz"), True),
        (PolicyRule(("get",), non_resource_urls=("/healthz",)), for_path("get", "/healthz/etcd"), False),
        (PolicyRule(("get",), non_resource_urls=("/healthz/*",)), for_path("get", "/healthz/etcd"), True),
        (PolicyRule(("get",), non_resource_urls=("/healthz/*",)), for_path("get", "/healthz"), False),
        (PolicyRule(("get",), non_resource_urls=("*",)), for_path("get", "/any/thing"), True),
        (PolicyRule(("get",), non_resource_urls=("/a*b",)), for_path("get", "/axb"), False),
        (PolicyRule(("get",), non_resource_urls=("*",)), Attributes("get", resource="pods"), False),
        (PolicyRule((), ("*",), ("*",)), Attributes("get", resource="pods"), False),
    ],
)
def test_a_rule_allows(rule: PolicyRule, attributes: Attributes, expected: bool) -> None:
    assert allows(rule, attributes) is expected


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (None, ()),
        ("*", ()),
        ([None, 1, "x"], ()),
        ([{}], (PolicyRule(()),)),
        ([{"verbs": "*", "resources": ["*"], "apiGroups": ["*"]}], (PolicyRule((), ("*",), ("*",)),)),
        ([{"verbs": [1, "get"], "nonResourceURLs": ["/x"]}], (PolicyRule(("get",), non_resource_urls=("/x",)),)),
    ],
)
def test_what_is_no_rule_grants_nothing(document: object, expected: tuple[PolicyRule, ...]) -> None:
    assert parse_rules(document) == expected


def test_a_rule_survives_its_document() -> None:
    rule = PolicyRule(("get",), ("", "apps"), ("pods", "pods/log"), ("a",))
    assert parse_rules([rule.document()]) == (rule,)
    assert PolicyRule(("get",), non_resource_urls=("/x",)).document() == {"verbs": ["get"], "nonResourceURLs": ["/x"]}


def test_a_rule_is_described_as_upstream_does() -> None:
    rule = PolicyRule(("get", "list"), ("",), ("pods",), ("a",))
    assert describe(rule) == '{APIGroups:[""], Resources:["pods"], ResourceNames:["a"], Verbs:["get" "list"]}'
    assert describe(PolicyRule(("get",), non_resource_urls=("/x",))) == '{NonResourceURLs:["/x"], Verbs:["get"]}'


def test_what_is_not_held_is_put_together_by_resource() -> None:
    held = [PolicyRule(("get",), ("",), ("pods",))]
    wanted = [PolicyRule(("get", "list", "watch"), ("",), ("pods", "services"))]
    assert compact(uncovered(held, wanted)) == [
        PolicyRule(("list", "watch"), ("",), ("pods",)),
        PolicyRule(("get", "list", "watch"), ("",), ("services",)),
    ]


# -- laws: a small world in which every request can be tried

VERBS, GROUPS, RESOURCES, SUBRESOURCES, NAMES = ("get", "list"), ("", "apps"), ("pods", "jobs"), ("", "log", "scale"), ("", "a", "b")
PATHS = ("/", "/a", "/a/b", "/ab", "/c")

REQUESTS = [
    Attributes(verb, group, "v1", resource, subresource, "ns", name)
    for verb, group, resource, subresource, name in itertools.product(VERBS, GROUPS, RESOURCES, SUBRESOURCES, NAMES)
] + [for_path(verb, path) for verb in VERBS for path in PATHS]

_rule_resources = st.sampled_from(["*", "pods", "jobs", "pods/log", "jobs/scale", "*/log", "*/scale", "pods/*"])


def _some(values: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(values, max_size=3).map(tuple)


resource_rules = st.builds(
    PolicyRule,
    verbs=_some(st.sampled_from(["*", "get", "list"])),
    api_groups=_some(st.sampled_from(["*", "", "apps"])),
    resources=_some(_rule_resources),
    resource_names=_some(st.sampled_from(["a", "b"])),
)
path_rules = st.builds(
    PolicyRule,
    verbs=_some(st.sampled_from(["*", "get", "list"])),
    non_resource_urls=_some(st.sampled_from(["*", "/a", "/a/*", "/a*", "/c", "/"])),
)
any_rules = st.one_of(resource_rules, path_rules)


def naive_allows(rule: PolicyRule, asked: Attributes) -> bool:
    """The documentation, word by word: all single grants spelled out, one of them equal to the request up to wildcards."""
    if not asked.resource_request:
        return any(
            verb in ("*", asked.verb) and (url == asked.path or (url.endswith("*") and asked.path.startswith(url[:-1])))
            for verb in rule.verbs
            for url in rule.non_resource_urls
        )
    whole = asked.resource + ("/" + asked.subresource if asked.subresource else "")
    accepted = {"*", whole} | ({"*/" + asked.subresource} if asked.subresource else set())
    return any(
        verb in ("*", asked.verb) and group in ("*", asked.group) and resource in accepted and name in (None, asked.name)
        for verb in rule.verbs
        for group in rule.api_groups
        for resource in rule.resources
        for name in (rule.resource_names or (None,))
    )


@given(any_rules, st.sampled_from(REQUESTS))
def test_law_matching_equals_the_naive_model(rule: PolicyRule, asked: Attributes) -> None:
    assert allows(rule, asked) == naive_allows(rule, asked)


@given(any_rules)
def test_law_single_grants_together_are_the_rule(rule: PolicyRule) -> None:
    single = break_down(rule)
    for asked in REQUESTS:
        assert allows(rule, asked) == any(allows(one, asked) for one in single)


@given(st.lists(any_rules, max_size=3), st.lists(any_rules, max_size=3))
def test_law_what_is_covered_can_already_be_done(held: list[PolicyRule], wanted: list[PolicyRule]) -> None:
    if uncovered(held, wanted):
        return
    for asked in REQUESTS:
        if any(allows(rule, asked) for rule in wanted):
            assert any(allows(rule, asked) for rule in held)


@given(any_rules)
def test_law_a_rule_covers_itself_and_full_authority_covers_all(rule: PolicyRule) -> None:
    assert not uncovered([rule], [rule])
    assert not uncovered(FULL_AUTHORITY, [rule])


@given(st.lists(any_rules, max_size=4))
def test_law_putting_together_changes_no_meaning(wanted: list[PolicyRule]) -> None:
    single = [one for rule in wanted for one in break_down(rule)]
    together = compact(single)
    for asked in REQUESTS:
        assert any(allows(rule, asked) for rule in single) == any(allows(rule, asked) for rule in together)


@pytest.mark.parametrize(
    ("owner", "single", "expected"),
    [
        (PolicyRule(("get",), ("",), ("pods",), ("a",)), PolicyRule(("get",), ("",), ("pods",)), False),
        (PolicyRule(("get",), ("",), ("pods",)), PolicyRule(("get",), ("",), ("pods",), ("a",)), True),
        (PolicyRule(("get",), ("",), ("pods",)), PolicyRule(("get",), ("",), ("*",)), False),
        (PolicyRule(("get",), ("",), ("pods",)), PolicyRule(("*",), ("",), ("pods",)), False),
        (PolicyRule(("get",), ("",), ("*/log",)), PolicyRule(("get",), ("",), ("pods/log",)), True),
        (PolicyRule(("get",), ("",), ("*/log",)), PolicyRule(("get",), ("",), ("pods",)), False),
        (PolicyRule(("get",), non_resource_urls=("/a/*",)), PolicyRule(("get",), non_resource_urls=("/a/*",)), True),
        (PolicyRule(("get",), non_resource_urls=("/a/*",)), PolicyRule(("get",), non_resource_urls=("*",)), False),
        (PolicyRule(("get",), ("*",), ("*",)), PolicyRule(("get",), non_resource_urls=("/a",)), False),
    ],
)
def test_a_rule_covers_a_grant(owner: PolicyRule, single: PolicyRule, expected: bool) -> None:
    assert covers(owner, single) is expected


@given(st.text("/a*", max_size=6), st.text("/a", max_size=6))
def test_law_url_patterns(pattern: str, path: str) -> None:
    expected = path.startswith(pattern.rstrip("*")) if pattern.endswith("*") else pattern == path
    assert url_matches(pattern, path) == expected
