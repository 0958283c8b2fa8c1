# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Walks over two documents, or one, by their atoms: what changed, what is named, and whether it fits at all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from kplane_server.model.errors import Json
from kplane_server.schema.apply.atoms import Atom, TypedError
from kplane_server.schema.apply.fieldset import SELF, FieldSet, path_text

ABSENT: Final[Any] = object()
_LEAF: Final[FieldSet] = {}
_MAX_ERRORS: Final = 20


@dataclass(slots=True)
class Comparison:
    """The fields that differ between two documents."""

    removed: FieldSet = field(default_factory=dict)
    modified: FieldSet = field(default_factory=dict)
    added: FieldSet = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.removed or self.modified or self.added)


def compare(before: Json, after: Json, atom: Atom) -> Comparison:
    """What it takes to get from ``before`` to ``after``. Raises :class:`TypedError` for lists whose items have no identity."""
    result = Comparison()
    removed, modified, added = _compare(before, after, atom)
    result.removed, result.modified, result.added = removed or {}, modified or {}, added or {}
    return result


#: Nodes for the removed, modified and added sets; ``None``: nothing, ``{}``: the field itself.
_Change = tuple[FieldSet | None, FieldSet | None, FieldSet | None]
_SAME: Final[_Change] = (None, None, None)
_MODIFIED: Final[_Change] = (None, _LEAF, None)


def _compare(before: Json, after: Json, atom: Atom) -> _Change:
    """Both values are there; null counts as a value."""
    if atom.same(before, after):
        return _SAME
    if (before is None or isinstance(before, dict)) and (after is None or isinstance(after, dict)) and atom.is_map:
        if atom.atomic_map or (not before and not after):
            return _MODIFIED
        return _compare_maps(before or {}, after or {}, atom)
    if (before is None or isinstance(before, list)) and (after is None or isinstance(after, list)) and atom.is_list and not atom.is_map:
        if atom.atomic_list or (not before and not after):
            return _MODIFIED
        return _compare_lists(before or [], after or [], atom)
    if isinstance(before, (dict, list)) or isinstance(after, (dict, list)):
        return _compare_kinds(before, after, atom)
    return _MODIFIED


def _compare_kinds(before: Json, after: Json, atom: Atom) -> _Change:
    """Values of different kinds, where any kind is allowed, or lists of such a place."""
    if isinstance(before, list) and isinstance(after, list):
        return _MODIFIED if atom.atomic_list else _compare_lists(before, after, atom)
    removed = describe(before, atom) if isinstance(before, (dict, list)) else None
    added = describe(after, atom) if isinstance(after, (dict, list)) else None
    return _below(removed), _LEAF, _below(added)


def _below(node: FieldSet | None) -> FieldSet | None:
    """A node without its own membership."""
    if not node:
        return None
    return {key: child for key, child in node.items() if key != SELF} or None


def _compare_maps(before: dict[str, Json], after: dict[str, Json], atom: Atom) -> _Change:
    removed: FieldSet = {}
    modified: FieldSet = {}
    added: FieldSet = {}
    present, same = atom.present, atom.same
    for name, new in after.items():
        old = before.get(name, ABSENT)
        if old is ABSENT and name in present:
            old = present[name]
        if old is ABSENT:
            added[f"f:{name}"] = describe(new, _field(atom, name))
        elif old is not new and not same(old, new):
            _collect(f"f:{name}", _compare(old, new, _field(atom, name)), removed, modified, added)
    for name, old in before.items():
        if name not in after:
            if name in present:
                _collect(f"f:{name}", _compare(old, present[name], _field(atom, name)), removed, modified, added)
            else:
                removed[f"f:{name}"] = describe(old, _field(atom, name))
    return removed or None, modified or None, added or None


def _collect(key: str, change: _Change, removed: FieldSet, modified: FieldSet, added: FieldSet) -> None:
    if change[0] is not None:
        removed[key] = change[0]
    if change[1] is not None:
        modified[key] = change[1]
    if change[2] is not None:
        added[key] = change[2]


def _field(atom: Atom, name: str) -> Atom:
    found = atom.field(name)
    if found is None:
        raise TypedError(f".{name}: field not declared in schema")
    return found


def _element(atom: Atom) -> Atom:
    assert atom.list_element is not None  # every list atom has one
    return atom.list_element


