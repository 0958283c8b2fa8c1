# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The etcd of the stack, in its pinned version, with our arguments and our certificates."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from support.machine import ROOT
from support.server import free_port

ETCD = ROOT / ".cache" / "bin" / "etcd"
COLLECTION = ROOT / ".build" / "collections"
MAKE_SECRETS = """
import json
from ansible_collections.kplane.core.plugins.module_utils import _stack_secrets
held = _stack_secrets.settle({}, _stack_secrets.Wanted("kplane-system", ("127.0.0.1",))).held
print(json.dumps({name: entry.data for name, entry in held.items()}))
"""
#: The ports of the manifest.
PORTS = ("2379", "2380", "2381", "2382")


class Etcd:
    """One member on free ports of the loopback address."""

    def __init__(self, folder: Path) -> None:
        made = subprocess.run(
            [sys.executable, "-c", MAKE_SECRETS], env={"PYTHONPATH": str(COLLECTION)}, capture_output=True, text=True, check=True
        )
        self.folder = folder
        self.secrets: dict[str, dict[str, str]] = json.loads(made.stdout)
        for name, data in self.secrets.items():
            (folder / name).mkdir()
            for key, value in data.items():
                (folder / name / key).write_text(value)
        self.ports = {port: str(free_port()) for port in PORTS}
        documents = yaml.safe_load_all((ROOT / "tests/e2e/golden/kind.yaml").read_text())
        container = next(entry for entry in documents if entry["kind"] == "StatefulSet")["spec"]["template"]["spec"]["containers"][0]
        arguments = [self._local(argument) for argument in container["args"]]
        self.log = (folder / "log").open("wb")
        self.process = subprocess.Popen([ETCD, *arguments], stdout=self.log, stderr=self.log)

    def _local(self, argument: str) -> str:
        """The argument with the names and paths of a pod replaced by those of this process."""
        for text, here in (
            ("$(POD_NAME)", "kplane-etcd-0"),
            ("kplane-etcd-0.kplane-etcd-peers.kplane-system.svc.cluster.local", "127.0.0.1"),
            ("0.0.0.0", "127.0.0.1"),
            ("/var/lib/etcd", str(self.folder)),
            ("/etc/kplane/tls", str(self.folder / "kplane-etcd-tls")),
            *((f":{port}", f":{here}") for port, here in self.ports.items()),
        ):
            argument = argument.replace(text, here)
        return argument

    def get(self, url: str, client: bool = False) -> str:
        context = None
        if url.startswith("https"):
            context = ssl.create_default_context(cafile=str(self.folder / "kplane-etcd-client" / "ca.crt"))
            if client:
                pair = self.folder / "kplane-etcd-client"
                context.load_cert_chain(str(pair / "tls.crt"), str(pair / "tls.key"))
        with urllib.request.urlopen(url, context=context, timeout=5) as answer:
            text: str = answer.read().decode()
            return text

    def wait(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                assert "true" in self.get(f"http://127.0.0.1:{self.ports['2381']}/health")
                return
            except (OSError, AssertionError):
                words = (self.folder / "log").read_text()[-3000:]
                assert self.process.poll() is None, words
                assert time.monotonic() < deadline, words
                time.sleep(0.2)


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    if not ETCD.exists():
        pytest.skip("NO etcd: `make test-upstream` builds it where there is Go")
    made = Etcd(tmp_path_factory.mktemp("etcd"))
    try:
        made.wait()
        yield made
    finally:
        made.process.terminate()
        made.process.wait(20)


def test_the_pinned_version(etcd: Etcd) -> None:
    version = json.loads(etcd.get(f"https://127.0.0.1:{etcd.ports['2379']}/version", client=True))
    assert version["etcdserver"] == "3.5.13"


def test_clients_need_a_certificate_of_our_authority(etcd: Etcd) -> None:
    assert json.loads(etcd.get(f"https://127.0.0.1:{etcd.ports['2379']}/health", client=True))["health"] == "true"
    with pytest.raises(OSError, match="certificate"):
        etcd.get(f"https://127.0.0.1:{etcd.ports['2379']}/health")


def test_the_operators_port_needs_no_tls(etcd: Etcd) -> None:
    assert json.loads(etcd.get(f"http://127.0.0.1:{etcd.ports['2382']}/health"))["health"] == "true"
    with pytest.raises(OSError, match=r"400|refused|reset|closed"):
        etcd.get(f"http://127.0.0.1:{etcd.ports['2379']}/health")
