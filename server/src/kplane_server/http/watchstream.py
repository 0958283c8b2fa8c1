# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watch streams: committed changes as lines of JSON, bookmarks, and the three ways a stream ends (time, error, the server's stop).

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes, KEP-956 (bookmarks).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, Protocol

import orjson

from kplane_server.http.response import JSON, Outlet
from kplane_server.model.errors import ApiError, Expired, Json
from kplane_server.registry.watching import BOOKMARK, Seen, WatchEvent
from kplane_server.storage.api import Compacted, UnknownVcp

#: Lines are joined up to this size before they are sent.
CHUNK: Final = 256 * 1024


class Source(Protocol):
    """Where the changes come from."""

    def bookmark(self) -> WatchEvent | None:
        """How far the watch has come: every change up to there has been handed out. None: not even what it begins with."""
        ...

    @property
    def ended(self) -> bool:
        """Nothing more will come."""
        ...

    async def next(self, timeout: float) -> Sequence[WatchEvent]:
        """The next changes; empty at the timeout (seconds) or the end. Raises Expired or Compacted when it fell behind."""
        ...

    def close(self) -> None: ...


class View(Protocol):
    """How the objects of a stream look, and how the stream is framed."""

    @property
    def content_type(self) -> str: ...

    @property
    def form(self) -> str | None:
        """Names what this view makes of an event, where that depends on the event alone; views with the same name make the same."""
        ...

    def object(self, value: bytes) -> bytes:
        """A document as this client wants it."""
        ...

    def bookmark(self, value: bytes) -> bytes:
        """The same for a document that carries nothing but a revision."""
        ...

    def frame(self, kind: str, document: bytes) -> bytes:
        """An event."""
        ...

    def error(self, status: Json) -> bytes:
        """The event that ends a stream which cannot go on."""
        ...


class JsonLines:
    """One event a line."""

    __slots__ = ()

    content_type = JSON

    def frame(self, kind: str, document: bytes) -> bytes:
        return b'{"type":"%b","object":%b}\n' % (kind.encode(), document)

    def error(self, status: Json) -> bytes:
        return self.frame("ERROR", orjson.dumps(status))


class PlainView(JsonLines):
    """The documents as they are: no JSON work."""

    __slots__ = ()

    form: Final = "json"

    def object(self, value: bytes) -> bytes:
        return value

    def bookmark(self, value: bytes) -> bytes:
        return value


class WatchStreams:
    """All open watch streams, so that a stop can end them in order."""

    def __init__(self, bookmark_interval: float, min_timeout: float) -> None:
        self.bookmark_interval = bookmark_interval
        self.min_timeout = min_timeout
        self.closing = False
        self._writers: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._writers)

    def lifetime(self, seconds: int | None) -> float:
        """How long a watch lasts: as asked, else a random time, so that clients do not come back all at once."""
        if seconds:
            return float(max(0, seconds))
        return self.min_timeout * (1 + random.random())

    def enter(self, writer: asyncio.Task[Any]) -> None:
        self._writers.add(writer)

    def leave(self, writer: asyncio.Task[Any]) -> None:
        self._writers.discard(writer)

    def close_all(self) -> None:
        """End every stream, each with its last bookmark if it asked for them."""
        self.closing = True
        for writer in self._writers:
            writer.cancel()


class WatchStream:
    """One stream. ``run`` returns when it is over; a client that left raises ClientGone."""

    def __init__(self, streams: WatchStreams, source: Source, view: View, *, lifetime: float, bookmarks: bool) -> None:
        self._streams = streams
        self._source = source
        self._view = view
        self._lifetime = lifetime
        self._bookmarks = bookmarks

    async def run(self, outlet: Outlet) -> None:
        writer = asyncio.current_task()
        assert writer is not None
        self._streams.enter(writer)
        try:
            await self._copy(outlet)
            await self._bookmark(outlet)
        except asyncio.CancelledError:
            if not self._streams.closing:
                raise
            await self._bookmark(outlet)
        except Compacted as error:
            await outlet.send(self._view.error(Expired(str(error)).status()))
        except UnknownVcp:
            return
        except ApiError as error:
            await outlet.send(self._view.error(error.status()))
        finally:
            self._streams.leave(writer)

    async def _copy(self, outlet: Outlet) -> None:
        """Events and bookmarks until the time is over, the source ends or the server stops."""
        clock: Callable[[], float] = asyncio.get_running_loop().time
        end = clock() + self._lifetime
        bookmark = clock() + self._streams.bookmark_interval if self._bookmarks else end
        source = self._source
        while not self._streams.closing:
            wait = min(end, bookmark) - clock()
            events = await source.next(max(wait, 0.0))
            if events:
                await self._send(outlet, events)
            elif source.ended:
                return
            now = clock()
            if now >= end:
                return
            if now >= bookmark:
                await self._bookmark(outlet)
                bookmark = now + self._streams.bookmark_interval

    async def _send(self, outlet: Outlet, events: Sequence[WatchEvent]) -> None:
        for chunk in self._chunks(events):
            await outlet.send(chunk)

    def _chunks(self, events: Sequence[WatchEvent]) -> Iterable[bytes]:
        """The events as bytes; those that several streams see are encoded for the first, and the others take it from there."""
        form = self._view.form
        if form is None or not isinstance(events, Seen):
            return self._encode(events)
        chunks = events.chunks.get(form)
        if chunks is None:
            chunks = events.chunks[form] = list(self._encode(events))
        return chunks

    def _encode(self, events: Sequence[WatchEvent]) -> Iterator[bytes]:
        lines: list[bytes] = []
        size = 0
        view = self._view
        for kind, item in events:
            line = view.frame(kind, view.bookmark(item.value) if kind == BOOKMARK else view.object(item.value))
            lines.append(line)
            size += len(line)
            if size >= CHUNK:
                yield b"".join(lines)
                lines, size = [], 0
        if lines:
            yield b"".join(lines)

    async def _bookmark(self, outlet: Outlet) -> None:
        if self._bookmarks and (bookmark := self._source.bookmark()) is not None:
            await self._send(outlet, (bookmark,))
