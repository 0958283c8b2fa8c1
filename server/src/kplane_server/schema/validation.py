# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Validation of a custom resource against its schema, with the causes and words of Kubernetes.

On an update, what did not change is not judged again ("ratcheting", KEP-4008).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final

import orjson

from kplane_server.model.errors import Cause, Json
from kplane_server.schema.formats import has_format
from kplane_server.schema.limits import Limits, matches
from kplane_server.schema.patch.json_patch import equal
from kplane_server.schema.structural import Schema

#: Validation stops after this many errors: the rest would help nobody.
MAX_CAUSES: Final = 100
_ABSENT: Final[Any] = object()
#: Classes of values that are right by their type alone, where a schema has no limits: most fields, so they are passed over.
_PLAIN: Final[dict[type, str]] = {str: "string", bool: "boolean"}


class _TooMany(Exception):
    pass


class _Report:
    """Causes found so far."""

    __slots__ = ("causes",)

    def __init__(self) -> None:
        self.causes: list[Cause] = []

    def add(self, reason: str, path: str, message: str) -> None:
        self.causes.append(Cause(reason, message, path))
        if len(self.causes) >= MAX_CAUSES:
            raise _TooMany

    def invalid(self, path: str, value: Json, detail: str) -> None:
        self.add("FieldValueInvalid", path, f"Invalid value: {show(value)}: {path} in body {detail}")

    def type_invalid(self, path: str, value: Json, expected: str) -> None:
        detail = f"{path} in body must be of type {expected}: {show(value)}"
        self.add("FieldValueTypeInvalid", path, f"Invalid value: {show(value)}: {detail}")


def show(value: Json) -> str:
    """A value as a field error shows it, cut so that an error never repeats a large body."""
    text = orjson.dumps(value).decode()
    return text if len(text) <= 512 else text[:509] + "..."


def validate(document: Json, schema: Schema, *, path: str = "", old: Json = _ABSENT) -> list[Cause]:
    """What is wrong with ``document``. ``old``: the document before an update; parts equal to it are accepted as they are."""
    report = _Report()
    try:
        _validate(document, schema, path, old, report)
    except _TooMany:
        report.causes.append(Cause("FieldValueTooMany", f"Too many errors: only the first {MAX_CAUSES} are listed", path))
    return report.causes


def _validate(value: Json, schema: Schema, path: str, old: Json, report: _Report) -> None:
    if old is not _ABSENT and value == old and equal(value, old):
        return
    if not _check_type(value, schema, path, report):
        return
    limits = schema.limits
    if limits is not None:
        _check_limits(value, limits, path, report)
    if isinstance(value, dict):
        _validate_object(value, schema, path, old, report)
    elif isinstance(value, list):
        _validate_list(value, schema, path, old, report)


_TYPE_NAMES: Final[dict[type, str]] = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    dict: "object",
    list: "array",
}


def _type_name(value: Json) -> str:
    name = _TYPE_NAMES.get(value.__class__)
    return name if name is not None else next(name for kind, name in _TYPE_NAMES.items() if isinstance(value, kind))


def _check_type(value: Json, schema: Schema, path: str, report: _Report) -> bool:
    """Whether the type is right, so that looking further makes sense. A null that is allowed needs no further look."""
    if value is None:
        if schema.nullable or (not schema.type and not schema.int_or_string):
            return bool(schema.limits is not None and schema.limits.enum is not None)
        report.type_invalid(path, "null", "integer,string" if schema.int_or_string else schema.type)
        return False
    actual = _type_name(value)
    if schema.int_or_string:
        if actual not in ("integer", "string"):
            report.type_invalid(path, actual, "integer,string")
        return actual in ("integer", "string")
    expected = schema.type
    if not expected or actual == expected or (expected == "number" and actual == "integer"):
        return not (schema.limits is not None and expected == "integer" and not _check_integer(value, schema, path, report))
    if expected == "integer" and actual == "number" and float(value).is_integer():
        return _check_integer(value, schema, path, report)
    report.type_invalid(path, actual, expected)
    return False


