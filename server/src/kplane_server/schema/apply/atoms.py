# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A schema as merging sees it: is a node a leaf, a granular map, an atomic value, or a list whose items have identities?"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Final, Literal

import orjson

from kplane_server.model.errors import Json
from kplane_server.schema.patch.json_patch import equal
from kplane_server.schema.structural import MISSING, Schema


class TypedError(ValueError):
    """A document that does not fit its schema, so that nobody's ownership of it can be told."""


class Atom:
    """How values of one schema node are merged. Several of ``scalar``, ``is_list`` and ``is_map`` hold where any type is allowed.

    element: of a list its items, of a map the values of fields that are not declared (``None``: there may be none).
    same: whether two values are equal; the quick test where the schema leaves no room for true beside 1.
    present: fields that are always there (see :attr:`~kplane_server.schema.structural.Schema.present`).
    """

    __slots__ = (
        "_declared",
        "_fields",
        "_preserve",
        "atomic_list",
        "atomic_map",
        "is_list",
        "is_map",
        "key_defaults",
        "keys",
        "list_element",
        "map_element",
        "present",
        "same",
        "scalar",
    )

    def __init__(self, scalar: str = "", *, is_list: bool = False, is_map: bool = False) -> None:
        self.scalar = scalar
        self.same: Callable[[Json, Json], bool] = equal
        self.is_list = is_list
        self.is_map = is_map
        self.atomic_list = True
        self.atomic_map = False
        self.keys: tuple[str, ...] = ()
        self.key_defaults: dict[str, Json] = {}
        self.list_element: Atom | None = None
        self.map_element: Atom | None = None
        self.present: dict[str, Json] = {}
        self._declared: dict[str, Schema] = {}
        self._fields: dict[str, Atom] = {}
        self._preserve = False

    def declared(self, name: str) -> bool:
        """Whether the schema names this field."""
        return name in self._declared

    def field(self, name: str) -> Atom | None:
        """The atom of a field, or ``None`` if there may be no such field."""
        known = self._fields.get(name)
        if known is None:
            schema = self._declared.get(name)
            if schema is None:
                return self.map_element
            known = self._fields[name] = atom_of(schema, preserve=self._preserve)
        return known

    def item_key(self, item: Json) -> str:
        """The identity of an item of an associative list, as a key of a field set. Raises :class:`TypedError`."""
        if self.keys:
            return self._keyed_item(item)
        if item is None:
            raise TypedError("associative list without keys has an element that's an explicit null")
        if isinstance(item, dict):
            raise TypedError("associative list without keys has an element that's a map type")
        if isinstance(item, list):
            raise TypedError("not supported: associative list with lists as elements")
        return f"v:{orjson.dumps(item).decode()}"

    def _keyed_item(self, item: Json) -> str:
        if item is None:
            raise TypedError("associative list with keys may not have a null element")
        if not isinstance(item, dict):
            raise TypedError("associative list with keys may not have non-map elements")
        identity: dict[str, Json] = {}
        for name in self.keys:
            value = item.get(name, MISSING)
            if value is MISSING:
                value = self.key_defaults.get(name, MISSING)
            if value is not MISSING:
                identity[name] = value
        if not identity:
            names = "[" + " ".join(f'"{name}"' for name in self.keys) + "]"
            text = f"associative list with keys has an element that omits all key fields {names}"
            raise TypedError(f"{text} (and doesn't have default values for any key fields)")
        return f"k:{orjson.dumps(identity).decode()}"


def _any(*, atomic: bool) -> Atom:
    atom = Atom("untyped", is_list=True, is_map=True)
    atom.atomic_map = atomic
    atom.map_element = atom
    atom.list_element = atom
    return atom


#: A value of any type that is owned as a whole.
UNTYPED: Final = _any(atomic=True)
#: A value of any type whose objects are granular: free-form parts of custom resources.
DEDUCED: Final = _any(atomic=False)
DEDUCED.list_element = UNTYPED

_NUMERIC: Final = frozenset({"integer", "number"})
_Both = tuple[Atom | None, Atom | None]


def atom_of(schema: Schema, *, preserve: bool = False) -> Atom:
    """The atom of a schema node, made once. ``preserve``: a node above it keeps unknown fields."""
    made: _Both = schema.atom or (None, None)
    known = made[1 if preserve else 0]
    if known is None:
        known = _make(schema, preserve)
        made = schema.atom or (None, None)
        schema.atom = (made[0], known) if preserve else (known, made[1])
    return known


def _make(schema: Schema, preserve: bool) -> Atom:
    if schema.atomic:
        return UNTYPED
    kind = schema.type
    if not kind and schema.scalar:
        atom = Atom("untyped")
    else:
        atom = Atom(_scalar_kind(schema), is_list=kind in ("", "array"), is_map=kind in ("", "object"))
    if not schema.free_form:
        atom.same = operator.eq
    preserve = preserve or schema.preserve
    atom._preserve = preserve
    if atom.is_map:
        _fill_map(atom, schema, preserve)
    if atom.is_list:
        _fill_list(atom, schema, preserve)
    return atom


def _scalar_kind(schema: Schema) -> Literal["", "numeric", "string", "boolean", "untyped"]:
    if not schema.type:
        return "untyped"
    if schema.type in _NUMERIC:
        return "numeric"
    if schema.type == "boolean":
        return "boolean"
    if schema.type == "string":
        return "string" if schema.format in ("", "byte") else "untyped"
    return ""


def _fill_map(atom: Atom, schema: Schema, preserve: bool) -> None:
    atom._declared = schema.properties
    atom.atomic_map = schema.map_type == "atomic"
    atom.present = schema.present
    if schema.additional is not None:
        atom.map_element = atom_of(schema.additional, preserve=preserve)
    elif schema.open or preserve or not schema.properties:
        atom.map_element = DEDUCED


def _fill_list(atom: Atom, schema: Schema, preserve: bool) -> None:
    atom.list_element = UNTYPED if schema.items is None else atom_of(schema.items, preserve=preserve)
    if schema.list_type in ("set", "map"):
        atom.atomic_list = False
        atom.keys = tuple(sorted(schema.list_keys)) if schema.list_type == "map" else ()
    elif not schema.list_type and "merge" in schema.patch_strategies:
        atom.atomic_list = False
        atom.keys = (schema.merge_key,) if schema.merge_key else ()
    if schema.items is not None:
        for name in atom.keys:
            field = schema.items.properties.get(name)
            if field is not None and field.default is not MISSING and field.default is not None:
                atom.key_defaults[name] = field.default
