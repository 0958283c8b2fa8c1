# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data directory: one server's whole state, its owner's alone.

kplane-server.json   the marker: that this is such a directory, and of which format
lock                 held by the server that serves it (see ``lock``)
server.json          what the running server says of itself: url, port, version
master.key           the secret that all token-signing keys derive from
pki/                 the CA and the serving certificate
admin.kubeconfig     the administrator's credential for the root control plane
base-urls.json       the addresses that it has been served at: tokens name the one of their time
server.log           the log of a server that was started in the background
restore.json         of which backup the directory was restored, if it was (see ``restored``)
store.db             the store, with the files that SQLite keeps beside it
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Final

from kplane_server.process import files, restored
from kplane_server.process.failures import DataDirError
from kplane_server.process.lock import FileLock, Held, holder

MARKER: Final = "kplane-server.json"
LOCK: Final = "lock"
START_LOCK: Final = "start.lock"
STATE: Final = "server.json"
MASTER_KEY: Final = "master.key"
LOG: Final = "server.log"
OLD_LOG: Final = "server.log.1"
BASE_URLS: Final = "base-urls.json"
STORE: Final = "store.db"

#: Set for a server that was started in the background: by what.
SUPERVISOR_VARIABLE: Final = "KPLANE_SERVER_SUPERVISOR"

#: The layout that this version writes. A greater one comes from a newer version and is left alone.
FORMAT: Final = 1
_KIND: Final = "kplane-server data directory"
_SECRET_LENGTH: Final = 32
#: Earlier addresses whose tokens are still good.
_MAX_BASE_URLS: Final = 8
#: What a first start or a restore that was interrupted may have left behind.
_UNFINISHED: Final = frozenset({LOCK, START_LOCK, MASTER_KEY, LOG, OLD_LOG, STATE, restored.RESTORING, restored.RESTORED})


@dataclass(frozen=True, slots=True)
class ServerState:
    """What a running server says of itself. True only while the lock is held by ``pid``."""

    url: str
    host: str
    port: int
    version: str
    cluster_name: str
    kubeconfig: str
    pid: int = field(default_factory=os.getpid)
    supervisor: str = field(default_factory=lambda: os.environ.get(SUPERVISOR_VARIABLE, "foreground"))
    started: float = field(default_factory=time.time)


class DataDir:
    """An opened data directory. Made by :func:`open`."""

    def __init__(self, path: Path, master_secret: bytes) -> None:
        self.path: Final = path
        self.master_secret: Final = master_secret

    def announce(self, state: ServerState) -> None:
        """Tell ``status`` and ``start`` where the server is."""
        files.write(self.path / STATE, json.dumps(asdict(state), indent=1).encode())


@contextmanager
def open(path: Path) -> Iterator[DataDir]:
    """Make or check a data directory and serve it alone until the block ends.

    Raises :class:`~kplane_server.process.failures.DataDirError`: DataDirForeign, DataDirNewer, DataDirUnusable or AlreadyRunning.
    """
    path = prepare(path)
    with explained(path):
        try:
            lock = FileLock(path / LOCK)
        except Held as error:
            raise already_running(path, error.pid) from error
    with lock, _private_files():
        with explained(path):
            restored.finish(path)
            check_marker(path)  # again: what was there before the lock may have been another server's beginning
            (path / STATE).unlink(missing_ok=True)  # of a server that was killed
            directory = DataDir(path, _initialise(path))
        try:
            yield directory
        finally:
            (path / STATE).unlink(missing_ok=True)


def prepare(path: Path) -> Path:
    """Make the directory if it is missing, check that it may be used, and give its absolute path. Takes no lock."""
    with explained(path):
        path = path.expanduser().absolute()
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.is_dir():
            raise DataDirError("DataDirUnusable", f"{path} is not a directory")
        check_marker(path)
        if path.stat().st_mode & 0o077:
            path.chmod(0o700)
        return path


def running(path: Path) -> int | None:
    """The pid of the server that serves ``path``; 0 if one does and its pid cannot be told; None if none does."""
    return holder(path / LOCK)


