# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The source tree of kplane-server: which files belong to it, and what identifies its content.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import typing as t

from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError

#: The file that makes a directory a Python project.
PROJECT: t.Final = "pyproject.toml"
_SKIPPED_DIRECTORIES = frozenset({"__pycache__", "build", "dist", "tools"})
_SKIPPED_SUFFIXES = (".pyc", ".egg-info")


def tree_files(root: str) -> list[str]:
    """The files of the project in ``root``, relative and sorted; what building and running leaves behind is not among them."""
    found = []
    for directory, subdirectories, names in os.walk(root):
        subdirectories[:] = [
            name
            for name in subdirectories
            if name not in _SKIPPED_DIRECTORIES and not name.startswith(".") and not name.endswith(_SKIPPED_SUFFIXES)
        ]
        found += [
            os.path.relpath(os.path.join(directory, name), root)
            for name in names
            if not name.startswith(".") and not name.endswith(_SKIPPED_SUFFIXES)
        ]
    return sorted(found)


def fingerprint(root: str) -> str:
    """What identifies the content of the project in ``root``."""
    if not os.path.isfile(os.path.join(root, PROJECT)):
        raise KplaneError(f"{root} is not a Python project: it has no {PROJECT}", path=root)
    digest = hashlib.sha256()
    for path in tree_files(root):
        with open(os.path.join(root, path), "rb") as handle:
            digest.update(path.encode() + b"\0" + hashlib.sha256(handle.read()).digest())
    return "sha256:" + digest.hexdigest()


def copy(root: str, target: str) -> None:
    """Copy the project to ``target``, so that a build leaves nothing in the original."""
    for path in tree_files(root):
        destination = os.path.join(target, path)
        os.makedirs(os.path.dirname(destination), exist_ok=True)
        shutil.copyfile(os.path.join(root, path), destination)


def pack(root: str, archive: str) -> None:
    """Pack the project into a compressed archive."""
    with tarfile.open(archive, "w:gz", compresslevel=6) as tar:
        for path in tree_files(root):
            tar.add(os.path.join(root, path), arcname=path, recursive=False)


def unpack(archive: str, target: str) -> None:
    """Unpack an archive that :func:`pack` made; nothing in it can reach outside of ``target``."""
    base = os.path.realpath(target) + os.sep
    try:
        with tarfile.open(archive) as tar:
            for member in tar.getmembers():
                destination = os.path.realpath(os.path.join(target, member.name))
                if not member.isfile() or not destination.startswith(base):
                    raise KplaneError(f"{archive} holds {member.name!r}, which is not a plain file inside of it", path=archive)
                os.makedirs(os.path.dirname(destination), exist_ok=True)
                content = tar.extractfile(member)
                if content is not None:
                    with open(destination, "wb") as handle:
                        shutil.copyfileobj(content, handle)
    except tarfile.TarError as exc:
        raise KplaneError(f"{archive} is not an archive that can be read: {exc}", path=archive) from exc
