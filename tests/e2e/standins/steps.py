# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every step of a play that leaves something behind is counted, and the play can be killed just before the n-th of them.

A step is a write request to an API server, a change of a file of the user, or a part of what a stand-in does.
"""

from __future__ import annotations

import atexit
import fcntl
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

STATE = "STANDIN_STATE"
#: The process that is killed, with all that it started.
ROOT = "STANDIN_ROOT"
#: The folder whose files are the user's.
WATCHED = "STANDIN_WATCHED"
_FILE = "steps"
_MODULES = "modules"
_CALLED = "called"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_WRITES = (b"POST ", b"PUT ", b"PATCH ", b"DELETE ")
#: Questions that are asked by POST, and what changes nothing.
_NO_WRITES = (b"reviews", b"dryRun=")
_CHANGES = frozenset({"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate"})
#: What Ansible, Python and the stand-ins keep for themselves.
_PRIVATE = (".ansible", "state", "collections", "__pycache__", "tmp")


def directory() -> Path:
    """Where the stand-ins remember things."""
    return Path(os.environ[STATE])


def arm(at: int = 0) -> None:
    """Count from nothing, and kill before the step ``at`` (never, if it is 0)."""
    (directory() / _FILE).write_text(json.dumps({"at": at, "seen": []}))


def seen() -> list[str]:
    """The steps since then."""
    found: list[str] = json.loads((directory() / _FILE).read_text())["seen"]
    return found


def called() -> list[str]:
    """The addresses outside of this machine that the plays have connected to."""
    path = directory() / _CALLED
    return path.read_text().splitlines() if path.exists() else []


def step(what: str) -> None:
    """One step is about to be done."""
    path = directory() / _FILE
    if ROOT not in os.environ or not path.exists():
        return
    with path.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        counted = json.load(file)
        if len(counted["seen"]) + 1 == counted["at"]:
            _kill(int(os.environ[ROOT]))
        counted["seen"].append(what)
        file.seek(0)
        file.truncate()
        json.dump(counted, file)


def _kill(root: int) -> None:
    """``kill -9`` of a process and of all that came from it, except for the clusters, which are daemons."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if b"standins.cluster" not in (entry / "cmdline").read_bytes():
                    parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                    children.setdefault(parent, []).append(int(entry.name))
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended meanwhile
    victims = [root]
    for victim in victims:
        victims += children.get(victim, [])
    for victim in sorted(victims, key=lambda pid: pid == os.getpid()):
        os.kill(victim, signal.SIGKILL)


def _watched(path: Any) -> str:
    """The path within the watched folder, or an empty string if it is not the user's."""
    if not isinstance(path, (str, bytes, os.PathLike)):
        return ""
    text, folder = os.fsdecode(path), os.environ.get(WATCHED, "\0") + "/"
    inner = text.removeprefix(folder) if text.startswith(folder) else ""
    # Directories for a moment are made and swept around everything that is asked of another program.
    return "" if any(part in _PRIVATE for part in inner.split("/")) else inner


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "http.client.send":
        head = bytes(arguments[1])[:400].split(b"\r\n")[0]
        if head.startswith(_WRITES) and not any(word in head for word in _NO_WRITES):
            step(head.decode().rpartition(" ")[0].partition("?")[0])
    elif event == "socket.connect":
        address = arguments[1]
        if isinstance(address, tuple) and str(address[0]) not in _LOOPBACK:
            with (directory() / _CALLED).open("a") as file:
                file.write(f"{address[0]}\n")
    elif event in _CHANGES:
        if inner := _watched(arguments[0]):
            step(f"{event} {inner}")
    elif (
        event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR) and (inner := _watched(arguments[0]))
    ):
        step(f"write {inner}")


def install() -> None:
    """Count the steps of this process and of what it starts."""
    os.environ.setdefault(ROOT, str(os.getpid()))
    sys.addaudithook(_audit)


def record() -> None:
    """Note at the end of a module what it was asked for, so that it can be run again without a play."""
    atexit.register(_note_module)


def _note_module() -> None:
    basic = sys.modules.get("ansible.module_utils.basic")
    asked = getattr(basic, "_ANSIBLE_ARGS", None)
    if not asked:
        return
    name = json.loads(asked)["ANSIBLE_MODULE_ARGS"]["_ansible_module_name"]
    if name.startswith("kplane.core."):
        with (directory() / _MODULES).open("a") as file:
            file.write(json.dumps({"module": name, "asked": asked.decode(), "profile": getattr(basic, "_ANSIBLE_PROFILE", "")}) + "\n")


def modules() -> list[dict[str, str]]:
    """What was noted since this was asked last."""
    path = directory() / _MODULES
    found = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    path.unlink(missing_ok=True)
    return found
