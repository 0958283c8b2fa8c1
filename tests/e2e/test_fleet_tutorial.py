# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of docs/fleet-tutorial.md, each of them, in the order in which a reader types them into one shell."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from support.machine import ROOT, Machine

TUTORIAL = ROOT / "docs" / "fleet-tutorial.md"


def blocks() -> list[str]:
    """The shell blocks of the tutorial."""
    return re.findall(r"^```sh\n(.*?)^```$", TUTORIAL.read_text(), re.MULTILINE | re.DOTALL)


def chapters() -> tuple[str, str]:
    """All blocks but the last, and the last, which takes everything away."""
    *most, last = blocks()
    assert len(most) >= 9
    assert last.startswith("make down")
    return "\n".join(most), last


def test_every_command(clone: Machine, tmp_path: Path) -> None:
    most, last = chapters()
    kubectl = ROOT / ".cache" / "bin"
    path = os.pathsep.join([str(kubectl), os.environ["PATH"]]) if kubectl.exists() else os.environ["PATH"]
    try:
        done = clone.run("bash", "-euo", "pipefail", "-x", "-c", most, timeout=900, PATH=path)
        fleet = clone.folder / "fleet"
        handed = {file.stem for file in (fleet / "credentials").iterdir()}
        assert handed == {f"team-{number:03d}" for number in range(1, 181)}
        assert {file.stat().st_mode & 0o777 for file in (fleet / "credentials").iterdir()} == {0o600}
        figures = json.loads((fleet / "report.json").read_text())
        assert figures["total"] == 181
        assert figures["states"] == {"ready": 181, "not_ready": 0, "paused": 0, "deleting": 0}
        assert figures["run"]["actions"][0]["action"] == "pruned"
        assert "200 created" in done.stdout
        assert "10 updated" in done.stdout
    finally:
        ended = clone.run("bash", "-euo", "pipefail", "-c", last, PATH=path)
    assert "failed=0" in ended.stdout
    assert not (clone.folder / "fleet").exists()
