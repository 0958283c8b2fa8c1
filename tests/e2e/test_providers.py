# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks on kind, k3s and a cluster of the user's: stand-ins for the programs, a kplane-server for the cluster, the rest real."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from standins import state
from support.machine import ROOT
from support.server import free_port

HERE = Path(__file__).parent
OTHERS = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "work",
    "contexts": [{"name": "work", "context": {"cluster": "work", "user": "me"}}],
    "clusters": [{"name": "work", "cluster": {"server": "https://work.example:6443"}}],
    "users": [{"name": "me", "user": {"token": "secret-of-mine"}}],
}


class World:
    """A home, the stand-ins on PATH, and the playbooks."""

    def __init__(self, folder: Path, provider: str) -> None:
        self.folder = folder
        self.provider = provider
        self.state = folder / "state"
        self.port = free_port()
        for path in (self.state, folder / "bin", folder / "collections/ansible_collections/kplane"):
            path.mkdir(parents=True)
        (folder / "collections/ansible_collections/kplane/core").symlink_to(ROOT)
        for name in ("kind", "k3d", "docker"):
            program = folder / "bin" / name
            program.write_text(
                f'#!/bin/sh\nexport PYTHONPATH={HERE}:{ROOT}/tests/server\nexec {sys.executable} -m standins.{name} "$@"\n',
            )
            program.chmod(0o755)
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(yaml.safe_dump(OTHERS))
        self.variables: dict[str, Any] = {"kplane_provider": provider, "kplane_cluster_name": "it", "kplane_port": self.port}

    @property
    def environment(self) -> dict[str, str]:
        keep = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "KPLANE_", "XDG_", "PYTHON"))}
        return keep | {
            "PATH": os.pathsep.join([str(self.folder / "bin"), str(Path(sys.executable).parent), keep["PATH"]]),
            "HOME": str(self.folder),
            "STANDIN_STATE": str(self.state),
            "STANDIN_PARENT": str(os.getpid()),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "KUBECONFIG": str(self.kubeconfig),
            "ANSIBLE_COLLECTIONS_PATH": str(self.folder / "collections"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
            "ANSIBLE_NOCOLOR": "1",
        }

    def play(self, name: str, *, fails: str = "", check: bool = False, **variables: Any) -> int:
        """Run a playbook; how many tasks changed something. With ``fails`` it has to fail and to say that."""
        argv = ["ansible-playbook", f"kplane.core.{name}", "-e", json.dumps({**self.variables, **variables})]
        done = subprocess.run(
            argv + ["--check"] * check,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        self.output = done.stdout + done.stderr
        assert (done.returncode != 0) == bool(fails), self.output
        if fails:
            assert re.search(fails, self.output), self.output
        return sum(int(number) for number in re.findall(r"changed=(\d+)", self.output))

    @property
    def contexts(self) -> list[str]:
        return [entry["name"] for entry in yaml.safe_load(self.kubeconfig.read_text())["contexts"]]

    @property
    def cluster(self) -> dict[str, Any] | None:
        path = self.state / "it.cluster.json"
        return json.loads(path.read_text()) if path.exists() else None

    def asked(self, program: str) -> list[dict[str, Any]]:
        calls = [json.loads(line) for line in (self.state / "calls").read_text().splitlines()]
        return [call for call in calls if call["program"] == program]

    def own_cluster(self) -> None:
        """A cluster of the user's own, with a kubeconfig that is not the one in use."""
        os.environ.update(STANDIN_STATE=str(self.state), STANDIN_PARENT=str(os.getpid()))
        cluster = {"provider": "own", "name": "it", "api_port": free_port(), "port": self.port}
        os.environ["PYTHONPATH"] = f"{HERE}:{ROOT}/tests/server"
        state.start(cluster)
        own = self.folder / "own.kubeconfig"
        own.write_text(state.kubeconfig(cluster, "production"))
        self.variables.update(kplane_management_kubeconfig=str(own), kplane_external_host="127.0.0.1", kplane_external_port=self.port)

    def end(self) -> None:
        os.environ[state.STATE] = str(self.state)
        for path in self.state.glob("*.cluster.json"):
            state.stop(json.loads(path.read_text()))


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, request.param)
    yield made
    made.end()


PREFIX = {"kind": "kind-", "k3s": "k3d-"}
both = pytest.mark.parametrize("world", ["kind", "k3s"], indirect=True)


@both
def test_the_whole_life(world: World) -> None:
    program, context = {"kind": ("kind", "kind-it"), "k3s": ("k3d", "k3d-it")}[world.provider]
    assert world.play("up", check=True)
    assert world.cluster is None
    assert world.contexts == ["work"]
    assert world.play("up")
    assert world.cluster is not None
    assert world.cluster["port"] == world.port
    assert world.play("up") == 0
    assert world.play("up", check=True) == 0
    assert world.play("create_cluster", kplane_vcp_name="demo")
    assert world.play("create_cluster", kplane_vcp_name="demo") == 0
    document = yaml.safe_load(world.kubeconfig.read_text())
    assert world.contexts == ["work", context, "kplane-demo"]
    demo = next(entry["cluster"] for entry in document["clusters"] if entry["name"] == "kplane-demo")
    assert demo["server"] == f"https://127.0.0.1:{world.port}/clusters/demo/control-plane"
    assert demo["certificate-authority-data"]
    assert document["current-context"] == "work"
    assert world.play("get_credentials", kplane_credentials_name="demo") == 0
    assert world.play("use_context", kplane_context="demo")
    assert world.play("use_context", kplane_context="demo") == 0
    assert world.play("get_clusters") == 0
    assert re.search(r"\* +demo +starter +yes", world.output), world.output
    assert world.play("delete_cluster", kplane_vcp_name="demo")
    assert world.play("delete_cluster", kplane_vcp_name="demo") == 0
    assert world.play("down", kplane_confirm=True)
    assert world.cluster is None
    assert world.play("down", kplane_confirm=True) == 0
    assert world.contexts == ["work"]
    # The user's own file was never given to a program of others.
    assert all(call["kubeconfig"] != str(world.kubeconfig) for call in world.asked(program))


@both
def test_what_fails_is_said(world: World) -> None:
    program = {"kind": "kind", "k3s": "k3d"}[world.provider]
    (world.state / "fail").write_text(json.dumps({f"{program} create": "ERROR: no space left on device"}))
    world.play("up", fails="no space left on device")
    (world.state / "fail").write_text(json.dumps({"docker version": "Cannot connect to the Docker daemon"}))
    world.play("up", fails="Cannot connect to the Docker daemon")
    assert world.cluster is None
    assert world.play("up", kplane_node_image="example/node:1")
    broken = world.state / "it" / "broken"
    broken.write_text(json.dumps({"kplane-apiserver": "no such image"}))
    world.play(
        "up", fails="(?s)ImagePullBackOff: no such image", kplane_apiserver_image="example/apiserver:v0.0.11", kplane_stack_timeout=2
    )
    assert "kplane-apiserver" in world.output
    broken.unlink()
    # The next run completes what that one began, and a downgrade is refused from then on.
    assert world.play("up", kplane_apiserver_image="example/apiserver:v0.0.11")
    world.play("up", fails="would make a component older")
    assert world.play("up", kplane_allow_downgrade=True)
    # What was declared but is otherwise is left alone, and said.
    assert world.play("up", kplane_node_image="example/node:2") == 0
    assert "example/node:1" in world.output
    assert world.play("up", kplane_rotate=["certificates", "service-account-keys", "administrator-token"])
    assert world.play("up") == 0


@pytest.mark.parametrize("world", ["kubeconfig"], indirect=True)
def test_a_cluster_of_the_users_own(world: World) -> None:
    world.own_cluster()
    world.play("get_clusters", fails="There is no management plane")
    assert world.play("up", check=True)
    assert world.play("up")
    assert world.play("up") == 0
    assert world.play("create_cluster", kplane_vcp_name="demo")
    assert world.play("create_cluster", kplane_vcp_name="demo") == 0
    # The user has a context for that cluster; only VCPs get one of ours.
    assert world.contexts == ["work", "kplane-demo"]
    # What was chosen is remembered: nothing has to be said again.
    own = {key: world.variables.pop(key) for key in ("kplane_management_kubeconfig", "kplane_provider")}
    assert world.play("get_clusters") == 0
    assert re.search(r"demo +starter +yes", world.output), world.output
    world.variables.update(own)
    world.play("up", fails="never made anew", kplane_recreate="always")
    assert world.play("down", kplane_confirm=True)
    assert world.cluster is not None
    assert world.cluster["running"]
    assert world.contexts == ["work"]
    assert world.play("down", kplane_confirm=True) == 0
