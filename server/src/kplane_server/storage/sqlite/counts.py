# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many objects a collection has: counted in the index when it is first asked for, kept up to date by events from then on.

Nothing about it is written: a table of counts would cost every create another page.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from typing import Final

from kplane_server.model.keys import ResourceId, Scope, VcpId
from kplane_server.storage.api import Event, EventType, VcpRecord
from kplane_server.storage.overlay import Overlay

#: How many counts are kept, about 200 bytes each.
REMEMBERED_COUNTS: Final = 8_192

_STEP: Final = {EventType.ADDED: 1, EventType.MODIFIED: 0, EventType.DELETED: -1}

# One look into the index for each resource, instead of one for each object.
_RESOURCES: Final = """
WITH RECURSIVE found (resource) AS (
  SELECT MIN(resource) FROM objects WHERE vcp = ?1
  UNION ALL
  SELECT (SELECT MIN(resource) FROM objects WHERE vcp = ?1 AND resource > found.resource) FROM found WHERE found.resource IS NOT NULL
)
SELECT resource FROM found WHERE resource IS NOT NULL
"""

_IN_NAMESPACE: Final = """ AND EXISTS (
  SELECT 1 FROM objects WHERE vcp = ?1 AND resource = found.resource AND namespace = ?2 AND value IS NOT NULL
)"""


class Counts:
    """Counts of committed objects by scope."""

    def __init__(self, reader: sqlite3.Connection, overlay: Overlay) -> None:
        self._reader = reader
        self._overlay = overlay
        self._known: OrderedDict[Scope, int] = OrderedDict()

    def of(self, scope: Scope, record: VcpRecord) -> int:
        """The objects of a scope, rows and layer together."""
        count = self._known.get(scope)
        if count is None:
            count = self._known[scope] = self._count(scope, record)
            if len(self._known) > REMEMBERED_COUNTS:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(scope)
        return count

    def update(self, event: Event) -> None:
        """Take one committed change in."""
        step = _STEP[event.type]
        if step and self._known:
            vcp, resource, namespace, _ = event.key
            for scope in (Scope(vcp, resource, None), Scope(vcp, resource, namespace)):
                if scope in self._known:
                    self._known[scope] += step

    def resources(self, vcp: VcpId, namespace: str | None, record: VcpRecord) -> list[ResourceId]:
        """The resources that have objects in a VCP, or in one namespace of it."""
        if namespace is not None:
            return self._resources_of_namespace(vcp, namespace, record)
        found = {ResourceId(row[0]) for row in self._reader.execute(_RESOURCES, (vcp,))}
        found.update(self._overlay.layer(record).resources(record))
        return sorted(resource for resource in found if self.of(Scope(vcp, resource, None), record) > 0)

    def _resources_of_namespace(self, vcp: VcpId, namespace: str, record: VcpRecord) -> list[ResourceId]:
        """The same for one namespace, whose counts nobody will ask for again: it is asked when the namespace goes."""
        found = {ResourceId(row[0]) for row in self._reader.execute(_RESOURCES + _IN_NAMESPACE, (vcp, namespace))}
        for resource in self._overlay.layer(record).resources(record):
            scope = Scope(vcp, resource, namespace)
            if resource not in found and any(not self._has_row(scope, *position) for position in self._overlay.names(record, scope)):
                found.add(resource)
        return sorted(found)

    def _count(self, scope: Scope, record: VcpRecord) -> int:
        where, values = "vcp = ? AND resource = ?", [scope.vcp, scope.resource]
        if scope.namespace is not None:
            where, values = where + " AND namespace = ?", [*values, scope.namespace]
        rows: int = self._reader.execute(f"SELECT COUNT(*) FROM objects WHERE {where}", values).fetchone()[0]
        whiteouts: int = self._reader.execute(f"SELECT COUNT(*) FROM objects WHERE {where} AND value IS NULL", values).fetchone()[0]
        layered = sum(not self._has_row(scope, *position) for position in self._overlay.names(record, scope))
        return rows - whiteouts + layered

    def _has_row(self, scope: Scope, namespace: str, name: str) -> bool:
        query = "SELECT 1 FROM objects WHERE vcp = ? AND resource = ? AND namespace = ? AND name = ?"
        return self._reader.execute(query, (scope.vcp, scope.resource, namespace, name)).fetchone() is not None
