# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Types, and what a schema declares: the type of a document, its fields, and how large it can be.

What has no type of its own in the schema (unknown fields that are kept) is not declared at all: expressions cannot name it.
Source: ``SchemaDeclType`` in https://github.com/kubernetes/apiserver/blob/v0.34.2/pkg/cel/common/schemas.go.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from kplane_server.schema.cel.parser import RESERVED
from kplane_server.schema.structural import MISSING, Schema

#: No request is larger (bytes), so nothing without a bound of its own is either.
MAX_REQUEST: Final = 3 * 1024 * 1024
_MAX_TIME: Final = 32  # characters of a date-time or duration, with its quotes
_DATE: Final = 12


@dataclass(frozen=True, slots=True)
class Type:
    """A type. ``parameters``: of a list its items, of a map keys and values, of an optional what it holds.

    A type parameter is named ``<A>``. ``declaration``: of an object. ``fields``: of an object whose fields are known one by one.
    """

    name: str
    parameters: tuple[Type, ...] = ()
    declaration: Declaration | None = None
    fields: Mapping[str, Type] | None = field(default=None, compare=False)

    @property
    def element(self) -> Type:
        """What a list, a map or an optional holds."""
        return self.parameters[-1] if self.parameters else DYN

    @property
    def is_parameter(self) -> bool:
        return self.name[0] == "<"

    @property
    def is_struct(self) -> bool:
        """Whether it has fields, as objects and the values of Kubernetes' libraries do."""
        return self.declaration is not None or self.fields is not None or self.name in _STRUCTS or is_made(self)

    def __str__(self) -> str:
        name = _SHOWN.get(self.name, self.name)
        return f"{name}({', '.join(map(str, self.parameters))})" if self.parameters else name


_SHOWN: Final = {"null_type": "null", "google.protobuf.Duration": "duration", "google.protobuf.Timestamp": "timestamp"}


def is_made(kind: Type) -> bool:
    """Whether a type is one that patches are made of."""
    return kind.name == "JSONPatch" or kind.name.partition(".")[0] == "Object"


DYN: Final = Type("dyn")
BOOL: Final = Type("bool")
INT: Final = Type("int")
STRING: Final = Type("string")
NULL: Final = Type("null_type")
_STRUCTS: Final = frozenset(
    {"kubernetes.Quantity", "kubernetes.URL", "kubernetes.Semver", "kubernetes.NamedFormat", "kubernetes.authorization.Authorizer"}
    | {f"kubernetes.authorization.{name}" for name in ("PathCheck", "GroupCheck", "ResourceCheck", "Decision")}
)
#: The value type, the smallest JSON, and the longest text of strings with a format.
_FORMATS: Final = {
    "byte": ("bytes", 2, 0),
    "duration": ("google.protobuf.Duration", 3, _MAX_TIME),
    "date": ("google.protobuf.Timestamp", _DATE, _DATE),
    "date-time": ("google.protobuf.Timestamp", 21, _MAX_TIME),
}
_SCALARS: Final = {"boolean": (BOOL, 4), "integer": (INT, 1), "number": (Type("double"), 1)}


def list_type(element: Type) -> Type:
    return Type("list", (element,))


def map_type(key: Type, value: Type) -> Type:
    return Type("map", (key, value))


def optional_type(held: Type) -> Type:
    return Type("optional_type", (held,))


class Declaration:
    """What a node of a schema declares.

    largest: the most characters, items or entries that it can have. smallest: its shortest JSON (bytes).
    """

    def __init__(self, kind: str, largest: int, smallest: int, *, element: Declaration | None = None, node: Schema | None = None) -> None:
        self.kind = kind
        self.largest = largest
        self._smallest = smallest
        self.element = element
        self._node = node
        self._root = False

    @cached_property
    def fields(self) -> Mapping[str, Declaration]:
        """The fields of an object, by their names as expressions write them."""
        if self._node is None or self.kind != "object":
            return {}
        properties = dict(self._node.properties)
        found: dict[str, Declaration] = {}
        if self._root:
            for name in ("metadata", "apiVersion", "kind"):
                properties.pop(name, None)
            found = {"apiVersion": _TEXT, "kind": _TEXT, "metadata": _METADATA}
        for name, child in properties.items():
            escaped = escape(name)
            declared = declare(child, root=child.embedded) if escaped else None
            if escaped and declared is not None:
                found[escaped] = declared
        return found

    @cached_property
    def smallest(self) -> int:
        if self.kind != "object" or self._node is None:
            return self._smallest
        total = self._smallest
        for name in self._node.required:
            child = self._node.properties.get(name)
            if self._root and name in ("metadata", "apiVersion", "kind"):
                total += len(name) + (_METADATA if name == "metadata" else _TEXT).smallest + 4
            elif child is not None and child.default in (MISSING, None):
                declared = declare(child, root=child.embedded)
                total += 0 if declared is None else len(name) + declared.smallest + 4
        return total

    @cached_property
    def type(self) -> Type:
        """The type of a value that is declared so."""
        if self.kind == "object":
            return Type("object", declaration=self)
        if self.element is not None:
            return list_type(self.element.type) if self.kind == "list" else map_type(STRING, self.element.type)
        return Type(self.kind)


