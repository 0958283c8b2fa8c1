# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Contract: commits, their preconditions and their atomicity."""

from __future__ import annotations

import asyncio

import pytest
from contract.stores import ROLES, delete, document, key, make, names, new_vcp, put, scope

from kplane_server.model.keys import VcpId
from kplane_server.storage.api import ABSENT, Draft, Mutation, RevisionMismatch, StorageUnavailable, Store, UnknownVcp


async def test_a_new_store_has_root_at_the_first_revision(store: Store) -> None:
    root = store.vcp("root")
    assert root is not None
    assert (root.id, root.revision, store.revision) == (1, 1, 1)
    assert store.vcp_by_id(VcpId(1)) == root


async def test_a_commit_is_visible_when_it_returns(store: Store) -> None:
    (revision,) = await store.commit([put(key(), "one", ABSENT)])
    assert revision == store.revision == 2
    stored = store.get(key())
    assert stored is not None
    assert stored == (key(), revision, document(revision, "one"))


async def test_each_mutation_gets_its_own_revision_in_order(store: Store) -> None:
    revisions = await store.commit([put(key("b")), put(key("a")), put(key("c"))])
    assert revisions == [2, 3, 4]
    assert [store.get(key(n)).revision for n in "bac"] == revisions  # type: ignore[union-attr]


async def test_an_empty_commit_costs_nothing(store: Store) -> None:
    assert await store.commit([]) == []
    assert store.revision == 1


@pytest.mark.parametrize("expected", [ABSENT, 1, 99])
async def test_a_precondition_that_does_not_hold_changes_nothing(store: Store, expected: int) -> None:
    (revision,) = await store.commit([put(key(), "first")])
    with pytest.raises(RevisionMismatch) as refusal:
        await store.commit([put(key("other")), put(key(), "second", expected)])
    assert (refusal.value.key, refusal.value.expected, refusal.value.current) == (key(), expected, revision)
    assert store.revision == revision
    assert store.get(key("other")) is None
    assert store.get(key()) == (key(), revision, document(revision, "first"))


async def test_an_update_of_what_is_not_there_is_refused(store: Store) -> None:
    with pytest.raises(RevisionMismatch) as refusal:
        await store.commit([put(key(), "", 7)])
    assert refusal.value.current == 0


async def test_a_matching_precondition_holds(store: Store) -> None:
    (first,) = await store.commit([put(key(), "first", ABSENT)])
    (second,) = await store.commit([put(key(), "second", first)])
    assert store.get(key()) == (key(), second, document(second, "second"))


async def test_a_delete_takes_the_object_away(store: Store) -> None:
    (first,) = await store.commit([put(key())])
    (gone,) = await store.commit([delete(key(), first)])
    assert gone == first + 1
    assert store.get(key()) is None
    assert store.count(scope()) == 0
    (again,) = await store.commit([put(key(), "again", ABSENT)])
    assert store.get(key()) == (key(), again, document(again, "again"))


async def test_deleting_nothing_is_refused(store: Store) -> None:
    with pytest.raises(RevisionMismatch) as refusal:
        await store.commit([delete(key())])
    assert refusal.value.current == 0


async def test_two_mutations_of_one_key_are_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="two mutations of one key"):
        await store.commit([put(key()), put(key())])
    assert store.revision == 1


async def test_a_write_to_an_unknown_vcp_is_refused(store: Store) -> None:
    with pytest.raises(UnknownVcp):
        await store.commit([put(key("fine")), put(key(vcp=VcpId(77)))])
    assert store.get(key("fine")) is None


async def test_vcps_do_not_see_each_other(store: Store) -> None:
    one, two = await new_vcp(store, "c-1"), await new_vcp(store, "c-10")
    await store.commit([put(key(vcp=one.id), "of one"), put(key(vcp=two.id), "of two"), put(key("x", vcp=two.id))])
    assert store.get(key(vcp=one.id)).value.endswith(b"of one")  # type: ignore[union-attr]
    assert store.get(key(vcp=two.id)).value.endswith(b"of two")  # type: ignore[union-attr]
    assert names(store, scope(vcp=one.id)) == ["default/a"]
    assert store.get(key()) is None


