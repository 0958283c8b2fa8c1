# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of fields, in the very form of ``FieldsV1``: a trie of dictionaries, so that storing one needs no conversion.

A key is ``f:<name>``, ``k:<keys of a list item as JSON>``, ``v:<value of a set item as JSON>`` or ``i:<index>``.
An empty trie below a key says that the field itself is in the set; ``"."`` says so where there are fields below it as well.
Sets are never changed after they were made; they may share parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final

import orjson

#: A trie of fields. Recursive types of dictionaries are spelled out only at the top.
FieldSet = dict[str, Any]

SELF: Final = "."
_LEAF: Final[FieldSet] = {}
#: Sets from clients nested deeper than this are refused.
_MAX_DEPTH: Final = 200


def is_member(node: FieldSet) -> bool:
    """Whether the field of this node is itself in the set."""
    return not node or SELF in node


def union(left: FieldSet, right: FieldSet) -> FieldSet:
    """Fields of either set."""
    if left is right or not right:
        return left
    if not left:
        return right
    out = dict(left)
    for key, theirs in right.items():
        mine = out.get(key)
        if mine is None:
            out[key] = theirs
        elif mine is not theirs and (mine or theirs):
            if not mine:
                out[key] = theirs if SELF in theirs else {SELF: _LEAF, **theirs}
            elif not theirs:
                if SELF not in mine:
                    out[key] = {SELF: _LEAF, **mine}
            else:
                out[key] = union(mine, theirs)
    return out


def difference(left: FieldSet, right: FieldSet) -> FieldSet:
    """Fields of ``left`` that are not in ``right``. A field below a removed one stays."""
    if not right or not left:
        return left
    out: FieldSet = {}
    for key, mine in left.items():
        theirs = right.get(key)
        if theirs is None:
            out[key] = mine
            continue
        if key == SELF:
            continue
        member = is_member(mine) and not is_member(theirs)
        below = difference(mine, theirs) if mine and theirs else mine
        kept = _assemble(member, below)
        if kept is not None:
            out[key] = kept
    return out


def _assemble(member: bool, below: FieldSet) -> FieldSet | None:
    """A node from its own membership and what is below it (where a ``"."`` is ignored); ``None`` if neither is there."""
    if SELF in below:
        if member:
            return below if len(below) > 1 else _LEAF
        below = {key: child for key, child in below.items() if key != SELF}
    if not below:
        return _LEAF if member else None
    return {SELF: _LEAF, **below} if member else below


def recursive_difference(left: FieldSet, right: FieldSet) -> FieldSet:
    """Fields of ``left`` that are neither in ``right`` nor below a field that is."""
    out: FieldSet = {}
    for key, mine in left.items():
        theirs = right.get(key)
        if theirs is None:
            out[key] = mine
        elif key != SELF and not is_member(theirs):
            member = is_member(mine)
            kept = _assemble(member, recursive_difference(mine, theirs))
            if kept is not None:
                out[key] = kept
    return out


def intersection(left: FieldSet, right: FieldSet) -> FieldSet:
    """Fields of both sets."""
    out: FieldSet = {}
    for key, mine in left.items():
        theirs = right.get(key)
        if theirs is None:
            continue
        if key == SELF:
            out[key] = _LEAF
            continue
        member = is_member(mine) and is_member(theirs)
        kept = _assemble(member, intersection(mine, theirs) if mine and theirs else {})
        if kept is not None:
            out[key] = kept
    return out


def overlaps(left: FieldSet, right: FieldSet) -> bool:
    """Whether the sets have a field in common."""
    if len(right) < len(left):
        left, right = right, left
    for key, mine in left.items():
        theirs = right.get(key)
        if theirs is None:
            continue
        if key == SELF or (is_member(mine) and is_member(theirs)) or (mine and theirs and overlaps(mine, theirs)):
            return True
    return False


def add(target: FieldSet, path: Iterable[str]) -> None:
    """Put one field into a set that is still being built."""
    *parents, last = path
    for key in parents:
        child = target.get(key)
        if child is None:
            child = target[key] = {}
        elif not child:
            child = target[key] = {SELF: _LEAF}
        target = child
    below = target.get(last)
    target[last] = {SELF: _LEAF, **below} if below else {}


