# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stranger's machine: the repository as it would be cloned, and an empty home."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
#: Variables of a developer's shell that would reach into the real home or the developer's environment.
PRIVATE = ("KUBECONFIG", "VIRTUAL_ENV", "PYTHONPATH", "MAKEFLAGS", "MFLAGS", "MAKELEVEL")


def strangers_environment(home: Path) -> dict[str, str]:
    keep = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("XDG_", "ANSIBLE_", "KPLANE_", "PYTEST_")) and key not in PRIVATE
    }
    tools = str(ROOT / ".venv" / "bin")
    keep["PATH"] = os.pathsep.join(part for part in keep["PATH"].split(os.pathsep) if part != tools)
    # The downloads of earlier installs may be shared; nothing else of the real home is.
    keep.setdefault("PIP_CACHE_DIR", str(Path.home() / ".cache" / "pip"))
    return keep | {"HOME": str(home), "NO_COLOR": "1"}


@dataclass(frozen=True)
class Machine:
    """Runs commands with an empty home, in a folder."""

    home: Path
    folder: Path

    def run(self, *command: str, check: bool = True, timeout: float = 600.0, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = strangers_environment(self.home) | variables
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check:
            assert done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done


def copy_of_repository(target: Path) -> Path:
    """What a clone would hold: tracked files and new ones that git does not ignore, as they are in the working tree."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for name in filter(None, listed.split("\0")):
        source = ROOT / name
        if source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)
    return target
