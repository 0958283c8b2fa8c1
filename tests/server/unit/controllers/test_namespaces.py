# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Namespaces end: their content goes first, pods before all else, and what holds them is named in conditions."""

from __future__ import annotations

from typing import Any

import pytest
from support.world import World

from kplane_server.model.errors import Forbidden


def config_map(name: str, namespace: str, **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace, **metadata}}


def pod(name: str, namespace: str, node: str = "") -> dict[str, Any]:
    spec: dict[str, Any] = {"containers": [{"name": "c", "image": "i"}]}
    if node:
        spec["nodeName"] = node
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


async def namespace(world: World, name: str, vcp: str) -> None:
    await world.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, vcp)
    await world.settle()


def conditions(world: World, name: str, vcp: str) -> dict[str, tuple[str, str, str]]:
    found = world.read("Namespace", name, vcp=vcp)["status"].get("conditions") or []
    return {c["type"]: (c["status"], c["reason"], c["message"]) for c in found}


@pytest.fixture(params=["root", "demo"])
async def vcp(request: pytest.FixtureRequest, world: World) -> str:
    name: str = request.param
    if name != "root":
        await world.control_plane(name)
    return name


async def test_a_namespace_goes_with_all_that_is_in_it(world: World, vcp: str) -> None:
    await namespace(world, "n", vcp)
    await namespace(world, "other", vcp)
    for name in ("n", "other"):
        await world.create(config_map("a", name), vcp)
        await world.create(pod("p", name), vcp)
        service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": name}, "spec": {"ports": [{"port": 80}]}}
        await world.create(service, vcp)
    await world.delete("Namespace", "n", vcp=vcp)
    await world.settle(lambda: world.get("Namespace", "n", vcp=vcp) is None)
    assert world.store.resources_in(world.api(vcp).vcp.id, "n") == []
    assert world.names("ConfigMap", "other", vcp) == ["a", "kube-root-ca.crt"]
    assert world.names("Service", "other", vcp) == ["s"]


async def test_plain_content_goes_in_one_commit(world: World) -> None:
    await namespace(world, "n", "root")
    for number in range(20):
        await world.create(config_map(f"c{number}", "n"))
    await world.settle()
    before = world.store.writes
    await world.delete("Namespace", "n")
    await world.settle(lambda: world.get("Namespace", "n") is None)
    assert world.store.writes - before == 2  # the mark, and everything


async def test_what_holds_a_namespace_is_in_its_conditions(world: World, vcp: str) -> None:
    await namespace(world, "n", vcp)
    await world.create(config_map("free", "n"), vcp)
    await world.create(config_map("held", "n", finalizers=["example.com/hold"]), vcp)
    await world.delete("Namespace", "n", vcp=vcp)
    await world.settle(lambda: conditions(world, "n", vcp))
    found = conditions(world, "n", vcp)
    assert found["NamespaceContentRemaining"] == (
        "True",
        "SomeResourcesRemain",
        "Some resources are remaining: configmaps. has 1 resource instances",
    )
    assert found["NamespaceFinalizersRemaining"] == (
        "True",
        "SomeFinalizersRemain",
        "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances",
    )
    for kind in ("NamespaceDeletionDiscoveryFailure", "NamespaceDeletionGroupVersionParsingFailure", "NamespaceDeletionContentFailure"):
        assert found[kind][0] == "False"
    with pytest.raises(Forbidden, match="being terminated"):
        await world.create(config_map("late", "n"), vcp)
    await world.merge("ConfigMap", "held", {"metadata": {"finalizers": None}}, "n", vcp)
    await world.settle(lambda: world.get("Namespace", "n", vcp=vcp) is None)


async def test_pods_go_first(world: World) -> None:
    await namespace(world, "n", "root")
    held = pod("p", "n")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    await world.create(held)
    await world.create(config_map("used-by-the-pod", "n"))
    await world.delete("Namespace", "n")
    await world.settle(lambda: conditions(world, "n", "root"))
    assert "used-by-the-pod" in world.names("ConfigMap", "n")
    await world.merge("Pod", "p", {"metadata": {"finalizers": None}}, "n")
    await world.settle(lambda: world.get("Namespace", "n") is None)


async def test_a_pod_of_a_node_that_does_not_exist_does_not_hold_its_namespace(world: World) -> None:
    await namespace(world, "n", "root")
    await world.create(pod("p", "n", node="nowhere"))
    await world.delete("Namespace", "n")
    await world.settle(lambda: world.get("Namespace", "n") is None)


async def test_a_deletion_that_was_begun_goes_on_after_a_restart(world: World) -> None:
    await world.control_plane("demo")
    await namespace(world, "n", "demo")
    await world.stop()
    await world.delete("Namespace", "n", vcp="demo")
    assert world.get("Namespace", "n", vcp="demo") is not None
    await world.restart()
    await world.settle(lambda: world.get("Namespace", "n", vcp="demo") is None)


async def test_a_finalizer_of_somebody_else_in_the_spec_is_respected(world: World) -> None:
    await world.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}, "spec": {"finalizers": ["example.com/mine"]}})
    await world.delete("Namespace", "n")
    await world.settle(lambda: world.read("Namespace", "n")["spec"]["finalizers"] == ["example.com/mine"])
    assert world.read("Namespace", "n")["status"]["phase"] == "Terminating"


async def test_custom_resources_go_too(world: World) -> None:
    from support.widgets import crd, widget

    await namespace(world, "n", "root")
    await world.create(crd())
    await world.create(widget("w", "n"))
    await world.delete("Namespace", "n")
    await world.settle(lambda: world.get("Namespace", "n") is None)
    assert world.names("Widget") == []


@pytest.mark.parametrize("held", [False, True], ids=["plain", "with finalizers"])
async def test_a_write_that_was_on_its_way_when_the_namespace_was_marked_leaves_nothing_behind(world: World, held: bool) -> None:
    from kplane_server.model.keys import ROOT_VCP_ID, ObjectKey, ResourceId
    from kplane_server.registry import codec
    from kplane_server.storage.api import Mutation

    await namespace(world, "n", "root")
    if held:
        await world.create(config_map("held", "n", finalizers=["example.com/hold"]))
    late = Mutation(ObjectKey(ROOT_VCP_ID, ResourceId("configmaps"), "n", "late"), codec.encode(config_map("late", "n")))
    original = world.store.commit

    async def commit(mutations: list[Mutation]) -> list[int]:
        if any(m.delete and m.key.resource == "namespaces" for m in mutations):
            await original([late])  # it was in the queue before this commit, but not to be seen
        return await original(mutations)

    world.store.commit = commit  # type: ignore[method-assign]
    await world.delete("Namespace", "n")
    if held:
        await world.settle(lambda: conditions(world, "n", "root"))
        await world.merge("ConfigMap", "held", {"metadata": {"finalizers": None}}, "n")
    await world.settle(lambda: world.get("Namespace", "n") is None)
    assert world.store.resources_in(ROOT_VCP_ID, "n") == []
    assert world.names("Namespace")  # and nothing else went
