# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The deadline of requests: as ``asyncio.timeout``, with one timer for all."""

from __future__ import annotations

import asyncio

import pytest

from kplane_server.http.deadline import Deadline

SHORT = 0.05


async def for_ever() -> None:
    await asyncio.Event().wait()


async def test_a_result_comes_through() -> None:
    assert await Deadline(60).run(asyncio.sleep(0, "done")) == "done"


async def test_an_error_comes_through() -> None:
    async def fail() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await Deadline(60).run(fail())


async def test_what_takes_too_long_is_cancelled() -> None:
    ended = asyncio.Event()

    async def slow() -> None:
        try:
            await for_ever()
        finally:
            ended.set()

    with pytest.raises(TimeoutError):
        await Deadline(SHORT).run(slow())
    assert ended.is_set()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_every_wait_has_its_own_end() -> None:
    deadline = Deadline(SHORT)
    loop = asyncio.get_running_loop()

    async def wait(delay: float) -> float:
        await asyncio.sleep(delay)
        begun = loop.time()
        with pytest.raises(TimeoutError):
            await deadline.run(for_ever())
        return loop.time() - begun

    await deadline.run(asyncio.sleep(0))  # the timer runs already
    assert all(waited >= SHORT for waited in await asyncio.gather(*(wait(step * SHORT / 3) for step in range(5))))


async def test_a_cancellation_from_outside_stays_one() -> None:
    task = asyncio.create_task(Deadline(60).run(for_ever()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
