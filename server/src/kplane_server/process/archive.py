# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backup file: a ZIP archive, whose ``manifest.json`` says what it is of and what is in it. ``docs/backup.md`` has the format.

A ZIP file ends with its table of contents, so one that was cut off is seen at once; the manifest's digests find everything else.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from kplane_server.process.failures import ProcessError

KIND: Final = "kplane backup"
#: The format that this version writes. A greater one comes from a newer version.
FORMAT: Final = 1
#: What the archives of this server hold; the Ansible collection makes others.
CONTENT: Final = "kplane-server data directory"
MANIFEST: Final = "manifest.json"

_MAX_MANIFEST: Final = 1 << 20
_CHUNK: Final = 1 << 20
_LEVEL: Final = 4
_BEGINS: Final = b"PK\x03\x04"
_DAMAGED: Final = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


@dataclass(frozen=True, slots=True)
class Entry:
    """One file in an archive."""

    size: int
    sha256: str


class ArchiveWriter:
    """Writes an archive; :meth:`finish` makes it one."""

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path, "x", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL)
        self._files: dict[str, dict[str, Any]] = {}

    def add(self, name: str, source: Path) -> None:
        """Put a file in."""
        digest, size = hashlib.sha256(), 0
        with source.open("rb") as file, self._zip.open(name, "w", force_zip64=True) as entry:
            while chunk := file.read(_CHUNK):
                entry.write(chunk)
                digest.update(chunk)
                size += len(chunk)
        self._files[name] = {"size": size, "sha256": digest.hexdigest()}

    def finish(self, about: Mapping[str, Any]) -> dict[str, Any]:
        """Write the manifest, and give it back."""
        manifest = {"kind": KIND, "format": FORMAT, "content": CONTENT, **about, "files": self._files}
        self._zip.writestr(MANIFEST, json.dumps(manifest, indent=1))
        self._zip.close()
        return manifest


class Archive:
    """An archive of a server's data directory. Reading it raises ProcessError (BackupUnusable or BackupNewer)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._explained():
            self._zip = zipfile.ZipFile(path)
        try:
            self.manifest = self._manifest()
            self.entries = self._entries()
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self._zip.close()

    def _manifest(self) -> dict[str, Any]:
        names = self._zip.namelist()
        if MANIFEST not in names:
            raise self._foreign(f"it has no {MANIFEST}")
        with self._explained(), self._zip.open(MANIFEST) as entry:
            text = entry.read(_MAX_MANIFEST + 1)
        try:
            document = json.loads(text) if len(text) <= _MAX_MANIFEST else None
        except ValueError as error:
            raise self._foreign(f"its {MANIFEST} is not JSON") from error
        if not isinstance(document, dict) or document.get("kind") != KIND or not isinstance(document.get("format"), int):
            raise self._foreign(f"its {MANIFEST} is of something else")
        if document["format"] > FORMAT:
            message = f"{self._path} has format {document['format']}, this version reads formats up to {FORMAT}: use a newer kplane-server"
            raise ProcessError("BackupNewer", message)
        if document.get("content") != CONTENT:
            message = (
                f"{self._path} is a backup of a {document.get('content')} (provider {document.get('provider')}), not of a {CONTENT}: "
                "restore it to a management plane of that provider, with the playbook kplane.core.restore"
            )
            raise ProcessError("BackupUnusable", message)
        if len(set(names)) != len(names):
            raise self._damaged("it holds a name twice")
        return document

    def _entries(self) -> dict[str, Entry]:
        try:
            entries = {str(name): Entry(int(one["size"]), str(one["sha256"])) for name, one in self.manifest["files"].items()}
            str(self.manifest["id"]), int(self.manifest["vcps"]), float(self.manifest["taken"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._damaged(f"its {MANIFEST} lacks something: {error!r}") from error
        missing = sorted(set(entries) - set(self._zip.namelist()))
        if missing:
            raise self._damaged(f"it lacks {', '.join(missing[:3])}")
        return entries

    def read(self, name: str) -> Iterator[bytes]:
        """The content of a file of the manifest, in pieces; raises at the end if it is not what the manifest says."""
        wanted, digest, size = self.entries[name], hashlib.sha256(), 0
        with self._explained(), self._zip.open(name) as entry:
            while chunk := entry.read(_CHUNK):
                size += len(chunk)
                if size > wanted.size:
                    break
                digest.update(chunk)
                yield chunk
        if size != wanted.size or digest.hexdigest() != wanted.sha256:
            raise self._damaged(f"the content of {name} is not what its {MANIFEST} says")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except _DAMAGED as error:
            with self._path.open("rb") as file:
                ours = file.read(len(_BEGINS)) == _BEGINS
            raise (self._damaged(str(error)) if ours else self._foreign("it is no ZIP archive")) from error
        except FileNotFoundError as error:
            raise ProcessError("BackupUnusable", f"there is no backup file {self._path}") from error
        except OSError as error:
            raise ProcessError("BackupUnusable", f"{self._path} cannot be read: {error}") from error

    def _foreign(self, why: str) -> ProcessError:
        return ProcessError("BackupUnusable", f"{self._path} is not a backup of kplane: {why}")

    def _damaged(self, why: str) -> ProcessError:
        return ProcessError("BackupUnusable", f"{self._path} is damaged or was cut off, nothing of it is used: {why}")
