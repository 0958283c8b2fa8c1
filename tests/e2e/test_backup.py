# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backup and restore of a stack where they cannot be done: what is said, and that nothing is left. Where they can is in tests/upstream."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from standins.world import World
from support.server import Server


class Bare(World):
    """A machine whose Python may lack websocket-client."""

    lacking = False

    @property
    def environment(self) -> dict[str, str]:
        found = super().environment
        if self.lacking:
            found["PYTHONPATH"] = os.pathsep.join([str(self.folder / "lacking"), found["PYTHONPATH"]])
        return found


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Bare]:
    made = Bare(tmp_path / "world", "kind")
    (made.folder / "lacking").mkdir()
    (made.folder / "lacking" / "websocket.py").write_text("raise ImportError('No module named websocket')\n")
    yield made
    made.end()


def test_what_keeps_a_stack_from_being_backed_up_or_restored(world: Bare, tmp_path: Path) -> None:
    file = tmp_path / "backups" / "plane.zip"
    world.play("backup", kplane_backup_file=str(file), fails="There is no management plane")
    assert world.play("up")
    world.play("backup", kplane_backup_file=str(file), fails="No pod of etcd is ready in the namespace kplane-system .0 are there")
    world.lacking = True
    world.play("backup", kplane_backup_file=str(file), fails="websocket-client >= 1.6")
    world.lacking = False
    assert list(file.parent.iterdir()) == []
    server = Server(tmp_path / "server").start()
    file.unlink(missing_ok=True)
    try:
        argv = [sys.executable, "-m", "kplane_server", "backup", "--data-dir", str(server.data_dir), "--file", str(file)]
        subprocess.run(argv, check=True, capture_output=True)
    finally:
        server.stop()
    world.play(
        "restore",
        kplane_backup_file=str(file),
        fails=r"is a backup of a kplane-server data directory .provider embedded.; .* provider kind",
    )
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(
            "manifest.json", '{"kind": "kplane backup", "format": 1, "content": "kplane stack", "provider": "kind", "files": {}}'
        )
    world.play("restore", kplane_backup_file=str(file), fails="is damaged or was cut off, nothing of it is used: a part of it is missing")
    assert world.play("up") == 0
