# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watches: where they begin, what selectors make of changes, how they end."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from kplane_server.model.errors import Expired, Timeout
from kplane_server.registry import watching
from kplane_server.registry.api import ControlPlaneApi
from kplane_server.registry.options import DeleteOptions, WatchOptions
from kplane_server.storage.memory import MemoryStore
from kplane_server.storage.overlay import NoLayer

from .conftest import Bench


async def drain(watch: Any) -> list[tuple[str, str]]:
    return [(event.type, event.object.key.name) for event in await watch.next(0)]


async def make(bench: Bench, name: str, **labels: str) -> int:
    made = await bench.create("configmaps", {"metadata": {"name": name, "labels": labels}})
    return int(made["metadata"]["resourceVersion"])


@pytest.mark.parametrize("revision", [None, 0])
async def test_without_a_revision_the_state_comes_first(bench: Bench, revision: int | None) -> None:
    await make(bench, "a")
    watch = bench.watch("configmaps", resource_version=revision)
    assert await drain(watch) == [("ADDED", "a")]
    await make(bench, "b")
    await bench.patch("configmaps", "a", "merge", {"data": {"x": "y"}})
    await bench.api.delete(bench.info("configmaps"), "default", "a", DeleteOptions(), bench.context())
    assert await drain(watch) == [("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "a")]
    watch.close()


async def test_from_a_revision_only_what_came_after(bench: Bench) -> None:
    first = await make(bench, "a")
    await make(bench, "b")
    watch = bench.watch("configmaps", resource_version=first)
    assert await drain(watch) == [("ADDED", "b")]
    assert await drain(watch) == []
    watch.close()


async def test_a_deletion_carries_its_own_revision(bench: Bench) -> None:
    first = await make(bench, "a")
    watch = bench.watch("configmaps", resource_version=first)
    await bench.api.delete(bench.info("configmaps"), "default", "a", DeleteOptions(), bench.context())
    (event,) = await watch.next(0)
    assert orjson.loads(event.object.value)["metadata"]["resourceVersion"] == str(bench.store.revision)
    watch.close()


async def test_selectors_turn_updates_into_additions_and_deletions(bench: Bench) -> None:
    await make(bench, "a", color="red")
    await make(bench, "b", color="blue")
    watch = bench.watch("configmaps", label_selector="color=red")
    assert await drain(watch) == [("ADDED", "a")]
    await bench.patch("configmaps", "b", "merge", {"metadata": {"labels": {"color": "red"}}})
    await bench.patch("configmaps", "b", "merge", {"data": {"x": "y"}})
    await bench.patch("configmaps", "a", "merge", {"metadata": {"labels": {"color": "green"}}})
    events = await watch.next(0)
    assert [(e.type, e.object.key.name) for e in events] == [("ADDED", "b"), ("MODIFIED", "b"), ("DELETED", "a")]
    gone = orjson.loads(events[2].object.value)
    assert gone["metadata"]["labels"] == {"color": "red"}  # the last state that matched, at the revision of the change
    assert gone["metadata"]["resourceVersion"] == str(bench.store.revision)
    await bench.patch("configmaps", "a", "merge", {"data": {"x": "y"}})
    await bench.api.delete(bench.info("configmaps"), "default", "a", DeleteOptions(), bench.context())
    assert await drain(watch) == []
    watch.close()


async def test_one_name(bench: Bench) -> None:
    await make(bench, "a")
    await make(bench, "b")
    watch = bench.watch("configmaps", "default", field_selector="metadata.name=b")
    assert await drain(watch) == [("ADDED", "b")]
    watch.close()


async def test_other_namespaces_and_resources_are_not_seen(bench: Bench) -> None:
    await bench.create("namespaces", {"metadata": {"name": "other"}}, "")
    watch = bench.watch("configmaps", "default", resource_version=bench.store.revision)
    await bench.create("configmaps", {"metadata": {"name": "x"}}, "other")
    await bench.create("secrets", {"metadata": {"name": "x"}})
    await make(bench, "mine")
    assert await drain(watch) == [("ADDED", "mine")]
    watch.close()


async def test_a_watch_list_ends_its_state_with_a_bookmark(bench: Bench) -> None:
    await make(bench, "a")
    options = {"send_initial_events": True, "resource_version_match": "NotOlderThan", "allow_bookmarks": True}
    watch = bench.watch("configmaps", **options)
    events = await watch.next(0)
    assert [e.type for e in events] == ["ADDED", "BOOKMARK"]
    assert orjson.loads(events[1].object.value) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "resourceVersion": str(bench.store.revision),
            "annotations": {"k8s.io/initial-events-end": "true"},
        },
    }
    watch.close()
    empty = bench.watch("secrets", **options)
    assert [e.type for e in await empty.next(0)] == ["BOOKMARK"]
    empty.close()


