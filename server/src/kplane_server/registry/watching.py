# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watches: the changes of a collection as a client sees them, with the state of now first where it asks for that.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes and KEP-3157 (watch list).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import orjson

from kplane_server.model.errors import Expired, Json, MethodNotAllowed
from kplane_server.model.keys import ObjectKey, Scope
from kplane_server.registry import codec, conversion
from kplane_server.registry.conversion_webhook import Converter
from kplane_server.registry.custom_rows import CustomResourceInfo
from kplane_server.registry.generic import Registry
from kplane_server.registry.listing import too_large
from kplane_server.registry.options import WatchOptions
from kplane_server.registry.resource import ResourceInfo
from kplane_server.registry.selection import Selection
from kplane_server.storage.api import Compacted, Event, Events, EventType, FutureRevision, Page, Store, Stored, Subscription

BOOKMARK: Final = "BOOKMARK"
#: How many objects of the state at the beginning are read at once.
_STEP: Final = 500
INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"


class WatchEvent(NamedTuple):
    """``type`` is ADDED, MODIFIED, DELETED or BOOKMARK; ``object`` is at the watch's version."""

    type: str
    object: Stored


class Seen(list[WatchEvent]):
    """What all watches with the same options see of what they were handed together. ``chunks``: the same as bytes, by form."""

    __slots__ = ("chunks",)

    def __init__(self, events: Iterable[WatchEvent]) -> None:
        super().__init__(events)
        self.chunks: dict[str, list[bytes]] = {}


class Watch:
    """One client's watch. Close it when the client goes.

    ``revision``: everything up to it was handed out, so a bookmark may carry it. ``ended``: nothing more will come.
    """

    __slots__ = ("_info", "_initial", "_scope", "_selection", "_state", "_subscription")

    def __init__(
        self,
        info: ResourceInfo,
        scope: Scope,
        selection: Selection,
        subscription: Subscription,
        initial: list[WatchEvent],
        state: Iterator[Sequence[Stored]] | None = None,
    ) -> None:
        """It begins with what is selected of ``state`` as ADDED, and ``initial`` behind that."""
        self._info = info
        self._scope = scope
        self._selection = selection
        self._subscription = subscription
        self._initial = initial
        self._state = state

    @property
    def revision(self) -> int:
        return self._subscription.revision

    @property
    def ended(self) -> bool:
        return self._subscription.ended and self._state is None and not self._initial

    async def next(self, timeout: float | None = None) -> Sequence[WatchEvent]:
        """What happened, waiting up to ``timeout`` seconds; empty at the timeout or at the end. Raises Expired when too far behind."""
        if self._state is not None:
            await self._read(self._state)
        if self._initial:
            initial, self._initial = self._initial, []
            return initial
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout
        try:
            while True:
                events = self._subscription.pop()
                if events and (found := self._look(events)):
                    return found
                left = None if deadline is None else deadline - loop.time()
                if self._subscription.ended or (left is not None and left <= 0):
                    return []
                if not await self._subscription.wait(left):
                    return []
        except Compacted as error:
            raise expired(error) from error

    async def _read(self, state: Iterator[Sequence[Stored]]) -> None:
        """The state before all changes; others have their turns between its parts."""
        info, selection = self._info, self._selection
        found: list[WatchEvent] = []
        try:
            for number, items in enumerate(state):
                if number:
                    await asyncio.sleep(0)
                found += [WatchEvent(EventType.ADDED, conversion.read(item, info)) for item in items if selection.matches(item)]
        except Compacted as error:
            raise expired(error) from error
        self._initial = [*found, *self._initial]
        self._state = None

    def bookmark(self) -> WatchEvent | None:
        """A bookmark at the present revision of this watch; None before the state that it begins with is handed out."""
        return None if self._state is not None or self._initial else bookmark(self._info, self._scope, self.revision)

    def close(self) -> None:
        self._subscription.close()
        self._initial = []
        self._state = None

    def _look(self, events: Events) -> Seen:
        """Changes through the selectors, worked out once for all watches with the same options that were handed these."""
        wishes = (id(self._info), self._selection.text)  # all who share these events had their rows when they were handed out
        seen: Seen | None = events.notes.get(wishes)
        if seen is None:
            seen = events.notes[wishes] = Seen(filter(None, map(self._see, events)))
        return seen

    def _see(self, event: Event) -> WatchEvent | None:
        """One change through the selectors: an object that comes into view is ADDED, one that leaves it is DELETED."""
        stored = Stored(event.key, event.revision, event.value)
        selection = self._selection
        if selection.everything:
            return WatchEvent(event.type, conversion.read(stored, self._info))
        if event.type is EventType.MODIFIED and event.previous is not None:
            before = Stored(event.key, event.revision, event.previous)
            was, now = selection.matches(before), selection.matches(stored)
            if was and not now:  # the client is told the last state that it was allowed to see, at the revision of the change
                gone = Stored(event.key, event.revision, codec.with_revision(event.previous, event.revision))
                return WatchEvent(EventType.DELETED, conversion.read(gone, self._info))
            if not now:
                return None
            return WatchEvent(EventType.MODIFIED if was else EventType.ADDED, conversion.read(stored, self._info))
        if not selection.matches(stored):
            return None
        return WatchEvent(event.type, conversion.read(stored, self._info))


