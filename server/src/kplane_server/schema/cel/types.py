# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Type checking: a misspelt field, or a function for other types, is an error when an expression is written, not when it fails.

The checks and their words are cel-go's; the first error is the only one that is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from kplane_server.schema.cel.compiler import PATCH_TEXTS, TYPES
from kplane_server.schema.cel.declarations import BOOL, DYN, INT, NULL, STRING, Type, declare, is_made, list_type, map_type, optional_type
from kplane_server.schema.cel.expansion import expand
from kplane_server.schema.cel.literals import check_literals
from kplane_server.schema.cel.overloads import overloads
from kplane_server.schema.cel.parser import Bind, Call, Ident, ListOf, Literal, Loop, MapOf, Node, Presence, Select, StructOf, dotted, parse
from kplane_server.schema.cel.program import describe
from kplane_server.schema.cel.unification import Bindings, most_general
from kplane_server.schema.cel.values import CompileError, InstantiationError, type_name
from kplane_server.schema.structural import Schema

Scope = Mapping[str, Type]


class Checked(NamedTuple):
    """A tree without macros, with the type of each node and the overloads of each call (by ``id`` of the node)."""

    root: Node
    types: Mapping[int, Type]
    overloads: Mapping[int, tuple[str, ...]]

    @property
    def type(self) -> Type:
        return self.types[id(self.root)]


def type_of_schema(schema: Schema | None, *, root: bool = False) -> Type:
    """The type of a document of a schema; ``dyn`` for one that is not declared."""
    declared = declare(schema, root=root)
    return DYN if declared is None else declared.type


def check(source: str, scope: Scope) -> Checked:
    """The types of an expression whose variables have these types. Raises CompileError if it cannot be right."""
    try:
        root = expand(parse(source))
        checker = _Checker()
        checker.check(root, dict(scope))
        types = {key: checker.bindings.resolve(kind, finally_dyn=True) for key, kind in checker.types.items()}
        check_literals(root, types)
    except InstantiationError:
        raise
    except CompileError as error:
        raise CompileError(describe(error, source), error.position) from error
    return Checked(root, types, checker.overloads)


def expression_type(source: str, scope: Scope) -> Type:
    """The type of an expression. Raises CompileError if it cannot be right."""
    return check(source, scope).type