def from_paths(paths: Iterable[Iterable[str]]) -> FieldSet:
    """The set of some fields, each a sequence of keys."""
    out: FieldSet = {}
    for path in paths:
        add(out, path)
    return out


def members(fields: FieldSet, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every field of the set, in canonical order: the members of a node before what is below them."""
    for key in sorted((k for k in fields if k != SELF), key=_order):
        if is_member(fields[key]):
            yield (*prefix, key)
    for key in sorted((k for k in fields if k != SELF), key=_order):
        if fields[key]:
            yield from members(fields[key], (*prefix, key))


def contains(fields: FieldSet, path: Iterable[str]) -> bool:
    """Whether one field is in the set."""
    node: FieldSet | None = fields
    for key in path:
        node = node.get(key) if node else None
        if node is None:
            return False
    return node is not None and is_member(node)


_KIND_ORDER: Final = {"f": 0, "k": 1, "v": 2, "i": 3}


@lru_cache(maxsize=8192)
def _order(key: str) -> tuple[Any, ...]:
    """Sort key: fields by name, then items by their keys, then by value, then by index."""
    if key == SELF:
        return (-1,)
    kind, text = _KIND_ORDER[key[0]], key[2:]
    if kind == 0:
        return (0, text)
    if kind == 3:
        return (3, int(text))
    value = orjson.loads(text)
    if kind == 2:
        return (2, _value_order(value))
    return (1, tuple((name, _value_order(value[name])) for name in sorted(value)))


def _value_order(value: Any) -> tuple[int, Any]:
    """Values of different JSON types in a fixed order of types."""
    if isinstance(value, bool):
        return (2, value)
    if isinstance(value, (int, float)):
        return (0, value)
    if isinstance(value, str):
        return (1, value)
    return (3, orjson.dumps(value, option=orjson.OPT_SORT_KEYS))


def canonical(fields: FieldSet) -> FieldSet:
    """The same set with its keys in canonical order, so that equal sets have equal bytes."""
    if len(fields) < 2:
        return {key: canonical(child) if child else _LEAF for key, child in fields.items()}
    return {key: canonical(fields[key]) if fields[key] else _LEAF for key in sorted(fields, key=_order)}


@lru_cache(maxsize=8192)
def _normal_key(key: str) -> str:
    """A key as this module would write it. Raises ``ValueError`` for what is none."""
    kind, separator, text = key[:1], key[1:2], key[2:]
    if key == SELF or (kind == "f" and separator == ":"):
        return key
    if separator != ":" or kind not in _KIND_ORDER:
        raise ValueError(f"invalid field path element {key[:64]!r}")
    if kind == "i":
        return f"i:{int(text)}"
    value = orjson.loads(text)
    if kind == "k" and not isinstance(value, dict):
        raise ValueError(f"invalid field path element {key[:64]!r}")
    return f"{kind}:{orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()}"


def decode(document: Any, depth: int = 0) -> FieldSet:
    """A set from ``fieldsV1`` as a client sent it. Raises ``ValueError``."""
    if not isinstance(document, dict) or depth > _MAX_DEPTH:
        raise ValueError("fieldsV1 must be a tree of objects")
    out: FieldSet = {}
    for key, child in document.items():
        out[_normal_key(key)] = decode(child, depth + 1) if child else _LEAF
    if depth and len(out) == 1 and SELF in out:
        return _LEAF
    return out


def path_text(path: Iterable[str]) -> str:
    """A field as conflicts name it: ``.spec.containers[name="web"].image``."""
    return "".join(_element_text(key) for key in path)


def _element_text(key: str) -> str:
    kind, text = key[0], key[2:]
    if kind == "f":
        return f".{text}"
    if kind == "i":
        return f"[{text}]"
    value = orjson.loads(text)
    if kind == "v":
        return f"[={orjson.dumps(value).decode()}]"
    return "[" + ",".join(f"{name}={orjson.dumps(value[name]).decode()}" for name in sorted(value)) + "]"
