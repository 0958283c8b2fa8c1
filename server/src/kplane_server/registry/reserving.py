# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commits that take from something shared, such as a quota: those that wait for the same thing go into one commit, in their order.

Alone, each would have to wait until the one before is durable; together they cost about as much as one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final

from kplane_server.model.errors import ApiError, Json, conflict
from kplane_server.model.keys import ObjectKey
from kplane_server.registry.attributes import Reservation
from kplane_server.storage.api import Mutation, RevisionMismatch

#: How many writes go into one commit.
MAX_TOGETHER: Final = 64
#: How often a commit is tried again when what it takes from was changed by somebody else.
_ATTEMPTS: Final = 16

MODIFIED: Final = "the object has been modified; please apply your changes to the latest version and try again"

Commit = Callable[[Sequence[Mutation]], Awaitable[list[int]]]
Hold = Callable[[ObjectKey], AbstractAsyncContextManager[None]]


@dataclass(eq=False, slots=True)
class _Write:
    """One that waits. ``check`` raises if it may not go on."""

    mutations: Sequence[Mutation]
    reservation: Reservation
    check: Callable[[], None] | None
    done: asyncio.Future[list[int]]
    tries: int = field(default=0)

    @property
    def open(self) -> bool:
        return not self.done.done()

    def fail(self, error: BaseException) -> None:
        if self.open:
            self.done.set_exception(error)


class ReservedCommits:
    """The queues of one control plane. Without a write that reserves something it holds nothing."""

    __slots__ = ("_commit", "_hold", "_queues", "_tasks")

    def __init__(self, commit: Commit, hold: Hold) -> None:
        self._commit = commit
        self._hold = hold
        self._queues: dict[ObjectKey, deque[_Write]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def commit(self, mutations: Sequence[Mutation], reservation: Reservation, check: Callable[[], None] | None) -> list[int]:
        """Commit with what is reserved: the revisions of ``mutations``. Raises what the commit, the reservation or ``check`` raise."""
        loop = asyncio.get_running_loop()
        write = _Write(mutations, reservation, check, loop.create_future())
        queue = self._queues.get(reservation.lock)
        if queue is None:
            queue = self._queues[reservation.lock] = deque()
            task = loop.create_task(self._drain(reservation.lock, queue), name="reserved commits")
            self._tasks.add(task)  # not the task of a request: one that is cancelled must not take the others along
            task.add_done_callback(self._tasks.discard)
        queue.append(write)
        return await write.done

    async def _drain(self, lock: ObjectKey, queue: deque[_Write]) -> None:
        """Work a queue off; it goes when it is empty."""
        try:
            while queue:
                async with self._hold(lock):
                    batch = [queue.popleft() for _ in range(min(MAX_TOGETHER, len(queue)))]
                    await self._settle(batch)
        finally:
            self._queues.pop(lock, None)
            for write in queue:
                write.fail(asyncio.CancelledError())

    async def _settle(self, batch: list[_Write]) -> None:
        """Commit writes together until each has its answer."""
        try:
            while batch := [write for write in batch if write.open]:
                batch = await self._round(batch)
        except BaseException as error:
            for write in batch:
                write.fail(error)
            if not isinstance(error, Exception):
                raise

    async def _round(self, batch: list[_Write]) -> list[_Write]:
        """One commit. The answer: the writes that are to be tried again."""
        taken: dict[ObjectKey, Mutation] = {}
        going, later = self._gather(batch, taken)
        if not going:
            return later
        own = [mutation for write in going for mutation in write.mutations]
        try:
            revisions = iter(await self._commit([*own, *taken.values()]))
        except RevisionMismatch as mismatch:
            return self._after_mismatch(going, taken, mismatch) + later
        except ApiError as error:
            if len(going) == 1:
                going[0].fail(error)
                return later
            for write in going:  # one of them is to blame: each alone
                await self._settle([write])
            return later
        for write in going:
            answer = [next(revisions) for _ in write.mutations]
            if write.open:
                write.done.set_result(answer)
        return later

    def _gather(self, batch: list[_Write], taken: dict[ObjectKey, Mutation]) -> tuple[list[_Write], list[_Write]]:
        """The writes that go into a commit with what they take, and those that cannot because they touch the same objects."""
        pending: dict[ObjectKey, Json] = {}
        keys: set[ObjectKey] = set()
        going: list[_Write] = []
        later: list[_Write] = []
        for write in batch:
            own = {mutation.key for mutation in write.mutations}
            if own & keys or own & taken.keys():
                later.append(write)
                continue
            try:
                if write.check is not None:
                    write.check()
                reserved = write.reservation.take(pending)
            except Exception as error:  # the answer to this write; whatever it is, the others go on
                write.fail(error)
                continue
            if any(part.mutation.key in keys | own for part in reserved):
                later.append(write)
                continue
            for part in reserved:
                taken[part.mutation.key] = part.mutation
                pending[part.mutation.key] = part.document
            keys |= own
            going.append(write)
        return going, later

    def _after_mismatch(self, going: list[_Write], taken: dict[ObjectKey, Mutation], mismatch: RevisionMismatch) -> list[_Write]:
        """Who is told of a mismatch, and who goes on without them."""
        if mismatch.key not in taken:
            for write in going:
                if any(mutation.key == mismatch.key for mutation in write.mutations):
                    write.fail(mismatch)
            return [write for write in going if write.open]
        for write in going:
            write.tries += 1
            if write.tries >= _ATTEMPTS:
                error = conflict(str(mismatch.key.resource), "", mismatch.key.name, MODIFIED)
                error.__cause__ = mismatch
                write.fail(error)
        return [write for write in going if write.open]
