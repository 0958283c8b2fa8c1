# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deletion of CustomResourceDefinitions: first all their objects go, then the definition."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Hashable, Iterable
from typing import Any, Final

from kplane_server.controllers import documents
from kplane_server.controllers.runtime import WorkQueue
from kplane_server.model import timestamps
from kplane_server.model.errors import NotFound
from kplane_server.model.identity import CONTROLLER_USER
from kplane_server.model.keys import ObjectKey, ResourceId, Scope, VcpId
from kplane_server.registry import codec
from kplane_server.registry.options import DeleteOptions, ListOptions, RequestContext
from kplane_server.storage.api import Event, EventType
from kplane_server.vcp.directory import Directory

Document = dict[str, Any]

DEFINITIONS: Final = ResourceId("customresourcedefinitions.apiextensions.k8s.io")
CLEANUP_FINALIZER: Final = "customresourcecleanup.apiextensions.k8s.io"
#: How soon to look again while objects of a definition are held by their finalizers (seconds).
HELD_PAUSE: Final = 1.0


class CustomResourceCleaner:
    """Keys are (VCP, name of the definition)."""

    name = "customresourcedefinition"
    resources: frozenset[ResourceId] | None = frozenset({DEFINITIONS})
    concurrency = 8

    def __init__(self, directory: Directory, clock: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._store = directory.store
        self._clock = clock

    def attach(self, queue: WorkQueue) -> None:
        return None

    def observe(self, event: Event) -> Iterable[Hashable]:
        if event.type is EventType.DELETED or b'"deletionTimestamp":"' not in event.value:
            return ()
        return ((event.key.vcp, event.key.name),)

    async def resync(self) -> AsyncIterator[Hashable]:
        for key in self._store.terminating():
            if key.resource == DEFINITIONS:
                yield (key.vcp, key.name)

    async def reconcile(self, key: Hashable) -> float | None:
        assert isinstance(key, tuple)  # what observe gives
        vcp, name = key
        where = ObjectKey(vcp, DEFINITIONS, "", name)
        stored = self._store.get(where)
        if stored is None:
            return None
        document: Document = codec.decode(stored.value)
        metadata = document["metadata"]
        if "deletionTimestamp" not in metadata or CLEANUP_FINALIZER not in (metadata.get("finalizers") or ()):
            return None
        if _with_condition(document, "True", "InstanceDeletionInProgress", "CustomResource deletion is in progress", self._now()):
            await self._store.commit([documents.change(stored, document)])
            return 0.0  # from here on no more can be made
        left = await self._delete_objects(vcp, ResourceId(f"{document['spec']['names']['plural']}.{document['spec']['group']}"))
        if left:
            return HELD_PAUSE
        finalizers = [finalizer for finalizer in metadata["finalizers"] if finalizer != CLEANUP_FINALIZER]
        _with_condition(document, "False", "InstanceDeletionCompleted", "removed all instances", self._now())
        if finalizers:
            metadata["finalizers"] = finalizers
            await self._store.commit([documents.change(stored, document)])
        else:
            del metadata["finalizers"]
            await self._store.commit([documents.removal(stored, document)])
        return None

    async def _delete_objects(self, vcp: VcpId, resource: ResourceId) -> int:
        """Delete every object of a resource, in all namespaces. The answer: how many are held."""
        control_plane = self._directory.get(vcp)
        if control_plane is None:
            return 0
        scope = Scope(vcp, resource)
        if not self._store.count(scope):
            return 0
        info = control_plane.api.resources.by_storage(resource)
        if info is not None:
            for namespace in sorted({item.key.namespace for item in self._store.page(scope).items}):
                try:
                    await control_plane.api.delete_collection(
                        info, namespace, ListOptions(), DeleteOptions(), RequestContext(CONTROLLER_USER)
                    )
                except NotFound:
                    continue
        else:  # no version is served, so nobody's finalizer could ever be served either
            await self._store.commit([documents.removal(item) for item in self._store.page(scope).items])
        return self._store.count(scope)

    def _now(self) -> str:
        return timestamps.from_epoch(self._clock())


def _with_condition(document: Document, status: str, reason: str, message: str, now: str) -> bool:
    """Set the condition ``Terminating``. Whether that changed anything."""
    conditions = document.setdefault("status", {}).setdefault("conditions", [])
    old = next((c for c in conditions if c.get("type") == "Terminating"), None)
    if old is not None and old.get("status") == status and old.get("reason") == reason:
        return False
    new = {"type": "Terminating", "status": status, "lastTransitionTime": now, "reason": reason, "message": message}
    document["status"]["conditions"] = [c for c in conditions if c is not old] + [new]
    return True
