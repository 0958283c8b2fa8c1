# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Contract: subscriptions, over one scope and over all VCPs."""

from __future__ import annotations

import asyncio

import pytest
from contract.stores import CONFIGMAPS, ROLES, SECRETS, delete, document, key, new_vcp, put, scope

from kplane_server.model.keys import VcpId
from kplane_server.storage.api import Compacted, Event, EventType, FutureRevision, Store, UnknownVcp, VcpState


async def test_events_say_what_happened(store: Store) -> None:
    watch = store.subscribe(scope(), store.revision)
    (first,) = await store.commit([put(key(), "one")])
    (second,) = await store.commit([put(key(), "two")])
    (third,) = await store.commit([delete(key())])
    assert await watch.wait(5)
    assert watch.pop() == [
        Event(first, EventType.ADDED, key(), document(first, "one"), None, 0),
        Event(second, EventType.MODIFIED, key(), document(second, "two"), document(first, "one"), first),
        Event(third, EventType.DELETED, key(), document(third, "deleted"), document(second, "two"), second),
    ]
    assert watch.pop() == []


async def test_events_over_the_layer(store: Store) -> None:
    record = await new_vcp(store)
    edit = key("edit", "", ROLES, record.id)
    original = store.get(edit)
    assert original is not None
    watch = store.subscribe(scope(ROLES, vcp=record.id), record.revision)
    await store.commit([put(edit, "mine")])
    await store.commit([delete(edit)])
    await store.commit([put(edit, "again")])
    events = watch.pop()
    assert [event.type for event in events] == [EventType.MODIFIED, EventType.DELETED, EventType.ADDED]
    assert (events[0].previous, events[0].previous_revision) == (original.value, record.revision)
    assert events[2].previous is None


async def test_a_watch_begins_where_the_list_ended(store: Store) -> None:
    await store.commit([put(key("a"))])
    page = store.page(scope())
    await store.commit([put(key("b")), put(key(resource=SECRETS)), put(key("c", "other"))])
    watch = store.subscribe(scope(), page.revision)
    narrow = store.subscribe(scope(namespace="other"), page.revision)
    await store.commit([put(key("d"))])
    assert [event.key.name for event in watch.pop()] == ["b", "c", "d"]
    assert [event.key.name for event in narrow.pop()] == ["c"]


async def test_a_watch_sees_only_its_scope(store: Store) -> None:
    one, two = await new_vcp(store, "one"), await new_vcp(store, "two")
    watch = store.subscribe(scope(vcp=one.id, namespace="x"), store.revision)
    await store.commit([put(key("a", "x", vcp=two.id)), put(key("b", "y", vcp=one.id)), put(key("c", "x", SECRETS, one.id))])
    await store.commit([put(key("d", "x", vcp=one.id))])
    assert [event.key.name for event in watch.pop()] == ["d"]


async def test_waiting(store: Store) -> None:
    watch = store.subscribe(scope(), store.revision)
    assert not await watch.wait(0.01)
    waiting = asyncio.create_task(watch.wait())
    await asyncio.sleep(0)
    await store.commit([put(key())])
    assert await waiting
    assert await watch.wait(0)
    assert len(watch.pop()) == 1
    assert not await watch.wait(0)


async def test_a_cancelled_wait_loses_nothing(store: Store) -> None:
    watch = store.subscribe(scope(), store.revision)
    waiting = asyncio.create_task(watch.wait())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await store.commit([put(key())])
    assert await watch.wait(5)
    assert len(watch.pop()) == 1


async def test_the_revision_of_a_watch_may_be_a_bookmark(store: Store) -> None:
    watch = store.subscribe(scope(), store.revision)
    (first, _) = await store.commit([put(key("a")), put(key("b"))])
    await store.commit([put(key(resource=SECRETS))])
    assert watch.revision == first - 1
    watch.pop()
    assert watch.revision == store.revision
    assert store.subscribe(scope(), watch.revision).pop() == []


async def test_all_vcps_can_be_watched_at_once(store: Store) -> None:
    start = store.revision
    everything = store.subscribe_resources(None, start)
    some = store.subscribe_resources(frozenset({CONFIGMAPS, ROLES}), start)
    one = await new_vcp(store, "one")
    await store.commit([put(key(vcp=one.id)), put(key(resource=SECRETS)), put(key("x", "", ROLES, one.id))])
    assert [event.key.resource for event in everything.pop()] == [CONFIGMAPS, SECRETS, ROLES]
    assert [event.key.resource for event in some.pop()] == [CONFIGMAPS, ROLES]
    again = store.subscribe_resources(frozenset({ROLES}), start)
    assert [event.key for event in again.pop()] == [key("x", "", ROLES, one.id)]


