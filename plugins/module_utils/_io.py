# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that other programs write too: read whole, replaced atomically, under a lock that all sides know.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
import time
import typing as t

from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError, LockTimeout

#: A file that is read whole must not be able to fill the memory.
MAX_FILE_SIZE: t.Final = 64 * 1024 * 1024
LOCK_TIMEOUT: t.Final = 15.0
_LOCK_POLL = 0.02
_PRIVATE = 0o600


def expand(path: str) -> str:
    """``path`` with ``~`` and environment variables replaced, absolute."""
    return os.path.abspath(os.path.expandvars(os.path.expanduser(path)))


def read_bytes(path: str) -> bytes | None:
    """The content of ``path``, or ``None`` if there is no such file; every other failure is an error."""
    try:
        with open(path, "rb") as handle:
            content = handle.read(MAX_FILE_SIZE + 1)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise KplaneError(f"Cannot read {path}: {exc.strerror or exc}", path=path) from exc
    if len(content) > MAX_FILE_SIZE:
        raise KplaneError(f"Cannot read {path}: it is larger than {MAX_FILE_SIZE} bytes", path=path)
    return content


def ensure_directory(path: str, mode: int = 0o700) -> None:
    """Make the directory ``path`` and its parents, private where they are new."""
    try:
        os.makedirs(path, mode=mode, exist_ok=True)
    except OSError as exc:
        raise KplaneError(f"Cannot make the directory {path}: {exc.strerror or exc}", path=path) from exc


def write_atomic(path: str, content: bytes, mode: int | None = None) -> None:
    """Replace ``path`` by ``content`` in one step.

    A symbolic link is followed, so that the link stays and its target is replaced. Owner and mode of an existing
    file are kept unless ``mode`` is given; a new file is private.
    """
    target = os.path.realpath(path)
    directory = os.path.dirname(target)
    ensure_directory(directory)
    try:
        before: os.stat_result | None = os.stat(target)
    except FileNotFoundError:
        before = None
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(prefix="." + os.path.basename(target) + ".", dir=directory)
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        _take_over(temporary, before, mode)
        os.replace(temporary, target)
        temporary = ""
    except OSError as exc:
        raise KplaneError(f"Cannot write {path}: {exc.strerror or exc}", path=path) from exc
    finally:
        if temporary:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)


def _take_over(temporary: str, before: os.stat_result | None, mode: int | None) -> None:
    """Give ``temporary`` the owner and the mode that the file it replaces had."""
    if before is not None and (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
        try:
            os.chown(temporary, before.st_uid, before.st_gid)
        except PermissionError:
            # Only root may give files away; the group alone can be kept by its members.
            with contextlib.suppress(PermissionError):
                os.chown(temporary, -1, before.st_gid)
    if mode is None:
        mode = stat.S_IMODE(before.st_mode) if before is not None else _PRIVATE
    os.chmod(temporary, mode)


@contextlib.contextmanager
def locked(path: str, timeout: float = LOCK_TIMEOUT) -> t.Iterator[None]:
    """Hold ``<path>.lock`` as client-go and kubectl do: a file that only one process can create.

    Like client-go it never breaks a lock that it finds (no age proves that its holder is gone): it waits for a bounded
    time, then says which file is in the way and since when.
    """
    lock = path + ".lock"
    ensure_directory(os.path.dirname(lock))
    deadline = time.monotonic() + timeout
    while True:
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0))
            break
        except OSError as exc:
            if exc.errno != errno.EEXIST:
                raise KplaneError(f"Cannot make the lock file {lock}: {exc.strerror or exc}", path=lock) from exc
        if time.monotonic() >= deadline:
            raise LockTimeout(_lock_message(path, lock, timeout), path=lock)
        time.sleep(_LOCK_POLL)
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(lock)


def _lock_message(path: str, lock: str, timeout: float) -> str:
    try:
        since = f" It is {int(time.time() - os.stat(lock).st_mtime)} seconds old."
    except OSError:
        since = ""
    return (
        f"{path} is locked by another process: {lock} did not go away within {timeout:g} seconds.{since} "
        "If no kubectl or other program is writing that file now, remove the lock file."
    )


def mode_of(path: str) -> int | None:
    """The permission bits of ``path``, or ``None`` if it is not there."""
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except OSError:
        return None
