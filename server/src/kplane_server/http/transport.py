# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only file that knows the HTTP library: granian, embedded in this process's event loop, in RSGI mode over TLS.

Chosen by measurement (design 5.5). The listening socket is ours, not granian's: it is bound exclusively, so that a busy port is an
error and not a silent share (granian's own sets SO_REUSEPORT), and it outlives a listener, so that a renewed certificate is taken up
by starting a second listener on it and draining the first: no connection is refused meanwhile, and no answer is cut.

TLS 1.3 is the least that is spoken. Go, Python 3.11 with OpenSSL, Node and Java clients that can speak to Kubernetes 1.34 all have it.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from granian._granian import RSGIProtocolClosed, RSGIProtocolError, SocketHolder
from granian.constants import Interfaces, SSLProtocols
from granian.http import HTTP1Settings, HTTP2Settings
from granian.log import LogLevels
from granian.server.embed import Server

from kplane_server.http.call import Answer
from kplane_server.http.request import Incoming
from kplane_server.http.response import ClientGone, Response, StreamResponse
from kplane_server.model.errors import BadRequest
from kplane_server.settings import LimitSettings

log = logging.getLogger(__name__)

BACKLOG: Final = 4096
#: Streams of one HTTP/2 connection; a client-go process multiplexes all its watches over one.
MAX_CONCURRENT_STREAMS: Final = 1000
#: How long a client may take to send its header section, in milliseconds.
HEADER_READ_TIMEOUT: Final = 30_000
#: How often an HTTP/2 client is asked whether it is still there, in milliseconds; TCP does the same for HTTP/1.1 (see ``bind``).
HTTP2_PING_INTERVAL: Final = 30_000
#: An idle connection is probed after so many seconds, so often (seconds), and so many times: dead peers free their watches in 2 minutes.
KEEPALIVE: Final = (60, 15, 4)
#: How long an orderly stop waits for answers that are under way, in seconds.
DRAIN_TIMEOUT: Final = 10.0
#: How long it waits for answers that it has cut, in seconds.
CUT_TIMEOUT: Final = 2.0

#: How much of a body that was refused is still taken in, and for how long (seconds): a client that sends cannot read.
MAX_DISCARDED: Final = 16 * 1024 * 1024
DISCARD_TIMEOUT: Final = 5.0

_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})

Handle = Callable[[Incoming], Awaitable[Answer]]


class AddressInUse(Exception):
    """Somebody else listens on the address. The message names it, and who where the system tells."""


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to the address, for us alone. Raises :class:`AddressInUse`, or OSError for an address that is not ours."""
    family, kind, protocol, _, address = socket.getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # accepted connections inherit these
        for option, value in zip(("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT"), KEEPALIVE, strict=True):
            if hasattr(socket, option):
                listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
        listener.bind(address)
        listener.listen(BACKLOG)  # only now is the address surely ours
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise AddressInUse(f"{host}:{port} is already in use{_holder(port)}") from error
        raise
    listener.setblocking(False)
    return listener


def _holder(port: int) -> str:
    """`` by process 12 (nginx)``, where /proc tells (our own processes, or all for root)."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    for process in Path("/proc").glob("[0-9]*") if inodes else ():
        try:
            if any(os.readlink(fd) in inodes for fd in (process / "fd").iterdir()):
                return f" by process {process.name} ({(process / 'comm').read_text().strip()})"
        except OSError:
            continue
    return ""


