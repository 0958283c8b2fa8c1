# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Control planes take turns on the event loop: of the requests that are there at once, each has a slice of every round of the loop.

The loop runs what is ready in the order in which it came, so the requests that one control plane sends at once would all be worked on
before the next one of another. Here what exceeds a slice waits, in order, for the next round. It costs nothing while one control plane is
alone: slices are long then.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import perf_counter
from typing import Final

from kplane_server.model.keys import VcpId

#: What one control plane may use of a round of the loop (seconds), beside others and alone.
SHARED_SLICE: Final = 0.001
ALONE_SLICE: Final = 0.020
#: How long after a request of another control plane a control plane is not alone (seconds).
COMPANY: Final = 0.25
#: What a request is taken to cost before any has been seen (seconds); a write is worked on after its first wait, unseen by this clock.
READ_COST: Final = 0.0001
WRITE_COST: Final = 0.0004


class Turns:
    """Who works in this round of the loop, and who waits for the next. Holds nothing for a control plane that is idle."""

    def __init__(self) -> None:
        self._spent: dict[VcpId, float] = {}
        self._queues: dict[VcpId, deque[tuple[asyncio.Future[None], float]]] = {}
        self._cost: dict[VcpId, float] = {}
        self._last: VcpId | None = None
        self._company_until = 0.0
        self._scheduled = False

    @property
    def waiting(self) -> int:
        """How many requests wait for a turn."""
        return sum(map(len, self._queues.values()))

    def take(self, vcp: VcpId, now: float, *, write: bool) -> asyncio.Future[None] | None:
        """None: it is this request's turn. Else it is when the future is done; whoever stops waiting cancels it."""
        if vcp != self._last:
            if self._last is not None:
                self._company_until = now + COMPANY
            self._last = vcp
        spent = self._spent.get(vcp, 0.0)
        slice_ = SHARED_SLICE if now < self._company_until else ALONE_SLICE
        if spent < slice_ and vcp not in self._queues:
            self._spent[vcp] = spent + (WRITE_COST if write else 0.0)
            if not self._scheduled:
                self._scheduled = True
                asyncio.get_running_loop().call_soon(self._next_round)
            return None
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        cost = WRITE_COST if write else self._cost.get(vcp, READ_COST)
        self._queues.setdefault(vcp, deque()).append((future, cost))
        return future

    def spend(self, vcp: VcpId, seconds: float) -> None:
        """What a request has used of the loop before its first wait."""
        if vcp in self._spent:
            self._spent[vcp] += seconds
        before = self._cost.get(vcp)
        if before is not None or seconds > READ_COST:
            self._cost[vcp] = seconds if before is None else before + (seconds - before) * 0.1

    def _next_round(self) -> None:
        """A new slice for everybody, and a turn for those who waited."""
        self._spent.clear()
        if not self._queues:
            self._scheduled = False
            self._cost.clear()
            return
        slice_ = SHARED_SLICE if len(self._queues) > 1 or perf_counter() < self._company_until else ALONE_SLICE
        for vcp in list(self._queues):
            queue = self._queues[vcp]
            used = 0.0
            while queue and used < slice_:
                future, cost = queue.popleft()
                if not future.done():  # else its client has gone
                    future.set_result(None)
                    used += cost
            self._spent[vcp] = used
            if not queue:
                del self._queues[vcp]
        asyncio.get_running_loop().call_soon(self._next_round)
