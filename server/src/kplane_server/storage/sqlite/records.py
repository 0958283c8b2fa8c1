# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The records of VCPs: read when they are asked for, and remembered while they are in use."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from typing import Any, Final

from kplane_server.model.keys import VcpId
from kplane_server.storage.api import VcpRecord, VcpState

#: How many records are kept in memory, about 600 bytes each.
REMEMBERED_RECORDS: Final = 4_096

_COLUMNS = "id, name, uid, created, revision, state, key_generation, settings, due"


class Records:
    """Committed records by name and by number. One that is not here is read from the database: start-up reads none."""

    def __init__(self, reader: sqlite3.Connection) -> None:
        self._reader = reader
        self._by_id: OrderedDict[VcpId, VcpRecord] = OrderedDict()
        self._active: dict[str, VcpRecord] = {}

    def by_name(self, name: str) -> VcpRecord | None:
        """The active incarnation of a name."""
        record = self._active.get(name)
        if record is not None:
            self._by_id.move_to_end(record.id)
            return record
        return self._read(f"SELECT {_COLUMNS} FROM vcps WHERE name = ? AND state = 'active'", name)

    def by_id(self, vcp: VcpId) -> VcpRecord | None:
        record = self._by_id.get(vcp)
        if record is not None:
            self._by_id.move_to_end(vcp)
            return record
        return self._read(f"SELECT {_COLUMNS} FROM vcps WHERE id = ?", vcp)

    def all(self, state: VcpState | None) -> list[VcpRecord]:
        """Every record, or those in a state; not remembered."""
        if state is None:
            rows = self._reader.execute(f"SELECT {_COLUMNS} FROM vcps ORDER BY id")
        elif state is VcpState.ACTIVE:
            rows = self._reader.execute(f"SELECT {_COLUMNS} FROM vcps WHERE state = 'active' ORDER BY id")
        else:
            rows = self._reader.execute(f"SELECT {_COLUMNS} FROM vcps WHERE state <> 'active' AND state = ? ORDER BY id", (state.value,))
        return [_record(row) for row in rows.fetchall()]

    def due(self, limit: int) -> list[VcpRecord]:
        """Those that have a time set, the earliest first; not remembered."""
        query = f"SELECT {_COLUMNS} FROM vcps INDEXED BY vcps_due WHERE due IS NOT NULL ORDER BY due LIMIT ?"
        return [_record(row) for row in self._reader.execute(query, (limit,)).fetchall()]

    def update(self, vcp: VcpId, record: VcpRecord | None) -> None:
        """Take in what a transaction has made of a record."""
        self._forget(vcp)
        if record is not None:
            self._remember(record)

    def _read(self, query: str, key: VcpId | str) -> VcpRecord | None:
        row = self._reader.execute(query, (key,)).fetchone()
        if row is None:
            return None
        record = _record(row)
        self._remember(record)
        return record

    def _remember(self, record: VcpRecord) -> None:
        self._by_id[record.id] = record
        if record.state is VcpState.ACTIVE:
            self._active[record.name] = record
        if len(self._by_id) > REMEMBERED_RECORDS:
            self._forget(next(iter(self._by_id)))

    def _forget(self, vcp: VcpId) -> None:
        record = self._by_id.pop(vcp, None)
        if record is not None and self._active.get(record.name) is record:
            del self._active[record.name]

    def __len__(self) -> int:
        return len(self._by_id)


def _record(row: tuple[Any, ...]) -> VcpRecord:
    vcp, name, uid, created, revision, state, key_generation, settings, due = row
    return VcpRecord(VcpId(vcp), name, uid, created, revision, VcpState(state), key_generation, settings, due)
