# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that other programs write too: read whole, replaced atomically, under a lock that all sides know.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
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
#: The mode of a lock file of ours. That of client-go is 0, that of a file which somebody made by hand is another one again.
_OUR_LOCK = 0o200
_SCRAP = ".kplane-new"


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
        handle, temporary = tempfile.mkstemp(prefix="." + os.path.basename(target) + ".", suffix=_SCRAP, dir=directory)
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

    A lock of another program is never broken (no age proves that its holder is gone): it is waited for during a bounded
    time, then the message says which file is in the way and since when. A lock of ours is held by the kernel too, which
    lets go of it when its process dies: one that a killed run has left is taken away, with what that run was writing.
    """
    lock = path + ".lock"
    ensure_directory(os.path.dirname(lock))
    deadline = time.monotonic() + timeout
    handle = _take(lock)
    while handle is None:
        if _abandoned(lock):
            _sweep(path)
        elif time.monotonic() >= deadline:
            raise LockTimeout(_lock_message(path, lock, timeout), path=lock)
        else:
            time.sleep(_LOCK_POLL)
        handle = _take(lock)
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(lock)
        os.close(handle)


def _take(lock: str) -> int | None:
    """Make the lock file and hold it, or ``None`` if somebody else has it."""
    try:
        handle = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _OUR_LOCK)
    except OSError as exc:
        if exc.errno == errno.EEXIST:
            return None
        raise KplaneError(f"Cannot make the lock file {lock}: {exc.strerror or exc}", path=lock) from exc
    # Between these two lines it looks abandoned: somebody may have taken it away, or be about to.
    if hold(handle, lock):
        return handle
    os.close(handle)
    return None


def hold(handle: int, path: str) -> bool:
    """Whether the kernel lets us hold the open file until this process ends or closes it, and it is still the one at ``path``."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        there, ours = os.stat(path), os.fstat(handle)
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)


def _abandoned(lock: str) -> bool:
    """Take a lock file of ours away whose process is gone; whether that was done."""
    try:
        if mode_of(lock) != _OUR_LOCK:
            return False
        handle = os.open(lock, os.O_WRONLY)
    except OSError:
        return False  # it has just gone, or belongs to somebody else
    try:
        if not hold(handle, lock):
            return False
        os.unlink(lock)
    finally:
        os.close(handle)
    return True


def tidy(path: str) -> None:
    """Take the lock away that a killed run has left, for who has nothing to write."""
    if os.path.lexists(path + ".lock") and _abandoned(path + ".lock"):
        _sweep(path)


def _sweep(path: str) -> None:
    """Take away what a killed run was writing when it held the lock of ``path``."""
    target = os.path.realpath(path)
    for scrap in glob.glob(os.path.join(glob.escape(os.path.dirname(target)), "." + glob.escape(os.path.basename(target)) + ".*" + _SCRAP)):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(scrap)


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