def read_state(path: Path) -> ServerState | None:
    """What the last server said of itself. Check it against :func:`running`."""
    try:
        document = json.loads((path / STATE).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DataDirError("DataDirUnusable", f"{path / STATE} cannot be read: {error}") from error
    known = {one.name for one in fields(ServerState)}
    try:
        return ServerState(**{key: value for key, value in document.items() if key in known})
    except (AttributeError, TypeError) as error:
        raise DataDirError("DataDirUnusable", f"{path / STATE} is not a server's state: {error}") from error


def former_base_urls(path: Path, current: str) -> tuple[str, ...]:
    """The base URLs that the directory was served at before, the latest first; ``current`` is noted for the next time.

    A service account's token names the server's address as its issuer and audience, and outlives a change of the port.
    """
    file = path / BASE_URLS
    with explained(path):
        try:
            known = json.loads(file.read_bytes())
        except FileNotFoundError:
            known = []
        except ValueError:
            known = None
        if not isinstance(known, list) or not all(isinstance(url, str) for url in known):
            raise DataDirError("DataDirUnusable", f"{file} is damaged: remove it, and tokens made under earlier addresses end")
        urls = list(dict.fromkeys([current, *known]))[: _MAX_BASE_URLS + 1]
        if urls != known:
            files.write(file, json.dumps(urls).encode())
    return tuple(urls[1:])


def already_running(path: Path, pid: int) -> DataDirError:
    """The error of a second server on one directory."""
    who = f"process {pid}" if pid else "another process"
    return DataDirError("AlreadyRunning", f"{path} is already served by {who}")


def check_marker(path: Path) -> None:
    """Raises DataDirError unless the directory is ours, or empty enough to become ours."""
    try:
        text = (path / MARKER).read_bytes()
    except FileNotFoundError:
        strangers = sorted(name for name in os.listdir(path) if name not in _UNFINISHED and not name.endswith(".tmp"))
        if strangers:
            shown = ", ".join(strangers[:3]) + (", …" if len(strangers) > 3 else "")
            message = f"{path} holds other things ({shown}) and no {MARKER}: it is not a data directory of kplane-server"
            raise DataDirError("DataDirForeign", message) from None
        return
    try:
        document = json.loads(text)
        kind, found = document["kind"], document["format"]
    except (ValueError, TypeError, KeyError) as error:
        raise DataDirError("DataDirForeign", f"{path / MARKER} is not a marker of kplane-server: {error!r}") from error
    if kind != _KIND or not isinstance(found, int):
        raise DataDirError("DataDirForeign", f"{path / MARKER} is not a marker of kplane-server")
    if found > FORMAT:
        message = f"{path} has format {found}, this version knows formats up to {FORMAT}: use the newer kplane-server that wrote it"
        raise DataDirError("DataDirNewer", message)


def _initialise(path: Path) -> bytes:
    """Read the master secret; in a new directory make it first and the marker last, so that a marker vouches for the secret."""
    key, marker = path / MASTER_KEY, path / MARKER
    fresh = not marker.exists()
    if fresh and not key.exists():
        files.write(key, secrets.token_bytes(_SECRET_LENGTH))
    try:
        secret = key.read_bytes()
    except FileNotFoundError as error:
        message = f"{key} is missing: without it every token and credential of this directory is void; restore it from a backup"
        raise DataDirError("DataDirUnusable", message) from error
    if len(secret) != _SECRET_LENGTH:
        raise DataDirError("DataDirUnusable", f"{key} has {len(secret)} bytes instead of {_SECRET_LENGTH}: restore it from a backup")
    files.tighten(key)
    if fresh:
        document = {"kind": _KIND, "format": FORMAT, "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        files.write(marker, json.dumps(document).encode())
    return secret


@contextmanager
def _private_files() -> Iterator[None]:
    """What this process creates is its user's alone, the store's files too."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


#: What an OSError means to the one who chose the directory.
_EXPLANATIONS: Final = {
    errno.EROFS: "is on a read-only file system",
    errno.EACCES: "is not accessible to this user",
    errno.EPERM: "belongs to another user",
    errno.ENOSPC: "is on a full file system",
    errno.EDQUOT: "is over its owner's disk quota",
    errno.ENOTDIR: "is not below a directory",
    errno.EEXIST: "is not a directory",
    errno.ELOOP: "goes through a loop of symbolic links",
    errno.ENAMETOOLONG: "has too long a name",
}


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Say what an OSError in the directory means: DataDirUnusable."""
    try:
        yield
    except OSError as error:
        why = _EXPLANATIONS.get(error.errno or 0, "cannot be used")
        raise DataDirError("DataDirUnusable", f"data directory {path} {why}: {error}") from error
