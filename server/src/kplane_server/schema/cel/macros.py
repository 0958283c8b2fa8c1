# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Macros: loops over lists and maps, and the functions of optional values that evaluate their argument only when it is needed.

A loop runs in a frame of its own, so that its variables hide others only inside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from kplane_server.schema.cel.compiler import MACROS, Compiler, Frame, Step
from kplane_server.schema.cel.lists import sort_by_keys
from kplane_server.schema.cel.operators import map_key
from kplane_server.schema.cel.parser import Call, Ident
from kplane_server.schema.cel.values import NONE, CompileError, EvaluationError, Optional, Value

#: Gives the frame of a loop, with the loop variables set anew for each turn.
Turns = Callable[[Frame], Iterator[Frame]]


def _names(node: Call, count: int) -> tuple[str, ...]:
    """The loop variables, if the first arguments are names."""
    names = tuple(argument.name for argument in node.arguments[:count] if isinstance(argument, Ident))
    if len(names) != count:
        raise CompileError("argument must be a simple name", node.position)
    if len(set(names)) != count:
        raise CompileError("iteration variables must be different", node.position)
    return names


#: What a turn costs beside the tests and values in it; an item that is added makes a list of its own, as cel-go counts.
_TURN: Final = 3
_DECIDING_TURN: Final = 4
_APPENDED: Final = 12


def _turns(compiler: Compiler, node: Call, names: tuple[str, ...], cost: int = _TURN) -> Turns:
    """The turns of a loop over the value that a macro is called on."""
    assert node.target is not None  # macros are calls on a value
    target = compiler.compile(node.target)

    def turns(frame: Frame) -> Iterator[Frame]:
        container = target(frame)
        inner = Frame(dict(frame.variables), frame.meter)
        variables, meter = inner.variables, frame.meter
        if len(names) == 2:
            for variables[names[0]], variables[names[1]] in _pairs(container):
                meter.charge(cost)
                yield inner
            return
        if not isinstance(container, (list, dict)):
            raise EvaluationError("no such overload")
        name = names[0]
        for item in container:
            meter.charge(cost)
            variables[name] = item
            yield inner

    return turns


def _pairs(container: Value) -> Iterator[tuple[Value, Value]]:
    if isinstance(container, list):
        yield from enumerate(container)
    elif isinstance(container, dict):
        yield from container.items()
    else:
        raise EvaluationError("no such overload")


def _boolean(value: Value) -> bool:
    if not isinstance(value, bool):
        raise EvaluationError("no such overload")
    return value


def _quantifier(decisive: bool, variables: int) -> Callable[[Compiler, Call], Step]:
    """``all`` (decided by false) and ``exists`` (decided by true): a turn without a value does not matter if another decides."""

    def make(compiler: Compiler, node: Call) -> Step:
        names = _names(node, variables)
        cost = _DECIDING_TURN if decisive else _TURN
        turns, test = _turns(compiler, node, names, cost), compiler.inner(node.arguments[variables], *names)

        def run(frame: Frame) -> Value:
            failure: EvaluationError | None = None
            for inner in turns(frame):
                try:
                    if _boolean(test(inner)) is decisive:
                        return decisive
                except EvaluationError as error:
                    failure = error
            if failure is not None:
                raise failure
            return not decisive

        return run

    return make


def _exists_one(variables: int) -> Callable[[Compiler, Call], Step]:
    def make(compiler: Compiler, node: Call) -> Step:
        names = _names(node, variables)
        turns, test = _turns(compiler, node, names, 1), compiler.inner(node.arguments[variables], *names)
        return lambda frame: sum(_boolean(test(inner)) for inner in turns(frame)) == 1

    return make


def _list_maker(variables: int, *, filtered: bool) -> Callable[[Compiler, Call], Step]:
    """``map`` and ``transformList``, with or without a condition."""

    def make(compiler: Compiler, node: Call) -> Step:
        names = _names(node, variables)
        turns = _turns(compiler, node, names, 1 if filtered else _APPENDED)
        test = compiler.inner(node.arguments[variables], *names) if filtered else None
        value = _appended(compiler.inner(node.arguments[-1], *names)) if filtered else compiler.inner(node.arguments[-1], *names)

        def run(frame: Frame) -> Value:
            return [value(inner) for inner in turns(frame) if test is None or _boolean(test(inner))]

        return run

    return make


def _appended(value: Step) -> Step:
    """An item of a list that is made."""

    def step(frame: Frame) -> Value:
        frame.meter.charge(_APPENDED - 1)
        return value(frame)

    return step


