# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``kplane-server start|stop|status``: a server in the background, under systemd where it is there, else as a process of its own.

Nothing here imports the server: a look at its state costs an interpreter start and one small request.
"""

from __future__ import annotations

import http.client
import os
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from kplane_server.process import datadir, systemd
from kplane_server.process.datadir import ServerState
from kplane_server.process.failures import ProcessError, reason_of
from kplane_server.process.lock import FileLock, Held
from kplane_server.process.systemd import Systemd

#: Seconds that a server has to end its watches and drain its writer before it is killed.
STOP_TIMEOUT: Final = 40.0
#: A log beyond this is put aside at a start, replacing the one before it.
MAX_LOG_BYTES: Final = 16 * 1024 * 1024

#: How ``kplane-server`` begins its last line when it fails.
MESSAGE_PREFIX: Final = "kplane-server: "

_LOG_LINES: Final = 15
_KILL_WAIT: Final = 10.0
_PROBE_TIMEOUT: Final = 5.0
_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 0.2


@dataclass(frozen=True, slots=True)
class StartOptions:
    """What to start. ``arguments`` follow ``kplane-server run``, ``--data-dir`` among them."""

    data_dir: Path
    arguments: tuple[str, ...]
    wait_timeout: float = 60.0
    supervisor: Literal["auto", "systemd", "daemon"] = "auto"


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """Whether a data directory is served. ``state`` is what its server says; None until it has said so."""

    data_dir: Path
    running: bool
    ready: bool = False
    pid: int | None = None
    state: ServerState | None = None

    def document(self) -> dict[str, Any]:
        """What ``--output json`` prints."""
        found: dict[str, Any] = {"running": self.running, "ready": self.ready, "dataDir": str(self.data_dir)}
        if self.pid:
            found["pid"] = self.pid
        if self.state is not None:
            found |= {
                "url": self.state.url,
                "host": self.state.host,
                "port": self.state.port,
                "version": self.state.version,
                "clusterName": self.state.cluster_name,
                "kubeconfig": self.state.kubeconfig,
                "supervisor": self.state.supervisor,
            }
        return found

    def text(self) -> str:
        """The same for people."""
        if not self.running:
            return f"not running (data directory {self.data_dir})"
        word = "ready" if self.ready else "not ready"
        process = f"process {self.pid}" if self.pid else "a process that cannot be told"
        if self.state is None:
            return f"running, {word}: {process} (data directory {self.data_dir})"
        by = f"{process}, version {self.state.version}, {self.state.supervisor}"
        return f"running, {word}: {self.state.url}\n{by}\ndata directory {self.data_dir}\nkubeconfig {self.state.kubeconfig}"


def status(data_dir: Path) -> ServerStatus:
    """What is true now. Raises DataDirError if the directory cannot be read."""
    path = data_dir.expanduser().absolute()
    try:
        pid = datadir.running(path)
        if pid is None:
            return ServerStatus(path, running=False)
        state = datadir.read_state(path)
    except PermissionError as error:
        raise ProcessError("DataDirUnusable", f"data directory {path} is not accessible to this user: {error}") from error
    if state is None or (pid and state.pid != pid):  # no word yet, or that of one before
        return ServerStatus(path, running=True, pid=pid or None)
    return ServerStatus(path, running=True, ready=is_ready(state, path), pid=pid or None, state=state)


def is_ready(state: ServerState, data_dir: Path) -> bool:
    """Whether ``/readyz`` answers 200 with a certificate of this directory's CA."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(state.host, state.host)
    try:
        context = ssl.create_default_context(cafile=str(data_dir / "pki" / "ca.crt"))
        connection = http.client.HTTPSConnection(host, state.port, timeout=_PROBE_TIMEOUT, context=context)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.client.OK
        finally:
            connection.close()
    except (OSError, http.client.HTTPException):
        return False  # not listening, not yet talking, or another server altogether: not ours in any case


def start(options: StartOptions) -> tuple[ServerStatus, bool]:
    """Make sure that the directory is served and ready. Returns its status, and whether this call started it.

    Of two starts at once one starts it and both return when it is ready. Raises ProcessError with the reason of a failure, and
    leaves no process behind then.
    """
    path = datadir.prepare(options.data_dir)
    deadline = time.monotonic() + options.wait_timeout
    with turn(path, deadline):
        if datadir.running(path) is not None:
            return _wait_ready(path, deadline, None), False
        launched = _launch(path, options)
        try:
            return _wait_ready(path, deadline, launched), True
        except BaseException:
            launched.abandon()
            raise


def stop(data_dir: Path, timeout: float = STOP_TIMEOUT) -> bool:
    """Stop the server and wait until it is gone. Returns whether there was anything to stop.

    Asks with SIGTERM; after ``timeout`` seconds SIGKILL, which loses nothing that was acknowledged.
    """
    path = data_dir.expanduser().absolute()
    if not path.is_dir():
        return False
    try:
        with turn(path, time.monotonic() + timeout):
            manager = systemd.managing(path)
            if manager is not None:
                manager.remove(path)
            pid = datadir.running(path)
            if pid is not None:
                _end(path, pid, timeout)
            return manager is not None or pid is not None
    except PermissionError as error:
        raise ProcessError("NotStopped", f"this user may not stop the server of {path}: {error}") from error


