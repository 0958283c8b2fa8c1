# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DefaultTolerationSeconds: a pod stays five minutes on a node that is not ready or not reachable, unless it says otherwise."""

from __future__ import annotations

from typing import Final

from kplane_server.admission.plugin import Plugin, is_pod_creation
from kplane_server.model.errors import Json
from kplane_server.registry.attributes import Attributes

_SECONDS: Final = 300
_TAINTS: Final = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_EFFECT: Final = "NoExecute"


class DefaultTolerationSeconds(Plugin):
    name = "DefaultTolerationSeconds"

    def concerns(self, attributes: Attributes) -> bool:
        return is_pod_creation(attributes)

    def admit(self, attributes: Attributes) -> None:
        pod = attributes.object
        assert pod is not None  # a creation has a document
        spec = pod.get("spec")
        if not isinstance(spec, dict):
            return
        present = [t for t in spec.get("tolerations") or () if isinstance(t, dict)]
        missing = [taint for taint in _TAINTS if not any(_tolerates(t, taint) for t in present)]
        if missing:
            added = [{"key": taint, "operator": "Exists", "effect": _EFFECT, "tolerationSeconds": _SECONDS} for taint in missing]
            spec["tolerations"] = [*present, *added]
            attributes.mutated = True


def _tolerates(toleration: Json, taint: str) -> bool:
    return toleration.get("key") in (None, "", taint) and toleration.get("effect") in (None, "", _EFFECT)
