# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Validation rules: bindings, transitions, messages, reasons, places, ratcheting, budgets, and what is refused in a definition."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from kplane_server.model.errors import Cause
from kplane_server.schema.cel.budget import Budget
from kplane_server.schema.cel.rulechecks import check_count, check_rules
from kplane_server.schema.cel.rules import MAX_MESSAGE, validate_rules
from kplane_server.schema.crdschema import check_structural
from kplane_server.schema.customresource import resource_causes
from kplane_server.schema.structural import compile_resource_schema


def definition(*rules: dict[str, Any], root: tuple[dict[str, Any], ...] = (), **properties: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {"type": "object", "properties": properties}
    if rules:
        spec["x-kubernetes-validations"] = list(rules)
    made: dict[str, Any] = {"type": "object", "properties": {"spec": spec}}
    return {**made, "x-kubernetes-validations": list(root)} if root else made


INTEGER = {"type": "integer"}
STRING = {"type": "string"}


def judge(schema: dict[str, Any], spec: Any, old: Any = None, **more: Any) -> list[Cause]:
    """What the rules have against a spec."""
    compiled = compile_resource_schema(schema)
    document = {"metadata": {"name": "x"}, "spec": spec}
    if old is None:
        return validate_rules(document, compiled, **more)
    return validate_rules(document, compiled, old={"metadata": {"name": "x"}, "spec": old}, **more)


def test_a_rule_holds_or_names_itself() -> None:
    schema = definition({"rule": "self.a <= self.b"}, a=INTEGER, b=INTEGER)
    assert check_structural(schema) == []
    assert judge(schema, {"a": 1, "b": 2}) == []
    assert judge(schema, {"a": 2, "b": 1}) == [Cause("FieldValueInvalid", 'Invalid value: "object": failed rule: self.a <= self.b', "spec")]


def test_messages_reasons_and_places() -> None:
    schema = definition(
        {"rule": "self.a > 0", "message": " too small ", "reason": "FieldValueForbidden", "fieldPath": ".a"},
        {"rule": "self.a > 1", "messageExpression": "'a is %d'.format([self.a])", "message": "not this"},
        {"rule": "self.a > 2", "messageExpression": "string(1 / 0)", "message": "fallback"},
        {"rule": "self.a > 3", "reason": "FieldValueRequired", "message": "needed", "fieldPath": ".m['k.x']"},
        {"rule": "self.a > 4", "reason": "FieldValueDuplicate"},
        a=INTEGER,
        m={"type": "object", "additionalProperties": STRING},
    )
    assert check_structural(schema) == []
    assert judge(schema, {"a": 0}) == [
        Cause("FieldValueForbidden", "Forbidden: too small", "spec.a"),
        Cause("FieldValueInvalid", 'Invalid value: "object": a is 0', "spec"),
        Cause("FieldValueInvalid", 'Invalid value: "object": fallback', "spec"),
        Cause("FieldValueRequired", "Required value: needed", "spec.m[k.x]"),
        Cause("FieldValueDuplicate", 'Duplicate value: "object"', "spec"),
    ]


@pytest.mark.parametrize("expression", ["self.s + '\\nx'", "' '", f"self.s + '{'x' * (MAX_MESSAGE + 1)}'"])
def test_messages_that_are_no_messages_fall_back(expression: str) -> None:
    schema = definition({"rule": "false", "messageExpression": expression, "message": "plain"}, s=STRING)
    assert [cause.message for cause in judge(schema, {"s": "a"})] == ['Invalid value: "object": plain']


def test_rules_at_the_root_and_in_places_of_all_kinds() -> None:
    value = {"type": "integer", "x-kubernetes-validations": [{"rule": "self > 0"}]}
    schema = definition(
        root=({"rule": "self.metadata.name != 'x'", "message": "not x"},),
        a=value,
        m={"type": "object", "additionalProperties": value},
        l={"type": "array", "items": value},
    )
    causes = judge(schema, {"a": 0, "m": {"k": 0, "j": 1}, "l": [1, 0]})
    assert [cause.field for cause in causes] == ["<nil>", "spec.a", "spec.m[k]", "spec.l[1]"]
    assert judge(schema, None)[0].field == "<nil>"


def test_transitions() -> None:
    schema = definition({"rule": "self.a >= oldSelf.a"}, a=INTEGER)
    assert judge(schema, {"a": 1}) == []
    assert judge(schema, {"a": 2}, {"a": 1}) == []
    assert len(judge(schema, {"a": 1}, {"a": 2})) == 1


def test_transitions_with_an_optional_old_value() -> None:
    schema = definition({"rule": "oldSelf.orValue({'a': 5}).a <= self.a", "optionalOldSelf": True}, a=INTEGER)
    assert check_structural(definition({"rule": "!oldSelf.hasValue() || oldSelf.value().a < 9", "optionalOldSelf": True}, a=INTEGER)) == []
    assert len(judge(schema, {"a": 1})) == 1
    assert judge(schema, {"a": 1}, {"a": 1}) == []


def test_items_have_a_history_only_in_lists_with_keys() -> None:
    item = {
        "type": "object",
        "required": ["n"],
        "properties": {"n": STRING, "v": INTEGER},
        "x-kubernetes-validations": [{"rule": "self.v >= oldSelf.v"}],
    }
    keyed = {"type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"]}
    schema = definition(l=keyed)
    assert check_structural(schema) == []
    old = {"l": [{"n": "a", "v": 5}, {"n": "b", "v": 5}]}
    causes = judge(schema, {"l": [{"n": "c", "v": 0}, {"n": "b", "v": 4}, {"n": "a", "v": 6}]}, old)
    assert [cause.field for cause in causes] == ["spec.l[1]"]
    refused = check_structural(definition(l={"type": "array", "items": item}))
    assert ["uncorrelatable portion of the schema" in cause.message for cause in refused] == [True]