@contextmanager
def turn(path: Path, deadline: float) -> Iterator[None]:
    """Starts and stops of one directory take turns."""
    while True:
        try:
            lock = FileLock(path / datadir.START_LOCK)
            break
        except Held as error:
            if time.monotonic() >= deadline:
                raise ProcessError("NotReady", f"another start or stop of {path} did not end in time: {error}") from error
            time.sleep(0.05)
        except OSError as error:
            raise ProcessError("DataDirUnusable", f"data directory {path} cannot be used: {error}") from error
    with lock:
        yield


class _Daemon:
    """A server that this process started as a process of its own."""

    def __init__(self, path: Path, arguments: tuple[str, ...]) -> None:
        self._log = path / datadir.LOG
        if self._log.exists() and self._log.stat().st_size > MAX_LOG_BYTES:
            self._log.replace(path / datadir.OLD_LOG)
        descriptor = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            self._begin = os.fstat(descriptor).st_size
            self._process = subprocess.Popen(
                systemd.run_command(arguments),
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                cwd="/",
                env={**os.environ, datadir.SUPERVISOR_VARIABLE: "daemon"},
                start_new_session=True,
            )
        finally:
            os.close(descriptor)

    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.poll()

    def log_tail(self) -> str:
        """What it said last."""
        with self._log.open("rb") as file:
            file.seek(self._begin)
            lines = file.read(MAX_LOG_BYTES).decode(errors="replace").splitlines()
        return "\n".join(lines[-_LOG_LINES:])

    def abandon(self) -> None:
        """End it: a start that failed leaves no process."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_KILL_WAIT)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


class _Unit:
    """A server that systemd started."""

    def __init__(self, path: Path, arguments: tuple[str, ...], manager: Systemd) -> None:
        self._path, self._manager = path, manager
        try:
            manager.install(path, systemd.run_command(arguments))
        except BaseException:
            if manager.installed(path):
                self.abandon()
            raise

    def exit_code(self) -> int | None:
        state = self._manager.state(self._path)
        if state.exit_code:
            return state.exit_code  # also while systemd waits to try again
        return 1 if state.active in ("failed", "inactive") else None

    def log_tail(self) -> str:
        return self._manager.log_tail(self._path, _LOG_LINES)

    def abandon(self) -> None:
        self._manager.remove(self._path)


def _launch(path: Path, options: StartOptions) -> _Daemon | _Unit:
    manager = None if options.supervisor == "daemon" else systemd.find()
    if manager is not None:
        return _Unit(path, options.arguments, manager)
    if options.supervisor == "systemd":
        raise ProcessError("SupervisorFailed", "there is no systemd here that this user can talk to")
    try:
        return _Daemon(path, options.arguments)
    except OSError as error:
        raise ProcessError("SupervisorFailed", f"the server cannot be started: {error}") from error


def _wait_ready(path: Path, deadline: float, launched: _Daemon | _Unit | None) -> ServerStatus:
    pause = _FIRST_PAUSE
    while True:
        found = status(path)
        if found.ready:
            return found
        code = launched.exit_code() if launched is not None else None
        if launched is not None and code is not None:
            raise _ended(code, launched.log_tail())
        if launched is None and not found.running:
            raise ProcessError("NotReady", f"the server of {path} ended while it was waited for")
        if time.monotonic() >= deadline:
            tail = launched.log_tail() if launched is not None else ""
            message = f"the server of {path} did not become ready in time"
            raise ProcessError("NotReady", f"{message}; its log ends:\n{tail}" if tail else message)
        time.sleep(pause)
        pause = min(pause * 1.3, _LONGEST_PAUSE)


def _ended(code: int, tail: str) -> ProcessError:
    """The error of a server that ended instead of becoming ready: its own last word if it had one, else its log's end."""
    reason = reason_of(code)
    last = tail.rpartition("\n")[2]
    if reason is not None and last.startswith(MESSAGE_PREFIX):
        return ProcessError(reason, last.removeprefix(MESSAGE_PREFIX))
    how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return ProcessError(reason or "NotReady", f"the server {how}; its log ends:\n{tail}" if tail else f"the server {how}, without a word")


def _end(path: Path, pid: int, timeout: float) -> None:
    """End the holder of the lock, and nobody else."""
    if pid == 0:
        raise ProcessError("NotStopped", f"{path} is served by a process that cannot be told (another container?): stop it there")
    for number, seconds in ((signal.SIGTERM, timeout), (signal.SIGKILL, _KILL_WAIT)):
        _signal_holder(path, pid, number)
        if _gone(path, pid, seconds):
            return
    raise ProcessError("NotStopped", f"process {pid} serves {path} still, after SIGKILL")


def _signal_holder(path: Path, pid: int, number: signal.Signals) -> None:
    """Send a signal to ``pid`` if it holds the lock. With a pidfd no other process can take its number in between."""
    try:
        if not hasattr(os, "pidfd_open"):
            if datadir.running(path) == pid:
                os.kill(pid, number)
            return
        descriptor = os.pidfd_open(pid)
        try:
            if datadir.running(path) == pid:
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)
    except ProcessLookupError:
        pass  # it is gone, and its lock with it


def _gone(path: Path, pid: int, timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while datadir.running(path) == pid:
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)
    return True
