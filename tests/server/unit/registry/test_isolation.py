# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two control planes on one store: the same names on both, nothing of one in the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import orjson
import pytest

from kplane_server.admission.chain import default_chain
from kplane_server.model.errors import BadRequest, Invalid, NotFound
from kplane_server.registry.api import ControlPlaneApi
from kplane_server.registry.options import DeleteOptions, ListOptions
from kplane_server.storage.memory import MemoryStore
from kplane_server.storage.overlay import NoLayer

from .conftest import Bench
from .test_custom import CRDS, WIDGETS, crd, version, widget


@pytest.fixture
async def benches() -> AsyncIterator[tuple[Bench, Bench]]:
    store = MemoryStore(layer=NoLayer())
    made = []
    for name in ("c-1", "c-10"):
        record = await store.create_vcp(name, f"uid-{name}", created=0)
        made.append(Bench(ControlPlaneApi(record, store, admission=default_chain())))
        await made[-1].create("namespaces", {"metadata": {"name": "default"}}, "")
        await made[-1].create("namespaces", {"metadata": {"name": "clusters"}}, "")
    yield made[0], made[1]
    await store.close()


async def test_the_same_names_are_different_objects(benches: tuple[Bench, Bench]) -> None:
    one, two = benches
    watch = two.watch("configmaps", resource_version=two.store.revision)
    for bench, text in ((one, "1"), (two, "2")):
        for namespace in ("default", "clusters"):
            await bench.create("configmaps", {"metadata": {"name": "x"}, "data": {"in": text}}, namespace)
    assert one.get("configmaps", "x", "clusters")["data"] == {"in": "1"}
    assert two.get("configmaps", "x", "clusters")["data"] == {"in": "2"}
    assert len(one.names("configmaps")) == len(two.names("configmaps")) == 2
    events = await watch.next(0)
    assert [orjson.loads(e.object.value)["data"]["in"] for e in events] == ["2", "2"]
    await one.api.delete(one.info("configmaps"), "default", "x", DeleteOptions(), one.context())
    assert await watch.next(0) == []
    assert two.get("configmaps", "x")["data"] == {"in": "2"}
    watch.close()


async def test_a_continue_token_stays_where_it_was_made(benches: tuple[Bench, Bench]) -> None:
    one, two = benches
    for bench in benches:
        for n in range(3):
            await bench.create("configmaps", {"metadata": {"name": f"x{n}"}})
    token = one.api.list(one.info("configmaps"), None, ListOptions(limit=1)).continue_token
    with pytest.raises(BadRequest, match="it was not issued here"):
        two.names("configmaps", continue_token=token)


async def test_definitions_of_one_name_and_two_shapes(benches: tuple[Bench, Bench]) -> None:
    one, two = benches
    await one.create(CRDS, crd(), "")
    assert two.api.resources.find("example.com", "v1", "widgets") is None
    with pytest.raises(NotFound):
        two.api.get(one.info(WIDGETS), "default", "w")
    other = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "string"}}}}}
    await two.create(CRDS, crd("widgets", "Widget", version(schema=other)), "")

    async def write(bench: Bench, n: int, good: object, bad: object) -> None:
        assert (await bench.create(WIDGETS, widget(f"w{n}", size=good)))["spec"]["size"] == good
        with pytest.raises(Invalid):
            await bench.create(WIDGETS, widget(f"v{n}", size=bad))

    await asyncio.gather(*(write(one, n, 1, "a") if n % 2 else write(two, n, "a", 1) for n in range(40)))
    assert len(one.names(WIDGETS)) == len(two.names(WIDGETS)) == 20
    await one.api.delete(one.info(CRDS), "", WIDGETS, DeleteOptions(), one.context())
    assert await one.api.finish_definition(WIDGETS)
    assert one.api.resources.find("example.com", "v1", "widgets") is None
    assert len(two.names(WIDGETS)) == 20