class ConvertedWatch(Watch):
    """The same for a row that only a webhook converts. What it has taken but not handed out yet does not count in ``revision``."""

    __slots__ = ("_converter", "_held", "_reached", "_unseen")

    def __init__(
        self,
        info: CustomResourceInfo,
        scope: Scope,
        selection: Selection,
        subscription: Subscription,
        initial: list[WatchEvent],
        converter: Converter,
        unseen: Sequence[Stored],
    ) -> None:
        super().__init__(info, scope, selection, subscription, initial)
        self._converter = converter
        self._unseen = unseen
        self._held: Sequence[Event] = ()
        self._reached = subscription.revision

    @property
    def revision(self) -> int:
        return self._reached

    @property
    def ended(self) -> bool:
        return self._subscription.ended and not self._initial and not self._held and not self._unseen

    async def next(self, timeout: float | None = None) -> Sequence[WatchEvent]:
        info, selection = self._info, self._selection
        assert isinstance(info, CustomResourceInfo)  # by the constructor
        if self._unseen:
            items = await self._converter.read(self._unseen, info)
            self._unseen = ()
            state = [WatchEvent(EventType.ADDED, conversion.read(item, info)) for item in items if selection.matches(item)]
            self._initial = [*state, *self._initial]
        if self._initial:
            initial, self._initial = self._initial, []
            return initial
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout
        try:
            while True:
                self._held = self._held or self._subscription.pop()
                reached = self._subscription.revision
                events = await self._converter.events(self._held, info, previous=not selection.everything)
                self._held, self._reached = (), reached
                if found := [seen for event in events if (seen := self._see(event)) is not None]:
                    return found
                left = None if deadline is None else deadline - loop.time()
                if self._subscription.ended or (left is not None and left <= 0) or not await self._subscription.wait(left):
                    return []
        except Compacted as error:
            raise expired(error) from error


def watch(registry: Registry, info: ResourceInfo, namespace: str | None, options: WatchOptions) -> Watch:
    """Begin a watch; ``namespace`` None or empty: all namespaces. Raises Expired and, for a future revision, 504 (see ``settle``)."""
    if not info.stored or "watch" not in info.verbs:
        raise MethodNotAllowed(f'watch is not supported on resources of kind "{info.resource}"', kind=info.resource, group=info.group)
    scope = Scope(registry.vcp.id, info.storage_id, namespace or None if info.namespaced else None)
    selection = Selection(info, options.label_selector, options.field_selector)
    asked = options.resource_version or 0
    if asked > registry.store.revision:
        raise too_large(asked, registry.store.revision)
    wants_state = asked == 0 if options.send_initial_events is None else options.send_initial_events
    try:
        if not wants_state:
            subscription = registry.store.subscribe(scope, asked or registry.store.revision)
            return _make(registry, info, scope, selection, subscription, [], None)
        page = registry.store.page(scope, limit=_STEP)  # no await between this and the subscription: neither gap nor double
        subscription = registry.store.subscribe(scope, page.revision)
    except Compacted as error:
        raise expired(error) from error
    except FutureRevision as error:
        raise too_large(error.revision, error.current) from error
    end = [bookmark(info, scope, page.revision, initial_events_end=True)] if options.send_initial_events and options.allow_bookmarks else []
    return _make(registry, info, scope, selection, subscription, end, _state(registry.store, scope, page))


def _state(store: Store, scope: Scope, page: Page) -> Iterator[Sequence[Stored]]:
    """All that was there at the moment of ``page``, its beginning."""
    yield page.items
    while page.more:
        last = page.items[-1].key
        page = store.page(scope, after=(last.namespace, last.name), limit=_STEP, revision=page.revision)
        yield page.items


def _make(
    registry: Registry,
    info: ResourceInfo,
    scope: Scope,
    selection: Selection,
    subscription: Subscription,
    end: list[WatchEvent],
    state: Iterator[Sequence[Stored]] | None,
) -> Watch:
    """A watch that begins with ``state`` as ADDED, and ``end`` behind that."""
    if isinstance(info, CustomResourceInfo) and info.by_webhook:
        unseen = [item for items in state or () for item in items]
        return ConvertedWatch(info, scope, selection, subscription, end, registry.converter, unseen)
    return Watch(info, scope, selection, subscription, end, state)


def bookmark(info: ResourceInfo, scope: Scope, revision: int, *, initial_events_end: bool = False) -> WatchEvent:
    """An event that says only how far the watch has come."""
    metadata: dict[str, Json] = {"resourceVersion": str(revision)}
    if initial_events_end:
        metadata["annotations"] = {INITIAL_EVENTS_END: "true"}
    value = orjson.dumps({"apiVersion": str(info.group_version), "kind": info.kind, "metadata": metadata})
    return WatchEvent(BOOKMARK, Stored(ObjectKey(scope.vcp, scope.resource, "", ""), revision, value))


def expired(error: Compacted) -> Expired:
    """410 of a watch that asks for, or has fallen behind, what is kept."""
    return Expired(f"too old resource version: {error.revision} ({error.oldest})")
