# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One transaction: the requests that are committed together, and what they come to.

A request is checked as a whole before its first write, so a refused one leaves nothing behind and the others go on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from kplane_server.model.keys import ROOT_VCP_ID, ObjectKey, VcpId
from kplane_server.storage.api import (
    ANY,
    NEW_VCP,
    NOTHING,
    BoundExceeded,
    Bounds,
    Event,
    EventType,
    Mutation,
    RevisionMismatch,
    StorageUnavailable,
    UnknownVcp,
    Usage,
    VcpRecord,
    VcpState,
)
from kplane_server.storage.overlay import Overlay

_SELECT = "SELECT id, revision, value, owners FROM objects WHERE vcp = ? AND resource = ? AND namespace = ? AND name = ?"
_INSERT = "INSERT INTO objects (vcp, resource, namespace, name, revision, terminating, owners, value) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_UPDATE = "UPDATE objects SET revision = ?, terminating = ?, owners = ?, value = ? WHERE id = ?"
_DELETE = "DELETE FROM objects WHERE id = ?"
_LOG = "INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_STATE = "UPDATE state SET revision = ?, log_floor = ?, log_rows = log_rows + ?, objects = objects + ? WHERE revision = ?"
_USAGE = "UPDATE vcps SET objects = objects + ?, bytes = bytes + ? WHERE id = ?"
_OWNER_ADD = "INSERT OR IGNORE INTO owners (vcp, owner, resource, namespace, name) VALUES (?, ?, ?, ?, ?)"
_OWNER_DROP = "DELETE FROM owners WHERE vcp = ? AND owner = ? AND resource = ? AND namespace = ? AND name = ?"
_GARBAGE = "INSERT OR IGNORE INTO garbage SELECT ?1, ?2 WHERE EXISTS (SELECT 1 FROM owners WHERE vcp = ?1 AND owner = ?2)"

_NEXT_VCP = "SELECT EXISTS (SELECT 1 FROM vcps WHERE name = ? AND state = 'active'), (SELECT seq FROM sqlite_sequence WHERE name = 'vcps')"

_WIPE_OBJECTS = "DELETE FROM objects WHERE id IN (SELECT id FROM objects WHERE vcp = ?1 ORDER BY resource, namespace, name LIMIT ?2)"
_WIPE_LOG = "DELETE FROM log WHERE revision IN (SELECT revision FROM log WHERE vcp = ?1 LIMIT ?2)"
_OWNERS_BOUND = (
    "SELECT owner, resource, namespace, name FROM owners WHERE vcp = ? ORDER BY owner, resource, namespace, name LIMIT 1 OFFSET ?"
)
_WIPE_OWNERS = "DELETE FROM owners WHERE vcp = ?"
_WIPE_OWNERS_BELOW = "DELETE FROM owners WHERE vcp = ? AND (owner, resource, namespace, name) < (?, ?, ?, ?)"
_WIPE_GARBAGE = "DELETE FROM garbage WHERE vcp = ?"


class _Place(NamedTuple):
    """What is at a mutation's key before it."""

    record: VcpRecord
    key: ObjectKey
    row: int | None  # its id, where there is a row
    revision: int  # 0: nothing is there
    value: bytes | None
    owners: str | None


