# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watch hub: recent events in memory, and the watchers that each of them is for. Everything here runs on the event loop.

The watchers of a collection are a group: they are handed the events of a commit together, as one list that all of them share, so that
what is made of it once is made for all. A large group rests between two lists for as long as it takes to serve it, so that under a
stream of small commits its watchers wake for several at once; the first event after a pause is handed out at once.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

from kplane_server.model.keys import ResourceId, Scope, VcpId
from kplane_server.storage.api import Compacted, Event, Events, FutureRevision

_K = TypeVar("_K")

#: How many collections the hub remembers the last change of; for the others it answers a bound above it.
REMEMBERED_COLLECTIONS: Final = 65_536

#: What an event costs beside its documents, roughly: the tuple, the key, a slot of the ring.
_EVENT_OVERHEAD: Final = 256


#: From how many watchers on a group rests, and what one of them is taken to cost when it is woken (seconds).
RESTING_GROUP: Final = 8
WAKE_COST: Final = 0.00004


class Watcher:
    """A subscription: a bounded queue that the hub fills and one reader empties."""

    __slots__ = ("_cut_at", "_detach", "_ended", "_group", "_hub", "_limit", "_own", "_queue", "_waiter", "namespace")

    def __init__(
        self,
        hub: Hub,
        backlog: Iterable[Event],
        *,
        limit: int,
        detach: Callable[[Watcher], None],
        group: _Group | None = None,
        namespace: str | None = None,
    ) -> None:
        self._hub = hub
        self._queue = Events(backlog)  # a list: thousands of idle watchers have an empty one
        self._own = True  # else it is shared, and must not be changed
        self._limit = limit
        self.namespace = namespace
        self._group = group
        self._detach: Callable[[Watcher], None] | None = detach
        self._waiter: asyncio.Future[bool] | None = None
        self._ended = False
        self._cut_at = 0

    def pop(self) -> Events:
        """What has arrived, without waiting."""
        if self._cut_at:
            raise Compacted(self._cut_at, self._hub.revision)
        events, self._queue, self._own = self._queue, Events(), True
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
        coming = self._queue or (self._group.pending if self._group is not None else ())
        return coming[0].revision - 1 if coming else self._hub.revision

    @property
    def ended(self) -> bool:
        return self._ended

    def close(self) -> None:
        """Stop listening. A reader that waits is woken and told the end."""
        self._group = None
        self.end()
        self._queue, self._own = Events(), True

    def end(self) -> None:
        """Nothing more will come; what has arrived can still be popped."""
        if self._group is not None:
            self._group.hand_out()
            self._group = None
        self._ended = True
        if self._detach is not None:
            self._detach(self)
            self._detach = None
        self._wake()

    def give(self, events: Events, joined: dict[int, Events] | None = None) -> None:
        """Take the next events, or cut a reader that is too far behind. Called by the hub in commit order.

        joined: what others had waiting, by its identity → the same with these events, so that those who lag together still share.
        """
        queue = self._queue
        if len(queue) + len(events) > self._limit:
            self._cut_at = (queue or events)[0].revision
            self.close()
            return
        if not queue:
            self._queue, self._own = events, False
        elif self._own:
            queue += events
        elif joined is None:
            self._queue, self._own = Events((*queue, *events)), True
        else:
            both = joined.get(id(queue))
            if both is None:
                both = joined[id(queue)] = Events((*queue, *events))
            self._queue = both
        if self._waiter is not None:
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(True)


class _Group:
    """The watchers of a collection, and the events that they have not been handed yet."""

    __slots__ = ("_rests_until", "_timer", "pending", "watchers")

    def __init__(self) -> None:
        self.watchers: dict[Watcher, None] = {}
        self.pending = Events()
        self._rests_until = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def publish(self) -> None:
        """Hand out what is pending, now or at the end of the group's rest."""
        if self._timer is not None:
            return
        if len(self.watchers) < RESTING_GROUP:
            self.hand_out()
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        if now < self._rests_until:
            self._timer = loop.call_at(self._rests_until, self._rested)
        else:
            self._rests_until = now + len(self.watchers) * WAKE_COST
            self.hand_out()

    def _rested(self) -> None:
        self._timer = None
        if self.pending:
            self.publish()

    def hand_out(self) -> None:
        """Give what is pending to those whom it concerns. Those of one namespace share a list too."""
        if not self.pending:
            return
        pending, self.pending = self.pending, Events()
        lists: dict[str | None, Events] = {None: pending}
        joined: dict[int, Events] = {}  # all that is looked up in it is older than this call, so no identity comes again
        for watcher in tuple(self.watchers):
            namespace = watcher.namespace
            events = lists.get(namespace)
            if events is None:
                events = lists[namespace] = Events(event for event in pending if event.key.namespace == namespace)
            if events:
                watcher.give(events, joined)


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
        self._by_collection: dict[tuple[VcpId, ResourceId], _Group] = {}
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
        groups: dict[_Group, None] = {}
        for event in events:
            collection = (event.key.vcp, event.key.resource)
            ring.append(event)
            self._ring_bytes += _weight(event)
            changed.pop(collection, None)  # so that the order of the dict is the order of change
            changed[collection] = event.revision
            if group := self._by_collection.get(collection):
                group.pending.append(event)
                groups[group] = None
            self._deliver(event)
        if len(changed) > REMEMBERED_COLLECTIONS:
            self._forget_changes()
        self.revision = revision
        for group in groups:
            group.publish()
        while ring and (len(ring) > self._history_events or self._ring_bytes > self._history_bytes):
            self._drop_oldest()
        while self._waiting and self._waiting[0][0] <= revision:
            waiter = heapq.heappop(self._waiting)[2]
            if not waiter.done():
                waiter.set_result(None)

    def _deliver(self, event: Event) -> None:
        """To those who watch all VCPs: few, in this process, and their events are of several collections in one order."""
        if watchers := self._by_resource.get(event.key.resource):
            for watcher in tuple(watchers):
                watcher.give(Events((event,)))
        if self._everything:
            for watcher in tuple(self._everything):
                watcher.give(Events((event,)))

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

        group = self._by_collection.get(collection)
        if group is None:
            group = self._by_collection[collection] = _Group()
        group.hand_out()  # to those who were here before: the backlog of this one has it

        def detach(watcher: Watcher) -> None:
            group.watchers.pop(watcher, None)
            if not group.watchers:
                self._by_collection.pop(collection, None)
            _remove(self._by_vcp, scope.vcp, watcher)
            self.subscriptions -= 1

        watcher = Watcher(self, backlog, limit=limit, namespace=scope.namespace, detach=detach, group=group)
        group.watchers[watcher] = None
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

        watcher = Watcher(self, backlog, limit=limit, detach=detach)
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
