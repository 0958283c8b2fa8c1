# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A load generator: HTTP/1.1 keep-alive over verified TLS, one request in flight on each connection.

It shares the machine with the server, so it is a bare protocol: what it costs is taken from what the server could do.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

#: Makes the next request of a connection (method, path, body), or None when there is nothing more to send.
Source = Callable[[], tuple[str, str, bytes] | None]


@dataclass
class Outcome:
    """Latencies in seconds, and how many answers had each status code."""

    latencies: list[float] = field(default_factory=list)
    codes: dict[int, int] = field(default_factory=dict)
    seconds: float = 0.0
    sample: bytes = b""

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


class _Connection(asyncio.Protocol):
    """One keep-alive connection that sends the next request when the last is answered."""

    def __init__(self, source: Source, head: bytes, kind: bytes, outcome: Outcome, done: asyncio.Future[None]) -> None:
        self.source, self.head, self.kind, self.outcome, self.done = source, head, kind, outcome, done
        self.buffer = b""
        self.sent_at = 0.0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one by its methods only
        self.send()

    def send(self) -> None:
        assert self.transport is not None
        request = self.source()
        if request is None:
            self.transport.close()
            return
        method, path, body = request
        length = b"%bcontent-length: %d\r\n" % (self.kind, len(body)) if body else b""
        self.sent_at = time.perf_counter()
        self.transport.write(b"%b %b HTTP/1.1\r\n%b%b\r\n%b" % (method.encode(), path.encode(), self.head, length, body))

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.buffer[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self.buffer) < end + 4 + length:
            return
        body = self.buffer[end + 4 : end + 4 + length]
        self.buffer = self.buffer[end + 4 + length :]
        self.answered(int(head[9:12]), body)

    def answered(self, code: int, body: bytes) -> None:
        outcome = self.outcome
        outcome.latencies.append(time.perf_counter() - self.sent_at)
        outcome.codes[code] = outcome.codes.get(code, 0) + 1
        if code >= 400 and not outcome.sample:
            outcome.sample = body
        self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def run(
    host: str, port: int, tls: ssl.SSLContext, token: str, sources: Sequence[Source], *, content_type: str = "application/json"
) -> Outcome:
    """Drive one connection for each source until all are exhausted."""
    loop = asyncio.get_running_loop()
    outcome = Outcome()
    head = f"host: {host}:{port}\r\nauthorization: Bearer {token}\r\naccept: application/json\r\n".encode()
    kind = f"content-type: {content_type}\r\n".encode()
    waiting = []
    started = time.perf_counter()
    for source in sources:
        done: asyncio.Future[None] = loop.create_future()
        connection = _Connection(source, head, kind, outcome, done)
        await loop.create_connection(lambda connection=connection: connection, host, port, ssl=tls, server_hostname=host)  # type: ignore[misc]
        waiting.append(done)
    await asyncio.gather(*waiting)
    outcome.seconds = time.perf_counter() - started
    return outcome


def for_seconds(seconds: float, make: Callable[[], tuple[str, str, bytes]]) -> Source:
    """A source that ends after a time."""
    end = time.perf_counter() + seconds
    return lambda: make() if time.perf_counter() < end else None


class Session:
    """One keep-alive connection for code that waits between its requests."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str) -> None:
        self.reader, self.writer, self.head = reader, writer, head

    @classmethod
    async def open(cls, host: str, port: int, tls: ssl.SSLContext, token: str) -> Session:
        reader, writer = await asyncio.open_connection(host, port, ssl=tls, limit=1 << 24)
        return cls(reader, writer, f"host: {host}:{port}\r\nauthorization: Bearer {token}\r\naccept: application/json\r\n")

    async def request(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """The code and body of an answer."""
        length = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n" if body else ""
        self.writer.write(f"{method} {path} HTTP/1.1\r\n{self.head}{length}\r\n".encode() + body)
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        at = head.find(b"content-length:")
        size = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        return int(head[9:12]), await self.reader.readexactly(size)

    async def watch(self, path: str) -> AsyncIterator[bytes]:
        """The lines of a watch: chunks taken apart."""
        self.writer.write(f"GET {path} HTTP/1.1\r\n{self.head}\r\n".encode())
        await self.reader.readuntil(b"\r\n\r\n")
        rest = b""
        while size := int(await self.reader.readline(), 16):
            rest += (await self.reader.readexactly(size + 2))[:-2]
            *lines, rest = rest.split(b"\n")
            for line in lines:
                yield line

    def close(self) -> None:
        self.writer.close()
