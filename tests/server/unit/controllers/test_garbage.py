# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Garbage collection: background, foreground, orphaning, absent owners, owners elsewhere, circles."""

from __future__ import annotations

from typing import Any

import pytest
from support.widgets import crd, widget
from support.world import ADMIN, World

Document = dict[str, Any]


def reference(owner: Document, *, block: bool = False, uid: str = "") -> Document:
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": uid or owner["metadata"]["uid"],
        "blockOwnerDeletion": block,
    }


async def config_map(
    world: World, name: str, *owners: Document, vcp: str = "root", namespace: str = "default", **metadata: Any
) -> Document:
    about: Document = {"name": name, "namespace": namespace, **metadata}
    if owners:
        about["ownerReferences"] = list(owners)
    return await world.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": about}, vcp)


def there(world: World, *names: str, vcp: str = "root") -> list[str]:
    return [name for name in names if world.get("ConfigMap", name, "default", vcp) is not None]


@pytest.fixture(params=["root", "demo"])
async def vcp(request: pytest.FixtureRequest, world: World) -> str:
    name: str = request.param
    if name != "root":
        await world.control_plane(name)
    return name


async def test_background_takes_a_whole_tree(world: World, vcp: str) -> None:
    top = await config_map(world, "top", vcp=vcp)
    middle = await config_map(world, "middle", reference(top), vcp=vcp)
    await config_map(world, "leaf", reference(middle), vcp=vcp)
    await config_map(world, "free", vcp=vcp)
    await world.settle()
    assert there(world, "top", "middle", "leaf", vcp=vcp) == ["top", "middle", "leaf"]
    await world.delete("ConfigMap", "top", "default", vcp, policy="Background")
    await world.settle()
    assert there(world, "top", "middle", "leaf", "free", vcp=vcp) == ["free"]
    assert world.store.pending_garbage() == []


async def test_a_dependent_stays_while_one_owner_is_left(world: World) -> None:
    one, two = await config_map(world, "one"), await config_map(world, "two")
    await config_map(world, "child", reference(one), reference(two))
    await world.delete("ConfigMap", "one", "default")
    await world.settle()
    left = world.read("ConfigMap", "child", "default")["metadata"]["ownerReferences"]
    assert [r["uid"] for r in left] == [two["metadata"]["uid"]]
    await world.delete("ConfigMap", "two", "default")
    await world.settle()
    assert there(world, "child") == []


async def test_orphans_lose_their_reference_and_stay(world: World) -> None:
    owner = await config_map(world, "owner")
    await config_map(world, "child", reference(owner))
    await world.delete("ConfigMap", "owner", "default", policy="Orphan")
    await world.settle()
    assert there(world, "owner", "child") == ["child"]
    assert "ownerReferences" not in world.read("ConfigMap", "child", "default")["metadata"]


async def test_foreground_waits_for_those_that_block(world: World) -> None:
    owner = await config_map(world, "owner")
    await config_map(world, "blocking", reference(owner, block=True), finalizers=["example.com/hold"])
    await config_map(world, "other", reference(owner))
    await world.settle()
    await world.delete("ConfigMap", "owner", "default", policy="Foreground")
    await world.settle()
    assert there(world, "owner", "blocking", "other") == ["owner", "blocking"]
    assert world.read("ConfigMap", "owner", "default")["metadata"]["finalizers"] == ["foregroundDeletion"]
    await world.merge("ConfigMap", "blocking", {"metadata": {"finalizers": None}}, "default")
    await world.settle()
    assert there(world, "owner", "blocking") == []


async def test_foreground_does_not_wait_for_those_that_do_not_block(world: World) -> None:
    owner = await config_map(world, "owner")
    await config_map(world, "held", reference(owner), finalizers=["example.com/hold"])
    await world.delete("ConfigMap", "owner", "default", policy="Foreground")
    await world.settle()
    assert there(world, "owner", "held") == ["held"]
    assert "deletionTimestamp" in world.read("ConfigMap", "held", "default")["metadata"]


async def test_foreground_of_a_tree(world: World) -> None:
    top = await config_map(world, "top")
    middle = await config_map(world, "middle", reference(top, block=True))
    await config_map(world, "leaf", reference(middle, block=True))
    await world.delete("ConfigMap", "top", "default", policy="Foreground")
    await world.settle()
    assert there(world, "top", "middle", "leaf") == []


async def test_a_circle_ends(world: World) -> None:
    first = await config_map(world, "first")
    second = await config_map(world, "second", reference(first, block=True))
    third = await config_map(world, "third", reference(second, block=True))
    await world.merge("ConfigMap", "first", {"metadata": {"ownerReferences": [reference(third, block=True)]}}, "default")
    await world.settle()
    assert there(world, "first", "second", "third") == ["first", "second", "third"]
    await world.delete("ConfigMap", "first", "default", policy="Foreground")
    await world.settle()
    assert there(world, "first", "second", "third") == []


