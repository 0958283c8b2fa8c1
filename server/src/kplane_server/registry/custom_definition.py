# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a CustomResourceDefinition: defaults, accepted names, conditions, stored versions.

What upstream leaves to controllers happens in the write itself, so that a definition is served as soon as its create is answered.
Source: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from kplane_server.model.errors import Json
from kplane_server.model.keys import ResourceId
from kplane_server.registry.custom_validation import (
    API_APPROVED,
    is_protected,
    validate_definition,
    validate_definition_status,
    validate_definition_update,
)
from kplane_server.registry.strategies.base import Document, Strategy, StrategyContext

DEFINITIONS: Final = ResourceId("customresourcedefinitions.apiextensions.k8s.io")
#: Keeps a definition until its instances are gone.
CLEANUP: Final = "customresourcecleanup.apiextensions.k8s.io"

_NAMES: Final = ("plural", "singular", "kind", "listKind")
_ACCEPTED: Final = (*_NAMES, "shortNames", "categories")


def definition_strategy(plain: Strategy) -> Strategy:
    """``plain``, the strategy by data, with the behaviour of definitions."""
    return replace(
        plain,
        has_status=True,
        has_generation=True,
        create_hook=_created,
        update_hook=_updated,
        create_validator=lambda obj, ctx: validate_definition(obj),
        update_validator=lambda new, old, ctx: validate_definition_update(new, old),
        status_validator=lambda new, old, ctx: validate_definition_status(new),
    )


def _created(crd: Document, ctx: StrategyContext) -> None:
    metadata = crd["metadata"]
    finalizers = metadata.get("finalizers") or []
    if CLEANUP not in finalizers:
        metadata["finalizers"] = [*finalizers, CLEANUP]
    crd["status"] = {"conditions": [], "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": []}
    _judge(crd, ctx)


def _updated(new: Document, old: Document, ctx: StrategyContext) -> None:
    if not ctx.subresource:
        _judge(new, ctx)


def _judge(crd: Document, ctx: StrategyContext) -> None:
    """Bring the status in line with the spec."""
    spec, metadata = crd.get("spec"), crd["metadata"]
    if not isinstance(spec, dict) or not isinstance(spec.get("names"), dict):
        return  # the validation that follows refuses it
    own, suffix = metadata.get("name"), f".{spec.get('group')}"  # names end with their group, so others need no parsing
    siblings = ctx.lookup.list(DEFINITIONS, named=lambda name: name.endswith(suffix) and name != own)
    judge_names(crd, [other for other in siblings if other["spec"]["group"] == spec.get("group")], ctx.now)
    status = crd["status"]
    stored = status.setdefault("storedVersions", [])
    for version in spec.get("versions") or ():
        if isinstance(version, dict) and version.get("storage") and version.get("name") and version["name"] not in stored:
            stored.append(version["name"])
    _judge_approval(crd, ctx.now)


def judge_names(crd: Document, others: Iterable[Json], now: str) -> bool:
    """Set acceptedNames, NamesAccepted and Established, given the other definitions of the group. True if anything changed."""
    status = crd.setdefault("status", {})
    before = (dict(status.get("acceptedNames") or {}), [dict(c) for c in status.get("conditions") or ()])
    names = crd["spec"]["names"]
    accepted = status.get("acceptedNames") or {}
    taken_names, taken_kinds = _taken(others)
    conflict: tuple[str, str] | None = None
    result: dict[str, Json] = {}
    for field, reason in (("plural", "PluralConflict"), ("singular", "SingularConflict")):
        result[field], conflict = _accept(names.get(field), accepted.get(field), taken_names, reason, conflict)
    shorts = names.get("shortNames") or []
    clashing = [short for short in shorts if short in taken_names]
    if clashing:
        conflict = conflict or ("ShortNamesConflict", f'"{clashing[0]}" is already in use')
        shorts = accepted.get("shortNames") or []
    for field, reason in (("kind", "KindConflict"), ("listKind", "ListKindConflict")):
        result[field], conflict = _accept(names.get(field), accepted.get(field), taken_kinds, reason, conflict)
    if shorts:
        result["shortNames"] = shorts
    if names.get("categories"):
        result["categories"] = names["categories"]
    status["acceptedNames"] = {field: result[field] for field in _ACCEPTED if field in result}
    if conflict is None:
        set_condition(crd, "NamesAccepted", "True", "NoConflicts", "no conflicts found", now)
        set_condition(crd, "Established", "True", "InitialNamesAccepted", "the initial names have been accepted", now)
    else:
        set_condition(crd, "NamesAccepted", "False", *conflict, now)
        if not has_condition(crd, "Established"):
            set_condition(crd, "Established", "False", "NotAccepted", "not all names are accepted", now)
    return before != (status["acceptedNames"], status["conditions"])


