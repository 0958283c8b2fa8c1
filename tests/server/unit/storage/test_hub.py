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
from kplane_server.storage.api import Event, EventType, FutureRevision
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
    push = Watcher.push

    def count(self: Watcher, event: Event) -> None:
        asked.append(self)
        push(self, event)

    with patch.object(Watcher, "push", count):
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
