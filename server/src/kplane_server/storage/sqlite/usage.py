# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much each VCP has written: a row of the database that the transactions keep up to date, remembered while it is in use."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from kplane_server.model.keys import VcpId
from kplane_server.storage.api import NOTHING, Usage

#: How many are kept in memory, about 200 bytes each.
REMEMBERED_USAGES: Final = 8_192


class Usages:
    """Committed usage by VCP. Nothing is ever counted: the first look reads one row."""

    def __init__(self, reader: sqlite3.Connection) -> None:
        self._reader = reader
        self._known: OrderedDict[VcpId, Usage] = OrderedDict()

    def of(self, vcp: VcpId) -> Usage:
        usage = self._known.get(vcp)
        if usage is not None:
            self._known.move_to_end(vcp)
            return usage
        row = self._reader.execute("SELECT objects, bytes FROM vcps WHERE id = ?", (vcp,)).fetchone()
        if row is None:
            return NOTHING
        usage = self._known[vcp] = Usage(*row)
        if len(self._known) > REMEMBERED_USAGES:
            self._known.popitem(last=False)
        return usage

    def update(self, growth: Mapping[VcpId, Usage]) -> None:
        """Take in what a transaction has written."""
        for vcp, (objects, size) in growth.items():
            usage = self._known.get(vcp)
            if usage is not None:
                self._known[vcp] = Usage(usage.objects + objects, usage.bytes + size)

    def forget(self, vcp: VcpId) -> None:
        """The VCP is gone."""
        self._known.pop(vcp, None)

    def largest(self, limit: int) -> tuple[list[tuple[str, Usage]], list[tuple[str, Usage]]]:
        """Names and usage of the active VCPs with most objects, and of those with most bytes: two sorts over one small table."""
        query = "SELECT name, objects, bytes FROM vcps WHERE state = 'active' ORDER BY {} DESC, id LIMIT ?"
        found = []
        for column in ("objects", "bytes"):
            rows = self._reader.execute(query.format(column), (limit,)).fetchall()
            found.append([(name, Usage(objects, size)) for name, objects, size in rows])
        return found[0], found[1]

    def total(self) -> Usage:
        """Of all active VCPs, root included."""
        query = "SELECT COALESCE(SUM(objects), 0), COALESCE(SUM(bytes), 0) FROM vcps WHERE state = 'active'"
        return Usage(*self._reader.execute(query).fetchone())
