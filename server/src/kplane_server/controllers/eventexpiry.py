# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events end an hour after they were last seen, as with kube-apiserver's ``--event-ttl``, and there are never too many of them."""

from __future__ import annotations

import heapq
import time
from collections.abc import AsyncIterator, Callable, Hashable, Iterable
from typing import Final, NamedTuple

from kplane_server.controllers import documents
from kplane_server.controllers.documents import EVENTS
from kplane_server.controllers.runtime import WorkQueue
from kplane_server.model import timestamps
from kplane_server.model.keys import ROOT_VCP_ID, ObjectKey, ResourceId, Scope, VcpId
from kplane_server.registry import codec
from kplane_server.storage.api import Event, EventType, Mutation, RevisionMismatch, UnknownVcp
from kplane_server.vcp.directory import Directory

#: How long an Event is kept after its last change (seconds).
EVENT_TTL: Final = 3600.0
#: How many Events of all control planes are remembered; beyond that the oldest end early.
MAX_EVENTS: Final = 100_000
#: How often the ends are looked at (seconds), and how many Events are deleted in one commit.
EXPIRY_PAUSE: Final = 60.0
BATCH: Final = 500

EXPIRE: Final = ("expire",)


class Review(NamedTuple):
    """A control plane whose Events of earlier times are to be taken on."""

    vcp: VcpId


class _Entry(NamedTuple):
    ends: float
    key: ObjectKey
    revision: int


class EventExpirer:
    """Remembers when Events end. Those of earlier runs are found when something happens in their control plane; root's at the start."""

    name = "eventexpiry"
    resources: frozenset[ResourceId] | None = frozenset({EVENTS})
    concurrency = 1

    def __init__(self, directory: Directory, clock: Callable[[], float] = time.time) -> None:
        self._store = directory.store
        self._clock = clock
        self._entries: list[_Entry] = []  # a heap, by end
        self._reviewed: set[VcpId] = set()

    def attach(self, queue: WorkQueue) -> None:
        return None

    def observe(self, event: Event) -> Iterable[Hashable]:
        if event.type is EventType.DELETED:
            return ()
        heapq.heappush(self._entries, _Entry(self._clock() + EVENT_TTL, event.key, event.revision))
        keys: list[Hashable] = []
        if event.key.vcp not in self._reviewed:
            self._reviewed.add(event.key.vcp)
            keys.append(Review(event.key.vcp))
        if len(self._entries) > MAX_EVENTS:
            keys.append(EXPIRE)
        return keys

    async def resync(self) -> AsyncIterator[Hashable]:
        self._reviewed = {ROOT_VCP_ID}
        yield Review(ROOT_VCP_ID)
        yield EXPIRE

    async def reconcile(self, key: Hashable) -> float | None:
        if isinstance(key, Review):
            self._review(key.vcp)
            return None
        await self._expire()
        return EXPIRY_PAUSE

    def _review(self, vcp: VcpId) -> None:
        """Take on the Events of a control plane that this process has not seen being made."""
        for item in self._store.page(Scope(vcp, EVENTS)).items:
            created = timestamps.to_epoch(codec.decode(item.value)["metadata"]["creationTimestamp"])
            heapq.heappush(self._entries, _Entry(created + EVENT_TTL, item.key, item.revision))

    async def _expire(self) -> None:
        now = self._clock()
        while self._entries and (self._entries[0].ends <= now or len(self._entries) > MAX_EVENTS):
            batch: dict[ObjectKey, Mutation] = {}
            vcp = self._entries[0].key.vcp
            while self._entries and len(batch) < BATCH and self._entries[0].key.vcp == vcp:
                if self._entries[0].ends > now and len(self._entries) <= MAX_EVENTS:
                    break
                entry = heapq.heappop(self._entries)
                stored = self._store.get(entry.key)
                if stored is not None and stored.revision == entry.revision:  # else it was seen again, and has a later entry
                    batch[entry.key] = documents.removal(stored)
            await self._remove(list(batch.values()))

    async def _remove(self, mutations: list[Mutation]) -> None:
        """Delete a batch; if one of it was changed meanwhile, the others one by one."""
        try:
            if mutations:
                await self._store.commit(mutations)
        except UnknownVcp:
            return
        except RevisionMismatch:
            for mutation in mutations if len(mutations) > 1 else ():
                await self._remove([mutation])