async def test_a_slow_watcher_is_cut_and_others_are_not(store: Store) -> None:
    slow, quick = store.subscribe(scope(), store.revision, buffer=3), store.subscribe(scope(), store.revision)
    for n in range(5):
        await store.commit([put(key(f"n{n}"))])
    with pytest.raises(Compacted):
        slow.pop()
    with pytest.raises(Compacted):
        await slow.wait(1)
    assert len(quick.pop()) == 5


async def test_a_waiting_watcher_is_told_that_it_is_cut(store: Store) -> None:
    slow = store.subscribe(scope(), store.revision, buffer=1)
    waiting = asyncio.create_task(slow.wait())
    await asyncio.sleep(0)
    await store.commit([put(key("a")), put(key("b"))])
    with pytest.raises(Compacted):
        await waiting


async def test_more_backlog_than_the_buffer_is_compacted(store: Store) -> None:
    start = store.revision
    await store.commit([put(key(f"n{n}")) for n in range(5)])
    with pytest.raises(Compacted):
        store.subscribe(scope(), start, buffer=4)
    with pytest.raises(Compacted):
        store.subscribe_resources(None, start, buffer=4)
    assert len(store.subscribe(scope(), start, buffer=5).pop()) == 5


async def test_a_closed_watch_gets_nothing(store: Store) -> None:
    watch = store.subscribe(scope(), store.revision)
    watch.close()
    watch.close()
    await store.commit([put(key())])
    assert watch.ended
    assert watch.pop() == []
    assert store.statistics()["subscriptions"] == 0


async def test_leaving_the_active_state_ends_watches(store: Store) -> None:
    record = await new_vcp(store)
    watch = store.subscribe(scope(vcp=record.id), store.revision)
    roots = store.subscribe(scope(), store.revision)
    waiting = asyncio.create_task(watch.wait())
    await asyncio.sleep(0)
    await store.set_vcp_state(record.id, VcpState.RETAINED)
    assert not await waiting
    assert watch.ended
    assert not roots.ended
    with pytest.raises(UnknownVcp):
        store.subscribe(scope(vcp=record.id), store.revision)


async def test_closing_the_store_ends_watches(store: Store) -> None:
    watch, every = store.subscribe(scope(), store.revision), store.subscribe_resources(None, store.revision)
    await store.commit([put(key())])
    await store.close()
    assert watch.ended
    assert every.ended
    assert len(watch.pop()) == 1


async def test_where_a_watch_may_begin(store: Store) -> None:
    record = await new_vcp(store)
    with pytest.raises(FutureRevision):
        store.subscribe(scope(), store.revision + 1)
    with pytest.raises(FutureRevision):
        store.subscribe_resources(None, store.revision + 1)
    with pytest.raises(Compacted):
        store.subscribe(scope(vcp=record.id), record.revision - 1)
    with pytest.raises(UnknownVcp):
        store.subscribe(scope(vcp=VcpId(99)), store.revision)


async def test_wait_for_a_revision(store: Store) -> None:
    await store.wait_for(store.revision, 0)
    waiting = asyncio.create_task(store.wait_for(store.revision + 2, 10))
    await asyncio.sleep(0)
    await store.commit([put(key())])
    assert not waiting.done()
    await store.commit([put(key())])
    await waiting
    with pytest.raises(FutureRevision):
        await store.wait_for(store.revision + 1, 0.01)


async def test_watchers_and_readers_are_in_step(store: Store) -> None:
    """When an event can be popped its document can be read, and the other way round."""
    watch = store.subscribe(scope(), store.revision)
    seen: list[int] = []

    async def read() -> None:
        while len(seen) < 200:
            await watch.wait(5)
            for event in watch.pop():
                current = store.get(event.key)
                assert current is not None
                assert current.revision >= event.revision
                assert event.revision <= store.revision
                seen.append(event.revision)
            newest = max((item.revision for item in store.page(scope()).items), default=0)
            assert newest <= store.revision
            late = [event.revision for event in watch.pop()]
            assert newest <= max([*seen, *late], default=newest)  # nothing is listed that watchers have not been sent
            seen.extend(late)

    async def write(writer: int) -> None:
        for n in range(50):
            await store.commit([put(key(f"w{writer}-{n % 7}"))])

    await asyncio.gather(read(), *(write(w) for w in range(4)))
    assert seen == sorted(seen)
    assert len(seen) == 200