class _Checker:
    def __init__(self) -> None:
        self.bindings = Bindings()
        self.types: dict[int, Type] = {}
        self.overloads: dict[int, tuple[str, ...]] = {}

    def check(self, node: Node, scope: dict[str, Type]) -> Type:
        found = self.types[id(node)] = self._check(node, scope)
        return found

    def _check(self, node: Node, scope: dict[str, Type]) -> Type:
        match node:
            case Literal():
                return NULL if node.value is None else Type(type_name(node.value))
            case Ident():
                return self._named(node, node.name, scope)
            case Select():
                name = dotted(node)
                if name in scope or (name in TYPES and name.partition(".")[0] not in scope):
                    return self._named(node, name, scope)
                return self._field(node, self.check(node.operand, scope), node.field, optional=False)
            case Presence():
                self._field(node, self.check(node.operand, scope), node.field, optional=False)
                return BOOL
            case ListOf():
                return self._list(node, scope)
            case MapOf():
                return self._map(node, scope)
            case StructOf():
                return self._struct(node, scope)
            case Loop():
                return self._loop(node, scope)
            case Bind():
                return self.check(node.inner, {**scope, node.name: self.check(node.value, scope)})
            case Call():
                return self._call(node, scope)
        raise CompileError("unexpected expression", node.position)

    def _named(self, node: Node, name: str, scope: Scope) -> Type:
        if name in scope:
            return scope[name]
        if name in TYPES:
            return Type("type", (Type(name),))
        raise CompileError(f"undeclared reference to '{name}' (in container '')", node.position)

    def _field(self, node: Node, operand: Type, field: str, *, optional: bool) -> Type:
        operand = self.bindings.resolve(operand)
        is_optional = operand.name == "optional_type"
        found = self._field_of(node, operand.element if is_optional else operand, field)
        return optional_type(found) if optional or is_optional else found

    def _field_of(self, node: Node, operand: Type, field: str) -> Type:
        if operand.name == "map":
            return operand.element
        if operand.declaration is not None:
            declared = operand.declaration.fields.get(field)
            if declared is not None:
                return declared.type
        elif operand.fields is not None:
            if field in operand.fields:
                return operand.fields[field]
        elif operand.is_parameter:
            self.bindings.assignable([DYN], [operand])
            return DYN
        elif operand == DYN or is_made(operand):
            return DYN
        elif not operand.is_struct:
            raise CompileError(f"type '{operand}' does not support field selection", node.position)
        raise CompileError(f"undefined field '{field}'", node.position)

    def _list(self, node: ListOf, scope: dict[str, Type]) -> Type:
        common: Type | None = None
        for item, optional in node.items:
            common = self._join(common, self._entry(item, scope, optional=optional))
        return list_type(common if common is not None else self.bindings.fresh())

    def _map(self, node: MapOf, scope: dict[str, Type]) -> Type:
        keys: Type | None = None
        values: Type | None = None
        for key, value, optional in node.entries:
            keys = self._join(keys, self.check(key, scope))
            values = self._join(values, self._entry(value, scope, optional=optional))
        if keys is None or values is None:
            return map_type(self.bindings.fresh(), self.bindings.fresh())
        return map_type(keys, values)

    def _entry(self, node: Node, scope: dict[str, Type], *, optional: bool) -> Type:
        """The type of an entry, which may be one that is left out when it is empty."""
        found = self.check(node, scope)
        if not optional:
            return found
        if found.name == "optional_type":
            return found.element
        if found != DYN:
            raise _mismatch(node, optional_type(found), found)
        return DYN

    def _join(self, common: Type | None, found: Type) -> Type:
        if common is None:
            return found
        return most_general(common, found) if self.bindings.assignable([common], [found]) else DYN

    def _struct(self, node: StructOf, scope: dict[str, Type]) -> Type:
        """Objects may have any field; patches have those of a JSON patch's operation."""
        made = Type(node.name)
        if not is_made(made):
            raise CompileError(f"undeclared reference to '{node.name}' (in container '')", node.position)
        for field, value, optional in node.fields:
            found = self._entry(value, scope, optional=optional)
            if node.name != "JSONPatch" or field == "value":
                continue
            if field not in PATCH_TEXTS:
                raise CompileError(f"undefined field '{field}'", node.position)
            if not self.bindings.assignable([STRING], [found]):
                why = f"expected type of field '{field}' is 'string' but provided type is '{found}'"
                raise CompileError(why, node.position)
        return made

    def _loop(self, node: Loop, scope: dict[str, Type]) -> Type:
        over = self.bindings.resolve(self.check(node.over, scope))
        start = self.check(node.start, scope)
        if over.name == "list":
            kinds = [INT, over.element]
        elif over.name == "map":
            kinds = [over.parameters[0], over.element]
        elif over == DYN or over.is_parameter:
            self.bindings.assignable([DYN], [over])
            kinds = [DYN, DYN]
        else:
            text = f"expression of type '{over}' cannot be range of a comprehension (must be list, map, or dynamic)"
            raise CompileError(text, node.over.position)
        if len(node.names) == 1:
            kinds = [kinds[1] if over.name == "list" else kinds[0]]
        outer = {**scope, node.result: start}
        inner = {**outer, **dict(zip(node.names, kinds, strict=True))}
        for part, wanted in ((node.condition, BOOL), (node.step, start)):
            found = self.check(part, inner)
            if not self.bindings.assignable([wanted], [found]):
                raise _mismatch(part, self.bindings.resolve(wanted), self.bindings.resolve(found))
        return self.bindings.resolve(self.check(node.end, outer))

    def _call(self, node: Call, scope: dict[str, Type]) -> Type:
        if node.function == "_?._":
            operand, field = node.arguments
            assert isinstance(field, Literal)  # as expansion makes it
            self.overloads[id(node)] = ("select_optional_field",)
            self.types[id(field)] = STRING
            return self._field(node, self.check(operand, scope), field.value, optional=True)
        arguments = [self.check(argument, scope) for argument in node.arguments]
        if node.target is None:
            return self._resolve(node, node.function, arguments, member=False)
        prefix = dotted(node.target)
        if prefix and f"{prefix}.{node.function}" in overloads():
            return self._resolve(node, f"{prefix}.{node.function}", arguments, member=False)
        return self._resolve(node, node.function, [self.check(node.target, scope), *arguments], member=True)

    def _resolve(self, node: Call, function: str, arguments: list[Type], *, member: bool) -> Type:
        """The type of a call: of the overloads that fit, or ``dyn`` if they differ."""
        if function in ("_&&_", "_||_"):
            for part, found in zip(node.arguments, arguments, strict=True):
                if not self.bindings.assignable([found], [BOOL]):
                    raise _mismatch(part, BOOL, self.bindings.resolve(found))
            self.overloads[id(node)] = ("logical_and" if function == "_&&_" else "logical_or",)
            return BOOL
        table = overloads().get(function)
        if table is None:
            raise CompileError(f"undeclared reference to '{function}' (in container '')", node.position)
        result: Type | None = None
        names: list[str] = []
        for overload in table:
            if overload.member is not member or len(overload.arguments) != len(arguments):
                continue
            wanted, returned = self._instance(overload.arguments, overload.result)
            if not self.bindings.assignable(arguments, wanted):
                continue
            names.append(overload.name)
            found = self.bindings.resolve(returned)
            if result is None:
                result = found
            elif result != DYN and found != result:
                result = DYN
        if result is None:
            raise self._no_overload(node, function, arguments, member)
        self.overloads[id(node)] = tuple(names)
        return result

    def _instance(self, arguments: tuple[Type, ...], result: Type) -> tuple[list[Type], Type]:
        """A signature with parameters of its own."""
        fresh: dict[str, Type] = {}

        def renew(kind: Type) -> Type:
            if kind.is_parameter:
                if kind.name not in fresh:
                    fresh[kind.name] = self.bindings.fresh()
                return fresh[kind.name]
            return Type(kind.name, tuple(map(renew, kind.parameters))) if kind.parameters else kind

        return [renew(argument) for argument in arguments], renew(result)

    def _no_overload(self, node: Call, function: str, arguments: list[Type], member: bool) -> CompileError:
        shown = [str(self.bindings.resolve(kind, finally_dyn=True)) for kind in arguments]
        signature = f"{shown[0]}.({', '.join(shown[1:])})" if member else f"({', '.join(shown)})"
        return CompileError(f"found no matching overload for '{function}' applied to '{signature}'", node.position)


def _mismatch(node: Node, wanted: Type, found: Type) -> CompileError:
    return CompileError(f"expected type '{wanted}' but found '{found}'", node.position)
