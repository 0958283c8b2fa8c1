# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ControlPlaneRegistration: tells shared services where a control plane is, and keeps telling the truth when that changes (kplane O16)."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Hashable, Iterable
from typing import Any, Final

from kplane_server.controllers import documents
from kplane_server.controllers.resolution import Refusal, resolve
from kplane_server.controllers.runtime import WorkQueue
from kplane_server.model import timestamps
from kplane_server.model.keys import ROOT_VCP_ID, ResourceId, Scope
from kplane_server.registry import codec
from kplane_server.storage.api import Event, EventType, Store
from kplane_server.vcp import contract
from kplane_server.vcp.directory import Directory

Document = dict[str, Any]

#: What a registration may point to: a control plane or an endpoint, by resource and name.
_Target = tuple[ResourceId, str]

_READY: Final = "Ready"


class RegistrationController:
    """Keys are names of registrations. What they point to is indexed, so that its changes find them."""

    name = "registration"
    resources: frozenset[ResourceId] | None = frozenset({contract.REGISTRATIONS, contract.CONTROL_PLANES, contract.ENDPOINTS})
    concurrency = 8

    def __init__(self, directory: Directory, clock: Callable[[], float] = time.time) -> None:
        self._store = directory.store
        self._clock = clock
        self._pointing: dict[_Target, set[str]] = {}
        self._targets: dict[str, tuple[_Target, ...]] = {}

    def attach(self, queue: WorkQueue) -> None:
        return None

    def observe(self, event: Event) -> Iterable[Hashable]:
        key = event.key
        if key.vcp != ROOT_VCP_ID:
            return ()
        if key.resource != contract.REGISTRATIONS:
            return tuple(self._pointing.get((key.resource, key.name), ()))
        if event.type is EventType.DELETED:
            self._index(key.name, ())
            return ()
        self._index(key.name, _targets(codec.decode(event.value)))
        return (key.name,)

    async def resync(self) -> AsyncIterator[Hashable]:
        for item in self._store.page(Scope(ROOT_VCP_ID, contract.REGISTRATIONS)).items:
            self._index(item.key.name, _targets(codec.decode(item.value)))
            yield item.key.name

    async def reconcile(self, key: Hashable) -> float | None:
        assert isinstance(key, str)  # what observe gives
        stored = self._store.get(contract.root_key(contract.REGISTRATIONS, key))
        if stored is None:
            return None
        document: Document = codec.decode(stored.value)
        now = timestamps.from_epoch(self._clock())
        status = registration_status(document, self._store, now)
        if status == document.get("status"):
            return None
        mutations = [documents.change(stored, {**document, "status": status})]
        before, after = documents.find_condition(document, _READY), documents.find_condition({"status": status}, _READY)
        assert after is not None  # always set
        if before is None or (before["status"], before["reason"]) != (after["status"], after["reason"]):
            warning = after["status"] != "True"
            mutations.append(documents.event(ROOT_VCP_ID, document, after["reason"], after["message"], now, warning=warning))
        await self._store.commit(mutations)
        return None

    def _index(self, name: str, targets: tuple[_Target, ...]) -> None:
        for target in self._targets.pop(name, ()):
            self._pointing[target].discard(name)
            if not self._pointing[target]:
                del self._pointing[target]
        if targets:
            self._targets[name] = targets
            for target in targets:
                self._pointing.setdefault(target, set()).add(name)


def registration_status(document: Document, store: Store, now: str) -> Document:
    """What a registration resolves to. What was resolved before stays in the status while it cannot be resolved."""
    generation = document["metadata"].get("generation", 1)
    old: Document = document.get("status") or {}
    try:
        endpoint, secret = _resolve(document, store)
    except Refusal as refusal:
        verdict = documents.condition(_READY, False, refusal.reason, refusal.message)
        found: Document = {"ready": False}
    else:
        verdict = documents.condition(_READY, True, "Resolved", f"the control plane is at {endpoint}")
        found = {"ready": True, "resolvedEndpoint": endpoint, "resolvedKubeconfigSecretRef": secret}
    conditions = documents.with_conditions(old.get("conditions"), [verdict], generation, now)
    return {**old, **found, "observedGeneration": generation, "conditions": conditions}


def _resolve(document: Document, store: Store) -> tuple[str, Document]:
    spec = document.get("spec") or {}
    name = (spec.get("controlPlaneRef") or {}).get("name")
    if not name:
        raise Refusal(_READY, "ControlPlaneRefMissing", "spec.controlPlaneRef names no ControlPlane")
    stored = store.get(contract.root_key(contract.CONTROL_PLANES, name))
    if stored is None:
        raise Refusal(_READY, "ControlPlaneNotFound", f'ControlPlane "{name}" does not exist')
    control_plane: Document = codec.decode(stored.value)
    status = control_plane.get("status") or {}
    url = status.get("endpoint") or ""
    if reference := (spec.get("endpointRef") or {}).get("name"):
        endpoint = store.get(contract.root_key(contract.ENDPOINTS, reference))
        if endpoint is None:
            raise Refusal(_READY, "EndpointPending", f'ControlPlaneEndpoint "{reference}" does not exist')
        url = resolve(codec.decode(endpoint.value), contract.cluster_path(control_plane)).external
    if not url:
        raise Refusal(_READY, "EndpointPending", f'ControlPlane "{name}" has no endpoint yet')
    secret = spec.get("kubeconfigSecretRef") or {}
    if not secret.get("name"):
        secret = status.get("kubeconfigSecretRef") or {}
    if not secret.get("name"):
        raise Refusal(_READY, "KubeconfigPending", f'ControlPlane "{name}" has no kubeconfig yet')
    return url, secret


def _targets(document: Document) -> tuple[_Target, ...]:
    spec = document.get("spec") or {}
    pairs = ((contract.CONTROL_PLANES, spec.get("controlPlaneRef")), (contract.ENDPOINTS, spec.get("endpointRef")))
    names = ((resource, (reference or {}).get("name")) for resource, reference in pairs)
    return tuple((resource, name) for resource, name in names if name)