_TEXT: Final = Declaration("string", MAX_REQUEST - 2, 2)
#: The key of a map: upstream has no bound for it, and reckons with none.
KEY: Final = Declaration("string", 0, 2)


class _Metadata(Declaration):
    """What rules may know of an object's metadata."""

    @cached_property
    def fields(self) -> Mapping[str, Declaration]:
        return {"name": _TEXT, "generateName": _TEXT}


_METADATA: Final = _Metadata("object", 0, 2)


def declare(schema: Schema | None, *, root: bool = False) -> Declaration | None:
    """What a node declares; None for what expressions cannot see. ``root``: of a custom resource, or of one embedded in another."""
    if schema is None:
        return None
    if schema.int_or_string:
        return Declaration("dyn", _longest(schema, MAX_REQUEST - 2), 1)
    kind = schema.type
    if kind == "object":
        return _declare_object(schema, root)
    if kind == "array":
        items = declare(schema.items, root=schema.items is not None and schema.items.embedded)
        if items is None:
            return None
        return Declaration("list", _bound(schema, "max_items", (MAX_REQUEST - 2) // (items.smallest + 1)), 2, element=items)
    if kind == "string":
        return _declare_text(schema)
    if kind in _SCALARS:
        found, smallest = _SCALARS[kind]
        return Declaration(found.name, 0, smallest)
    return Declaration("dyn", 0, 1) if schema.typed else None


def _declare_object(schema: Schema, root: bool) -> Declaration | None:
    if schema.additional is not None:
        values = declare(schema.additional, root=schema.additional.embedded)
        if values is None:
            return None
        return Declaration("map", _bound(schema, "max_properties", (MAX_REQUEST - 2) // (values.smallest + 6)), 2, element=values)
    if schema.typed and schema.open:
        return Declaration("dyn", 0, 1)
    declared = Declaration("object", 0, 2, node=schema)
    declared._root = root
    return declared


def _declare_text(schema: Schema) -> Declaration:
    name, smallest, longest = _FORMATS.get(schema.format, ("string", 2, 0))
    if schema.format == "byte":
        return Declaration(name, _bound(schema, "max_length", MAX_REQUEST - 2), smallest)
    if longest:
        return Declaration(name, longest, smallest)
    limits = schema.limits
    if limits is not None and limits.max_length is None and limits.enum:
        return Declaration(name, max(len(value.encode()) if isinstance(value, str) else 0 for value in limits.enum), smallest)
    return Declaration(name, _longest(schema, MAX_REQUEST - 2), smallest)


def _bound(schema: Schema, limit: str, otherwise: int) -> int:
    """A limit of the schema's own."""
    value = None if schema.limits is None else getattr(schema.limits, limit)
    return otherwise if value is None else max(0, value)


def _longest(schema: Schema, otherwise: int) -> int:
    """The longest text in bytes: a character may take four."""
    value = None if schema.limits is None else schema.limits.max_length
    return otherwise if value is None else 4 * max(0, value)


_KEYWORDS: Final = RESERVED | {"true", "false", "null", "in"}
_SPECIAL: Final = re.compile(r"__|[-./]")
_ESCAPES: Final = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
_NAMEABLE: Final = re.compile(r"[A-Za-z_./-][A-Za-z0-9_./-]*", re.ASCII)


def escape(name: str) -> str:
    """The name of a field as expressions write it; empty when they cannot."""
    if not _NAMEABLE.fullmatch(name):
        return ""
    if name in _KEYWORDS:
        return f"__{name}__"
    return _SPECIAL.sub(lambda found: _ESCAPES[found[0]], name)
