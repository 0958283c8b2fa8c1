# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of a data directory: who serves it. The kernel knows, a pid in a file only claims.

Two locks lie on one file. ``flock`` excludes: it ends with its holder, however that dies. A POSIX record lock tells who holds it
(``F_GETLK`` names the pid), so that nobody is ever signalled for bearing a number that stood in a stale file.
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys
from pathlib import Path
from types import TracebackType
from typing import Final

#: Layout of ``struct flock``: (format, index of l_type, index of l_pid).
_FLOCK: Final = ("qqihh", 3, 2) if sys.platform == "darwin" else ("hhqqi", 0, 4)


class Held(Exception):
    """Another process holds the lock; ``pid`` is 0 when it cannot be told (another pid namespace, or just this moment)."""

    def __init__(self, path: Path, pid: int) -> None:
        super().__init__(f"{path} is held by process {pid}" if pid else f"{path} is held by another process")
        self.pid = pid


class FileLock:
    """An exclusive lock for as long as this object is open and this process lives."""

    def __init__(self, path: Path) -> None:
        """Take the lock. Raises :class:`Held`, or OSError if the file cannot be opened."""
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            pid = _owner(self._descriptor) or 0
            self.close()
            if isinstance(error, BlockingIOError | PermissionError):
                raise Held(path, pid) from error
            raise

    def close(self) -> None:
        """Give the lock back. The file stays: removing it would let two processes lock two files of one name."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> FileLock:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def holder(path: Path) -> int | None:
    """The pid that holds the lock; 0 if it is held and the pid cannot be told; None if nobody holds it.

    Only asks, takes nothing: a look must never be in the way of a start. Not for the holder itself, to whom the kernel says
    nothing of its own locks, and who loses its record lock by closing any other descriptor of the file.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return _owner(descriptor)
    finally:
        os.close(descriptor)


def _owner(descriptor: int) -> int | None:
    layout, type_at, pid_at = _FLOCK
    question: list[int] = [0] * 5
    question[type_at] = fcntl.F_WRLCK
    answer = struct.unpack(layout, fcntl.fcntl(descriptor, fcntl.F_GETLK, struct.pack(layout, *question)))
    return None if answer[type_at] == fcntl.F_UNLCK else max(int(answer[pid_at]), 0)
