# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbered migrations of the database file: each is one SQL script, applied in one transaction and recorded with it.

To change the format add the next number; a script that has been released never changes.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from importlib import resources

from kplane_server.storage.api import UnknownFormat

_SCRIPT = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")


def scripts() -> list[tuple[int, str]]:
    """Every migration as (number, SQL), in order."""
    files = ((file, _SCRIPT.fullmatch(file.name)) for file in resources.files(__name__).iterdir())
    return sorted((int(match[1]), file.read_text(encoding="utf-8")) for file, match in files if match)


def migrate(connection: sqlite3.Connection) -> int:
    """Bring a database to the newest format. Returns the format that it had (0: it was empty).

    Raises UnknownFormat for a database of a newer program, and leaves it untouched.
    """
    connection.execute("CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID")
    row = connection.execute("SELECT value FROM meta WHERE key = 'format'").fetchone()
    before = 0 if row is None else int(row[0])
    known = scripts()
    if before > known[-1][0]:
        raise UnknownFormat(f"the store has format {before}, this program knows formats up to {known[-1][0]}: use a newer kplane-server")
    for number, script in known:
        if number > before:
            _apply(connection, number, script)
    return before


def _apply(connection: sqlite3.Connection, number: int, script: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in _statements(script):
            connection.execute(statement)
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('format', ?)", (number,))
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _statements(script: str) -> Iterator[str]:
    """The statements of a script, one by one: ``executescript`` would commit before each of them."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
