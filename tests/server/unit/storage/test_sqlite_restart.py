# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The store on disk over several runs: what is kept, what is read again only when asked for, and which revisions come next."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest
from contract.stores import ROLES, SECRETS, SmallLayer, delete, document, key, layer_for, names, new_vcp, put, scope

from kplane_server.model.keys import ResourceId
from kplane_server.storage.api import Compacted, RevisionMismatch, VcpRecord, VcpState
from kplane_server.storage.sqlite import SqliteStore, copies, records
from kplane_server.storage.sqlite.store import REVISION_JUMP


def _open(folder: Path, **options: Any) -> SqliteStore:
    return SqliteStore.open(folder / "store.db", layer=layer_for, **options)


async def test_everything_is_there_again(tmp_path: Path) -> None:
    store = _open(tmp_path)
    record = await new_vcp(store)
    await store.commit([put(key("a", vcp=record.id), "kept", owners=("U",), terminating=True)])
    await store.commit([delete(key("edit", "", ROLES, record.id)), put(key("u", vcp=record.id), uid="U")])
    await store.commit([delete(key("u", vcp=record.id), uid="U")])
    revision, root = store.revision, store.vcp("root")
    await store.close()

    store = _open(tmp_path)
    assert store.revision == revision
    assert store.vcp("root") == root
    assert store.vcp("one") == record
    stored = store.get(key("a", vcp=record.id))
    assert stored is not None
    assert stored.value == document(stored.revision, "kept")
    assert names(store, scope(ROLES, vcp=record.id)) == ["/admin", "/view"]
    assert store.count(scope(ROLES, vcp=record.id)) == 2
    assert list(store.terminating()) == [key("a", vcp=record.id)]
    assert store.pending_garbage() == [(record.id, "U")]
    assert await store.commit([put(key("next"))]) == [revision + 1]
    await store.close()


async def test_watches_go_on_over_a_restart(tmp_path: Path) -> None:
    store = _open(tmp_path)
    record = await new_vcp(store)
    start = store.revision
    live, every = store.subscribe(scope(vcp=record.id), start), store.subscribe_resources(None, start)
    some = store.subscribe_resources(frozenset({ROLES}), start)
    steps = [put(key("a", vcp=record.id), "1"), put(key("b", "x", vcp=record.id)), put(key("a", vcp=record.id), "2"), put(key())]
    steps += [delete(key("a", vcp=record.id)), put(key("a", vcp=record.id), "3"), put(key("view", "", ROLES, record.id), "mine")]
    steps += [put(key("b", "x", vcp=record.id), "more"), delete(key("view", "", ROLES, record.id)), delete(key("b", "x", vcp=record.id))]
    pages = {}
    for step in steps:
        pages[store.revision] = store.page(scope(vcp=record.id)).items
        await store.commit([step])
    await store.close()

    store = _open(tmp_path)
    assert store.subscribe(scope(vcp=record.id), start).pop() == live.pop()
    assert store.subscribe_resources(None, start).pop() == every.pop()
    assert store.subscribe_resources(frozenset({ROLES}), start).pop() == some.pop()
    assert store.subscribe(scope(vcp=record.id, namespace="x"), start).pop()[0].key == key("b", "x", vcp=record.id)
    for revision, items in pages.items():
        assert store.page(scope(vcp=record.id), revision=revision).items == items
    await store.commit([put(key("new", vcp=record.id))])
    assert store.subscribe(scope(vcp=record.id), start).pop()[-1].key.name == "new"
    with pytest.raises(Compacted):
        store.subscribe(scope(vcp=record.id), start, buffer=3)
    await store.close()


async def test_a_wipe_goes_on_after_a_restart(tmp_path: Path) -> None:
    store = _open(tmp_path)
    record = await new_vcp(store)
    await store.commit([put(key(f"n{n}", vcp=record.id)) for n in range(30)])
    await store.set_vcp_state(record.id, VcpState.WIPING)
    await store._writer.submit(lambda batch: batch.wipe_step(record.id, 10))
    await store.close()

    store = _open(tmp_path)
    assert [r.id for r in store.vcps(VcpState.WIPING)] == [record.id]
    assert store.subscribe_resources(None, record.revision).pop() == []
    assert await store.wipe_vcp(record.id) == 20
    await store.close()

    store = _open(tmp_path)
    for table in ("objects", "owners", "garbage", "log"):
        assert store._reader.execute(f"SELECT COUNT(*) FROM {table}").fetchone() == (0,)
    assert store.statistics()["objects"] == store.statistics()["log_rows"] == 0
    assert (await new_vcp(store)).id == record.id + 1
    await store.close()


