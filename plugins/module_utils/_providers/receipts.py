# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tools kind, k3d and kubectl on this host: where they are, which version, and what the role ``prerequisites`` put there.

The role leaves a receipt for each tool: the executable to use, and the path and checksum of each file that it ever put
somewhere. A file is the role's own only while it is the very file of the receipt.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform as host
import re
import shutil
import typing as t

from ansible_collections.kplane.core.plugins.module_utils import _io
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError
from ansible_collections.kplane.core.plugins.module_utils._home import user_data_home

NAMES: t.Final = ("kind", "k3d", "kubectl")
DEFAULT_DIRECTORY: t.Final = "~/.local/bin"
#: Other spellings of the architectures that releases are made for.
_ARCHITECTURES: t.Final = {"x86_64": "amd64", "aarch64": "arm64"}
_BLOCK = 1 << 20
_VERSION = re.compile(r"\bv?(\d+)\.(\d+)\.(\d+)")


class Installed(t.NamedTuple):
    """A file that the role put somewhere."""

    path: str
    version: str
    sha256: str


class Receipt(t.NamedTuple):
    """What the role left about one tool; an empty one where it never was."""

    executable: str = ""
    installed: tuple[Installed, ...] = ()

    def made(self, path: str, sha256: str) -> bool:
        """Whether the role put this very file there."""
        return any((entry.path, entry.sha256) == (path, sha256) for entry in self.installed)


def platform() -> str:
    """The system and the architecture of this host, as releases name them."""
    machine = host.machine().lower()
    return f"{host.system().lower()}-{_ARCHITECTURES.get(machine, machine)}"


def receipt_path(tool: str) -> str:
    """Where the receipt of ``tool`` is."""
    return os.path.join(user_data_home(), "kplane-tools", f"{tool}.json")


def receipt(tool: str) -> Receipt:
    """The receipt of ``tool``."""
    path = receipt_path(tool)
    content = _io.read_bytes(path)
    if content is None:
        return Receipt()
    try:
        document = json.loads(content)
        installed = tuple(Installed(str(entry["path"]), str(entry["version"]), str(entry["sha256"])) for entry in document["installed"])
        return Receipt(str(document["executable"]), installed)
    except (ValueError, TypeError, KeyError) as exc:
        raise KplaneError(
            f"{path} is no receipt of the role kplane.core.prerequisites ({exc!r}). Remove it: what is installed is then left alone.",
            path=path,
        ) from exc


def runnable(path: str) -> bool:
    """Whether ``path`` is a program."""
    return os.path.isfile(path) and os.access(path, os.X_OK)


def find(tool: str) -> str | None:
    """The program to use: the one that the role took care of, else the first on PATH."""
    chosen = receipt(tool).executable if tool in NAMES else ""
    return chosen if chosen and runnable(chosen) else shutil.which(tool)


def version_text(printed: str) -> str:
    """The first version in what a program printed, or an empty string; builds from source have none."""
    found = _VERSION.search(printed)
    return ".".join(found.groups()) if found else ""


def sha256(path: str) -> str:
    """The checksum of a file, or an empty string if there is none."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as handle:
            for block in iter(lambda: handle.read(_BLOCK), b""):
                digest.update(block)
    except FileNotFoundError:
        return ""
    except OSError as exc:
        raise KplaneError(f"Cannot read {path}: {exc.strerror or exc}", path=path) from exc
    return digest.hexdigest()
