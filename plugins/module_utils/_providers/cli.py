# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of others (kind, k3d, docker): run without a shell, away from the user's kubeconfig, their output kept.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import os
import re
import subprocess
import typing as t

from ansible_collections.kplane.core.plugins.module_utils import _io
from ansible_collections.kplane.core.plugins.module_utils._errors import ProviderError, ProviderMissing
from ansible_collections.kplane.core.plugins.module_utils._providers import receipts, scratch

#: How much of a program's output goes into the message of an error; the whole of it is in its details.
_SHOWN_LINES = 15
_VERSION = re.compile(r"\bv?(\d+)(?:\.(\d+))?(?:\.(\d+))?")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
#: A build from source says its major version only.
_NEWEST = 9999

Version = t.Tuple[int, int, int]
#: An argument that stands for the path of the throw-away kubeconfig of one run; no real argument can hold a NUL.
THROWAWAY: t.Final = "\0kubeconfig"


class Output(t.NamedTuple):
    """What a program printed."""

    stdout: str
    stderr: str


class Program:
    """One program. ``asked`` is the path that the user gave; without it, the role ``prerequisites`` or PATH has it."""

    def __init__(self, name: str, hint: str, asked: str | None = None) -> None:
        self.name = name
        self.hint = hint
        self._asked = asked
        #: Descriptors that it holds as long as it runs, even if this process is killed.
        self.inherited: tuple[int, ...] = ()

    def missing(self) -> str:
        """Why it cannot be run, or an empty string."""
        if self._find():
            return ""
        if self._asked:
            return f"{self._asked} is not an executable file"
        return f"{self.name} is not installed: it is not on PATH. {self.hint}"

    def _find(self) -> str | None:
        if self._asked:
            path = _io.expand(self._asked)
            return path if os.path.isfile(path) and os.access(path, os.X_OK) else None
        return receipts.find(self.name)

    def run(self, *arguments: str, timeout: float, stdin: str | None = None, accept: t.Container[int] = (0,)) -> Output:
        """Run it; anything but a code in ``accept`` is an error that carries everything that it printed.

        kind and k3d write to the user's kubeconfig and switch its current context. They get an empty one of their own
        instead, which is gone afterwards.
        """
        path = self._find()
        if path is None:
            raise ProviderMissing(self.missing())
        argv = [path, *arguments]
        with scratch.directory() as folder:
            throwaway = os.path.join(folder, "kubeconfig")
            argv = [throwaway if argument == THROWAWAY else argument for argument in argv]
            try:
                done = subprocess.run(
                    argv,
                    input=(stdin or "").encode(),
                    capture_output=True,
                    timeout=timeout,
                    check=False,
                    env=dict(os.environ, KUBECONFIG=throwaway),
                    pass_fds=self.inherited,
                )
            except subprocess.TimeoutExpired as exc:
                printed = ((exc.stdout or b"") + (exc.stderr or b"")).decode(errors="replace")
                raise ProviderError(
                    f"{self._said(argv)} did not end within {timeout:g} seconds. It printed: {_tail(printed)}", cmd=argv, stdout=printed
                ) from exc
            except OSError as exc:
                raise ProviderError(f"Cannot run {path}: {exc.strerror or exc}", cmd=argv) from exc
        stdout, stderr = _COLOUR.sub("", done.stdout.decode(errors="replace")), _COLOUR.sub("", done.stderr.decode(errors="replace"))
        if done.returncode not in accept:
            raise ProviderError(
                f"{self._said(argv)} failed with code {done.returncode}: {_tail(stderr or stdout) or 'it printed nothing'}",
                cmd=argv,
                rc=done.returncode,
                stdout=stdout,
                stderr=stderr,
            )
        return Output(stdout, stderr)

    def _said(self, argv: t.Sequence[str]) -> str:
        words = [word for word in argv[1:4] if not word.startswith("-")]
        return " ".join([self.name, *words])

    def version(self, *arguments: str, timeout: float) -> Version:
        """The version that it prints first."""
        printed = self.run(*arguments, timeout=timeout).stdout
        found = version_number(printed)
        if found is None:
            raise ProviderError(f"{self.name} {' '.join(arguments)} printed no version: {_tail(printed)}", stdout=printed)
        return found


def version_number(printed: str) -> Version | None:
    """The version that a program prints first."""
    found = _VERSION.search(printed)
    return (int(found[1]), int(found[2] or _NEWEST), int(found[3] or 0)) if found else None


def _tail(text: str) -> str:
    lines = [line.rstrip() for line in _COLOUR.sub("", text).strip().splitlines()]
    return "\n".join(lines[-_SHOWN_LINES:])
