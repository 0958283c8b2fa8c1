# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Static types, so far as a schema tells them: a misspelt field is an error when a definition is written, not when a rule fails.

The check knows less than cel-go's: where it cannot tell a type it accepts anything, and the evaluation decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kplane_server.schema.cel.compiler import PATCH_TEXTS, unescape
from kplane_server.schema.cel.parser import Call, Ident, Index, ListOf, Literal, MapOf, Node, Select, StructOf, parse
from kplane_server.schema.cel.program import Program, describe
from kplane_server.schema.cel.values import CompileError, type_name
from kplane_server.schema.structural import Schema


@dataclass(frozen=True, slots=True)
class Type:
    """A type. ``element``: of a list its items, of a map its values, of an optional what it holds. ``schema``: of an object.

    fields: of a ``fields``, an object whose fields are known one by one.
    """

    name: str
    element: Type | None = None
    schema: Schema | None = None
    fields: Mapping[str, Type] | None = None

    def __str__(self) -> str:
        if self.name in ("list", "optional_type") and self.element is not None:
            return f"{self.name}({self.element})"
        if self.name == "map" and self.element is not None:
            return f"map(string, {self.element})"
        return self.name


DYN: Final = Type("dyn")
BOOL: Final = Type("bool")
_FORMATS: Final = {
    "byte": "bytes",
    "duration": "google.protobuf.Duration",
    "date": "google.protobuf.Timestamp",
    "date-time": "google.protobuf.Timestamp",
    "datetime": "google.protobuf.Timestamp",
}
_NUMBERS: Final = ("int", "uint", "double")
_TIMES: Final = ("google.protobuf.Duration", "google.protobuf.Timestamp")

#: What functions return, where it does not depend on their arguments.
_BY_RESULT: Final = {
    "bool": """allowed errored contains startsWith endsWith matches isSorted hasValue isURL isIP isCIDR isQuantity isSemver bool isInteger
        has isGreaterThan isLessThan containsIP containsCIDR isLoopback isUnspecified isGlobalUnicast isLinkLocalUnicast
        isLinkLocalMulticast all exists exists_one existsOne sets.contains sets.equivalent sets.intersects ip.isCanonical""",
    "int": """size indexOf lastIndexOf int getFullYear getMonth getDate getDayOfMonth getDayOfWeek getDayOfYear getHours getMinutes
        getSeconds getMilliseconds family prefixLength asInteger sign compareTo major minor patch""",
    "string": """string charAt lowerAscii upperAscii replace substring trim join find strings.quote format getScheme getHost
        jsonpatch.escapeKey getHostname getPort getEscapedPath""",
    "double": "double asApproximateFloat",
    "uint": "uint",
    "bytes": "bytes",
    "google.protobuf.Duration": "duration",
    "google.protobuf.Timestamp": "timestamp",
    "type": "type",
    "kubernetes.Quantity": "quantity",
    "net.IP": "ip",
    "net.CIDR": "cidr",
    "kubernetes.URL": "url",
    "kubernetes.Semver": "semver",
}
_RESULTS: Final = {function: result for result, functions in _BY_RESULT.items() for function in functions.split()}
_TEXT_METHODS: Final = frozenset(
    {"contains", "startsWith", "endsWith", "matches", "charAt", "lowerAscii", "upperAscii", "replace", "substring", "trim", "split", "find"}
)
_LOOPS: Final = {
    **{(name, 2): 1 for name in ("all", "exists", "exists_one", "existsOne", "map", "filter", "sortBy")},
    **{(name, 3): 2 for name in ("all", "exists", "exists_one", "existsOne", "transformList", "transformMap", "transformMapEntry")},
    **{(name, 4): 2 for name in ("transformList", "transformMap", "transformMapEntry")},
    ("map", 3): 1,
}


def type_of_schema(schema: Schema | None) -> Type:
    """The type of a document of a schema."""
    if schema is None or schema.int_or_string or not schema.type:
        return DYN
    kind = schema.type
    if kind == "object":
        if schema.properties:
            return Type("object", schema=schema)
        return Type("map", type_of_schema(schema.additional)) if schema.additional is not None else DYN
    if kind == "array":
        return Type("list", type_of_schema(schema.items))
    if kind == "string":
        return Type(_FORMATS.get(schema.format, "string"))
    return Type({"integer": "int", "number": "double", "boolean": "bool"}[kind])


def check_program(program: Program, schema: Schema, result: str, *, optional_old: bool) -> None:
    """Raises CompileError if the expression cannot be right for documents of the schema, or does not give a ``result``."""
    own = type_of_schema(schema)
    old = Type("optional_type", own) if optional_old else own
    try:
        found = _Checker().check(parse(program.source), {"self": own, "oldSelf": old})
    except CompileError as error:
        raise CompileError(describe(error, program.source), error.position) from error
    if found.name not in (result, "dyn"):
        article = "cel expression must evaluate to a bool" if result == "bool" else "must evaluate to a string"
        raise CompileError(article)


