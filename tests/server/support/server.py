# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real ``kplane-server`` process on a free loopback port, that ends with the test that started it."""

from __future__ import annotations

import base64
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from support.client import Client, eventually

GROUP = "/apis/controlplane.kplane.dev/v1alpha1"


def free_port() -> int:
    """A port that nobody has, below those that systems give to outgoing connections: any client could take one of these meanwhile."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def unique(prefix: str = "t") -> str:
    """A VCP or namespace name that no other test uses."""
    return f"{prefix}-{secrets.token_hex(4)}"


def compiled_environment() -> dict[str, str]:
    """An environment in which Python keeps what it compiles, as pip leaves it after an installation: a start takes half the time."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def kplane_server() -> list[str]:
    return [sys.executable, "-m", "kplane_server"]


@dataclass
class Server:
    """One server process and its data directory; it can be stopped, killed and started again."""

    data_dir: Path
    port: int = field(default_factory=free_port)
    options: Sequence[str] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def log_file(self) -> Path:
        return self.data_dir.parent / f"{self.data_dir.name}.log"

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    @property
    def kubeconfig(self) -> Path:
        return self.data_dir / "admin.kubeconfig"

    def spawn(self) -> subprocess.Popen[bytes]:
        command = [*kplane_server(), "run", "--data-dir", str(self.data_dir), "--host", "127.0.0.1", "--port", str(self.port)]
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--parent-pid", str(os.getpid()), *self.options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=compiled_environment(),
            )
        return self.process

    def start(self, seconds: float = 30.0) -> Server:
        """Start the process and wait until it says that it is ready."""
        process = self.spawn()
        deadline = time.monotonic() + seconds
        while not self._ready():
            assert process.poll() is None, f"kplane-server ended with {process.returncode}:\n{self.log}"
            assert time.monotonic() < deadline, f"kplane-server is not ready after {seconds} s:\n{self.log}"
            time.sleep(0.02)
        return self

    def _ready(self) -> bool:
        if not self.kubeconfig.exists():
            return False
        try:
            return self.root.request("GET", "/readyz").code == 200
        except OSError:
            return False

    def stop(self, seconds: float = 20.0) -> int:
        """Ask it to stop (SIGTERM) and return its exit code."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"kplane-server did not stop within {seconds} s:\n{self.log}") from None

    def kill(self) -> None:
        """``kill -9``."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    @property
    def root(self) -> Client:
        """The administrator of the root control plane."""
        return client_of(self.kubeconfig.read_text())

    def create_vcp(self, name: str, **spec: Any) -> Client:
        """Create a VCP through the API, wait until it is Ready, and return its administrator."""
        root = self.root
        body = {
            "apiVersion": "controlplane.kplane.dev/v1alpha1",
            "kind": "ControlPlane",
            "metadata": {"name": name},
            "spec": {"classRef": {"name": "starter"}, **spec},
        }
        root.post(f"{GROUP}/controlplanes", body).ok()
        return self.wait_ready(name)

    def wait_ready(self, name: str) -> Client:
        root = self.root

        def ready() -> bool:
            status = root.get(f"{GROUP}/controlplanes/{name}").ok().get("status", {})
            return any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", []))

        eventually(ready, 20, f"VCP {name} Ready")
        return self.vcp(name)

    def vcp(self, name: str) -> Client:
        """The administrator of a VCP, by the Secret that the operator wrote, which follows a new address soon after a start."""
        path = f"/api/v1/namespaces/kplane-cp-{name}/secrets/controlplane-{name}-kubeconfig"

        def at_this_address() -> Client | None:
            secret = self.root.get(path).ok()
            client = client_of(base64.b64decode(secret["data"]["kubeconfig-external"]).decode())
            return client if f":{self.port}/" in client.base else None

        found: Client = eventually(at_this_address, what=f"the kubeconfig of VCP {name} names port {self.port}")
        return found

    def delete_vcp(self, name: str, seconds: float = 20.0) -> None:
        """Delete a VCP and wait until its ControlPlane is gone."""
        path = f"{GROUP}/controlplanes/{name}"
        answer = self.root.delete(path)
        assert answer.code in (200, 202), answer
        eventually(lambda: self.root.get(path).code == 404, seconds, f"VCP {name} gone")


def client_of(kubeconfig: str, loader: Any = yaml.SafeLoader) -> Client:
    """A client from the text of a kubeconfig with one cluster and one user."""
    document = yaml.load(kubeconfig, loader)
    cluster = document["clusters"][0]["cluster"]
    assert "insecure-skip-tls-verify" not in cluster
    ca = base64.b64decode(cluster["certificate-authority-data"]).decode()
    return Client(cluster["server"].rstrip("/"), ca, document["users"][0]["user"]["token"])
