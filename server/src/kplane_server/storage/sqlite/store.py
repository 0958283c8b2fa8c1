# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The store on disk: reads on the loop, writes through the writer, and what keeps both in step.

A read must not run ahead of the watchers. While a commit is on its way to the disk the reading connection is therefore held on the
snapshot before it; when the commit is done, caches, records and the hub are brought up to date in one step of the loop.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
import uuid
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

from kplane_server.model.keys import ROOT_VCP_ID, ObjectKey, ResourceId, Scope, VcpId
from kplane_server.model.names import ROOT
from kplane_server.storage.api import (
    Bounds,
    Compacted,
    Event,
    EventType,
    FutureRevision,
    Mutation,
    Page,
    Stored,
    Subscription,
    UnknownVcp,
    Usage,
    VcpRecord,
    VcpState,
)
from kplane_server.storage.cache import Cache
from kplane_server.storage.hub import Hub
from kplane_server.storage.overlay import LayerSource, Overlay, Position, Row, merge, rewind
from kplane_server.storage.sqlite.batch import Batch
from kplane_server.storage.sqlite.connection import Synchronous, open_reader, open_writer
from kplane_server.storage.sqlite.copies import MAY_HAVE_LOST, SKIP_REVISIONS
from kplane_server.storage.sqlite.counts import Counts
from kplane_server.storage.sqlite.history import History
from kplane_server.storage.sqlite.records import Records
from kplane_server.storage.sqlite.usage import Usages
from kplane_server.storage.sqlite.writer import Writer

_log = logging.getLogger(__name__)

#: Recent events that are kept in memory: their documents, and how old they may get. Older ones are read from the log.
RING_BYTES: Final = 8 << 20
RING_SECONDS: Final = 90.0

#: Rows that one wipe or trim step may delete, so that no transaction holds the loop for long.
STEP_ROWS: Final = 250

#: Seconds between two rounds of housekeeping.
HOUSEKEEPING_SECONDS: Final = 5.0

#: A document that nobody asks for is forgotten after one or two times this (seconds).
CACHE_IDLE_SECONDS: Final = 120.0

#: Free space in the file is kept for later, up to this; above it, so much is given back in one round.
FREE_PAGES: Final = 16_384
VACUUM_PAGES: Final = 1_024

#: How far revisions jump when the file may be behind what was given out: after a power failure with synchronous=NORMAL, or in a backup.
REVISION_JUMP: Final = 1 << 20

#: What a mutation costs in the queue beside its document.
_MUTATION_OVERHEAD: Final = 512

_ONE = "SELECT revision, value FROM objects WHERE vcp = ? AND resource = ? AND namespace = ? AND name = ?"
_ROWS = "SELECT namespace, name, revision, value FROM objects WHERE vcp = ? AND resource = ?"
_ORDER = " ORDER BY namespace, name"
# Told which index to use: the order would tempt the planner into the one of all objects.
_TERMINATING = (
    "SELECT o.vcp, o.resource, o.namespace, o.name FROM objects o INDEXED BY objects_terminating JOIN vcps v ON v.id = o.vcp"
    " WHERE o.terminating = 1 AND v.state = 'active' ORDER BY 1, 2, 3, 4"
)


