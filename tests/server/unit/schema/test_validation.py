# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Validation of custom resources: one case for each rule, with upstream's words; ratcheting; bounds."""

from __future__ import annotations

from typing import Any

import pytest

from kplane_server.model.errors import Cause
from kplane_server.schema.formats import has_format, is_known_format
from kplane_server.schema.limits import compile_pattern
from kplane_server.schema.structural import compile_resource_schema, compile_schema
from kplane_server.schema.validation import MAX_CAUSES, validate


def check(schema: dict[str, Any], value: Any, **options: Any) -> list[Cause]:
    """Validate one value as the field ``spec.x``."""
    return validate(value, compile_schema(schema), path="spec.x", **options)


CASES: list[tuple[dict[str, Any], Any, str, str]] = [
    ({"type": "integer"}, "a", "FieldValueTypeInvalid", 'Invalid value: "string": spec.x in body must be of type integer: "string"'),
    ({"type": "string"}, 5, "FieldValueTypeInvalid", 'Invalid value: "integer": spec.x in body must be of type string: "integer"'),
    ({"type": "string"}, None, "FieldValueTypeInvalid", 'Invalid value: "null": spec.x in body must be of type string: "null"'),
    ({"type": "object"}, [], "FieldValueTypeInvalid", 'Invalid value: "array": spec.x in body must be of type object: "array"'),
    ({"type": "boolean"}, 1, "FieldValueTypeInvalid", 'Invalid value: "integer": spec.x in body must be of type boolean: "integer"'),
    ({"type": "integer"}, True, "FieldValueTypeInvalid", 'Invalid value: "boolean": spec.x in body must be of type integer: "boolean"'),
    ({"type": "integer"}, 1.5, "FieldValueTypeInvalid", 'Invalid value: "number": spec.x in body must be of type integer: "number"'),
    (
        {"x-kubernetes-int-or-string": True},
        [],
        "FieldValueTypeInvalid",
        'Invalid value: "array": spec.x in body must be of type integer,string: "array"',
    ),
    ({"type": "string", "enum": ["a", "b"]}, "c", "FieldValueNotSupported", 'Unsupported value: "c": supported values: "a", "b"'),
    ({"type": "integer", "enum": [1, 2]}, 3, "FieldValueNotSupported", 'Unsupported value: 3: supported values: "1", "2"'),
    ({"type": "string", "maxLength": 2}, "abc", "FieldValueTooLong", "Too long: may not be more than 2 bytes"),
    ({"type": "string", "minLength": 2}, "a", "FieldValueInvalid", 'Invalid value: "a": spec.x in body should be at least 2 chars long'),
    ({"type": "string", "pattern": "^a+$"}, "b", "FieldValueInvalid", "Invalid value: \"b\": spec.x in body should match '^a+$'"),
    ({"type": "string", "format": "ipv4"}, "x", "FieldValueTypeInvalid", 'Invalid value: "x": spec.x in body must be of type ipv4: "x"'),
    ({"type": "integer", "minimum": 1}, 0, "FieldValueInvalid", "Invalid value: 0: spec.x in body should be greater than or equal to 1"),
    (
        {"type": "integer", "minimum": 1, "exclusiveMinimum": True},
        1,
        "FieldValueInvalid",
        "Invalid value: 1: spec.x in body should be greater than 1",
    ),
    ({"type": "number", "maximum": 1.5}, 2, "FieldValueInvalid", "Invalid value: 2: spec.x in body should be less than or equal to 1.5"),
    (
        {"type": "number", "maximum": 2, "exclusiveMaximum": True},
        2.0,
        "FieldValueInvalid",
        "Invalid value: 2.0: spec.x in body should be less than 2",
    ),
    ({"type": "integer", "multipleOf": 3}, 4, "FieldValueInvalid", "Invalid value: 4: spec.x in body should be a multiple of 3"),
    ({"type": "number", "multipleOf": 0.1}, 0.25, "FieldValueInvalid", "Invalid value: 0.25: spec.x in body should be a multiple of 0.1"),
    ({"type": "array", "maxItems": 1}, [1, 2], "FieldValueTooMany", "Too many: 2: must have at most 1 item"),
    ({"type": "array", "minItems": 1}, [], "FieldValueInvalid", "Invalid value: 0: spec.x in body should have at least 1 items"),
    ({"type": "object", "maxProperties": 0}, {"a": 1}, "FieldValueTooMany", "Too many: 1: must have at most 0 items"),
    ({"type": "object", "minProperties": 1}, {}, "FieldValueInvalid", "Invalid value: 0: spec.x in body should have at least 1 properties"),
    ({"type": "integer", "format": "int32"}, 2**31, "", ""),
    (
        {"anyOf": [{"minimum": 5}, {"maximum": 1}]},
        3,
        "FieldValueInvalid",
        'Invalid value: "": "spec.x" must validate at least one schema (anyOf)',
    ),
    (
        {"oneOf": [{"minimum": 1}, {"maximum": 9}]},
        5,
        "FieldValueInvalid",
        'Invalid value: "": "spec.x" must validate one and only one schema (oneOf). Found 2 valid alternatives',
    ),
    ({"not": {"minimum": 1}}, 5, "FieldValueInvalid", 'Invalid value: "": "spec.x" must not validate the schema (not)'),
    ({"allOf": [{"minimum": 9}]}, 5, "FieldValueInvalid", 'Invalid value: "": "spec.x" must validate all the schemas (allOf)'),
    (
        {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        ["a", "b", "a"],
        "FieldValueDuplicate",
        'Duplicate value: "a"',
    ),
]


@pytest.mark.parametrize(("schema", "value", "reason", "message"), [case for case in CASES if case[2]])
def test_rule(schema: dict[str, Any], value: Any, reason: str, message: str) -> None:
    causes = check(schema, value)
    assert (reason, message) in [(cause.reason, cause.message) for cause in causes]


VALID: list[tuple[dict[str, Any], Any]] = [
    ({"type": "integer"}, 5),
    ({"type": "integer"}, 5.0),
    ({"type": "number"}, 5),
    ({"type": "string", "nullable": True}, None),
    ({"x-kubernetes-int-or-string": True}, "5"),
    ({"x-kubernetes-int-or-string": True}, 5),
    ({"x-kubernetes-preserve-unknown-fields": True}, {"a": [1, None]}),
    ({"type": "string", "maxLength": 3}, "äöü"),
    ({"type": "number", "multipleOf": 0.1}, 0.3),
    ({"type": "string", "enum": ["a", None], "nullable": True}, None),
    ({"type": "string", "format": "unheard-of"}, "x"),
    (
        {"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]},
        [{"k": 1}, {"k": "1"}],
    ),
]


@pytest.mark.parametrize(("schema", "value"), VALID)
def test_what_is_valid(schema: dict[str, Any], value: Any) -> None:
    assert check(schema, value) == []


def test_paths_and_required_fields() -> None:
    schema = compile_resource_schema(
        {
            "type": "object",
            "required": ["spec"],
            "properties": {
                "spec": {
                    "type": "object",
                    "required": ["a"],
                    "properties": {
                        "a": {"type": "string"},
                        "m": {"type": "object", "additionalProperties": {"type": "integer"}},
                        "l": {
                            "type": "array",
                            "x-kubernetes-list-type": "map",
                            "x-kubernetes-list-map-keys": ["n"],
                            "items": {"type": "object", "properties": {"n": {"type": "string"}, "v": {"type": "integer"}}},
                        },
                        "e": {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True},
                    },
                }
            },
        }
    )
    document = {"spec": {"m": {"k": "x"}, "l": [{"n": "a", "v": "x"}, {"n": "a"}], "e": {"kind": ""}}}
    assert [(c.field, c.reason) for c in validate(document, schema)] == [
        ("spec.m.k", "FieldValueTypeInvalid"),
        ("spec.l[0].v", "FieldValueTypeInvalid"),
        ("spec.l[1]", "FieldValueDuplicate"),
        ("spec.e.apiVersion", "FieldValueRequired"),
        ("spec.e.kind", "FieldValueRequired"),
        ("spec.a", "FieldValueRequired"),
    ]
    assert [c.field for c in validate({}, schema)] == ["spec"]


def test_what_did_not_change_is_not_judged_again() -> None:
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "string", "maxLength": 1},
            "b": {"type": "integer"},
            "l": {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["n"],
                "items": {"type": "object", "properties": {"n": {"type": "string"}, "v": {"type": "integer", "maximum": 1}}},
            },
            "plain": {"type": "array", "items": {"type": "integer", "maximum": 1}},
        },
    }
    old = {"a": "too long", "b": 1, "l": [{"n": "x", "v": 5}], "plain": [5]}
    assert check(schema, {**old, "b": 2}, old=old) == []
    assert check(schema, {**old, "l": [{"n": "y", "v": 1}, {"n": "x", "v": 5}]}, old=old) == []
    assert [c.field for c in check(schema, {**old, "a": "also too long"}, old=old)] == ["spec.x.a"]
    assert [c.field for c in check(schema, {**old, "l": [{"n": "y", "v": 5}]}, old=old)] == ["spec.x.l[0].v"]
    assert [c.field for c in check(schema, {**old, "plain": [5, 1]}, old=old)] == ["spec.x.plain[0]"]