def _filter(compiler: Compiler, node: Call) -> Step:
    names = _names(node, 1)
    turns, test = _turns(compiler, node, names, 1), compiler.inner(node.arguments[1], *names)
    item = _appended(compiler.inner(node.arguments[0], *names))
    return lambda frame: [item(inner) for inner in turns(frame) if _boolean(test(inner))]


def _map_maker(*, filtered: bool, entries: bool) -> Callable[[Compiler, Call], Step]:
    """``transformMap`` (new values under the old keys) and ``transformMapEntry`` (new entries)."""

    def make(compiler: Compiler, node: Call) -> Step:
        names = _names(node, 2)
        turns = _turns(compiler, node, names)
        test = compiler.inner(node.arguments[2], *names) if filtered else None
        value = compiler.inner(node.arguments[-1], *names)

        def run(frame: Frame) -> Value:
            frame.meter.charge(30)
            out: dict[Value, Value] = {}
            for inner in turns(frame):
                if test is not None and not _boolean(test(inner)):
                    continue
                made = value(inner)
                found = made if entries else {map_key(inner.variables[names[0]]): made}
                if not isinstance(found, dict):
                    raise EvaluationError("no such overload")
                for key, item in found.items():
                    if key in out:
                        raise EvaluationError(f"insert failed: key {key} already exists")
                    out[key] = item
            return out

        return run

    return make


def _sort_by(compiler: Compiler, node: Call) -> Step:
    names = _names(node, 1)
    turns, key = _turns(compiler, node, names), compiler.inner(node.arguments[1], *names)

    def run(frame: Frame) -> Value:
        pairs = [(key(inner), inner.variables[names[0]]) for inner in turns(frame)]
        return sort_by_keys(frame.meter, [item for _, item in pairs], [value for value, _ in pairs])

    return run


def _optional(value: Value) -> Optional:
    if not isinstance(value, Optional):
        raise EvaluationError("no such overload")
    return value


def _optional_map(*, flat: bool) -> Callable[[Compiler, Call], Step]:
    def make(compiler: Compiler, node: Call) -> Step:
        names = _names(node, 1)
        assert node.target is not None  # macros are calls on a value
        target, value = compiler.compile(node.target), compiler.inner(node.arguments[1], *names)

        def run(frame: Frame) -> Value:
            frame.meter.charge(1)
            found = _optional(target(frame))
            if not found.present:
                return NONE
            made = value(Frame({**frame.variables, names[0]: found.value}, frame.meter))
            return _optional(made) if flat else Optional(made, True)

        return run

    return make


def _or(*, unwrap: bool) -> Callable[[Compiler, Call], Step]:
    def make(compiler: Compiler, node: Call) -> Step:
        assert node.target is not None  # macros are calls on a value
        target, other = compiler.compile(node.target), compiler.compile(node.arguments[0])

        def run(frame: Frame) -> Value:
            frame.meter.charge(1)
            found = _optional(target(frame))
            if found.present:
                return found.value if unwrap else found
            return other(frame) if unwrap else _optional(other(frame))

        return run

    return make


MACROS.update(
    {
        ("all", 2): _quantifier(False, 1),
        ("all", 3): _quantifier(False, 2),
        ("exists", 2): _quantifier(True, 1),
        ("exists", 3): _quantifier(True, 2),
        ("exists_one", 2): _exists_one(1),
        ("existsOne", 2): _exists_one(1),
        ("exists_one", 3): _exists_one(2),
        ("existsOne", 3): _exists_one(2),
        ("map", 2): _list_maker(1, filtered=False),
        ("map", 3): _list_maker(1, filtered=True),
        ("filter", 2): _filter,
        ("transformList", 3): _list_maker(2, filtered=False),
        ("transformList", 4): _list_maker(2, filtered=True),
        ("transformMap", 3): _map_maker(filtered=False, entries=False),
        ("transformMap", 4): _map_maker(filtered=True, entries=False),
        ("transformMapEntry", 3): _map_maker(filtered=False, entries=True),
        ("transformMapEntry", 4): _map_maker(filtered=True, entries=True),
        ("sortBy", 2): _sort_by,
        ("optMap", 2): _optional_map(flat=False),
        ("optFlatMap", 2): _optional_map(flat=True),
        ("or", 1): _or(unwrap=False),
        ("orValue", 1): _or(unwrap=True),
    }
)
