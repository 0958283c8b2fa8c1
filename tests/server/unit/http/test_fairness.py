# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns on the loop, and the bucket of writes: who waits, who does not, and that nothing is held for those at rest."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from time import perf_counter
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kplane_server.http.call import Call
from kplane_server.http.fairness import Writes
from kplane_server.http.inflight import InFlight
from kplane_server.http.turns import ALONE_SLICE, ALONE_SWITCH, SHARED_SLICE, SHARED_SWITCH, Turns
from kplane_server.model.errors import TooManyRequests
from kplane_server.model.identity import UserInfo
from kplane_server.model.keys import VcpId
from kplane_server.vcp.standing import Limits

NOISY, QUIET = VcpId(2), VcpId(3)
COMPANY = 1_000.0


@pytest.fixture(autouse=True)
def _long_company(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """So that a test which is held up sees the same. The process is left as it was."""
    monkeypatch.setattr("kplane_server.http.turns.COMPANY", COMPANY)
    yield
    sys.setswitchinterval(ALONE_SWITCH)


def together(turns: Turns) -> float:
    """Two control planes have been seen just now; the time."""
    now = perf_counter()
    for vcp in (QUIET, NOISY):
        turns.take(vcp, now)
    return now


def spin(seconds: float) -> None:
    """Use the processor."""
    end = perf_counter() + seconds
    while perf_counter() < end:
        pass


async def test_who_has_used_little_goes_before_those_who_wait() -> None:
    turns = Turns()
    now = together(turns)
    turns.spend(NOISY, 2 * SHARED_SLICE)
    futures = [turns.take(NOISY, now) for _ in range(50)]
    assert None not in futures, "the slice of this round is used up"
    assert turns.take(QUIET, now) is None, "it has used nothing"
    turns.spend(QUIET, 0.1)
    assert turns.take(QUIET, now) is not None, "now it has used more than those who wait"
    assert turns.waiting == 51


async def test_turns_are_in_order_and_leave_nothing_behind() -> None:
    turns = Turns()
    now = together(turns)
    turns.spend(NOISY, 2 * SHARED_SLICE)
    order: list[int] = []
    futures = [future for _ in range(30) if (future := turns.take(NOISY, now)) is not None]
    for number, future in enumerate(futures):
        future.add_done_callback(lambda _, number=number: order.append(number))  # type: ignore[misc]
    for left in futures[::3]:
        left.cancel()  # its client has gone
    await asyncio.gather(*futures, return_exceptions=True)
    assert [number for number in order if number % 3] == [number for number in range(30) if number % 3]
    await rest(turns)


async def rest(turns: Turns) -> None:
    """Until nothing is scheduled; then nothing is held."""
    for _ in range(10):
        await asyncio.sleep(0)
    assert (turns.waiting, turns._served, turns._queues, turns._order, turns._cost, turns._scheduled) == (0, {}, {}, [], {}, False)


async def test_work_is_done_by_time_used_and_not_by_the_number_of_requests() -> None:
    """One sends many requests, the other few; each step of both costs the same, and the few are not behind the many."""
    turns = Turns()
    done: list[VcpId] = []

    async def steps(vcp: VcpId, count: int) -> VcpId:
        for _ in range(count):
            spin(SHARED_SLICE * 2)
            done.append(vcp)
            await asyncio.sleep(0)
        return vcp

    async def request(vcp: VcpId, count: int) -> VcpId:
        turn = turns.take(vcp, perf_counter())
        if turn is not None:
            await turn
        return await turns.run(vcp, steps(vcp, count))

    together(turns)
    flood = [asyncio.create_task(request(NOISY, 4)) for _ in range(40)]
    await asyncio.sleep(0)
    few = await asyncio.gather(*(request(QUIET, 4) for _ in range(2)))
    assert few == [QUIET, QUIET]
    assert done.count(NOISY) < 40, "of 160 steps of the noisy one, so many were done beside 8 of the quiet one"
    assert set(await asyncio.gather(*flood)) == {NOISY}
    assert done.count(NOISY) == 160
    await rest(turns)


async def test_who_is_alone_has_long_slices_and_lets_threads_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kplane_server.http.turns.COMPANY", 0.01)
    turns = Turns()
    together(turns)
    assert sys.getswitchinterval() == pytest.approx(SHARED_SWITCH)
    turns.spend(NOISY, 2 * SHARED_SLICE)
    while sys.getswitchinterval() < ALONE_SWITCH:
        turns.take(NOISY, perf_counter())
        await asyncio.sleep(0.001)
    await rest(turns)
    turns.spend(NOISY, 2 * SHARED_SLICE)
    assert [turns.take(NOISY, perf_counter()) for _ in range(40)] == [None] * 40
    turns.spend(NOISY, 2 * ALONE_SLICE)
    assert turns.take(NOISY, perf_counter()) is not None
    together(turns)
    assert sys.getswitchinterval() == pytest.approx(SHARED_SWITCH)


async def test_a_request_may_be_cancelled_at_each_of_its_waits() -> None:
    turns = Turns()
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    for waits_for_turn in (False, True):
        now = together(turns)
        task = asyncio.create_task(turns.run(NOISY, work()))
        await asyncio.sleep(0)
        if waits_for_turn:
            turns.spend(NOISY, 1.0)
            assert turns.take(NOISY, now) is not None
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert ended == ["cancelled", "cancelled"]


async def test_what_a_wait_raises_reaches_the_work() -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise ValueError("of the wait")

    async def work() -> str:
        task = asyncio.create_task(fail())
        try:
            await task
        except ValueError as error:
            return str(error)
        return ""

    turns = Turns()
    assert await turns.run(NOISY, work()) == "of the wait"
    await rest(turns)


async def test_those_who_are_level_with_the_others_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kplane_server.http.turns.MAX_REMEMBERED", 8)
    turns = Turns()
    now = together(turns)
    turns.spend(NOISY, 2 * SHARED_SLICE)
    futures = [turns.take(NOISY, now) for _ in range(300)]
    most = 0
    for number in range(100):
        while (turn := turns.take(VcpId(10 + number), perf_counter())) is not None:
            await turn
        turns.spend(VcpId(10 + number), 0.0001)
        while futures and (futures[0] is None or futures[0].done()):
            turns.spend(NOISY, 0.001)
            del futures[0]
        await asyncio.sleep(0)
        most = max(most, len(turns._served))
    assert futures, "the noisy one waits all the while"
    assert most <= 2 * 8
    await asyncio.gather(*(future for future in futures if future is not None))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def call(rate: int | None, queued: int = 0, vcp: VcpId = NOISY, *, root: bool = False) -> Call:
    store = SimpleNamespace(queued=lambda vcp: queued)
    plane = SimpleNamespace(is_root=root, record=SimpleNamespace(id=vcp), store=store, limits=Limits(writes_per_second=rate))
    return cast(Call, cast(Any, SimpleNamespace(plane=plane, user=UserInfo("me", groups=("system:masters",)))))


def test_writes_of_a_second_then_the_rate() -> None:
    clock = Clock()
    writes = Writes(10, clock)
    for _ in range(5):
        writes.admit(call(5))
    with pytest.raises(TooManyRequests) as refused:
        writes.admit(call(5))
    assert refused.value.retry_after == 1
    writes.admit(call(5, vcp=QUIET))
    clock.now = 0.2
    writes.admit(call(5))
    with pytest.raises(TooManyRequests):
        writes.admit(call(5))
    clock.now = 100.0
    for _ in range(5):
        writes.admit(call(5))
    with pytest.raises(TooManyRequests):
        writes.admit(call(5))


def test_a_full_queue_refuses_all_but_the_administrators_of_root() -> None:
    writes = Writes(3)
    writes.admit(call(None, queued=2))
    with pytest.raises(TooManyRequests):
        writes.admit(call(None, queued=3))
    writes.admit(call(None, queued=3, root=True))


def test_an_own_limit_lowers_the_bound_and_the_exempt_pass() -> None:
    bound = InFlight(10, 3, "things")
    bound.enter(2, 1)
    with pytest.raises(TooManyRequests):
        bound.enter(2, 1)
    bound.enter(2, 5)
    bound.enter(2, None)
    with pytest.raises(TooManyRequests):
        bound.enter(2, 100)
    bound.enter(2, 1, exempt=True)
    assert bound.total == 4