async def test_dependents_of_an_owner_that_never_was_are_collected(world: World, vcp: str) -> None:
    owner = await config_map(world, "owner", vcp=vcp)
    await config_map(world, "wrong-uid", reference(owner, uid="11111111-1111-1111-1111-111111111111"), vcp=vcp)
    absent = {**owner, "metadata": {**owner["metadata"], "name": "absent"}}
    await config_map(world, "absent-owner", reference(absent), vcp=vcp)
    await world.settle()
    assert there(world, "owner", "wrong-uid", "absent-owner", vcp=vcp) == ["owner"]


async def test_an_owner_in_another_namespace_owns_nothing(world: World) -> None:
    owner = await config_map(world, "owner", namespace="kube-public")
    await config_map(world, "child", reference(owner))
    await world.settle()
    assert there(world, "child") == []
    events = [world.read("Event", name, "default") for name in world.names("Event", "default")]
    assert [(e["reason"], e["involvedObject"]["name"]) for e in events] == [("OwnerRefInvalidNamespace", "child")]
    assert world.get("ConfigMap", "owner", "kube-public") is not None


async def test_a_namespaced_owner_of_a_cluster_scoped_object_is_reported_and_nothing_is_deleted(world: World) -> None:
    await world.create(crd("Cluster"))
    owner = await config_map(world, "owner")
    await world.create(widget("w", ownerReferences=[reference(owner)]))
    await world.settle()
    assert world.names("Widget") == ["w"]
    reasons = [world.read("Event", name, "default")["reason"] for name in world.names("Event", "default")]
    assert reasons == ["OwnerRefInvalidNamespace"]


async def test_an_unknown_kind_of_owner_deletes_nothing(world: World) -> None:
    owner = {"apiVersion": "nowhere.example/v1", "kind": "Ghost", "metadata": {"name": "g", "uid": "22222222-2222-2222-2222-222222222222"}}
    await config_map(world, "child", reference(owner))
    await world.settle()
    assert there(world, "child") == ["child"]


async def test_a_custom_resource_owns_and_is_owned(world: World) -> None:
    await world.control_plane("demo")
    await world.create(crd(), "demo")
    owner = await config_map(world, "owner", vcp="demo")
    middle = await world.create(widget("w", "default", ownerReferences=[reference(owner)]), "demo")
    await config_map(world, "leaf", reference(middle), vcp="demo")
    await world.delete("ConfigMap", "owner", "default", "demo")
    await world.settle()
    assert world.names("Widget", vcp="demo") == []
    assert there(world, "leaf", vcp="demo") == []


async def test_the_same_uid_in_another_control_plane_is_another_object(world: World) -> None:
    await world.control_plane("a")
    await world.control_plane("b")
    owner = await config_map(world, "owner", vcp="a")
    other = await config_map(world, "owner", vcp="b")
    await config_map(world, "child", reference(other), vcp="b")
    await world.delete("ConfigMap", "owner", "default", "a")
    await world.settle()
    assert there(world, "child", vcp="b") == ["child"]
    assert owner["metadata"]["uid"] != other["metadata"]["uid"]


@pytest.mark.parametrize("policy", ["Background", "Foreground", "Orphan"])
async def test_collection_goes_on_after_a_crash_at_any_write(policy: str) -> None:
    for fuse in range(12):
        world = World()
        await world.start()
        owner = await config_map(world, "owner")
        for name in ("a", "b"):
            await config_map(world, name, reference(owner, block=True))
        await world.settle()
        await world.stop()
        await world.delete("ConfigMap", "owner", "default", policy=policy)
        await world.restart()
        world.store.fuse = world.store.writes + fuse
        try:
            await world.settle()
        except Exception:
            await world.restart()
            await world.settle()
        assert there(world, "owner", "a", "b") == (["a", "b"] if policy == "Orphan" else [])
        assert world.store.pending_garbage() == []
        await world.stop()


async def test_an_owner_is_known_whoever_wrote_last(world: World) -> None:
    """What the server itself writes into an object (here the status of a budget) leaves its owners known."""
    from kplane_server.registry.options import RequestContext

    owner = await config_map(world, "owner")
    budget: Document = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "spec": {"selector": {"matchLabels": {"a": "b"}}}}
    await world.create({**budget, "metadata": {"name": "b", "namespace": "default", "ownerReferences": [reference(owner)]}})
    spec = {"containers": [{"name": "c", "image": "i"}]}
    await world.create(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "default", "labels": {"a": "b"}}, "spec": spec}
    )
    api, pods, budgets = world.api(), world.info("Pod"), world.info("PodDisruptionBudget")
    running = {**world.read("Pod", "p", "default"), "status": {"phase": "Running"}}
    await api.update(pods, "default", "p", running, RequestContext(ADMIN), "status")
    allowed = {"disruptionsAllowed": 1, "observedGeneration": 1, "currentHealthy": 1, "desiredHealthy": 0, "expectedPods": 1}
    counted = {**world.read("PodDisruptionBudget", "b", "default"), "status": allowed}
    await api.update(budgets, "default", "b", counted, RequestContext(ADMIN), "status")
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}
    await api.create(pods, "default", eviction, RequestContext(ADMIN), name="p", subresource="eviction")
    assert world.read("PodDisruptionBudget", "b", "default")["status"]["disruptionsAllowed"] == 0
    await world.delete("ConfigMap", "owner", "default")
    await world.settle(lambda: world.get("PodDisruptionBudget", "b", "default") is None)
