# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the validation rules of a schema when it is written: expressions, their types, and what they may cost.

A rule costs as often as its part of the schema can be there in one document; how often that is, limits of lists and maps tell, or
else the size of a request. Source: ``ValidateCustomResourceDefinitionOpenAPISchema`` in
https://github.com/kubernetes/apiextensions-apiserver/blob/v0.34.2/pkg/apis/apiextensions/validation/validation.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import orjson

from kplane_server.model.errors import Cause, Json
from kplane_server.schema.cel.costs import worst_cost
from kplane_server.schema.cel.declarations import MAX_REQUEST, Declaration, declare, optional_type
from kplane_server.schema.cel.program import Program
from kplane_server.schema.cel.rules import PATH_STEP, VARIABLES
from kplane_server.schema.cel.sizes import plus, times
from kplane_server.schema.cel.types import check
from kplane_server.schema.cel.values import CompileError, InstantiationError
from kplane_server.schema.structural import Schema, compile_resource_schema

#: More rules in one schema, or longer ones together (characters), are refused: compiling them takes a second already.
MAX_RULES: Final = 1000
MAX_TEXT: Final = 128 * 1024
#: What one expression may cost at most, and what all of a schema may cost together.
EXPRESSION_LIMIT: Final = 10_000_000
SCHEMA_LIMIT: Final = 100_000_000
_SHOWN: Final = 4
_RESULTS: Final = {"bool": "cel expression must evaluate to a bool", "string": "messageExpression must evaluate to a string"}


class _Place(NamedTuple):
    """A node of the schema. ``repeats``: how often it can be there, None if no limit tells.

    uncorrelatable: the outermost part above whose items have no history.
    """

    schema: Schema
    document: Mapping[str, Json]
    path: str
    repeats: int | None
    uncorrelatable: str
    root: bool = False

    def join(self, step: str) -> str:
        return f"{self.path}.{step}" if self.path else step

    def child(self, schema: Schema, document: Mapping[str, Json], step: str, *, correlated: bool) -> _Place:
        uncorrelatable = self.uncorrelatable or ("" if correlated else self.path or "<nil>")
        more = _elements(self.document)
        repeats = None if self.repeats is None or more is None else times(self.repeats, more)
        return _Place(schema, document, self.join(step), repeats, uncorrelatable)


def _elements(document: Mapping[str, Json]) -> int | None:
    """How many children of one kind a node can have; None if it does not say."""
    limit: Json = 1
    if document.get("type") == "array":
        limit = document.get("maxItems")
    elif document.get("type") == "object" and document.get("additionalProperties") is not None:
        limit = document.get("maxProperties")
    return None if limit is None else max(0, limit)


class _Costs:
    """What the expressions of a schema cost together. ``at``: its path."""

    def __init__(self, at: str, *, unchanged: bool) -> None:
        self.at = at
        self.unchanged = unchanged
        self._total = 0
        self._dear: list[tuple[int, str]] = []

    def observe(self, cost: int, path: str, name: str) -> Iterator[Cause]:
        """Count an expression. Yields what is wrong with it alone, unless it was accepted before."""
        self._total = plus(self._total, cost)
        if cost >= SCHEMA_LIMIT // 100:
            self._dear = sorted([*self._dear, (cost, path)], key=lambda entry: -entry[0])[:_SHOWN]
        if cost > EXPRESSION_LIMIT and not self.unchanged:
            yield Cause("FieldValueForbidden", f"Forbidden: {_exceeded(name, cost, EXPRESSION_LIMIT)}", path)

    def causes(self) -> Iterator[Cause]:
        """What is wrong with all together."""
        if self._total <= SCHEMA_LIMIT:
            return
        text = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
        for _, path in self._dear:
            yield Cause("FieldValueForbidden", f"Forbidden: {text}", path)
        name = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
        yield Cause("FieldValueForbidden", f"Forbidden: {_exceeded(name, self._total, SCHEMA_LIMIT)}", "")


def _exceeded(name: str, cost: int, limit: int) -> str:
    factor = cost / limit
    shown = "more than 100x" if factor > 100 else f"{factor:.6f}x" if factor < 1.5 else f"{factor:.1f}x"
    advice = "try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared"
    return f"{name} exceeds budget by factor of {shown} ({advice})"


def check_count(document: Mapping[str, Json]) -> list[Cause]:
    """Whether there are more rules, or longer ones, than are compiled."""
    rules = [rule for node in _ruled(document) for rule in node["x-kubernetes-validations"]]
    if len(rules) > MAX_RULES:
        return [Cause("FieldValueTooMany", f"Too many: {len(rules)}: must have at most {MAX_RULES} items", "x-kubernetes-validations")]
    if sum(len(rule.get(key) or "") for rule in rules for key in ("rule", "messageExpression")) > MAX_TEXT:
        why = f"Too long: the rules of a schema may not be more than {MAX_TEXT} characters together"
        return [Cause("FieldValueTooLong", why, "x-kubernetes-validations")]
    return []


def check_rules(document: Mapping[str, Json], *, at: str = "", unchanged: bool = False) -> list[Cause]:
    """What is wrong with the rules of a schema that is structural; fields are relative to it.

    at: its own path, for messages. unchanged: it was accepted before, so that no single expression is refused for its cost.
    """
    if next(_ruled(document), None) is None:
        return []
    costs = _Costs(at, unchanged=unchanged)
    root = _Place(compile_resource_schema(document), document, "", 1, "", root=True)
    return [*_node_causes(root, costs), *costs.causes()]


