# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a change takes to reach its watchers under load."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import uvloop
from support.client import Client
from support.objects import config_map

from benchmarks.report import Figure
from benchmarks.target import endpoint, running

WATCHERS, RATE, SECONDS = 100, 1_000, 5


def measure(folder: Path) -> list[Figure]:
    with running(folder) as server:
        lags, written = uvloop.run(_lags(server.create_vcp("bench")))
    ordered = sorted(lags)
    expected = written * WATCHERS
    text = (
        f"p50 {ordered[len(ordered) // 2] * 1e3:.1f} ms, p99 {ordered[int(len(ordered) * 0.99)] * 1e3:.1f} ms "
        f"({written / SECONDS:,.0f} writes/s, {len(ordered):,} of {expected:,} events)"
    )
    return [Figure(f"watch lag, {WATCHERS} watchers, {RATE:,} writes/s", "p99 <= 20 ms", text)]


async def _lags(vcp: Client) -> tuple[list[float], int]:
    host, port, tls, token, base = endpoint(vcp)
    maps = f"{base}/api/v1/namespaces/default/configmaps"
    head = f"host: {host}:{port}\r\nauthorization: Bearer {token}\r\naccept: application/json\r\n"
    lags: list[float] = []

    async def watch() -> None:
        reader, writer = await asyncio.open_connection(host, port, ssl=tls, limit=1 << 22)
        query = f"watch=1&resourceVersion=0&timeoutSeconds={SECONDS + 5}&labelSelector=bench"
        writer.write(f"GET {maps}?{query} HTTP/1.1\r\n{head}\r\n".encode())
        marker = b'"sent":"'
        try:
            while line := await reader.readline():
                at = line.find(marker)
                if at >= 0:
                    start = at + len(marker)
                    lags.append(time.time() - float(line[start : line.index(b'"', start)]))
        finally:
            writer.close()

    watchers = [asyncio.create_task(watch()) for _ in range(WATCHERS)]
    await asyncio.sleep(1.0)
    written = 0

    async def write(share: int, of: int) -> None:
        nonlocal written
        reader, writer = await asyncio.open_connection(host, port, ssl=tls)
        began = time.perf_counter()
        for number in range(RATE * SECONDS // of):
            due = began + number * of / RATE
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            if time.perf_counter() - began > SECONDS:
                break
            document = config_map(f"l-{share}-{number}", {"sent": f"{time.time():.6f}"}, labels={"bench": ""})
            body = json.dumps(document, separators=(",", ":")).encode()
            writer.write(
                f"POST {maps} HTTP/1.1\r\n{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
            )
            answer = await reader.readuntil(b"\r\n\r\n")
            length = int(answer.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
            await reader.readexactly(length)
            written += 1
        writer.close()

    await asyncio.gather(*(write(share, 16) for share in range(16)))
    await asyncio.sleep(1.0)
    for task in watchers:
        task.cancel()
    await asyncio.gather(*watchers, return_exceptions=True)
    return lags, written
