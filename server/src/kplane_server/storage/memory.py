# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The in-memory twin of the SQLite store, for tests: slow and plain, so that it is easy to see that it is right.

A layer is copied into the VCP when it is made, so there are no whiteouts; a snapshot is the present with every later event undone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from kplane_server.model.keys import ROOT_VCP_ID, ObjectKey, ResourceId, Scope, VcpId
from kplane_server.model.names import ROOT
from kplane_server.storage.api import (
    ANY,
    NEW_VCP,
    BoundExceeded,
    Bounds,
    Compacted,
    Event,
    EventType,
    FutureRevision,
    Mutation,
    Page,
    RevisionMismatch,
    StorageUnavailable,
    Stored,
    Subscription,
    UnknownVcp,
    Usage,
    VcpRecord,
    VcpState,
)
from kplane_server.storage.hub import Hub
from kplane_server.storage.overlay import LayerSource, Overlay


@dataclass
class _Entry:
    revision: int
    value: bytes
    owners: tuple[str, ...] = ()
    terminating: bool = False
    written: bool = False  # by a mutation, not copied from the layer


class MemoryStore:
    """A :class:`kplane_server.storage.api.Store` that forgets everything when it is closed."""

    def __init__(self, *, layer: LayerSource, history_events: int = 100_000, clock: Callable[[], float] = time.time) -> None:
        self._overlay = Overlay(layer)
        self._history_events = history_events
        self._objects: dict[ObjectKey, _Entry] = {}
        self._records: dict[VcpId, VcpRecord] = {}
        self._garbage: dict[tuple[VcpId, str], None] = {}
        self._events: list[Event] = []
        self._floor = 0
        self._last_vcp = 0
        self._revision = 0
        self._closed = False
        self._hub = Hub(0, history_events=0, history_bytes=0)
        self._make_vcp(ROOT, "root", int(clock()))
        self._hub.publish((), self._revision)
        self._floor = self._revision

    # -- revisions and reads

    @property
    def revision(self) -> int:
        return self._revision

    def get(self, key: ObjectKey) -> Stored | None:
        entry = self._objects.get(key)
        return None if entry is None or not self._readable(key.vcp) else Stored(key, entry.revision, entry.value)

    def page(self, scope: Scope, *, after: tuple[str, str] | None = None, limit: int | None = None, revision: int | None = None) -> Page:
        snapshot = self._snapshot(scope, revision)
        items = [stored for stored in snapshot if after is None or (stored.key.namespace, stored.key.name) > after]
        more = limit is not None and len(items) > limit
        shown = items[:limit] if more else items
        return Page(shown, self._revision if revision is None else revision, more, self._left(items, shown, after, revision))

    def _left(self, items: list[Stored], shown: list[Stored], after: object, revision: int | None) -> int | None:
        """What is cheap for a real store to know: the number left after the first page of the present, or none after the last."""
        left = len(items) - len(shown)
        return left if left == 0 or (after is None and revision is None) else None

    def _snapshot(self, scope: Scope, revision: int | None) -> list[Stored]:
        if not self._readable(scope.vcp):
            return []
        state = {key: Stored(key, entry.revision, entry.value) for key, entry in self._objects.items() if scope.contains(key)}
        if revision is not None:
            self._require(scope.vcp, revision)
            for event in reversed([e for e in self._events if e.revision > revision and scope.contains(e.key)]):
                if event.previous is None:
                    del state[event.key]
                else:
                    state[event.key] = Stored(event.key, event.previous_revision, event.previous)
        return [state[key] for key in sorted(state)]

    def _require(self, vcp: VcpId | None, revision: int) -> None:
        if revision > self._revision:
            raise FutureRevision(revision, self._revision)
        oldest = self._floor if vcp is None else max(self._floor, self._records[vcp].revision)
        if revision < oldest:
            raise Compacted(revision, oldest)

    def _readable(self, vcp: VcpId) -> bool:
        record = self._records.get(vcp)
        return record is not None and record.state is not VcpState.WIPING

    def count(self, scope: Scope) -> int:
        return len(self._snapshot(scope, None))

    def changed(self, vcp: VcpId, resource: ResourceId) -> int:
        return self._hub.changed(vcp, resource)

    async def wait_for(self, revision: int, timeout: float) -> None:
        await self._hub.wait_for(revision, timeout)

    # -- writes

    async def commit(self, mutations: Sequence[Mutation], bounds: Bounds | None = None) -> list[int]:
        self._check(mutations)
        if bounds is not None and mutations:
            self._check_bounds(mutations, bounds)
        return self._apply(mutations)

    def _check_bounds(self, mutations: Sequence[Mutation], bounds: Bounds) -> None:
        objects = size = 0
        for mutation in mutations:
            entry = self._objects.get(mutation.key)
            had = entry.value if entry is not None and entry.written else None
            objects += (not mutation.delete) - (had is not None)
            size += (0 if mutation.delete else len(mutation.draft.at(self._revision))) - len(had or b"")
        used = self.usage(mutations[0].key.vcp)
        for what, limit, have, more in (("objects", bounds.objects, used.objects, objects), ("bytes", bounds.bytes, used.bytes, size)):
            if limit is not None and more > 0 and have + more > limit:
                raise BoundExceeded(what, limit, have, more)

    # -- usage

    def usage(self, vcp: VcpId) -> Usage:
        written = [entry.value for key, entry in self._objects.items() if key.vcp == vcp and entry.written]
        return Usage(len(written), sum(map(len, written)))

    def queued(self, vcp: VcpId) -> int:
        return 0

    def _check(self, mutations: Sequence[Mutation], making_vcp: bool = False) -> None:
        if self._closed:
            raise StorageUnavailable("the store is closed")
        if len({mutation.key for mutation in mutations}) < len(mutations):
            raise ValueError("two mutations of one key in one commit")
        for mutation in mutations:
            key = mutation.key
            if key.vcp == NEW_VCP and making_vcp:
                continue  # checked against its layer when it is there
            record = self._records.get(key.vcp)
            if record is None or record.state is not VcpState.ACTIVE:
                raise UnknownVcp(str(key.vcp))
            self._check_one(mutation, self._objects.get(key))

    def _check_one(self, mutation: Mutation, entry: _Entry | None) -> None:
        current = 0 if entry is None else entry.revision
        if mutation.expected not in (ANY, current) or (mutation.delete and entry is None):
            raise RevisionMismatch(mutation.key, mutation.expected, current)

    def _apply(self, mutations: Sequence[Mutation]) -> list[int]:
        documents = [mutation.draft.at(revision) for revision, mutation in enumerate(mutations, self._revision + 1)]
        events = []
        for mutation, value in zip(mutations, documents, strict=True):
            self._revision += 1
            events.append(self._apply_one(mutation, self._revision, value))
        self._events.extend(events)
        self._hub.publish(events, self._revision)
        return [event.revision for event in events]

    def _apply_one(self, mutation: Mutation, revision: int, value: bytes) -> Event:
        key = mutation.key
        previous = self._objects.pop(key, None)
        if mutation.delete:
            if mutation.uid and self.dependents(key.vcp, mutation.uid):
                self._garbage[key.vcp, mutation.uid] = None
            kind = EventType.DELETED
        else:
            self._objects[key] = _Entry(revision, value, mutation.owners, mutation.terminating, True)
            kind = EventType.ADDED if previous is None else EventType.MODIFIED
        if previous is None:
            return Event(revision, kind, key, value, None)
        return Event(revision, kind, key, value, previous.value, previous.revision)

    # -- watches

    def subscribe(self, scope: Scope, after: int, *, buffer: int = 10_000) -> Subscription:
        record = self._records.get(scope.vcp)
        if record is None or record.state is not VcpState.ACTIVE:
            raise UnknownVcp(str(scope.vcp))
        self._require(scope.vcp, after)
        backlog = [event for event in self._events if event.revision > after and scope.contains(event.key)]
        if len(backlog) > buffer:
            raise Compacted(after, self._revision)
        return self._hub.watch(scope, backlog, buffer)

    def subscribe_resources(self, resources: frozenset[ResourceId] | None, after: int, *, buffer: int = 100_000) -> Subscription:
        self._require(None, after)
        backlog = [e for e in self._events if e.revision > after and (resources is None or e.key.resource in resources)]
        if len(backlog) > buffer:
            raise Compacted(after, self._revision)
        return self._hub.watch_resources(resources, backlog, buffer)

    # -- VCPs

    def vcp(self, name: str) -> VcpRecord | None:
        return next((r for r in self._records.values() if r.name == name and r.state is VcpState.ACTIVE), None)

    def vcp_by_id(self, vcp: VcpId) -> VcpRecord | None:
        return self._records.get(vcp)

    def vcps(self, state: VcpState | None = None) -> list[VcpRecord]:
        return [record for record in self._records.values() if state in (None, record.state)]

    def due(self, limit: int = 100) -> list[VcpRecord]:
        waiting = [(record.due, record.id, record) for record in self._records.values() if record.due is not None]
        return [record for _, _, record in sorted(waiting, key=lambda item: item[:2])][:limit]

    async def create_vcp(
        self, name: str, uid: str, *, created: int, mutations: Sequence[Mutation] = (), settings: str = "", due: int | None = None
    ) -> VcpRecord:
        self._check(mutations, making_vcp=True)
        if self.vcp(name) is not None:
            raise ValueError(f"VCP {name!r} exists")
        before = self._revision, self._last_vcp
        record = self._make_vcp(name, uid, created, settings, due)
        placed = [replace(m, key=m.key._replace(vcp=record.id)) if m.key.vcp == NEW_VCP else m for m in mutations]
        try:
            self._check(placed)
        except Exception:
            self._forget(record.id)
            self._revision, self._last_vcp = before
            raise
        self._apply(placed)
        return record

    def _make_vcp(self, name: str, uid: str, created: int, settings: str = "", due: int | None = None) -> VcpRecord:
        self._last_vcp += 1
        self._revision += 1
        record = VcpRecord(VcpId(self._last_vcp), name, uid, created, self._revision, VcpState.ACTIVE, settings=settings, due=due)
        self._records[record.id] = record
        layer = self._overlay.layer(record)
        for resource in layer.resources(record):
            for namespace, name_ in layer.names(record, resource):
                value = layer.get(record, resource, namespace, name_)
                if value is not None:
                    self._objects[ObjectKey(record.id, resource, namespace, name_)] = _Entry(record.revision, value)
        return record

    def _forget(self, vcp: VcpId) -> None:
        del self._records[vcp]
        self._objects = {key: entry for key, entry in self._objects.items() if key.vcp != vcp}
        self._garbage = {pair: None for pair in self._garbage if pair[0] != vcp}

    async def set_vcp_state(self, vcp: VcpId, state: VcpState, mutations: Sequence[Mutation] = ()) -> VcpRecord:
        record = self._records.get(vcp)
        if record is None:
            raise UnknownVcp(str(vcp))
        if state is not record.state:
            taken = state is VcpState.ACTIVE and self.vcp(record.name) is not None
            if vcp == ROOT_VCP_ID or record.state is VcpState.WIPING or taken:
                raise ValueError(f"VCP {record.name!r} cannot go from {record.state} to {state}")
        self._records[vcp] = record if state is record.state else replace(record, state=state, due=None)
        try:
            self._check(mutations)
        except Exception:
            self._records[vcp] = record
            raise
        self._apply(mutations)
        if state is not VcpState.ACTIVE:
            self._hub.end_vcp(vcp)
        return self._records[vcp]

    async def settle_vcp(self, vcp: VcpId, settings: str, due: int | None, mutations: Sequence[Mutation] = ()) -> VcpRecord:
        record = self._records.get(vcp)
        if record is None or record.state is not VcpState.ACTIVE:
            raise UnknownVcp(str(vcp))
        self._check(mutations)
        record = self._records[vcp] = replace(record, settings=settings, due=due)
        self._apply(mutations)
        return record

    def quiesce(self, vcp: VcpId) -> None:
        self._hub.end_vcp(vcp)

    async def rotate_vcp_key(self, vcp: VcpId, mutations: Sequence[Mutation] = ()) -> VcpRecord:
        record = self._records.get(vcp)
        if record is None or record.state is VcpState.WIPING:
            raise UnknownVcp(str(vcp))
        self._check(mutations)
        record = self._records[vcp] = replace(record, key_generation=record.key_generation + 1)
        self._apply(mutations)
        return record

    async def wipe_vcp(self, vcp: VcpId, *, batch: int = 2_000) -> int:
        record = self._records.get(vcp)
        if record is None:
            return 0
        if record.state is not VcpState.WIPING:
            raise ValueError(f"VCP {record.name!r} is {record.state}, not wiping")
        gone = sum(1 for key, entry in self._objects.items() if key.vcp == vcp and entry.written)
        self._forget(vcp)
        return gone

    def resources_in(self, vcp: VcpId, namespace: str | None = None) -> list[ResourceId]:
        if not self._readable(vcp):
            return []
        return sorted({key.resource for key in self._objects if key.vcp == vcp and namespace in (None, key.namespace)})

    # -- unfinished work

    def terminating(self) -> Iterable[ObjectKey]:
        active = {record.id for record in self.vcps(VcpState.ACTIVE)}
        return sorted(key for key, entry in self._objects.items() if entry.terminating and key.vcp in active)

    def pending_garbage(self) -> list[tuple[VcpId, str]]:
        active = {record.id for record in self.vcps(VcpState.ACTIVE)}
        return sorted(pair for pair in self._garbage if pair[0] in active)

    def dependents(self, vcp: VcpId, owner_uid: str) -> list[ObjectKey]:
        if not self._readable(vcp):
            return []
        return sorted(key for key, entry in self._objects.items() if key.vcp == vcp and owner_uid in entry.owners)

    async def garbage_done(self, vcp: VcpId, owner_uid: str) -> None:
        self._garbage.pop((vcp, owner_uid), None)

    # -- the store's own life

    async def trim(self) -> int:
        excess = len(self._events) - self._history_events
        if excess > 0:
            self._floor = self._events[excess - 1].revision
            del self._events[:excess]
        return self._floor

    def statistics(self) -> dict[str, int | float]:
        return {"objects": len(self._objects), "log_rows": len(self._events), "subscriptions": self._hub.subscriptions}

    def healthy(self) -> str | None:
        return "the store is closed" if self._closed else None

    async def close(self) -> None:
        self._closed = True
        self._hub.close()
