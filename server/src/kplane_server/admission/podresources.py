# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pod asks for as a whole: the sum of its containers, or the most that its start needs, or what the pod itself says.

Source: https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers,
https://kubernetes.io/docs/tasks/configure-pod-container/assign-pod-level-resources/ and
https://kubernetes.io/docs/concepts/scheduling-eviction/pod-overhead/
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Literal

from kplane_server.admission.amounts import Amounts, add, amounts, at_least
from kplane_server.model.errors import Json

Part = Literal["requests", "limits"]

#: What a pod may say for itself, beside huge pages.
_POD_LEVEL: Final = ("cpu", "memory")
_HUGE_PAGES: Final = "hugepages-"


def containers(pod: Json, kind: str = "containers") -> Iterator[Json]:
    """The containers of a kind."""
    for container in (pod.get("spec") or {}).get(kind) or ():
        if isinstance(container, dict):
            yield container


def resources(container: Json, part: Part) -> Amounts:
    """The requests or limits of one container (or of the pod's own ``resources``)."""
    return amounts((container.get("resources") or {}).get(part))


def totals(pod: Json, part: Part, *, huge_pages: bool = False) -> Amounts:
    """The requests or limits of a pod by its spec alone. ``huge_pages``: those, too, may be set for the pod as a whole."""
    return _pod_level(pod, part, _combined(pod, lambda container: resources(container, part)), huge_pages)


def charged(pod: Json, part: Part) -> Amounts:
    """The requests or limits that a pod is charged for: what runs counts until a resize is done, and the overhead counts."""
    known = {status.get("name"): status for status in _statuses(pod)}

    def of(container: Json) -> Amounts:
        found = resources(container, part)
        status = known.get(container.get("name"))
        if status is not None:
            at_least(found, resources(status, part))
            if part == "requests":
                at_least(found, amounts(status.get("allocatedResources")))
        return found

    total = _pod_level(pod, part, _combined(pod, of), True)
    overhead = amounts((pod.get("spec") or {}).get("overhead"))
    add(total, overhead if part == "requests" else {name: value for name, value in overhead.items() if name in total})
    return total


def has_pod_level(pod: Json) -> bool:
    """Whether the pod as a whole asks for something."""
    own = (pod.get("spec") or {}).get("resources") or {}
    return any(name in _POD_LEVEL or name.startswith(_HUGE_PAGES) for part in ("requests", "limits") for name in own.get(part) or {})


def _combined(pod: Json, of: Callable[[Json], Amounts]) -> Amounts:
    """Containers run side by side; an initializing one runs alone, beside the sidecars that were started before it."""
    total: Amounts = {}
    for container in containers(pod):
        add(total, of(container))
    sidecars: Amounts = {}
    starting: Amounts = {}
    for container in containers(pod, "initContainers"):
        own = of(container)
        if container.get("restartPolicy") == "Always":
            add(total, own)
            add(sidecars, own)
            at_least(starting, sidecars)
        else:
            add(own, sidecars)
            at_least(starting, own)
    at_least(total, starting)
    return total


def _pod_level(pod: Json, part: Part, total: Amounts, huge_pages: bool) -> Amounts:
    for name, value in resources(pod.get("spec") or {}, part).items():
        if name in _POD_LEVEL or (huge_pages and name.startswith(_HUGE_PAGES)):
            total[name] = value
    return total


def _statuses(pod: Json) -> Iterator[Json]:
    status = pod.get("status") or {}
    for kind in ("containerStatuses", "initContainerStatuses"):
        for entry in status.get(kind) or ():
            if isinstance(entry, dict):
                yield entry
