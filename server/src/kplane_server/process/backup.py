# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``kplane-server backup``: one file with all that a data directory must not lose, of a server that runs or does not.

The store is copied in one read transaction beside its writer, which goes on. Everything is made in a directory beside the file, which takes
its name at the end: a backup that dies leaves the file before it, and the next one cleans up.
"""

from __future__ import annotations

import errno
import hashlib
import shutil
import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml

from kplane_server import __version__
from kplane_server.process import admin, archive, datadir, files, pki, restored
from kplane_server.process.failures import DataDirError, ProcessError
from kplane_server.process.lock import FileLock, Held
from kplane_server.settings import KUBERNETES_VERSION
from kplane_server.storage.api import UnknownFormat
from kplane_server.storage.sqlite import copies

PROVIDER: Final = "embedded"
#: The files of a data directory that are kept, beside the store and ``pki/``; the last one need not be there.
KEPT: Final = (datadir.MARKER, datadir.MASTER_KEY, admin.FILE, datadir.BASE_URLS)

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_CHUNK: Final = 1 << 20


def back_up(data_dir: Path, file: Path) -> dict[str, Any]:
    """Make the backup; what ``--output json`` prints. Raises ProcessError: BackupFailed, BackupUnusable or one of the data directory."""
    path, file = data_dir.expanduser().absolute(), file.expanduser().absolute()
    _require_complete(path)
    _require_replaceable(file)
    with _explained(file), _workshop(file) as folder:
        store = folder / datadir.STORE
        with _explained(file, path):
            copies.copy_store(path / datadir.STORE, store)
        made = folder / "archive"
        manifest = _pack(path, store, made)
        digest = _sha256(made)
        files.sync(made)
        made.replace(file)
        files.sync_directory(file.parent)
    return {"changed": True, "file": str(file), "sha256": digest, "size": file.stat().st_size, "manifest": manifest}


def _require_complete(path: Path) -> None:
    if not (path / datadir.MARKER).is_file():
        raise DataDirError("DataDirForeign", f"{path} is not a data directory of kplane-server: it has no {datadir.MARKER}")
    with datadir.explained(path):
        datadir.check_marker(path)
        if (path / restored.RESTORED).exists():
            raise DataDirError("DataDirUnusable", f"a restore of {path} has not come to its end: start the server, or restore again")
        missing = [name for name in (datadir.MASTER_KEY, admin.FILE, datadir.STORE) if not (path / name).exists()]
    if missing:
        message = f"{path} has no {missing[0]}: its first start did not come to its end. Start the server once"
        raise DataDirError("DataDirUnusable", message)


def _require_replaceable(file: Path) -> None:
    """A file that is there is replaced if it is a backup, and left alone if it is anything else."""
    if not file.exists():
        return
    try:
        archive.Archive(file).__exit__()
    except ProcessError as error:
        if error.reason != "BackupNewer":
            raise ProcessError("BackupUnusable", f"{file} is there, and is left as it is: {error}") from error


@contextmanager
def _workshop(file: Path) -> Iterator[Path]:
    """A directory beside ``file`` for what is not finished; what an earlier run left in it goes first."""
    folder = file.with_name(f".{file.name}.partial")
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    try:
        lock = FileLock(folder / "lock")
    except Held as error:
        raise ProcessError("BackupFailed", f"another backup to {file} is under way: {error}") from error
    with lock:
        for left in folder.iterdir():
            if left.name != "lock":
                left.unlink()
        try:
            yield folder
        finally:
            shutil.rmtree(folder)


def _pack(path: Path, store: Path, made: Path) -> dict[str, Any]:
    held = copies.summary(store)
    writer = archive.ArchiveWriter(made)
    made.chmod(files.PRIVATE)
    writer.add(datadir.STORE, store)
    for name in KEPT:
        if (path / name).exists():
            writer.add(name, path / name)
    for one in sorted((path / pki.DIRECTORY).iterdir()):
        if one.is_file() and not one.name.endswith(".tmp"):
            writer.add(f"{pki.DIRECTORY}/{one.name}", one)
    now = time.time()
    name, url = _plane(path)
    return writer.finish(
        {
            "id": uuid.uuid4().hex,
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
            "taken": now,
            "provider": PROVIDER,
            "plane": name,
            "server": url,
            "version": __version__,
            "kubernetesVersion": KUBERNETES_VERSION,
            "revision": held.revision,
            "vcps": held.vcps,
            "objects": held.objects,
        }
    )


def _plane(path: Path) -> tuple[str, str]:
    """Name and address of the management plane, as its administrator's kubeconfig has them."""
    try:
        cluster = yaml.safe_load((path / admin.FILE).read_bytes())["clusters"][0]
        return str(cluster["name"]).removeprefix(admin.context_name("")), str(cluster["cluster"]["server"])
    except (yaml.YAMLError, KeyError, IndexError, TypeError) as error:
        raise ProcessError("CredentialUnusable", f"{path / admin.FILE} is not the kubeconfig that kplane-server writes") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _explained(file: Path, source: Path | None = None) -> Iterator[None]:
    """Failures of the disk, in words; nothing of the file was written then."""
    try:
        yield
    except OSError as error:
        why = "the disk is full" if error.errno in _FULL else str(error)
        raise ProcessError("BackupFailed", f"{file} cannot be written, nothing was changed: {why}") from error
    except sqlite3.Error as error:
        why = "the disk is full" if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL else str(error)
        raise ProcessError("BackupFailed", f"the store of {source} cannot be copied for {file}, nothing was changed: {why}") from error
    except UnknownFormat as error:
        raise ProcessError("StorageUnusable", str(error)) from error
