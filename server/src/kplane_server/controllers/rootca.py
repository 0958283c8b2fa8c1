# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ConfigMap ``kube-root-ca.crt``: the CA is in every namespace from its first commit on; here it stays what it is."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Hashable, Iterable
from typing import Any, Final

from kplane_server.controllers import documents
from kplane_server.controllers.runtime import WorkQueue
from kplane_server.controllers.serviceaccounts import is_active
from kplane_server.model import timestamps
from kplane_server.model.keys import ObjectKey, ResourceId
from kplane_server.registry import codec
from kplane_server.storage.api import Event, EventType
from kplane_server.vcp.bootstrap import root_ca_config_map
from kplane_server.vcp.directory import Directory

Document = dict[str, Any]

CONFIG_MAPS: Final = ResourceId("configmaps")
NAMESPACES: Final = ResourceId("namespaces")
NAME: Final = "kube-root-ca.crt"


class RootCaController:
    """Keys are (VCP, namespace)."""

    name = "rootca"
    resources: frozenset[ResourceId] | None = frozenset({CONFIG_MAPS, NAMESPACES})
    concurrency = 4

    def __init__(self, directory: Directory, clock: Callable[[], float] = time.time) -> None:
        self._store = directory.store
        self._ca = directory.plane.ca_certificate.decode()
        self._clock = clock

    def attach(self, queue: WorkQueue) -> None:
        return None

    def observe(self, event: Event) -> Iterable[Hashable]:
        key = event.key
        if key.resource == NAMESPACES:
            made = event.type is EventType.ADDED and self._store.get(ObjectKey(key.vcp, CONFIG_MAPS, key.name, NAME)) is None
            return ((key.vcp, key.name),) if made else ()
        if key.name != NAME or event.type is EventType.ADDED or self._store.get(ObjectKey(key.vcp, NAMESPACES, "", key.namespace)) is None:
            return ()  # in the last case it went with its namespace
        return ((key.vcp, key.namespace),)

    async def resync(self) -> AsyncIterator[Hashable]:
        return
        yield

    async def reconcile(self, key: Hashable) -> float | None:
        assert isinstance(key, tuple)  # what observe gives
        vcp, namespace = key
        if not is_active(self._store, vcp, namespace):
            return None
        wanted = root_ca_config_map(namespace, self._ca)
        where = ObjectKey(vcp, CONFIG_MAPS, namespace, NAME)
        stored = self._store.get(where)
        if stored is None:
            await self._store.commit([documents.creation(where, wanted, timestamps.from_epoch(self._clock()))])
            return None
        old: Document = codec.decode(stored.value)
        if old.get("data") != wanted["data"] and "deletionTimestamp" not in old["metadata"]:
            await self._store.commit([documents.change(stored, {**old, "data": wanted["data"]})])
        return None
