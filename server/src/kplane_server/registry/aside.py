# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Expressions that take long are evaluated aside: in one thread for all, which steps back whenever the event loop wants to go on.

Most cost a few microseconds and are evaluated at once. One that turns out dear is stopped and begun anew in the thread, with
upstream's limits, so that whoever wrote it waits, and nobody else does.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar
from weakref import WeakKeyDictionary

from kplane_server.model.keys import VcpId
from kplane_server.schema.cel.budget import HERE_LIMIT, Elsewhere, Here, Place
from kplane_server.schema.cel.values import CostExceeded, Meter

_Found = TypeVar("_Found")
#: After this much work on the event loop others get their turn, and the thread looks as often whether somebody waits.
_LONG: Final = 20_000
_OFTEN: Final = 1_000
_WORKER: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="expressions")
_loops = threading.local()


class _Aside:
    """The thread, for one piece of work. ``stopped``: nobody waits for it any more."""

    __slots__ = ("stopped",)

    def __init__(self) -> None:
        self.stopped = False

    def meter(self, granted: int) -> Meter:
        return _PoliteMeter(granted, self)

    def settle(self, spent: int) -> None:
        return None


class _PoliteMeter(Meter):
    """A meter that lets the event loop go first."""

    __slots__ = ("_aside", "_until")

    def __init__(self, limit: int, aside: _Aside) -> None:
        super().__init__(limit)
        self._aside = aside
        self._until = limit - _OFTEN

    def charge(self, units: int) -> None:
        super().charge(units)
        if self.left < self._until:
            self._until = self.left - _OFTEN
            time.sleep(0)
            if self._aside.stopped:
                raise CostExceeded("operation interrupted")


class _Turns:
    """Who may use the thread: one at a time, and the control planes in turn."""

    def __init__(self) -> None:
        self._busy = False
        self._waiting: OrderedDict[VcpId, deque[asyncio.Future[None]]] = OrderedDict()

    async def take(self, vcp: VcpId) -> None:
        if not self._busy:
            self._busy = True
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(vcp, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give()  # it came too late
            raise

    def give(self) -> None:
        """The next one, of the control plane that has waited longest since its last turn."""
        while self._waiting:
            vcp, turns = self._waiting.popitem(last=False)
            turn = turns.popleft()
            if turns:
                self._waiting[vcp] = turns
            if not turn.done():
                turn.set_result(None)
                return
        self._busy = False


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, _Turns] = WeakKeyDictionary()


async def judged(vcp: VcpId, work: Callable[[Place], _Found]) -> _Found:
    """What ``work`` finds, here or aside. It may be done twice, so it changes nothing but what it gives back."""
    here = Here()
    try:
        found = work(here)
    except Elsewhere:
        return await _aside(vcp, work)
    if here.left < HERE_LIMIT - _LONG:
        await asyncio.sleep(0)
    return found


async def _aside(vcp: VcpId, work: Callable[[Place], _Found]) -> _Found:
    loop, aside = asyncio.get_running_loop(), _Aside()
    turns = _turns.setdefault(loop, _Turns())

    def run() -> _Found:
        _loops.running = loop
        return work(aside)

    await turns.take(vcp)
    working = loop.run_in_executor(_WORKER, run)
    working.add_done_callback(lambda _: turns.give())
    try:
        return await working
    except asyncio.CancelledError:
        aside.stopped = True
        raise


def on_loop(question: Callable[[], _Found]) -> _Found:
    """The answer to a question that only the event loop may ask (of caches, of the store), also from the thread."""
    loop: asyncio.AbstractEventLoop | None = getattr(_loops, "running", None)
    if loop is None:
        return question()
    answer: Future[_Found] = Future()

    def ask() -> None:
        try:
            answer.set_result(question())
        except BaseException as error:
            answer.set_exception(error)

    loop.call_soon_threadsafe(ask)
    return answer.result()
