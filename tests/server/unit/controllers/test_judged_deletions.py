# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controllers delete is judged as what clients delete, under the names of Kubernetes' own controllers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support.world import World

Document = dict[str, Any]
POLICIES = "admissionregistration.k8s.io/v1"
NAMESPACE_CONTROLLER = "system:serviceaccount:kube-system:namespace-controller"
COLLECTOR = "system:serviceaccount:kube-system:generic-garbage-collector"


def config_map(name: str, namespace: str = "n", **metadata: Any) -> Document:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace, **metadata}}


async def judged(world: World, expression: str, vcp: str, *operations: str) -> None:
    """A policy about deletions of ConfigMaps."""
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": list(operations or ("DELETE",))}]
    spec = {"matchConstraints": {"resourceRules": rules}, "validations": [{"expression": expression, "messageExpression": "'it stays'"}]}
    await world.create({"apiVersion": POLICIES, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "p"}, "spec": spec}, vcp)
    kind, binding = "ValidatingAdmissionPolicyBinding", {"policyName": "p", "validationActions": ["Deny"]}
    await world.create({"apiVersion": POLICIES, "kind": kind, "metadata": {"name": "p"}, "spec": binding}, vcp)


async def namespace(world: World, vcp: str, *names: str) -> None:
    await world.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}, vcp)
    for name in names:
        await world.create(config_map(name), vcp)
    await world.settle()


def tries(world: World, controller: str) -> int:
    return world.controllers.statistics()[f"{controller}.failures"]


@pytest.fixture(params=["root", "demo"])
async def vcp(request: pytest.FixtureRequest, world: World) -> str:
    name: str = request.param
    if name != "root":
        await world.control_plane(name)
    return name


async def test_what_a_policy_protects_outlives_its_namespace_s_deletion(world: World, vcp: str) -> None:
    await judged(world, "oldObject.metadata.name != 'kept'", vcp)
    await namespace(world, vcp, "kept", "other")
    await world.delete("Namespace", "n", vcp=vcp)
    await world.settle(lambda: world.read("Namespace", "n", vcp=vcp)["status"].get("conditions"))
    assert world.names("ConfigMap", "n", vcp) == ["kept"]
    (failed,) = [c for c in world.read("Namespace", "n", vcp=vcp)["status"]["conditions"] if c["type"] == "NamespaceDeletionContentFailure"]
    assert (failed["status"], failed["reason"]) == ("True", "ContentDeletionFailed")
    assert failed["message"].endswith("denied request: it stays")
    await world.delete("ValidatingAdmissionPolicyBinding", "p", vcp=vcp)
    await world.settle(lambda: world.get("Namespace", "n", vcp=vcp) is None)


async def test_a_refusal_is_tried_again_after_longer_and_longer_pauses(world: World) -> None:
    await judged(world, "false", "root")
    await namespace(world, "root", "kept")
    await world.delete("Namespace", "n")
    await world.settle(lambda: tries(world, "namespace") >= 3)
    before, revision = tries(world, "namespace"), world.store.revision
    await asyncio.sleep(0.3)
    assert tries(world, "namespace") - before <= 3  # pauses of 0.2 s and more by now
    assert world.store.revision == revision, "a condition that says the same is not written again"


async def test_policies_see_the_namespace_controller(world: World, vcp: str) -> None:
    its = "'system:serviceaccounts' in request.userInfo.groups"
    await judged(world, f"request.userInfo.username == '{NAMESPACE_CONTROLLER}' && {its}", vcp)
    await namespace(world, vcp, "a", "b")
    await world.delete("Namespace", "n", vcp=vcp)
    await world.settle(lambda: world.get("Namespace", "n", vcp=vcp) is None)


async def test_policies_see_the_garbage_collector(world: World, vcp: str) -> None:
    await judged(world, f"request.userInfo.username in ['{COLLECTOR}', 'kplane-admin']", vcp, "DELETE", "UPDATE")
    await namespace(world, vcp, "owner")
    uid = world.read("ConfigMap", "owner", "n", vcp)["metadata"]["uid"]
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}
    await world.create(config_map("owned", ownerReferences=[reference]), vcp)
    await world.delete("ConfigMap", "owner", "n", vcp=vcp)
    await world.settle(lambda: world.get("ConfigMap", "owned", "n", vcp) is None)


async def test_garbage_that_may_not_be_deleted_is_in_nobody_s_way(world: World) -> None:
    await namespace(world, "root", "owner")
    uid = world.read("ConfigMap", "owner", "n")["metadata"]["uid"]
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}
    for name in ("a", "kept", "z"):
        await world.create(config_map(name, ownerReferences=[reference]))
    await judged(world, "oldObject.metadata.name != 'kept'", "root")
    await world.delete("ConfigMap", "owner", "n")
    await world.settle(lambda: world.names("ConfigMap", "n") == ["kept", "kube-root-ca.crt"])
    assert tries(world, "garbagecollector") > 0
    await world.delete("ValidatingAdmissionPolicyBinding", "p")
    await world.settle(lambda: world.get("ConfigMap", "kept", "n") is None)


async def test_policies_about_other_writes_leave_the_quick_way_open(world: World) -> None:
    await judged(world, "true", "root", "CREATE", "UPDATE")
    await namespace(world, "root", *(f"c{number}" for number in range(20)))
    before = world.store.writes
    await world.delete("Namespace", "n")
    await world.settle(lambda: world.get("Namespace", "n") is None)
    assert world.store.writes - before == 2  # the mark, and everything
