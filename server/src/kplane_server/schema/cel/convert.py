# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents as values of the language: numbers, times and bytes as their schema says, lists that are sets or have keys.

Most schemas need no conversion at all, because a parsed document is already made of values.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final
from weakref import WeakKeyDictionary

from kplane_server.model.errors import Json
from kplane_server.schema.cel.conversions import parse_duration, parse_timestamp
from kplane_server.schema.cel.values import EvaluationError, MapList, SetList, Value
from kplane_server.schema.structural import Schema

_FORMATS: Final = frozenset({"byte", "date", "date-time", "duration"})


def needs_conversion(schema: Schema) -> bool:
    """Whether a document of this schema has parts that are not values as they are."""
    known = _NEEDS.get(schema)
    if known is None:
        _NEEDS[schema] = False  # while a recursive definition looks at itself
        own = schema.type == "number" or (schema.type == "string" and schema.format in _FORMATS) or schema.list_type in ("set", "map")
        below = (*schema.properties.values(), schema.additional, schema.items)
        known = _NEEDS[schema] = own or any(child is not None and needs_conversion(child) for child in below)
    return known


_NEEDS: Final[WeakKeyDictionary[Schema, bool]] = WeakKeyDictionary()


def to_value(document: Json, schema: Schema) -> Value:
    """The value of a document. Raises :class:`EvaluationError` for text that is not of its format."""
    if document is None or not needs_conversion(schema):
        return document
    if isinstance(document, dict):
        properties, additional = schema.properties, schema.additional
        out: dict[str, Value] = {}
        for name, value in document.items():
            child = properties.get(name, additional)
            out[name] = value if child is None else to_value(value, child)
        return out
    if isinstance(document, list):
        return _list_value(document, schema)
    if isinstance(document, str):
        return _text_value(document, schema)
    if schema.type == "number" and isinstance(document, int) and not isinstance(document, bool):
        return float(document)
    return document


def _list_value(document: list[Json], schema: Schema) -> list[Value]:
    items = schema.items
    values = document if items is None else [to_value(item, items) for item in document]
    if schema.list_type == "set":
        return SetList(values)
    if schema.list_type == "map":
        keyed = MapList(values)
        keyed.keys = schema.list_keys
        return keyed
    return values


def _text_value(document: str, schema: Schema) -> Value:
    kind = schema.format if schema.type == "string" else ""
    if kind == "byte":
        try:
            return base64.b64decode(document, validate=True)
        except binascii.Error as error:
            raise EvaluationError(f"invalid base64: {error}") from error
    if kind == "duration":
        return parse_duration(document)
    if kind == "date":
        return parse_timestamp(f"{document}T00:00:00Z")
    if kind == "date-time":
        return parse_timestamp(document.upper())
    return document
