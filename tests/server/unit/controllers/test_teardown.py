# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a control plane: Retain keeps its data, Destroy leaves nothing, and either goes on after a crash at any step."""

from __future__ import annotations

import contextlib

import pytest
from support.world import KPLANE, World

from kplane_server.model.errors import ApiError
from kplane_server.model.keys import ROOT_VCP_ID
from kplane_server.model.names import ROOT
from kplane_server.storage.api import StorageUnavailable, VcpState

REATTACH = "controlplane.kplane.dev/reattach"


async def fill(world: World, name: str) -> None:
    """Something of the tenant's own."""
    metadata = {"name": "mine", "namespace": "default"}
    await world.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "b"}}, name)


def traces(world: World, name: str) -> list[str]:
    """What is left of a control plane in root, Events aside."""
    found = [f"{kind}/{n}" for kind in ("ControlPlane", "ControlPlaneEndpoint", "Namespace") for n in world.names(kind) if name in n]
    return found + [f"Secret/{n}" for n in world.names("Secret") if name in n]


async def test_destroy_leaves_nothing(world: World) -> None:
    await world.control_plane("demo", {"deletionPolicy": "Destroy"})
    await fill(world, "demo")
    await world.delete("ControlPlane", "demo")
    await world.settle()
    assert world.directory.find("demo") is None
    assert traces(world, "demo") == []
    assert [record.name for record in world.store.vcps()] == [ROOT]
    await world.control_plane("demo")
    assert world.get("ConfigMap", "mine", "default", vcp="demo") is None


async def test_retain_is_the_default_and_keeps_the_data(world: World) -> None:
    made = await world.control_plane("demo")
    await fill(world, "demo")
    await world.delete("ControlPlane", "demo")
    await world.settle(lambda: world.get("ConfigMap", "kplane-retained", "kplane-system"))
    uid = made["metadata"]["uid"]
    assert world.directory.find("demo") is None
    assert traces(world, "demo") == []
    assert [(record.uid, record.state) for record in world.directory.retained("demo")] == [(uid, VcpState.RETAINED)]
    listed = world.read("ConfigMap", "kplane-retained", "kplane-system")["data"]
    assert list(listed) == [uid]
    assert '"name":"demo"' in listed[uid]


@pytest.mark.parametrize("choice", ["true", "uid"])
async def test_retained_data_is_taken_over_only_by_an_explicit_choice(world: World, choice: str) -> None:
    made = await world.control_plane("demo")
    await fill(world, "demo")
    await world.delete("ControlPlane", "demo")
    await world.settle()
    await world.control_plane("demo")
    assert world.condition("ControlPlane", "demo", "Accepted") == ("False", "RetainedDataExists")
    assert world.directory.find("demo") is None
    value = made["metadata"]["uid"] if choice == "uid" else choice
    await world.merge("ControlPlane", "demo", {"metadata": {"annotations": {REATTACH: value}}})
    await world.settle(lambda: world.condition("ControlPlane", "demo", "Ready")[0] == "True")
    assert world.read("ConfigMap", "mine", "default", vcp="demo")["data"] == {"a": "b"}
    await world.restart()
    await world.settle()
    assert world.condition("ControlPlane", "demo", "Ready")[0] == "True"
    await world.merge("ControlPlane", "demo", {"spec": {"deletionPolicy": "Destroy"}})
    await world.delete("ControlPlane", "demo")
    await world.settle()
    assert [record.name for record in world.store.vcps()] == [ROOT]


async def test_to_start_empty_is_a_choice_too_and_leaves_what_is_retained(world: World) -> None:
    await world.control_plane("demo")
    await fill(world, "demo")
    await world.delete("ControlPlane", "demo")
    await world.settle()
    await world.control_plane("demo", annotations={REATTACH: "false"})
    assert world.condition("ControlPlane", "demo", "Ready")[0] == "True"
    assert world.get("ConfigMap", "mine", "default", vcp="demo") is None
    await world.delete("ControlPlane", "demo")
    await world.settle()
    assert len(world.directory.retained("demo")) == 2
    await world.control_plane("demo", annotations={REATTACH: "true"})
    assert world.condition("ControlPlane", "demo", "Accepted") == ("False", "RetainedDataExists")  # which of the two?
    await world.merge("ControlPlane", "demo", {"metadata": {"annotations": {REATTACH: "not-a-uid"}}})
    await world.settle()
    assert world.condition("ControlPlane", "demo", "Accepted") == ("False", "RetainedDataNotFound")


async def test_the_policy_of_the_class_holds_where_the_control_plane_has_none(world: World) -> None:
    rules = {"deletionPolicy": "Destroy"}
    await world.create({"apiVersion": KPLANE, "kind": "ControlPlaneClass", "metadata": {"name": "c"}, "spec": rules})
    await world.control_plane("gone", {"classRef": {"name": "c"}})
    await world.control_plane("kept", {"classRef": {"name": "c"}, "deletionPolicy": "Retain"})
    for name in ("gone", "kept"):
        await world.delete("ControlPlane", name)
    await world.settle()
    assert [(r.name, r.state) for r in world.store.vcps() if r.id != ROOT_VCP_ID] == [("kept", VcpState.RETAINED)]


