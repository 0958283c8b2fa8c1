# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process for test_sqlite_crash: it writes for ever, and says on standard output what was acknowledged and what watchers saw."""

from __future__ import annotations

import asyncio
import itertools
import sys
from pathlib import Path

from contract.stores import CONFIGMAPS, delete, key, layer_for, put

from kplane_server.storage.sqlite import SqliteStore


async def _write(store: SqliteStore, writer: int) -> None:
    for n in itertools.count():
        where = key(f"w{writer}-{n % 50}")
        if n % 7 == 6 and store.get(where) is not None:
            (revision,) = await store.commit([delete(where)])
            print(f"ack {revision} {where.name} gone", flush=True)
        else:
            revision, _ = await store.commit([put(where, f"{writer} {n}"), put(key(f"pair-{writer}"), f"{n}")])
            print(f"ack {revision} {where.name} r{revision} {writer} {n}", flush=True)


async def _watch(store: SqliteStore) -> None:
    watch = store.subscribe_resources(frozenset({CONFIGMAPS}), store.revision)
    while await watch.wait():
        for event in watch.pop():
            print(f"saw {event.revision} {event.key.name} {event.value.decode()}", flush=True)


async def _main(path: Path) -> None:
    store = SqliteStore.open(path, layer=layer_for)
    print(f"open {store.revision}", flush=True)
    await asyncio.gather(_watch(store), *(_write(store, writer) for writer in range(8)))


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1])))
