# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of a database file: made beside the writer, looked at, and made fit to follow the store that they were made of."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from kplane_server.storage.api import StorageUnavailable, UnknownFormat
from kplane_server.storage.migrations import scripts
from kplane_server.storage.sqlite.connection import APPLICATION_ID, open_reader

#: The column ``state.run``: the revision in the file may be behind what was given out.
MAY_HAVE_LOST: Final = -1

#: Who has seen an older revision has to list again.
SKIP_REVISIONS: Final = "UPDATE state SET revision = revision + ?1, log_floor = revision + ?1"

_LAST: Final = "-wal", "-shm"


class Summary(NamedTuple):
    """What a database file holds; ``vcps`` without root, in any state."""

    revision: int
    vcps: int
    objects: int


def copy_store(path: Path, copy: Path) -> None:
    """A consistent copy, on a connection of its own: one read transaction from beginning to end, beside the writer.

    Raises sqlite3.Error and OSError.
    """
    with closing(open_reader(path)) as source, closing(sqlite3.connect(copy, isolation_level=None)) as target:
        source.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")
        target.execute("UPDATE state SET run = ?", (MAY_HAVE_LOST,))


def summary(path: Path) -> Summary:
    """What is in a file. Raises UnknownFormat for one that is not a store, or that a newer program wrote."""
    try:
        with closing(open_reader(path)) as connection:
            if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
                raise UnknownFormat(f"{path} is a database of another program")
            row = connection.execute("SELECT value FROM meta WHERE key = 'format'").fetchone()
            newest = scripts()[-1][0]
            if row is None or int(row[0]) > newest:
                raise UnknownFormat(f"the store has format {row and row[0]}, this program knows formats up to {newest}")
            revision, objects = connection.execute("SELECT revision, objects FROM state").fetchone()
            vcps = connection.execute("SELECT COUNT(*) FROM vcps WHERE id <> 1").fetchone()[0]
            return Summary(revision, vcps, objects)
    except sqlite3.DatabaseError as error:
        raise UnknownFormat(f"{path} is not a store, or is damaged: {error}") from error


def follow(copy: Path, jump: int) -> None:
    """Let the revisions of a copy go on ``jump`` after its own, so that none which was given out since is given out again."""
    try:
        with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
            connection.execute(SKIP_REVISIONS, (jump,))
    except sqlite3.Error as error:
        raise StorageUnavailable(f"{copy} cannot be written: {error}") from error


def files_of(path: Path) -> tuple[Path, ...]:
    """The files that SQLite keeps for one database; the database itself is the last one."""
    return (*(path.with_name(path.name + suffix) for suffix in _LAST), path)
