# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The noisy neighbour: how much slower a quiet VCP becomes while another one writes, or lists, as fast as it can."""

from __future__ import annotations

import asyncio
import itertools
import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import uvloop
from support.client import Client
from support.objects import config_map

from benchmarks import load
from benchmarks.report import Figure
from benchmarks.target import endpoint, running

#: The flood comes from a process of its own, so that the quiet client measures the server and not its neighbour in its own loop.
FLOOD, SECONDS = 64, 6.0


def measure(folder: Path) -> list[Figure]:
    with running(folder) as server:
        quiet, noisy = server.create_vcp("quiet"), server.create_vcp("noisy")
        maps = "/api/v1/namespaces/default/configmaps"
        quiet.post(maps, config_map("one", {"k": "v" * 300})).ok()
        for number in range(100):
            noisy.post(maps, config_map(f"listed{number}", {"k": "v" * 300})).ok()
        alone = uvloop.run(_together(quiet, None, ""))
        writing = uvloop.run(_together(quiet, noisy, "write"))
        reading = uvloop.run(_together(quiet, noisy, "list"))
    return [
        *_figures("quiet VCP alone", alone, None),
        *_figures(f"beside {FLOOD} writers of another VCP", writing, alone),
        *_figures(f"beside {FLOOD} listers of another VCP", reading, alone),
    ]


_Outcomes = tuple[load.Outcome, load.Outcome, load.Outcome | None]


async def _together(quiet: Client, noisy: Client | None, what: str) -> _Outcomes:
    """One reader and one writer in the quiet VCP, while the other is flooded."""
    loop = asyncio.get_running_loop()
    processes = ProcessPoolExecutor(1, get_context("spawn"))
    flood = loop.run_in_executor(processes, flood_now, noisy, what) if noisy is not None else None
    host, port, tls, token, base = endpoint(quiet)
    maps = f"{base}/api/v1/namespaces/default/configmaps"
    numbers = itertools.count()
    body = json.dumps(config_map("@", {"k": "v" * 300}))

    def create() -> tuple[str, str, bytes]:
        return "POST", maps, body.replace('"@"', f'"q{what}{next(numbers)}"').encode()

    await asyncio.sleep(2.0 if flood is not None else 0.0)  # the other process starts
    reads, writes = await asyncio.gather(
        load.run(host, port, tls, token, [load.for_seconds(SECONDS - 2, lambda: ("GET", f"{maps}/one", b""))]),
        load.run(host, port, tls, token, [load.for_seconds(SECONDS - 2, create)]),
    )
    return reads, writes, await flood if flood is not None else None


def flood_now(noisy: Client, what: str) -> load.Outcome:
    """The work of the other process."""
    return uvloop.run(_flood(noisy, what))


async def _flood(noisy: Client, what: str) -> load.Outcome:
    host, port, tls, token, base = endpoint(noisy)
    maps = f"{base}/api/v1/namespaces/default/configmaps"
    numbers = itertools.count()
    body = json.dumps(config_map("@", {"k": "v" * 700}))

    def create() -> tuple[str, str, bytes]:
        return "POST", maps, body.replace('"@"', f'"n{next(numbers)}"').encode()

    def listing() -> tuple[str, str, bytes]:
        return "GET", f"{maps}?limit=100", b""

    source = create if what == "write" else listing
    return await load.run(host, port, tls, token, [load.for_seconds(SECONDS + 1, source) for _ in range(FLOOD)])


def _figures(name: str, outcomes: _Outcomes, alone: _Outcomes | None) -> list[Figure]:
    found = []
    for kind, outcome, base in zip(("GET", "CREATE"), outcomes[:2], alone[:2] if alone else (None, None), strict=True):
        assert outcome is not None
        text = f"p50 {outcome.percentile(0.5) * 1e3:.1f} ms, p99 {outcome.percentile(0.99) * 1e3:.1f} ms"
        if base is not None:
            factors = [outcome.percentile(share) / base.percentile(share) for share in (0.5, 0.99)]
            text += f" (x {factors[0]:.1f}, x {factors[1]:.1f})"
        found.append(Figure(f"{kind}, {name}", "", text))
    if (flood := outcomes[2]) is not None:
        found.append(Figure("  and the other one", "", f"{flood.rate:,.0f}/s, answers {flood.codes}"))
    return found
