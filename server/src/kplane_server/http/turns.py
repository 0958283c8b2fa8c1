# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Control planes take turns on the event loop, by the time that each has used of it: start-time fair queueing.

A request is worked on in steps, from one wait to the next, and every step is a turn. The loop itself runs what is ready in the order in
which it came; so what exceeds a slice of one of its rounds waits here, and the control plane that has used least goes first. One that was
at rest has used nothing: its requests wait for the step that is under way, and for no queue. Alone, a control plane has long slices, and
taking turns costs nothing.

Source: P. Goyal, H. M. Vin, H. Cheng, "Start-time Fair Queuing", SIGCOMM 1996.
"""

from __future__ import annotations

import asyncio
import sys
import types
from collections import deque
from collections.abc import Coroutine, Generator
from heapq import heappop, heappush
from time import perf_counter
from typing import Any, Final, TypeVar

from kplane_server.model.keys import VcpId

T = TypeVar("T")

#: What is worked on in a round of the loop (seconds) while several control planes are busy, and while one is alone.
SHARED_SLICE: Final = 0.0001
ALONE_SLICE: Final = 0.020
#: How long after a request of another control plane a control plane is not alone (seconds).
COMPANY: Final = 1.0
#: How long (seconds) the threads of the transport and of the store wait before the loop must let them in: a request or a commit waits for
#: each, and a busy loop does not do so by itself. It costs some throughput, so beside a control plane that is alone they wait as in any
#: Python program.
SHARED_SWITCH: Final = 0.0002
ALONE_SWITCH: Final = sys.getswitchinterval()
#: What a step is taken to cost before one has been seen (seconds).
STEP_COST: Final = 0.0001
#: Control planes whose standing is remembered before it is looked for those that others have caught up with.
MAX_REMEMBERED: Final = 1_024


class Turns:
    """Who works in this round of the loop, and who waits. Holds nothing for a control plane that is idle."""

    def __init__(self) -> None:
        #: The virtual time: where the control plane stands whose turn it is. Who comes begins there, and not with what it saved up.
        self._floor = 0.0
        #: The virtual time until which a control plane has been served; at the floor where there is none.
        self._served: dict[VcpId, float] = {}
        self._remembered = MAX_REMEMBERED
        self._cost: dict[VcpId, float] = {}
        self._queues: dict[VcpId, deque[asyncio.Future[None]]] = {}
        self._order: list[tuple[float, VcpId]] = []  # a heap: who waits, by the time until which it was served when it began to wait
        self._used = 0.0  # of this round
        self._scheduled = False
        self._last: VcpId | None = None
        self._company_until = 0.0
        self._shared = False

    @property
    def waiting(self) -> int:
        """How many steps wait for their turn."""
        return sum(map(len, self._queues.values()))

    def take(self, vcp: VcpId, now: float) -> asyncio.Future[None] | None:
        """None: it is this step's turn. Else it is when the future is done; whoever stops waiting cancels it."""
        if vcp != self._last:
            if self._last is not None:
                self._company_until = now + COMPANY
                if not self._shared:
                    self._share(True)
            self._last = vcp
        if not self._scheduled:
            self._schedule()
        if vcp not in self._queues:
            stands = self._stands(vcp)
            if stands < self._order[0][0] if self._order else self._used < (SHARED_SLICE if self._shared else ALONE_SLICE):
                self._floor = stands
                return None
            heappush(self._order, (stands, vcp))
            self._queues[vcp] = deque()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues[vcp].append(future)
        return future

    def spend(self, vcp: VcpId, seconds: float) -> None:
        """What a step has used of the loop."""
        self._used += seconds
        self._served[vcp] = self._stands(vcp) + seconds
        before = self._cost.get(vcp, STEP_COST)
        self._cost[vcp] = before + (seconds - before) * 0.1

    def _stands(self, vcp: VcpId) -> float:
        """The virtual time of a control plane."""
        served = self._served.get(vcp, 0.0)
        return served if served > self._floor else self._floor

    @types.coroutine
    def run(self, vcp: VcpId, work: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
        """The result of ``work``; each of its steps but the first, whose turn it is, takes a turn of its control plane."""
        thrown: BaseException | None = None
        while True:
            began = perf_counter()
            try:
                waits_for = work.send(None) if thrown is None else work.throw(thrown)
            except StopIteration as end:
                result: T = end.value
                return result
            finally:
                self.spend(vcp, perf_counter() - began)
            thrown = None
            try:
                yield waits_for
            except Exception as error:  # of what it waited for
                thrown = error
            except BaseException as error:  # its end: that waits for no turn
                thrown = error
                continue
            turn = self.take(vcp, perf_counter())
            if turn is not None:
                try:
                    yield from turn
                except BaseException as error:
                    thrown = error

    def _schedule(self) -> None:
        self._scheduled = True
        asyncio.get_running_loop().call_soon(self._next_round)

    def _next_round(self) -> None:
        """A slice for the control plane that has used least of those that wait. Its steps run next, and then this again."""
        self._used = 0.0
        self._scheduled = False
        if self._shared and len(self._queues) < 2 and perf_counter() > self._company_until:
            self._share(False)
        if not self._order:  # nobody is behind anybody
            self._floor = max(self._served.values(), default=self._floor)
            self._served.clear()
            self._cost.clear()
            return
        if len(self._served) > self._remembered:
            self._forget()
        self._grant(*self._first())
        self._scheduled = True
        loop = asyncio.get_running_loop()
        if self._shared:  # two rounds without a slice lie between: what has come meanwhile begins before more is given out
            loop.call_soon(loop.call_soon, loop.call_soon, self._next_round)
        else:
            loop.call_soon(self._next_round)

    def _forget(self) -> None:
        """Drop those who stand where everybody does who comes."""
        self._served = {vcp: stands for vcp, stands in self._served.items() if stands > self._floor}
        self._cost = {vcp: cost for vcp, cost in self._cost.items() if vcp in self._served}
        self._remembered = max(MAX_REMEMBERED, 2 * len(self._served))

    def _first(self) -> tuple[VcpId, float]:
        """Who has its turn, and where it stands."""
        while True:
            stood, vcp = heappop(self._order)
            stands = self._stands(vcp)
            if stands <= stood or not self._order:
                return vcp, stands
            heappush(self._order, (stands, vcp))  # it has been served since

    def _share(self, shared: bool) -> None:
        """Whether several control planes are busy."""
        self._shared = shared
        sys.setswitchinterval(SHARED_SWITCH if shared else ALONE_SWITCH)

    def _grant(self, vcp: VcpId, stands: float) -> None:
        """A slice for one control plane."""
        self._floor = stands
        queue = self._queues[vcp]
        cost, taken, slice_ = self._cost.get(vcp, STEP_COST), 0.0, SHARED_SLICE if self._shared else ALONE_SLICE
        while queue and taken < slice_:
            turn = queue.popleft()
            if not turn.done():  # else its client has gone
                turn.set_result(None)
                taken += cost
        if queue:
            heappush(self._order, (stands + taken, vcp))
        else:
            del self._queues[vcp]
