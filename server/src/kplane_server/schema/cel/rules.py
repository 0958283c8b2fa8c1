# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``x-kubernetes-validations``: the rules of a schema, compiled once, applied to documents.

``self`` is the value of the node that has the rule; ``oldSelf`` is what it was before an update, where that can be told: fields and
entries by their names, items only of lists with keys. What did not change is not judged again, but warned of (KEP-4008).
Source: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kplane_server.model.errors import Cause, Json
from kplane_server.schema.cel.budget import Budget
from kplane_server.schema.cel.convert import to_value
from kplane_server.schema.cel.program import Program
from kplane_server.schema.cel.values import (
    NONE,
    CompileError,
    CostExceeded,
    EvaluationError,
    Optional,
    Value,
    item_key,
)
from kplane_server.schema.patch.json_patch import equal
from kplane_server.schema.structural import Schema

#: The longest message that an expression may make (bytes).
MAX_MESSAGE: Final = 5 * 1024
_ABSENT: Final[Any] = object()
VARIABLES: Final = ("self", "oldSelf")


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of ``x-kubernetes-validations``."""

    program: Program
    text: str
    message: str
    message_program: Program | None
    reason: str
    field_path: str
    optional_old: bool

    @property
    def uses_old(self) -> bool:
        return "oldSelf" in self.program.variables


class RuleNode:
    """The rules of a schema node, and the nodes below it that have some."""

    __slots__ = ("additional", "items", "properties", "rules", "schema")

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.rules = tuple(_compiled(rule) for rule in schema.rules)
        self.properties = {name: node for name, child in schema.properties.items() if (node := _rules_below(child)) is not None}
        self.additional = _rules_below(schema.additional)
        self.items = _rules_below(schema.items)

    @property
    def empty(self) -> bool:
        return not (self.rules or self.properties or self.additional or self.items)


def _compiled(rule: Mapping[str, Json]) -> Rule | CompileError:
    """A rule, or why it is none: definitions are checked when they are written, but an older server may have written one."""
    try:
        return compile_rule(rule)
    except CompileError as error:
        return error


def _rules_below(schema: Schema | None) -> RuleNode | None:
    if schema is None or schema.typed:
        return None
    node = RuleNode(schema)
    return None if node.empty else node


def rules_of(schema: Schema) -> RuleNode | None:
    """The rules at and below a node, compiled at the first look."""
    if schema.cel is None:
        schema.cel = (_rules_below(schema),)
    node: RuleNode | None = schema.cel[0]
    return node


def compile_rule(rule: Mapping[str, Json]) -> Rule:
    """Compile one rule. Raises CompileError."""
    text = rule.get("rule") or ""
    expression = rule.get("messageExpression") or ""
    return Rule(
        program=Program(text, VARIABLES),
        text=text.strip(),
        message=(rule.get("message") or "").strip(),
        message_program=Program(expression, VARIABLES) if expression else None,
        reason=rule.get("reason") or "FieldValueInvalid",
        field_path=_normal_path(rule.get("fieldPath") or ""),
        optional_old=bool(rule.get("optionalOldSelf")),
    )


PATH_STEP = re.compile(r"\.([^.\[\]]+)|\['((?:[^'\\]|\\.)*)'\]")


def _normal_path(text: str) -> str:
    """``.a['b'].c`` as field errors write it: ``a[b].c``."""
    return "".join(f".{name}" if name else f"[{key}]" for name, key in PATH_STEP.findall(text)).removeprefix(".")


class _Run:
    """One validation: what it found, and what it may still cost."""

    def __init__(self, warn: Callable[[str], None] | None, budget: Budget, lenient: bool) -> None:
        self.lenient = lenient
        self.causes: list[Cause] = []
        self.budget = budget
        self.warn = warn


class _Stop(Exception):
    """The budget is gone: no further rule is run."""


def validate_rules(
    document: Json,
    schema: Schema,
    *,
    old: Json = _ABSENT,
    path: str = "",
    warn: Callable[[str], None] | None = None,
    budget: Budget | None = None,
    lenient: bool = True,
) -> list[Cause]:
    """What the rules of a schema have against a document that is valid otherwise.

    old: the document before an update. lenient: failures over parts that did not change go to ``warn``. budget: shared with others.
    Raises Elsewhere if the budget says so.
    """
    node = rules_of(schema)
    if node is None:
        return []
    run = _Run(warn, budget or Budget(), lenient)
    with contextlib.suppress(_Stop):
        _check(node, document, old, path, run, parent_same=False)
    return run.causes


def _check(node: RuleNode, document: Json, old: Json, path: str, run: _Run, *, parent_same: bool) -> None:
    if document is None:
        return
    old = _ABSENT if old is None else old
    same = parent_same or (run.lenient and bool(path) and old is not _ABSENT and _unchanged(document, old, node.schema))
    if node.rules:
        _check_rules(node, document, old, path, run, same)
    if isinstance(document, dict):
        before = old if isinstance(old, dict) else {}
        for name, value in document.items():
            child = node.properties.get(name)
            if child is not None:
                _check(child, value, before.get(name, _ABSENT), f"{path}.{name}" if path else name, run, parent_same=same)
            elif node.additional is not None and name not in node.schema.properties:
                _check(node.additional, value, before.get(name, _ABSENT), f"{path}[{name}]", run, parent_same=same)
    elif isinstance(document, list) and node.items is not None:
        matched = _matched(document, old, node.schema)
        for index, item in enumerate(document):
            _check(node.items, item, matched(item), f"{path}[{index}]", run, parent_same=same)


def _unchanged(document: Json, old: Json, schema: Schema) -> bool:
    """Whether a part is what it was, as upstream sees it: what has fields that the schema does not know never is, nor is the root."""
    if isinstance(document, dict) and isinstance(old, dict):
        return len(document) == len(old) and all(
            (child := schema.properties.get(name, schema.additional)) is not None and name in old and _unchanged(value, old[name], child)
            for name, value in document.items()
        )
    if isinstance(document, list) and isinstance(old, list) and schema.list_type == "map" and schema.items is not None:
        matched, items = _matched(document, old, schema), schema.items
        return len(document) == len(old) and all((was := matched(i)) is not _ABSENT and _unchanged(i, was, items) for i in document)
    return equal(document, old)


def _matched(document: list[Json], old: Json, schema: Schema) -> Callable[[Json], Json]:
    """Finds what an item was before, in a list with keys."""
    if schema.list_type != "map" or not isinstance(old, list):
        return lambda item: _ABSENT
    keyed = {item_key(item, schema.list_keys): item for item in old if isinstance(item, dict)}
    return lambda item: keyed.get(item_key(item, schema.list_keys), _ABSENT) if isinstance(item, dict) else _ABSENT


def _check_rules(node: RuleNode, document: Json, old: Json, path: str, run: _Run, same: bool) -> None:
    shown = node.schema.type
    try:
        value = to_value(document, node.schema)
        before = _ABSENT if old is _ABSENT else to_value(old, node.schema)
    except EvaluationError as error:
        run.causes.append(_invalid(path, shown, str(error)))
        return
    for rule in node.rules:
        if isinstance(rule, CompileError):
            run.causes.append(_invalid(path, shown, f"rule compile error: {rule.message}"))
            continue
        if rule.uses_old and old is _ABSENT and not rule.optional_old:
            continue  # a rule about transitions
        failure = _evaluate(rule, _bindings(value, before, rule.optional_old), path, shown, run)
        if failure is None:
            continue
        if same and not rule.uses_old:
            if run.warn is not None:
                run.warn(f"{failure.field}: {failure.message}")
        else:
            run.causes.append(failure)


def _bindings(value: Value, before: Value, optional: bool) -> dict[str, Value]:
    if optional:
        return {"self": value, "oldSelf": NONE if before is _ABSENT else Optional(before, True)}
    return {"self": value} if before is _ABSENT else {"self": value, "oldSelf": before}


def _evaluate(rule: Rule, bindings: dict[str, Value], path: str, shown: str, run: _Run) -> Cause | None:
    """The failure of a rule, or ``None``. Raises :class:`_Stop` when nothing more may be run."""
    named = rule.message or rule.text
    if run.budget.left <= 0:
        text = "validation failed due to running out of cost budget, no further validation rules will be run"
        run.causes.append(_invalid(path, shown, text))
        raise _Stop
    meter = run.budget.open()
    try:
        result = rule.program.evaluate(bindings, meter)
    except CostExceeded as error:
        text = f"'{error}': no further validation rules will be run due to call cost exceeds limit for rule: {named}"
        run.causes.append(_invalid(path, shown, text))
        raise _Stop from error
    except EvaluationError as error:
        if str(error).startswith("no such overload"):
            text = f"'{error}': call arguments did not match a supported operator, function or macro signature for rule: {named}"
        else:
            text = f"{error} evaluating rule: {named}"
        run.causes.append(_invalid(path, shown, text))  # also where nothing changed
        return None
    finally:
        run.budget.close(meter)
    if result is True:
        return None
    detail = _message(rule, bindings, run) or rule.message or f"failed rule: {rule.text}"
    at = path
    if rule.field_path:
        at = f"{path}.{rule.field_path}" if path and not rule.field_path.startswith("[") else path + rule.field_path
    return _for_reason(rule.reason, at, shown, detail)


def _message(rule: Rule, bindings: dict[str, Value], run: _Run) -> str | None:
    """The text that the rule's own expression makes; ``None`` if it fails to."""
    if rule.message_program is None:
        return None
    meter = run.budget.open()
    try:
        text = rule.message_program.evaluate(bindings, meter)
    except (EvaluationError, CostExceeded):
        return None
    finally:
        run.budget.close(meter)
    if not isinstance(text, str):
        return None
    text = text.strip()
    return None if not text or "\n" in text or len(text.encode("utf-8", "replace")) > MAX_MESSAGE else text


def _invalid(path: str, shown: str, detail: str) -> Cause:
    return Cause("FieldValueInvalid", f'Invalid value: "{shown}": {detail}', path or "<nil>")


def _for_reason(reason: str, path: str, shown: str, detail: str) -> Cause:
    if reason == "FieldValueForbidden":
        return Cause(reason, f"Forbidden: {detail}", path or "<nil>")
    if reason == "FieldValueRequired":
        return Cause(reason, f"Required value: {detail}", path or "<nil>")
    if reason == "FieldValueDuplicate":
        return Cause(reason, f'Duplicate value: "{shown}"', path or "<nil>")
    return _invalid(path, shown, detail)
