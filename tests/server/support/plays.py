# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real runs of ansible-playbook and its relatives, with the collection of this repository and an empty home."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from support.machine import ROOT, strangers_environment


@dataclass(frozen=True)
class Played:
    """How a run ended."""

    code: int
    output: str

    @property
    def changed(self) -> int:
        """The sum of ``changed=`` in the recap."""
        return sum(int(number) for number in re.findall(r"changed=(\d+)", self.output))


@dataclass(frozen=True)
class Controller:
    """A machine that Ansible runs on."""

    folder: Path
    #: Where other collections are, and programs that come before those of the machine.
    collections: tuple[Path, ...] = ()
    programs: tuple[Path, ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        collections = self.folder / "collections" / "ansible_collections" / "kplane"
        home = self.folder / "home"
        collections.mkdir(parents=True, exist_ok=True)
        home.mkdir(exist_ok=True)
        if not (collections / "core").is_symlink():
            (collections / "core").symlink_to(ROOT)
        paths = [str(path) for path in (self.folder / "collections", *self.collections)]
        return strangers_environment(home) | {
            "ANSIBLE_COLLECTIONS_PATH": os.pathsep.join(paths),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
            "PATH": os.pathsep.join([*map(str, self.programs), str(Path(sys.executable).parent), os.environ["PATH"]]),
        }

    def write(self, name: str, content: Any) -> Path:
        """A file of the play, as YAML unless it is text."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
        return path

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command in a process group of its own."""
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def kill(self, play: subprocess.Popen[str]) -> None:
        """``kill -9`` of a play that ``start`` began, with all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(play.pid, signal.SIGKILL)
        play.wait()
        # The process of a task is in a session of its own, so what has the environment of this machine is looked for.
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid() and str(self.folder) in _environment_of(entry):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(entry.name), signal.SIGKILL)

    def run(self, *command: str, check: bool = True, timeout: float = 300.0) -> Played:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check:
            assert done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{done.stdout}"
        return Played(done.returncode, done.stdout)

    def on_a_terminal(self, *command: str, columns: int = 100, **variables: str) -> Played:
        """Run a command whose output is a terminal; what it says has all that it sent there."""
        ours, its = pty.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        environment = self.environment | {"TERM": "xterm"} | variables
        environment.pop("COLUMNS", None)  # pytest-xdist sets it; the width is the terminal's own
        process = subprocess.Popen(command, cwd=self.folder, env=environment, stdin=its, stdout=its, stderr=its, start_new_session=True)
        os.close(its)
        said = b""
        # Reading fails when the last process that has the terminal has ended.
        with contextlib.suppress(OSError):
            while part := os.read(ours, 65536):
                said += part
        os.close(ours)
        return Played(process.wait(60), said.decode(errors="replace"))

    def play(self, playbook: str, *arguments: str, check: bool = True, **variables: Any) -> Played:
        """Run a playbook with extra variables."""
        return self.run("ansible-playbook", playbook, *arguments, "-e", json.dumps(variables), check=check)


def _environment_of(process: Path) -> str:
    try:
        return (process / "environ").read_bytes().decode(errors="replace")
    except OSError:  # it has ended, or belongs to somebody else
        return ""
