# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a tree to closures that evaluate it, each charging the meter for what it does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from kplane_server.schema.cel import operators
from kplane_server.schema.cel.budget import CALL_LIMIT
from kplane_server.schema.cel.parser import Call, Ident, Index, ListOf, Literal, MapOf, Node, Select, StructOf, dotted
from kplane_server.schema.cel.registry import FUNCTIONS, METHODS, Function
from kplane_server.schema.cel.values import (
    NONE,
    CompileError,
    EvaluationError,
    Meter,
    ObjectValue,
    Optional,
    TypeValue,
    Value,
    equal,
    ordered,
    type_name,
)

_LIST_COST: Final = 10
_MAP_COST: Final = 30
_STRUCT_COST: Final = 40


class Frame:
    """The variables of one evaluation, and its meter."""

    __slots__ = ("meter", "variables")

    def __init__(self, variables: dict[str, Value], meter: Meter) -> None:
        self.variables = variables
        self.meter = meter


Step = Callable[[Frame], Value]

TYPES: Final = {
    name: TypeValue(name)
    for name in (
        *("bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "type", "optional_type"),
        *("google.protobuf.Timestamp", "google.protobuf.Duration", "net.IP", "net.CIDR"),
        *("kubernetes.URL", "kubernetes.Quantity", "kubernetes.Semver", "kubernetes.NamedFormat"),
    )
}


_ESCAPED = re.compile(r"__(underscores|dot|dash|slash|[a-z_]+?)__")
_UNESCAPED: Final = {"underscores": "__", "dot": ".", "dash": "-", "slash": "/"}


def unescape(name: str) -> str:
    """The name of a field that is written escaped, because it has characters that an identifier cannot have, or is a keyword."""
    if "__" not in name:
        return name
    whole = re.fullmatch(r"__([a-z]+)__", name)
    if whole and whole[1] not in _UNESCAPED:
        return whole[1]
    return _ESCAPED.sub(lambda found: _UNESCAPED.get(found[1], found[0]), name)


class Compiler:
    """Compiles nodes; ``scope`` are the names that variables have at the place. ``patches``: whether objects and patches can be made."""

    def __init__(self, scope: frozenset[str], *, patches: bool = False) -> None:
        self.patches = patches
        self.root = scope
        self.scope = scope
        self.used: set[str] = set()

    def compile(self, node: Node) -> Step:
        return _COMPILERS[type(node)](self, node)

    def inner(self, node: Node, *names: str) -> Step:
        """Compile a part in which more variables are known."""
        outer = self.scope
        self.scope = outer | frozenset(names)
        try:
            return self.compile(node)
        finally:
            self.scope = outer


def _literal(compiler: Compiler, node: Literal) -> Step:
    value = node.value
    return lambda frame: value


def _ident(compiler: Compiler, node: Ident) -> Step:
    name = node.name
    if name in compiler.scope:
        if name in compiler.root:
            compiler.used.add(name)

        def variable(frame: Frame) -> Value:
            frame.meter.charge(1)
            return frame.variables[name]

        return variable
    if name in TYPES:
        return _literal(compiler, Literal(TYPES[name], node.position))
    raise CompileError(f"undeclared reference to '{name}' (in container '')", node.position)


def _select(compiler: Compiler, node: Select) -> Step:
    name = dotted(node)
    if name in TYPES and name.partition(".")[0] not in compiler.scope:
        return _literal(compiler, Literal(TYPES[name], node.position))
    operand = compiler.compile(node.operand)
    field, real = node.field, unescape(node.field)
    if node.optional:
        return lambda frame: _optional_field(operand(frame), field, real)

    def select(frame: Frame) -> Value:
        frame.meter.charge(1)
        container = operand(frame)
        if container.__class__ is dict:
            if field in container:
                return container[field]
            if real in container:
                return container[real]
            raise EvaluationError(f"no such key: {real}")
        if isinstance(container, Optional):
            return _optional_field(container, field, real)
        if isinstance(container, dict):  # one that works its values out when they are asked for
            if field in container:
                return container[field]
            raise EvaluationError(f"no such key: {real}")
        raise EvaluationError("no such overload")

    return select


def _optional_field(container: Value, field: str, real: str) -> Optional:
    if isinstance(container, Optional):
        if not container.present:
            return NONE
        container = container.value
    if not isinstance(container, dict):
        raise EvaluationError("no such overload")
    for name in (field, real):
        if name in container:
            return Optional(container[name], True)
    return NONE


def _index(compiler: Compiler, node: Index) -> Step:
    operand, key = compiler.compile(node.operand), compiler.compile(node.key)

    def index(frame: Frame) -> Value:
        frame.meter.charge(1)
        container = operand(frame)
        if isinstance(container, Optional):
            return operators.find(container, key(frame))
        return operators.index(container, key(frame))

    if node.optional:
        return lambda frame: operators.find(operand(frame), key(frame))
    return index


def _is_constant(node: Node) -> bool:
    """Whether a part is written out: it is made once, and costs nothing."""
    match node:
        case Literal():
            return True
        case ListOf():
            return all(_is_constant(item) and not optional for item, optional in node.items)
        case MapOf():
            return all(_is_constant(key) and _is_constant(value) and not optional for key, value, optional in node.entries)
    return False


def _folded(step: Step) -> Step:
    """A constant, unless it is none after all (two keys of one name)."""
    try:
        value = step(Frame({}, Meter(CALL_LIMIT)))
    except EvaluationError:
        return step
    return lambda frame: value


def _list(compiler: Compiler, node: ListOf) -> Step:
    items = [(compiler.compile(item), optional) for item, optional in node.items]

    def make(frame: Frame) -> Value:
        frame.meter.charge(_LIST_COST)
        out: list[Value] = []
        for item, optional in items:
            value = item(frame)
            if not optional:
                out.append(value)
            elif _optional(value).present:
                out.append(value.value)
        return out

    return _folded(make) if _is_constant(node) else make


def _optional(value: Value) -> Optional:
    if not isinstance(value, Optional):
        raise EvaluationError("no such overload")
    return value


def _map(compiler: Compiler, node: MapOf) -> Step:
    entries = [(compiler.compile(key), compiler.compile(value), optional) for key, value, optional in node.entries]

    def make(frame: Frame) -> Value:
        frame.meter.charge(_MAP_COST)
        out: dict[Value, Value] = {}
        for key_step, value_step, optional in entries:
            key, value = operators.map_key(key_step(frame)), value_step(frame)
            if key is None:
                raise EvaluationError("unsupported key type")
            if optional:
                if not _optional(value).present:
                    continue
                value = value.value
            out[key] = value
        return out

    return _folded(make) if _is_constant(node) else make


#: Fields of a ``JSONPatch`` that are texts, empty unless they are given.
PATCH_TEXTS: Final = ("op", "path", "from")


def _struct(compiler: Compiler, node: StructOf) -> Step:
    """Objects for patches; upstream: ``apiserver/pkg/cel/mutation``."""
    name = node.name
    if not compiler.patches or (name != "JSONPatch" and name.partition(".")[0] != "Object"):
        raise CompileError(f"undeclared reference to '{name}' (in container '')", node.position)
    is_patch = name == "JSONPatch"
    entries = [(field, compiler.compile(value), optional) for field, value, optional in node.fields]

    def make(frame: Frame) -> Value:
        frame.meter.charge(_STRUCT_COST)
        out = ObjectValue(name, dict.fromkeys(PATCH_TEXTS, "") if is_patch else {})
        for field, step, optional in entries:
            value = step(frame)
            if optional:
                if not _optional(value).present:
                    continue
                value = value.value
            if is_patch and field in PATCH_TEXTS and not isinstance(value, str):
                raise EvaluationError(f"unexpected type {type_name(value)} for JSONPatchType '{field}' field")
            out[field] = value
        return out

    return make


def _call(compiler: Compiler, node: Call) -> Step:
    special = _SPECIAL.get(node.function)
    if node.target is None and special is not None:
        return special(compiler, node)
    macro = MACROS.get((node.function, len(node.arguments)))
    if macro is not None and node.target is not None and (step := macro(compiler, node)) is not None:
        return step
    if node.target is None:
        return _apply(compiler, _find(FUNCTIONS, node.function, node), node.arguments)
    if isinstance(node.target, Ident) and node.target.name not in compiler.scope:
        qualified = f"{node.target.name}.{node.function}"
        if qualified in FUNCTIONS and (compiler.patches or node.target.name != "jsonpatch"):
            return _apply(compiler, _find(FUNCTIONS, qualified, node), node.arguments)
    return _apply(compiler, _find(METHODS, node.function, node), (node.target, *node.arguments))


def _find(table: Mapping[str, Function], name: str, node: Call) -> Function:
    found = table.get(name)
    if found is None:
        raise CompileError(f"undeclared reference to '{name}' (in container '')", node.position)
    if not found.least <= len(node.arguments) <= found.most:
        raise CompileError(f"found no matching overload for '{name}' applied to {len(node.arguments)} arguments", node.position)
    return found


def _apply(compiler: Compiler, found: Function, arguments: Iterable[Node]) -> Step:
    steps = tuple(compiler.compile(argument) for argument in arguments)
    run = found.run
    if len(steps) == 1:
        only = steps[0]

        def call_one(frame: Frame) -> Value:
            frame.meter.charge(1)
            return run(frame.meter, only(frame))

        return call_one

    def call(frame: Frame) -> Value:
        frame.meter.charge(1)
        return run(frame.meter, *[step(frame) for step in steps])

    return call


# -- operators that are not plain functions


def _logic(compiler: Compiler, node: Call) -> Step:
    """``&&`` and ``||``: one side that decides is enough, even if the other has no value."""
    left, right = (compiler.compile(argument) for argument in node.arguments)
    decisive = node.function == "_||_"

    def run(frame: Frame) -> Value:
        failure: EvaluationError | None = None
        try:
            value = left(frame)
        except EvaluationError as error:
            failure = error
        else:
            if value is decisive:
                return decisive
            if not isinstance(value, bool):
                failure = EvaluationError("no such overload")
        other = right(frame)
        if other is decisive:
            return decisive
        if failure is not None:
            raise failure
        if not isinstance(other, bool):
            raise EvaluationError("no such overload")
        return other

    return run


def _conditional(compiler: Compiler, node: Call) -> Step:
    test, yes, no = (compiler.compile(argument) for argument in node.arguments)

    def run(frame: Frame) -> Value:
        decided = test(frame)
        if decided is True:
            return yes(frame)
        if decided is False:
            return no(frame)
        raise EvaluationError("no such overload")

    return run


def _not(compiler: Compiler, node: Call) -> Step:
    operand = compiler.compile(node.arguments[0])

    def run(frame: Frame) -> Value:
        frame.meter.charge(1)
        value = operand(frame)
        if not isinstance(value, bool):
            raise EvaluationError("no such overload")
        return not value

    return run


def _equality(compiler: Compiler, node: Call) -> Step:
    left, right = (compiler.compile(argument) for argument in node.arguments)
    wanted = node.function == "_==_"
    return lambda frame: equal(left(frame), right(frame), frame.meter) is wanted


_RELATIONS: Final[dict[str, Callable[[int], bool]]] = {
    "_<_": lambda order: order < 0,
    "_<=_": lambda order: order <= 0,
    "_>_": lambda order: order > 0,
    "_>=_": lambda order: order >= 0,
}


def _relation(compiler: Compiler, node: Call) -> Step:
    left, right = (compiler.compile(argument) for argument in node.arguments)
    holds = _RELATIONS[node.function]

    def run(frame: Frame) -> Value:
        frame.meter.charge(1)
        one, other = left(frame), right(frame)
        if (one != one or other != other) and isinstance(one, (int, float)) and isinstance(other, (int, float)):
            return False  # NaN
        return holds(ordered(one, other))

    return run


def _arithmetic(run: Callable[..., Value]) -> Callable[[Compiler, Call], Step]:
    def compile_it(compiler: Compiler, node: Call) -> Step:
        steps = tuple(compiler.compile(argument) for argument in node.arguments)

        def step(frame: Frame) -> Value:
            frame.meter.charge(1)
            return run(frame.meter, *[one(frame) for one in steps])

        return step

    return compile_it


def _has(compiler: Compiler, node: Call) -> Step:
    if len(node.arguments) != 1 or not isinstance(node.arguments[0], Select):
        raise CompileError("invalid argument to has() macro", node.position)
    selection = node.arguments[0]
    operand = compiler.compile(selection.operand)
    field, real = selection.field, unescape(selection.field)

    return lambda frame: _optional_field(operand(frame), field, real).present


_SPECIAL: Final[dict[str, Callable[[Compiler, Call], Step]]] = {
    "_&&_": _logic,
    "_||_": _logic,
    "_?_:_": _conditional,
    "!_": _not,
    "_==_": _equality,
    "_!=_": _equality,
    **dict.fromkeys(_RELATIONS, _relation),
    "_+_": _arithmetic(operators.add),
    "_-_": _arithmetic(operators.subtract),
    "_*_": _arithmetic(operators.multiply),
    "_/_": _arithmetic(operators.divide),
    "_%_": _arithmetic(operators.modulo),
    "-_": _arithmetic(operators.negate),
    "_in_": _arithmetic(operators.member),
    "has": _has,
}

_COMPILERS: Final[dict[type, Callable[[Compiler, Any], Step]]] = {
    Literal: _literal,
    Ident: _ident,
    Select: _select,
    Index: _index,
    Call: _call,
    ListOf: _list,
    MapOf: _map,
    StructOf: _struct,
}

#: Calls on a value whose arguments are not evaluated first, by name and number of arguments. ``macros`` fills it.
MACROS: Final[dict[tuple[str, int], Callable[[Compiler, Call], Step | None]]] = {}
