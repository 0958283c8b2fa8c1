# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of the store, printed with their conditions: ``python tests/benchmarks/storage.py [--folder DIR] [--vcps N]``.

Nothing is asserted. Documents are 1 KiB. The folder decides what is measured: a real disk, or memory.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

import uvloop

from kplane_server.model.keys import ROOT_VCP_ID, ObjectKey, ResourceId, Scope, VcpId
from kplane_server.storage.api import ABSENT, Draft, Mutation, VcpRecord, VcpState
from kplane_server.storage.sqlite import SqliteStore

CONFIGMAPS = ResourceId("configmaps")
ROLES = ResourceId("clusterroles.rbac.authorization.k8s.io")
BODY = b'","data":{"text":"' + b"x" * 990 + b'"}}'


class SeventyRoles:
    """About as many objects as a VCP begins with."""

    NAMES = tuple(sorted(("", f"system:role-{n:02}") for n in range(70)))
    KNOWN = frozenset(NAMES)

    def get(self, vcp: VcpRecord, resource: ResourceId, namespace: str, name: str) -> bytes | None:
        if resource != ROLES or (namespace, name) not in self.KNOWN:
            return None
        return b'{"metadata":{"resourceVersion":"%d","name":"%s","uid":"%s"}}' % (vcp.revision, name.encode(), vcp.uid.encode())

    def names(self, vcp: VcpRecord, resource: ResourceId) -> Sequence[tuple[str, str]]:
        return self.NAMES if resource == ROLES else ()

    def resources(self, vcp: VcpRecord) -> Iterable[ResourceId]:
        return (ROLES,)


def put(vcp: VcpId, name: str, expected: int = ABSENT) -> Mutation:
    return Mutation(ObjectKey(vcp, CONFIGMAPS, "default", name), Draft(b'{"metadata":{"resourceVersion":"', BODY), expected)


