# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How objects are measured against quotas: one row for each kind that has rules of its own, and one rule for all that is only counted.

Source: https://kubernetes.io/docs/concepts/policy/resource-quotas/
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from kplane_server.admission.amounts import ONE, Amounts, add, amount, at_least, rounded_up, whole
from kplane_server.admission.podresources import charged, containers, has_pod_level, resources
from kplane_server.admission.quota.scopes import Requirement, claim_in_scope, is_terminating, never, pod_in_scope
from kplane_server.model import timestamps
from kplane_server.model.errors import Json
from kplane_server.model.keys import ResourceId
from kplane_server.model.quantity import Quantity
from kplane_server.registry.attributes import Attributes, Operation

PODS: Final = ResourceId("pods")
SERVICES: Final = ResourceId("services")
CLAIMS: Final = ResourceId("persistentvolumeclaims")
DEVICE_CLAIMS: Final = ResourceId("resourceclaims.resource.k8s.io")

#: Resources whose objects no quota counts (upstream's default).
IGNORED: Final = frozenset({ResourceId("events")})

_COUNT: Final = "count/"
#: Resources that are also counted under their bare name.
_ALIASES: Final = frozenset(
    {"pods", "services", "replicationcontrollers", "resourcequotas", "secrets", "configmaps", "persistentvolumeclaims"}
)
_COMPUTE: Final = ("cpu", "memory", "ephemeral-storage")
_POD_NAMES: Final = frozenset({"pods", *_COMPUTE, *(f"{part}.{name}" for part in ("requests", "limits") for name in _COMPUTE)})
#: Every container must say these when a quota limits them; upstream calls that a mistake and keeps it.
_MUST_BE_SAID: Final = frozenset({"cpu", "memory", *(f"{part}.{name}" for part in ("requests", "limits") for name in ("cpu", "memory"))})
_REQUESTS: Final = "requests."
_HUGE_PAGES: Final = "hugepages-"
_NODE_PORTS: Final = "services.nodeports"
_LOAD_BALANCERS: Final = "services.loadbalancers"
_STORAGE: Final = "requests.storage"
_STORAGE_CLASS: Final = ".storageclass.storage.k8s.io/"
_DEVICES: Final = ".deviceclass.resource.k8s.io/devices"
#: What ``allocationMode: All`` may come to (``resource/v1.AllocationResultsMaxSize``).
_ALL_DEVICES: Final = 32
_CLASS_ANNOTATION: Final = "volume.beta.kubernetes.io/storage-class"


@dataclass(frozen=True, slots=True)
class Evaluator:
    """How one resource is measured.

    usage: what an object takes, at a time (seconds since the epoch). tracks: whether a name of ``hard`` is about this resource.
    changes: whether an update can change the usage, so that it is charged. missing: what an object must say and does not.
    """

    resource: ResourceId
    usage: Callable[[Json, float], Amounts]
    tracks: Callable[[str], bool]
    in_scope: Callable[[Requirement, Json], bool] = never
    charges: Callable[[Attributes], bool] = lambda attributes: attributes.operation is Operation.CREATE and not attributes.subresource
    missing: Callable[[Collection[str], Json], str] = lambda names, obj: ""
    counted_only: bool = False

    def matches(self, required: Iterable[Requirement], obj: Json) -> bool:
        """Whether an object is in all scopes of a quota."""
        return all(self.in_scope(requirement, obj) for requirement in required)


def evaluator_of(resource: ResourceId) -> Evaluator:
    """The evaluator of a resource."""
    return _EVALUATORS.get(resource) or _counter(resource)


@lru_cache(maxsize=1024)
def resource_of(name: str) -> ResourceId | None:
    """The resource that a name of ``hard`` is about; None if it measures nothing here."""
    if name.startswith(_COUNT):
        found = ResourceId(name.removeprefix(_COUNT))
    elif name in _ALIASES:
        found = ResourceId(name)
    else:
        tracking = next((e.resource for e in _EVALUATORS.values() if e.tracks(name)), None)
        if tracking is None:
            return None
        found = tracking
    return None if found in IGNORED else found


@lru_cache(maxsize=1024)
def _counter(resource: ResourceId) -> Evaluator:
    names = {f"{_COUNT}{resource}", *({str(resource)} & _ALIASES)}
    return Evaluator(resource, lambda obj, now: dict.fromkeys(names, ONE), lambda name: name in names, counted_only=True)


# -- pods


def pod_usage(pod: Json, now: float) -> Amounts:
    """What a pod takes. One that has ended, or that should be gone by now, only counts as an object."""
    usage: Amounts = {"count/pods": ONE}
    if has_ended(pod, now):
        return usage
    return {**usage, **_named(charged(pod, "requests"), charged(pod, "limits"))}