class Batch:
    """The open transaction. Its methods are what a request may do in it; they raise before they write, or not at all."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        overlay: Overlay,
        record: Callable[[VcpId], VcpRecord | None],
        usage: Callable[[VcpId], Usage],
        revision: int,
        log_floor: int,
    ) -> None:
        self._sql = connection.execute
        self._sql_many = connection.executemany
        self._overlay = overlay
        self._known = record
        self._used = usage
        self._start = revision
        self.revision = revision
        self.log_floor = log_floor
        self.log_rows = 0
        self.objects = 0
        self.dirty = False  # something is to be committed that is not a change of rows
        self.events: list[Event] = []
        self.records: dict[VcpId, VcpRecord | None] = {}
        self.growth: dict[VcpId, Usage] = {}
        self._log: list[tuple[object, ...]] = []

    # -- objects

    def commit(self, mutations: Sequence[Mutation], bounds: Bounds | None = None) -> list[int]:
        """Apply all mutations or none; returns their revisions."""
        places = [self._place(mutation, self._active(mutation.key.vcp)) for mutation in mutations]
        if bounds is not None and places:
            self._check(bounds, mutations, places)
        return [self._apply(mutation, place) for mutation, place in zip(mutations, places, strict=True)]

    def _check(self, bounds: Bounds, mutations: Sequence[Mutation], places: Sequence[_Place]) -> None:
        """Refuse what would grow beyond a bound. What makes things smaller, or no larger, is never refused."""
        vcp = places[0].record.id
        objects = size = 0
        for mutation, place in zip(mutations, places, strict=True):
            had = place.row is not None and place.value is not None
            objects += (not mutation.delete) - had
            size -= len(place.value or b"") if had else 0
            if not mutation.delete:
                size += len(mutation.draft.head) + len(str(self.revision)) + len(mutation.draft.tail)
        used, grown = self._used(vcp), self.growth.get(vcp, NOTHING)
        for what, limit, have, more in (
            ("objects", bounds.objects, used.objects + grown.objects, objects),
            ("bytes", bounds.bytes, used.bytes + grown.bytes, size),
        ):
            if limit is not None and more > 0 and have + more > limit:
                raise BoundExceeded(what, limit, have, more)

    def _active(self, vcp: VcpId) -> VcpRecord:
        record = self.record(vcp)
        if record is None or record.state is not VcpState.ACTIVE:
            raise UnknownVcp(f"there is no active VCP {vcp}")
        return record

    def record(self, vcp: VcpId) -> VcpRecord | None:
        """The record of a VCP as this transaction sees it."""
        return self.records[vcp] if vcp in self.records else self._known(vcp)

    def _place(self, mutation: Mutation, record: VcpRecord) -> _Place:
        """Look at what a mutation is about to change. Raises RevisionMismatch."""
        key = mutation.key if mutation.key.vcp == record.id else mutation.key._replace(vcp=record.id)
        row = self._sql(_SELECT, key).fetchone()
        if row is not None:
            place = _Place(record, key, row[0], 0 if row[2] is None else row[1], row[2], row[3])
        elif (stored := self._overlay.get(record, key)) is not None:
            place = _Place(record, key, None, stored.revision, stored.value, None)
        else:
            place = _Place(record, key, None, 0, None, None)
        if mutation.expected not in (ANY, place.revision) or (mutation.delete and place.value is None):
            raise RevisionMismatch(key, mutation.expected, place.revision)
        return place

    def _apply(self, mutation: Mutation, place: _Place) -> int:
        key, row = place.key, place.row
        self.revision = revision = self.revision + 1
        value = mutation.draft.at(revision)
        owners = " ".join(mutation.owners) if mutation.owners and not mutation.delete else None
        if mutation.delete:
            self._remove(place, revision)
        elif row is None:
            self._sql(_INSERT, (*key, revision, mutation.terminating, owners, value))
        else:
            self._sql(_UPDATE, (revision, mutation.terminating, owners, value, row))
        if owners != place.owners:
            self._own(key, place.owners, owners)
        if mutation.delete and mutation.uid:
            self._sql(_GARBAGE, (key.vcp, mutation.uid))
        had = row is not None and place.value is not None
        objects = (not mutation.delete) - had
        size = (0 if mutation.delete else len(value)) - (len(place.value or b"") if had else 0)
        self.objects += objects
        grown = self.growth.get(key.vcp, NOTHING)
        self.growth[key.vcp] = Usage(grown.objects + objects, grown.bytes + size)
        kind = EventType.DELETED if mutation.delete else EventType.ADDED if place.value is None else EventType.MODIFIED
        self._log.append((revision, *key, kind.value, place.revision, place.value, value if mutation.delete else None))
        self.events.append(Event(revision, kind, key, value, place.value, place.revision))
        return revision

    def _remove(self, place: _Place, revision: int) -> None:
        """Delete a row, or leave a whiteout where the layer has an object."""
        key = place.key
        layered = place.row is None or self._overlay.get(place.record, key) is not None
        if not layered:
            self._sql(_DELETE, (place.row,))
        elif place.row is None:
            self._sql(_INSERT, (*key, revision, False, None, None))
        else:
            self._sql(_UPDATE, (revision, False, None, None, place.row))

    def _own(self, key: ObjectKey, before: str | None, after: str | None) -> None:
        old, new = set((before or "").split()), set((after or "").split())
        self._sql_many(_OWNER_DROP, [(key.vcp, owner, *key[1:]) for owner in old - new])
        self._sql_many(_OWNER_ADD, [(key.vcp, owner, *key[1:]) for owner in new - old])

    # -- VCPs

    def create_vcp(
        self, name: str, uid: str, created: int, mutations: Sequence[Mutation], settings: str = "", due: int | None = None
    ) -> VcpRecord:
        """Make the next incarnation of a name."""
        taken, last = self._sql(_NEXT_VCP, (name,)).fetchone()
        if taken:
            raise ValueError(f"VCP {name!r} exists")
        vcp = VcpId((last or 0) + 1)
        record = VcpRecord(vcp, name, uid, created, self.revision + 1, VcpState.ACTIVE, settings=settings, due=due)
        places = [self._place(m, record if m.key.vcp == NEW_VCP else self._active(m.key.vcp)) for m in mutations]
        self.revision += 1
        self._sql(
            "INSERT INTO vcps (id, name, uid, created, revision, state, key_generation, settings, due) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (record.id, name, uid, created, record.revision, record.state.value, record.key_generation, settings, due),
        )
        self.records[record.id] = record
        for mutation, place in zip(mutations, places, strict=True):
            self._apply(mutation, place)
        return record

    def set_vcp_state(self, vcp: VcpId, state: VcpState, mutations: Sequence[Mutation]) -> VcpRecord:
        """Move an incarnation to another state, then apply the mutations."""
        record = self.record(vcp)
        if record is None:
            raise UnknownVcp(f"there is no VCP {vcp}")
        moved = record if record.state is state else self._moved(record, state)
        self.records[vcp] = moved
        try:
            places = [self._place(mutation, self._active(mutation.key.vcp)) for mutation in mutations]
        except BaseException:
            self.records[vcp] = record
            raise
        self._sql("UPDATE vcps SET state = ?, due = ? WHERE id = ?", (state.value, moved.due, vcp))
        for mutation, place in zip(mutations, places, strict=True):
            self._apply(mutation, place)
        return moved

    def _moved(self, record: VcpRecord, state: VcpState) -> VcpRecord:
        taken = state is VcpState.ACTIVE and self._sql("SELECT 1 FROM vcps WHERE name = ? AND state = 'active'", (record.name,)).fetchone()
        if record.id == ROOT_VCP_ID or record.state is VcpState.WIPING or taken:
            raise ValueError(f"VCP {record.name!r} cannot go from {record.state} to {state}")
        return replace(record, state=state, due=None)

    def settle_vcp(self, vcp: VcpId, settings: str, due: int | None, mutations: Sequence[Mutation]) -> VcpRecord:
        """Set what was settled for a VCP, then apply the mutations."""
        record = replace(self._active(vcp), settings=settings, due=due)
        places = [self._place(mutation, self._active(mutation.key.vcp)) for mutation in mutations]
        self._sql("UPDATE vcps SET settings = ?, due = ? WHERE id = ?", (settings, due, vcp))
        self.records[vcp] = record
        for mutation, place in zip(mutations, places, strict=True):
            self._apply(mutation, place)
        return record

    def rotate_vcp_key(self, vcp: VcpId, mutations: Sequence[Mutation] = ()) -> VcpRecord:
        """Count the key generation of a VCP up, then apply the mutations."""
        record = self.record(vcp)
        if record is None or record.state is VcpState.WIPING:
            raise UnknownVcp(f"there is no VCP {vcp}")
        places = [self._place(mutation, self._active(mutation.key.vcp)) for mutation in mutations]
        record = replace(record, key_generation=record.key_generation + 1)
        self._sql("UPDATE vcps SET key_generation = ? WHERE id = ?", (record.key_generation, vcp))
        self.records[vcp] = record
        for mutation, place in zip(mutations, places, strict=True):
            self._apply(mutation, place)
        return record

    def wipe_step(self, vcp: VcpId, limit: int) -> tuple[int, bool]:
        """Delete some of a VCP's rows, and its record when none is left. Returns (objects that went, whether all is done)."""
        record = self.record(vcp)
        if record is None:
            return 0, True
        if record.state is not VcpState.WIPING:
            raise ValueError(f"VCP {record.name!r} is {record.state}, not wiping")
        gone: int = self._sql(
            "SELECT COUNT(value) FROM (SELECT value FROM objects WHERE vcp = ? ORDER BY resource, namespace, name LIMIT ?)", (vcp, limit)
        ).fetchone()[0]
        left = self._sql(_WIPE_OBJECTS, (vcp, limit)).rowcount == limit
        log_rows = self._sql(_WIPE_LOG, (vcp, limit)).rowcount
        self.objects -= gone
        self.log_rows -= log_rows
        bound = self._sql(_OWNERS_BOUND, (vcp, limit)).fetchone()
        if bound is None:
            self._sql(_WIPE_OWNERS, (vcp,))
        else:
            self._sql(_WIPE_OWNERS_BELOW, (vcp, *bound))
        left = left or log_rows == limit or bound is not None
        if not left:
            self._sql(_WIPE_GARBAGE, (vcp,))
            self._sql("DELETE FROM vcps WHERE id = ?", (vcp,))
            self.records[vcp] = None
        return gone, not left

    # -- housekeeping

    def garbage_done(self, vcp: VcpId, owner: str) -> None:
        self._sql("DELETE FROM garbage WHERE vcp = ? AND owner = ?", (vcp, owner))

    def mark(self, revision: int, now: int) -> None:
        """Note the time of a revision, if it has none yet."""
        self._sql("INSERT OR IGNORE INTO marks VALUES (?, ?)", (revision, now))
        self.dirty = True

    def trim(self, until: int, limit: int) -> int:
        """Delete up to ``limit`` rows of the log that are not above ``until``; the floor follows. Returns how many went."""
        row = self._sql(
            "SELECT COUNT(*), MAX(revision) FROM (SELECT revision FROM log WHERE revision <= ? ORDER BY revision LIMIT ?)", (until, limit)
        ).fetchone()
        floor = until if row[0] < limit else row[1]
        if row[0]:
            self._sql("DELETE FROM log WHERE revision <= ?", (floor,))
            self.log_rows -= row[0]
        self.log_floor = max(self.log_floor, floor)
        self._sql("DELETE FROM marks WHERE revision < ?", (self.log_floor,))
        return int(row[0])

    def finish(self) -> None:
        """Write what is gathered over the whole transaction."""
        self.log_rows += len(self._log)
        done = self._sql(_STATE, (self.revision, self.log_floor, self.log_rows, self.objects, self._start))
        if done.rowcount != 1:
            raise StorageUnavailable("another process has written to the store")
        if self._log:
            self._sql_many(_LOG, self._log)
        grown = [(*usage, vcp) for vcp, usage in self.growth.items() if usage != NOTHING]
        if grown:
            self._sql_many(_USAGE, grown)