def resident() -> int:
    """The resident set of this process, in bytes."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def say(what: str, figure: str) -> None:
    print(f"{what:<66} {figure}", flush=True)


async def at_once(workers: int, total: int, work: Callable[[int], Awaitable[object]]) -> str:
    """Do ``work(0..total-1)`` by a number of workers. Says how many a second, how long each took, and the processor time of each."""
    numbers, took = iter(range(total)), []

    async def worker() -> None:
        for n in numbers:
            start = time.perf_counter()
            await work(n)
            took.append(time.perf_counter() - start)

    start, used = time.perf_counter(), time.process_time()
    await asyncio.gather(*(worker() for _ in range(workers)))
    used = (time.process_time() - used) / total
    return f"{total / (time.perf_counter() - start):,.0f}/s, {spread(took)}; {used * 1e6:.0f} µs of processor each"


def spread(took: list[float]) -> str:
    cuts = statistics.quantiles(took, n=100)
    return f"p50 {cuts[49] * 1e3:.2f} ms, p99 {cuts[98] * 1e3:.2f} ms, max {max(took) * 1e3:.1f} ms"


async def loop_lag(stop: asyncio.Event) -> list[float]:
    """How late a sleep of one millisecond returns, for as long as it is measured."""
    late = []
    while not stop.is_set():
        start = time.perf_counter()
        await asyncio.sleep(0.001)
        late.append(time.perf_counter() - start - 0.001)
    return late


async def writes(folder: Path, synchronous: Literal["FULL", "NORMAL"]) -> None:
    store = SqliteStore.open(folder / f"writes-{synchronous}.db", layer=SeventyRoles(), synchronous=synchronous)
    say(f"create, 1 writer, {synchronous}", await at_once(1, 2_000, lambda n: store.commit([put(ROOT_VCP_ID, f"one-{n}")])))
    stop = asyncio.Event()
    lag = asyncio.create_task(loop_lag(stop))
    say(f"create, 64 writers, {synchronous}", await at_once(64, 40_000, lambda n: store.commit([put(ROOT_VCP_ID, f"many-{n}")])))
    stop.set()
    say("  the loop was late meanwhile", spread(await lag))
    revisions = {n: (await store.commit([put(ROOT_VCP_ID, f"u-{n}")]))[0] for n in range(64)}
    free = list(range(64))

    async def update(_: int) -> None:
        n = free.pop()
        (revisions[n],) = await store.commit([put(ROOT_VCP_ID, f"u-{n}", revisions[n])])
        free.append(n)

    say(f"update, 64 writers, {synchronous}", await at_once(64, 20_000, update))
    await store.close()


async def reads(folder: Path) -> None:
    store = SqliteStore.open(folder / "reads.db", layer=SeventyRoles())
    await store.commit([put(ROOT_VCP_ID, f"n{n:05}") for n in range(20_000)])
    keys = [put(ROOT_VCP_ID, f"n{n:05}").key for n in range(20_000)]
    some = [random.choice(keys) for _ in range(200_000)]
    for key in keys:
        store.get(key)
    start = time.perf_counter()
    for key in some:
        store.get(key)
    say("get from memory", f"{(time.perf_counter() - start) / len(some) * 1e6:.2f} µs")
    store._cache.rotate()
    store._cache.rotate()
    random.shuffle(keys)
    start = time.perf_counter()
    for key in keys:
        store.get(key)
    say("get from the file (in the system's cache)", f"{(time.perf_counter() - start) / len(keys) * 1e6:.2f} µs")
    start = time.perf_counter()
    for _ in range(100):
        store.page(Scope(ROOT_VCP_ID, CONFIGMAPS), limit=500)
    say("page of 500", f"{(time.perf_counter() - start) * 10:.2f} ms")
    say("open a store of 20,000 objects", await _opening(store, folder / "reads.db"))


async def _opening(store: SqliteStore, path: Path) -> str:
    await store.close()
    start = time.perf_counter()
    store = SqliteStore.open(path, layer=SeventyRoles())
    took = time.perf_counter() - start
    await store.close()
    return f"{took * 1e3:.1f} ms"


async def watches(folder: Path) -> None:
    store = SqliteStore.open(folder / "watches.db", layer=SeventyRoles())
    vcps = [await store.create_vcp(f"v{n}", "u", created=1) for n in range(100)]
    idle = [store.subscribe(Scope(vcp.id, ResourceId(f"resource-{n}")), store.revision) for vcp in vcps for n in range(100)]
    figures = await at_once(64, 20_000, lambda n: store.commit([put(vcps[n % 100].id, f"n{n}")]))
    say(f"create, 64 writers, {len(idle):,} watchers of other things", figures)
    watchers = [store.subscribe(Scope(vcps[0].id, CONFIGMAPS), store.revision) for _ in range(100)]
    lags: list[float] = []
    sent: dict[str, float] = {}

    async def watch(number: int) -> None:
        while await watchers[number].wait(1):
            now = time.perf_counter()
            lags.extend(now - sent[event.key.name] for event in watchers[number].pop())

    async def write() -> None:
        for n in range(2_000):
            sent[f"w{n}"] = time.perf_counter()
            await store.commit([put(vcps[0].id, f"w{n}")])
            await asyncio.sleep(max(0.0, 0.001 - (time.perf_counter() - sent[f"w{n}"])))

    await asyncio.gather(write(), *(watch(n) for n in range(100)))
    say("from commit() to 100 watchers, 1 writer, at most 1,000 writes/s", spread(lags))
    await store.close()


async def vcps(folder: Path, number: int) -> None:
    store = SqliteStore.open(folder / "vcps.db", layer=SeventyRoles())
    before = resident()

    async def make(n: int) -> None:
        await store.create_vcp(f"v{n}", f"uid-{n}", created=1, mutations=[put(ROOT_VCP_ID, f"cp-{n}"), put(ROOT_VCP_ID, f"secret-{n}")])

    say(f"make {number:,} VCPs with 2 objects each in root, 12 at a time", await at_once(12, number, make))
    say("  growth of the resident set", f"{(resident() - before) / number:,.0f} bytes a VCP")
    ids = [record.id for record in store.vcps() if record.id != ROOT_VCP_ID]
    say("open the store", await _opening(store, folder / "vcps.db"))
    store = SqliteStore.open(folder / "vcps.db", layer=SeventyRoles())
    before = resident()
    for n in range(number):
        store.vcp(f"v{n}")
    say("look every VCP up once: growth of the resident set", f"{(resident() - before) / number:,.0f} bytes a VCP")
    figures = await at_once(64, 20_000, lambda n: store.commit([put(ids[n * 7919 % number], f"n{n}")]))
    say(f"create, 64 writers, all over {number:,} VCPs", figures)
    start = time.perf_counter()
    page = store.page(Scope(ids[0], ROLES))
    say(f"list {len(page.items)} layer objects", f"{(time.perf_counter() - start) * 1e3:.2f} ms")

    async def destroy(n: int) -> None:
        await store.set_vcp_state(ids[n], VcpState.WIPING)
        await store.wipe_vcp(ids[n])

    say(f"destroy {number:,} VCPs, 64 at a time", await at_once(64, number, destroy))
    say("size of the file", f"{store.statistics()['file_bytes'] / 2**20:.0f} MiB")
    await store.close()


async def main(folder: Path | None, number: int) -> None:
    print(f"python {platform.python_version()}, sqlite {sqlite3.sqlite_version}, {os.cpu_count()} processors, {platform.machine()}")
    with tempfile.TemporaryDirectory(prefix="kplane-bench-", dir=folder) as temporary:
        place = Path(temporary)
        print(f"load before: {os.getloadavg()[0]:.1f}; files in {place.parent}")
        await vcps(place, number)  # first: it measures the growth of memory
        await writes(place, "FULL")
        await writes(place, "NORMAL")
        await reads(place)
        await watches(place)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="where to put the files (default: the temporary folder)")
    parser.add_argument("--vcps", type=int, default=10_000)
    arguments = parser.parse_args()
    uvloop.run(main(arguments.folder, arguments.vcps))
