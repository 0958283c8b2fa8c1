# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scopes of a quota: which objects it counts.

Source: https://kubernetes.io/docs/concepts/policy/resource-quotas/#quota-scopes
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from kplane_server.admission.amounts import amounts
from kplane_server.admission.podresources import containers
from kplane_server.model.errors import Json

_PRIORITY_CLASS: Final = "PriorityClass"
_ATTRIBUTES_CLASS: Final = "VolumeAttributesClass"


class Requirement(NamedTuple):
    """One condition: a scope, and for those that compare names an operator with its values."""

    scope: str
    operator: str = "Exists"
    values: tuple[str, ...] = ()

    def allows(self, name: str) -> bool:
        """Whether a class name (empty: none) fits operator and values."""
        if self.operator == "In":
            return name in self.values
        if self.operator == "NotIn":
            return name not in self.values
        return bool(name) is (self.operator == "Exists")


def requirements(quota: Json) -> Iterator[Requirement]:
    """All conditions of a quota; every one must hold."""
    spec = quota.get("spec") or {}
    for scope in spec.get("scopes") or ():
        yield Requirement(scope)
    for entry in (spec.get("scopeSelector") or {}).get("matchExpressions") or ():
        yield Requirement(entry.get("scopeName", ""), entry.get("operator", ""), tuple(entry.get("values") or ()))


def pod_in_scope(requirement: Requirement, pod: Json) -> bool:
    """Whether a pod is in a scope."""
    if requirement.scope == _PRIORITY_CLASS:
        return requirement.allows((pod.get("spec") or {}).get("priorityClassName") or "")
    question = _POD_SCOPES.get(requirement.scope)
    return question is not None and question(pod)


def claim_in_scope(requirement: Requirement, claim: Json) -> bool:
    """Whether a PersistentVolumeClaim is in a scope: one of the classes that it has, or is getting, must fit."""
    if requirement.scope != _ATTRIBUTES_CLASS:
        return False
    status = claim.get("status") or {}
    named = (
        (claim.get("spec") or {}).get("volumeAttributesClassName"),
        status.get("currentVolumeAttributesClassName"),
        (status.get("modifyVolumeStatus") or {}).get("targetVolumeAttributesClassName"),
    )
    names: list[str] = [name for name in named if name]
    return any(requirement.allows(name) for name in names or [""])


def never(requirement: Requirement, obj: Json) -> bool:
    """What has no scopes is counted by quotas without scopes only."""
    return False


def is_terminating(pod: Json) -> bool:
    """Whether a pod has an end: its deadline, not its deletion."""
    deadline = (pod.get("spec") or {}).get("activeDeadlineSeconds")
    return isinstance(deadline, int) and deadline >= 0


def is_best_effort(pod: Json) -> bool:
    """Whether a pod asks for no cpu and no memory."""
    known = (pod.get("status") or {}).get("qosClass")
    if known:
        return bool(known == "BestEffort")
    holders = [pod.get("spec") or {}, *containers(pod), *containers(pod, "initContainers")]
    for holder in holders:
        own = holder.get("resources") or {}
        for part in ("requests", "limits"):
            if any(name in ("cpu", "memory") and value.value > 0 for name, value in amounts(own.get(part)).items()):
                return False
    return True


def _reaches_other_namespaces(pod: Json) -> bool:
    """Whether an affinity term looks at pods of other namespaces."""
    affinity = (pod.get("spec") or {}).get("affinity") or {}
    for kind in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(kind) or {}
        terms = list(rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ())
        weighted = rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        terms += [entry.get("podAffinityTerm") or {} for entry in weighted]
        if any(term.get("namespaces") or term.get("namespaceSelector") is not None for term in terms):
            return True
    return False


_POD_SCOPES: Final[Mapping[str, Callable[[Json], bool]]] = {
    "Terminating": is_terminating,
    "NotTerminating": lambda pod: not is_terminating(pod),
    "BestEffort": is_best_effort,
    "NotBestEffort": lambda pod: not is_best_effort(pod),
    "CrossNamespacePodAffinity": _reaches_other_namespaces,
}
