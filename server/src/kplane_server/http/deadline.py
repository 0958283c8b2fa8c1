# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One deadline for every request: as ``asyncio.timeout`` with the same delay each time, but with one timer for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

T = TypeVar("T")


class _Wait:
    """A task that waits, until when, and whether its time came."""

    __slots__ = ("due", "over", "task")

    def __init__(self, task: asyncio.Task[Any], due: float) -> None:
        self.task = task
        self.due = due
        self.over = False


class Deadline:
    """Runs awaitables for at most ``seconds`` each. The delay is the same for all, so the first to begin is the first to end."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waits: dict[_Wait, None] = {}  # in the order of their ends
        self._timer: asyncio.TimerHandle | None = None

    async def run(self, awaitable: Awaitable[T]) -> T:
        """The result of ``awaitable``. Raises TimeoutError when it takes longer; then it was cancelled."""
        task = asyncio.current_task()
        assert task is not None
        loop = task.get_loop()
        wait = _Wait(task, loop.time() + self._seconds)
        self._waits[wait] = None
        if self._timer is None:
            self._timer = loop.call_at(wait.due, self._expire, loop)
        cancelling = task.cancelling()
        try:
            return await awaitable
        except asyncio.CancelledError as error:
            if wait.over and task.uncancel() <= cancelling:  # ours, and nobody else's
                raise TimeoutError from error
            raise
        finally:
            self._waits.pop(wait, None)

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        """End those whose time has come, and look again when that of the next does."""
        now = loop.time()
        for wait in list(self._waits):
            if wait.due > now:
                self._timer = loop.call_at(wait.due, self._expire, loop)
                return
            del self._waits[wait]
            wait.over = True
            wait.task.cancel()
        self._timer = None
