# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start, stop and status of a real process in the background."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kplane_server.process import datadir, pki, supervise, systemd
from kplane_server.process.failures import DataDirError, ProcessError
from kplane_server.process.lock import FileLock
from kplane_server.process.supervise import ServerStatus, StartOptions

SAMPLE = Path(__file__).with_name("sample_server.py")
Start = Callable[..., tuple[ServerStatus, bool]]


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """A data directory; whatever serves it is ended after the test."""
    directory = tmp_path / "data"
    yield directory
    if directory.is_dir():
        supervise.stop(directory, 1.0)


@pytest.fixture
def start(path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """``supervise.start`` of the sample server, as a daemon."""
    monkeypatch.setattr(systemd, "run_command", lambda arguments: [sys.executable, str(SAMPLE), *arguments])

    def begin(*words: str, timeout: float = 30.0) -> tuple[ServerStatus, bool]:
        return supervise.start(StartOptions(path, (str(path), *words), timeout, "daemon"))

    return begin


def test_a_life(path: Path, start: Start) -> None:
    assert supervise.status(path) == ServerStatus(path, running=False)
    status, changed = start()
    assert (changed, status.running, status.ready) == (True, True, True)
    assert status.state is not None
    assert status.document() == {
        "running": True,
        "ready": True,
        "dataDir": str(path),
        "pid": status.pid,
        "url": status.state.url,
        "host": "127.0.0.1",
        "port": status.state.port,
        "version": "0",
        "clusterName": "c",
        "kubeconfig": "k",
        "supervisor": "daemon",
    }
    assert status.text().startswith(f"running, ready: {status.state.url}\nprocess {status.pid}, version 0, daemon\n")
    again, changed_again = start("exit=1")
    assert (changed_again, again.pid) == (False, status.pid)
    assert supervise.status(path) == status
    assert supervise.stop(path) is True
    assert supervise.status(path).document() == {"running": False, "ready": False, "dataDir": str(path)}
    assert "not running" in supervise.status(path).text()
    assert supervise.stop(path) is False


def test_a_directory_that_never_was(tmp_path: Path) -> None:
    assert supervise.stop(tmp_path / "nowhere") is False
    assert supervise.status(tmp_path / "nowhere").running is False
    assert not (tmp_path / "nowhere").exists()


def test_two_starts_at_once(path: Path, start: Start) -> None:
    found: list[tuple[ServerStatus, bool]] = []
    threads = [threading.Thread(target=lambda: found.append(start("slow"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(changed for _, changed in found) == [False, False, True]
    assert len({status.pid for status, _ in found}) == 1
    assert all(status.ready for status, _ in found)


@pytest.mark.parametrize(
    ("word", "reason", "message"),
    [
        ("exit=14", "PortInUse", "^it went wrong$"),
        ("exit=11", "DataDirNewer", "^it went wrong$"),
        ("exit=1", "NotReady", "ended with exit code 1; its log ends:\nstarting\nkplane-server: it went wrong"),
        ("silent", "NotReady", "ended with exit code 1, without a word"),
        ("crash", "NotReady", "was ended by signal 9"),
    ],
)
def test_a_server_that_fails_speaks(path: Path, start: Start, word: str, reason: str, message: str) -> None:
    path.mkdir()
    (path / datadir.LOG).write_text("an older word\n")
    with pytest.raises(ProcessError, match=message) as caught:
        start(word)
    assert caught.value.reason == reason
    assert "older" not in str(caught.value)


def test_a_server_that_does_not_become_ready_is_ended(path: Path, start: Start) -> None:
    with pytest.raises(ProcessError, match="did not become ready in time") as caught:
        start("unready", timeout=1.5)
    assert caught.value.reason == "NotReady"
    assert supervise.status(path).running is False


def test_a_server_that_is_not_ready_is_seen_so(path: Path, start: Start) -> None:
    process = subprocess.Popen([sys.executable, str(SAMPLE), str(path), "unready"])
    try:
        _until(lambda: supervise.status(path).state is not None)
        status = supervise.status(path)
        assert (status.running, status.ready, status.pid) == (True, False, process.pid)
        assert status.text().startswith("running, not ready")
        with pytest.raises(ProcessError, match="did not become ready in time"):
            start(timeout=0.3)
        assert process.poll() is None  # it was not ours to end
        assert supervise.stop(path) is True
    finally:
        process.kill()
        process.wait()


def test_a_server_that_will_not_hear_is_killed(path: Path, start: Start) -> None:
    status, _ = start("deaf")
    assert supervise.stop(path, 0.3) is True
    assert supervise.status(path).running is False
    assert status.pid is not None


def test_a_stale_pid_is_nobodys_end(path: Path, start: Start) -> None:
    """The state names a living process that does not hold the lock: a stranger who got the number."""
    status, _ = start()
    assert status.pid is not None
    os.kill(status.pid, signal.SIGKILL)
    _until(lambda: not supervise.status(path).running)
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as stranger:
        text = (path / datadir.STATE).read_text().replace(f'"pid": {status.pid}', f'"pid": {stranger.pid}')
        assert str(stranger.pid) in text
        (path / datadir.STATE).write_text(text)
        assert supervise.status(path).running is False
        assert supervise.stop(path) is False
        assert stranger.poll() is None
        restarted, changed = start()
        assert changed
        assert restarted.pid not in (status.pid, stranger.pid)
        assert stranger.poll() is None
        stranger.communicate()


def test_a_holder_that_cannot_be_told_is_not_signalled(path: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """In another pid namespace the kernel says that the lock is held, and gives no number."""
    status, _ = start()
    with monkeypatch.context() as blind:
        blind.setattr(datadir, "running", lambda _: 0)
        seen = supervise.status(path)
        assert (seen.running, seen.ready, seen.pid) == (True, True, None)
        assert "a process that cannot be told" in seen.text()
        with pytest.raises(ProcessError, match="cannot be told") as caught:
            supervise.stop(path)
        assert caught.value.reason == "NotStopped"
    assert supervise.status(path) == status


def test_a_server_that_has_not_spoken_yet(path: Path, start: Start) -> None:
    status, _ = start()
    (path / datadir.STATE).unlink()
    seen = supervise.status(path)
    assert (seen.running, seen.ready, seen.pid, seen.state) == (True, False, status.pid, None)
    assert seen.text().startswith("running, not ready: process")
    assert "url" not in seen.document()


def test_starts_take_turns(path: Path, start: Start) -> None:
    path.mkdir()
    with FileLock(path / datadir.START_LOCK), pytest.raises(ProcessError, match="another start or stop") as caught:
        start(timeout=0.1)
    assert caught.value.reason == "NotReady"


def test_a_foreign_directory_is_not_started_in(path: Path, start: Start) -> None:
    path.mkdir()
    (path / "precious").touch()
    with pytest.raises(DataDirError) as caught:
        start()
    assert caught.value.reason == "DataDirForeign"
    assert [entry.name for entry in path.iterdir()] == ["precious"]


def test_another_server_on_the_port_is_not_ours(path: Path, start: Start, tmp_path: Path) -> None:
    """Readiness is that of a server with a certificate of this directory's CA, not of whoever answers at the address."""
    ours, _ = start()
    assert ours.state is not None
    (tmp_path / "pki").mkdir()
    (tmp_path / "pki" / "ca.crt").write_bytes(_another_authority(tmp_path))
    assert supervise.is_ready(ours.state, path)
    assert not supervise.is_ready(ours.state, tmp_path)


def test_the_log_is_put_aside_when_it_is_long(path: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "MAX_LOG_BYTES", 10)
    path.mkdir()
    (path / datadir.LOG).write_text("a long log\n")
    start()
    assert (path / datadir.OLD_LOG).read_text() == "a long log\n"
    assert "a long log" not in (path / datadir.LOG).read_text()


def test_systemd_alone_is_told_to_be_missing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systemd, "find", lambda: None)
    with pytest.raises(ProcessError, match="no systemd") as caught:
        supervise.start(StartOptions(path, (), 1.0, "systemd"))
    assert caught.value.reason == "SupervisorFailed"


def _another_authority(directory: Path) -> bytes:
    (directory / "another").mkdir()
    return pki.ensure(directory / "another", [], datetime.now(UTC)).ca_pem


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