class Listener(Server):
    """One generation of a listener: granian on a copy of our socket, with the certificate as it was at the start."""

    def __init__(self, target: Any, listening: socket.socket, certificate: Path, key: Path, limits: LimitSettings) -> None:
        self._listening = listening
        address = listening.getsockname()
        super().__init__(
            target,
            address[0],
            address[1],
            interface=Interfaces.RSGI,
            websockets=False,
            backlog=BACKLOG,
            backpressure=limits.max_connections,
            http1_settings=HTTP1Settings(header_read_timeout=HEADER_READ_TIMEOUT, max_buffer_size=limits.max_header_bytes),
            http2_settings=HTTP2Settings(
                max_concurrent_streams=MAX_CONCURRENT_STREAMS,
                max_headers_size=limits.max_header_bytes,
                keep_alive_interval=HTTP2_PING_INTERVAL,
            ),
            log_access=False,
            log_level=LogLevels.error,
            log_dictconfig={"incremental": True, "handlers": {}, "loggers": {"_granian": {}}},  # install nothing, close nothing
            ssl_cert=certificate,
            ssl_key=key,
            ssl_protocol_min=SSLProtocols.tls13,
        )

    def close(self) -> None:
        """Accept no more; ``serve`` returns when the connections are drained."""
        self.interrupt_signal = True
        self.main_loop_interrupt.set()

    def _init_shared_socket(self) -> None:
        # granian's stubs leave this constructor out; granian itself pickles these holders through it.
        holder: Any = SocketHolder
        self._shd = holder(os.dup(self._listening.fileno()), False, BACKLOG)