def _ruled(document: Mapping[str, Json]) -> Iterator[Mapping[str, Json]]:
    """The structural nodes of a schema that have rules."""
    if document.get("x-kubernetes-validations"):
        yield document
    for child in (document.get("properties") or {}).values():
        yield from _ruled(child)
    for key in ("items", "additionalProperties"):
        if isinstance(document.get(key), dict):
            yield from _ruled(document[key])


def _node_causes(place: _Place, costs: _Costs) -> Iterator[Cause]:
    document, schema = place.document, place.schema
    rules = document.get("x-kubernetes-validations") or ()
    if rules:
        declared = declare(schema, root=place.root or schema.embedded)
        for index, rule in enumerate(rules):
            at = place.join(f"x-kubernetes-validations[{index}]")
            if declared is None:
                why = "failed to convert to declType for CEL validation rules"
                yield Cause("InternalError", f"Internal error: {why}", place.join("x-kubernetes-validations"))
                break
            yield from _Rule(rule, place, declared, at, costs).causes()
    for name, child in (document.get("properties") or {}).items():
        yield from _node_causes(place.child(schema.properties[name], child, f"properties[{name}]", correlated=True), costs)
    additional, items = document.get("additionalProperties"), document.get("items")
    if isinstance(additional, dict) and schema.additional is not None:
        yield from _node_causes(place.child(schema.additional, additional, "additionalProperties", correlated=True), costs)
    if items is not None and schema.items is not None:
        yield from _node_causes(place.child(schema.items, items, "items", correlated=schema.list_type == "map"), costs)


class _Rule:
    """One rule at its place."""

    def __init__(self, rule: Mapping[str, Json], place: _Place, declared: Declaration, path: str, costs: _Costs) -> None:
        self._rule = rule
        self._place = place
        self._declared = declared
        self._path = path
        self._costs = costs
        own = declared.type
        self._scope = {"self": own, "oldSelf": optional_type(own) if rule.get("optionalOldSelf") else own}

    def causes(self) -> Iterator[Cause]:
        rule, path = self._rule, self._path
        text = rule.get("rule") or ""
        try:
            program, cost = self._compile(text, "bool")
        except CompileError as error:
            yield self._invalid("rule", _compilation(error))
            return
        repeats = self._place.repeats
        if repeats is None:
            repeats = MAX_REQUEST // (self._declared.smallest + 1)
        yield from self._costs.observe(times(cost, repeats), f"{path}.rule", "estimated rule cost")
        if "oldSelf" in program.variables:
            if self._place.uncorrelatable:
                within = ".".join(part for part in (self._costs.at, self._place.uncorrelatable) if part)
                why = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {within}"
                yield Cause("FieldValueInvalid", f"Invalid value: {orjson.dumps(text).decode()[:1024]}: {why}", f"{path}.rule")
        elif rule.get("optionalOldSelf") is not None:
            flag = "true" if rule["optionalOldSelf"] else "false"
            why = f"Invalid value: {flag}: may not be set if oldSelf is not used in rule"
            yield Cause("FieldValueInvalid", why, f"{path}.optionalOldSelf")
        if rule.get("messageExpression"):
            yield from self._message_causes(rule["messageExpression"])
        if rule.get("fieldPath") and not _leads_somewhere(rule["fieldPath"], self._place.schema):
            shown = f"Invalid value: {orjson.dumps(rule['fieldPath']).decode()}: must be a valid path"
            yield Cause("FieldValueInvalid", shown, f"{path}.fieldPath")

    def _message_causes(self, text: str) -> Iterator[Cause]:
        try:
            _, cost = self._compile(text, "string")
        except CompileError as error:
            why = _compilation(error)
            yield self._invalid("messageExpression", why if why.startswith("messageExpression") else f"messageExpression {why}")
            return
        yield from self._costs.observe(cost, f"{self._path}.messageExpression", "estimated messageExpression cost")

    def _compile(self, text: str, result: str) -> tuple[Program, int]:
        """An expression, and what it costs at most. Raises CompileError, also for one of another type."""
        checked = check(text, self._scope)
        if checked.type.name != result:
            raise CompileError(_RESULTS[result])
        return Program(text, VARIABLES), worst_cost(checked, self._declared)

    def _invalid(self, field: str, why: str) -> Cause:
        return Cause("FieldValueInvalid", f"Invalid value: {orjson.dumps(self._rule).decode()[:1024]}: {why}", f"{self._path}.{field}")


def _compilation(error: CompileError) -> str:
    if error.message in _RESULTS.values():
        return error.message
    kind = "program instantiation" if isinstance(error, InstantiationError) else "compilation"
    return f"{kind} failed: {error.message}"


def _leads_somewhere(text: str, schema: Schema) -> bool:
    """Whether a field path names a field of the schema."""
    if "".join(found[0] for found in PATH_STEP.finditer(text)) != text:
        return False
    node: Schema | None = schema
    for name, key in PATH_STEP.findall(text):
        if node is None:
            return False
        node = node.properties.get(name or key) if node.properties else node.additional
    return node is not None