def _accept(
    wanted: str | None, accepted: str | None, taken: set[str], reason: str, conflict: tuple[str, str] | None
) -> tuple[str, tuple[str, str] | None]:
    if wanted in taken:
        return accepted or "", conflict or (reason, f'"{wanted}" is already in use')
    return wanted or "", conflict


def _taken(others: Iterable[Json]) -> tuple[set[str], set[str]]:
    """(resource names, kinds) that the accepted names of others hold."""
    names: set[str] = set()
    kinds: set[str] = set()
    for other in others:
        accepted = (other.get("status") or {}).get("acceptedNames") or {}
        names.update(n for n in (accepted.get("plural"), accepted.get("singular"), *(accepted.get("shortNames") or ())) if n)
        kinds.update(k for k in (accepted.get("kind"), accepted.get("listKind")) if k)
    return names, kinds


def _judge_approval(crd: Document, now: str) -> None:
    """Condition KubernetesAPIApprovalPolicyConformant of the groups that belong to Kubernetes."""
    if not is_protected(str(crd["spec"].get("group"))):
        return
    value = (crd["metadata"].get("annotations") or {}).get(API_APPROVED, "")
    if value.startswith("unapproved"):
        message = f'not approved: "{value}"'
        set_condition(crd, "KubernetesAPIApprovalPolicyConformant", "False", "UnapprovedAnnotation", message, now)
    elif value:
        message = f"approved in {value}"
        set_condition(crd, "KubernetesAPIApprovalPolicyConformant", "True", "ApprovedAnnotation", message, now)


def mark_terminating(crd: Document, now: str) -> None:
    """A definition that waits for its instances to go."""
    message = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"
    set_condition(crd, "Terminating", "True", "InstanceDeletionPending", message, now)


def mark_deleting_instances(crd: Document, now: str) -> None:
    """A definition whose instances are being deleted."""
    message = "CustomResource deletion is in progress"
    set_condition(crd, "Terminating", "True", "InstanceDeletionInProgress", message, now)


def is_deleting_instances(crd: Json) -> bool:
    return any(c.get("reason") == "InstanceDeletionInProgress" for c in (crd.get("status") or {}).get("conditions") or ())


def has_condition(crd: Json, kind: str, status: str = "True") -> bool:
    return any(c.get("type") == kind and c.get("status") == status for c in (crd.get("status") or {}).get("conditions") or ())


def set_condition(crd: Document, kind: str, status: str, reason: str, message: str, now: str) -> None:
    """Add or change one condition; its time moves only when its status does."""
    conditions = crd["status"].get("conditions") or []
    crd["status"]["conditions"] = conditions
    wanted = {"type": kind, "status": status, "lastTransitionTime": now, "reason": reason, "message": message}
    for index, condition in enumerate(conditions):
        if condition.get("type") == kind:
            if condition.get("status") == status and condition.get("lastTransitionTime"):
                wanted["lastTransitionTime"] = condition["lastTransitionTime"]
            conditions[index] = wanted
            return
    conditions.append(wanted)
