# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Contract: the life of VCPs, and work that is left unfinished."""

from __future__ import annotations

import asyncio

import pytest
from contract.stores import ROLES, SERVICES, delete, document, key, names, new_vcp, put, scope

from kplane_server.model.keys import ROOT_VCP_ID, VcpId
from kplane_server.storage.api import ABSENT, NEW_VCP, RevisionMismatch, Store, UnknownVcp, VcpState


async def test_a_new_vcp_has_a_number_and_a_revision(store: Store) -> None:
    record = await store.create_vcp("one", "uid-1", created=1234)
    assert (record.name, record.uid, record.created, record.state, record.key_generation) == ("one", "uid-1", 1234, VcpState.ACTIVE, 1)
    assert record.revision == store.revision == 2
    assert store.vcp("one") == store.vcp_by_id(record.id) == record
    assert [r.name for r in store.vcps()] == ["root", "one"]
    assert store.vcp("two") is None


async def test_a_name_has_one_active_incarnation(store: Store) -> None:
    await new_vcp(store)
    with pytest.raises(ValueError, match="exists"):
        await new_vcp(store)
    results = await asyncio.gather(*(new_vcp(store, "raced") for _ in range(5)), return_exceptions=True)
    assert sum(not isinstance(result, BaseException) for result in results) == 1


async def test_a_vcp_is_made_together_with_objects(store: Store) -> None:
    inside = key("x", vcp=NEW_VCP)
    layered = key("view", "", ROLES, NEW_VCP)
    record = await store.create_vcp("one", "u", created=1, mutations=[put(key("status")), put(inside, "in"), put(layered, "mine")])
    assert store.revision == record.revision + 3
    assert store.get(key("status")) is not None
    assert store.get(key("x", vcp=record.id)) == (key("x", vcp=record.id), record.revision + 2, document(record.revision + 2, "in"))
    assert names(store, scope(ROLES, vcp=record.id)) == ["/admin", "/edit", "/view"]


@pytest.mark.parametrize("bad", [put(key("taken"), "", ABSENT), put(key("view", "", ROLES, NEW_VCP), "", ABSENT), delete(key(vcp=NEW_VCP))])
async def test_a_vcp_is_not_made_if_an_object_is_refused(store: Store, bad: object) -> None:
    await store.commit([put(key("taken"))])
    before = store.revision
    with pytest.raises(RevisionMismatch):
        await store.create_vcp("one", "u", created=1, mutations=[put(key("fine")), bad])  # type: ignore[list-item]
    assert store.revision == before
    assert store.vcp("one") is None
    assert store.get(key("fine")) is None
    assert (await new_vcp(store)).id == 2


async def test_the_new_vcp_may_only_be_named_while_it_is_made(store: Store) -> None:
    with pytest.raises(UnknownVcp):
        await store.commit([put(key(vcp=NEW_VCP))])


async def test_a_retained_vcp_can_be_read_but_not_written(store: Store) -> None:
    record = await new_vcp(store)
    await store.commit([put(key(vcp=record.id), "kept")])
    retained = await store.set_vcp_state(record.id, VcpState.RETAINED)
    assert retained.state is VcpState.RETAINED
    assert store.vcp("one") is None
    assert store.vcp_by_id(record.id) == retained
    assert store.vcps(VcpState.RETAINED) == [retained]
    assert store.get(key(vcp=record.id)) is not None
    assert store.count(scope(ROLES, vcp=record.id)) == 3
    with pytest.raises(UnknownVcp):
        await store.commit([put(key("late", vcp=record.id))])
    back = await store.set_vcp_state(record.id, VcpState.ACTIVE)
    assert store.vcp("one") == back == record
    await store.commit([put(key("again", vcp=record.id))])


async def test_the_state_moves_together_with_objects(store: Store) -> None:
    record = await new_vcp(store)
    with pytest.raises(RevisionMismatch):
        await store.set_vcp_state(record.id, VcpState.RETAINED, [put(key(), "", 99)])
    assert store.vcp("one") == record
    with pytest.raises(UnknownVcp):
        await store.set_vcp_state(record.id, VcpState.RETAINED, [put(key(vcp=record.id))])
    assert store.vcp("one") == record
    await store.set_vcp_state(record.id, VcpState.RETAINED, [put(key(), "status")])
    assert store.get(key()) is not None
    assert store.vcp("one") is None


async def test_moves_that_are_refused(store: Store) -> None:
    first = await new_vcp(store)
    await store.set_vcp_state(first.id, VcpState.RETAINED)
    second = await new_vcp(store)
    with pytest.raises(ValueError, match="cannot go"):
        await store.set_vcp_state(first.id, VcpState.ACTIVE)
    with pytest.raises(ValueError, match="cannot go"):
        await store.set_vcp_state(ROOT_VCP_ID, VcpState.WIPING)
    await store.set_vcp_state(second.id, VcpState.WIPING)
    for state in (VcpState.ACTIVE, VcpState.RETAINED):
        with pytest.raises(ValueError, match="cannot go"):
            await store.set_vcp_state(second.id, state)
    with pytest.raises(UnknownVcp):
        await store.set_vcp_state(VcpId(99), VcpState.WIPING)
    assert (await store.set_vcp_state(second.id, VcpState.WIPING)).state is VcpState.WIPING
    assert (await store.set_vcp_state(first.id, VcpState.ACTIVE)).state is VcpState.ACTIVE