def _index(items: list[Json], atom: Atom) -> dict[str, list[Json]]:
    """The items of an associative list by identity, duplicates together."""
    found: dict[str, list[Json]] = {}
    for item in items:
        found.setdefault(atom.item_key(item), []).append(item)
    return found


def _compare_lists(before: list[Json], after: list[Json], atom: Atom) -> _Change:
    """Duplicates (which only ordinary updates may make) are compared, and owned, together."""
    removed: FieldSet = {}
    modified: FieldSet = {}
    added: FieldSet = {}
    element = _element(atom)
    old, new = _index(before, atom), _index(after, atom)
    for key in {**old, **new}:
        was, now = old.get(key, []), new.get(key, [])
        if len(was) >= 2 and len(now) >= 2:
            if not atom.same(was, now):
                modified[key] = _LEAF
        elif len(was) >= 2:
            removed[key] = _LEAF
            if now:
                added[key] = describe(now[0], element)
        elif len(now) >= 2:
            added[key] = _LEAF
            if was:
                removed[key] = describe(was[0], element)
        elif not was:
            added[key] = describe(now[0], element)
        elif not now:
            removed[key] = describe(was[0], element)
        elif not atom.same(was[0], now[0]):
            _collect(key, _compare(was[0], now[0], element), removed, modified, added)
    return removed or None, modified or None, added or None


def describe(value: Json, atom: Atom) -> FieldSet:
    """The node of a value that is there in one document only: itself and all that is below it."""
    if isinstance(value, dict):
        if not value or atom.atomic_map or not atom.is_map:
            return _LEAF
        node: FieldSet = {SELF: _LEAF}
        for name, child in value.items():
            if child.__class__ is str:
                node[f"f:{name}"] = _LEAF
            else:
                node[f"f:{name}"] = describe(child, _field(atom, name))
        return node
    if isinstance(value, list):
        if not value or atom.atomic_list or not atom.is_list:
            return _LEAF
        node = {SELF: _LEAF}
        element = _element(atom)
        for key, items in _index(value, atom).items():
            node[key] = describe(items[0], element) if len(items) == 1 else _LEAF
        return node
    return _LEAF


def to_fieldset(value: Json, atom: Atom) -> FieldSet:
    """The fields that a configuration names: its leaves and items, but not the structs around them."""
    node = _named(value, atom)
    return {} if node is None else node


def _named(value: Json, atom: Atom) -> FieldSet | None:
    """The node below a value without its own membership; ``{}`` for a leaf, ``None`` for nothing."""
    if isinstance(value, dict) and atom.is_map:
        return _LEAF if atom.atomic_map else _named_fields(value, atom)
    if isinstance(value, list) and atom.is_list:
        return _LEAF if atom.atomic_list else _named_items(value, atom)
    if value is None and ((atom.is_map and not atom.atomic_map) or (atom.is_list and not atom.is_map and not atom.atomic_list)):
        return None
    return _LEAF


def _named_fields(value: dict[str, Json], atom: Atom) -> FieldSet | None:
    out: FieldSet = {}
    for name, child in value.items():
        below = _named(child, _field(atom, name))
        if child is None or child == {} or not atom.declared(name):
            out[f"f:{name}"] = {SELF: _LEAF, **below} if below else _LEAF
        elif below is not None:
            out[f"f:{name}"] = below
    return out or None


def _named_items(value: list[Json], atom: Atom) -> FieldSet | None:
    out: FieldSet = {}
    element = _element(atom)
    for key, items in _index(value, atom).items():
        below = _named(items[0], element) if len(items) == 1 else None
        out[key] = {SELF: _LEAF, **below} if below else _LEAF
    return out or None


def with_named_fields(fields: FieldSet, atom: Atom | None) -> FieldSet:
    """The set together with the declared fields that it only passes through (``spec`` of ``spec.replicas``)."""
    out: FieldSet = {}
    for key, node in fields.items():
        if not node:
            out[key] = node
            continue
        child = _child_atom(atom, key)
        below = with_named_fields(node, child)
        if SELF not in below and atom is not None and key.startswith("f:") and atom.is_map and atom.declared(key[2:]):
            below = {SELF: _LEAF, **below}
        out[key] = below
    return out


def _child_atom(atom: Atom | None, key: str) -> Atom | None:
    if atom is None:
        return None
    if key.startswith("f:"):
        return atom.field(key[2:]) if atom.is_map else None
    return atom.list_element if atom.is_list and key.startswith("k:") else None


