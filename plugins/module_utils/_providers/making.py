# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A note on disk that a cluster is being made or removed: who finds it without its writer knows that this was interrupted.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import contextlib
import os
import typing as t

from ansible_collections.kplane.core.plugins.module_utils import _io
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError, ProviderError


def user_state_home(environ: t.Mapping[str, str] | None = None) -> str:
    """Where programs keep what they have to remember (XDG Base Directory Specification)."""
    environ = os.environ if environ is None else environ
    return environ.get("XDG_STATE_HOME") or _io.expand("~/.local/state")


MAKING: t.Final = "making"
REMOVING: t.Final = "removing"


class Note:
    """The note about one cluster."""

    def __init__(self, provider: str, name: str) -> None:
        self.provider = provider
        self.name = name
        self.path = os.path.join(user_state_home(), "kplane", f"{provider}-{name}.unfinished")

    def found(self) -> str:
        """What was begun with the cluster and never finished, or an empty string."""
        content = (_io.read_bytes(self.path) or b"").decode(errors="replace").strip()
        return content if content in (MAKING, REMOVING) else ""

    @contextlib.contextmanager
    def kept(self, what: str) -> t.Iterator[int]:
        """Keep the note until this ends well. The descriptor is for the program: as long as it runs, nobody else begins."""
        _io.ensure_directory(os.path.dirname(self.path))
        try:
            handle = os.open(self.path, os.O_CREAT | os.O_WRONLY, 0o600)
        except OSError as exc:
            raise KplaneError(f"Cannot write {self.path}: {exc.strerror or exc}", path=self.path) from exc
        try:
            if not _io.hold(handle, self.path):
                raise ProviderError(
                    f"The {self.provider} cluster {self.name!r} is being made or removed by another run, which holds {self.path}. "
                    "Wait until that has ended, and try again."
                )
            os.ftruncate(handle, 0)
            os.write(handle, what.encode())
            yield handle
            self.forget()
        finally:
            os.close(handle)

    def forget(self) -> None:
        """Take the note away."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        with contextlib.suppress(OSError):  # other notes are there
            os.rmdir(os.path.dirname(self.path))