async def test_start_reads_neither_vcps_nor_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "REMEMBERED_RECORDS", 8)
    store = _open(tmp_path)
    made = [await new_vcp(store, f"v{n}") for n in range(50)]
    assert len(store._records) <= 8
    await store.close()
    store = _open(tmp_path)
    assert len(store._records) == 0
    assert store.statistics()["cache_bytes"] == 0
    for record in made:
        assert store.vcp(record.name) == store.vcp_by_id(record.id) == record
        assert len(store._records) <= 8
        assert len(store._records._active) <= 8
    await store.close()


async def test_revisions_jump_where_some_may_be_lost(tmp_path: Path) -> None:
    """What a power failure leaves of a run with synchronous=NORMAL is like a copy of the files of a store that runs."""
    store = _open(tmp_path, synchronous="NORMAL")
    await store.commit([put(key())])
    revision = store.revision
    (tmp_path / "copy").mkdir()
    for name in ("store.db", "store.db-wal"):
        shutil.copy(tmp_path / name, tmp_path / "copy" / name)
    await store.close()

    after_failure = _open(tmp_path / "copy", synchronous="FULL")
    assert after_failure.revision == revision + REVISION_JUMP
    assert after_failure.get(key()) is not None
    with pytest.raises(Compacted):
        after_failure.subscribe(scope(), revision)
    assert after_failure.subscribe(scope(), after_failure.revision).pop() == []
    await after_failure.close()
    ended_well = _open(tmp_path)
    assert ended_well.revision == revision
    await ended_well.close()


async def test_revisions_do_not_jump_when_nothing_can_be_lost(tmp_path: Path) -> None:
    store = _open(tmp_path)
    await store.commit([put(key())])
    (tmp_path / "copy").mkdir()
    for name in ("store.db", "store.db-wal"):
        shutil.copy(tmp_path / name, tmp_path / "copy" / name)
    copy = _open(tmp_path / "copy")
    assert copy.revision == store.revision
    await copy.close()
    await store.close()


class _NewLayer(SmallLayer):
    """What a newer program, or a new CA, makes of the layer."""

    def get(self, vcp: VcpRecord, resource: ResourceId, namespace: str, name: str) -> bytes | None:
        value = super().get(vcp, resource, namespace, name)
        return None if value is None else b"new " + value


async def test_a_layer_that_has_changed_is_seen_by_watchers(tmp_path: Path) -> None:
    store = _open(tmp_path, layer_version="a")
    record = await new_vcp(store)
    admin, edit = key("admin", "", ROLES, record.id), key("edit", "", ROLES, record.id)
    await store.commit([put(edit, "mine")])
    seen, old = store.revision, store.get(admin)
    await store.close()

    store = _open(tmp_path, layer_version="a")
    assert (store.revision, store.get(admin)) == (seen, old)
    await store.close()

    for _ in range(2):  # it changes once
        store = SqliteStore.open(tmp_path / "store.db", layer=_NewLayer(), layer_version="b")
        assert store.revision == seen + 1
        stored = store.get(admin)
        assert stored is not None
        assert stored.value == f"new layer uid-of-one {ROLES} /admin at {seen + 1}".encode()
        assert stored.revision == store.page(scope(ROLES, vcp=record.id)).items[0].revision == seen + 1
        mine = store.get(edit)
        assert mine is not None
        assert mine.revision == seen
        with pytest.raises(Compacted):
            store.subscribe(scope(ROLES, vcp=record.id), seen)
        assert store.subscribe(scope(ROLES, vcp=record.id), seen + 1).pop() == []
        await store.close()

    store = SqliteStore.open(tmp_path / "store.db", layer=_NewLayer(), layer_version="b")
    with pytest.raises(RevisionMismatch):
        await store.commit([put(admin, "", record.revision)])
    await store.commit([put(admin, "", seen + 1)])
    newer = await new_vcp(store, "two")
    fresh = store.get(key("view", "", ROLES, newer.id))
    assert fresh is not None
    assert fresh.revision == newer.revision
    await store.close()


async def test_a_backup_is_a_store_at_one_revision(tmp_path: Path) -> None:
    store = _open(tmp_path)
    record = await new_vcp(store)
    await store.commit([put(key(f"n{n}", vcp=record.id)) for n in range(500)])
    writing = asyncio.create_task(_write_on(store))
    await asyncio.to_thread(copies.copy_store, tmp_path / "store.db", tmp_path / "copy.db")
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    seen = store.revision
    await store.close()
    assert copies.summary(tmp_path / "copy.db").vcps == 1

    copy = SqliteStore.open(tmp_path / "copy.db", layer=layer_for)
    assert copy.count(scope(vcp=record.id)) == 500
    revisions = [item.revision for item in copy.page(scope(SECRETS)).items]
    assert revisions == sorted(revisions)
    assert copy.revision > seen
    assert await copy.commit([put(key())]) == [copy.revision]
    await copy.close()


async def _write_on(store: SqliteStore) -> None:
    for n in range(100_000):
        await store.commit([put(key(f"n{n:06}", resource=SECRETS))])
