# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written out in an expression is judged at once: times, numbers, patterns, formats, and lists and maps of one type.

Source: https://github.com/google/cel-go/blob/v0.26.0/cel/validator.go and ext/formatting.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from kplane_server.schema.cel.declarations import DYN, Type
from kplane_server.schema.cel.parser import Bind, Call, ListOf, Literal, Loop, MapOf, Node, Presence, Select, StructOf
from kplane_server.schema.cel.registry import FUNCTIONS
from kplane_server.schema.cel.values import CompileError, EvaluationError, InstantiationError, Meter
from kplane_server.schema.limits import compile_pattern

_CONVERSIONS: Final = frozenset({"bool", "bytes", "double", "duration", "int", "string", "timestamp", "uint"})
_TIMES: Final = frozenset({"duration", "timestamp"})
_PATTERNS: Final = frozenset({"matches", "find", "findAll"})
_CHEAP: Final = 1_000_000
_CLAUSE: Final = re.compile(r"%(%|(?:\.\d+)?(.?))", re.DOTALL)
_ANY: Final = frozenset(
    {"list", "map", "int", "uint", "double", "bool", "string", "bytes", "type", "null_type"}
    | {"google.protobuf.Timestamp", "google.protobuf.Duration"}
)
#: What the clauses of a format take, and the words for what they do not.
_CLAUSES: Final[Mapping[str, tuple[frozenset[str], str]]] = {
    "s": (_ANY, "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps"),
    "d": (frozenset({"int", "uint"}), "decimal clause can only be used on integers"),
    "f": (frozenset({"double", "string"}), "fixed-point clause can only be used on doubles"),
    "e": (frozenset({"double", "string"}), "scientific clause can only be used on doubles"),
    "b": (frozenset({"int", "uint", "bool"}), "only integers and bools can be formatted as binary"),
    "x": (frozenset({"int", "uint", "string", "bytes"}), "only integers, byte buffers, and strings can be formatted as hex"),
    "X": (frozenset({"int", "uint", "string", "bytes"}), "only integers, byte buffers, and strings can be formatted as hex"),
    "o": (frozenset({"int", "uint"}), "octal clause can only be used on integers"),
}


def check_literals(root: Node, types: Mapping[int, Type]) -> None:
    """Raises CompileError for the first literal that cannot be right."""
    pending = [(root, False)]
    while pending:
        node, formatted = pending.pop()
        if isinstance(node, Call):
            _check_call(node, types)
            formatted = formatted or node.function == "format"
        elif not formatted:
            _check_one_type(node, types)
        pending.extend((child, formatted) for child in children(node))


def children(node: Node) -> Iterator[Node]:
    """The nodes right below one of an expanded tree."""
    match node:
        case Select() | Presence():
            yield node.operand
        case Call():
            if node.target is not None:
                yield node.target
            yield from node.arguments
        case ListOf():
            yield from (item for item, _ in node.items)
        case MapOf():
            yield from (part for key, value, _ in node.entries for part in (key, value))
        case StructOf():
            yield from (value for _, value, _ in node.fields)
        case Loop():
            yield from (node.over, node.start, node.condition, node.step, node.end)
        case Bind():
            yield from (node.value, node.inner)


def _check_one_type(node: Node, types: Mapping[int, Type]) -> None:
    """Lists and maps that are written out have entries of one type, but for the arguments of a format."""
    if isinstance(node, ListOf):
        _same([(item, optional) for item, optional in node.items], types)
    elif isinstance(node, MapOf):
        _same([(key, False) for key, _, _ in node.entries], types)
        _same([(value, optional) for _, value, optional in node.entries], types)


def _same(parts: Sequence[tuple[Node, bool]], types: Mapping[int, Type]) -> None:
    first: Type | None = None
    for part, optional in parts:
        kind = types[id(part)]
        if optional:
            kind = kind.element
        if first is None:
            first = kind
        elif kind != first:
            raise CompileError(f"expected type '{first}' but found '{kind}'", part.position)


def _check_call(node: Call, types: Mapping[int, Type]) -> None:
    argument = node.arguments[0] if node.arguments else None
    if node.target is None and node.function in _CONVERSIONS and isinstance(argument, Literal):
        _check_conversion(node, argument)
    elif node.function in _PATTERNS and len(node.arguments) > (place := 1 if node.target is None else 0):
        _check_pattern(node.function, node.arguments[place])
    elif node.function == "format" and isinstance(node.target, Literal) and isinstance(argument, ListOf):
        _check_format(node, node.target.value, argument, types)


def _check_conversion(node: Call, argument: Literal) -> None:
    try:
        FUNCTIONS[node.function].run(Meter(_CHEAP), argument.value)
    except EvaluationError as error:
        if node.function in _TIMES:
            raise CompileError(f"invalid {node.function} argument", argument.position) from error
        why = f"type conversion error from 'string' to '{node.function}'" if isinstance(argument.value, str) else str(error)
        raise InstantiationError(why) from error


def _check_pattern(function: str, argument: Node) -> None:
    if isinstance(argument, Literal) and isinstance(argument.value, str):
        try:
            compile_pattern(argument.value)
        except ValueError as error:
            raise CompileError(f"invalid {function} argument", argument.position) from error


def _check_format(node: Call, text: str, arguments: ListOf, types: Mapping[int, Type]) -> None:
    """The clauses of a format take as many arguments as there are, each of a type that it can show."""
    given = [item for item, _ in arguments.items]
    clauses = [found[2] for found in _CLAUSE.finditer(text) if found[1] != "%"]
    for index, clause in enumerate(clauses):
        if index >= len(given):
            raise CompileError(f"index {index} out of range", node.position)
        if clause not in _CLAUSES:
            why = f'could not parse formatting clause: unrecognized formatting clause "{clause}"' if clause else "unexpected end of string"
            raise CompileError(why, node.position)
        allowed, why = _CLAUSES[clause]
        bad = next((part for part in _shown(given[index], clause) if types[id(part)] != DYN and types[id(part)].name not in allowed), None)
        if bad is not None:
            raise CompileError(f"error during formatting: {why}, was given {types[id(bad)].name}", bad.position)
    if len(given) > len(clauses):
        counts = f"(expected {len(clauses)}, got {len(given)})"
        raise CompileError(f"too many arguments supplied to string.format {counts}", node.position)


def _shown(node: Node, clause: str) -> Iterator[Node]:
    """What a clause shows of an argument: of lists and maps that are written out, all that is in them too."""
    yield node
    if clause == "s" and isinstance(node, (ListOf, MapOf)):
        for child in children(node):
            yield from _shown(child, clause)
