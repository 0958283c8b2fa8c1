# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watch streams over a scripted source."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from kplane_server.http.response import ClientGone
from kplane_server.http.views import MetadataView
from kplane_server.http.watchstream import CHUNK, PlainView, WatchStream, WatchStreams
from kplane_server.model.errors import Expired
from kplane_server.model.keys import ObjectKey, ResourceId, VcpId
from kplane_server.registry.watching import BOOKMARK, Seen, WatchEvent
from kplane_server.storage.api import Compacted, Stored


def event(kind: str, revision: int, padding: int = 0) -> WatchEvent:
    value = json.dumps({"metadata": {"resourceVersion": str(revision)}, "data": "x" * padding}).encode()
    return WatchEvent(kind, Stored(ObjectKey(VcpId(1), ResourceId("things"), "", ""), revision, value))


class Script:
    """A source that hands out batches, then raises, ends or waits."""

    def __init__(self, *batches: list[WatchEvent], error: Exception | None = None, end: bool = False) -> None:
        self.batches = list(batches)
        self.error = error
        self.end = end
        self.revision = 1
        self.closed = False

    @property
    def ended(self) -> bool:
        return self.end and not self.batches

    async def next(self, timeout: float) -> Sequence[WatchEvent]:
        if self.batches:
            batch = self.batches.pop(0)
            self.revision = max(self.revision, *(found.object.revision for found in batch))
            return batch
        if self.error is not None:
            raise self.error
        if not self.end:
            await asyncio.sleep(timeout)
        return []

    def bookmark(self) -> WatchEvent:
        return event(BOOKMARK, self.revision)

    def close(self) -> None:
        self.closed = True


class Sink:
    def __init__(self, fail_after: int | None = None) -> None:
        self.sent: list[bytes] = []
        self.fail_after = fail_after

    async def send(self, data: bytes) -> None:
        if self.fail_after is not None and len(self.sent) >= self.fail_after:
            raise ClientGone
        self.sent.append(data)

    @property
    def events(self) -> list[Any]:
        return [json.loads(line) for line in b"".join(self.sent).splitlines()]

    @property
    def types(self) -> list[str]:
        return [found["type"] for found in self.events]


def stream(source: Script, *, lifetime: float = 0.05, bookmarks: bool = False, interval: float = 60.0) -> tuple[WatchStream, WatchStreams]:
    streams = WatchStreams(interval, 1800)
    return WatchStream(streams, source, PlainView(), lifetime=lifetime, bookmarks=bookmarks), streams


async def test_events_are_lines_and_a_batch_is_one_write() -> None:
    sink = Sink()
    one, _ = stream(Script([event("ADDED", 2), event("MODIFIED", 3)], [event("DELETED", 4)]))
    await one.run(sink)
    assert sink.types == ["ADDED", "MODIFIED", "DELETED"]
    assert len(sink.sent) == 2


async def test_large_batches_are_cut_into_bounded_writes() -> None:
    sink = Sink()
    one, _ = stream(Script([event("ADDED", n, padding=CHUNK // 4) for n in range(2, 12)]))
    await one.run(sink)
    assert len(sink.events) == 10
    assert max(map(len, sink.sent)) < CHUNK * 2


async def test_streams_that_see_the_same_send_the_same_bytes_and_each_in_its_own_form() -> None:
    seen = Seen([event("ADDED", n, padding=CHUNK // 4) for n in range(2, 12)])
    sinks = []
    for view in (PlainView(), PlainView(), MetadataView("v1"), MetadataView("v1beta1"), MetadataView("v1")):
        sinks.append(Sink())
        await WatchStream(WatchStreams(60, 1800), Script(seen), view, lifetime=0.05, bookmarks=False).run(sinks[-1])
    plain, again, metadata, older, metadata_again = sinks
    assert len(plain.sent) > 1
    assert all(first is second for first, second in zip(plain.sent, again.sent, strict=True)), "encoded once"
    assert [found["object"]["data"] for found in plain.events] == ["x" * (CHUNK // 4)] * 10
    assert metadata.sent == metadata_again.sent
    assert metadata.sent[0] is metadata_again.sent[0]
    assert {found["object"]["apiVersion"] for found in metadata.events} == {"meta.k8s.io/v1"}
    assert {found["object"]["apiVersion"] for found in older.events} == {"meta.k8s.io/v1beta1"}


async def test_bookmarks_come_only_for_who_asked() -> None:
    silent, asked, often = Sink(), Sink(), Sink()
    await stream(Script())[0].run(silent)
    await stream(Script([event("ADDED", 7)]), bookmarks=True)[0].run(asked)
    await stream(Script(), bookmarks=True, interval=0.01, lifetime=0.1)[0].run(often)
    assert silent.sent == []
    assert asked.types == ["ADDED", "BOOKMARK"]
    assert asked.events[-1]["object"]["metadata"]["resourceVersion"] == "7"
    assert len(often.types) >= 3


@pytest.mark.parametrize("error", [Expired("too old"), Compacted(1, 5)])
async def test_falling_behind_is_told_as_410(error: Exception) -> None:
    sink = Sink()
    await stream(Script([event("ADDED", 2)], error=error), bookmarks=True)[0].run(sink)
    assert sink.types == ["ADDED", "ERROR"]
    assert (sink.events[-1]["object"]["code"], sink.events[-1]["object"]["reason"]) == (410, "Expired")


async def test_a_source_that_ends_ends_the_stream_at_once() -> None:
    sink = Sink()
    one, _ = stream(Script([event("ADDED", 2)], end=True), lifetime=1000)
    await asyncio.wait_for(one.run(sink), 5)
    assert sink.types == ["ADDED"]


async def test_a_stop_ends_all_streams_with_their_last_bookmark() -> None:
    sinks = [Sink(), Sink()]
    streams = WatchStreams(60, 1800)
    running = []
    for sink, bookmarks in zip(sinks, (True, False), strict=True):
        one = WatchStream(streams, Script(), PlainView(), lifetime=1000, bookmarks=bookmarks)
        running.append(asyncio.create_task(one.run(sink)))
    await asyncio.sleep(0)
    assert len(streams) == 2
    streams.close_all()
    await asyncio.wait_for(asyncio.gather(*running), 5)
    assert [sink.types for sink in sinks] == [["BOOKMARK"], []]
    assert len(streams) == 0


async def test_a_client_that_left_ends_the_stream() -> None:
    one, streams = stream(Script([event("ADDED", 2)], [event("ADDED", 3)]), lifetime=1000)
    with pytest.raises(ClientGone):
        await one.run(Sink(fail_after=1))
    assert len(streams) == 0


def test_lifetimes() -> None:
    streams = WatchStreams(60, 1800)
    assert streams.lifetime(5) == 5.0
    assert all(1800 <= streams.lifetime(given) <= 3600 for given in (None, 0))
    assert streams.lifetime(-3) == 0.0
