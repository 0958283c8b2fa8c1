# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server under measurement: a real process, started as people start it, and what the kernel says of its memory."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from support.client import Client
from support.server import Server


@contextmanager
def running(folder: Path, name: str = "data") -> Iterator[Server]:
    server = Server(folder / name)
    try:
        yield server.start(120)
    finally:
        server.stop(60)


def endpoint(client: Client) -> tuple[str, int, ssl.SSLContext, str, str]:
    """Host, port, TLS, token and path prefix for :func:`benchmarks.load.run`."""
    parts = urlsplit(client.base)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port, ssl.create_default_context(cadata=client.ca), client.token, parts.path


def resident_kib(server: Server) -> int:
    """The resident set of the server process in KiB."""
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