async def test_of_many_writers_with_one_precondition_one_wins(store: Store) -> None:
    (first,) = await store.commit([put(key(), "first")])
    results = await asyncio.gather(*(store.commit([put(key(), str(n), first)]) for n in range(20)), return_exceptions=True)
    won = [result for result in results if isinstance(result, list)]
    assert len(won) == 1
    assert sum(isinstance(result, RevisionMismatch) for result in results) == 19
    assert store.revision == won[0][0] == first + 1


async def test_a_refused_request_does_not_spoil_its_neighbours(store: Store) -> None:
    requests = [store.commit([put(key(f"n{n}"), "", 99 if n % 3 == 0 else ABSENT)]) for n in range(30)]
    results = await asyncio.gather(*requests, return_exceptions=True)
    assert [isinstance(result, RevisionMismatch) for result in results] == [n % 3 == 0 for n in range(30)]
    revisions = [result[0] for result in results if isinstance(result, list)]
    assert revisions == list(range(2, 22))
    assert store.count(scope()) == 20


async def test_a_document_that_cannot_be_kept_fails_alone(store: Store) -> None:
    bad = Mutation(key("bad"), Draft("not bytes", b""))  # type: ignore[arg-type]
    results = await asyncio.gather(
        store.commit([put(key("before"))]), store.commit([put(key("half")), bad]), store.commit([put(key("after"))]), return_exceptions=True
    )
    assert isinstance(results[1], Exception)
    assert isinstance(results[0], list)
    assert isinstance(results[2], list)
    assert store.get(key("half")) is None
    assert store.get(key("bad")) is None
    assert names(store, scope()) == ["default/after", "default/before"]


async def test_a_cancelled_writer_harms_nobody(store: Store) -> None:
    tasks = [asyncio.create_task(store.commit([put(key(f"n{n}"))])) for n in range(10)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    for n in range(1, 10, 2):
        assert isinstance(results[n], list)
        assert store.get(key(f"n{n}")) is not None
    await store.commit([put(key("next"))])
    events = [stored.revision for stored in store.page(scope()).items]
    assert len(set(events)) == len(events)


async def test_writes_over_the_layer_copy_up(store: Store) -> None:
    record = await new_vcp(store)
    view = key("view", "", ROLES, record.id)
    before = store.get(view)
    assert before is not None
    assert before.revision == record.revision
    assert before.value.startswith(b"layer uid-of-one")
    with pytest.raises(RevisionMismatch) as refusal:
        await store.commit([put(view, "mine", ABSENT)])
    assert refusal.value.current == record.revision
    (revision,) = await store.commit([put(view, "mine", record.revision)])
    assert store.get(view) == (view, revision, document(revision, "mine"))
    assert names(store, scope(ROLES, vcp=record.id)) == ["/admin", "/edit", "/view"]
    assert store.count(scope(ROLES, vcp=record.id)) == 3


async def test_a_layer_object_can_be_deleted_and_made_again(store: Store) -> None:
    record = await new_vcp(store)
    other = await new_vcp(store, "two")
    edit = key("edit", "", ROLES, record.id)
    await store.commit([delete(edit, record.revision)])
    assert store.get(edit) is None
    assert names(store, scope(ROLES, vcp=record.id)) == ["/admin", "/view"]
    assert store.count(scope(ROLES, vcp=record.id)) == 2
    with pytest.raises(RevisionMismatch):
        await store.commit([delete(edit)])
    assert names(store, scope(ROLES, vcp=other.id)) == ["/admin", "/edit", "/view"]
    await store.commit([put(edit, "back", ABSENT)])
    assert names(store, scope(ROLES, vcp=record.id)) == ["/admin", "/edit", "/view"]
    await store.commit([delete(edit)])
    assert store.get(edit) is None
    assert store.count(scope(ROLES, vcp=record.id)) == 2


async def test_changed_moves_with_its_collection_only(store: Store) -> None:
    record = await new_vcp(store)
    before = store.changed(record.id, ROLES)
    await store.commit([put(key(vcp=record.id)), put(key("view", "", ROLES))])
    assert store.changed(record.id, ROLES) == before
    (revision,) = await store.commit([put(key("mine", "", ROLES, record.id))])
    assert store.changed(record.id, ROLES) == revision
    assert before < revision


async def test_a_closed_store_takes_no_writes(kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    store = make(kind, tmp_path_factory.mktemp("closed"))
    await store.commit([put(key())])
    await store.close()
    with pytest.raises(StorageUnavailable):
        await store.commit([put(key("late"))])
