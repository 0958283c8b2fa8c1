# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real kind and k3d, without a daemon: they take what the drivers give them, and the stand-ins take nothing that they do not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from standins import k3d, kind
from support.machine import ROOT

BIN = ROOT / ".cache" / "bin"
COLLECTION = ROOT / ".build" / "collections"


def program(name: str) -> Path:
    path = BIN / name
    if not path.exists():
        pytest.skip(f"NO {name}: `make e2e` builds it where there is Go")
    return path


@pytest.fixture
def run(tmp_path: Path):
    """Run a program where no Docker daemon can be reached."""
    environment = dict(os.environ, HOME=str(tmp_path), KUBECONFIG=str(tmp_path / "kubeconfig"), DOCKER_HOST=f"unix://{tmp_path}/none.sock")
    environment.pop("DOCKER_CONTEXT", None)

    def go(name: str, *arguments: str) -> tuple[int, str]:
        done = subprocess.run([program(name), *arguments], env=environment, capture_output=True, text=True, timeout=120, check=False)
        return done.returncode, re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)

    return go


@pytest.mark.parametrize(("name", "standin"), [("kind", kind), ("k3d", k3d)])
def test_the_stand_ins_have_no_flag_of_their_own(run, name, standin) -> None:
    for command, flags in standin.FLAGS.items():
        code, text = run(name, *command, "--help")
        assert code == 0, text
        known = set(re.findall(r"--[a-z][-a-z0-9]*", text))
        assert set(flags) <= known, (command, set(flags) - known)


def test_versions_are_understood(run) -> None:
    """By the driver itself, on the real programs."""
    code = (
        "from ansible_collections.kplane.core.plugins.module_utils._providers import cli, k3s, kind\n"
        "for driver in (kind.KindDriver, k3s.K3sDriver):\n"
        f"    path = {str(BIN)!r} + '/' + driver.program_name\n"
        "    assert cli.Program(driver.program_name, '', path).version(driver.version_command, timeout=60) >= driver.minimum\n"
    )
    program("kind")
    program("k3d")
    done = subprocess.run(
        [sys.executable, "-c", code], env=dict(os.environ, PYTHONPATH=str(COLLECTION)), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def merged(port: int) -> str:
    code = (
        "from ansible_collections.kplane.core.plugins.module_utils import _yaml\n"
        "from ansible_collections.kplane.core.plugins.module_utils._providers import kind\n"
        f"print(_yaml.dump(kind.merged_config({{'networking': {{'ipFamily': 'ipv4'}}}}, {port}, True)).decode())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=dict(os.environ, PYTHONPATH=str(COLLECTION)), capture_output=True, text=True, check=True
    )
    return done.stdout


def test_kind_takes_our_configuration(run, tmp_path) -> None:
    """It comes as far as the daemon that is not there; a field that kind does not know is refused before that."""
    config = tmp_path / "kind.yaml"
    config.write_text(merged(8443))
    arguments = ["create", "cluster", "--name", "it", "--config", str(config), "--kubeconfig", str(tmp_path / "x"), "--wait", "60s"]
    code, text = run("kind", *arguments, "--image", "kindest/node:v1.34.0")
    assert code != 0
    assert "docker" in text
    assert "decode" not in text
    config.write_text(yaml.safe_dump({**yaml.safe_load(merged(8443)), "unknown": 1}))
    code, text = run("kind", *arguments)
    assert "field unknown not found" in text


def test_k3d_takes_our_arguments(run, tmp_path) -> None:
    registries = tmp_path / "registries.yaml"
    registries.write_text(yaml.safe_dump({"mirrors": {"docker.io": {"endpoint": ["http://mirror:5000"]}}}))
    arguments = ["cluster", "create", "it", "--wait", "--timeout", "60s", "--api-port", "127.0.0.1:random"]
    arguments += [
        "--port",
        "127.0.0.1:18443:30443@server:0:direct",
        "--kubeconfig-update-default=false",
        "--kubeconfig-switch-context=false",
    ]
    arguments += ["--runtime-label", "core.kplane.dev/config=abc@server:0", "--k3s-arg=--disable=traefik@server:*"]
    code, text = run("k3d", *arguments, "--image", "rancher/k3s:v1.31.5-k3s1", "--registry-config", str(registries))
    assert code != 0
    assert "unknown flag" not in text
    # All arguments were understood: it got to the network of the cluster, which needs the daemon.
    assert "Prep: Network" in text, text


@pytest.mark.parametrize(("name", "arguments"), [("kind", ["get", "clusters"]), ("k3d", ["cluster", "list", "--output", "json"])])
def test_without_a_daemon_they_say_so(run, name, arguments) -> None:
    code, text = run(name, *arguments)
    assert code != 0
    assert "Cannot connect to the Docker daemon" in text or "docker" in text.lower()
