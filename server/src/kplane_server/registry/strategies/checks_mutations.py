# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of mutating admission policies and their bindings.

Source: https://kubernetes.io/docs/reference/access-authn-authz/mutating-admission-policy/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kplane_server.model.errors import Cause, field_invalid, field_not_supported, field_required
from kplane_server.registry.strategies.checks import Object, join, objects, section
from kplane_server.registry.strategies.checks_admission import param_ref
from kplane_server.registry.strategies.checks_policies import expression_problems, matching, too_many_expressions
from kplane_server.schema.cel.admission import CONFIGURATION, PATCH_LIST
from kplane_server.schema.cel.declarations import Type

#: A deletion has no document that could be changed.
_OPERATIONS: Final = ("*", "CREATE", "UPDATE")
#: Fields whose values the published documents do not list.
_VALUES: Final = {"failurePolicy": ("Fail", "Ignore"), "reinvocationPolicy": ("IfNeeded", "Never")}
#: patchType → the field that says what to do, and what its expression gives.
_PATCHES: Final = {"ApplyConfiguration": ("applyConfiguration", CONFIGURATION), "JSONPatch": ("jsonPatch", PATCH_LIST)}


def policy_spec(obj: Object, path: str) -> Iterator[Cause]:
    """What a policy says. Its mutations are compiled here, because they know its variables."""
    for field, values in _VALUES.items():
        if obj.get(field) and obj[field] not in values:
            yield field_not_supported(join(path, field), obj[field], values)
    too_many = list(too_many_expressions(obj, path, "mutations"))
    known: dict[str, Type] = {}
    yield from matching(obj, path, known, compiled=not too_many)
    yield from _operations(obj, path, "matchConstraints")
    if not obj.get("mutations"):
        yield field_required(join(path, "mutations"), "mutations must contain at least one item")
    if too_many:
        yield from too_many
        return
    params = isinstance(obj.get("paramKind"), dict)
    for index, entry in enumerate(objects(obj, "mutations")):
        field, result = _PATCHES.get(entry.get("patchType") or "", ("", ""))
        text = section(entry, field).get("expression") if field else None
        if isinstance(text, str) and text.strip():
            at = join(f"{join(path, 'mutations')}[{index}]", field, "expression")
            yield from expression_problems(text.strip(), at, (result,), params=params, variables=known, patches=True)


def mutation(obj: Object, path: str) -> Iterator[Cause]:
    """One of ``mutations``: the field that belongs to its type, and no other."""
    kind = obj.get("patchType")
    if kind not in _PATCHES:
        return  # an unknown one is refused by the table of enumerations
    for other, (field, _) in _PATCHES.items():
        if other != kind:
            if obj.get(field) is not None:
                yield field_invalid(join(path, field), f"{{{field}}}", f"must not be specified when patchType is {kind}")
        elif obj.get(field) is None:
            yield field_required(join(path, field), f"must be specified when patchType is {kind}")
        elif not (section(obj, field).get("expression") or "").strip():
            yield field_required(join(path, field, "expression"))


def binding_spec(obj: Object, path: str) -> Iterator[Cause]:
    """What a binding says."""
    yield from param_ref(obj, path)
    yield from _operations(obj, path, "matchResources")


def _operations(obj: Object, path: str, field: str) -> Iterator[Cause]:
    """Only creations and updates can be changed."""
    for entry in objects(section(obj, field), "resourceRules"):
        for operation in entry.get("operations") or ():
            if operation not in _OPERATIONS:
                yield field_not_supported(join(path, field, "resourceRules", "operations"), operation, _OPERATIONS)
