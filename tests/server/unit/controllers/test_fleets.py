# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fleets: as many ControlPlanes as they ask for, up and down, theirs alone."""

from __future__ import annotations

from typing import Any

import pytest
from support.world import KPLANE, World

from kplane_server.model.errors import Invalid

Document = dict[str, Any]


async def fleet(world: World, name: str = "f", **spec: Any) -> Document:
    await world.create({"apiVersion": "kplane.dev/v1", "kind": "Fleet", "metadata": {"name": name}, "spec": spec})
    await world.settle()
    return status(world, name)


async def change(world: World, spec: Document, name: str = "f") -> Document:
    await world.merge("Fleet", name, {"spec": spec})
    await world.settle()
    return status(world, name)


def status(world: World, name: str = "f") -> Document:
    found: Document = world.read("Fleet", name)["status"]
    return found


def phases(found: Document) -> dict[str, str]:
    return {member["clusterID"]: member["phase"] for member in found["members"]}


async def test_up_down_and_to_nothing(world: World) -> None:
    found = await fleet(world, replicas=2)
    assert (found["readyReplicas"], phases(found)) == (2, {"f-0000": "Ready", "f-0001": "Ready"})
    member = world.read("ControlPlane", "f-0000")
    assert member["spec"]["classRef"] == {"name": "starter"}
    assert member["spec"]["deletionPolicy"] == "Destroy"
    (owner,) = member["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("Fleet", "f", True)
    kept = member["metadata"]["uid"]
    assert (await change(world, {"replicas": 4}))["readyReplicas"] == 4
    assert (await change(world, {"replicas": 1}))["readyReplicas"] == 1
    await world.settle(lambda: world.names("ControlPlane") == ["f-0000"])
    assert world.directory.find("f-0001") is None
    assert world.read("ControlPlane", "f-0000")["metadata"]["uid"] == kept
    found = await change(world, {"replicas": 0})
    assert (found["readyReplicas"], found["members"]) == (0, [])
    assert found["observedGeneration"] == world.read("Fleet", "f")["metadata"]["generation"]
    await world.settle(lambda: not world.names("ControlPlane"))


async def test_more_than_one_batch(world: World) -> None:
    found = await fleet(world, replicas=60)
    assert found["readyReplicas"] == 60
    await world.delete("Fleet", "f")
    await world.settle(lambda: not world.names("ControlPlane"), 60)


async def test_a_member_that_somebody_deletes_is_made_again(world: World) -> None:
    await fleet(world, replicas=1)
    before = world.read("ControlPlane", "f-0000")["metadata"]["uid"]
    await world.delete("ControlPlane", "f-0000")
    await world.settle(lambda: status(world)["readyReplicas"] == 1 and world.read("ControlPlane", "f-0000")["metadata"]["uid"] != before)


async def test_names_and_prefixes(world: World) -> None:
    assert list(phases(await fleet(world, "a", replicas=2, namePrefix="ci-"))) == ["ci-0000", "ci-0001"]
    assert list(phases(await fleet(world, "b", replicas=2, names=["blue", "green"]))) == ["blue", "green"]
    await change(world, {"names": ["green", "red", "black"], "replicas": 3}, "b")
    await world.settle(lambda: world.names("ControlPlane") == ["black", "ci-0000", "ci-0001", "green", "red"])


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("f", {"replicas": -1}),
        ("f", {"replicas": 1001}),
        ("f", {"replicas": 2, "names": ["one"]}),
        ("f", {"replicas": 2, "names": ["one", "one"]}),
        ("f", {"replicas": 1, "names": ["One"]}),
        ("f", {"replicas": 1, "namePrefix": "-x"}),
        ("f", {"replicas": 1, "namePrefix": "x" * 60}),
        ("f", {"replicas": 1, "ttlSeconds": -1}),
        ("f", {}),
        ("f.g", {"replicas": 1}),
        ("f" * 59, {"replicas": 1}),
    ],
)
async def test_what_cannot_be_is_refused(world: World, name: str, spec: Document) -> None:
    with pytest.raises(Invalid):
        await fleet(world, name, **spec)


async def test_what_is_not_its_own_is_left_alone(world: World) -> None:
    """A ControlPlane that was there, one of another Fleet, and a name that nobody may have."""
    await world.create({"apiVersion": KPLANE, "kind": "ControlPlane", "metadata": {"name": "mine"}, "spec": {}})
    await fleet(world, "other", replicas=1, names=["theirs"])
    found = await fleet(world, replicas=4, names=["mine", "theirs", "root", "good"])
    assert phases(found) == {"mine": "Failed", "theirs": "Failed", "root": "Failed", "good": "Ready"}
    said = {member["clusterID"]: member.get("message", "") for member in found["members"]}
    assert said["mine"] == said["theirs"] == "there is a ControlPlane of this name that is not this Fleet's"
    assert "the name is reserved" in said["root"]
    assert found["readyReplicas"] == 1
    await world.delete("Fleet", "f")
    await world.settle(lambda: world.names("ControlPlane") == ["mine", "theirs"])


async def test_a_class_that_is_not_there(world: World) -> None:
    found = await fleet(world, replicas=1, classRef={"name": "absent"})
    (member,) = found["members"]
    assert (member["phase"], found["readyReplicas"]) == ("Failed", 0)
    assert "absent" in member["message"]
    since = member["lastTransitionTime"]
    world.clock.now += 60
    await world.create({"apiVersion": KPLANE, "kind": "ControlPlaneClass", "metadata": {"name": "absent"}, "spec": {}})
    await world.settle(lambda: status(world)["readyReplicas"] == 1)
    (member,) = status(world)["members"]
    assert member["phase"] == "Ready"
    assert "message" not in member
    assert member["lastTransitionTime"] > since


async def test_retained_data_is_the_policy_of_the_fleet(world: World) -> None:
    await fleet(world, replicas=1, deletionPolicy="Retain")
    await change(world, {"replicas": 0})
    await world.settle(lambda: len(world.directory.retained("f-0000")) == 1)


async def test_a_time_to_live_ends_the_fleet_with_its_members(world: World) -> None:
    await fleet(world, replicas=2, ttlSeconds=3600)
    world.clock.now += 3599
    await world.restart()
    await world.settle()
    assert len(world.names("ControlPlane")) == 2
    world.clock.now += 2
    await world.restart()
    await world.settle(lambda: not world.names("ControlPlane") and world.get("Fleet", "f") is None)


async def test_what_was_begun_goes_on_after_a_restart(world: World) -> None:
    await world.stop()
    body = {"apiVersion": "kplane.dev/v1", "kind": "Fleet", "metadata": {"name": "f"}, "spec": {"replicas": 3}}
    await world.create(body)
    await world.restart()
    await world.settle(lambda: (world.read("Fleet", "f").get("status") or {}).get("readyReplicas") == 3)


async def test_fleets_are_in_root_alone(world: World) -> None:
    await world.control_plane("demo")
    assert all(row.kind != "Fleet" for row in world.api("demo").resources.all())
