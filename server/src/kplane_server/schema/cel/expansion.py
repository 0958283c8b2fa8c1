# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Macros written out as loops, the way cel-go does it: types and worst-case costs are reckoned on that.

Evaluation does not need it (see :mod:`~kplane_server.schema.cel.macros`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from kplane_server.schema.cel.parser import Bind, Call, Ident, Index, ListOf, Literal, Loop, MapOf, Node, Presence, Select, StructOf
from kplane_server.schema.cel.values import CompileError

_RESULT: Final = "@result"
_SORTED: Final = "@__sortBy_input__"


def expand(node: Node) -> Node:
    """A tree without macros, indexes and optional selections: those are calls."""
    match node:
        case Literal() | Ident():
            return node
        case Select():
            operand = expand(node.operand)
            if node.optional:
                return Call(None, "_?._", (operand, Literal(node.field, node.position)), node.position)
            return Select(operand, node.field, False, node.position)
        case Index():
            return _call("_[?_]" if node.optional else "_[_]", node.position, expand(node.operand), expand(node.key))
        case ListOf():
            return ListOf(tuple((expand(item), optional) for item, optional in node.items), node.position)
        case MapOf():
            entries = tuple((expand(key), expand(value), optional) for key, value, optional in node.entries)
            return MapOf(entries, node.position)
        case StructOf():
            fields = tuple((name, expand(value), optional) for name, value, optional in node.fields)
            return StructOf(node.name, fields, node.position)
        case Call():
            return _expand_call(node)
    return node  # made by an expansion already


def _expand_call(node: Call) -> Node:
    if node.target is None:
        if node.function == "has":
            selection = node.arguments[0] if len(node.arguments) == 1 else None
            if not isinstance(selection, Select):
                raise CompileError("invalid argument to has() macro", node.position)
            return Presence(expand(selection.operand), selection.field, node.position)
        name = "@in" if node.function == "_in_" else node.function
        return _call(name, node.position, *map(expand, node.arguments))
    macro = _MACROS.get((node.function, len(node.arguments)))
    if macro is not None:
        return macro(node)
    arguments = tuple(map(expand, node.arguments))
    return Call(expand(node.target), node.function, arguments, node.position)


def _call(function: str, position: int, *arguments: Node) -> Node:
    return Call(None, function, arguments, position)


def _names(node: Call, count: int) -> tuple[str, ...]:
    names = tuple(argument.name for argument in node.arguments[:count] if isinstance(argument, Ident))
    if len(names) != count:
        raise CompileError("argument must be a simple name", node.position)
    return names


def _target(node: Call) -> Node:
    assert node.target is not None  # macros are calls on a value
    return expand(node.target)


def _quantifier(variables: int, *, every: bool) -> Callable[[Call], Node]:
    def make(node: Call) -> Node:
        at = node.position
        so_far: Node = Ident(_RESULT, at)
        going_on = _call("@not_strictly_false", at, so_far if every else _call("!_", at, so_far))
        step = _call("_&&_" if every else "_||_", at, Ident(_RESULT, at), expand(node.arguments[variables]))
        return Loop(_target(node), _names(node, variables), _RESULT, Literal(every, at), going_on, step, Ident(_RESULT, at), at)

    return make


def _exists_one(variables: int) -> Callable[[Call], Node]:
    def make(node: Call) -> Node:
        at = node.position
        one_more = _call("_+_", at, Ident(_RESULT, at), Literal(1, at))
        step = _call("_?_:_", at, expand(node.arguments[variables]), one_more, Ident(_RESULT, at))
        end = _call("_==_", at, Ident(_RESULT, at), Literal(1, at))
        return Loop(_target(node), _names(node, variables), _RESULT, Literal(0, at), Literal(True, at), step, end, at)

    return make


def _collect(over: Node, names: tuple[str, ...], test: Node | None, start: Node, step: Node, at: int) -> Node:
    """A loop that makes a list or a map of those that pass a test."""
    if test is not None:
        step = _call("_?_:_", at, test, step, Ident(_RESULT, at))
    return Loop(over, names, _RESULT, start, Literal(True, at), step, Ident(_RESULT, at), at)


def _appended(value: Node, at: int) -> Node:
    return _call("_+_", at, Ident(_RESULT, at), ListOf(((value, False),), at))


def _list_maker(variables: int, *, tested: bool) -> Callable[[Call], Node]:
    def make(node: Call) -> Node:
        at = node.position
        test = expand(node.arguments[variables]) if tested else None
        step = _appended(expand(node.arguments[-1]), at)
        return _collect(_target(node), _names(node, variables), test, ListOf((), at), step, at)

    return make


def _filter(node: Call) -> Node:
    at, names = node.position, _names(node, 1)
    return _collect(_target(node), names, expand(node.arguments[1]), ListOf((), at), _appended(Ident(names[0], at), at), at)


def _map_maker(*, entries: bool, tested: bool) -> Callable[[Call], Node]:
    def make(node: Call) -> Node:
        at, names = node.position, _names(node, 2)
        value = expand(node.arguments[-1])
        made = (value,) if entries else (Ident(names[0], at), value)
        step = _call("cel.@mapInsert", at, Ident(_RESULT, at), *made)
        return _collect(_target(node), names, expand(node.arguments[2]) if tested else None, MapOf((), at), step, at)

    return make


def _sort_by(node: Call) -> Node:
    at = node.position
    keys = _collect(Ident(_SORTED, at), _names(node, 1), None, ListOf((), at), _appended(expand(node.arguments[1]), at), at)
    inner = Call(Ident(_SORTED, at), "@sortByAssociatedKeys", (keys,), at)
    return Bind(_SORTED, _target(node), inner, at)


def _optional_map(*, flat: bool) -> Callable[[Call], Node]:
    def make(node: Call) -> Node:
        at, target = node.position, _target(node)
        there = Call(target, "hasValue", (), at)
        value = Call(_target(node), "value", (), at)
        inner: Node = Bind(_names(node, 1)[0], value, expand(node.arguments[1]), at)
        return _call("_?_:_", at, there, inner if flat else _call("optional.of", at, inner), _call("optional.none", at))

    return make


_MACROS: Final[dict[tuple[str, int], Callable[[Call], Node]]] = {
    ("all", 2): _quantifier(1, every=True),
    ("all", 3): _quantifier(2, every=True),
    ("exists", 2): _quantifier(1, every=False),
    ("exists", 3): _quantifier(2, every=False),
    **{(name, 2): _exists_one(1) for name in ("exists_one", "existsOne")},
    **{(name, 3): _exists_one(2) for name in ("exists_one", "existsOne")},
    ("map", 2): _list_maker(1, tested=False),
    ("map", 3): _list_maker(1, tested=True),
    ("filter", 2): _filter,
    ("transformList", 3): _list_maker(2, tested=False),
    ("transformList", 4): _list_maker(2, tested=True),
    ("transformMap", 3): _map_maker(entries=False, tested=False),
    ("transformMap", 4): _map_maker(entries=False, tested=True),
    ("transformMapEntry", 3): _map_maker(entries=True, tested=False),
    ("transformMapEntry", 4): _map_maker(entries=True, tested=True),
    ("sortBy", 2): _sort_by,
    ("optMap", 2): _optional_map(flat=False),
    ("optFlatMap", 2): _optional_map(flat=True),
}
