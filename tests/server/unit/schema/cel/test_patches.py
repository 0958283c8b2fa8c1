# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects and patches that expressions make (the cases of upstream's ``cel/mutation`` tests among them)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kplane_server.schema.cel.admission import compile_expression
from kplane_server.schema.cel.patches import name_problems, to_json
from kplane_server.schema.cel.values import CompileError, CostExceeded, EvaluationError, Meter
from kplane_server.schema.patch import json_patch


def value(text: str, **variables: Any) -> Any:
    known = {"object": None, "oldObject": None, "request": None, "namespaceObject": None, "authorizer": None, **variables}
    program, _ = compile_expression(text, results=(), patches=True)
    return program.evaluate(known)


def json(text: str, **variables: Any) -> Any:
    return to_json(value(text, **variables), Meter(10_000))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Object{}", {}),
        ("Object{spec: Object.spec{replicas: 3}}", {"spec": {"replicas": 3}}),
        ('Object{annotations: {"foo": "bar"}, list: [1.0, 2.0, 0.5,], }', {"annotations": {"foo": "bar"}, "list": [1, 2, 0.5]}),
        ("Object{?existing: optional.none()}", {}),
        ("Object{?spec: optional.ofNonZeroValue(Object.spec{?replicas: Object{}.?replicas})}", {}),
        ("Object{?a: optional.of(1)}", {"a": 1}),
        ("Object{intList: [1, 2, 3]}.intList.sum()", 6),
        ("Object{spec: Object.spec{replicas: 3}} == Object{spec: Object.spec{replicas: 1 + 2}}", True),
        ("dyn(Object{}) == dyn(Object.spec{})", False),
        ("dyn(Object{}) == {}", False),
        ("has(Object{a: 1}.a) && !has(Object{a: 1}.b)", True),
        ('JSONPatch{op: "add", path: "/a", value: 3}', {"op": "add", "path": "/a", "from": "", "value": 3}),
        ('(true ? JSONPatch{op: "add"} : JSONPatch{op: "remove"}).op', "add"),
        ('[1, 2].map(i, JSONPatch{op: "remove", path: "/a/" + string(i)}).map(p, p.path)', ["/a/1", "/a/2"]),
        ('jsonpatch.escapeKey("k8s.io/my~label")', "k8s.io~1my~0label"),
        (
            "[dyn(b'x'), dyn(duration('90s')), dyn(timestamp('2024-01-02T03:04:05Z')), dyn(null)]",
            ["eA==", "90s", "2024-01-02T03:04:05Z", None],
        ),
    ],
)
def test_values(text: str, wanted: Any) -> None:
    assert json(text) == wanted


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Invalid{}", "undeclared reference to 'Invalid'"),
        ("Objects{}", "undeclared reference to 'Objects'"),
        ("JSONPatch{op: 1}", "expected type of field 'op' is 'string' but provided type is 'int'"),
        ("JSONPatch{odd: 1}", "undefined field 'odd'"),
        ('JSONPatch{op: "add", path: Invalid{}}', "undeclared reference to 'Invalid'"),
        ("Object{?a: 1}", "expected type 'optional_type"),
        ("Object{in: 1}", "Syntax error"),
        ("Object{a: 1", "Syntax error"),
        ("object[0]{a: 1}", "Syntax error"),
    ],
)
def test_what_is_no_object(text: str, why: str) -> None:
    with pytest.raises(CompileError) as caught:
        compile_expression(text, results=(), patches=True)
    assert why in caught.value.message


@pytest.mark.parametrize("text", ["Object{}", 'JSONPatch{op: "add"}', 'jsonpatch.escapeKey("a")'])
def test_other_expressions_cannot_make_them(text: str) -> None:
    with pytest.raises(CompileError, match="undeclared reference"):
        compile_expression(text, results=())


def test_fields_of_patches_are_texts_at_run_time_too() -> None:
    with pytest.raises(EvaluationError, match="unexpected type int for JSONPatchType 'path' field"):
        value("JSONPatch{path: object.x}", object={"x": 1})


@pytest.mark.parametrize(
    ("text", "why"), [("{1: 2}", "is of type int, not string"), ("1.0 / 0.0", "unsupported value"), ("type(1)", "of type type")]
)
def test_what_json_cannot_say(text: str, why: str) -> None:
    with pytest.raises(EvaluationError, match=why):
        json(text)


def test_json_costs_by_its_size() -> None:
    shared = value("[object, object, object]", object="x" * 50_000)
    with pytest.raises(CostExceeded):
        to_json(shared, Meter(10_000))


def test_names_are_paths() -> None:
    assert name_problems(value("Object{a: [Object.a{b: Object.a.b{}}], c: {'k': Object.c{}}}")) == []
    assert name_problems(value("Object{a: [Object.a{b: Object.b{}}]}")) == [
        'unexpected type name "Object.b", expected "Object.a.b", which matches field name path from root Object type'
    ]


@given(st.text(max_size=20))
def test_an_escaped_key_finds_its_entry(key: str) -> None:
    path = value('"/a/" + jsonpatch.escapeKey(object)', object=key)
    assert json_patch.apply({"a": {}}, [{"op": "add", "path": path, "value": 1}]) == {"a": {key: 1}}
