# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real kubectl: the pinned one that the tests build with Go, else one on PATH."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.client import Client

ROOT = Path(__file__).resolve().parents[3]


def find() -> str | None:
    """The program, or None when there is neither Go to build it nor one installed."""
    if named := os.environ.get("KPLANE_TEST_KUBECTL"):
        return named
    built = ROOT / ".cache" / "bin" / "kubectl"
    return str(built) if built.exists() else shutil.which("kubectl")


@dataclass(frozen=True)
class Kubectl:
    """kubectl with one kubeconfig and a home of its own."""

    program: str
    kubeconfig: Path
    home: Path

    def run(self, *arguments: str, stdin: str | None = None, timeout: float = 60.0) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.home), "KUBECONFIG": str(self.kubeconfig)}
        return subprocess.run(
            [self.program, *arguments], input=stdin, env=environment, capture_output=True, text=True, timeout=timeout, check=False
        )

    def __call__(self, *arguments: str, stdin: str | None = None, timeout: float = 60.0) -> str:
        """Standard output of a command that must succeed."""
        done = self.run(*arguments, stdin=stdin, timeout=timeout)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def fails(self, *arguments: str, stdin: str | None = None) -> str:
        """Standard error of a command that must fail."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode != 0, f"kubectl {' '.join(arguments)} succeeded:\n{done.stdout}"
        return done.stderr


def kubectl_for(client: Client, home: Path) -> Kubectl:
    program = find()
    if program is None:
        pytest.skip("NO KUBECTL: install Go (it is built from its published module) or put a kubectl on PATH")
    return Kubectl(program, write_kubeconfig(client, home), home)


def write_kubeconfig(client: Client, home: Path) -> Path:
    """A kubeconfig file with one context for this client."""
    ca = home / "ca.crt"
    ca.write_text(client.ca)
    kubeconfig = home / "kubeconfig"
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(f"""\
apiVersion: v1
kind: Config
current-context: test
contexts: [{{name: test, context: {{cluster: test, user: test}}}}]
clusters: [{{name: test, cluster: {{server: "{client.base}", certificate-authority: "{ca}"}}}}]
users: [{{name: test, user: {{token: "{client.token}"}}}}]
""")
    return kubeconfig
