# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log read back: the events since a revision, for readers that are older than what the hub remembers."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection
from typing import Any

from kplane_server.model.keys import ObjectKey, ResourceId, Scope, VcpId
from kplane_server.storage.api import Event, EventType, Stored

_COLUMNS = "revision, vcp, resource, namespace, name, type, previous_revision, previous, value"


class History:
    """Reads events from the log, newest first, which is how what each of them wrote is found.

    A row of the log holds what it replaced. So going backwards, what a key held after an event is what its next event replaced, or,
    for its last event, what is there now.
    """

    def __init__(self, reader: sqlite3.Connection, current: Callable[[ObjectKey], Stored | None]) -> None:
        self._reader = reader
        self._current = current

    def of_scope(self, scope: Scope, after: int, limit: int) -> list[Event] | None:
        """The events of a scope above ``after``, in order; ``None`` if there are more than ``limit``."""
        where, values = "vcp = ? AND resource = ? AND revision > ?", [scope.vcp, scope.resource, after]
        if scope.namespace is not None:
            where, values = where + " AND namespace = ?", [*values, scope.namespace]
        return self._read(where, values, limit)

    def of_resources(self, resources: Collection[ResourceId] | None, after: int, limit: int) -> list[Event] | None:
        """The same for resources in all VCPs; ``None`` means every resource."""
        if resources is None:
            return self._read("revision > ?", [after], limit)
        marks = ", ".join("?" * len(resources))
        return self._read(f"revision > ? AND resource IN ({marks})", [after, *resources], limit)

    def _read(self, where: str, values: list[Any], limit: int) -> list[Event] | None:
        query = f"SELECT {_COLUMNS} FROM log WHERE {where} ORDER BY revision DESC LIMIT ?"
        rows = self._reader.execute(query, [*values, limit + 1]).fetchall()
        if len(rows) > limit:
            return None
        newer: dict[ObjectKey, bytes] = {}
        events = []
        for revision, vcp, resource, namespace, name, kind, previous_revision, previous, value in rows:
            key = ObjectKey(VcpId(vcp), ResourceId(resource), namespace, name)
            if value is None:
                value = newer.get(key) or self._now(key)
            if previous is not None:
                newer[key] = previous
            if value is not None:
                events.append(Event(revision, EventType(kind), key, value, previous, previous_revision))
        events.reverse()
        return events

    def _now(self, key: ObjectKey) -> bytes | None:
        """The current document; none in a VCP that is being wiped, whose events are of no use to anyone."""
        stored = self._current(key)
        return None if stored is None else stored.value
