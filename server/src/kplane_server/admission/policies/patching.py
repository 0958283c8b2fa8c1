# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One mutation applied to a document: a JSON patch, or a configuration that is merged into it as server-side apply merges.

Source: https://kubernetes.io/docs/reference/access-authn-authz/mutating-admission-policy/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import orjson

from kplane_server.admission.policies.definitions import Mutation
from kplane_server.admission.policies.evaluation import Expressions
from kplane_server.admission.webhook_versions import Shown
from kplane_server.model.errors import ApiError, Json
from kplane_server.registry.builtin_schemas import schema_for
from kplane_server.registry.kinds import schema_of
from kplane_server.schema.apply.atoms import Atom, TypedError, atom_of
from kplane_server.schema.apply.fieldset import path_text
from kplane_server.schema.apply.merging import merge
from kplane_server.schema.apply.typed import fits
from kplane_server.schema.cel.patches import name_problems
from kplane_server.schema.cel.values import EvaluationError, ObjectValue, Value, type_name
from kplane_server.schema.defaulting import copy_json
from kplane_server.schema.patch import json_patch

#: How long a document may become, as JSON: as long as the body of a request.
MAX_DOCUMENT: Final = 3 * 1024 * 1024
_TEXTS: Final = ("op", "path")


class MutationFailed(Exception):
    """A mutation that cannot be applied; the failure policy says what that means."""


def mutate(mutation: Mutation, expressions: Expressions, shown: Shown) -> Json:
    """The document as a mutation makes it; what was shown stays as it is. Raises MutationFailed."""
    try:
        value = expressions.value(mutation.expression)
        changed = _patched(value, expressions, shown.object) if mutation.is_patch else _merged(value, expressions, shown)
    except EvaluationError as error:
        raise MutationFailed(str(error)) from error
    if len(orjson.dumps(changed)) > MAX_DOCUMENT:
        raise MutationFailed(f"the patched document is longer than {MAX_DOCUMENT} bytes")
    return changed


def _patched(value: Value, expressions: Expressions, document: Json) -> Json:
    if not isinstance(value, list):
        raise MutationFailed("type mismatch: JSONPatchType.expression should evaluate to array")
    operations = [_operation(item, expressions) for item in value]
    try:
        return json_patch.apply(document, operations)
    except json_patch.TestFailed:
        return copy_json(document)  # a patch whose test fails is not applied, and that is no failure
    except ApiError as error:
        raise MutationFailed(f"JSON Patch: {error.message}") from error


def _operation(item: Value, expressions: Expressions) -> Json:
    if not isinstance(item, ObjectValue) or item.name != "JSONPatch":
        why = f"type mismatch: JSONPatchType.expression should evaluate to array of JSONPatch, got element of {type_name(item)}"
        raise MutationFailed(why)
    operation = {name: item[name] for name in _TEXTS}
    if item["from"]:
        operation["from"] = item["from"]
    if "value" in item:
        operation["value"] = expressions.json(item["value"])
        _check_names(item["value"])
    return operation


def _check_names(value: Value) -> None:
    problems = name_problems(value) if isinstance(value, ObjectValue) else []
    if problems:
        raise MutationFailed("type mismatch: " + "\n".join(problems))


def _merged(value: Value, expressions: Expressions, shown: Shown) -> Json:
    if not isinstance(value, ObjectValue) or value.name != "Object":
        raise MutationFailed(f"unsupported return type from ApplyConfiguration expression: {type_name(value)}")
    configuration = expressions.json(value)
    _check_names(value)
    configuration["apiVersion"], configuration["kind"] = shown.kind.api_version, shown.kind.kind
    atom = atom_of(schema_of(shown.row) if shown.kind == shown.row.gvk else schema_for(shown.kind))
    try:
        fits(configuration, atom)
    except TypedError as error:
        raise MutationFailed(f"error applying patch: failed to convert patch object to typed object: {error}") from error
    if atomic := list(_atomics(configuration, atom, ())):
        why = f"may not mutate atomic arrays, maps or structs: {', '.join(atomic)}"
        raise MutationFailed(f"error applying patch: invalid ApplyConfiguration: {why}")
    try:
        return copy_json(merge(shown.object, configuration, atom))
    except TypedError as error:
        raise MutationFailed(f"error applying patch: failed to merge patch: {error}") from error


def _atomics(value: Json, atom: Atom, path: tuple[str, ...]) -> Iterator[str]:
    """Parts of a configuration that would replace what is there as a whole, fields that it does not name included."""
    if isinstance(value, dict) and atom.is_map:
        if atom.atomic_map:
            yield path_text(path)
        for name, child in value.items():
            if atom.declared(name) and (found := atom.field(name)) is not None:
                yield from _atomics(child, found, (*path, f"f:{name}"))
    elif isinstance(value, list) and atom.is_list and atom.list_element is not None:
        if atom.atomic_list:
            yield path_text(path)
        for index, item in enumerate(value):
            yield from _atomics(item, atom.list_element, (*path, f"i:{index}"))
