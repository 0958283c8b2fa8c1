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
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from kplane_server.model.errors import Cause, Json
from kplane_server.schema.cel.convert import to_value
from kplane_server.schema.cel.program import CALL_LIMIT, Program
from kplane_server.schema.cel.types import check_program
from kplane_server.schema.cel.values import (
    NONE,
    CompileError,
    CostExceeded,
    EvaluationError,
    Meter,
    Optional,
    Value,
    item_key,
)
from kplane_server.schema.patch.json_patch import equal
from kplane_server.schema.structural import Schema, compile_resource_schema

#: What all rules of one document may cost together.
TOTAL_LIMIT: Final = 2 * CALL_LIMIT
#: The longest message that an expression may make (bytes).
MAX_MESSAGE: Final = 5 * 1024
#: More rules in one schema are refused: each is compiled.
MAX_RULES: Final = 1000
_ABSENT: Final[Any] = object()
_VARIABLES: Final = ("self", "oldSelf")


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
        program=Program(text, _VARIABLES),
        text=text.strip(),
        message=(rule.get("message") or "").strip(),
        message_program=Program(expression, _VARIABLES) if expression else None,
        reason=rule.get("reason") or "FieldValueInvalid",
        field_path=_normal_path(rule.get("fieldPath") or ""),
        optional_old=bool(rule.get("optionalOldSelf")),
    )


_PATH_STEP = re.compile(r"\.([^.\[\]]+)|\['((?:[^'\\]|\\.)*)'\]")


def _normal_path(text: str) -> str:
    """``.a['b'].c`` as field errors write it: ``a[b].c``."""
    return "".join(f".{name}" if name else f"[{key}]" for name, key in _PATH_STEP.findall(text)).removeprefix(".")


class _Run:
    """One validation: what it found, and what it may still cost."""

    def __init__(self, warn: Callable[[str], None] | None) -> None:
        self.causes: list[Cause] = []
        self.left = TOTAL_LIMIT
        self.warn = warn


class _Stop(Exception):
    """The budget is gone: no further rule is run."""


def validate_rules(
    document: Json, schema: Schema, *, old: Json = _ABSENT, path: str = "", warn: Callable[[str], None] | None = None
) -> list[Cause]:
    """What the rules of a schema have against a document that is valid otherwise.

    ``old``: the document before an update. ``warn`` takes failures of rules over parts that did not change.
    """
    node = rules_of(schema)
    if node is None:
        return []
    run = _Run(warn)
    with contextlib.suppress(_Stop):
        _check(node, document, old, path, run, parent_same=False)
    return run.causes


def _check(node: RuleNode, document: Json, old: Json, path: str, run: _Run, *, parent_same: bool) -> None:
    if document is None:
        return
    old = _ABSENT if old is None else old
    same = parent_same or (old is not _ABSENT and equal(document, old))
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
    if run.left <= 0:
        text = "validation failed due to running out of cost budget, no further validation rules will be run"
        run.causes.append(_invalid(path, shown, text))
        raise _Stop
    meter = Meter(min(CALL_LIMIT, run.left))
    limit = meter.left
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
        return _invalid(path, shown, text)
    finally:
        run.left -= limit - max(meter.left, 0)
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
    meter = Meter(max(0, min(CALL_LIMIT, run.left)))
    limit = meter.left
    try:
        text = rule.message_program.evaluate(bindings, meter)
    except (EvaluationError, CostExceeded):
        return None
    finally:
        run.left -= limit - max(meter.left, 0)
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


# -- what is wrong with rules when a definition is written


def check_rules(document: Mapping[str, Json]) -> list[Cause]:
    """What is wrong with the rules of a schema that is structural; fields are relative to it."""
    if not any(True for _ in _documents(document, "")):
        return []
    count = sum(len(node.get("x-kubernetes-validations") or ()) for node, _ in _documents(document, ""))
    if count > MAX_RULES:
        return [Cause("FieldValueTooMany", f"Too many: {count}: must have at most {MAX_RULES} items", "x-kubernetes-validations")]
    return list(_node_causes(compile_resource_schema(document), document, "", ""))


