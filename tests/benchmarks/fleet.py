# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thousands of VCPs: making, keeping, starting with and deleting them."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import uvloop
from support.client import Client
from support.server import GROUP, Server

from benchmarks import load
from benchmarks.report import Figure
from benchmarks.target import endpoint, resident_kib, running

COUNT = int(os.environ.get("KPLANE_BENCH_VCPS", "10000"))
AT_ONCE = 12


def measure(folder: Path) -> list[Figure]:
    figures = []
    with running(folder) as server:
        _settle(server, 5)
        before = resident_kib(server)
        outcome = _create(server.root, AT_ONCE, COUNT)
        failed = sum(count for code, count in outcome.codes.items() if code >= 400)
        figures.append(
            Figure(
                f"create to Ready, {AT_ONCE} at a time",
                "p50 <= 5 ms, 1,000/s",
                f"p50 {_latency(outcome, 0.5):.1f} ms, p99 {_latency(outcome, 0.99):.1f} ms, {COUNT / outcome.seconds:,.0f} VCPs/s"
                + (f", {failed} FAILED: {outcome.sample[:200]!r}" if failed else ""),
            )
        )
        _settle(server, 30)
        grown = resident_kib(server) - before
        figures.append(
            Figure(
                f"memory per idle VCP at {COUNT:,}",
                "<= 8 KiB",
                f"{grown / COUNT:.1f} KiB ({before / 1024:.0f} MiB before, +{grown / 1024:.0f} MiB)",
            )
        )
        assert server.stop(60) == 0
        started = time.perf_counter()
        server.start(60)
        figures.append(
            Figure(
                f"cold start with {COUNT:,} VCPs until /readyz",
                "<= 1 s",
                f"{time.perf_counter() - started:.2f} s, then {resident_kib(server) / 1024:.0f} MiB resident",
            )
        )
        seconds = _delete_all(server)
        figures.append(Figure(f"delete {COUNT:,} VCPs until no key is left", "<= 30 s", f"{seconds:.1f} s"))
    return figures


def _latency(outcome: load.Outcome, share: float) -> float:
    return outcome.percentile(share) * 1e3


async def _creating(host: str, port: int, tls: ssl.SSLContext, token: str, base: str, at_once: int, count: int) -> load.Outcome:
    """Create VCPs; a latency is from sending the POST until a watch shows the VCP Ready."""
    outcome = load.Outcome()
    path = f"{base}{GROUP}/controlplanes"
    ready: dict[str, asyncio.Event] = {}

    async def follow() -> None:
        session = await load.Session.open(host, port, tls, token)
        async for line in session.watch(f"{path}?watch=1&resourceVersion=0"):
            event = json.loads(line)["object"]
            conditions = event.get("status", {}).get("conditions", [])
            if any(c["type"] == "Ready" and c["status"] == "True" for c in conditions):
                ready.setdefault(event["metadata"]["name"], asyncio.Event()).set()

    async def work(numbers: Iterator[int]) -> None:
        session = await load.Session.open(host, port, tls, token)
        for number in numbers:
            name = f"vcp-{number}"
            spec = {"classRef": {"name": "starter"}, "deletionPolicy": "Destroy"}
            body = {"apiVersion": "controlplane.kplane.dev/v1alpha1", "kind": "ControlPlane", "metadata": {"name": name}, "spec": spec}
            came = ready.setdefault(name, asyncio.Event())
            sent = time.perf_counter()
            code, answer = await session.request("POST", path, json.dumps(body).encode())
            outcome.codes[code] = outcome.codes.get(code, 0) + 1
            if code >= 400:
                outcome.sample = answer
                continue
            await came.wait()
            outcome.latencies.append(time.perf_counter() - sent)
            del ready[name]
        session.close()

    follower = asyncio.create_task(follow())
    await asyncio.sleep(0.5)
    started = time.perf_counter()
    numbers = iter(range(count))
    await asyncio.gather(*(work(numbers) for _ in range(at_once)))
    outcome.seconds = time.perf_counter() - started
    follower.cancel()
    return outcome


def _create(root: Client, at_once: int, count: int) -> load.Outcome:
    return uvloop.run(_creating(*endpoint(root), at_once, count))


def _settle(server: Server, seconds: float) -> None:
    """Until the resident set has not grown for a second, at most ``seconds``."""
    deadline, last = time.monotonic() + seconds, 0
    while time.monotonic() < deadline:
        now = resident_kib(server)
        if now <= last:
            return
        last = now
        time.sleep(1)


def _delete_all(server: Server) -> float:
    root = server.root
    host, port, tls, token, base = endpoint(root)
    numbers = itertools.count()

    def delete() -> tuple[str, str, bytes] | None:
        number = next(numbers)
        return ("DELETE", f"{base}{GROUP}/controlplanes/vcp-{number}", b"") if number < COUNT else None

    started = time.perf_counter()
    uvloop.run(load.run(host, port, tls, token, [delete] * AT_ONCE))
    while root.get(f"{GROUP}/controlplanes?limit=1").ok()["items"] or _rows(server):
        time.sleep(0.1)
    return time.perf_counter() - started


def _rows(server: Server) -> int:
    """Objects left in the VCPs, by the server's own metrics."""
    for line in server.root.get("/metrics").body.decode().splitlines():
        if line.startswith("kplane_vcps{") and 'state="wiping"' in line:
            return int(float(line.rsplit(" ", 1)[1]))
    return 0
