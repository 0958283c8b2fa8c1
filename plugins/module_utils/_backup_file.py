# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backup file: a ZIP archive, whose ``manifest.json`` says what it is of and what is in it. ``docs/backup.md`` has the format.

kplane-server writes and reads those of its own; here are those of the stack. PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import time
import typing as t
import uuid
import zipfile
import zlib

from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError
from ansible_collections.kplane.core.plugins.module_utils._io import ensure_directory

Json = t.Dict[str, t.Any]

KIND: t.Final = "kplane backup"
#: The format that this release writes. A greater one comes from a newer release.
FORMAT: t.Final = 1
MANIFEST: t.Final = "manifest.json"
#: What archives hold.
SERVER: t.Final = "kplane-server data directory"
STACK: t.Final = "kplane stack"

#: What to say to who would lose something.
FORCE_HINT: t.Final = "Set force to true (with the playbook: -e kplane_confirm=true) to do it all the same"

_MAX_MANIFEST: t.Final = 1024 * 1024
_MAX_LINE: t.Final = 64 * 1024 * 1024
_CHUNK: t.Final = 1024 * 1024
_LEVEL: t.Final = 4
_BEGINS: t.Final = b"PK\x03\x04"
_DAMAGED: t.Final = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


class Unusable(KplaneError):
    """A file that is no backup, is damaged, or is of something else."""


class Writer:
    """Writes an archive; it takes its name when :meth:`finish` is called, and leaves nothing otherwise."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._partial = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.partial")
        self._files: dict[str, Json] = {}

    def __enter__(self) -> Writer:
        ensure_directory(os.path.dirname(self.path))
        require_replaceable(self.path)
        with self._explained():
            self._handle = os.open(self._partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                os.close(self._handle)
                raise KplaneError(f"Another backup to {self.path} is under way", path=self.path) from exc
            os.ftruncate(self._handle, 0)  # what a run that died has left
            self._stream = os.fdopen(self._handle, "w+b")
            self._zip = zipfile.ZipFile(self._stream, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL)
        return self

    def __exit__(self, *unused: object) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._zip.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._partial)
        with contextlib.suppress(OSError):
            self._stream.close()

    def add(self, name: str, chunks: t.Iterable[bytes]) -> None:
        """Put a file in."""
        digest, size = hashlib.sha256(), 0
        with self._explained(), self._zip.open(zipfile.ZipInfo(name, time.localtime()[:6]), "w", force_zip64=True) as entry:
            for chunk in chunks:
                entry.write(chunk)
                digest.update(chunk)
                size += len(chunk)
        self._files[name] = {"size": size, "sha256": digest.hexdigest()}

    def finish(self, about: Json) -> Json:
        """Write the manifest, and let the file appear."""
        now = time.time()
        created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        manifest = {"kind": KIND, "format": FORMAT, "id": uuid.uuid4().hex, "created": created, "taken": now, **about, "files": self._files}
        with self._explained():
            self._zip.writestr(MANIFEST, json.dumps(manifest, indent=1))
            self._zip.close()
            self._stream.flush()
            os.fsync(self._stream.fileno())
            os.replace(self._partial, self.path)
        return manifest

    @contextlib.contextmanager
    def _explained(self) -> t.Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise KplaneError(f"Cannot write {self.path}, nothing was changed: {exc.strerror or exc}", path=self.path) from exc


def require_replaceable(path: str) -> None:
    """A file that is there is replaced if it is a backup, and left alone if it is anything else."""
    if not os.path.exists(path):
        return
    try:
        with Archive(path):
            pass
    except Unusable as exc:
        raise KplaneError(f"{path} is there, and is left as it is: {exc.message}", path=path) from exc


class Archive:
    """A backup that is read."""

    def __init__(self, path: str) -> None:
        self.path = path
        with self._explained():
            self._zip = zipfile.ZipFile(path)
        try:
            self.manifest = self._manifest()
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *unused: object) -> None:
        self._zip.close()

    def _manifest(self) -> Json:
        if MANIFEST not in self._zip.namelist():
            raise self._foreign(f"it has no {MANIFEST}")
        with self._explained(), self._zip.open(MANIFEST) as entry:
            text = entry.read(_MAX_MANIFEST + 1)
        try:
            document = json.loads(text) if len(text) <= _MAX_MANIFEST else None
        except ValueError as exc:
            raise self._foreign(f"its {MANIFEST} is not JSON") from exc
        if not isinstance(document, dict) or document.get("kind") != KIND or not isinstance(document.get("format"), int):
            raise self._foreign(f"its {MANIFEST} is of something else")
        if document["format"] > FORMAT:
            raise Unusable(
                f"{self.path} has format {document['format']}, this release reads formats up to {FORMAT}: use a newer kplane.core",
                path=self.path,
            )
        return document

    def require(self, content: str, provider: str) -> None:
        """Refuse a backup of another kind of management plane."""
        if self.manifest.get("content") != content:
            raise Unusable(
                f"{self.path} is a backup of a {self.manifest.get('content')} (provider {self.manifest.get('provider')}); the management "
                f"plane of the provider {provider} is a {content}",
                path=self.path,
            )

    def verify(self, names: t.Sequence[str]) -> None:
        """Read all of it once: the files of the manifest are there and as it says, and ``names`` are among them."""
        files = self.manifest.get("files")
        if not isinstance(files, dict) or not set(names) <= set(files) <= set(self._zip.namelist()):
            raise self._damaged("a part of it is missing")
        for name, wanted in files.items():
            digest, size = hashlib.sha256(), 0
            for chunk in self._chunks(name):
                digest.update(chunk)
                size += len(chunk)
                if size > int(wanted.get("size", 0)):
                    break
            if size != wanted.get("size") or digest.hexdigest() != wanted.get("sha256"):
                raise self._damaged(f"the content of {name} is not what its {MANIFEST} says")

    def _chunks(self, name: str) -> t.Iterator[bytes]:
        with self._explained(), self._zip.open(name) as entry:
            while True:
                chunk = entry.read(_CHUNK)
                if not chunk:
                    return
                yield chunk

    def document(self, name: str) -> t.Any:
        """A file that is one JSON document. After :meth:`verify`."""
        return json.loads(b"".join(self._chunks(name)))

    def lines(self, name: str) -> t.Iterator[t.Any]:
        """A file that is a JSON document a line. After :meth:`verify`."""
        with self._explained(), self._zip.open(name) as entry:
            while True:
                line = entry.readline(_MAX_LINE)
                if not line:
                    return
                yield json.loads(line)

    @contextlib.contextmanager
    def _explained(self) -> t.Iterator[None]:
        try:
            yield
        except _DAMAGED as exc:
            with open(self.path, "rb") as handle:
                ours = handle.read(len(_BEGINS)) == _BEGINS
            raise (self._damaged(str(exc)) if ours else self._foreign("it is no ZIP archive")) from exc
        except FileNotFoundError as exc:
            raise Unusable(f"There is no backup file {self.path}", path=self.path) from exc
        except OSError as exc:
            raise Unusable(f"Cannot read {self.path}: {exc.strerror or exc}", path=self.path) from exc

    def _foreign(self, why: str) -> Unusable:
        return Unusable(f"{self.path} is not a backup of kplane: {why}", path=self.path)

    def _damaged(self, why: str) -> Unusable:
        return Unusable(f"{self.path} is damaged or was cut off, nothing of it is used: {why}", path=self.path)


def sha256(path: str) -> str:
    """The digest of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        while True:
            chunk = handle.read(_CHUNK)
            if not chunk:
                return digest.hexdigest()
            digest.update(chunk)