def remove_items(value: Json, unwanted: FieldSet, atom: Atom) -> Json:
    """``value`` without the given fields and items; what becomes empty becomes null. Shares what it keeps."""
    if isinstance(value, dict) and atom.is_map:
        return _remove_fields(value, unwanted, atom)
    if isinstance(value, list) and atom.is_list:
        return _remove_list_items(value, unwanted, atom)
    return value


def _remove_fields(value: dict[str, Json], unwanted: FieldSet, atom: Atom) -> Json:
    if not value or atom.atomic_map:
        return None
    out: dict[str, Json] = {}
    for name, child in value.items():
        node = unwanted.get(f"f:{name}")
        if node is None:
            out[name] = child
        elif node and SELF not in node:
            found = atom.field(name)
            out[name] = child if found is None else remove_items(child, node, found)
    return out or None


def _remove_list_items(value: list[Json], unwanted: FieldSet, atom: Atom) -> Json:
    if not value or atom.atomic_list:
        return None
    out: list[Json] = []
    for item in value:
        node = unwanted.get(atom.item_key(item))
        if node is None:
            out.append(item)
        elif node and SELF not in node:
            out.append(remove_items(item, node, _element(atom)))
    return out or None


def fits(value: Json, atom: Atom) -> None:
    """Raises :class:`TypedError`, naming every problem, if a configuration cannot be applied by this schema."""
    errors: list[str] = []
    _fits(value, atom, (), errors)
    if errors:
        raise TypedError(errors[0] if len(errors) == 1 else "errors:\n  " + "\n  ".join(errors))


_SCALAR_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "numeric": (int, float),
    "string": (str,),
    "boolean": (bool,),
    "untyped": (int, float, str, bool),
}
_EXPECTED: Final = {"numeric": "numeric (int or float)", "string": "string", "boolean": "boolean", "untyped": "any scalar"}


def _fits(value: Json, atom: Atom, path: tuple[str, ...], errors: list[str]) -> None:
    if value is None or len(errors) >= _MAX_ERRORS:
        return
    if isinstance(value, dict) and atom.is_map:
        for name, child in value.items():
            found = atom.field(name)
            if found is None:
                errors.append(f"{path_text((*path, f'f:{name}'))}: field not declared in schema")
            else:
                _fits(child, found, (*path, f"f:{name}"), errors)
    elif isinstance(value, list) and atom.is_list:
        _list_fits(value, atom, path, errors)
    elif not atom.scalar:
        errors.append(f"{path_text(path)}: expected {'map' if atom.is_map else 'list'}, got {_go_value(value)}")
    elif not isinstance(value, _SCALAR_TYPES[atom.scalar]) or (isinstance(value, bool) and atom.scalar == "numeric"):
        errors.append(f"{path_text(path)}: expected {_EXPECTED[atom.scalar]}, got {_go_value(value)}")


def _list_fits(value: list[Json], atom: Atom, path: tuple[str, ...], errors: list[str]) -> None:
    seen: set[str] = set()
    for index, item in enumerate(value):
        key = f"i:{index}"
        if not atom.atomic_list:
            try:
                key = atom.item_key(item)
            except TypedError as error:
                errors.append(f"{path_text(path)}: element {index}: {error}")
                return
            if key in seen:
                errors.append(f"{path_text(path)}: duplicate entries for key {path_text((key,))}")
            seen.add(key)
        _fits(item, _element(atom), (*path, key), errors)


def _go_value(value: Json) -> str:
    """A value that did not fit; containers only by their kind, since errors never repeat bodies."""
    if isinstance(value, dict):
        return "map"
    if isinstance(value, list):
        return "list"
    return orjson.dumps(value).decode()[:128]


def reconcile(fields: FieldSet, atom: Atom) -> FieldSet:
    """The set after a schema change: where a part became atomic, its fields become ownership of the whole."""
    out: FieldSet | None = None
    for key, node in fields.items():
        if not node:
            continue
        child = _child_atom(atom, key)
        if child is None:
            continue
        if (child.is_map and child.atomic_map) or (child.is_list and child.atomic_list and not child.is_map):
            changed: FieldSet = _LEAF
        else:
            changed = reconcile(node, child)
        if changed is not node:
            out = out if out is not None else dict(fields)
            out[key] = changed
    return fields if out is None else out