def has_ended(pod: Json, now: float) -> bool:
    """Whether a pod takes no more of what is computed."""
    if (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded"):
        return True
    ends = overdue_at(pod)
    return ends is not None and now > ends


def overdue_at(pod: Json) -> float | None:
    """When a pod that is being deleted is no longer charged, whether it is gone or not."""
    metadata = pod["metadata"]
    if "deletionTimestamp" not in metadata or metadata.get("deletionGracePeriodSeconds") is None:
        return None
    return timestamps.to_epoch(metadata["deletionTimestamp"]) + float(metadata["deletionGracePeriodSeconds"])


def _named(requests: Mapping[str, Quantity], limits: Mapping[str, Quantity]) -> Amounts:
    """Requests and limits under the names that quotas have for them."""
    result: Amounts = {"pods": ONE}
    for name, value in requests.items():
        if name in _COMPUTE or name.startswith(_HUGE_PAGES):
            result[name] = result[_REQUESTS + name] = value
        elif _is_extended(name):
            result[_REQUESTS + name] = value
    for name in _COMPUTE:
        if name in limits:
            result[f"limits.{name}"] = limits[name]
    return result


def _is_extended(name: str) -> bool:
    """Whether a resource is none of Kubernetes' own: it has a domain."""
    return "/" in name and "kubernetes.io/" not in name and not name.startswith(_REQUESTS)


def _tracks_pods(name: str) -> bool:
    if name == "count/pods" or name in _POD_NAMES or name.startswith((_HUGE_PAGES, _REQUESTS + _HUGE_PAGES)):
        return True
    return name.startswith(_REQUESTS) and "/" in name and "kubernetes.io/" not in name


def _charges_pods(attributes: Attributes) -> bool:
    if attributes.operation is Operation.CREATE:
        return not attributes.subresource
    if attributes.operation is not Operation.UPDATE:
        return False
    if attributes.subresource == "resize":
        return True
    return not attributes.subresource and is_terminating(attributes.old) != is_terminating(attributes.object)


def _missing_of_pod(names: Collection[str], pod: Json) -> str:
    """The containers that do not say what a quota wants every container to say."""
    if has_pod_level(pod):
        return ""
    silent: dict[str, set[str]] = {}
    for kind in ("containers", "initContainers"):
        for container in containers(pod, kind):
            said = _named(resources(container, "requests"), resources(container, "limits"))
            for name in _MUST_BE_SAID.intersection(names) - said.keys():
                silent.setdefault(name, set()).add(container.get("name", ""))
    if not silent:
        return ""
    return "must specify " + "; ".join(f"{name} for: {','.join(sorted(who))}" for name, who in sorted(silent.items()))


# -- services


def service_usage(service: Json, now: float) -> Amounts:
    """A service, and what of it the world can reach."""
    spec = service.get("spec") or {}
    ports = spec.get("ports") or ()
    usage = {"count/services": ONE, "services": ONE, _NODE_PORTS: whole(0), _LOAD_BALANCERS: whole(0)}
    if spec.get("type") == "NodePort":
        usage[_NODE_PORTS] = whole(len(ports))
    elif spec.get("type") == "LoadBalancer":
        chosen = spec.get("allocateLoadBalancerNodePorts") is False
        usage[_NODE_PORTS] = whole(sum(1 for port in ports if port.get("nodePort")) if chosen else len(ports))
        usage[_LOAD_BALANCERS] = ONE
    return usage


# -- volume and device claims


def claim_usage(claim: Json, now: float) -> Amounts:
    """A claim and its storage, in all and by storage class."""
    spec = claim.get("spec") or {}
    annotations = claim["metadata"].get("annotations") or {}
    storage_class = annotations[_CLASS_ANNOTATION] if _CLASS_ANNOTATION in annotations else spec.get("storageClassName")
    usage: Amounts = {"persistentvolumeclaims": ONE, "count/persistentvolumeclaims": ONE}
    storage = amount(((spec.get("resources") or {}).get("requests") or {}).get("storage"))
    if storage is not None:
        held = amount(((claim.get("status") or {}).get("allocatedResources") or {}).get("storage"))
        usage[_STORAGE] = rounded_up(held if held is not None and held.value > storage.value else storage)
    if storage_class:
        prefix = storage_class + _STORAGE_CLASS
        usage |= {prefix + name: value for name, value in usage.items() if not name.startswith(_COUNT)}
    return usage


def _tracks_claims(name: str) -> bool:
    if name in ("persistentvolumeclaims", "count/persistentvolumeclaims", _STORAGE):
        return True
    return name.endswith((_STORAGE_CLASS + "persistentvolumeclaims", _STORAGE_CLASS + _STORAGE))


def _charges_claims(attributes: Attributes) -> bool:
    if attributes.operation not in (Operation.CREATE, Operation.UPDATE):
        return False
    return attributes.subresource in ("", "status")


def device_usage(claim: Json, now: float) -> Amounts:
    """The devices that a claim may get, by class; of alternatives the most of each class."""
    usage: Amounts = {"count/" + DEVICE_CLAIMS: ONE}
    for request in ((claim.get("spec") or {}).get("devices") or {}).get("requests") or ():
        most: Amounts = {}
        for option in request.get("firstAvailable") or filter(None, [request.get("exactly")]):
            at_least(most, {option.get("deviceClassName", "") + _DEVICES: whole(_device_count(option))})
        add(usage, most)
    return usage


def _device_count(option: Json) -> int:
    mode = option.get("allocationMode")
    if mode == "All":
        return _ALL_DEVICES
    return int(option.get("count") or 0) if mode == "ExactCount" else 0


def _on_writes(attributes: Attributes) -> bool:
    return not attributes.subresource and attributes.operation in (Operation.CREATE, Operation.UPDATE)


_EVALUATORS: Final[Mapping[ResourceId, Evaluator]] = {
    PODS: Evaluator(PODS, pod_usage, _tracks_pods, pod_in_scope, _charges_pods, _missing_of_pod),
    SERVICES: Evaluator(
        SERVICES, service_usage, lambda name: name in ("services", "count/services", _NODE_PORTS, _LOAD_BALANCERS), charges=_on_writes
    ),
    CLAIMS: Evaluator(CLAIMS, claim_usage, _tracks_claims, claim_in_scope, _charges_claims),
    DEVICE_CLAIMS: Evaluator(
        DEVICE_CLAIMS, device_usage, lambda name: name == "count/" + DEVICE_CLAIMS or name.endswith(_DEVICES), charges=_on_writes
    ),
}
