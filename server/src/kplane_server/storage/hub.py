# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watch hub: recent events in memory, and the watchers that each of them is for. Everything here runs on the event loop."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

from kplane_server.model.keys import ResourceId, Scope, VcpId
from kplane_server.storage.api import Compacted, Event, FutureRevision

_K = TypeVar("_K")

#: How many collections the hub remembers the last change of; for the others it answers a bound above it.
REMEMBERED_COLLECTIONS: Final = 65_536

#: What an event costs beside its documents, roughly: the tuple, the key, a slot of the ring.
_EVENT_OVERHEAD: Final = 256


class Watcher:
    """A subscription: a bounded queue that the hub fills and one reader empties."""

    __slots__ = ("_cut_at", "_detach", "_ended", "_hub", "_limit", "_namespace", "_queue", "_waiter")

    def __init__(self, hub: Hub, backlog: Iterable[Event], *, limit: int, namespace: str | None, detach: Callable[[Watcher], None]) -> None:
        self._hub = hub
        self._queue = list(backlog)  # a list: thousands of idle watchers have an empty one
        self._limit = limit
        self._namespace = namespace
        self._detach: Callable[[Watcher], None] | None = detach
        self._waiter: asyncio.Future[bool] | None = None
        self._ended = False
        self._cut_at = 0

    def pop(self) -> list[Event]:
        """What has arrived, without waiting."""
        if self._cut_at:
            raise Compacted(self._cut_at, self._hub.revision)
        events, self._queue = self._queue, []
        return events

    async def wait(self, timeout: float | None = None) -> bool:
        """Wait for something to pop; at most one reader may wait."""
        if self._cut_at:
            raise Compacted(self._cut_at, self._hub.revision)
        if self._queue or self._ended:
            return bool(self._queue)
        if self._waiter is not None:
            raise RuntimeError("a subscription has one reader")
        loop = asyncio.get_running_loop()
        waiter = self._waiter = loop.create_future()
        timer = None if timeout is None else loop.call_later(timeout, self._wake)
        try:
            await waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()
        if self._cut_at:
            raise Compacted(self._cut_at, self._hub.revision)
        return bool(self._queue)

    @property
    def revision(self) -> int:
        return self._queue[0].revision - 1 if self._queue else self._hub.revision

    @property
    def ended(self) -> bool:
        return self._ended

    def close(self) -> None:
        """Stop listening. A reader that waits is woken and told the end."""
        self._queue.clear()
        self.end()

    def end(self) -> None:
        """Nothing more will come; what has arrived can still be popped."""
        self._ended = True
        if self._detach is not None:
            self._detach(self)
            self._detach = None
        self._wake()

    def push(self, event: Event) -> None:
        """Take one event, or cut a reader that is too far behind. Called by the hub in commit order."""
        if self._namespace is not None and event.key.namespace != self._namespace:
            return
        if len(self._queue) >= self._limit:
            self._cut_at = self._queue[0].revision if self._queue else event.revision
            self.close()
            return
        self._queue.append(event)
        if self._waiter is not None:
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(True)


