# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real kind and k3d on a real Docker daemon that has no images and cannot pull any: all that needs a daemon, but no node."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from components import COLLECTION, program
from support.machine import ROOT, strangers_environment
from support.server import free_port

#: Debian: apt install docker.io. Nothing of the host's network or storage is touched: no bridge, no rules, plain directories.
FLAGS = ["--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs", "--log-level=warn"]
#: Where no name of a registry is known, the daemon says so at once. A tag that no registry has, should there be one.
IMAGES = {"kind": "kindest/node:v0.0.0-none", "k3s": "rancher/k3s:v0.0.0-none"}
PROGRAMS = {"kind": "kind", "k3s": "k3d"}
providers = pytest.mark.parametrize("provider", PROGRAMS)


class Daemon:
    """One dockerd, and an empty home whose playbooks and programs use it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir()
        self.socket = f"unix://{folder}/docker.sock"
        roots = ["--data-root", str(folder / "data"), "--exec-root", str(folder / "exec"), "--pidfile", str(folder / "pid")]
        self.log = (folder / "log").open("wb")
        self.process = subprocess.Popen(["dockerd", "--host", self.socket, *roots, *FLAGS], stdout=self.log, stderr=self.log)
        environment = strangers_environment(self.home)
        places = os.pathsep.join([str(ROOT / ".venv" / "bin"), str(ROOT / ".cache" / "bin"), environment["PATH"]])
        environment.pop("DOCKER_CONTEXT", None)
        self.environment = environment | {
            "PATH": places,
            "DOCKER_HOST": self.socket,
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTION),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        }

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False
        )

    def wait(self) -> None:
        deadline = time.monotonic() + 90
        while self.run("docker", "version").returncode != 0:
            words = (self.folder / "log").read_text()[-1500:]
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.skip(f"NO DOCKER DAEMON: dockerd could not be started here:\n{words}")
            time.sleep(0.5)

    def play(self, name: str, provider: str, **variables: object) -> tuple[int, str]:
        given = {"kplane_provider": provider, "kplane_cluster_name": "it", "kplane_node_image": IMAGES[provider], **variables}
        done = self.run("ansible-playbook", f"kplane.core.{name}", "-e", json.dumps(given))
        return done.returncode, done.stdout + done.stderr

    def leftovers(self) -> str:
        """Containers, volumes and networks; kind and k3d keep a network of their own for the next cluster."""
        commands = (["ps", "--all", "--quiet"], ["volume", "ls", "--quiet"], ["network", "ls", "--quiet", "--filter", "name=it"])
        return "".join(self.run("docker", *command).stdout for command in commands)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)
        self.log.close()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    if shutil.which("dockerd") is None or shutil.which("docker") is None:
        pytest.skip("NO DOCKER DAEMON: there is no dockerd (Debian: apt install docker.io)")
    if os.geteuid() != 0:
        pytest.skip("NO DOCKER DAEMON: dockerd is started by root only")
    for name in PROGRAMS.values():
        program(name)
    made = Daemon(tmp_path_factory.mktemp("docker"))
    try:
        made.wait()
        yield made
    finally:
        made.stop()


def test_there_are_no_clusters(daemon: Daemon) -> None:
    kind = daemon.run("kind", "get", "clusters")
    assert (kind.returncode, "No kind clusters found." in kind.stderr) == (0, True)
    k3d = daemon.run("k3d", "cluster", "list", "--output", "json")
    assert (k3d.returncode, json.loads(k3d.stdout)) == (0, [])


@providers
def test_the_driver_reads_the_daemon(daemon: Daemon, provider: str) -> None:
    code = (
        "import json, sys\n"
        "from ansible_collections.kplane.core.plugins.module_utils._providers import drivers\n"
        "driver = drivers.CONTAINER_DRIVERS[sys.argv[1]]()('it', sys.argv[2])\n"
        "print(json.dumps({'missing': driver.missing(), 'found': driver.find(), 'planes': driver.planes()}))\n"
    )
    environment = {**daemon.environment, "PYTHONPATH": str(COLLECTION)}
    done = subprocess.run(
        [sys.executable, "-c", code, provider, str(program(PROGRAMS[provider]))],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"missing": "", "found": None, "planes": []}


@providers
def test_up_says_that_the_image_is_not_to_be_had(daemon: Daemon, provider: str) -> None:
    """In the words of the daemon; no cluster, container, kubeconfig or temporary file is left."""
    code, text = daemon.play("up", provider, kplane_port=free_port())
    assert code != 0
    assert IMAGES[provider] in text, text
    assert "pull" in text, text
    assert daemon.leftovers() == ""
    assert not (daemon.home / ".kube" / "config").exists()
    code, text = daemon.play("get_clusters", provider)
    assert "There is no management plane 'it'" in text, text
    code, text = daemon.play("down", provider, kplane_confirm=True)
    assert code == 0, text
    assert "changed=0" in text, text


def test_the_doctor_finds_the_programs_and_the_daemon(daemon: Daemon) -> None:
    for provider in PROGRAMS:
        code, text = daemon.play("doctor", provider)
        assert code == 0, text
        assert "daemon" in text, text