def test_what_did_not_change_is_only_warned_of() -> None:
    schema = definition({"rule": "self.a > 0"}, a=INTEGER, b=INTEGER)
    warnings: list[str] = []
    old = {"a": 0, "b": 1}
    assert judge(schema, copy.deepcopy(old), old, warn=warnings.append) == []
    assert warnings == ['spec: Invalid value: "object": failed rule: self.a > 0']
    assert len(judge(schema, {"a": 0, "b": 2}, old)) == 1


def test_values_have_the_types_of_their_schema() -> None:
    schema = definition(
        {"rule": "self.ratio * 2.0 == 4.0 && type(self.ratio) == double"},
        {"rule": "self.at > timestamp('2020-01-01T00:00:00Z') && self.day.getFullYear() == 2026"},
        {"rule": "self.span < duration('2h')"},
        {"rule": "type(self.other) == string && self.other.startsWith('2026')"},
        {"rule": "self.raw == b'hi' && size(self.raw) == 2"},
        {"rule": "type(self.port) == (self.port == 'http' ? string : int)"},
        {"rule": "self.set == ['b', 'a'] && (self.set + ['a', 'c']).size() == 3"},
        {"rule": "self.a__dash__b == 'x' && self.__namespace__ == 'y' && self.c__dot__d == 'z' && self.e__underscores__f == 'w'"},
        {"rule": "self.m['x-y'] == '1' && 'z' in self.m && has(self.m.z) && !has(self.gone)"},
        {"rule": "dyn(self.nothing) == null"},
        ratio={"type": "number"},
        at={"type": "string", "format": "date-time"},
        day={"type": "string", "format": "date"},
        span={"type": "string", "format": "duration"},
        other={"type": "string", "format": "datetime"},
        raw={"type": "string", "format": "byte"},
        port={"x-kubernetes-int-or-string": True},
        set={"type": "array", "items": STRING, "x-kubernetes-list-type": "set"},
        m={"type": "object", "additionalProperties": STRING},
        nothing={"type": "string", "nullable": True},
        gone=STRING,
        namespace=STRING,
        **{"a-b": STRING, "c.d": STRING, "e__f": STRING},
    )
    assert check_structural(schema) == []
    spec = {
        "ratio": 2,
        "at": "2026-01-01T00:00:00Z",
        "day": "2026-01-01",
        "span": "90m",
        "other": "2026-01-02T03:04:05Z",
        "raw": "aGk=",
        "port": 80,
        "set": ["a", "b"],
        "m": {"x-y": "1", "z": "2"},
        "nothing": None,
        "namespace": "y",
        "a-b": "x",
        "c.d": "z",
        "e__f": "w",
    }
    assert judge(schema, spec) == []
    assert judge(schema, {**spec, "port": "http"}) == []


