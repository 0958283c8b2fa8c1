# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The writer of the store on disk: what readers may see while a transaction is built and committed, and how it is shared."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from contract.stores import ROLES, delete, key, layer_for, new_vcp, put, scope

from kplane_server.model.keys import VcpId
from kplane_server.storage.api import StorageUnavailable, VcpState
from kplane_server.storage.sqlite import SqliteStore, counts, writer
from kplane_server.storage.sqlite import store as store_module
from kplane_server.storage.sqlite.batch import Batch


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore.open(tmp_path / "store.db", layer=layer_for)
    yield opened
    await opened.close()


def _newest(store: SqliteStore) -> int:
    return max((item.revision for item in store.page(scope()).items), default=0)


async def test_readers_do_not_run_ahead_of_watchers(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit is on the disk, and the loop does not know yet: exactly then readers look."""
    commit, done = writer.Writer._commit_now, threading.Event()

    def commit_and_linger(self: writer.Writer) -> None:
        commit(self)
        done.set()
        time.sleep(0.02)

    monkeypatch.setattr(writer.Writer, "_commit_now", commit_and_linger)
    record = await new_vcp(store)
    watch = store.subscribe(scope(), store.revision)
    looks = 0
    for n in range(5):
        done.clear()
        task = asyncio.create_task(store.commit([put(key(f"n{n}")), put(key("view", "", ROLES, record.id))]))
        before = store.revision
        while not task.done():
            await asyncio.sleep(0.001)
            if done.is_set() and store.revision == before:
                looks += 1
                assert _newest(store) <= before
                assert store.get(key(f"n{n}")) is None
                assert store.count(scope()) == n
                assert watch.pop() == []
        await task
        assert _newest(store) == store.revision - 1
        assert len(watch.pop()) == 1
    assert looks > 5


async def test_the_loop_goes_on_while_a_transaction_is_built(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "SLICE_SECONDS", 0.0)
    tasks = [asyncio.create_task(store.commit([put(key(f"n{n}"))])) for n in range(100)]
    turns = 0
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0)
        turns += 1
        assert _newest(store) <= store.revision
        assert store.count(scope()) == len(store.page(scope()).items)
        if turns == 20:
            tasks[90].cancel()  # it is in the transaction, but not applied yet
    assert turns > 100
    assert store.get(key("n90")) is None
    assert store.count(scope()) == 99
    assert store.statistics()["transactions"] == 1


async def test_what_waits_is_committed_together(store: SqliteStore) -> None:
    await asyncio.gather(*(store.commit([put(key(f"n{n}"))]) for n in range(300)))
    assert store.statistics()["transactions"] == 1
    assert store.statistics()["commits"] == 300


async def test_refusals_cost_no_transaction(store: SqliteStore) -> None:
    await asyncio.gather(*(store.commit([put(key(), "", 99)]) for _ in range(10)), return_exceptions=True)
    assert store.statistics()["transactions"] == 0


async def test_a_vcp_may_be_made_written_and_left_in_one_transaction(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "SHARED_REQUESTS", 1_000)
    first = await new_vcp(store)
    results = await asyncio.gather(
        store.commit([put(key("a", vcp=first.id))]),
        store.set_vcp_state(first.id, VcpState.WIPING),
        store.commit([put(key("late", vcp=first.id))]),
        store.commit([put(key("turn"))]),  # root's turn before the one in which the VCP is left
        store.create_vcp("one", "second", created=2),
        store.wipe_vcp(first.id),
        return_exceptions=True,
    )
    assert store.statistics()["transactions"] == 2
    assert [type(result).__name__ for result in results] == ["list", "VcpRecord", "UnknownVcp", "list", "VcpRecord", "int"]
    assert results[5] == 1
    second = store.vcp("one")
    assert second is not None
    assert second.uid == "second"
    assert store.vcp_by_id(first.id) is None


async def test_counts_are_bounded_and_stay_right(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "REMEMBERED_COUNTS", 4)
    for n in range(40):
        place = key(f"n{n % 7}", f"ns{n % 5}")
        await store.commit([put(place) if store.get(place) is None else delete(place)])
        for namespace in (None, *(f"ns{i}" for i in range(5))):
            assert store.count(scope(namespace=namespace)) == len(store.page(scope(namespace=namespace)).items)
        assert len(store._counts._known) <= 4


def test_unfinished_work_is_found_without_reading_every_object(tmp_path: Path) -> None:
    async def plan() -> str:
        store = SqliteStore.open(tmp_path / "store.db", layer=layer_for)
        rows = store._reader.execute("EXPLAIN QUERY PLAN " + store_module._TERMINATING).fetchall()
        await store.close()
        return " ".join(row[3] for row in rows)

    assert "objects_terminating" in asyncio.run(plan())


async def _two(store: SqliteStore) -> tuple[VcpId, VcpId]:
    return (await store.create_vcp("noisy", "u1", created=1)).id, (await store.create_vcp("quiet", "u2", created=1)).id


async def test_vcps_take_turns_in_the_queue(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "SHARED_REQUESTS", 1)
    monkeypatch.setattr(writer, "COMPANY_SECONDS", 1_000.0)
    noisy, quiet = await _two(store)
    done: list[str] = []

    async def commit(vcp: VcpId, name: str) -> None:
        await store.commit([put(key(name, vcp=vcp))])
        done.append(name)

    before = store.statistics()["transactions"]
    flood = [asyncio.create_task(commit(noisy, f"n{n}")) for n in range(20)]
    late = asyncio.create_task(commit(quiet, "quiet"))
    await asyncio.sleep(0)
    assert (store.queued(noisy), store.queued(quiet)) == (20, 1)
    await asyncio.gather(*flood, late)
    assert done.index("quiet") <= 1
    assert [name for name in done if name != "quiet"] == [f"n{n}" for n in range(20)], "in order within a VCP"
    assert store.statistics()["transactions"] - before == 20, "a transaction is closed when each that waits has had its turn"
    assert (store.queued(noisy), store.queued(quiet)) == (0, 0)


async def test_what_comes_while_a_transaction_is_built_is_taken_into_it(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "SLICE_SECONDS", 0.0)
    monkeypatch.setattr(writer, "SHARED_REQUESTS", 1_000)
    monkeypatch.setattr(writer, "COMPANY_SECONDS", 1_000.0)
    noisy, quiet = await _two(store)
    before = store.statistics()["transactions"]
    flood = [asyncio.create_task(store.commit([put(key(f"n{n}", vcp=noisy))])) for n in range(50)]
    while store.queued(noisy) > 40 or not store.queued(noisy):
        await asyncio.sleep(0)
    await asyncio.gather(store.commit([put(key("quiet", vcp=quiet))]), *flood)
    assert store.statistics()["transactions"] - before == 1


async def test_each_vcp_that_waits_has_a_turn_in_a_transaction_that_is_late(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "SHARED_REQUESTS", 1)
    monkeypatch.setattr(writer, "COMPANY_SECONDS", 1_000.0)
    vcps = [(await store.create_vcp(f"v{n}", f"u{n}", created=1)).id for n in range(30)]
    before = store.statistics()["transactions"]
    await asyncio.gather(*(store.commit([put(key(f"k{n}", vcp=vcp))]) for n in range(3) for vcp in vcps))
    assert store.statistics()["transactions"] - before == 3


async def test_one_that_breaks_in_the_middle_harms_no_other(store: SqliteStore) -> None:
    def breaks(batch: Batch) -> None:
        batch.commit([put(key("half"))])
        raise ZeroDivisionError

    results = await asyncio.gather(
        store.commit([put(key("one"))]),
        store._writer.submit(breaks),
        store.commit([put(key("two"))]),
        return_exceptions=True,
    )
    assert [type(result).__name__ for result in results] == ["list", "ZeroDivisionError", "list"]
    assert [store.get(key(name)) is not None for name in ("one", "half", "two")] == [True, False, True]


async def test_a_transaction_that_cannot_begin_fails_all_that_waits(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: SqliteStore) -> Batch:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(SqliteStore, "begin", refuse)
    results = await asyncio.gather(*(store.commit([put(key(f"n{n}"))]) for n in range(5)), return_exceptions=True)
    assert [type(result) for result in results] == [StorageUnavailable] * 5
    monkeypatch.undo()
    await store.commit([put(key("after"))])
    assert store.get(key("after")) is not None
