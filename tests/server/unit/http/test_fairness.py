# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns on the loop, and the bucket of writes: who waits, who does not, and that nothing is held for those at rest."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kplane_server.http.call import Call
from kplane_server.http.fairness import Writes
from kplane_server.http.inflight import InFlight
from kplane_server.http.turns import COMPANY, SHARED_SLICE, WRITE_COST, Turns
from kplane_server.model.errors import TooManyRequests
from kplane_server.model.identity import UserInfo
from kplane_server.model.keys import VcpId
from kplane_server.vcp.standing import Limits

NOISY, QUIET = VcpId(2), VcpId(3)


async def test_what_exceeds_a_slice_waits_and_others_do_not() -> None:
    turns, now = Turns(), asyncio.get_running_loop().time()
    assert turns.take(QUIET, now, write=False) is None
    futures = [turns.take(NOISY, now, write=True) for _ in range(50)]
    at_once = futures.count(None)
    assert 1 <= at_once <= SHARED_SLICE / WRITE_COST + 1
    assert turns.take(QUIET, now, write=True) is None, "the quiet one has its own slice"
    assert turns.waiting == 50 - at_once
    order: list[int] = []
    for number, future in enumerate(futures):
        if future is not None:
            future.add_done_callback(lambda _, number=number: order.append(number))  # type: ignore[misc]
    await asyncio.gather(*(future for future in futures if future is not None))
    assert order == sorted(order)
    await asyncio.sleep(0)
    assert (turns.waiting, turns._spent, turns._queues, turns._scheduled) == (0, {}, {}, False)


async def test_who_is_alone_does_not_wait() -> None:
    turns, now = Turns(), 100.0
    turns.take(QUIET, now, write=False)
    later = now + 2 * COMPANY
    turns.take(NOISY, now, write=False)
    assert [turns.take(NOISY, later, write=True) for _ in range(40)] == [None] * 40


async def test_who_has_left_takes_no_turn() -> None:
    turns, now = Turns(), asyncio.get_running_loop().time() + 1000
    turns.take(QUIET, now, write=False)
    futures = [future for _ in range(20) if (future := turns.take(NOISY, now, write=True)) is not None]
    for future in futures[:-1]:
        future.cancel()
    await futures[-1]
    assert turns.waiting == 0


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