class SqliteStore:
    """A :class:`kplane_server.storage.api.Store` in one SQLite file. Make it with :meth:`open`."""

    def __init__(
        self,
        path: Path,
        writer: sqlite3.Connection,
        reader: sqlite3.Connection,
        *,
        layer: LayerSource,
        cache_bytes: int,
        history_events: int,
        history_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._path = path
        self._connection = writer
        self._reader = reader
        self._clock = clock
        row = reader.execute("SELECT value FROM meta WHERE key = 'layer_revision'").fetchone()
        self._overlay = Overlay(layer, row[0] if row else 0)
        self._cache = Cache(cache_bytes)
        self._records = Records(reader)
        self._counts = Counts(reader, self._overlay)
        self._usages = Usages(reader)
        self._history = History(reader, self.get)
        self._history_events = history_events
        self._history_seconds = history_seconds
        revision, self._log_floor, self._log_rows, self._objects = reader.execute(
            "SELECT revision, log_floor, log_rows, objects FROM state"
        ).fetchone()
        self._hub = Hub(revision, history_events=history_events, history_bytes=RING_BYTES)
        self._cached_reads = self._disk_reads = 0
        self._marks: deque[tuple[float, int]] = deque()  # (time, the latest revision then), as far back as the ring may go
        self._marked = 0
        self._rotated = clock()
        self._closed = False
        self._writer = Writer(writer, path, self)
        self._housekeeper = asyncio.get_running_loop().create_task(self._keep_house(), name="storage-housekeeping")

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        layer: LayerSource,
        layer_version: str = "",
        synchronous: Synchronous = "FULL",
        cache_bytes: int = 32 << 20,
        history_events: int = 100_000,
        history_seconds: float = 300.0,
        clock: Callable[[], float] = time.time,
    ) -> SqliteStore:
        """Open the file, or make it with the root control plane in it. Needs a running event loop.

        ``layer_version`` stands for the content of the layer. When it is another than that of the last run, layer objects get a new
        revision, and watches from before it have to list again: no event could tell them what has changed.
        Raises UnknownFormat for a file that is not ours or is newer than this program, and StorageUnavailable.
        """
        writer = open_writer(path, synchronous)
        try:
            _start(writer, int(clock()), synchronous, layer_version)
            reader = open_reader(path)
        except BaseException:
            writer.close()
            raise
        return cls(
            path,
            writer,
            reader,
            layer=layer,
            cache_bytes=cache_bytes,
            history_events=history_events,
            history_seconds=history_seconds,
            clock=clock,
        )

    # -- the writer's host

    def begin(self) -> Batch:
        return Batch(self._connection, self._overlay, self._records.by_id, self._usages.of, self._hub.revision, self._log_floor)

    def pin(self) -> None:
        self._reader.execute("BEGIN")
        self._reader.execute("SELECT revision FROM state").fetchone()  # the snapshot begins with the first read

    def publish(self, batch: Batch | None) -> None:
        if self._reader.in_transaction:
            self._reader.execute("COMMIT")
        if batch is None:
            return
        for event in batch.events:
            self._counts.update(event)
            if event.type is EventType.DELETED:
                self._cache.discard(event.key)
            else:
                self._cache.put(Stored(event.key, event.revision, event.value))
        self._usages.update(batch.growth)
        for vcp, record in batch.records.items():
            self._records.update(vcp, record)
            if record is None or record.state is VcpState.WIPING:
                self._cache.drop(vcp)
                self._usages.forget(vcp)
        self._log_floor = batch.log_floor
        self._log_rows += batch.log_rows
        self._objects += batch.objects
        self._hub.publish(batch.events, batch.revision)
        for vcp, record in batch.records.items():
            if record is None or record.state is not VcpState.ACTIVE:
                self._hub.end_vcp(vcp)

    # -- revisions and reads

    @property
    def revision(self) -> int:
        return self._hub.revision

    def get(self, key: ObjectKey) -> Stored | None:
        stored = self._cache.get(key)
        if stored is not None:
            self._cached_reads += 1
            return stored
        record = self._readable(key.vcp)
        if record is None:
            return None
        self._disk_reads += 1
        row = self._reader.execute(_ONE, key).fetchone()
        if row is None:
            stored = self._overlay.get(record, key)
        elif row[1] is not None:
            stored = Stored(key, row[0], row[1])
        if stored is not None:
            self._cache.put(stored)
        return stored

    def _readable(self, vcp: VcpId) -> VcpRecord | None:
        record = self._records.by_id(vcp)
        return None if record is None or record.state is VcpState.WIPING else record

    def page(self, scope: Scope, *, after: Position | None = None, limit: int | None = None, revision: int | None = None) -> Page:
        record = self._readable(scope.vcp)
        if record is None:
            return Page([], self.revision if revision is None else revision, False, 0)
        past = {} if revision is None else self._past(scope, record, revision)
        with closing(self._rows(scope, after)) as rows:
            items: Iterator[Stored] = merge(
                scope, rows, self._overlay.names(record, scope, after), lambda key: self._overlay.get(record, key)
            )
            if past:
                items = rewind(items, past, after)
            taken = list(items if limit is None else islice(items, limit + 1))
        more = limit is not None and len(taken) > limit
        if more:
            taken.pop()
        remaining: int | None = 0
        if more:
            remaining = self.count(scope) - len(taken) if after is None and revision is None else None
        return Page(taken, self.revision if revision is None else revision, more, remaining)

    def _rows(self, scope: Scope, after: Position | None) -> Generator[Row, None, None]:
        """The rows of a scope in key order, read as they are asked for."""
        query, values = _ROWS, [scope.vcp, scope.resource]
        if scope.namespace is None and after is not None:
            query, values = query + " AND (namespace, name) > (?, ?)", [*values, *after]
        elif scope.namespace is not None:
            query, values = query + " AND namespace = ?", [*values, scope.namespace]
            if after is not None and after[0] > scope.namespace:
                return
            if after is not None and after[0] == scope.namespace:
                query, values = query + " AND name > ?", [*values, after[1]]
        cursor = self._reader.execute(query + _ORDER, values)
        try:
            yield from cursor
        finally:
            cursor.close()

    def _past(self, scope: Scope, record: VcpRecord, revision: int) -> dict[Position, Stored | None]:
        """What was at ``revision`` at each position that has changed since."""
        past: dict[Position, Stored | None] = {}
        for event in self._since(scope, record, revision, self._history_events + self._log_rows) or ():
            position = (event.key.namespace, event.key.name)
            if position not in past:
                past[position] = None if event.previous is None else Stored(event.key, event.previous_revision, event.previous)
        return past

    def _since(self, scope: Scope, record: VcpRecord, after: int, limit: int) -> list[Event] | None:
        """The events of a scope above ``after``; ``None`` if they are too many. Raises Compacted or FutureRevision."""
        self._require(after, max(self._log_floor, record.revision))
        if self._hub.changed(scope.vcp, scope.resource) <= after:
            return []
        if after < self._hub.floor:
            return self._history.of_scope(scope, after, limit)
        events = self._hub.collection_since(scope, after)
        return events if len(events) <= limit else None

    def _require(self, revision: int, oldest: int) -> None:
        if revision > self.revision:
            raise FutureRevision(revision, self.revision)
        if revision < oldest:
            raise Compacted(revision, oldest)

    def count(self, scope: Scope) -> int:
        record = self._readable(scope.vcp)
        return 0 if record is None else self._counts.of(scope, record)

    def changed(self, vcp: VcpId, resource: ResourceId) -> int:
        return self._hub.changed(vcp, resource)

    async def wait_for(self, revision: int, timeout: float) -> None:
        await self._hub.wait_for(revision, timeout)

    # -- writes

    async def commit(self, mutations: Sequence[Mutation], bounds: Bounds | None = None) -> list[int]:
        _one_for_each_key(mutations)
        vcp = mutations[0].key.vcp if mutations else ROOT_VCP_ID
        return await self._writer.submit(lambda batch: batch.commit(mutations, bounds), _weight(mutations), vcp)

    # -- usage

    def usage(self, vcp: VcpId) -> Usage:
        return self._usages.of(vcp)

    def queued(self, vcp: VcpId) -> int:
        return self._writer.queued(vcp)

    # -- watches

    def subscribe(self, scope: Scope, after: int, *, buffer: int = 10_000) -> Subscription:
        record = self._records.by_id(scope.vcp)
        if record is None or record.state is not VcpState.ACTIVE:
            raise UnknownVcp(f"there is no active VCP {scope.vcp}")
        backlog = self._since(scope, record, after, buffer)
        if backlog is None:
            raise Compacted(after, self.revision)
        return self._hub.watch(scope, backlog, buffer)

    def subscribe_resources(self, resources: frozenset[ResourceId] | None, after: int, *, buffer: int = 100_000) -> Subscription:
        self._require(after, self._log_floor)
        backlog: list[Event] | None
        if after < self._hub.floor:
            backlog = self._history.of_resources(resources, after, buffer)
        else:
            backlog = [event for event in self._hub.since(after) if resources is None or event.key.resource in resources]
        if backlog is None or len(backlog) > buffer:
            raise Compacted(after, self.revision)
        return self._hub.watch_resources(resources, backlog, buffer)

    # -- VCPs

    def vcp(self, name: str) -> VcpRecord | None:
        return self._records.by_name(name)

    def vcp_by_id(self, vcp: VcpId) -> VcpRecord | None:
        return self._records.by_id(vcp)

    def vcps(self, state: VcpState | None = None) -> list[VcpRecord]:
        return self._records.all(state)

    def due(self, limit: int = 100) -> list[VcpRecord]:
        return self._records.due(limit)

    async def create_vcp(
        self, name: str, uid: str, *, created: int, mutations: Sequence[Mutation] = (), settings: str = "", due: int | None = None
    ) -> VcpRecord:
        _one_for_each_key(mutations)
        return await self._writer.submit(lambda batch: batch.create_vcp(name, uid, created, mutations, settings, due), _weight(mutations))

    async def settle_vcp(self, vcp: VcpId, settings: str, due: int | None, mutations: Sequence[Mutation] = ()) -> VcpRecord:
        _one_for_each_key(mutations)
        return await self._writer.submit(lambda batch: batch.settle_vcp(vcp, settings, due, mutations), _weight(mutations), vcp)

    def quiesce(self, vcp: VcpId) -> None:
        self._hub.end_vcp(vcp)
        self._cache.drop(vcp)

    async def set_vcp_state(self, vcp: VcpId, state: VcpState, mutations: Sequence[Mutation] = ()) -> VcpRecord:
        _one_for_each_key(mutations)
        return await self._writer.submit(lambda batch: batch.set_vcp_state(vcp, state, mutations), _weight(mutations), vcp)

    async def rotate_vcp_key(self, vcp: VcpId, mutations: Sequence[Mutation] = ()) -> VcpRecord:
        _one_for_each_key(mutations)
        return await self._writer.submit(lambda batch: batch.rotate_vcp_key(vcp, mutations), _weight(mutations), vcp)

    async def wipe_vcp(self, vcp: VcpId, *, batch: int = 2_000) -> int:
        gone, finished, step = 0, False, max(1, min(batch, STEP_ROWS))
        while not finished:
            objects, finished = await self._writer.submit(lambda transaction: transaction.wipe_step(vcp, step), vcp=vcp)
            gone += objects
        return gone

    def resources_in(self, vcp: VcpId, namespace: str | None = None) -> list[ResourceId]:
        record = self._readable(vcp)
        return [] if record is None else self._counts.resources(vcp, namespace, record)

    # -- unfinished work

    def terminating(self) -> Iterable[ObjectKey]:
        rows = self._reader.execute(_TERMINATING)
        return [ObjectKey(*row) for row in rows.fetchall()]

    def pending_garbage(self) -> list[tuple[VcpId, str]]:
        return self._reader.execute(
            "SELECT g.vcp, g.owner FROM garbage g JOIN vcps v ON v.id = g.vcp WHERE v.state = 'active' ORDER BY 1, 2"
        ).fetchall()

    def dependents(self, vcp: VcpId, owner_uid: str) -> list[ObjectKey]:
        if self._readable(vcp) is None:
            return []
        rows = self._reader.execute(
            "SELECT vcp, resource, namespace, name FROM owners WHERE vcp = ? AND owner = ? ORDER BY 2, 3, 4", (vcp, owner_uid)
        )
        return [ObjectKey(*row) for row in rows.fetchall()]

    async def garbage_done(self, vcp: VcpId, owner_uid: str) -> None:
        await self._writer.submit(lambda batch: batch.garbage_done(vcp, owner_uid))

    # -- housekeeping

    async def trim(self) -> int:
        """Drop history beyond its bounds, in small transactions that others share."""
        now = self._clock()
        row = self._reader.execute("SELECT MAX(revision) FROM marks WHERE time <= ?", (now - self._history_seconds,)).fetchone()
        aged = int(row[0] or 0)
        self._hub.forget_until(aged)
        while True:
            excess = self._log_rows - self._history_events
            until = max(aged, self._revision_of_row(excess) if excess > 0 else 0)
            if until <= self._log_floor:
                return int(self._log_floor)
            await self._writer.submit(partial(Batch.trim, until=until, limit=STEP_ROWS))

    def _revision_of_row(self, count: int) -> int:
        """The revision of the last of the ``count`` oldest rows of the log, looking no further than a step can delete."""
        row = self._reader.execute(
            "SELECT MAX(revision) FROM (SELECT revision FROM log ORDER BY revision LIMIT ?)", (min(count, STEP_ROWS),)
        ).fetchone()
        return int(row[0] or 0)

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(HOUSEKEEPING_SECONDS)
            try:
                await self._tidy()
            except Exception as error:  # the disk is full, say: the next round tries again, which is how the store finds out
                _log.warning("housekeeping of the store: %s", error)

    async def _tidy(self) -> None:
        """One round of housekeeping. An idle store writes nothing."""
        revision, now = self.revision, self._clock()
        if now - self._rotated > CACHE_IDLE_SECONDS:
            self._cache.rotate()
            self._rotated = now
        while self._marks and self._marks[0][0] <= now - RING_SECONDS:
            self._hub.forget_until(self._marks.popleft()[1])
        if self._writer.failed is not None or self._marked != revision:
            await self._writer.submit(partial(Batch.mark, revision=revision, now=int(now)))
            self._marks.append((now, revision))
            self._marked = revision
        await self.trim()
        if self._reader.execute("PRAGMA freelist_count").fetchone()[0] > FREE_PAGES:
            self._writer.vacuum(VACUUM_PAGES)

    # -- the store's own life

    def largest(self, limit: int) -> tuple[list[tuple[str, Usage]], list[tuple[str, Usage]]]:
        """The active VCPs with most objects, and those with most bytes."""
        return self._usages.largest(limit)

    def total(self) -> Usage:
        """What all active VCPs have written."""
        return self._usages.total()

    def statistics(self) -> dict[str, int | float]:
        page_count, page_size, free = (self._reader.execute(f"PRAGMA {name}").fetchone()[0] for name in _SIZES)
        return {
            "objects": self._objects,
            "log_rows": self._log_rows,
            "log_floor": self._log_floor,
            "revision": self.revision,
            "file_bytes": page_count * page_size,
            "free_bytes": free * page_size,
            "queue_depth": self._writer.depth,
            "commits": self._writer.requests,
            "transactions": self._writer.transactions,
            "cache_hits": self._cached_reads,
            "cache_misses": self._disk_reads,
            "cache_bytes": self._cache.bytes,
            "ring_events": self._hub.ring_events,
            "ring_bytes": self._hub.ring_bytes,
            "subscriptions": self._hub.subscriptions,
            "vcps": self._reader.execute("SELECT COUNT(*) FROM vcps").fetchone()[0],
        }

    def healthy(self) -> str | None:
        return None if self._writer.failed is None else str(self._writer.failed)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._housekeeper.cancel()
        await asyncio.gather(self._housekeeper, return_exceptions=True)
        await self._writer.close()
        self._hub.close()
        self._reader.close()
        try:
            self._connection.execute("UPDATE state SET run = ?", (_ENDED_WELL,))
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            _log.warning("closing the store: %s", error)
        self._connection.close()