def _documents(document: Mapping[str, Json], path: str) -> Iterator[tuple[Mapping[str, Json], str]]:
    """The structural nodes of a schema that have rules."""
    if document.get("x-kubernetes-validations"):
        yield document, path
    for child in (document.get("properties") or {}).values():
        yield from _documents(child, path)
    for key in ("items", "additionalProperties"):
        if isinstance(document.get(key), dict):
            yield from _documents(document[key], path)


def _join(path: str, step: str) -> str:
    return f"{path}.{step}" if path else step


def _node_causes(schema: Schema, document: Mapping[str, Json], path: str, uncorrelatable: str) -> Iterator[Cause]:
    """``uncorrelatable``: the outermost list above whose items have no history."""
    for index, rule in enumerate(document.get("x-kubernetes-validations") or ()):
        yield from _rule_causes(rule, schema, _join(path, f"x-kubernetes-validations[{index}]"), uncorrelatable)
    for name, child in (document.get("properties") or {}).items():
        yield from _node_causes(schema.properties[name], child, _join(path, f"properties[{name}]"), uncorrelatable)
    if isinstance(document.get("additionalProperties"), dict) and schema.additional is not None:
        yield from _node_causes(schema.additional, document["additionalProperties"], _join(path, "additionalProperties"), uncorrelatable)
    if document.get("items") is not None and schema.items is not None:
        inside = uncorrelatable or ("" if schema.list_type == "map" else path or "<nil>")
        yield from _node_causes(schema.items, document["items"], _join(path, "items"), inside)


def _rule_causes(rule: Mapping[str, Json], schema: Schema, path: str, uncorrelatable: str) -> Iterator[Cause]:
    shown = orjson.dumps(rule).decode()[:1024]
    try:
        program = Program(rule.get("rule") or "", _VARIABLES)
        check_program(program, schema, "bool", optional_old=bool(rule.get("optionalOldSelf")))
    except CompileError as error:
        yield Cause("FieldValueInvalid", f"Invalid value: {shown}: {_compilation(error)}", f"{path}.rule")
        return
    if "oldSelf" in program.variables:
        if uncorrelatable:
            text = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {uncorrelatable}"
            yield Cause("FieldValueInvalid", f"Invalid value: {orjson.dumps(program.source).decode()[:1024]}: {text}", f"{path}.rule")
    elif rule.get("optionalOldSelf") is not None:
        flag = "true" if rule["optionalOldSelf"] else "false"
        text = f"Invalid value: {flag}: may not be set if oldSelf is not used in rule"
        yield Cause("FieldValueInvalid", text, f"{path}.optionalOldSelf")
    if rule.get("messageExpression"):
        try:
            message = Program(rule["messageExpression"], _VARIABLES)
            check_program(message, schema, "string", optional_old=bool(rule.get("optionalOldSelf")))
        except CompileError as error:
            text = f"messageExpression {_compilation(error)}"
            yield Cause("FieldValueInvalid", f"Invalid value: {shown}: {text}", f"{path}.messageExpression")
    if rule.get("fieldPath") and not _leads_somewhere(rule["fieldPath"], schema):
        text = f"Invalid value: {orjson.dumps(rule['fieldPath']).decode()}: must be a valid path"
        yield Cause("FieldValueInvalid", text, f"{path}.fieldPath")


def _compilation(error: CompileError) -> str:
    return error.message if error.message.startswith("must evaluate") else f"compilation failed: {error.message}"


def _leads_somewhere(text: str, schema: Schema) -> bool:
    """Whether a field path names a field of the schema."""
    if "".join(found[0] for found in _PATH_STEP.finditer(text)) != text:
        return False
    node: Schema | None = schema
    for name, key in _PATH_STEP.findall(text):
        if node is None:
            return False
        node = node.properties.get(name or key) if node.properties else node.additional
    return node is not None
