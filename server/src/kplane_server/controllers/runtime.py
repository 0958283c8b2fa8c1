# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every controller runs on: a queue of keys that is worked off by as many tasks as there is work for, and no more.

A key is reconciled by one task at a time. A key that is added while it is being worked on is worked on once more. A failure is tried
again later, each time after a longer pause. An idle queue holds nothing: no task, no timer, no entry.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterable
from typing import Final, Protocol

from kplane_server.model.errors import ApiError, Conflict
from kplane_server.model.keys import ResourceId
from kplane_server.storage.api import Event, RevisionMismatch, StorageUnavailable, UnknownVcp

log: Final = logging.getLogger("kplane.controllers")

#: The pause after a first failure, and the longest one, in seconds.
FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 120.0
#: How many keys of a resync may wait at a time.
RESYNC_BATCH: Final = 100
#: How long keys are worked off without letting the rest of the server have a turn (seconds).
TURN: Final = 0.002


class TryAgain(Exception):
    """Somebody else keeps the work from being finished; it is tried again, each time after a longer pause, and nothing is logged."""


class Controller(Protocol):
    """One duty, for all control planes.

    resources: what it listens to, ``None`` for everything. concurrency: how many keys it works on at once.
    """

    name: str
    resources: frozenset[ResourceId] | None
    concurrency: int

    def attach(self, queue: WorkQueue) -> None:
        """Told once, at the start: where its keys wait, for those that add some by themselves."""
        ...

    def observe(self, event: Event) -> Iterable[Hashable]:
        """The keys that a change concerns. Called for every event, so it must be cheap."""
        ...

    def resync(self) -> AsyncIterator[Hashable]:
        """The keys that may need work after a start, or after events were missed."""
        ...

    async def reconcile(self, key: Hashable) -> float | None:
        """Do what is to be done for a key, whatever was done before. The answer: seconds after which to look again."""
        ...


class WorkQueue:
    """Keys waiting for a reconcile function."""

    def __init__(self, name: str, reconcile: Callable[[Hashable], Awaitable[float | None]], concurrency: int) -> None:
        self.name = name
        self.failures = 0
        self.reconciled = 0
        self._reconcile = reconcile
        self._concurrency = concurrency
        self._waiting: dict[Hashable, None] = {}
        self._working: set[Hashable] = set()
        self._again: set[Hashable] = set()
        self._tries: dict[Hashable, int] = {}
        self._later: list[tuple[float, int, Hashable]] = []
        self._due_at: dict[Hashable, float] = {}
        self._order = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._running = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = False

    @property
    def idle(self) -> bool:
        """Whether nothing is waiting or being worked on (keys that wait for a later time do not count)."""
        return not self._waiting and not self._working

    @property
    def unsettled(self) -> int:
        """How many keys wait, are being worked on, or failed and will be tried again."""
        return len(self._waiting) + len(self._working) + len(self._tries)

    @property
    def depth(self) -> int:
        """How many keys wait, for their turn or for a time."""
        return len(self._waiting) + len(self._due_at)

    def add(self, key: Hashable) -> None:
        """Work on a key soon."""
        if self._stopped:
            return
        if key in self._working:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting[key] = None
            if self._running < self._concurrency:
                self._running += 1
                task = asyncio.get_running_loop().create_task(self._work(), name=f"controller {self.name}")
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def add_after(self, key: Hashable, seconds: float) -> None:
        """Work on a key after a while; if it waits for a time already, at the earlier of both."""
        at = asyncio.get_running_loop().time() + seconds
        if self._stopped or self._due_at.get(key, at + 1) <= at:
            return
        self._due_at[key] = at
        heapq.heappush(self._later, (at, next(self._order), key))
        self._arm()

    async def stop(self) -> None:
        """Drop what waits, and end what is being worked on."""
        self._stopped = True
        self._waiting.clear()
        self._again.clear()
        self._later.clear()
        self._due_at.clear()
        if self._timer is not None:
            self._timer.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self) -> None:
        try:
            loop = asyncio.get_running_loop()
            since = loop.time()
            while self._waiting:
                await self._next()
                if loop.time() - since > TURN:  # much of the work never has to wait for anything
                    await asyncio.sleep(0)
                    since = loop.time()
        finally:
            self._running -= 1  # here, not in a callback: the next add must know that this task takes no more

    async def _next(self) -> None:
        key = next(iter(self._waiting))
        del self._waiting[key]
        self._working.add(key)
        try:
            await self._one(key)
        finally:
            self._working.discard(key)
            if key in self._again:
                self._again.discard(key)
                if not self._stopped:
                    self._waiting[key] = None

    async def _one(self, key: Hashable) -> None:
        try:
            again = await self._reconcile(key)
        except (RevisionMismatch, Conflict) as race:
            log.debug("%s: %s: %s, trying again", self.name, key, race)
            self._retry(key)
        except TryAgain as wait:
            log.debug("%s: %s: %s", self.name, key, wait)  # a tenant must not be able to fill the log
            self.failures += 1
            self._retry(key)
        except UnknownVcp:
            self._tries.pop(key, None)  # the control plane went away meanwhile, and its work with it
        except (ApiError, StorageUnavailable, TimeoutError) as error:
            self.failures += 1
            log.warning("%s: %s: %s, trying again", self.name, key, error)
            self._retry(key)
        except Exception:
            self.failures += 1
            log.exception("%s: %s: a defect, trying again", self.name, key)
            self._retry(key)
        else:
            self.reconciled += 1
            self._tries.pop(key, None)
            if again is not None:
                self.add_after(key, again)

    def _retry(self, key: Hashable) -> None:
        tries = self._tries[key] = self._tries.get(key, 0) + 1
        self.add_after(key, min(FIRST_PAUSE * 2.0 ** min(tries - 1, 20), LONGEST_PAUSE))

    def _arm(self) -> None:
        """One timer, for the first of those that wait for a time."""
        if not self._later or self._stopped:
            return
        at = self._later[0][0]
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer_at = at
        self._timer = asyncio.get_running_loop().call_at(at, self._due)

    def _due(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        while self._later and self._later[0][0] <= now:
            at, _, key = heapq.heappop(self._later)
            if self._due_at.get(key) == at:  # else it was asked for at an earlier time, and done
                del self._due_at[key]
                self.add(key)
        self._arm()
