# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of validating admission policies: their fields, and that every expression compiles.

Source: https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from kplane_server.model import metadata
from kplane_server.model.errors import Cause, Json, field_duplicate, field_invalid, field_not_supported, field_required
from kplane_server.registry.strategies.base import Document, StrategyContext
from kplane_server.registry.strategies.checks import Object, join, objects, section
from kplane_server.schema.cel.admission import compile_expression
from kplane_server.schema.cel.declarations import DYN, Type
from kplane_server.schema.cel.values import CompileError

_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
#: Words that are no names in the language.
_RESERVED: Final = frozenset(
    (
        *("true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function"),
        *("if", "import", "let", "loop", "package", "namespace", "return", "var", "void", "while", "int"),
        *("uint", "double", "bool", "string", "bytes", "list", "map", "type", "null_type"),
    )
)
_REASONS: Final = ("Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized")
_MAX_ANNOTATION_EXPRESSION: Final = 5 * 1024
_MAX_ANNOTATIONS: Final = 20
_MAX_EXPRESSIONS: Final = 100


def policy_spec(obj: Object, path: str) -> Iterator[Cause]:
    """What a policy says, but for the keys of its audit annotations, which depend on its name."""
    if not obj.get("validations") and not obj.get("auditAnnotations"):
        for field in ("validations", "auditAnnotations"):
            yield field_required(join(path, field), "validations or auditAnnotations must contain at least one item")
    too_many = list(too_many_expressions(obj, path, "validations"))
    known: dict[str, Type] = {}
    params = isinstance(obj.get("paramKind"), dict)
    yield from matching(obj, path, known, compiled=not too_many)
    if too_many:
        yield from too_many
        return
    for index, validation in enumerate(objects(obj, "validations")):
        yield from _validation(validation, f"{join(path, 'validations')}[{index}]", params, known)
    yield from _audit_annotations(obj, path, params, known)


def too_many_expressions(obj: Object, path: str, rules: str) -> Iterator[Cause]:
    """More expressions than are compiled."""
    for field in ("variables", rules):
        if (count := len(objects(obj, field))) > _MAX_EXPRESSIONS:
            yield Cause("FieldValueTooMany", f"Too many: {count}: must have at most {_MAX_EXPRESSIONS} items", join(path, field))


def matching(obj: Object, path: str, known: dict[str, Type], *, compiled: bool) -> Iterator[Cause]:
    """What all policies have: constraints, the kind of parameters, and, if they are to be ``compiled``, conditions and variables.

    The types of the variables are left in ``known``.
    """
    if isinstance(obj.get("matchConstraints"), dict) and not section(obj, "matchConstraints").get("resourceRules"):
        yield field_required(join(path, "matchConstraints", "resourceRules"))
    kind = obj.get("paramKind")
    params = isinstance(kind, dict)
    if isinstance(kind, dict):
        for field in ("apiVersion", "kind"):
            if not kind.get(field):
                yield field_required(join(path, "paramKind", field))
    if not compiled:
        return
    yield from match_conditions(obj, path, params=params)
    for index, variable in enumerate(objects(obj, "variables")):
        yield from _variable(variable, f"{join(path, 'variables')}[{index}]", params, known)


def match_conditions(obj: Object, path: str, *, params: bool = False) -> Iterator[Cause]:
    """Conditions of policies and webhooks: their names, and that they compile."""
    conditions = objects(obj, "matchConditions")
    if len(conditions) > 64:
        yield Cause("FieldValueTooMany", f"Too many: {len(conditions)}: must have at most 64 items", join(path, "matchConditions"))
        return
    seen: set[Json] = set()
    for index, condition in enumerate(conditions):
        name = condition.get("name")
        at = f"{join(path, 'matchConditions')}[{index}]"
        if name:
            yield from (field_invalid(join(at, "name"), name, problem) for problem in metadata.qualified_name_problems(name))
        if name in seen:
            yield field_duplicate(join(at, "name"), name)
        seen.add(name)
        yield from expression_problems(condition.get("expression"), join(at, "expression"), ("bool",), params=params)


