# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9, again and again: all that was acknowledged is there, and no revision ever means two things."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from contract.stores import key, layer_for, scope

from kplane_server.storage.sqlite import SqliteStore

WRITER = Path(__file__).with_name("crashing_writer.py")
TESTS = WRITER.parents[2]


def _run_and_kill(path: Path, lines: int) -> list[str]:
    """Let the writer say ``lines`` lines, kill it, and return the whole lines that it has said."""
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    with subprocess.Popen([sys.executable, str(WRITER), str(path)], stdout=subprocess.PIPE, env=environment) as child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(lines)]
        child.send_signal(signal.SIGKILL)
        said += child.stdout.readlines()
    return [line.decode().rstrip("\n") for line in said if line.endswith(b"\n")]


async def test_nothing_acknowledged_is_lost_and_no_revision_is_used_twice(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    meaning: dict[int, str] = {}
    acknowledged: dict[str, tuple[int, str]] = {}
    for lines in (40, 333, 1001, 50, 700):
        newest = max(meaning, default=1)
        for line in _run_and_kill(path, lines):
            kind, revision, *rest = line.split(" ", 3)
            if kind == "open":
                assert int(revision) >= newest
                continue
            name, what = rest
            if kind == "saw":
                assert meaning.setdefault(int(revision), f"{name} {what}") == f"{name} {what}"
            else:
                acknowledged[name] = (int(revision), what)
        await _check(path, acknowledged, max(meaning))


async def _check(path: Path, acknowledged: dict[str, tuple[int, str]], newest: int) -> None:
    store = SqliteStore.open(path, layer=layer_for)
    assert store.revision >= newest
    assert store._connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    for name, (revision, what) in acknowledged.items():
        stored = store.get(key(name))
        if stored is None or stored.revision > revision:
            continue_after = [event for event in store.subscribe(scope(), revision).pop() if event.key.name == name]
            assert continue_after or what == "gone"
        else:
            assert (stored.revision, stored.value.decode()) == (revision, what)
    items = store.page(scope()).items
    assert store.count(scope()) == len(items) == store.statistics()["objects"]
    assert len({item.revision for item in items}) == len(items)
    assert all(item.value.startswith(b"r%d " % item.revision) for item in items)
    await store.close()
