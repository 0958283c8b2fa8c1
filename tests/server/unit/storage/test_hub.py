# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hub: a bounded memory of events, and watchers that pay for their own events only."""

from __future__ import annotations

import asyncio
from unittest.mock import patch

import pytest

from kplane_server.model.keys import ObjectKey, ResourceId, Scope, VcpId
from kplane_server.storage import hub as hub_module
from kplane_server.storage.api import Event, Events, EventType, FutureRevision
from kplane_server.storage.hub import Hub, Watcher


def _event(revision: int, vcp: int = 1, resource: str = "configmaps", size: int = 10) -> Event:
    key = ObjectKey(VcpId(vcp), ResourceId(resource), "d", f"n{revision}")
    return Event(revision, EventType.ADDED, key, b"x" * size, None)


def _scope(vcp: int = 1, resource: str = "configmaps") -> Scope:
    return Scope(VcpId(vcp), ResourceId(resource))


def test_the_ring_is_bounded_by_number() -> None:
    hub = Hub(10, history_events=3, history_bytes=1 << 20)
    assert hub.floor == 10
    hub.publish([_event(n) for n in range(11, 16)], 15)
    assert hub.floor == 12
    assert [event.revision for event in hub.since(12)] == [13, 14, 15]
    assert [event.revision for event in hub.since(14)] == [15]
    assert hub.since(15) == []


def test_the_ring_is_bounded_by_bytes_and_age() -> None:
    hub = Hub(0, history_events=100, history_bytes=3000)
    hub.publish([_event(n, size=1000) for n in range(1, 6)], 5)
    assert hub.ring_bytes <= 3000
    assert hub.floor == 3
    hub.forget_until(4)
    assert (hub.floor, hub.ring_events) == (4, 1)
    hub.forget_until(99)
    assert (hub.floor, hub.ring_events, hub.ring_bytes) == (5, 0, 0)


def test_only_the_watchers_of_an_event_are_asked() -> None:
    hub = Hub(0, history_events=10, history_bytes=1 << 20)
    mine = hub.watch(_scope(1), [], 10)
    others = [hub.watch(_scope(vcp), [], 10) for vcp in range(2, 50)]
    asked: list[Watcher] = []
    give = Watcher.give

    def count(self: Watcher, events: Events, joined: dict[int, Events] | None = None) -> None:
        asked.append(self)
        give(self, events, joined)

    with patch.object(Watcher, "give", count):
        hub.publish([_event(1)], 1)
    assert asked == [mine]
    for watcher in [mine, *others]:
        watcher.close()
    assert (hub._by_collection, hub._by_vcp, hub.subscriptions) == ({}, {}, 0)


def test_closing_leaves_no_index_behind() -> None:
    hub = Hub(0, history_events=10, history_bytes=1 << 20)
    watchers = [hub.watch_resources(None, [], 5), hub.watch_resources(frozenset({ResourceId("a"), ResourceId("b")}), [], 5)]
    assert hub.subscriptions == 2
    for watcher in watchers:
        watcher.close()
    assert (hub._everything, hub._by_resource, hub.subscriptions) == ({}, {}, 0)


def test_a_watcher_that_is_cut_is_not_asked_again() -> None:
    hub = Hub(0, history_events=10, history_bytes=1 << 20)
    watcher = hub.watch(_scope(), [], 1)
    hub.publish([_event(1), _event(2), _event(3)], 3)
    assert watcher.ended
    assert hub.subscriptions == 0
    assert len(watcher._queue) == 0


def test_forgotten_collections_have_a_bound_above_their_last_change() -> None:
    with patch.object(hub_module, "REMEMBERED_COLLECTIONS", 16):
        hub = Hub(5, history_events=10, history_bytes=1 << 20)
        truth = {}
        for revision in range(6, 300):
            vcp = revision % 40
            truth[vcp] = revision
            hub.publish([_event(revision, vcp)], revision)
            assert len(hub._changed) <= 16
            assert all(hub.changed(VcpId(v), ResourceId("configmaps")) >= last for v, last in truth.items())
            assert hub.changed(VcpId(vcp), ResourceId("configmaps")) == revision
        assert hub.changed(VcpId(1), ResourceId("never")) < 300


async def test_those_who_wait_are_let_go_at_the_end() -> None:
    hub = Hub(1, history_events=10, history_bytes=1 << 20)
    with pytest.raises(FutureRevision):
        await hub.wait_for(2, 0)
    assert hub._waiting == []
    waiting = asyncio.create_task(hub.wait_for(2, 60))
    await asyncio.sleep(0)
    hub.close()
    with pytest.raises(FutureRevision):
        await waiting


