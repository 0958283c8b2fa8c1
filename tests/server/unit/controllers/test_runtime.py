# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The queue and the dispatcher: one task for a key, no key forgotten, failures tried again, nothing left when idle."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Hashable, Iterable

import pytest
from support.world import World

from kplane_server.controllers import runtime
from kplane_server.controllers.dispatcher import Dispatcher
from kplane_server.controllers.runtime import WorkQueue
from kplane_server.model.errors import ServiceUnavailable
from kplane_server.model.keys import ROOT_VCP_ID, ObjectKey, ResourceId, VcpId
from kplane_server.registry import codec
from kplane_server.storage.api import Event, Mutation, RevisionMismatch, UnknownVcp


async def idle(queue: WorkQueue) -> None:
    async with asyncio.timeout(5):
        while not queue.idle or queue.depth:
            await asyncio.sleep(0.001)


async def test_a_key_is_worked_on_by_one_task_and_again_if_it_was_added_meanwhile() -> None:
    running: set[Hashable] = set()
    runs: list[Hashable] = []

    async def work(key: Hashable) -> None:
        assert key not in running
        running.add(key)
        await asyncio.sleep(0.005)
        running.discard(key)
        runs.append(key)

    queue = WorkQueue("q", work, 4)
    for key in ("a", "b", "a"):
        queue.add(key)
    await asyncio.sleep(0.001)
    for _ in range(3):
        queue.add("a")
    await idle(queue)
    assert sorted(map(str, runs)) == ["a", "a", "b"]
    async with asyncio.timeout(5):
        while queue._tasks:
            await asyncio.sleep(0)


async def test_no_more_tasks_than_allowed() -> None:
    at_once = most = 0

    async def work(key: Hashable) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.001)
        at_once -= 1

    queue = WorkQueue("q", work, 3)
    for key in range(30):
        queue.add(key)
    await idle(queue)
    assert most == 3
    assert queue.reconciled == 30


@pytest.mark.parametrize(
    "error", [RevisionMismatch(ObjectKey(ROOT_VCP_ID, ResourceId("x"), "", "y"), 1, 2), ServiceUnavailable("later"), ZeroDivisionError()]
)
async def test_a_failure_is_tried_again(error: Exception) -> None:
    tries = 0

    async def work(key: Hashable) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise error

    queue = WorkQueue("q", work, 1)
    queue.add("a")
    await idle(queue)
    assert tries == 3
    assert queue._tries == {}


async def test_work_that_never_waits_lets_others_have_a_turn() -> None:
    async def work(key: Hashable) -> None:
        time.sleep(runtime.TURN)  # noqa: ASYNC251 - that is the point

    queue = WorkQueue("q", work, 1)
    for key in range(20):
        queue.add(key)
    turns = 0
    async with asyncio.timeout(5):
        while not queue.idle:
            await asyncio.sleep(0)
            turns += 1
    assert turns > 5


async def test_work_on_a_control_plane_that_is_gone_is_dropped() -> None:
    async def work(key: Hashable) -> None:
        raise UnknownVcp("gone")

    queue = WorkQueue("q", work, 1)
    queue.add("a")
    await idle(queue)
    assert queue.failures == 0


async def test_the_earlier_of_two_times_counts_and_only_once() -> None:
    runs: list[Hashable] = []

    async def work(key: Hashable) -> None:
        runs.append(key)

    queue = WorkQueue("q", work, 1)
    queue.add_after("a", 0.02)
    queue.add_after("a", 60.0)
    queue.add_after("b", 60.0)
    queue.add_after("b", 0.01)
    async with asyncio.timeout(5):
        while queue.depth:
            await asyncio.sleep(0.005)
    assert runs == ["b", "a"]


async def test_pauses_grow_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "LONGEST_PAUSE", 3.0)
    pauses: list[float] = []
    queue = WorkQueue("q", None, 1)  # type: ignore[arg-type]  # never run
    monkeypatch.setattr(queue, "add_after", lambda key, seconds: pauses.append(seconds))
    for _ in range(100):
        queue._retry("a")
    assert pauses == sorted(pauses)
    assert pauses[0] == runtime.FIRST_PAUSE
    assert pauses[-1] == 3.0


class Recorder:
    """A controller that writes down what it sees."""

    name = "recorder"
    resources: frozenset[ResourceId] | None = frozenset({ResourceId("configmaps")})
    concurrency = 1

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.done: list[Hashable] = []
        self.resyncs = 0

    def attach(self, queue: WorkQueue) -> None:
        return None

    def observe(self, event: Event) -> Iterable[Hashable]:
        self.seen.append(event.key.name)
        if event.key.name == "poison":
            raise ValueError("cannot read it")
        return (event.key.name,)

    async def resync(self) -> AsyncIterator[Hashable]:
        self.resyncs += 1
        yield "everything"

    async def reconcile(self, key: Hashable) -> float | None:
        self.done.append(key)
        return None


def mutation(name: str, vcp: VcpId = ROOT_VCP_ID, resource: str = "configmaps") -> Mutation:
    draft = codec.encode({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
    return Mutation(ObjectKey(vcp, ResourceId(resource), "default", name), draft)


async def settle(dispatcher: Dispatcher) -> None:
    async with asyncio.timeout(5):
        while True:
            await asyncio.sleep(0.002)
            if dispatcher.idle:
                return


async def test_a_controller_sees_the_events_of_its_resources_and_a_bad_one_stops_nothing() -> None:
    world, recorder = World(), Recorder()
    dispatcher = Dispatcher(world.store, [recorder])
    assert dispatcher.healthy() is not None
    await dispatcher.start()
    await settle(dispatcher)
    assert dispatcher.healthy() is None
    for name in ("a", "poison", "b"):
        await world.store.commit([mutation(name)])
    await world.store.commit([mutation("s", resource="secrets")])
    await settle(dispatcher)
    assert recorder.seen == ["a", "poison", "b"]
    assert recorder.done == ["everything", "a", "b"]
    await dispatcher.stop()
    assert dispatcher.healthy() is not None


async def test_what_was_written_just_before_a_crash_is_seen_after_it() -> None:
    world, recorder = World(), Recorder()
    await world.store.commit([mutation("a")])
    dispatcher = Dispatcher(world.store, [recorder])
    await dispatcher.start()
    await settle(dispatcher)
    assert recorder.seen == ["a"]
    await dispatcher.stop()


async def test_one_that_fell_behind_looks_at_everything_again(monkeypatch: pytest.MonkeyPatch) -> None:
    world, recorder = World(), Recorder()
    dispatcher = Dispatcher(world.store, [recorder])
    original = world.store.subscribe_resources
    monkeypatch.setattr(world.store, "subscribe_resources", lambda resources, after: original(resources, after, buffer=3))
    await dispatcher.start()
    await settle(dispatcher)
    for number in range(10):  # without giving the dispatcher a turn
        world.store._apply([mutation(f"m{number}")])
    await settle(dispatcher)
    assert recorder.resyncs == 2
    await world.store.commit([mutation("after")])
    await settle(dispatcher)
    assert recorder.seen[-1] == "after"
    await dispatcher.stop()
