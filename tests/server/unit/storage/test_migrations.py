# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Migrations: numbered, whole or not at all, and a newer format is left alone."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from contract.stores import layer_for

from kplane_server.storage import migrations
from kplane_server.storage.api import StorageUnavailable, UnknownFormat
from kplane_server.storage.sqlite import SqliteStore


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


def test_numbers_have_no_gap_and_scripts_say_something() -> None:
    known = migrations.scripts()
    assert [number for number, _ in known] == list(range(1, len(known) + 1))
    assert all(list(migrations._statements(script)) for _, script in known)


def test_a_database_is_brought_up_step_by_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = _connect(tmp_path / "db")
    scripts = [(1, "CREATE TABLE a (x);\n"), (2, "CREATE TABLE b (x);\nINSERT INTO b VALUES (';');\n")]
    monkeypatch.setattr(migrations, "scripts", lambda: scripts[:1])
    assert migrations.migrate(connection) == 0
    monkeypatch.setattr(migrations, "scripts", lambda: scripts)
    assert migrations.migrate(connection) == 1
    assert migrations.migrate(connection) == 2
    assert connection.execute("SELECT x FROM b").fetchall() == [(";",)]
    connection.close()


def test_a_migration_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = _connect(tmp_path / "db")
    monkeypatch.setattr(migrations, "scripts", lambda: [(1, "CREATE TABLE a (x);\nINSERT INTO nowhere VALUES (1);\n")])
    with pytest.raises(sqlite3.OperationalError):
        migrations.migrate(connection)
    assert connection.execute("SELECT name FROM sqlite_schema WHERE name = 'a'").fetchall() == []
    assert connection.execute("SELECT * FROM meta").fetchall() == []
    connection.close()


async def test_a_newer_format_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await SqliteStore.open(path, layer=layer_for).close()
    connection = _connect(path)
    connection.execute("UPDATE meta SET value = 99 WHERE key = 'format'")
    connection.close()
    with pytest.raises(UnknownFormat, match=r"format 99.*newer kplane-server"):
        SqliteStore.open(path, layer=layer_for)
    connection = _connect(path)
    assert connection.execute("SELECT value FROM meta WHERE key = 'format'").fetchone() == (99,)
    connection.close()


async def test_files_of_others_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    connection = _connect(path)
    connection.execute("CREATE TABLE mine (x)")
    connection.close()
    with pytest.raises(UnknownFormat, match="another program"):
        SqliteStore.open(path, layer=layer_for)
    (tmp_path / "text").write_text("this is no database, and it is longer than a header would be" * 20)
    with pytest.raises(UnknownFormat, match="not a database"):
        SqliteStore.open(tmp_path / "text", layer=layer_for)
    with pytest.raises(StorageUnavailable, match="cannot open"):
        SqliteStore.open(tmp_path / "missing" / "store.db", layer=layer_for)