Scope = dict[str, Type]


def expression_type(source: str, scope: Scope) -> Type:
    """The type of an expression whose variables have these types. Raises CompileError if it cannot be right."""
    try:
        return _Checker().check(parse(source), scope)
    except CompileError as error:
        raise CompileError(describe(error, source), error.position) from error


class _Checker:
    def check(self, node: Node, scope: Scope) -> Type:
        if isinstance(node, Literal):
            name = type_name(node.value)
            return Type("null_type") if node.value is None else Type(name)
        if isinstance(node, Ident):
            return scope.get(node.name, DYN)
        if isinstance(node, Select):
            return self.select(node, scope)
        if isinstance(node, Index):
            return self.index(node, scope)
        if isinstance(node, ListOf):
            return self.list_of(node, scope)
        if isinstance(node, MapOf):
            for key, value, _ in node.entries:
                self.check(key, scope)
                self.check(value, scope)
            return Type("map", DYN)
        if isinstance(node, StructOf):
            return self.struct_of(node, scope)
        return self.call(node, scope)

    def struct_of(self, node: StructOf, scope: Scope) -> Type:
        """Objects may have any field; patches have those of a JSON patch's operation."""
        for field, value, optional in node.fields:
            found = self.check(value, scope)
            if optional:
                if found.name not in ("optional_type", "dyn"):
                    raise CompileError(f"expected type 'optional_type(dyn)' but found '{found}'", node.position)
                found = found.element or DYN
            if node.name != "JSONPatch" or field == "value":
                continue
            if field not in PATCH_TEXTS:
                raise CompileError(f"undefined field '{field}'", node.position)
            if found.name not in ("string", "dyn"):
                why = f"expected type of field '{field}' is 'string' but provided type is '{found}'"
                raise CompileError(why, node.position)
        return Type(node.name)

    def select(self, node: Select, scope: Scope) -> Type:
        operand = self.check(node.operand, scope)
        optional = node.optional or operand.name == "optional_type"
        inner = operand.element or DYN if operand.name == "optional_type" else operand
        found = self.field(inner, node)
        return Type("optional_type", found) if optional else found

    def field(self, operand: Type, node: Select) -> Type:
        if operand.name == "object" and operand.schema is not None:
            child = operand.schema.properties.get(unescape(node.field))
            if child is None:
                raise CompileError(f"undefined field '{node.field}'", node.position)
            return type_of_schema(child)
        if operand.fields is not None:
            if node.field not in operand.fields:
                raise CompileError(f"undefined field '{node.field}'", node.position)
            return operand.fields[node.field]
        if operand.name == "map":
            return operand.element or DYN
        if operand.name == "dyn" or _made(operand):
            return DYN
        if operand.name == "optional_type":
            return self.field(operand.element or DYN, node)
        raise CompileError(f"type '{operand}' does not support field selection", node.position)

    def index(self, node: Index, scope: Scope) -> Type:
        operand, key = self.check(node.operand, scope), self.check(node.key, scope)
        inner = operand.element or DYN if operand.name == "optional_type" else operand
        if inner.name == "list" and key.name not in ("int", "dyn"):
            raise CompileError(f"found no matching overload for '_[_]' applied to '({operand}, {key})'", node.position)
        if inner.name not in ("list", "map", "dyn", "object"):
            raise CompileError(f"found no matching overload for '_[_]' applied to '({operand}, {key})'", node.position)
        found = inner.element or DYN
        return Type("optional_type", found) if node.optional or operand.name == "optional_type" else found

    def list_of(self, node: ListOf, scope: Scope) -> Type:
        kinds = [self.check(item, scope) for item, _ in node.items]
        same = len({kind.name for kind in kinds}) == 1 and not any(optional for _, optional in node.items)
        return Type("list", kinds[0] if same else DYN)

    def call(self, node: Call, scope: Scope) -> Type:
        if node.target is None:
            arguments = [self.check(argument, scope) for argument in node.arguments]
            if node.function in _OPERATORS:
                return _OPERATORS[node.function](node, arguments)
            return Type(_RESULTS[node.function]) if node.function in _RESULTS else DYN
        if isinstance(node.target, Ident) and node.target.name not in scope:
            for argument in node.arguments:
                self.check(argument, scope)
            name = f"{node.target.name}.{node.function}"
            return Type(_RESULTS[name]) if name in _RESULTS else DYN
        target = self.check(node.target, scope)
        count = _LOOPS.get((node.function, len(node.arguments)))
        if count is not None and all(isinstance(argument, Ident) for argument in node.arguments[:count]):
            return self.loop(node, target, count, scope)
        if node.function in ("optMap", "optFlatMap") and isinstance(node.arguments[0], Ident):
            inner = {**scope, node.arguments[0].name: target.element or DYN}
            made = self.check(node.arguments[1], inner)
            return Type("optional_type", made) if node.function == "optMap" else made
        for argument in node.arguments:
            self.check(argument, scope)
        if node.function in _TEXT_METHODS and target.name not in ("string", "dyn"):
            raise CompileError(f"found no matching overload for '{node.function}' applied to '{target}.(...)'", node.position)
        if node.function in ("orValue", "value") and target.name == "optional_type":
            return target.element or DYN
        return Type(_RESULTS[node.function]) if node.function in _RESULTS else DYN

    def loop(self, node: Call, target: Type, count: int, scope: Scope) -> Type:
        if target.name not in ("list", "map", "dyn", "object"):
            text = f"expression of type '{target}' cannot be range of a comprehension (must be list, map, or dynamic)"
            raise CompileError(text, node.position)
        item = target.element or DYN
        key = Type("int") if target.name == "list" else Type("string") if target.name == "map" else DYN
        kinds = [key, item] if count == 2 else [item if target.name == "list" else key]
        names = [argument.name for argument in node.arguments[:count] if isinstance(argument, Ident)]
        inner = {**scope, **dict(zip(names, kinds, strict=True))}
        results = [self.check(argument, inner) for argument in node.arguments[count:]]
        if node.function in ("all", "exists", "exists_one", "existsOne", "filter"):
            _expect_bool(results[0], node)
        if node.function in ("filter", "sortBy"):
            return Type("list", item if target.name == "list" else key)
        if node.function in ("map", "transformList"):
            return Type("list", results[-1])
        return BOOL if node.function in _RESULTS else DYN


