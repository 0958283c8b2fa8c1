# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a VCP has written is counted as it is written; bounds are exact; settings and times are found again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from contract.stores import ROLES, SERVICES, delete, key, make, new_vcp, put
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kplane_server.model.keys import Scope, VcpId
from kplane_server.storage.api import BoundExceeded, Bounds, Store, UnknownVcp, Usage, VcpState


def written(store: Store, vcp: VcpId) -> Usage:
    """The same by reading everything (the layer's objects are told by their text)."""
    values = [s.value for r in store.resources_in(vcp) for s in store.page(Scope(vcp, r)).items if not s.value.startswith(b"layer")]
    return Usage(len(values), sum(map(len, values)))


async def test_usage_follows_what_is_written(store: Store) -> None:
    vcp = (await new_vcp(store)).id
    assert store.usage(vcp) == Usage(0, 0), "the layer costs nothing"
    await store.commit([put(key("a", vcp=vcp), "text"), put(key("b", vcp=vcp))])
    assert store.usage(vcp) == written(store, vcp)
    assert store.usage(vcp).objects == 2
    await store.commit([put(key("a", vcp=vcp), "a longer text")])
    await store.commit([put(key("kubernetes", resource=SERVICES, vcp=vcp), "copied up")])
    await store.commit([delete(key("b", vcp=vcp)), delete(key("view", "", ROLES, vcp))])
    assert store.usage(vcp) == written(store, vcp) == Usage(2, store.usage(vcp).bytes)
    assert store.usage(VcpId(99)) == Usage(0, 0)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.sampled_from("abc"), st.integers(-1, 9)), max_size=12))
async def test_usage_is_what_a_full_count_finds(kind: str, tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]) -> None:
    store = make(kind, tmp_path_factory.mktemp("store"))
    vcp = (await new_vcp(store)).id
    there: set[str] = set()
    for name, size in steps:
        where = key(name, vcp=vcp)
        if size >= 0:
            await store.commit([put(where, "x" * size)])
            there.add(name)
        elif name in there:
            await store.commit([delete(where)])
            there.discard(name)
    assert store.usage(vcp) == written(store, vcp)
    await store.close()


async def test_a_bound_is_never_passed(store: Store) -> None:
    vcp = (await new_vcp(store)).id
    bounds = Bounds(objects=3)
    results = await asyncio.gather(*(store.commit([put(key(f"n{n}", vcp=vcp))], bounds) for n in range(8)), return_exceptions=True)
    refused = [r for r in results if isinstance(r, BoundExceeded)]
    assert len(refused) == 5
    assert store.usage(vcp).objects == 3
    assert (refused[0].what, refused[0].limit, refused[0].used, refused[0].growth) == ("objects", 3, 3, 1)


async def test_what_does_not_grow_is_never_refused(store: Store) -> None:
    vcp = (await new_vcp(store)).id
    await store.commit([put(key("a", vcp=vcp), "x" * 100), put(key("b", vcp=vcp), "x" * 100)])
    tight = Bounds(objects=1, bytes=50)
    await store.commit([put(key("a", vcp=vcp), "x" * 90)], tight)
    with pytest.raises(BoundExceeded) as refused:
        await store.commit([put(key("a", vcp=vcp), "x" * 91)], tight)
    assert refused.value.what == "bytes"
    await store.commit([delete(key("a", vcp=vcp))], tight)
    await store.commit([put(key("c", vcp=vcp), "x" * 500)])  # without bounds: the server's own


async def test_settings_and_times(store: Store) -> None:
    first = await store.create_vcp("first", "u1", created=1, settings="S", due=200)
    second = await new_vcp(store, "second")
    assert (store.vcp("first") or second).settings == "S"
    assert [r.name for r in store.due()] == ["first"]
    await store.settle_vcp(second.id, "T", 100, [put(key("with"))])
    assert [r.name for r in store.due()] == ["second", "first"]
    assert [r.name for r in store.due(1)] == ["second"]
    assert store.get(key("with")) is not None
    await store.settle_vcp(first.id, "S", None)
    await store.set_vcp_state(second.id, VcpState.RETAINED)
    assert store.due() == []
    with pytest.raises(UnknownVcp):
        await store.settle_vcp(second.id, "X", None)


async def test_usage_survives_a_restart(tmp_path: Path) -> None:
    store = make("sqlite", tmp_path)
    vcp = (await new_vcp(store)).id
    await store.commit([put(key("a", vcp=vcp), "text")])
    await store.settle_vcp(vcp, "S", 7)
    before = store.usage(vcp)
    await store.close()
    store = make("sqlite", tmp_path)
    assert store.usage(vcp) == before
    assert [(r.settings, r.due) for r in store.due()] == [("S", 7)]
    await store.close()