async def test_a_control_plane_whose_finalizer_was_taken_away_is_retained(world: World) -> None:
    await world.control_plane("demo", {"deletionPolicy": "Destroy"})
    await world.merge("ControlPlane", "demo", {"metadata": {"finalizers": None}})
    await world.settle()
    assert world.read("ControlPlane", "demo")["metadata"]["finalizers"]  # put back
    await world.stop()
    await world.merge("ControlPlane", "demo", {"metadata": {"finalizers": None}})
    await world.delete("ControlPlane", "demo")
    await world.restart()
    await world.settle(lambda: traces(world, "demo") == [])
    assert [record.state for record in world.store.vcps() if record.name == "demo"] == [VcpState.RETAINED]


async def test_deletion_waits_for_what_holds_the_management_namespace(world: World) -> None:
    await world.control_plane("demo", {"deletionPolicy": "Destroy"})
    held = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "held", "namespace": "kplane-cp-demo", "finalizers": ["a.b/c"]}}
    await world.create(held)
    await world.delete("ControlPlane", "demo")
    await world.settle(lambda: world.directory.find("demo") is None)
    assert world.condition("ControlPlane", "demo", "Ready") == ("False", "Destroying")
    await world.merge("ConfigMap", "held", {"metadata": {"finalizers": None}}, "kplane-cp-demo")
    await world.settle(lambda: traces(world, "demo") == [])


async def test_no_other_control_plane_is_touched(world: World) -> None:
    for name in ("c-1", "c-10", "clusters-x"):
        await world.control_plane(name, {"deletionPolicy": "Destroy"})
        await fill(world, name)
    await world.delete("ControlPlane", "c-1")
    await world.settle()
    for name in ("c-10", "clusters-x"):
        assert world.read("ConfigMap", "mine", "default", vcp=name)["data"] == {"a": "b"}
        assert world.condition("ControlPlane", name, "Ready")[0] == "True"


async def lives(world: World, policy: str) -> None:
    """A whole life: made, used, deleted."""
    await world.create({"apiVersion": KPLANE, "kind": "ControlPlane", "metadata": {"name": "demo"}, "spec": {"deletionPolicy": policy}})
    await world.settle(lambda: world.condition("ControlPlane", "demo", "Ready")[0] == "True")
    await fill(world, "demo")
    await world.delete("ControlPlane", "demo")
    await world.settle(lambda: traces(world, "demo") == [])


@pytest.mark.parametrize("policy", ["Destroy", "Retain"])
async def test_a_crash_after_any_write_of_the_controllers_is_recovered_from(policy: str) -> None:
    counting = World()
    await counting.start()
    start = counting.store.writes
    await lives(counting, policy)
    await counting.stop()
    total = counting.store.writes - start
    assert total >= 6
    for fuse in range(total + 1):
        world = World()
        await world.start()
        await world.settle()
        await crash_and_recover(world, policy, fuse)


async def crash_and_recover(world: World, policy: str, fuse: int) -> None:
    """The first ``fuse`` writes are kept, whoever makes them; then the process dies, another starts, and the user asks again."""
    world.store.fuse = world.store.writes + fuse
    with contextlib.suppress(StorageUnavailable, ApiError):  # the test's own writes fail like all others
        await lives(world, policy)
    await world.restart()
    await world.settle()
    if not any(record.name == "demo" for record in world.store.vcps()) and traces(world, "demo") == []:
        await world.stop()
        return  # it died before the first write, or after the last one
    if world.get("ControlPlane", "demo") is not None:
        if "deletionTimestamp" not in world.read("ControlPlane", "demo")["metadata"]:
            await world.settle(lambda: world.condition("ControlPlane", "demo", "Ready")[0] == "True")
            await world.delete("ControlPlane", "demo")
        await world.settle(lambda: traces(world, "demo") == [])
    left = [record.state for record in world.store.vcps() if record.name == "demo"]
    assert left == ([] if policy == "Destroy" else [VcpState.RETAINED]), fuse
    await world.stop()


async def test_work_that_was_begun_in_retained_data_goes_on_when_it_is_taken_over(world: World) -> None:
    await world.control_plane("demo")
    await world.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}, "demo")
    await world.settle()
    await world.stop()
    await world.delete("Namespace", "n", vcp="demo")
    record = world.store.vcp("demo")
    assert record is not None
    await world.directory.retain(record.id)
    await world.delete("ControlPlane", "demo")
    await world.restart()
    await world.settle(lambda: traces(world, "demo") == [])
    await world.control_plane("demo", annotations={REATTACH: "true"})
    await world.settle(lambda: world.condition("ControlPlane", "demo", "Ready")[0] == "True")
    await world.settle(lambda: world.get("Namespace", "n", vcp="demo") is None)


async def test_the_port_that_clients_are_told_is_the_present_one(world: World) -> None:
    await world.settle()
    await world.merge("ConfigMap", "kplane-management", {"data": {"mine": "kept"}}, "kplane-system")
    await world.restart(base_url="https://127.0.0.1:9443", port=9443)
    await world.settle()
    assert world.read("ConfigMap", "kplane-management", "kplane-system")["data"] == {"ingressPort": "9443", "mine": "kept"}