def _check_integer(value: Json, schema: Schema, path: str, report: _Report) -> bool:
    if schema.format == "int32" and not -(2**31) <= value < 2**31:
        report.invalid(path, value, f"must be of type {schema.format}: out of range")
        return False
    return True


def _check_limits(value: Json, limits: Limits, path: str, report: _Report) -> None:
    if limits.enum is not None and not any([equal(value, allowed) for allowed in limits.enum]):
        choices = ", ".join(show(choice if isinstance(choice, str) else show(choice)) for choice in limits.enum)
        report.add("FieldValueNotSupported", path, f"Unsupported value: {show(value)}: supported values: {choices}")
    if isinstance(value, str):
        _check_string(value, limits, path, report)
    elif isinstance(value, dict):
        _check_property_count(value, limits, path, report)
    elif isinstance(value, list):
        _check_item_count(value, limits, path, report)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        _check_number(value, limits, path, report)
    if limits.all_of or limits.any_of or limits.one_of or limits.negated is not None:
        _check_combinations(value, limits, path, report)


def _check_string(value: str, limits: Limits, path: str, report: _Report) -> None:
    if limits.max_length is not None and len(value) > limits.max_length:
        unit = "byte" if limits.max_length == 1 else "bytes"
        report.add("FieldValueTooLong", path, f"Too long: may not be more than {limits.max_length} {unit}")
    if limits.min_length is not None and len(value) < limits.min_length:
        report.invalid(path, value, f"should be at least {limits.min_length} chars long")
    if limits.pattern is not None and not matches(limits.pattern, value):
        report.invalid(path, value, f"should match '{limits.pattern}'")
    if limits.format and not has_format(value, limits.format):
        report.type_invalid(path, value, limits.format)


def _check_number(value: float, limits: Limits, path: str, report: _Report) -> None:
    maximum, minimum = limits.maximum, limits.minimum
    if maximum is not None and (value > maximum or (limits.exclusive_maximum and value == maximum)):
        report.invalid(path, value, f"should be less than {'' if limits.exclusive_maximum else 'or equal to '}{_number(maximum)}")
    if minimum is not None and (value < minimum or (limits.exclusive_minimum and value == minimum)):
        report.invalid(path, value, f"should be greater than {'' if limits.exclusive_minimum else 'or equal to '}{_number(minimum)}")
    if limits.multiple_of:
        if isinstance(value, int) and float(limits.multiple_of).is_integer():
            divides = value % int(limits.multiple_of) == 0
        else:
            quotient = value / limits.multiple_of
            divides = math.isfinite(quotient) and math.isclose(quotient, round(quotient), rel_tol=1e-15, abs_tol=0)
        if not divides:
            report.invalid(path, value, f"should be a multiple of {_number(limits.multiple_of)}")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)


def _check_item_count(value: list[Json], limits: Limits, path: str, report: _Report) -> None:
    if limits.max_items is not None and len(value) > limits.max_items:
        report.add("FieldValueTooMany", path, _too_many(len(value), limits.max_items))
    if limits.min_items is not None and len(value) < limits.min_items:
        report.invalid(path, len(value), f"should have at least {limits.min_items} items")
    if limits.unique_items and _first_duplicate(_keys_of(value)) is not None:
        report.invalid(path, "", "shouldn't contain duplicates")


def _check_property_count(value: dict[str, Json], limits: Limits, path: str, report: _Report) -> None:
    if limits.max_properties is not None and len(value) > limits.max_properties:
        report.add("FieldValueTooMany", path, _too_many(len(value), limits.max_properties))
    if limits.min_properties is not None and len(value) < limits.min_properties:
        report.invalid(path, len(value), f"should have at least {limits.min_properties} properties")


def _too_many(actual: int, allowed: int) -> str:
    return f"Too many: {actual}: must have at most {allowed} item{'' if allowed == 1 else 's'}"


