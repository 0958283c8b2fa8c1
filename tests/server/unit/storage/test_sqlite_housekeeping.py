# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the store on disk does by itself: trimming its log, forgetting what is idle, giving space back."""

from __future__ import annotations

from pathlib import Path

import pytest
from contract.stores import delete, key, layer_for, put, scope

from kplane_server.storage.api import Compacted
from kplane_server.storage.sqlite import SqliteStore
from kplane_server.storage.sqlite import store as store_module


class _Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


async def test_the_log_is_bounded_by_age(tmp_path: Path) -> None:
    clock = _Clock()
    store = SqliteStore.open(tmp_path / "store.db", layer=layer_for, history_seconds=60, clock=clock)
    await store.commit([put(key("old"))])
    await store._tidy()
    old = store.revision
    clock.now += 30
    await store.commit([put(key("new"))])
    await store._tidy()
    assert store.subscribe(scope(), 1).pop()[0].key.name == "old"
    clock.now += 45
    await store._tidy()
    with pytest.raises(Compacted):
        store.subscribe(scope(), old - 1)
    assert [event.key.name for event in store.subscribe(scope(), old).pop()] == ["new"]
    clock.now += 100
    await store._tidy()
    assert store.statistics()["log_rows"] == store.statistics()["ring_events"] == 0
    assert store.page(scope(), revision=store.revision).items == store.page(scope()).items
    await store.close()


async def test_the_log_is_trimmed_in_small_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "STEP_ROWS", 7)
    store = SqliteStore.open(tmp_path / "store.db", layer=layer_for, history_events=10)
    for n in range(50):
        await store.commit([put(key(f"n{n % 3}"))])
    before = store.statistics()["transactions"]
    assert await store.trim() == store.revision - 10
    assert store.statistics()["log_rows"] == 10
    assert store.statistics()["transactions"] - before == 6
    assert store._reader.execute("SELECT COUNT(*) FROM log").fetchone() == (10,)
    await store.close()
    store = SqliteStore.open(tmp_path / "store.db", layer=layer_for, history_events=10)
    assert store.statistics()["log_rows"] == 10
    with pytest.raises(Compacted):
        store.subscribe(scope(), store.revision - 11)
    await store.close()


async def test_an_idle_store_writes_nothing_and_forgets(tmp_path: Path) -> None:
    clock = _Clock()
    store = SqliteStore.open(tmp_path / "store.db", layer=layer_for, clock=clock)
    await store.commit([put(key())])
    for _ in range(200):
        clock.now += 5
        await store._tidy()
    before = store.statistics()
    assert (before["cache_bytes"], before["ring_bytes"]) == (0, 0)
    for _ in range(10):
        clock.now += 5
        await store._tidy()
    assert store.statistics() == before
    assert store.get(key()) is not None
    await store.close()


async def test_free_space_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "FREE_PAGES", 100)
    store = SqliteStore.open(tmp_path / "store.db", layer=layer_for, history_events=1)
    await store.commit([put(key(f"n{n}"), "x" * 50_000) for n in range(50)])
    for n in range(50):
        await store.commit([delete(key(f"n{n}"))])
    await store.trim()
    size = store.statistics()["file_bytes"]
    for n in range(5):
        await store._tidy()
        await store.commit([put(key(f"wait for the writer {n}"))])
    assert store.statistics()["free_bytes"] <= 100 * 4096
    assert store.statistics()["file_bytes"] < size / 2
    assert store.count(scope()) == 5
    await store.close()


async def test_the_cache_is_bounded_and_right(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "store.db", layer=layer_for, cache_bytes=20_000)
    await store.commit([put(key(f"n{n}"), "x" * 500) for n in range(100)])
    for n in range(100):
        stored = store.get(key(f"n{n}"))
        assert stored is not None
        assert stored.value.startswith(b"r%d " % stored.revision)
    assert store.statistics()["cache_bytes"] <= 20_000
    assert store.statistics()["cache_misses"] > 0
    await store.close()
