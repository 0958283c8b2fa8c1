# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each provider needs on the host, whether it is there, and how to get it.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import typing as t

from ansible_collections.kplane.core.plugins.module_utils._providers import receipts, tools
from ansible_collections.kplane.core.plugins.module_utils._providers.embedded import find_executable

_PROBE_TIMEOUT = 10.0
#: The oldest Python that kplane-server runs on.
SERVER_PYTHON: t.Final = (3, 11)
_SERVER_PYTHONS = ("python3", "python3.14", "python3.13", "python3.12", "python3.11")


class Requirement(t.NamedTuple):
    """Something that a provider needs."""

    name: str
    found: bool
    detail: str
    hint: str
    required: bool = True

    def summary(self) -> dict[str, t.Any]:
        """What modules return of it."""
        result = dict(self._asdict())
        if self.found:
            result["hint"] = ""
        return result


def _tool(name: str, hint: str, required: bool = True) -> Requirement:
    program = tools.find(name)
    hint = f"The role kplane.core.prerequisites installs it (-e kplane_prerequisites=true). {hint}"
    return Requirement(
        name, not program.problem, program.problem or f"{program.path}, version {program.version or 'unknown'}", hint, required
    )


def _output(*argv: str) -> str | None:
    """What a program prints, or ``None`` if it fails."""
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PROBE_TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else None


def server_python() -> str | None:
    """A Python on this host that kplane-server can run on."""
    if sys.version_info >= SERVER_PYTHON:
        return sys.executable
    for name in _SERVER_PYTHONS:
        path = shutil.which(name)
        if path and _output(path, "-c", "import sys; print(sys.version_info >= (3, 11))") == "True":
            return path
    return None


def _server_installation(executable: str | None) -> Requirement:
    path = find_executable(executable)
    hint = "Run the playbook kplane.core.up, or the role kplane.core.server: they install it into a virtual environment of the user."
    return Requirement("kplane-server", path is not None, path or "not installed", hint)


def _python() -> Requirement:
    path = server_python()
    hint = "Install Python 3.11 or later from your distribution, for example: apt-get install python3 python3-venv."
    return Requirement("python >= 3.11", path is not None, path or "not found", hint)


def _kubectl() -> Requirement:
    hint = "Only people need it, no playbook does: https://kubernetes.io/docs/tasks/tools/."
    return _tool("kubectl", hint, required=False)


def _cryptography() -> Requirement:
    found = importlib.util.find_spec("cryptography") is not None
    hint = f"It makes the certificates of the stack. Install it for {sys.executable}: python3-cryptography, or pip install cryptography."
    return Requirement("cryptography", found, "installed" if found else f"not installed for {sys.executable}", hint)


def _docker() -> Requirement:
    hint = "Install Docker and start its daemon (https://docs.docker.com/engine/install/); 'docker version' has to work for this user."
    if shutil.which("docker") is None:
        return Requirement("docker", False, "not on PATH", hint)
    version = _output("docker", "version", "--format", "{{.Server.Version}}")
    return Requirement("docker", version is not None, f"daemon {version} answers" if version else "no daemon answers", hint)


def requirements(executable: str | None = None) -> dict[str, list[Requirement]]:
    """What every provider of the contract needs, whether or not this release has a driver for it."""
    kubectl, docker, cryptography = _kubectl(), _docker(), _cryptography()
    kind = _tool("kind", "Or get it from https://kind.sigs.k8s.io/docs/user/quick-start/#installation.")
    k3d = _tool("k3d", "Or get it from https://k3d.io/#installation.")
    return {
        "embedded": [_python(), _server_installation(executable), kubectl],
        "kind": [kind, docker, cryptography, kubectl],
        "k3s": [k3d, docker, cryptography, kubectl],
        "kubeconfig": [cryptography, kubectl],
    }


def container_provider_ready(program: str) -> bool:
    """Whether ``program`` is there and a Docker daemon answers."""
    return receipts.find(program) is not None and _docker().found