async def test_a_wiped_vcp_leaves_nothing_and_its_number_is_gone(store: Store) -> None:
    record = await new_vcp(store)
    keep = await new_vcp(store, "keep")
    mine = [put(key(f"n{n:03}", vcp=record.id), owners=("o",), terminating=True) for n in range(600)]
    await store.commit(mine)
    await store.commit([put(key(vcp=keep.id))])
    await store.commit([delete(key("view", "", ROLES, record.id), uid="o"), put(key("edit", "", ROLES, record.id))])
    assert store.get(key("n001", vcp=record.id)) is not None
    with pytest.raises(ValueError, match="not wiping"):
        await store.wipe_vcp(record.id)
    await store.set_vcp_state(record.id, VcpState.WIPING)
    assert store.get(key("n001", vcp=record.id)) is None
    assert store.page(scope(vcp=record.id)).items == []
    assert store.count(scope(vcp=record.id)) == 0
    assert store.dependents(record.id, "o") == []
    assert store.resources_in(record.id) == []
    assert list(store.terminating()) == []
    assert store.pending_garbage() == []
    assert await store.wipe_vcp(record.id, batch=100) == 601
    assert store.vcp_by_id(record.id) is None
    assert await store.wipe_vcp(record.id) == 0
    assert store.get(key(vcp=keep.id)) is not None
    again = await new_vcp(store)
    assert again.id > keep.id
    assert names(store, scope(vcp=again.id)) == []
    assert names(store, scope(ROLES, vcp=again.id)) == ["/admin", "/edit", "/view"]


async def test_wipes_at_the_same_time(store: Store) -> None:
    records = [await new_vcp(store, f"v{n}") for n in range(10)]
    await store.commit([put(key(f"x{n}", vcp=record.id)) for record in records for n in range(3)])
    await asyncio.gather(*(store.set_vcp_state(record.id, VcpState.WIPING) for record in records))
    assert [r.id for r in store.vcps(VcpState.WIPING)] == [r.id for r in records]
    assert await asyncio.gather(*(store.wipe_vcp(record.id) for record in records)) == [3] * 10
    assert [r.name for r in store.vcps()] == ["root"]


async def test_the_signing_key_generation_grows(store: Store) -> None:
    record = await new_vcp(store)
    assert (await store.rotate_vcp_key(record.id)).key_generation == 2
    assert (await store.rotate_vcp_key(record.id)).key_generation == 3
    current = store.vcp("one")
    assert current is not None
    assert current.key_generation == 3
    with pytest.raises(UnknownVcp):
        await store.rotate_vcp_key(VcpId(99))


async def test_terminating_objects_are_found(store: Store) -> None:
    record = await new_vcp(store)
    going, layered = key("going", vcp=record.id), key("dns", "kube-system", SERVICES, record.id)
    await store.commit([put(where, terminating=True) for where in (going, layered, key())] + [put(key("staying"))])
    assert set(store.terminating()) == {going, layered, key()}
    await store.commit([delete(going), put(key(), terminating=False), delete(layered)])
    assert list(store.terminating()) == []


async def test_dependents_and_garbage(store: Store) -> None:
    record = await new_vcp(store)
    child, other = key("child", vcp=record.id), key("other", "x", ROLES, record.id)
    owner = key("owner", vcp=record.id)
    await store.commit([put(owner, uid="U"), put(child, owners=("U", "V")), put(other, owners=("U",)), put(key(), owners=("U",))])
    assert store.dependents(record.id, "U") == [other, child]
    assert store.dependents(record.id, "V") == [child]
    assert store.dependents(ROOT_VCP_ID, "U") == [key()]
    await store.commit([put(other), put(child, owners=("V", "U"))])
    assert store.dependents(record.id, "U") == [child]
    assert store.pending_garbage() == []
    await store.commit([delete(owner, uid="U"), delete(other, uid="nobody")])
    assert store.pending_garbage() == [(record.id, "U")]
    await store.commit([delete(child, uid="C")])
    assert store.dependents(record.id, "U") == store.dependents(record.id, "V") == []
    assert store.pending_garbage() == [(record.id, "U")]
    await store.garbage_done(record.id, "U")
    await store.garbage_done(record.id, "U")
    assert store.pending_garbage() == []


async def test_garbage_of_retained_vcps_waits(store: Store) -> None:
    record = await new_vcp(store)
    await store.commit([put(key("owner", vcp=record.id), uid="U"), put(key("child", vcp=record.id), owners=("U",), terminating=True)])
    await store.commit([delete(key("owner", vcp=record.id), uid="U")])
    await store.set_vcp_state(record.id, VcpState.RETAINED)
    assert store.pending_garbage() == []
    assert list(store.terminating()) == []
    await store.set_vcp_state(record.id, VcpState.ACTIVE)
    assert store.pending_garbage() == [(record.id, "U")]
    assert list(store.terminating()) == [key("child", vcp=record.id)]


async def test_statistics_and_health(store: Store) -> None:
    await store.commit([put(key())])
    assert store.statistics()["log_rows"] == 1
    assert store.healthy() is None