def policy(obj: Document, ctx: StrategyContext) -> list[Cause]:
    """Audit annotations are written under the name of the policy, so the whole key has to be one."""
    name = section(obj, "metadata").get("name") or ""
    causes: list[Cause] = []
    for index, entry in enumerate(objects(section(obj, "spec"), "auditAnnotations")):
        key = f"{name}/{entry.get('key') or ''}"
        at = f"spec.auditAnnotations[{index}].key"
        causes += [field_invalid(at, key, problem) for problem in metadata.qualified_name_problems(key)]
    return causes


def _variable(variable: Object, path: str, params: bool, known: dict[str, Type]) -> Iterator[Cause]:
    name = variable.get("name") or ""
    if name and (not _IDENTIFIER.fullmatch(name) or name in _RESERVED):
        yield field_invalid(join(path, "name"), name, "must be a valid CEL identifier")
    if name in known:
        yield field_duplicate(join(path, "name"), name)
    found = DYN
    if text := variable.get("expression"):
        try:
            _, found = compile_expression(text, results=(), params=params, variables=dict(known))
        except CompileError as error:
            yield _wrong(join(path, "expression"), text, error)
    known[name] = found


def _validation(validation: Object, path: str, params: bool, known: Mapping[str, Type]) -> Iterator[Cause]:
    yield from expression_problems(validation.get("expression"), join(path, "expression"), ("bool",), params=params, variables=known)
    message, expression = validation.get("message") or "", validation.get("messageExpression") or ""
    if expression and not expression.strip():
        yield field_invalid(join(path, "messageExpression"), expression, "must be non-empty if specified")
    else:
        at = join(path, "messageExpression")
        yield from expression_problems(expression, at, ("string",), params=params, authorizer=False, variables=known)
    if message and not message.strip():
        yield field_invalid(join(path, "message"), message, "must be non-empty if specified")
    elif "\n" in message.strip() or "\r" in message.strip():
        yield field_invalid(join(path, "message"), message, "must not contain line breaks")
    reason = validation.get("reason")
    if reason is not None and reason not in _REASONS:
        yield field_not_supported(join(path, "reason"), reason, _REASONS)


def _audit_annotations(obj: Object, path: str, params: bool, known: Mapping[str, Type]) -> Iterator[Cause]:
    entries = objects(obj, "auditAnnotations")
    if len(entries) > _MAX_ANNOTATIONS:
        why = f"must not have more than {_MAX_ANNOTATIONS} auditAnnotations"
        yield field_invalid(join(path, "auditAnnotations"), f"{len(entries)} auditAnnotations", why)
        return
    seen: set[Json] = set()
    for index, entry in enumerate(entries):
        at = f"{join(path, 'auditAnnotations')}[{index}]"
        if entry.get("key") in seen:
            yield field_duplicate(join(at, "key"), entry["key"])
        seen.add(entry.get("key"))
        text = entry.get("valueExpression") or ""
        if len(text.encode()) > _MAX_ANNOTATION_EXPRESSION:
            yield field_required(join(at, "valueExpression"), f"must not exceed {_MAX_ANNOTATION_EXPRESSION} bytes in length")
            continue
        yield from expression_problems(text, join(at, "valueExpression"), ("string", "null_type"), params=params, variables=known)


def expression_problems(
    text: Json,
    path: str,
    results: tuple[str, ...],
    *,
    params: bool,
    authorizer: bool = True,
    variables: Mapping[str, Type] | None = None,
    patches: bool = False,
) -> Iterator[Cause]:
    """Whether an expression, if there is one, compiles and may give what is wanted."""
    if not text:
        return
    if not text.strip():
        yield field_required(path, "expression is not specified")
        return
    try:
        compile_expression(text, results=results, params=params, authorizer=authorizer, variables=variables, patches=patches)
    except CompileError as error:
        yield _wrong(path, text, error)


def _wrong(path: str, text: str, error: CompileError) -> Cause:
    prefix = "compilation failed: " if error.message.startswith("ERROR") else ""
    return field_invalid(path, text, prefix + error.message)
