# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Priority: a pod's priority class becomes a number, and there is at most one default class.

Source: https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/
"""

from __future__ import annotations

from typing import Final

from kplane_server.admission.plugin import Plugin, forbidden, is_pod_creation
from kplane_server.model.errors import Json
from kplane_server.model.keys import ResourceId
from kplane_server.registry.attributes import Attributes, Operation

_CLASSES: Final = ResourceId("priorityclasses.scheduling.k8s.io")
_PREEMPT: Final = "PreemptLowerPriority"
_COMPUTED: Final = "must not be provided in pod spec; priority admission controller computed {} from the given PriorityClass name"


class Priority(Plugin):
    name = "Priority"

    def concerns(self, attributes: Attributes) -> bool:
        return is_pod_creation(attributes) or (
            attributes.info.storage_id == _CLASSES and attributes.operation in (Operation.CREATE, Operation.UPDATE)
        )

    def admit(self, attributes: Attributes) -> None:
        if attributes.info.storage_id == _CLASSES:
            return
        pod = attributes.object
        assert pod is not None  # a creation has a document
        spec = pod.get("spec")
        if not isinstance(spec, dict):
            return
        name = spec.get("priorityClassName")
        found = attributes.lookup.get(_CLASSES, "", name) if name else _default_class(attributes)
        if name and found is None:
            raise forbidden(attributes, f"no PriorityClass with name {name} was found")
        value = 0 if found is None else found.get("value") or 0
        policy = _PREEMPT if found is None else found.get("preemptionPolicy") or _PREEMPT
        if spec.get("priority") not in (None, value):
            raise forbidden(attributes, f"the integer value of priority ({spec['priority']}) {_COMPUTED.format(value)}")
        if spec.get("preemptionPolicy") not in (None, policy):
            raise forbidden(attributes, f"the string value of PreemptionPolicy ({spec['preemptionPolicy']}) {_COMPUTED.format(policy)}")
        if found is not None and not name:
            spec["priorityClassName"] = found["metadata"]["name"]
        spec["priority"], spec["preemptionPolicy"] = value, policy
        attributes.mutated = True

    def validate(self, attributes: Attributes) -> None:
        """A second default class is refused."""
        if attributes.info.storage_id != _CLASSES:
            return
        obj = attributes.object
        assert obj is not None  # creations and updates have a document
        if not obj.get("globalDefault"):
            return
        other = _default_class(attributes)
        if other is not None and other["metadata"]["name"] != obj["metadata"]["name"]:
            why = f"PriorityClass {other['metadata']['name']} is already marked as default. Only one default can exist"
            raise forbidden(attributes, why)


def _default_class(attributes: Attributes) -> Json | None:
    """The default class; of several (an old race) the one with the lowest value."""
    defaults = [c for c in attributes.lookup.list(_CLASSES) if c.get("globalDefault")]
    return min(defaults, key=lambda c: c.get("value") or 0, default=None)
