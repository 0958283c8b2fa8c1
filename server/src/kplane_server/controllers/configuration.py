# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ControlPlaneClass and ControlPlaneEndpoint: their status says whether they can be used, and what is in force."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Hashable, Iterable
from typing import Any, Final

from kplane_server.controllers import documents
from kplane_server.controllers.provisioning import endpoint_status
from kplane_server.controllers.resolution import class_problems
from kplane_server.controllers.runtime import WorkQueue
from kplane_server.model import timestamps
from kplane_server.model.keys import ROOT_VCP_ID, ObjectKey, ResourceId, Scope
from kplane_server.registry import codec
from kplane_server.storage.api import Event, EventType
from kplane_server.vcp import contract
from kplane_server.vcp.directory import Directory

Document = dict[str, Any]

_PAGE: Final = 200
_COMPLETE: Final = b'"reason":"SpecResolved"'


class ConfigurationController:
    """Keys are the ObjectKeys of classes and endpoints."""

    name = "configuration"
    resources: frozenset[ResourceId] | None = frozenset({contract.CLASSES, contract.ENDPOINTS})
    concurrency = 8

    def __init__(self, directory: Directory, clock: Callable[[], float] = time.time) -> None:
        self._store = directory.store
        self._clock = clock

    def attach(self, queue: WorkQueue) -> None:
        return None

    def observe(self, event: Event) -> Iterable[Hashable]:
        if event.type is EventType.DELETED or event.key.vcp != ROOT_VCP_ID:
            return ()
        if event.type is EventType.ADDED and _COMPLETE in event.value:
            return ()  # the operator's own: no client can create an object with a status
        return (event.key,)

    async def resync(self) -> AsyncIterator[Hashable]:
        for resource in (contract.CLASSES, contract.ENDPOINTS):
            after: tuple[str, str] | None = None
            while True:
                page = self._store.page(Scope(ROOT_VCP_ID, resource), after=after, limit=_PAGE)
                for item in page.items:
                    yield item.key
                if not page.more:
                    break
                after = ("", page.items[-1].key.name)

    async def reconcile(self, key: Hashable) -> float | None:
        assert isinstance(key, ObjectKey)  # what observe gives
        stored = self._store.get(key)
        if stored is None:
            return None
        document: Document = codec.decode(stored.value)
        now = timestamps.from_epoch(self._clock())
        status = endpoint_status(document, now) if key.resource == contract.ENDPOINTS else class_status(document, now)
        if status != document.get("status"):
            await self._store.commit([documents.change(stored, {**document, "status": status})])
        return None


def class_status(document: Document, now: str) -> Document:
    """Whether everything that a class asks for is supported."""
    problems = class_problems(document.get("spec") or {})
    verdict = documents.condition("Accepted", True, "Accepted", "every field of the class is supported")
    if problems:
        verdict = documents.condition("Accepted", False, "NotSupported", "; ".join(problems))
    status = dict(document.get("status") or {})
    generation = document["metadata"].get("generation", 1)
    return {**status, "conditions": documents.with_conditions(status.get("conditions"), [verdict], generation, now)}
