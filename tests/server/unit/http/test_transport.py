# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The transport on a real socket: exclusive binding, renewal of the certificate, the orderly stop."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kplane_server.http.call import Answer
from kplane_server.http.request import Incoming, read_bounded
from kplane_server.http.response import Outlet, Response, StreamResponse, error_response
from kplane_server.http.transport import AddressInUse, Transport, bind
from kplane_server.model.errors import ApiError
from kplane_server.process import pki
from kplane_server.settings import LimitSettings

Handle = Callable[[Incoming], Awaitable[Answer]]


class Site:
    """A transport with its certificates, and a client of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.identity = pki.ensure(directory, ["127.0.0.1"], datetime.now(UTC) - timedelta(days=250))  # due for renewal
        self.listening = bind("127.0.0.1", 0)
        self.port: int = self.listening.getsockname()[1]
        self.transport: Transport | None = None

    async def serve(self, handle: Handle) -> Transport:
        self.transport = Transport(handle, self.listening, self.identity.cert_path, self.identity.key_path, LimitSettings())
        await self.transport.start()
        return self.transport

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        context = ssl.create_default_context(cadata=self.identity.ca_pem.decode())
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=context)

    async def get(self, path: str, head: str = "", body: bytes = b"", method: str = "GET") -> tuple[int, bytes]:
        reader, writer = await self.connect()
        writer.write(f"{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{head}\r\n".encode() + body)
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        return int(answer.split(b" ", 2)[1]), answer.partition(b"\r\n\r\n")[2]

    async def serial(self) -> int:
        _, writer = await self.connect()
        certificate = writer.get_extra_info("ssl_object").getpeercert()
        writer.close()
        return int(certificate["serialNumber"], 16)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    made = Site(tmp_path)
    yield made
    if made.transport is not None:
        await made.transport.stop(1.0)
    made.listening.close()


async def echo(incoming: Incoming) -> Answer:
    try:
        body = await read_bounded(incoming, 1000)
    except ApiError as error:
        return error_response(error)
    return Response(200, f"{incoming.method} {incoming.path} {incoming.query_string} {len(body)}".encode(), "text/plain")


def test_a_port_is_ours_alone() -> None:
    with bind("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(AddressInUse, match=rf"127\.0\.0\.1:{port} is already in use by process \d+"):
            bind("127.0.0.1", port)
    bind("127.0.0.1", port).close()


def test_a_port_that_others_would_share_is_refused_too() -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(AddressInUse):
            bind("127.0.0.1", other.getsockname()[1])


def test_an_address_of_another_machine_is_an_os_error() -> None:
    with pytest.raises(OSError, match="assign"):
        bind("192.0.2.1", 0)


async def test_requests_and_answers(site: Site) -> None:
    await site.serve(echo)
    assert await site.get("/a%2Fb?c=%2F") == (200, b"GET /a/b c=%2F 0")
    assert await site.get("/", "content-length: 3\r\n", b"abc", "POST") == (200, b"POST /  3")
    assert (await site.get("/", "content-length: 5000\r\n", b"x" * 5000, "POST"))[0] == 413
    assert await site.get("/", method="HEAD") == (200, b"")


async def test_a_stream_is_flushed_and_its_end_is_clean(site: Site) -> None:
    closed = asyncio.Event()
    go_on = asyncio.Event()

    async def run(outlet: Outlet) -> None:
        await outlet.send(b"one\n")
        await go_on.wait()
        await outlet.send(b"two\n")

    async def handle(_: Incoming) -> Answer:
        return StreamResponse(run, closed.set)

    await site.serve(handle)
    reader, writer = await site.connect()
    writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    assert b"one\n" in await asyncio.wait_for(reader.readuntil(b"one\n"), 5)
    assert not closed.is_set()
    go_on.set()
    assert b"two\n" in await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), 5)
    await asyncio.wait_for(closed.wait(), 5)
    writer.close()


async def test_a_client_that_leaves_ends_its_stream(site: Site) -> None:
    closed = asyncio.Event()

    async def run(outlet: Outlet) -> None:
        await outlet.send(b"one\n")
        await asyncio.Event().wait()

    async def handle(_: Incoming) -> Answer:
        return StreamResponse(run, closed.set)

    await site.serve(handle)
    reader, writer = await site.connect()
    writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    await asyncio.wait_for(reader.readuntil(b"one\n"), 5)
    writer.transport.abort()
    await asyncio.wait_for(closed.wait(), 5)


async def test_a_renewed_certificate_is_taken_up_while_streams_go_on(site: Site) -> None:
    ends = asyncio.Event()

    async def run(outlet: Outlet) -> None:
        await outlet.send(b"one\n")
        await ends.wait()
        await outlet.send(b"two\n")

    async def handle(incoming: Incoming) -> Answer:
        return StreamResponse(run, lambda: None) if incoming.path == "/stream" else await echo(incoming)

    transport = await site.serve(handle)
    before = await site.serial()
    reader, writer = await site.connect()
    writer.write(b"GET /stream HTTP/1.1\r\nhost: x\r\n\r\n")
    await asyncio.wait_for(reader.readuntil(b"one\n"), 5)
    pki.ensure(site.directory, ["127.0.0.1"], datetime.now(UTC))
    await transport.renew()
    answered = 0
    for _ in range(20):
        with suppress(ConnectionResetError, BrokenPipeError, IndexError):  # closed before its first request, which clients try again
            assert (await site.get("/"))[0] == 200
            answered += 1
    assert answered >= 18, "connections are served while listeners change"
    serials = {await site.serial() for _ in range(10)}
    assert before not in serials
    ends.set()
    assert b"two\n" in await asyncio.wait_for(reader.readuntil(b"two\n"), 5)
    writer.close()


async def test_a_stop_lets_answers_finish(site: Site) -> None:
    started = asyncio.Event()

    async def handle(incoming: Incoming) -> Answer:
        started.set()
        await asyncio.sleep(0.2)
        return await echo(incoming)

    transport = await site.serve(handle)
    request = asyncio.create_task(site.get("/slow"))
    await started.wait()
    await transport.stop()
    assert await request == (200, b"GET /slow  0")
    with pytest.raises(OSError):  # noqa: PT011
        await site.connect()


async def test_a_stop_cuts_what_does_not_end(site: Site) -> None:
    started = asyncio.Event()
    cut = asyncio.Event()

    async def handle(_: Incoming) -> Answer:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cut.set()
        raise AssertionError("not reached")

    transport = await site.serve(handle)
    request = asyncio.create_task(site.get("/never"))
    await started.wait()
    await transport.stop(0.1)
    assert cut.is_set()
    with pytest.raises((AssertionError, IndexError, ConnectionError, ValueError)):
        assert (await request)[0] < 500


async def test_a_client_that_leaves_in_the_middle_harms_nobody(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    started = asyncio.Event()

    async def handle(incoming: Incoming) -> Answer:
        if incoming.path == "/slow":
            started.set()
            await asyncio.sleep(0.3)
        return await echo(incoming)

    await site.serve(handle)
    _, writer = await site.connect()
    writer.write(b"POST /slow HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\nhalf")
    await started.wait()
    writer.transport.abort()
    await asyncio.sleep(0.5)
    assert (await site.get("/"))[0] == 200
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
