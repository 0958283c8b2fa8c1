# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The types of a built-in document, as decoding into Go structs would judge them.

Built-in kinds are not validated against their OpenAPI schema: a wrong type is a decoding error (400), worded as Go words it.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

from kplane_server.model import timestamps
from kplane_server.model.errors import Json
from kplane_server.schema.structural import Schema

_INTEGERS: Final = {"int32": range(-(2**31), 2**31), "int64": range(-(2**63), 2**63), "": range(-(2**63), 2**63)}


class _Mismatch(Exception):
    pass


def type_mismatch(document: Json, schema: Schema) -> str | None:
    """Why ``document`` cannot be decoded, or ``None``: ``json: cannot unmarshal string into Go struct field …``."""
    try:
        _check(document, schema, schema, "")
    except _Mismatch as mismatch:
        return str(mismatch)
    return None


def _check(value: Json, schema: Schema, owner: Schema, path: str) -> None:
    kind = schema.type
    if isinstance(value, dict):
        if kind == "object":
            _check_object(value, schema, schema if schema.name else owner, path)
        elif kind or schema.int_or_string or schema.scalar:
            _fail("object", schema, owner, path)
    elif isinstance(value, list):
        if kind == "array":
            items = schema.items
            if items is not None:
                for index, item in enumerate(value):
                    if item is not None:
                        _check(item, items, owner, f"{path}[{index}]")
        elif kind or schema.int_or_string or schema.scalar:
            _fail("array", schema, owner, path)
    elif value is not None:
        _check_scalar(value, schema, owner, path)


def _check_object(value: dict[str, Json], schema: Schema, owner: Schema, path: str) -> None:
    properties, additional = schema.properties, schema.additional
    for name, child_value in value.items():
        child = properties.get(name, additional)
        if child is None or child_value is None:
            continue
        if child_value.__class__ is str and child.type == "string" and not child.format:  # most fields are this
            continue
        _check(child_value, child, owner, f"{path}.{name}" if path else name)


def _check_scalar(value: Json, schema: Schema, owner: Schema, path: str) -> None:
    kind = schema.type
    if isinstance(value, str):
        if kind == "string":
            _check_text(value, schema, path)
        elif kind:
            _fail("string", schema, owner, path)
    elif isinstance(value, bool):
        if kind not in ("boolean", "") or schema.int_or_string or (not kind and schema.scalar):
            _fail("bool", schema, owner, path)
    elif kind == "integer":
        if not isinstance(value, int) or value not in _INTEGERS.get(schema.format, _INTEGERS[""]):
            _fail(f"number {value}", schema, owner, path)
    elif schema.int_or_string:
        if not isinstance(value, int):
            _fail(f"number {value}", schema, owner, path)
    elif kind not in ("number", ""):
        _fail("number", schema, owner, path)


def _check_text(value: str, schema: Schema, path: str) -> None:
    if schema.format == "byte":
        try:
            base64.b64decode(value.replace("\n", "").replace("\r", ""), validate=True)
        except (binascii.Error, ValueError) as error:
            raise _Mismatch(f"illegal base64 data in {path}: {error}") from error
    elif schema.format == "date-time" and value:
        try:
            timestamps.parse(value)
        except ValueError as error:
            raise _Mismatch(f"{error} ({path})") from error


def _go_type(schema: Schema) -> str:
    if schema.name:
        *_, version, name = ("", *schema.name.split("."))
        return f"{version}.{name}"
    if schema.type == "array":
        return "[]" + (_go_type(schema.items) if schema.items is not None else "interface {}")
    if schema.type == "object":
        return "map[string]" + (_go_type(schema.additional) if schema.additional is not None else "interface {}")
    if schema.type == "integer":
        return schema.format or "int64"
    return {"boolean": "bool", "number": "float64", "string": "string"}.get(schema.type, "interface {}")


def _fail(found: str, schema: Schema, owner: Schema, path: str) -> None:
    place = f"Go struct field {owner.name.rpartition('.')[2]}.{path}" if owner.name else "Go value"
    raise _Mismatch(f"json: cannot unmarshal {found} into {place} of type {_go_type(schema)}")
