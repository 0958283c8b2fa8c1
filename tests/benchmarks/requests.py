# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads and durable writes of single objects."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import uvloop
from support.objects import config_map

from benchmarks import load
from benchmarks.report import Figure
from benchmarks.target import endpoint, running

READERS, WRITERS, CREATES = 32, 64, 20_000


def measure(folder: Path) -> list[Figure]:
    with running(folder) as server:
        vcp = server.create_vcp("bench")
        host, port, tls, token, base = endpoint(vcp)
        maps = f"{base}/api/v1/namespaces/default/configmaps"
        vcp.post("/api/v1/namespaces/default/configmaps", config_map("one", {"k": "v" * 300})).ok()
        for number in range(100):
            vcp.post("/api/v1/namespaces/kube-public/configmaps", config_map(f"c{number}", {"k": "v" * 300})).ok()

        def read(path: str, seconds: float = 5.0) -> load.Outcome:
            sources = [load.for_seconds(seconds, lambda: ("GET", path, b"")) for _ in range(READERS)]
            return uvloop.run(load.run(host, port, tls, token, sources))

        read(f"{maps}/one", 1.0)
        single = read(f"{maps}/one")
        listed = read(f"{base}/api/v1/namespaces/kube-public/configmaps")
        numbers = itertools.count()
        body = config_map("@", {"k": "v" * 700})

        def create() -> tuple[str, str, bytes] | None:
            number = next(numbers)
            if number >= CREATES:
                return None
            return "POST", maps, json.dumps(body).replace('"@"', f'"w{number}"').encode()

        created = uvloop.run(load.run(host, port, tls, token, [create] * WRITERS))
    return [
        Figure("single-object GET", ">= 10,000/s", _show(single, READERS)),
        Figure("LIST of 101 ConfigMaps", "", _show(listed, READERS)),
        Figure("durable CREATE, 1 KiB, 64 writers", ">= 3,000/s", _show(created, WRITERS)),
    ]


def _show(outcome: load.Outcome, connections: int) -> str:
    failed = sum(count for code, count in outcome.codes.items() if code >= 400)
    p50, p99 = outcome.percentile(0.5) * 1e3, outcome.percentile(0.99) * 1e3
    text = f"{outcome.rate:,.0f}/s (p50 {p50:.1f} ms, p99 {p99:.1f} ms, {connections} connections)"
    return text + (f", {failed} FAILED: {outcome.sample[:200]!r}" if failed else "")
