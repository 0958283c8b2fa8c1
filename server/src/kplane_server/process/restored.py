# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last step of a restore: files that lie complete in the data directory take their places.

``restoring/`` is filled; renaming it to ``restored/`` is the moment at which the restore has happened. What is left is to move the files,
which the restore does, or the next one that opens the directory if it died.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Final

from kplane_server.process import files

RESTORING: Final = "restoring"
RESTORED: Final = "restored"
#: In ``restored/``: what goes, and what takes its place. It stays in the data directory and says of which backup that is.
RECORD: Final = "restore.json"


def commit(path: Path) -> None:
    """From now on the restore is done, whatever happens."""
    (path / RESTORING).rename(path / RESTORED)
    files.sync_directory(path)


def finish(path: Path) -> bool:
    """Move what a restore has put ready to its places. Whether there was anything. Repeated after a crash, it goes on where it was."""
    ready = path / RESTORED
    if not ready.is_dir():
        return False
    record = ready / RECORD
    if record.is_file():  # else only the empty directory is left
        plan = json.loads(record.read_bytes())
        for name in plan["removes"]:
            _remove(path / name)
        for name in plan["puts"]:
            if (ready / name).exists():  # else it has its place already
                _remove(path / name)
                (ready / name).rename(path / name)
        record.replace(path / RECORD)
        files.sync_directory(path)
    shutil.rmtree(ready)
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
