# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said about images and registries reaches the program and the cluster, all of it at once."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from standins import state
from standins.world import World
from support.server import client_of
from test_images import K3D_CONFIG, KIND_CONFIG, OWN, images_in

Json = dict[str, Any]


def variables_of(provider: str) -> Json:
    """Everything that can be said about images and registries, for a whole run."""
    return {
        **OWN,
        "kplane_node_image": "registry.example:5000/node:1",
        "kplane_provider_config": KIND_CONFIG if provider == "kind" else {**K3D_CONFIG, "agents": 1},
        "kplane_registry_mirrors": {"docker.io": ["http://mirror.example:5000"]},
        "kplane_preload_images": ["registry.example:5000/etcd:v3.5.13", "registry.example:5000/other:1"],
    }


@pytest.mark.parametrize("provider", ["kind", "k3s"])
def test_what_is_said_of_registries_arrives(tmp_path: Path, provider: str) -> None:
    world = World(tmp_path, provider)
    try:
        variables = variables_of(provider)
        assert world.play("up", **variables)
        cluster = world.cluster
        assert cluster is not None
        assert cluster["image"] == "registry.example:5000/node:1"
        assert cluster["images"] == variables["kplane_preload_images"]
        if provider == "kind":
            assert [node.get("image") for node in cluster["config"]["nodes"]] == [None, "registry.example:5000/node:2"]
            assert '[host."http://mirror.example:5000"]' in (world.state / "hosts.toml").read_text()
        else:
            assert cluster["agents"] == 1
            assert cluster["registries"] == {"mirrors": {"docker.io": {"endpoint": ["http://mirror.example:5000"]}}}
        assert world.play("images", **variables) == 0
        listed = set(json.loads(re.search(r'"management_plane_images": (\[.*?\])', world.output, re.DOTALL)[1]))  # type: ignore[index]
        client, running = client_of(state.kubeconfig(cluster, "it")), set()
        for kind_of in ("statefulsets", "deployments"):
            for workload in client.get(f"/apis/apps/v1/namespaces/kplane-system/{kind_of}").ok()["items"]:
                spec = workload["spec"]["template"]["spec"]
                assert spec["imagePullSecrets"] == [{"name": "pull"}]
                assert {container["imagePullPolicy"] for container in spec["containers"]} == {"Always"}
                running |= set(images_in(spec))
        assert running == {OWN["kplane_etcd_image"], OWN["kplane_apiserver_image"], OWN["kplane_operator_image"]}
        assert running | {cluster["image"]} <= listed
        # All of it is remembered as it was declared: a second run finds nothing to do.
        assert world.play("up", **variables) == 0
    finally:
        world.end()