def _made(kind: Type) -> bool:
    """Whether a type is one that patches are made of."""
    return kind.name == "JSONPatch" or kind.name.partition(".")[0] == "Object"


def _expect_bool(found: Type, node: Call) -> None:
    if found.name not in ("bool", "dyn"):
        raise CompileError(f"expected type 'bool' but found '{found}'", node.position)


def _no_overload(node: Call, arguments: list[Type]) -> CompileError:
    shown = ", ".join(map(str, arguments))
    return CompileError(f"found no matching overload for '{node.function}' applied to '({shown})'", node.position)


def _logic(node: Call, arguments: list[Type]) -> Type:
    for argument in arguments:
        _expect_bool(argument, node)
    return BOOL


def _conditional(node: Call, arguments: list[Type]) -> Type:
    _expect_bool(arguments[0], node)
    return arguments[1] if arguments[1].name == arguments[2].name else DYN


def _comparable(left: Type, right: Type) -> bool:
    if "dyn" in (left.name, right.name) or "null_type" in (left.name, right.name):
        return True
    if {left.name, right.name} <= {"object", "map"}:
        return True
    if left.name != right.name:
        return False
    return left.element is None or right.element is None or _comparable(left.element, right.element)


def _equality(node: Call, arguments: list[Type]) -> Type:
    if not _comparable(*arguments):
        raise _no_overload(node, arguments)
    return BOOL


def _relation(node: Call, arguments: list[Type]) -> Type:
    left, right = arguments[0].name, arguments[1].name
    if left in _NUMBERS and right in _NUMBERS:
        return BOOL
    if "dyn" not in (left, right) and (left != right or left not in ("string", "bytes", "bool", *_TIMES)):
        raise _no_overload(node, arguments)
    return BOOL


def _arithmetic(node: Call, arguments: list[Type]) -> Type:
    left, right = arguments
    if "dyn" in (left.name, right.name):
        return DYN
    if left.name in _TIMES or right.name in _TIMES:
        if left.name not in _TIMES or right.name not in _TIMES:
            raise _no_overload(node, arguments)
        if left.name == right.name:
            return Type("google.protobuf.Duration")
        return Type("google.protobuf.Timestamp")
    allowed = (*_NUMBERS, "string", "bytes", "list") if node.function == "_+_" else _NUMBERS
    if left.name != right.name or left.name not in allowed:
        raise _no_overload(node, arguments)
    return left


def _membership(node: Call, arguments: list[Type]) -> Type:
    if arguments[1].name not in ("list", "map", "dyn"):
        raise _no_overload(node, arguments)
    if arguments[1].name == "list" and not _comparable(arguments[0], arguments[1].element or DYN):
        raise _no_overload(node, arguments)
    return BOOL


def _negation(node: Call, arguments: list[Type]) -> Type:
    if arguments[0].name not in (*_NUMBERS, "dyn", "google.protobuf.Duration"):
        raise _no_overload(node, arguments)
    return arguments[0]


_OPERATORS: Final = {
    "_&&_": _logic,
    "_||_": _logic,
    "!_": _logic,
    "_?_:_": _conditional,
    "_==_": _equality,
    "_!=_": _equality,
    **dict.fromkeys(["_<_", "_<=_", "_>_", "_>=_"], _relation),
    **dict.fromkeys(["_+_", "_-_", "_*_", "_/_", "_%_"], _arithmetic),
    "_in_": _membership,
    "-_": _negation,
}
