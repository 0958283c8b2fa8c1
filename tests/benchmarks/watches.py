# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a change takes to reach its watchers under load."""

from __future__ import annotations

import asyncio
import json
import re
import time
from pathlib import Path
from typing import cast

import uvloop
from support.client import Client
from support.objects import config_map

from benchmarks.load import Session
from benchmarks.report import Figure
from benchmarks.target import endpoint, running

SECONDS = 5
#: (watchers, writes a second): the same number of events in both.
CASES = ((100, 1_000), (1_000, 100))
#: Watchers whose events are timed. The rest are read and counted, or the reading would be what is measured.
TIMED = 10
WRITERS = 16
_SENT = re.compile(rb'"sent":"([0-9.]+)"')


def measure(folder: Path) -> list[Figure]:
    figures = []
    for watchers, rate in CASES:
        with running(folder, f"data-{watchers}") as server:
            lags, written, received = uvloop.run(_lags(server.create_vcp("bench"), watchers, rate))
        lags.sort()
        text = (
            f"p50 {lags[len(lags) // 2] * 1e3:.1f} ms, p99 {lags[int(len(lags) * 0.99)] * 1e3:.1f} ms "
            f"({written / SECONDS:,.0f} writes/s, {received:,} of {written * watchers:,} events)"
        )
        figures.append(Figure(f"watch lag, {watchers:,} watchers, {rate:,} writes/s", "p99 <= 20 ms" if watchers == 100 else "", text))
    return figures


class _Watcher(asyncio.Protocol):
    """Reads a watch as fast as it comes: counts the events, and times them if it is one of the timed."""

    def __init__(self, request: bytes, lags: list[float] | None) -> None:
        self.request, self.lags, self.events = request, lags, 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        if self.lags is None:
            self.events += data.count(b'"sent":"')
            return
        now = time.time()
        found = _SENT.findall(data)
        self.events += len(found)
        self.lags.extend(now - float(sent) for sent in found)


async def _lags(vcp: Client, watchers: int, rate: int) -> tuple[list[float], int, int]:
    """Lags in seconds, how many writes there were, and how many events came."""
    host, port, tls, token, base = endpoint(vcp)
    maps = f"{base}/api/v1/namespaces/default/configmaps"
    head = f"host: {host}:{port}\r\nauthorization: Bearer {token}\r\naccept: application/json\r\n"
    query = "watch=1&resourceVersion=0&timeoutSeconds=120&labelSelector=bench"
    request = f"GET {maps}?{query} HTTP/1.1\r\n{head}\r\n".encode()
    lags: list[float] = []
    loop = asyncio.get_running_loop()
    open_watches = []
    for number in range(watchers):
        timed = lags if number % (watchers // TIMED) == 0 else None
        _, watcher = await loop.create_connection(lambda timed=timed: _Watcher(request, timed), host, port, ssl=tls, server_hostname=host)  # type: ignore[misc]
        open_watches.append(watcher)
    await asyncio.sleep(2.0)
    began = time.perf_counter()

    async def write(share: int) -> int:
        session = await Session.open(host, port, tls, token)
        done = 0
        for number in range(rate * SECONDS // WRITERS):
            await asyncio.sleep(max(0.0, began + number * WRITERS / rate - time.perf_counter()))
            if time.perf_counter() - began > SECONDS:
                break
            document = config_map(f"l-{share}-{number}", {"sent": f"{time.time():.6f}"}, labels={"bench": ""})
            await session.request("POST", maps, json.dumps(document, separators=(",", ":")).encode())
            done += 1
        session.close()
        return done

    written = sum(await asyncio.gather(*(write(share) for share in range(WRITERS))))
    await asyncio.sleep(1.0)
    for watcher in open_watches:
        watcher.transport.close()
    return lags, written, sum(watcher.events for watcher in open_watches)
