# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``kplane-server restore``: a data directory becomes what a backup holds. Its server has to be stopped.

Everything is unpacked and checked inside of the directory first, then takes its places in one step (see ``restored``): a restore that
dies leaves the directory as it was, or restored.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Final

from kplane_server.process import archive, backup, datadir, files, pki, restored, supervise
from kplane_server.process.failures import ProcessError
from kplane_server.process.lock import FileLock, Held
from kplane_server.storage.api import StorageUnavailable, UnknownFormat
from kplane_server.storage.sqlite import copies

#: How many revisions may have been given out in each second since the backup: more than the store can write.
REVISIONS_PER_SECOND: Final = 50_000

_TURN_SECONDS: Final = 60.0


def restore(data_dir: Path, file: Path, *, force: bool = False, check: bool = False) -> dict[str, Any]:
    """Restore, or with ``check`` only look whether it could be done; what ``--output json`` prints.

    Raises ProcessError: BackupUnusable, BackupNewer, NotEmpty, AlreadyRunning, RestoreFailed or one of the data directory.
    """
    path, file = data_dir.expanduser().absolute(), file.expanduser().absolute()
    with archive.Archive(file) as backup_file:
        _require_ours(backup_file)
        found = {"changed": True, "file": str(file), "dataDir": str(path), "manifest": backup_file.manifest}
        if check:
            for name in backup_file.entries:
                for _ in backup_file.read(name):
                    pass
            # A server may run now: whoever restores stops it first.
            return {**found, "changed": not path.exists() or _needed(path, backup_file, force)}
        path = datadir.prepare(path)
        with _alone(path):
            _finish(path)
            if not _needed(path, backup_file, force):
                return {**found, "changed": False}
            _stage(path, backup_file)
            with _explained(path):
                restored.commit(path)
            _finish(path)
    return found


def _finish(path: Path) -> None:
    try:
        restored.finish(path)
    except OSError as error:
        message = f"{path} is restored, but for its last step: {error}. The next start or restore of it takes that"
        raise ProcessError("RestoreFailed", message) from error


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """No server serves the directory, and none can start meanwhile."""
    with supervise.turn(path, time.monotonic() + _TURN_SECONDS), datadir.explained(path):
        try:
            lock = FileLock(path / datadir.LOCK)
        except Held as error:
            raise datadir.already_running(path, error.pid) from error
        with lock:
            yield


def _require_ours(backup_file: archive.Archive) -> None:
    """Only files that a data directory has, and all that it needs."""
    for name in backup_file.entries:
        parts = PurePosixPath(name).parts
        if not (name in backup.KEPT or name == datadir.STORE or (len(parts) == 2 and parts[0] == pki.DIRECTORY and ".." not in parts)):
            raise ProcessError("BackupUnusable", f"the backup holds {name!r}, which no data directory has")
    missing = {datadir.STORE, datadir.MARKER, datadir.MASTER_KEY} - set(backup_file.entries)
    if missing:
        raise ProcessError("BackupUnusable", f"the backup lacks {', '.join(sorted(missing))}")


def _needed(path: Path, backup_file: archive.Archive, force: bool) -> bool:
    """Whether there is something to do. Raises NotEmpty if that would take control planes away which nobody has given up."""
    if force:
        return True
    store = path / datadir.STORE
    if not store.exists():
        return True
    try:
        record = json.loads((path / restored.RECORD).read_bytes())
    except FileNotFoundError:
        record = {}
    if record.get("id") == backup_file.manifest["id"]:
        return False
    with _explained(path):
        vcps = copies.summary(store).vcps
    if vcps:
        message = (
            f"{path} holds {vcps} virtual control planes, which the restore would replace: nothing was changed. Ask for it with --force"
        )
        raise ProcessError("NotEmpty", message)
    return True


def _stage(path: Path, backup_file: archive.Archive) -> None:
    """Unpack beside what is there, check it, and write down what takes which place."""
    folder = path / restored.RESTORING
    try:
        with _explained(path):
            shutil.rmtree(folder, ignore_errors=True)
            (folder / pki.DIRECTORY).mkdir(mode=0o700, parents=True)
            for name in backup_file.entries:
                _unpack(backup_file, name, folder / name)
            datadir.check_marker(folder)
            copies.follow(folder / datadir.STORE, _jump(path, folder / datadir.STORE, backup_file))
            files.write(folder / restored.RECORD, json.dumps(_plan(folder, backup_file)).encode())
            _settle(folder, path)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _unpack(backup_file: archive.Archive, name: str, target: Path) -> None:
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, files.PRIVATE)
    with os.fdopen(descriptor, "wb") as file:
        for chunk in backup_file.read(name):
            file.write(chunk)


def _jump(path: Path, staged: Path, backup_file: archive.Archive) -> int:
    """How far revisions go on, so that none which a client may have seen comes again for something else."""
    revision = copies.summary(staged).revision
    jump = int(max(time.time() - float(backup_file.manifest["taken"]), 0) * REVISIONS_PER_SECOND)
    present = path / datadir.STORE
    return max(jump, copies.summary(present).revision + 1 - revision) if present.exists() else jump


def _plan(folder: Path, backup_file: archive.Archive) -> dict[str, Any]:
    # The marker comes first: with it the directory is ours from the first step on.
    puts = [datadir.MARKER, *sorted({one.name for one in folder.iterdir()} - {datadir.MARKER})]
    goes = [name for name in backup.KEPT if name not in puts]
    goes += [one.name for one in copies.files_of(Path(datadir.STORE)) if one.name not in puts]
    restored_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {"id": backup_file.manifest["id"], "restored": restored_at, "removes": goes, "puts": puts}


def _settle(folder: Path, path: Path) -> None:
    """Everything is on the disk, and belongs to the one whose directory it is."""
    owner, made = path.stat(), [folder, *folder.rglob("*")]
    if os.geteuid() == 0:
        for one in (path / datadir.LOCK, *made):
            os.chown(one, owner.st_uid, owner.st_gid, follow_symlinks=False)
    for one in made:
        if one.is_file():
            files.sync(one)
    files.sync_directory(folder / pki.DIRECTORY)
    files.sync_directory(folder)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else str(error)
        raise ProcessError("RestoreFailed", f"{path} cannot be restored, it is as it was: {why}") from error
    except StorageUnavailable as error:
        raise ProcessError("RestoreFailed", f"{path} cannot be restored, it is as it was: {error}") from error
    except UnknownFormat as error:
        raise ProcessError("StorageUnusable", f"{path} cannot be restored, it is as it was: {error}") from error