async def test_a_subscription_has_one_reader() -> None:
    hub = Hub(0, history_events=10, history_bytes=1 << 20)
    watcher = hub.watch(_scope(), [], 10)
    first = asyncio.create_task(watcher.wait())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="one reader"):
        await watcher.wait()
    hub.publish([_event(1)], 1)
    assert await first


def _hub() -> Hub:
    return Hub(0, history_events=1_000, history_bytes=1 << 20)


async def _popped(watcher: Watcher, count: int) -> list[int]:
    found: list[int] = []
    while len(found) < count:
        assert await watcher.wait(30)
        found += [event.revision for event in watcher.pop()]
    return found


def test_watchers_of_a_collection_share_what_they_are_handed() -> None:
    hub = _hub()
    first, second, other = hub.watch(_scope(), [], 10), hub.watch(_scope(), [], 10), hub.watch(_scope(2), [], 10)
    hub.publish([_event(1), _event(2, 2), _event(3)], 3)
    events = first.pop()
    assert [event.revision for event in events] == [1, 3]
    assert second.pop() is events
    assert [event.revision for event in other.pop()] == [2]
    hub.publish([_event(4)], 4)
    hub.publish([_event(5)], 5)
    hub.publish([_event(6)], 6)
    later = first.pop()
    assert [event.revision for event in later] == [4, 5, 6]
    hub.publish([_event(7)], 7)
    assert [event.revision for event in second.pop()] == [4, 5, 6, 7]
    assert [event.revision for event in first.pop()] == [7]
    assert [[event.revision for event in handed] for handed in (events, later)] == [[1, 3], [4, 5, 6]], "what was handed out is not changed"


def test_watchers_that_lag_together_share_too() -> None:
    hub = _hub()
    lagging, ahead = [hub.watch(_scope(), [], 10) for _ in range(3)], hub.watch(_scope(), [], 10)
    for revision in range(1, 5):
        hub.publish([_event(revision)], revision)
        assert [event.revision for event in ahead.pop()] == [revision]
    popped = [watcher.pop() for watcher in lagging]
    assert [event.revision for event in popped[0]] == [1, 2, 3, 4]
    assert all(events is popped[0] for events in popped)


def test_watchers_of_a_namespace_get_no_other() -> None:
    hub = _hub()
    scope = _scope()
    here, there, all_of_them = (hub.watch(scope._replace(namespace=name), [], 10) for name in ("here", "there", None))
    events = [_event(n)._replace(key=_event(n).key._replace(namespace="here" if n % 2 else "elsewhere")) for n in range(1, 5)]
    hub.publish(events, 4)
    found = [[event.revision for event in watcher.pop()] for watcher in (here, there, all_of_them)]
    assert found == [[1, 3], [], [1, 2, 3, 4]]


async def test_a_large_group_rests_and_misses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "WAKE_COST", 0.005)
    hub = _hub()
    watchers = [hub.watch(_scope(), [], 100) for _ in range(hub_module.RESTING_GROUP)]
    hub.publish([_event(1)], 1)
    assert [event.revision for event in watchers[0].pop()] == [1], "the first is handed out at once"
    for revision in range(2, 30):
        hub.publish([_event(revision)], revision)
    assert watchers[0].pop() == []
    assert watchers[0].revision == 1, "a bookmark must not pass what has not been handed out"
    late = hub.watch(_scope(), [], 100)  # from now on
    assert late.pop() == []
    assert [await _popped(watcher, n) for watcher, n in zip(watchers, (28, *[29] * 7), strict=True)] == [
        list(range(start, 30)) for start in (2, *[1] * 7)
    ]
    hub.publish([_event(30)], 30)
    assert [await _popped(watcher, 1) for watcher in (*watchers, late)] == [[30]] * 9
    assert {watcher.revision for watcher in watchers} == {30}


async def test_what_a_group_holds_back_is_handed_out_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "WAKE_COST", 100.0)
    hub = _hub()
    watchers = [hub.watch(_scope(), [], 100) for _ in range(hub_module.RESTING_GROUP)]
    for revision in (1, 2, 3):
        hub.publish([_event(revision)], revision)
    hub.end_vcp(VcpId(1))
    assert [[event.revision for event in watcher.pop()] for watcher in watchers] == [[1, 2, 3]] * len(watchers)
    assert all(watcher.ended for watcher in watchers)
    assert (hub._by_collection, hub._by_vcp, hub.subscriptions) == ({}, {}, 0)