def _check_combinations(value: Json, limits: Limits, path: str, report: _Report) -> None:
    def errors(member: Schema) -> list[Cause]:
        return validate(value, member, path=path)

    def fail(text: str) -> None:
        report.add("FieldValueInvalid", "<nil>", f'Invalid value: "": "{path}" {text}')

    for member in limits.all_of:
        found = errors(member)
        if found:
            for cause in found:
                report.add(cause.reason, cause.field, cause.message)
            fail("must validate all the schemas (allOf)")
    if limits.any_of:
        results = [errors(member) for member in limits.any_of]
        if all(results):
            fail("must validate at least one schema (anyOf)")
            for cause in min(results, key=len):
                report.add(cause.reason, cause.field, cause.message)
    if limits.one_of:
        results = [errors(member) for member in limits.one_of]
        valid = sum(not found for found in results)
        if valid != 1:
            found_text = "Found none valid" if valid == 0 else f"Found {valid} valid alternatives"
            fail(f"must validate one and only one schema (oneOf). {found_text}")
            for cause in min(results, key=len) if valid == 0 else ():
                report.add(cause.reason, cause.field, cause.message)
    if limits.negated is not None and not errors(limits.negated):
        fail("must not validate the schema (not)")


def _validate_object(value: dict[str, Json], schema: Schema, path: str, old: Json, report: _Report) -> None:
    before = old if isinstance(old, dict) else None
    properties, additional = schema.properties, schema.additional
    for name, child_value in value.items():
        child = properties.get(name, additional)
        if child is not None and (child.limits is not None or child.type != _PLAIN.get(child_value.__class__)):
            was = before.get(name, _ABSENT) if before is not None else _ABSENT
            _validate(child_value, child, f"{path}.{name}" if path else name, was, report)
    for name in schema.required:
        if name not in value:
            report.add("FieldValueRequired", f"{path}.{name}" if path else name, "Required value")
    if schema.embedded:
        for name in ("apiVersion", "kind"):
            if not value.get(name):
                report.add("FieldValueRequired", f"{path}.{name}" if path else name, "Required value: must not be empty")


def _validate_list(value: list[Json], schema: Schema, path: str, old: Json, report: _Report) -> None:
    items, list_type = schema.items, schema.list_type
    if items is not None:
        before: dict[bytes, Json] = {}
        if list_type == "map" and isinstance(old, list):
            before = {_map_key(item, schema): item for item in old if isinstance(item, dict)}
        for index, item in enumerate(value):
            was = before.get(_map_key(item, schema), _ABSENT) if before and isinstance(item, dict) else _ABSENT
            _validate(item, items, f"{path}[{index}]", was, report)
    if list_type == "set":
        _report_duplicates(value, _keys_of(value), path, report)
    elif list_type == "map" and all(isinstance(item, dict) for item in value):
        _report_duplicates([_map_key_document(item, schema) for item in value], (_map_key(item, schema) for item in value), path, report)


def _keys_of(values: Iterable[Json]) -> Iterable[bytes]:
    return (orjson.dumps(value, option=orjson.OPT_SORT_KEYS) for value in values)


def _map_key_document(item: dict[str, Json], schema: Schema) -> dict[str, Json]:
    return {key: item[key] for key in schema.list_keys if key in item}


def _map_key(item: dict[str, Json], schema: Schema) -> bytes:
    return orjson.dumps(_map_key_document(item, schema), option=orjson.OPT_SORT_KEYS)


def _first_duplicate(keys: Iterable[bytes]) -> int | None:
    seen: set[bytes] = set()
    for index, key in enumerate(keys):
        if key in seen:
            return index
        seen.add(key)
    return None


def _report_duplicates(values: list[Json], keys: Iterable[bytes], path: str, report: _Report) -> None:
    seen: set[bytes] = set()
    for index, key in enumerate(keys):
        if key in seen:
            report.add("FieldValueDuplicate", f"{path}[{index}]", f"Duplicate value: {show(values[index])}")
        seen.add(key)
