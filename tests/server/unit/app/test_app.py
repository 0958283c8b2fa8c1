# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The composition root, as far as it can be looked at without a whole server."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kplane_server import app
from kplane_server.http.transport import bind
from kplane_server.process import datadir, pki
from kplane_server.process.failures import ProcessError
from kplane_server.settings import ListenSettings, Settings


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        (ListenSettings(), "127.0.0.1"),
        (ListenSettings("0.0.0.0"), "127.0.0.1"),
        (ListenSettings("0.0.0.0", 1, ("plane.example", "10.0.0.1")), "10.0.0.1"),
        (ListenSettings("::1"), "::1"),
        (ListenSettings("localhost"), "127.0.0.1"),
    ],
)
def test_the_endpoint_of_the_kubernetes_service_is_an_address(listen: ListenSettings, address: str) -> None:
    assert app._advertised_address(listen) == address


def test_a_busy_port_has_its_reason(tmp_path: Path) -> None:
    with bind("127.0.0.1", 0) as taken:
        settings = Settings(tmp_path / "data", listen=ListenSettings(port=taken.getsockname()[1]))
        with pytest.raises(ProcessError) as refused:
            app.run(settings)
    assert refused.value.reason == "PortInUse"
    assert datadir.running(tmp_path / "data") is None


def test_an_address_of_another_machine_has_its_reason(tmp_path: Path) -> None:
    with pytest.raises(ProcessError) as refused:
        app.run(Settings(tmp_path / "data", listen=ListenSettings("192.0.2.1", 1)))
    assert refused.value.reason == "AddressUnusable"


class Renewals:
    """Stands where the transport does."""

    def __init__(self, fail: int = 0) -> None:
        self.count = 0
        self.fail = fail

    async def renew(self) -> None:
        self.count += 1
        if self.count <= self.fail:
            raise OSError("no")


async def test_the_certificate_is_renewed_once_it_is_due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "CERTIFICATE_INTERVAL", 0.01)
    with datadir.open(tmp_path) as data, bind("127.0.0.1", 0) as listening:
        server = app.Server(Settings(tmp_path), data, listening)
        names = [*pki.local_names(), "127.0.0.1"]
        old = pki.ensure(data.path, names, datetime.now(UTC) - timedelta(days=300))
        renewals = Renewals(fail=1)
        task = asyncio.create_task(server._keep_certificate(old, renewals))  # type: ignore[arg-type]
        while renewals.count < 2:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        task.cancel()
    assert renewals.count == 2, "a failure is tried again, a success is not"


async def test_the_end_of_the_parent_is_noticed(tmp_path: Path) -> None:
    with datadir.open(tmp_path) as data, bind("127.0.0.1", 0) as listening:
        server = app.Server(Settings(tmp_path), data, listening)
        parent = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=asyncio.subprocess.PIPE)
        watching = asyncio.create_task(server._watch_parent(parent.pid))
        await asyncio.sleep(0.05)
        assert not watching.done()
        parent.kill()
        await asyncio.wait_for(watching, 5)
        await parent.wait()
        await asyncio.wait_for(server._watch_parent(parent.pid), 5)
        assert server._stopping.is_set()
