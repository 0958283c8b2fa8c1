# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""systemd units for a server: their text, and the few calls of ``systemctl`` that supervision needs.

Source: systemd.unit(5), systemd.service(5), systemd.exec(5).
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kplane_server.process import files
from kplane_server.process.datadir import SUPERVISOR_VARIABLE
from kplane_server.process.failures import EXIT_CODES, ProcessError

_TIMEOUT: Final = 90.0  # seconds that systemctl itself may take; a stop may take TimeoutStopSec
_STOP_SECONDS: Final = 45

#: Failures that another try would only repeat; a busy port or a full disk may pass.
_PERMANENT: Final = ("DataDirForeign", "DataDirNewer", "AlreadyRunning", "CertificateUnusable", "CredentialUnusable")


@dataclass(frozen=True, slots=True)
class UnitState:
    """What systemd says of a unit. ``exit_code`` is that of the last run that ended, 0 if none did."""

    active: str
    exit_code: int


@dataclass(frozen=True, slots=True)
class Systemd:
    """One service manager: that of the system, or of this user."""

    user: bool

    @property
    def supervisor(self) -> str:
        """Its word in ``status``."""
        return "systemd-user" if self.user else "systemd-system"

    @property
    def unit_directory(self) -> Path:
        if not self.user:
            return Path("/etc/systemd/system")
        return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user"

    def unit_path(self, data_dir: Path) -> Path:
        return self.unit_directory / unit_name(data_dir)

    def installed(self, data_dir: Path) -> bool:
        """Whether the unit of this data directory is there."""
        return self.unit_path(data_dir).is_file()

    def install(self, data_dir: Path, command: Sequence[str]) -> None:
        """Write the unit, and start it now and at every boot (or login, for a user's)."""
        self.unit_directory.mkdir(parents=True, exist_ok=True)
        account = None if self.user else pwd.getpwuid(data_dir.stat().st_uid).pw_name
        files.write(self.unit_path(data_dir), render(data_dir, command, self, account).encode(), 0o644)
        self._call("daemon-reload")
        self._call("enable", "--now", unit_name(data_dir))

    def remove(self, data_dir: Path) -> None:
        """Stop the unit and take it away."""
        unit = unit_name(data_dir)
        self._call("disable", "--now", unit)
        self.unit_path(data_dir).unlink(missing_ok=True)
        self._call("daemon-reload")
        self._run("reset-failed", unit)  # fails when there is nothing to reset

    def state(self, data_dir: Path) -> UnitState:
        """The unit's state. Raises ProcessError (SupervisorFailed) if systemd does not answer."""
        shown = self._call("show", "--property=ActiveState,ExecMainStatus", unit_name(data_dir))
        values = dict(line.partition("=")[::2] for line in shown.splitlines())
        status = values.get("ExecMainStatus", "0")
        return UnitState(values.get("ActiveState", "unknown"), int(status) if status.isdigit() else 0)

    def log_tail(self, data_dir: Path, lines: int) -> str:
        """The last lines that the unit logged; empty where there is no journal to ask."""
        journalctl = shutil.which("journalctl")
        if journalctl is None:
            return ""
        command = [journalctl, *self._scope(), "--unit", unit_name(data_dir), "--lines", str(lines), "--output", "cat", "--no-pager"]
        found = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
        return found.stdout.strip()

    def _scope(self) -> list[str]:
        return ["--user"] if self.user else []

    def _call(self, *arguments: str) -> str:
        done = self._run(*arguments)
        if done.returncode:
            why = (done.stderr or done.stdout).strip() or f"exit code {done.returncode}"
            raise ProcessError("SupervisorFailed", f"systemctl {' '.join([*self._scope(), *arguments])} failed: {why}")
        return done.stdout

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["systemctl", *self._scope(), *arguments]
        try:
            return subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ProcessError("SupervisorFailed", f"{' '.join(command)} failed: {error}") from error


def find() -> Systemd | None:
    """The service manager to use: the system's for root, else this user's; None where there is none to talk to."""
    if shutil.which("systemctl") is None:
        return None
    if os.geteuid() == 0:
        return Systemd(user=False) if Path("/run/systemd/system").is_dir() else None
    if not os.environ.get("XDG_RUNTIME_DIR"):
        return None
    manager = Systemd(user=True)
    try:
        return manager if manager._run("show-environment").returncode == 0 else None
    except ProcessError:
        return None  # there is a systemctl, and nobody behind it


def managing(data_dir: Path) -> Systemd | None:
    """The service manager that has a unit of this data directory."""
    return next((manager for manager in (Systemd(user=False), Systemd(user=True)) if manager.installed(data_dir)), None)


def unit_name(data_dir: Path) -> str:
    """One unit for each data directory, its name made from the directory's alone."""
    return f"kplane-server-{hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:10]}.service"


def render(data_dir: Path, command: Sequence[str], manager: Systemd, account: str | None) -> str:
    """The unit's text. ``account``: who the server runs as (the data directory's owner); None in a user's manager."""
    service = [
        "Type=exec",
        f"ExecStart={' '.join(quote(word) for word in command)}",
        f"Environment={SUPERVISOR_VARIABLE}={manager.supervisor}",
        "WorkingDirectory=/",
        "Restart=on-failure",
        "RestartSec=2",
        f"RestartPreventExitStatus={' '.join(str(EXIT_CODES[reason]) for reason in _PERMANENT)}",
        f"TimeoutStopSec={_STOP_SECONDS}",
        "KillMode=mixed",
        "LimitNOFILE=65536",
        "UMask=0077",
        "NoNewPrivileges=yes",
    ]
    if account is not None:
        service += [
            f"User={account}",
            "ProtectSystem=full",
            f"ReadWritePaths={quote(str(data_dir), variables=False)}",
            "ProtectKernelTunables=yes",
            "ProtectControlGroups=yes",
            "RestrictSUIDSGID=yes",
        ]
    after = "" if manager.user else "After=network-online.target\nWants=network-online.target\n"
    target = "default.target" if manager.user else "multi-user.target"
    return (
        "# Written by kplane-server start; removed by kplane-server stop.\n"
        "[Unit]\n"
        f"Description=kplane management plane in {escape(str(data_dir))}\n"
        f"{after}\n"
        "[Service]\n" + "\n".join(service) + "\n\n"
        "[Install]\n"
        f"WantedBy={target}\n"
    )


def quote(word: str, *, variables: bool = True) -> str:
    """One word, so that systemd reads exactly it. ``variables``: in a command line, where ``$`` begins one."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escape(escaped.replace("$", "$$") if variables else escaped)}"'


def escape(text: str) -> str:
    """Text in a unit: no specifiers, and one line."""
    if any(ord(character) < 32 for character in text):
        raise ProcessError("SupervisorFailed", f"{text!r} holds control characters, which a systemd unit cannot carry")
    return text.replace("%", "%%")


def run_command(arguments: Sequence[str]) -> list[str]:
    """``kplane-server run`` by this very interpreter."""
    return [sys.executable, "-m", "kplane_server", "run", *arguments]