class Hub:
    """Publishes commits: remembers them for a while, and hands each event to its own watchers only."""

    def __init__(self, revision: int, *, history_events: int, history_bytes: int) -> None:
        self.revision = revision
        #: Every event above the floor is in the ring.
        self.floor = revision
        self._ring: deque[Event] = deque()
        self._ring_bytes = 0
        self._history_events = history_events
        self._history_bytes = history_bytes
        self._changed: dict[tuple[VcpId, ResourceId], int] = {}
        self._changed_bound = revision
        self._by_collection: dict[tuple[VcpId, ResourceId], dict[Watcher, None]] = {}
        self._by_vcp: dict[VcpId, dict[Watcher, None]] = {}
        self._by_resource: dict[ResourceId, dict[Watcher, None]] = {}
        self._everything: dict[Watcher, None] = {}
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self.subscriptions = 0

    # -- publishing

    def publish(self, events: Sequence[Event], revision: int) -> None:
        """Make a commit visible. ``revision`` is the last one given out, also if it belongs to no event."""
        changed, ring = self._changed, self._ring
        for event in events:
            collection = (event.key.vcp, event.key.resource)
            ring.append(event)
            self._ring_bytes += _weight(event)
            changed.pop(collection, None)  # so that the order of the dict is the order of change
            changed[collection] = event.revision
            self._deliver(event, collection)
        if len(changed) > REMEMBERED_COLLECTIONS:
            self._forget_changes()
        self.revision = revision
        while ring and (len(ring) > self._history_events or self._ring_bytes > self._history_bytes):
            self._drop_oldest()
        while self._waiting and self._waiting[0][0] <= revision:
            waiter = heapq.heappop(self._waiting)[2]
            if not waiter.done():
                waiter.set_result(None)

    def _deliver(self, event: Event, collection: tuple[VcpId, ResourceId]) -> None:
        if watchers := self._by_collection.get(collection):
            for watcher in tuple(watchers):
                watcher.push(event)
        if watchers := self._by_resource.get(event.key.resource):
            for watcher in tuple(watchers):
                watcher.push(event)
        if self._everything:
            for watcher in tuple(self._everything):
                watcher.push(event)

    def _drop_oldest(self) -> None:
        oldest = self._ring.popleft()
        self._ring_bytes -= _weight(oldest)
        self.floor = oldest.revision

    def _forget_changes(self) -> None:
        """Forget the collections that changed longest ago: their answer becomes a bound above their last change."""
        for collection in list(itertools.islice(self._changed, REMEMBERED_COLLECTIONS // 8)):
            self._changed_bound = self._changed.pop(collection)

    def forget_until(self, revision: int) -> None:
        """Drop events up to ``revision`` from memory (they are too old)."""
        while self._ring and self._ring[0].revision <= revision:
            self._drop_oldest()
        self.floor = max(self.floor, min(revision, self.revision))

    # -- asking

    def changed(self, vcp: VcpId, resource: ResourceId) -> int:
        """See :meth:`kplane_server.storage.api.Store.changed`."""
        return self._changed.get((vcp, resource), self._changed_bound)

    def since(self, after: int) -> list[Event]:
        """Every event above ``after``, in order. Only for ``after >= floor``."""
        events = []
        for event in reversed(self._ring):
            if event.revision <= after:
                break
            events.append(event)
        events.reverse()
        return events

    def collection_since(self, scope: Scope, after: int) -> list[Event]:
        """The events of one scope above ``after``. Only for ``after >= floor``."""
        if self.changed(scope.vcp, scope.resource) <= after:
            return []
        return [event for event in self.since(after) if scope.contains(event.key)]

    async def wait_for(self, revision: int, timeout: float) -> None:
        """Until ``revision`` is visible. Raises FutureRevision after ``timeout`` seconds."""
        if revision <= self.revision:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (revision, next(self._order), waiter))
        try:
            async with asyncio.timeout(timeout):
                await waiter
        except TimeoutError as error:
            raise FutureRevision(revision, self.revision) from error
        finally:
            if not waiter.done() or waiter.cancelled():
                self._waiting = [entry for entry in self._waiting if entry[2] is not waiter]
                heapq.heapify(self._waiting)

    # -- watchers

    def watch(self, scope: Scope, backlog: Sequence[Event], limit: int) -> Watcher:
        """Listen to a scope, beginning with ``backlog`` (what happened since the reader's revision)."""
        collection = (scope.vcp, scope.resource)

        def detach(watcher: Watcher) -> None:
            _remove(self._by_collection, collection, watcher)
            _remove(self._by_vcp, scope.vcp, watcher)
            self.subscriptions -= 1

        watcher = Watcher(self, backlog, limit=limit, namespace=scope.namespace, detach=detach)
        self._by_collection.setdefault(collection, {})[watcher] = None
        self._by_vcp.setdefault(scope.vcp, {})[watcher] = None
        self.subscriptions += 1
        return watcher

    def watch_resources(self, resources: frozenset[ResourceId] | None, backlog: Sequence[Event], limit: int) -> Watcher:
        """Listen to resources in all VCPs; ``None`` means every resource."""

        def detach(watcher: Watcher) -> None:
            if resources is None:
                self._everything.pop(watcher, None)
            for resource in resources or ():
                _remove(self._by_resource, resource, watcher)
            self.subscriptions -= 1

        watcher = Watcher(self, backlog, limit=limit, namespace=None, detach=detach)
        if resources is None:
            self._everything[watcher] = None
        for resource in resources or ():
            self._by_resource.setdefault(resource, {})[watcher] = None
        self.subscriptions += 1
        return watcher

    def end_vcp(self, vcp: VcpId) -> None:
        """End every subscription to scopes of one VCP."""
        for watcher in tuple(self._by_vcp.get(vcp, ())):
            watcher.end()

    def close(self) -> None:
        """End every subscription, and let go whoever waits for a revision."""
        watchers = [*self._everything, *(w for group in (self._by_vcp, self._by_resource) for ws in group.values() for w in ws)]
        for watcher in watchers:
            watcher.end()
        for revision, _, waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(FutureRevision(revision, self.revision))
        self._waiting.clear()

    @property
    def ring_bytes(self) -> int:
        return self._ring_bytes

    @property
    def ring_events(self) -> int:
        return len(self._ring)


def _weight(event: Event) -> int:
    return _EVENT_OVERHEAD + len(event.value) + len(event.previous or b"")


def _remove(index: dict[_K, dict[Watcher, None]], key: _K, watcher: Watcher) -> None:
    watchers = index.get(key)
    if watchers is not None:
        watchers.pop(watcher, None)
        if not watchers:
            del index[key]
