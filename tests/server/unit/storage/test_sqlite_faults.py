# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The store on disk when the disk fails it: nothing is half kept, reads go on, and it recovers by itself."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from contract.stores import delete, document, key, layer_for, names, new_vcp, put, scope

from kplane_server.storage.api import ABSENT, RevisionMismatch, StorageFull, StorageUnavailable
from kplane_server.storage.sqlite import SqliteStore, writer


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore.open(tmp_path / "store.db", layer=layer_for)
    await opened.commit([put(key("before"), "here")])
    yield opened
    await opened.close()


BIG = "x" * 200_000


@contextmanager
def _full_disk(store: SqliteStore) -> Iterator[None]:
    """The file may not grow: SQLite answers as it does when the disk is full."""
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages + 5}")
    yield
    store._connection.execute("PRAGMA max_page_count = 1073741823")


@contextmanager
def _short_files(limit: int) -> Iterator[None]:
    """No file of this process may grow beyond ``limit``: writing to the log fails at COMMIT, in the writer thread."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk_refuses_writes_and_goes_on_reading(store: SqliteStore) -> None:
    watch, revision = store.subscribe(scope(), store.revision), store.revision
    with _full_disk(store):
        with pytest.raises(StorageFull) as refusal:
            await store.commit([put(key("small")), put(key("big"), BIG)])
        assert refusal.value.__cause__ is not None
        assert store.healthy() == "the disk is full"
        assert store.revision == revision
        assert names(store, scope()) == ["default/before"]
        assert store.get(key("small")) is None
        assert store.count(scope()) == 1
        assert watch.pop() == []
        with pytest.raises(StorageFull):
            await new_vcp(store, "x" * 100_000)
        assert store.get(key("before")) is not None
    assert await store.commit([put(key("big"), BIG, ABSENT)]) == [revision + 1]
    assert store.healthy() is None
    assert [event.revision for event in watch.pop()] == [revision + 1]


async def test_deleting_is_possible_on_a_full_disk(store: SqliteStore) -> None:
    await store.commit([put(key("big"), BIG)])
    with _full_disk(store):
        with pytest.raises(StorageFull):
            await store.commit([put(key("more"), BIG)])
        await store.commit([delete(key("before"))])
    assert store.get(key("before")) is None


async def test_all_of_a_failed_transaction_are_told(store: SqliteStore) -> None:
    revision = store.revision
    with _full_disk(store):
        results = await asyncio.gather(
            store.commit([put(key("a"))]),
            store.commit([put(key("big"), BIG)]),
            store.commit([put(key("refused"), "", 99)]),
            return_exceptions=True,
        )
    assert all(isinstance(result, StorageFull | RevisionMismatch) for result in results)
    assert store.revision == revision
    assert names(store, scope()) == ["default/before"]


async def test_a_commit_that_fails_at_the_disk(store: SqliteStore, tmp_path: Path) -> None:
    revision = store.revision
    with _short_files((tmp_path / "store.db-wal").stat().st_size + 8192):
        for _ in range(3):
            with pytest.raises(StorageUnavailable):
                await store.commit([put(key("big"), BIG)])
        assert store.healthy() is not None
        assert store.revision == revision
        assert store.get(key("big")) is None
        assert names(store, scope()) == ["default/before"]
    assert await store.commit([put(key("big"), BIG)]) == [revision + 1]
    assert store.healthy() is None
    await store.close()
    again = SqliteStore.open(tmp_path / "store.db", layer=layer_for)
    assert again.get(key("big")) == (key("big"), revision + 1, document(revision + 1, BIG))
    assert again.revision == revision + 1
    await again.close()


async def test_housekeeping_finds_out_that_the_disk_is_well_again(store: SqliteStore) -> None:
    with _full_disk(store), pytest.raises(StorageFull):
        await store.commit([put(key("big"), BIG)])
    assert store.healthy() is not None
    await store._tidy()
    assert store.healthy() is None


async def test_a_disk_that_cannot_be_written(store: SqliteStore) -> None:
    store._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StorageUnavailable, match="cannot write") as refusal:
        await store.commit([put(key("late"))])
    assert refusal.value.__cause__ is not None
    assert store.healthy() is not None
    assert store.get(key("before")) is not None
    store._connection.execute("PRAGMA query_only = OFF")
    await store.commit([put(key("late"))])
    assert store.healthy() is None


async def test_a_second_writer_is_noticed(store: SqliteStore, tmp_path: Path) -> None:
    other = SqliteStore.open(tmp_path / "store.db", layer=layer_for)
    await other.commit([put(key("theirs"))])
    with pytest.raises(StorageUnavailable, match="another process"):
        await store.commit([put(key("mine"))])
    assert other.get(key("mine")) is None
    await other.close()


async def test_a_locked_file_is_unavailable_for_a_moment(store: SqliteStore, tmp_path: Path) -> None:
    other = SqliteStore.open(tmp_path / "store.db", layer=layer_for)
    other._connection.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageUnavailable, match="locked"):
        await store.commit([put(key("mine"))])
    other._connection.execute("ROLLBACK")
    await store.commit([put(key("mine"))])
    await other.close()


async def test_a_reader_in_the_way_of_a_checkpoint_is_harmless(store: SqliteStore, tmp_path: Path) -> None:
    log = tmp_path / "store.db-wal"
    store._writer._checkpoint_at = 1
    other = SqliteStore.open(tmp_path / "store.db", layer=layer_for)
    other._reader.execute("BEGIN")
    other._reader.execute("SELECT * FROM state").fetchone()
    await store.commit([put(key("one"))])
    while store._writer._checkpoint_at == 1:
        await asyncio.sleep(0.01)
    assert log.stat().st_size > 0
    assert store._writer._checkpoint_at > writer.CHECKPOINT_BYTES
    await store.commit([put(key("two"))])
    other._reader.execute("COMMIT")
    store._writer._checkpoint_at = 1
    store._writer._signal.set()
    while store._writer._checkpoint_at == 1:
        await asyncio.sleep(0.01)
    assert store._writer._checkpoint_at == writer.CHECKPOINT_BYTES
    assert log.stat().st_size == 0
    await store.commit([put(key("three"))])
    assert store.count(scope()) == 4
    await other.close()


async def test_a_writer_that_breaks_fails_everyone_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SqliteStore.open(tmp_path / "store.db", layer=layer_for)

    def broken(batch: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(store, "publish", broken)
    results = await asyncio.gather(*(store.commit([put(key(f"n{n}"))]) for n in range(5)), return_exceptions=True)
    assert all(isinstance(result, StorageUnavailable) for result in results)
    assert "a bug" in (store.healthy() or "")
    with pytest.raises(StorageUnavailable):
        await store.commit([put(key())])
    await store.close()


async def test_many_callers_wait_for_room_in_the_queue(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "QUEUE_BYTES", 3 * len(BIG))
    await asyncio.gather(*(store.commit([put(key(f"n{n}"), BIG)]) for n in range(30)))
    assert store.count(scope()) == 31
    assert store._writer._queued_bytes == 0
