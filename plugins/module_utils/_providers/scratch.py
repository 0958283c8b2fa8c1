# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories for a moment, for the programs of others; what a killed run has left is swept by the next one.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import typing as t

from ansible_collections.kplane.core.plugins.module_utils import _io

_PREFIX: t.Final = "kplane-scratch-"


@contextlib.contextmanager
def directory() -> t.Iterator[str]:
    """A private directory that is gone afterwards. The kernel lets go of it when this process dies."""
    _sweep()
    path, handle = _made()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(handle)


def _made() -> tuple[str, int]:
    while True:
        path = tempfile.mkdtemp(prefix=_PREFIX)
        handle = _hold(path)
        if handle is not None:
            return path, handle
        # Another run has swept it away before it was held.


def _sweep() -> None:
    """Remove the directories of ours that nobody holds: their runs were killed. They may have credentials in them."""
    parent = tempfile.gettempdir()
    for name in os.listdir(parent):
        if name.startswith(_PREFIX):
            path = os.path.join(parent, name)
            handle = _hold(path)
            if handle is not None:
                shutil.rmtree(path, ignore_errors=True)
                os.close(handle)


def _hold(path: str) -> int | None:
    """Hold a directory of this user's, or ``None`` if somebody does, or it is none."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    if os.fstat(handle).st_uid == os.geteuid() and _io.hold(handle, path):
        return handle
    os.close(handle)
    return None
