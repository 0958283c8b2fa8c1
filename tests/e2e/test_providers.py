# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks on kind, k3s and a cluster of the user's: stand-ins for the programs, a kplane-server for the cluster, the rest real."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from standins.world import World
from support.client import eventually


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
    assert "event: Failed (kplane-apiserver-0): Failed to pull: no such image" in world.output
    # It never served, so what it was to replace may come back.
    assert world.play("up", check=True)
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


@pytest.mark.parametrize("world", ["kind"], indirect=True)
def test_a_new_authority_comes_in_with_an_overlap(world: World) -> None:
    def trusted() -> set[str]:
        """The authorities that the kubeconfig of the user trusts for the control plane."""
        clusters = yaml.safe_load(world.kubeconfig.read_text())["clusters"]
        bundle = next(entry["cluster"]["certificate-authority-data"] for entry in clusters if entry["name"] == "kplane-demo")
        return set(re.findall(r"-----BEGIN.*?-----END", base64.b64decode(bundle).decode(), re.DOTALL))

    def fetched() -> set[str]:
        """After the operator has seen the Secret, which it does in its own time."""
        eventually(lambda: world.play("get_credentials", kplane_credentials_name="demo"), 60, "another bundle")
        return trusted()

    world.play("up")
    world.play("create_cluster", kplane_vcp_name="demo")
    first = trusted()
    assert world.answers("demo")
    world.play("up", kplane_rotate=["certificate-authorities"])
    assert "every kubeconfig that was handed out has to be fetched again" in re.sub(r"\s+", " ", world.output)
    # The overlap: the kubeconfig that was handed out works, a new one trusts both, and nothing more changes.
    assert world.answers("demo")
    both = fetched()
    assert len(first) == 1
    assert len(both) == 2
    assert first < both
    assert world.answers("demo")
    assert world.play("up") == 0
    world.play("up", fails="is being replaced already", kplane_rotate=["certificate-authorities"])
    # Its end: the new one signs, the old one goes, and the kubeconfig that was fetched in time works all along.
    assert world.play("up", kplane_ca_overlap=0)
    assert world.answers("demo")
    assert fetched() == both - first
    assert world.answers("demo")
    assert world.play("up") == 0
