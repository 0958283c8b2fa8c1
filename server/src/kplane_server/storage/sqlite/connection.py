# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections to the database file: how they are opened and tuned, and what their errors mean to callers."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final, Literal

from kplane_server.storage.api import StorageFull, StorageUnavailable, UnknownFormat
from kplane_server.storage.migrations import migrate

Synchronous = Literal["FULL", "NORMAL"]

#: Marks the file as ours ("kpln").
APPLICATION_ID: Final = 0x6B706C6E

#: Page caches, in KiB. Small: the operating system caches the file as well, and hot documents are in ``storage.cache``.
_WRITER_CACHE_KIB: Final = 16_384
_READER_CACHE_KIB: Final = 8_192

#: How long (milliseconds) a lock of another process is waited for. Short, because statements run on the event loop.
_BUSY_MS: Final = 100

_FULL: Final = frozenset({sqlite3.SQLITE_FULL})


def open_writer(path: Path, synchronous: Synchronous) -> sqlite3.Connection:
    """The one connection that writes, with the newest format in place."""
    connection = _connect(path)
    try:
        _claim(connection, path)
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute(f"PRAGMA cache_size = -{_WRITER_CACHE_KIB}")
        connection.execute("PRAGMA cache_spill = OFF")  # nothing goes to the disk before COMMIT, which runs in the thread
        connection.execute("PRAGMA wal_autocheckpoint = 0")  # the writer checkpoints between transactions
        connection.execute("PRAGMA temp_store = MEMORY")
        migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that only reads."""
    connection = _connect(path)
    connection.execute("PRAGMA query_only = ON")
    connection.execute(f"PRAGMA cache_size = -{_READER_CACHE_KIB}")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def checkpoint_beside(path: Path) -> None:
    """Move what it can of the write-ahead log into the database, on a connection of its own, without keeping anyone waiting."""
    connection = _connect(path)
    try:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    finally:
        connection.close()


def _connect(path: Path) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
    except sqlite3.Error as error:
        raise StorageUnavailable(f"cannot open {path}: {error}") from error
    return connection


def _claim(connection: sqlite3.Connection, path: Path) -> None:
    """Make an empty file ours, or see that it is."""
    try:
        empty = connection.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()[0] == 0
        if empty:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if empty:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        owner = connection.execute("PRAGMA application_id").fetchone()[0]
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
            raise UnknownFormat(f"{path} is not a database") from error
        raise failure(error) from error
    if owner != APPLICATION_ID:
        raise UnknownFormat(f"{path} is a database of another program")
    if mode != "wal":
        raise StorageUnavailable(f"{path} is on a file system without shared memory (journal mode {mode})")


def failure(error: sqlite3.Error) -> StorageFull | StorageUnavailable:
    """What callers are told for an error of SQLite; they chain it."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _FULL:
        return StorageFull("the disk is full")
    return StorageUnavailable(f"the store cannot write: {error}")
