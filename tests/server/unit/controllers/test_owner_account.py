# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tenant who takes away what it gets in by has it back at once, with a kubeconfig that fits."""

from __future__ import annotations

import base64
import json
from typing import Any

import yaml
from support.world import World

ADMIN = "controlplane-admin"
SYSTEM = "kplane-system"


def account(world: World) -> Any:
    return world.get("ServiceAccount", ADMIN, SYSTEM, "demo")


def token_uid(world: World) -> str:
    """Whose token the kubeconfig in root has."""
    secret = world.read("Secret", "controlplane-demo-kubeconfig", "kplane-cp-demo")
    kubeconfig = yaml.safe_load(base64.b64decode(secret["data"]["kubeconfig"]))
    claims = kubeconfig["users"][0]["user"]["token"].split(".")[1]
    found: str = json.loads(base64.urlsafe_b64decode(claims + "=="))["kubernetes.io"]["serviceaccount"]["uid"]
    return found


async def test_the_account(world: World) -> None:
    await world.control_plane("demo")
    before = account(world)["metadata"]["uid"]
    await world.delete("ServiceAccount", ADMIN, SYSTEM, "demo")
    await world.settle(lambda: account(world) is not None and token_uid(world) != before)
    assert account(world)["metadata"]["uid"] == token_uid(world) != before


async def test_its_role(world: World) -> None:
    await world.control_plane("demo")
    await world.delete("ClusterRoleBinding", ADMIN, vcp="demo")
    await world.settle(lambda: world.get("ClusterRoleBinding", ADMIN, vcp="demo"))
    assert world.read("ClusterRoleBinding", ADMIN, vcp="demo")["roleRef"]["name"] == "cluster-admin"


async def test_its_namespace(world: World) -> None:
    """While something holds the namespace, nothing is put into it; once it is gone, it is made again."""
    await world.control_plane("demo")
    before = account(world)["metadata"]["uid"]
    metadata = {"name": "held", "namespace": SYSTEM, "finalizers": ["example.com/hold"]}
    await world.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}, "demo")
    await world.delete("Namespace", SYSTEM, vcp="demo")
    await world.settle(lambda: account(world) is None)
    await world.settle()
    assert account(world) is None
    await world.merge("ConfigMap", "held", {"metadata": {"finalizers": None}}, SYSTEM, "demo")
    await world.settle(lambda: account(world) is not None and token_uid(world) != before)
    assert "deletionTimestamp" not in world.read("Namespace", SYSTEM, vcp="demo")["metadata"]


async def test_an_account_of_that_name_elsewhere_is_nobody_s(world: World) -> None:
    await world.control_plane("demo")
    revision = world.read("ControlPlane", "demo")["metadata"]["resourceVersion"]
    await world.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ADMIN, "namespace": "default"}}, "demo")
    await world.delete("ServiceAccount", ADMIN, "default", "demo")
    await world.settle()
    assert world.get("ServiceAccount", ADMIN, "default", "demo") is None
    assert world.read("ControlPlane", "demo")["metadata"]["resourceVersion"] == revision
