# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens in Secrets: their use is noted, and those that nobody needs go."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from support.world import World

from kplane_server.controllers.legacytokens import INVALID_SINCE, LAST_USED
from kplane_server.model import timestamps
from kplane_server.model.errors import Unauthorized

Document = dict[str, Any]
YEAR = 366 * 86_400


async def made(world: World, vcp: str, *, named: bool = True) -> str:
    """An account with a token Secret; the token."""
    secrets = {"secrets": [{"name": "robot-token"}]} if named else {}
    await world.create(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot", "namespace": "default"}, **secrets}, vcp
    )
    metadata = {"name": "robot-token", "namespace": "default", "annotations": {"kubernetes.io/service-account.name": "robot"}}
    await world.create({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token", "metadata": metadata}, vcp)
    await world.settle(lambda: (world.read("Secret", "robot-token", "default", vcp).get("data") or {}).get("token"))
    return base64.b64decode(world.read("Secret", "robot-token", "default", vcp)["data"]["token"]).decode()


def use(world: World, vcp: str, token: str) -> str:
    found = world.directory.find(vcp)
    assert found is not None
    return found.authenticator.authenticate(f"Bearer {token}").name


def labels(world: World, vcp: str) -> dict[str, str]:
    found: dict[str, str] = world.read("Secret", "robot-token", "default", vcp)["metadata"].get("labels") or {}
    return found


def today(world: World) -> str:
    return timestamps.from_epoch(world.clock())[:10]


async def later(world: World, seconds: float) -> None:
    world.clock.now += seconds
    await world.restart()
    await world.settle()


async def test_use_is_noted_once_a_day(world: World) -> None:
    await world.control_plane("demo")
    token = await made(world, "demo")
    assert use(world, "demo", token) == "system:serviceaccount:default:robot"
    await world.settle(lambda: labels(world, "demo") == {LAST_USED: today(world)})
    before = world.store.revision
    for _ in range(3):
        use(world, "demo", token)
    await world.settle()
    assert world.store.revision == before
    world.clock.now += 86_400
    use(world, "demo", token)
    await world.settle(lambda: labels(world, "demo") == {LAST_USED: today(world)})


async def test_a_token_without_use_is_marked_then_deleted(world: World) -> None:
    token = await made(world, "root")
    await later(world, YEAR)
    await world.settle(lambda: labels(world, "root") == {INVALID_SINCE: today(world)})
    with pytest.raises(Unauthorized):
        use(world, "root", token)
    await later(world, YEAR + 86_400)
    await world.settle(lambda: "robot-token" not in world.names("Secret", "default"))


async def test_a_token_in_use_stays(world: World) -> None:
    token = await made(world, "root")
    await later(world, YEAR - 3 * 86_400)
    use(world, "root", token)
    await world.settle(lambda: LAST_USED in labels(world, "root"))
    await later(world, 30 * 86_400)
    assert INVALID_SINCE not in labels(world, "root")


async def test_what_somebody_made_by_hand_or_a_pod_mounts_stays(world: World) -> None:
    await world.control_plane("demo")
    await made(world, "root", named=False)
    await made(world, "demo")
    volumes = [{"name": "t", "secret": {"secretName": "robot-token"}}]
    spec = {"containers": [{"name": "c", "image": "i"}], "volumes": volumes}
    await world.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "default"}, "spec": spec}, "demo")
    await later(world, YEAR)
    await world.merge("Secret", "robot-token", {"metadata": {"annotations": {"touched": "yes"}}}, "default", "demo")
    await world.settle()
    assert labels(world, "root") == labels(world, "demo") == {}
