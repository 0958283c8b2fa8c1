# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data directory and its lock."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kplane_server.process import datadir
from kplane_server.process.datadir import ServerState
from kplane_server.process.failures import EXIT_CODES, DataDirError, ProcessError, reason_of
from kplane_server.process.lock import FileLock, Held, holder

HOLD = """
import sys
from pathlib import Path
from kplane_server.process import datadir
with datadir.open(Path(sys.argv[1])) as d:
    d.announce(datadir.ServerState(url="https://h:1", host="h", port=1, version="v", cluster_name="c", kubeconfig="k"))
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_elsewhere(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that serves ``path``."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def refusal(path: Path) -> DataDirError:
    with pytest.raises(DataDirError) as caught, datadir.open(path):
        pass
    return caught.value


def test_a_new_directory_is_private_and_marked(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    with datadir.open(path) as opened:
        (path / "store.db").touch()
        assert len(opened.master_secret) == 32
    assert path.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in path.iterdir()} == {0o600}
    assert json.loads((path / datadir.MARKER).read_bytes())["format"] == datadir.FORMAT


def test_the_secret_stays_and_is_no_other_directorys(tmp_path: Path) -> None:
    secrets = []
    for name in ("a", "a", "b"):
        with datadir.open(tmp_path / name) as opened:
            secrets.append(opened.master_secret)
    assert secrets[0] == secrets[1] != secrets[2]


def test_permissions_are_taken_back(tmp_path: Path) -> None:
    with datadir.open(tmp_path / "d"):
        pass
    (tmp_path / "d").chmod(0o755)
    (tmp_path / "d" / datadir.MASTER_KEY).chmod(0o644)
    with datadir.open(tmp_path / "d"):
        assert (tmp_path / "d").stat().st_mode & 0o777 == 0o700
        assert (tmp_path / "d" / datadir.MASTER_KEY).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("leftover", [datadir.MASTER_KEY, datadir.LOCK, datadir.LOG, datadir.START_LOCK])
def test_an_interrupted_first_start_is_taken_up(tmp_path: Path, leftover: str) -> None:
    (tmp_path / leftover).write_bytes(b"x" * 32)
    with datadir.open(tmp_path) as opened:
        assert (opened.master_secret == b"x" * 32) is (leftover == datadir.MASTER_KEY)


@pytest.mark.parametrize(
    ("marker", "reason"),
    [
        (None, "DataDirForeign"),
        (b"", "DataDirForeign"),
        (b"[]", "DataDirForeign"),
        (b"{}", "DataDirForeign"),
        (b'{"kind": "something else", "format": 1}', "DataDirForeign"),
        (b'{"kind": "kplane-server data directory", "format": "1"}', "DataDirForeign"),
        (b'{"kind": "kplane-server data directory", "format": 2}', "DataDirNewer"),
    ],
)
def test_what_is_not_ours_is_left_alone(tmp_path: Path, marker: bytes | None, reason: str) -> None:
    (tmp_path / "precious").write_text("mine")
    if marker is not None:
        (tmp_path / datadir.MARKER).write_bytes(marker)
    before = sorted(os.listdir(tmp_path))
    assert refusal(tmp_path).reason == reason
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("content", [None, b"", b"short"])
def test_a_lost_secret_is_never_replaced(tmp_path: Path, content: bytes | None) -> None:
    with datadir.open(tmp_path / "d"):
        pass
    key = tmp_path / "d" / datadir.MASTER_KEY
    key.unlink()
    if content is not None:
        key.write_bytes(content)
    error = refusal(tmp_path / "d")
    assert error.reason == "DataDirUnusable"
    assert "restore it from a backup" in str(error)


def test_a_file_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "d").write_text("")
    assert refusal(tmp_path / "d").reason == "DataDirUnusable"
    assert refusal(tmp_path / "d" / "below").reason == "DataDirUnusable"


def test_it_is_served_once(tmp_path: Path) -> None:
    with held_elsewhere(tmp_path / "d") as other:
        error = refusal(tmp_path / "d")
        assert (error.reason, str(other.pid) in str(error)) == ("AlreadyRunning", True)
        assert datadir.running(tmp_path / "d") == other.pid
        state = datadir.read_state(tmp_path / "d")
        assert state is not None
        assert (state.pid, state.port, state.supervisor) == (other.pid, 1, "foreground")
        other.kill()
        other.wait()
        assert datadir.running(tmp_path / "d") is None
        with datadir.open(tmp_path / "d"):
            assert datadir.read_state(tmp_path / "d") is None  # of one that was killed


def test_one_process_cannot_serve_it_twice(tmp_path: Path) -> None:
    with datadir.open(tmp_path / "d"):
        assert refusal(tmp_path / "d").reason == "AlreadyRunning"
    with datadir.open(tmp_path / "d"):
        pass


def test_an_orderly_end_leaves_no_state(tmp_path: Path) -> None:
    with datadir.open(tmp_path / "d") as opened:
        opened.announce(ServerState("https://h:1", "h", 1, "v", "c", "k"))
        assert datadir.read_state(tmp_path / "d") is not None
    assert datadir.read_state(tmp_path / "d") is None


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff"])
def test_a_damaged_state_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / datadir.STATE).write_bytes(content)
    with pytest.raises(DataDirError, match=r"server\.json"):
        datadir.read_state(tmp_path)


def test_looking_at_the_lock_takes_nothing(tmp_path: Path) -> None:
    assert holder(tmp_path / "lock") is None
    assert not (tmp_path / "lock").exists()
    (tmp_path / "lock").write_text("4711")  # a stale pid file of somebody means nothing
    assert holder(tmp_path / "lock") is None
    with FileLock(tmp_path / "lock"), pytest.raises(Held):
        FileLock(tmp_path / "lock")
    FileLock(tmp_path / "lock").close()


def test_a_lock_is_no_link(tmp_path: Path) -> None:
    (tmp_path / "target").touch()
    (tmp_path / "lock").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="symbolic links"):
        FileLock(tmp_path / "lock")


def test_earlier_addresses_are_remembered(tmp_path: Path) -> None:
    assert datadir.former_base_urls(tmp_path, "https://h:1") == ()
    assert datadir.former_base_urls(tmp_path, "https://h:1") == ()
    assert datadir.former_base_urls(tmp_path, "https://h:2") == ("https://h:1",)
    assert datadir.former_base_urls(tmp_path, "https://h:1") == ("https://h:2",)
    for port in range(20):
        datadir.former_base_urls(tmp_path, f"https://h:{port}")
    assert len(datadir.former_base_urls(tmp_path, "https://h:x")) == 8
    (tmp_path / datadir.BASE_URLS).write_text("{")
    with pytest.raises(DataDirError):
        datadir.former_base_urls(tmp_path, "https://h:1")


def test_every_reason_has_an_exit_code_of_its_own() -> None:
    assert len(set(EXIT_CODES.values())) == len(EXIT_CODES)
    assert not set(EXIT_CODES.values()) & {0, 1, 2}
    for reason, code in EXIT_CODES.items():
        assert reason_of(code) == reason
        error = ProcessError(reason, "why")
        assert error.exit_code == code
        assert error.document() == {"error": {"reason": reason, "message": "why"}}
    assert reason_of(1) is None
    assert reason_of(None) is None