_SIZES: Final = ("page_count", "page_size", "freelist_count")

# The column ``state.run``: how far the revision in the file can be trusted to be the last that was given out.
_ENDED_WELL: Final = 1
_DURABLE: Final = 0
# Below them MAY_HAVE_LOST of ``copies``: synchronous=NORMAL and a power failure, or this is a backup.


def _start(connection: sqlite3.Connection, now: int, synchronous: Synchronous, layer_version: str) -> None:
    """What a run begins with: root, and revisions that no lost run can have given out."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        revision, run = connection.execute("SELECT revision, run FROM state").fetchone()
        if revision == 0:
            connection.execute(
                "INSERT INTO vcps (id, name, uid, created, revision, state, key_generation) VALUES (1, ?, ?, ?, 1, 'active', 1)",
                (ROOT, str(uuid.uuid4()), now),
            )
            connection.execute("UPDATE state SET revision = 1, log_floor = 1")
        elif run == MAY_HAVE_LOST:
            connection.execute(SKIP_REVISIONS, (REVISION_JUMP,))
        known = connection.execute("SELECT value FROM meta WHERE key = 'layer_version'").fetchone()
        if known != (layer_version,):
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('layer_version', ?)", (layer_version,))
            if known is not None:
                connection.execute(SKIP_REVISIONS, (1,))
                connection.execute("INSERT OR REPLACE INTO meta SELECT 'layer_revision', revision FROM state")
        connection.execute("UPDATE state SET run = ?", (_DURABLE if synchronous == "FULL" else MAY_HAVE_LOST,))
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _one_for_each_key(mutations: Sequence[Mutation]) -> None:
    if len(mutations) > 1 and len({mutation.key for mutation in mutations}) < len(mutations):
        raise ValueError("two mutations of one key in one commit")


def _weight(mutations: Sequence[Mutation]) -> int:
    return sum([_MUTATION_OVERHEAD + len(m.draft.head) + len(m.draft.tail) for m in mutations])