def test_errors_are_bounded() -> None:
    causes = check({"type": "array", "items": {"type": "string"}}, list(range(10_000)))
    assert len(causes) == MAX_CAUSES + 1
    long = check({"type": "string", "pattern": "^$"}, "x" * 100_000)
    assert len(long[0].message) < 1000


def test_patterns_take_linear_time_and_have_the_syntax_of_go() -> None:
    assert compile_pattern("^(a+)+$").search("a" * 5000 + "b") is None
    assert compile_pattern(r"^\p{L}+$").search("äb") is not None
    for wrong in ("(", "(?=a)", r"(a)\1"):
        with pytest.raises(ValueError, match="error parsing regexp"):
            compile_pattern(wrong)


FORMATS: dict[str, tuple[list[str], list[str]]] = {
    "bsonobjectid": (["507f1f77bcf86cd799439011"], ["507f"]),
    "uri": (["http://example.com/x?y=1", "/path"], ["example com", ""]),
    "email": (["a.b@example.com", "Name <a@b.c>"], ["a@", "@b", "a b@c", "a..b@c"]),
    "hostname": (["example.com", "a-b", "1.example.com", "h"], ["-a", "a_b.c", "a..b", "x" * 64, "a.1"]),
    "ipv4": (["1.2.3.4", "01.2.3.4"], ["1.2.3", "1.2.3.256", "::1"]),
    "ipv6": (["::1", "fe80::1"], ["1.2.3.4", "::1%eth0", ":::"]),
    "cidr": (["10.0.0.0/8", "::/0"], ["10.0.0.0", "10.0.0.0/33", "x/8"]),
    "mac": (["00:11:22:aa:bb:cc", "00-11-22-AA-BB-CC", "0011.22aa.bbcc"], ["00:11", "00:11:22:aa-bb-cc"]),
    "uuid": (["7d444840-9dc0-11d1-b245-5ffdce74fad2", "7D4448409DC011D1B2455FFDCE74FAD2"], ["7d444840"]),
    "uuid3": (["6fa459ea-ee8a-3ca4-894e-db77e160355e"], ["6fa459ea-ee8a-4ca4-894e-db77e160355e"]),
    "uuid4": (["16fd2706-8baf-433b-82eb-8c7fada847da"], ["16fd2706-8baf-133b-82eb-8c7fada847da"]),
    "uuid5": (["886313e1-3b8a-5372-9b90-0c9aee199e5d"], ["886313e1-3b8a-3372-9b90-0c9aee199e5d"]),
    "isbn10": (["0321751043", "080442957X"], ["0321751044"]),
    "isbn13": (["978-0321751041"], ["978-0321751042"]),
    "isbn": (["0321751043", "978-0321751041"], ["123"]),
    "creditcard": (["4111-1111-1111-1111"], ["4111-1111-1111-1112", "1234"]),
    "ssn": (["111-11-1111"], ["1111"]),
    "hexcolor": (["#FFF", "a1b2c3"], ["#FFFF"]),
    "rgbcolor": (["rgb(0,128,255)"], ["rgb(0,128,256)"]),
    "byte": (["aGk="], ["aGk", "a"]),
    "password": (["anything"], []),
    "date": (["2026-02-28"], ["2026-02-30", "26-01-01"]),
    "datetime": (["2026-02-28T01:02:03Z", "2026-02-28t01:02:03.5+01:00"], ["2026-02-28", "2026-02-28T25:02:03Z"]),
    "date-time": (["2026-02-28T01:02:03Z"], ["now"]),
    "duration": (["1h30m", "22 ns", "3 days", "0"], ["soon", ""]),
    "k8s-short-name": (["a-b"], ["A", "a.b"]),
    "k8s-long-name": (["a.b"], ["A", "-"]),
}


@pytest.mark.parametrize("name", FORMATS)
def test_format(name: str) -> None:
    good, bad = FORMATS[name]
    assert is_known_format(name)
    assert [text for text in good if not has_format(text, name)] == []
    assert [text for text in bad if has_format(text, name)] == []


def test_unknown_formats_are_of_no_consequence() -> None:
    assert not is_known_format("unheard-of")
    assert has_format("x", "unheard-of")
