# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has the operator look at control planes whose content has changed, some time later: ControlPlane.status.usage follows at its own pace.

One that is idle costs nothing, and a busy one is looked at once in an interval.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Hashable, Iterable
from typing import Final

from kplane_server.controllers.runtime import WorkQueue
from kplane_server.model.keys import ROOT_VCP_ID, ResourceId, VcpId
from kplane_server.storage.api import Event, VcpState
from kplane_server.vcp import standing
from kplane_server.vcp.directory import Directory

REPORT: Final = ("report",)


class UsageReporter:
    """Its one key is a round over the control planes that have changed since the round before.

    look: has the operator look at a ControlPlane. interval: seconds from a first change to the round.
    """

    name = "usage"
    resources: frozenset[ResourceId] | None = None
    concurrency = 1

    def __init__(self, directory: Directory, look: Callable[[str], None], interval: float) -> None:
        self._store = directory.store
        self._look = look
        self._interval = interval
        self._changed: set[VcpId] = set()
        self._queue: WorkQueue | None = None
        directory.activity.listen(self.note)

    def attach(self, queue: WorkQueue) -> None:
        self._queue = queue

    def observe(self, event: Event) -> Iterable[Hashable]:
        if event.key.vcp not in self._changed:
            self.note(event.key.vcp)
        return ()

    async def resync(self) -> AsyncIterator[Hashable]:
        if self._changed:  # what changed before a start is among the events that are seen again
            yield REPORT

    async def reconcile(self, key: Hashable) -> float | None:
        changed, self._changed = self._changed, set()
        for vcp in changed:
            record = self._store.vcp_by_id(vcp)
            if record is not None and record.state is VcpState.ACTIVE:
                self._look(standing.decode(record.settings).control_plane or record.name)
        return None

    def note(self, vcp: VcpId) -> None:
        """A control plane has changed."""
        if vcp == ROOT_VCP_ID:
            return
        self._changed.add(vcp)
        if self._queue is not None and len(self._changed) == 1:
            self._queue.add_after(REPORT, self._interval)
