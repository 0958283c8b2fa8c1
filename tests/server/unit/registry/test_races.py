# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes that overlap: a slow admission must not let anything slip in behind a deletion, nor hold up what it depends on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable

import pytest

from kplane_server.admission.chain import default_chain
from kplane_server.admission.plugin import Plugin
from kplane_server.model.errors import Forbidden, MethodNotAllowed, NotFound
from kplane_server.registry.api import ControlPlaneApi
from kplane_server.registry.attributes import Attributes
from kplane_server.registry.options import DeleteOptions
from kplane_server.storage.memory import MemoryStore
from kplane_server.storage.overlay import NoLayer

from .conftest import Bench
from .test_custom import CRDS, WIDGETS, crd, widget


class Gate(Plugin):
    """Holds up writes of objects called ``slow`` until it is opened, as a webhook would."""

    name = "Gate"

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.open = asyncio.Event()

    def concerns(self, attributes: Attributes) -> bool:
        return attributes.name == "slow"

    def validate(self, attributes: Attributes) -> Awaitable[None]:
        async def wait() -> None:
            self.reached.set()
            await self.open.wait()

        return wait()


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
async def bench(gate: Gate) -> AsyncIterator[Bench]:
    store = MemoryStore(layer=NoLayer())
    record = store.vcp("root")
    assert record is not None
    made = Bench(ControlPlaneApi(record, store, admission=default_chain([gate])))
    await made.create("namespaces", {"metadata": {"name": "default"}}, "")
    yield made
    await store.close()


async def test_a_namespace_that_began_to_go_takes_nothing(bench: Bench, gate: Gate) -> None:
    await bench.create("namespaces", {"metadata": {"name": "n"}}, "")
    late = asyncio.create_task(bench.create("configmaps", {"metadata": {"name": "slow"}}, "n"))
    await gate.reached.wait()
    await bench.api.delete(bench.info("namespaces"), "", "n", DeleteOptions(), bench.context())
    gate.open.set()
    with pytest.raises(Forbidden, match="because it is being terminated"):
        await late
    assert bench.names("configmaps") == []


async def test_another_namespace_does_not_matter(bench: Bench, gate: Gate) -> None:
    made = asyncio.create_task(bench.create("configmaps", {"metadata": {"name": "slow"}}))
    await gate.reached.wait()
    await bench.create("namespaces", {"metadata": {"name": "other"}}, "")
    gate.open.set()
    assert (await made)["metadata"]["name"] == "slow"


@pytest.mark.parametrize(("finished", "error"), [(False, MethodNotAllowed), (True, NotFound)])
async def test_a_definition_that_began_to_go_takes_nothing(bench: Bench, gate: Gate, finished: bool, error: type[Exception]) -> None:
    await bench.create(CRDS, crd(), "")
    late = asyncio.create_task(bench.create(WIDGETS, widget("slow")))
    await gate.reached.wait()
    await bench.api.delete(bench.info(CRDS), "", WIDGETS, DeleteOptions(), bench.context())
    if finished:
        assert await bench.api.finish_definition(WIDGETS)
    gate.open.set()
    with pytest.raises(error):
        await late
    if finished:
        await bench.create(CRDS, crd(), "")
    assert bench.names(WIDGETS) == []


async def test_a_write_that_waits_for_a_write_of_the_same_object_ends(bench: Bench, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """A webhook that changes the very object it judges: the second write goes ahead, and the first is made again on top of it."""
    await bench.create("configmaps", {"metadata": {"name": "quick"}})
    monkeypatch.setattr("kplane_server.registry.generic.LOCK_PATIENCE", 0.01)
    gate.open.set()
    await bench.create("configmaps", {"metadata": {"name": "slow"}})
    gate.open.clear()
    gate.reached.clear()
    first = asyncio.create_task(bench.patch("configmaps", "slow", "merge", {"data": {"first": "1"}}))
    await gate.reached.wait()
    second = asyncio.create_task(bench.patch("configmaps", "slow", "merge", {"data": {"second": "2"}}))
    await bench.patch("configmaps", "quick", "merge", {"data": {"x": "y"}})
    await asyncio.sleep(0.05)
    gate.open.set()
    await asyncio.gather(first, second)
    assert bench.get("configmaps", "slow")["data"] == {"first": "1", "second": "2"}
    assert not bench.api.registry.locks._locks


async def test_a_cancelled_write_leaves_no_lock(bench: Bench, gate: Gate) -> None:
    gate.open.set()
    await bench.create("configmaps", {"metadata": {"name": "slow"}})
    gate.open.clear()
    gate.reached.clear()
    task = asyncio.create_task(bench.patch("configmaps", "slow", "merge", {"data": {"a": "b"}}))
    await gate.reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.open.set()
    assert (await bench.patch("configmaps", "slow", "merge", {"data": {"a": "c"}}))["data"] == {"a": "c"}
    assert not bench.api.registry.locks._locks