async def test_a_watch_without_initial_events_begins_now(bench: Bench) -> None:
    await make(bench, "a")
    watch = bench.watch("configmaps", send_initial_events=False, resource_version_match="NotOlderThan")
    assert await drain(watch) == []
    await make(bench, "b")
    assert await drain(watch) == [("ADDED", "b")]
    watch.close()


@pytest.mark.parametrize("selector", ["", "half=1"])
async def test_a_long_state_is_read_in_parts_and_is_of_one_moment(bench: Bench, monkeypatch: pytest.MonkeyPatch, selector: str) -> None:
    """What is written meanwhile follows as changes: no gap, and nothing twice. No bookmark comes before the state."""
    monkeypatch.setattr(watching, "_STEP", 3)
    names = [f"s{number}" for number in range(10)]
    for number, name in enumerate(names):
        await make(bench, name, half=str(number % 2))
    watch = bench.watch("configmaps", label_selector=selector, send_initial_events=True, allow_bookmarks=True)
    assert watch.bookmark() is None
    reading = asyncio.create_task(watch.next(0))
    await asyncio.sleep(0)
    await bench.api.delete(bench.info("configmaps"), "default", "s9", DeleteOptions(), bench.context())
    await make(bench, "s00", half="1")
    seen = [(event.type, event.object.key.name) for event in await reading]
    assert seen == [*(("ADDED", name) for name in (names[1::2] if selector else names)), ("BOOKMARK", "")]
    assert await drain(watch) == [("DELETED", "s9"), ("ADDED", "s00")]
    assert watch.bookmark() is not None
    watch.close()


async def test_a_watch_that_ends_while_its_state_is_read(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_STEP", 1)
    for name in "abc":
        await make(bench, name)
    watch = bench.watch("configmaps")
    reading = asyncio.create_task(watch.next(0))
    await asyncio.sleep(0)
    await bench.store.close()
    assert [event.object.key.name for event in await reading] == ["a", "b", "c"]
    assert watch.ended
    watch.close()


async def test_a_bookmark_says_how_far_the_watch_has_come(bench: Bench) -> None:
    watch = bench.watch("configmaps")
    await watch.next(0)
    await bench.create("secrets", {"metadata": {"name": "elsewhere"}})
    await watch.next(0)
    bookmark = watch.bookmark()
    assert bookmark is not None
    assert bookmark.type == "BOOKMARK"
    assert orjson.loads(bookmark.object.value)["metadata"]["resourceVersion"] == str(watch.revision)
    assert watch.revision <= bench.store.revision
    watch.close()


async def test_too_old_and_too_new() -> None:
    store = MemoryStore(layer=NoLayer(), history_events=5)
    record = store.vcp("root")
    assert record is not None
    bench = Bench(ControlPlaneApi(record, store))
    first = await make(bench, "a")
    for n in range(20):
        await make(bench, f"b{n}")
    await store.trim()
    with pytest.raises(Expired, match="too old resource version: ") as caught:
        bench.watch("configmaps", resource_version=first)
    assert caught.value.status()["reason"] == "Expired"
    with pytest.raises(Timeout, match="Too large resource version"):
        bench.watch("configmaps", resource_version=10**6)


async def test_a_watch_ends_with_the_store(bench: Bench) -> None:
    watch = bench.watch("configmaps", resource_version=bench.store.revision)
    assert not watch.ended
    await bench.store.close()
    assert await watch.next(1) == []
    assert watch.ended


async def test_only_watches_with_the_same_options_share_what_they_see(bench: Bench) -> None:
    """What is worked out once serves all who asked the same, and nobody else: another selector, another version."""
    options = [
        {},
        {},
        {"label_selector": "a=1"},
        {"label_selector": "a=1"},
        {"label_selector": "a=2"},
        {"field_selector": "metadata.name=two"},
    ]
    watches = [bench.watch("events", send_initial_events=False, **one) for one in options]
    other = bench.api.watch(bench.info("events.events.k8s.io"), "default", WatchOptions(send_initial_events=False))
    for name, label in (("one", "1"), ("two", "2")):
        about = {"kind": "ConfigMap", "namespace": "default", "name": "x"}
        body = {"metadata": {"name": name, "labels": {"a": label}}, "involvedObject": about, "reason": "Tried", "type": "Normal"}
        await bench.create("events", body)
    seen = [await watch.next(0) for watch in watches]
    assert [[event.object.key.name for event in events] for events in seen] == [
        ["one", "two"],
        ["one", "two"],
        ["one"],
        ["one"],
        ["two"],
        ["two"],
    ]
    assert seen[0] is seen[1]
    assert seen[2] is seen[3]
    assert len({id(events) for events in seen}) == 4
    assert {orjson.loads(event.object.value)["apiVersion"] for event in await other.next(0)} == {"events.k8s.io/v1"}
    assert {orjson.loads(event.object.value)["apiVersion"] for event in seen[0]} == {"v1"}
    for watch in (*watches, other):
        watch.close()
