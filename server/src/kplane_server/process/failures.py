# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a server cannot start or be managed: each reason has a word for machines, a message for people, and an exit code.

The exit code is what a supervisor (systemd, or ``kplane-server start``) still sees of a process that failed.
"""

from __future__ import annotations

from typing import Final

#: reason → exit code of ``kplane-server run``. 0 to 2 keep their usual meaning (success, failure, usage).
EXIT_CODES: Final = {
    "DataDirForeign": 10,
    "DataDirNewer": 11,
    "DataDirUnusable": 12,
    "AlreadyRunning": 13,
    "PortInUse": 14,
    "AddressUnusable": 15,
    "CertificateUnusable": 16,
    "CredentialUnusable": 17,
    "StorageUnusable": 18,
    "AuditUnusable": 19,
    "NotReady": 20,
    "NotStopped": 21,
    "SupervisorFailed": 22,
    "BackupUnusable": 23,
    "BackupNewer": 24,
    "BackupFailed": 25,
    "RestoreFailed": 26,
    "NotEmpty": 27,
    "RootNameTaken": 28,
}


class ProcessError(Exception):
    """A failure of the process as a whole; ``reason`` is one of :data:`EXIT_CODES`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.exit_code = EXIT_CODES[reason]

    def document(self) -> dict[str, dict[str, str]]:
        """What ``--output json`` prints."""
        return {"error": {"reason": self.reason, "message": str(self)}}


class DataDirError(ProcessError):
    """The data directory cannot be used."""


def reason_of(exit_code: int | None) -> str | None:
    """The reason behind an exit code of ``kplane-server run``; None if it says nothing."""
    return next((reason for reason, code in EXIT_CODES.items() if code == exit_code), None)