class RsgiIncoming:
    """An RSGI scope and protocol as an :class:`Incoming`."""

    __slots__ = ("_body_read", "_chunks", "_headers", "_protocol", "client", "method", "path", "query_string")

    def __init__(self, scope: Any, protocol: Any) -> None:
        self._body_read = False
        self._chunks: AsyncIterator[bytes] | None = None
        self.method: str = scope.method
        self.path: str = scope.path
        self.query_string: str = scope.query_string
        self.client: str = scope.client
        self._headers = scope.headers
        self._protocol = protocol

    def header(self, name: str) -> str | None:
        value: str | None = self._headers.get(name)
        return value

    def header_values(self, name: str) -> list[str]:
        return list(self._headers.get_all(name))

    def header_names(self) -> list[str]:
        names: list[str] = self._headers.keys()
        return names

    def headers(self) -> list[tuple[str, str]]:
        return list(self._headers.items())

    async def body_chunks(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._stream():
                yield chunk
        except _BODY_ERRORS as error:
            raise _broken_body() from error
        self._body_read = True

    def _stream(self) -> AsyncIterator[bytes]:
        """The rest of the body: granian hands out its iterator once only, so whoever goes on must go on with the same."""
        if self._chunks is None:
            self._chunks = _chunks_of(self._protocol)
        return self._chunks

    async def read_body(self) -> bytes:
        self._body_read = True
        try:
            body: bytes = await self._protocol()
        except _BODY_ERRORS as error:
            raise _broken_body() from error
        return body

    @property
    def body_pending(self) -> bool:
        """Whether the client may still be sending a body that nobody has read."""
        if self._body_read:
            return False
        headers = self._headers
        length = headers.get("content-length")
        if length is not None:
            return bool(length != "0")
        return "transfer-encoding" in headers or self.method in _WITH_BODY  # HTTP/2 need not announce a body at all

    async def discard_body(self) -> None:
        """Take in what the client is sending, within bounds, so that it is ready to read an answer that refuses it."""
        left = MAX_DISCARDED
        with suppress(TimeoutError, *_BODY_ERRORS):
            async with asyncio.timeout(DISCARD_TIMEOUT):
                async for chunk in self._stream():
                    left -= len(chunk)
                    if left < 0:
                        return


async def _chunks_of(protocol: Any) -> AsyncIterator[bytes]:
    async for chunk in protocol:
        yield chunk


def _broken_body() -> BadRequest:
    return BadRequest("the body of the request is malformed or incomplete")


_BODY_ERRORS: Final = (RSGIProtocolClosed, RSGIProtocolError)


class _StreamOutlet:
    """The writing end of a stream."""

    __slots__ = ("_transport",)

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    async def send(self, data: bytes) -> None:
        try:
            await self._transport.send_bytes(data)
        except RSGIProtocolClosed as error:
            raise ClientGone from error


class Transport:
    """Serves a handler over TLS on a socket. ``start`` returns when connections are accepted; ``stop`` when all answers are out."""

    def __init__(self, handle: Handle, listening: socket.socket, certificate: Path, key: Path, limits: LimitSettings) -> None:
        self._handle = handle
        self._listening = listening
        self._certificate = certificate
        self._key = key
        self._limits = limits
        self._listener: Listener | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._answering: set[asyncio.Task[Any]] = set()

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._answering.add(task)
        try:
            await self._answer(scope, protocol)
        except asyncio.CancelledError:
            # The client left, or the stop has waited long enough: nobody reads an answer. granian would log this as a failure.
            log.debug("%s %s was cut", scope.method, scope.path)
        finally:
            self._answering.discard(task)

    async def _answer(self, scope: Any, protocol: Any) -> None:
        incoming = RsgiIncoming(scope, protocol)
        answer = await self._handle(incoming)
        if isinstance(answer, StreamResponse):
            await self._stream(answer, protocol)
            return
        if incoming.body_pending and answer.status != HTTPStatus.GATEWAY_TIMEOUT:  # who sent nothing for so long sends nothing now
            await incoming.discard_body()
        # An answer to HEAD must have no body, which HTTP/2 is strict about.
        body = answer.body if incoming.method != "HEAD" else b""
        protocol.response_bytes(answer.status, _headers(answer), body)

    async def _stream(self, answer: StreamResponse, protocol: Any) -> None:
        """Write a stream until it ends or the client leaves; the client's leaving wakes a writer that waits for something to say."""
        writer = asyncio.current_task()
        assert writer is not None
        gone = asyncio.ensure_future(protocol.client_disconnect())
        left = False

        def client_left(_: object) -> None:
            nonlocal left
            left = True
            writer.cancel()

        try:
            outlet = _StreamOutlet(protocol.response_stream(answer.status, _headers(answer)))
            gone.add_done_callback(client_left)
            await answer.run(outlet)
        except ClientGone:
            pass
        except asyncio.CancelledError:
            if not left:
                raise
        except Exception:
            log.exception("a stream failed")
        finally:
            gone.remove_done_callback(client_left)
            gone.cancel()
            answer.close()

    async def start(self) -> None:
        """Begin to accept connections."""
        await self._begin()

    async def renew(self) -> None:
        """Take up the certificate files as they are now.

        Answers under way keep their connection until they end. Idle connections are closed; clients open another, as they must at
        any time, and a connection that is closed before its first request is one that they try again.
        """
        old = self._listener
        await self._begin()
        if old is not None:
            old.close()
            log.info("the serving certificate was renewed; new connections use it")

    async def _begin(self) -> None:
        listener = Listener(self, self._listening, self._certificate, self._key, self._limits)
        task = asyncio.create_task(listener.serve(), name="listener")
        self._serving.add(task)
        task.add_done_callback(self._ended)
        self._listener = listener
        while not listener.wrks and not task.done():
            await asyncio.sleep(0)
        if task.done():
            await task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._serving.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a listener failed", exc_info=error)

    async def stop(self, timeout: float = DRAIN_TIMEOUT) -> None:
        """Accept no more, let answers under way finish (at most ``timeout`` seconds), close."""
        if self._listener is not None:
            self._listener.close()
        if self._serving:
            _, late = await asyncio.wait(self._serving, timeout=timeout)
            if late:
                log.warning("%d answers were still under way after %.0f seconds; they are cut", len(self._answering), timeout)
                for task in self._answering:
                    task.cancel()
                await asyncio.wait(late, timeout=CUT_TIMEOUT)
        self._listening.close()


def _headers(answer: Response | StreamResponse) -> list[tuple[str, str]]:
    return [("content-type", answer.content_type), *answer.headers]
