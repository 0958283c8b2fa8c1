# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Label and field selectors: grammar, errors as Kubernetes words them, and what they match."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kplane_server.model.selectors import (
    EVERYTHING,
    MAX_SELECTOR_LENGTH,
    NOTHING,
    FieldRequirement,
    FieldSelector,
    LabelRequirement,
    LabelSelector,
    label_requirement,
    label_selector_from_document,
    parse_field_selector,
    parse_label_selector,
)

LABELS = {"app": "web", "tier": "front", "weight": "10", "empty": ""}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("app", True),
        ("!app", False),
        ("!other", True),
        ("app=web", True),
        ("app==web", True),
        ("app = db", False),
        ("app!=db", True),
        ("other!=db", True),
        ("app in (db, web)", True),
        ("app in (db)", False),
        ("app notin (db),tier", True),
        ("other notin (db)", True),
        ("other in (db)", False),
        ("weight>9,weight<11", True),
        ("weight>10", False),
        ("app>1", False),
        ("empty=", True),
        ("empty in ()", True),
        ("empty in (,x)", True),
        ("app in (x,,y)", False),
    ],
)
def test_labels_match(text: str, matches: bool) -> None:
    assert parse_label_selector(text).matches(LABELS) is matches


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a in x", "unable to parse requirement: found 'x' expected: '('"),
        ("a,,", "found ',', expected: identifier after ','"),
        ("=b", "found '=', expected: !, identifier, or 'end of string'"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("a==!", "unable to parse requirement: found '!', expected: identifier"),
    ],
)
def test_label_errors_are_worded_as_upstream(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r".*") as caught:
        parse_label_selector(text)
    assert str(caught.value) == message


@pytest.mark.parametrize("text", ["a/b/c=d", "a=b!", "-a=b", "a=-b", "a>x", "a" * 64, "a=" + "b" * 64, "a\0=b"])
def test_invalid_keys_and_values_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must|values|selector|found"):
        parse_label_selector(text)


def test_selectors_are_bounded() -> None:
    with pytest.raises(ValueError, match="longer than"):
        parse_label_selector("a" * (MAX_SELECTOR_LENGTH + 1))
    with pytest.raises(ValueError, match="more than"):
        parse_label_selector(",".join(["a"] * 5000))
    with pytest.raises(ValueError, match="more than"):
        parse_field_selector(",".join(["a=b"] * 5000))


names = st.from_regex(r"[a-z]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
values = st.from_regex(r"([a-z0-9]([-a-z0-9_.]{0,8}[a-z0-9])?)?", fullmatch=True)
requirements = st.one_of(
    st.builds(lambda k, o: LabelRequirement(k, o), names, st.sampled_from(["exists", "!"])),
    st.builds(lambda k, o, v: LabelRequirement(k, o, (v,)), names, st.sampled_from(["=", "==", "!="]), values),
    st.builds(lambda k, o, v: label_requirement(k, o, v), names, st.sampled_from(["in", "notin"]), st.sets(values, min_size=1, max_size=4)),
    st.builds(lambda k, o, v: LabelRequirement(k, o, (str(v),)), names, st.sampled_from(["gt", "lt"]), st.integers(0, 10**6)),
)


@given(st.lists(requirements, max_size=5))
def test_printing_and_parsing_is_the_identity(terms: list[LabelRequirement]) -> None:
    selector = LabelSelector(tuple(sorted(terms, key=lambda r: r.key)))
    assert parse_label_selector(str(selector)) == selector


@given(st.text(alphabet="ab=!(), innot<>", max_size=30))
def test_any_text_parses_or_is_refused(text: str) -> None:
    try:
        selector = parse_label_selector(text)
    except ValueError:
        return
    assert parse_label_selector(str(selector)) == selector


def test_documents() -> None:
    assert label_selector_from_document(None) is NOTHING
    assert not NOTHING.matches({})
    assert label_selector_from_document({}) == EVERYTHING
    selector = label_selector_from_document(
        {"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "tier", "operator": "In", "values": ["front", "back"]}]}
    )
    assert selector.matches(LABELS)
    assert not selector.matches({"app": "web"})
    with pytest.raises(ValueError, match='"Near" is not a valid label selector operator'):
        label_selector_from_document({"matchExpressions": [{"key": "a", "operator": "Near"}]})
    with pytest.raises(ValueError, match="can't be empty"):
        label_selector_from_document({"matchExpressions": [{"key": "a", "operator": "In"}]})


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("metadata.name=a", [("metadata.name", "=", "a")]),
        ("a==b", [("a", "=", "b")]),
        ("b!=c,a=1", [("a", "=", "1"), ("b", "!=", "c")]),
        (r"a=x\,y\=z\\", [("a", "=", "x,y=z\\")]),
        ("a=", [("a", "=", "")]),
        (",a=b,", [("a", "=", "b")]),
    ],
)
def test_field_selectors(text: str, terms: list[tuple[str, str, str]]) -> None:
    selector = parse_field_selector(text)
    assert list(selector.requirements) == terms
    assert parse_field_selector(str(selector)) == selector


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a", "invalid selector: 'a'; can't understand 'a'"),
        ("a=b=c", "invalid field selector: unescaped character in value: 61"),
        (r"a=\x", r"invalid field selector: invalid escape sequence: \x"),
        ("a=b\\", "invalid field selector: invalid escape sequence: \\"),
    ],
)
def test_field_errors(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r".*") as caught:
        parse_field_selector(text)
    assert str(caught.value) == message


@given(st.lists(st.tuples(names, st.sampled_from(["=", "!="]), st.text(max_size=8)), max_size=4))
def test_field_selectors_round_trip(terms: list[tuple[str, str, str]]) -> None:
    selector = FieldSelector(tuple(FieldRequirement(*term) for term in terms))
    assert sorted(parse_field_selector(str(selector)).requirements) == sorted(selector.requirements)


def test_field_selectors_match_missing_fields_as_empty() -> None:
    assert parse_field_selector("a=").matches({})
    assert parse_field_selector("a!=x").matches({})
    assert not parse_field_selector("a=x,b=y").matches({"a": "x", "b": "z"})
    assert parse_field_selector("a=x").exact("a") == "x"
    assert parse_field_selector("a!=x").exact("a") is None