def test_errors_of_evaluation_fail_the_rule() -> None:
    schema = definition(
        {"rule": "self.m['k'] == 'v'"},
        {"rule": "self.p > 5"},
        m={"type": "object", "additionalProperties": STRING},
        p={"x-kubernetes-int-or-string": True},
    )
    messages = [cause.message for cause in judge(schema, {"m": {}, "p": "x"})]
    assert messages == [
        "Invalid value: \"object\": no such key: k evaluating rule: self.m['k'] == 'v'",
        "Invalid value: \"object\": 'no such overload': call arguments did not match a supported operator, function or macro signature "
        "for rule: self.p > 5",
    ]


def test_the_budget_ends_all_rules() -> None:
    costly = {"rule": "self.l.all(a, self.l.all(b, self.l.all(c, a + b + c >= 0)))"}
    schema = definition(costly, {"rule": "false"}, l={"type": "array", "items": INTEGER})
    causes = judge(schema, {"l": list(range(500))})
    assert ["call cost exceeds limit" in cause.message for cause in causes] == [True]
    moderate = {"rule": "self.l.all(a, self.l.all(b, a + b >= 0))"}
    schema = definition(*[moderate] * 40, l={"type": "array", "items": INTEGER})
    causes = judge(schema, {"l": list(range(80))}, budget=Budget(500_000))
    assert "cost" in causes[-1].message
    assert len(causes) == 1


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"rule": "self.zzz == 1"}, "rule", "compilation failed: ERROR: <input>:1:5: undefined field 'zzz'"),
    ({"rule": "self.a == 'x'"}, "rule", "found no matching overload for '_==_' applied to '(int, string)'"),
    ({"rule": "self.a"}, "rule", "cel expression must evaluate to a bool"),
    ({"rule": "self.a >"}, "rule", "Syntax error"),
    ({"rule": "self.s.matches('(')"}, "rule", "invalid matches argument"),
    ({"rule": "nope(self.a)"}, "rule", "undeclared reference to 'nope'"),
    ({"rule": "self.s.startsWith('a', 'b')"}, "rule", "found no matching overload for 'startsWith'"),
    ({"rule": "self.l.all(x, x.zz == 1)"}, "rule", "undefined field 'zz'"),
    ({"rule": "self.a.all(x, true)"}, "rule", "cannot be range of a comprehension"),
    ({"rule": "true", "messageExpression": "self.a"}, "messageExpression", "must evaluate to a string"),
    ({"rule": "true", "messageExpression": "self.zzz"}, "messageExpression", "undefined field 'zzz'"),
    ({"rule": "true", "fieldPath": ".zzz"}, "fieldPath", "must be a valid path"),
    ({"rule": "true", "fieldPath": "a"}, "fieldPath", "must be a valid path"),
    ({"rule": "true", "optionalOldSelf": True}, "optionalOldSelf", "may not be set if oldSelf is not used in rule"),
]


@pytest.mark.parametrize(("rule", "field", "message"), REFUSED)
def test_rules_that_are_refused(rule: dict[str, Any], field: str, message: str) -> None:
    item = {"type": "object", "properties": {"y": INTEGER}}
    causes = check_rules(definition(rule, a=INTEGER, s=STRING, l={"type": "array", "items": item}))
    assert [c.field for c in causes] == [f"properties[spec].x-kubernetes-validations[0].{field}"]
    assert message in causes[0].message


def test_a_rule_that_was_stored_broken_fails_documents_and_not_the_server() -> None:
    causes = judge(definition({"rule": "self.a >"}, a=INTEGER), {"a": 1})
    assert ["rule compile error" in cause.message for cause in causes] == [True]


def test_rules_are_not_run_over_documents_of_another_shape() -> None:
    schema = compile_resource_schema(definition({"rule": "self.a > 0"}, a=INTEGER))
    causes = resource_causes({"spec": {"a": "x"}}, schema)
    assert [cause.field for cause in causes] == ["spec.a", "<nil>"]
    assert "some validation rules were not checked" in causes[1].message
    assert [cause.field for cause in resource_causes({"spec": {"a": 0}}, schema)] == ["spec"]
    assert resource_causes({"spec": {"a": 0}}, schema, old={"spec": {"a": 0}}) == []


def test_the_number_of_rules_and_their_length_are_bounded() -> None:
    long = {"rule": "true || " + " || ".join(["self.a > 1000000"] * 3000)}
    assert [cause.reason for cause in check_count(definition(*[long] * 3))] == ["FieldValueTooLong"]
    assert check_count(definition(long)) == []
    causes = check_count(definition(*[{"rule": "true"}] * 1001))
    assert [cause.reason for cause in causes] == ["FieldValueTooMany"]
