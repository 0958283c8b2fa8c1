# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory: it finds, makes, keeps and destroys; it never makes by looking, and keeps no more than it says."""

from __future__ import annotations

import hashlib

import pytest
from support.world import World

from kplane_server.model.errors import Unauthorized
from kplane_server.storage.api import UnknownVcp, VcpState
from kplane_server.vcp.directory import Directory


async def test_looking_makes_nothing() -> None:
    world = World()
    assert world.directory.find("absent") is None
    assert len(world.store.vcps()) == 1
    assert world.directory.find("root") is world.directory.root


async def test_one_incarnation_is_one_control_plane_until_it_changes() -> None:
    world = World()
    record = await world.directory.create("a", "uid-1")
    found = world.directory.find("a")
    assert found is not None
    assert found.record == record
    assert world.directory.find("a") is found
    assert world.directory.get(record.id) is found
    await world.directory.rotate_key(record.id)
    again = world.directory.find("a")
    assert again is not None
    assert again is not found
    assert again.record.key_generation == 2


async def test_a_name_is_served_once() -> None:
    world = World()
    await world.directory.create("a", "uid-1")
    with pytest.raises(ValueError, match="'a'"):
        await world.directory.create("a", "uid-2")


async def test_the_table_of_states() -> None:
    world = World()
    directory = world.directory
    record = await directory.create("a", "uid-1")
    await directory.retain(record.id)
    assert directory.find("a") is None
    assert directory.get(record.id) is None
    assert directory.has_retained("a")
    assert [r.uid for r in directory.retained("a")] == ["uid-1"]
    assert [r.uid for r in Directory(world.store, world.plane, directory._admission).retained()] == ["uid-1"]
    second = await directory.create("a", "uid-2")
    with pytest.raises(ValueError, match="cannot go"):
        await directory.reattach(record.id)
    await directory.destroy(second.id)
    assert [r.uid for r in directory.wiping()] == ["uid-2"]
    with pytest.raises(ValueError, match="cannot go"):
        await directory.reattach(second.id)
    await directory.wipe(second.id)
    assert directory.wiping() == []
    await directory.reattach(record.id)
    assert not directory.has_retained("a")
    found = directory.find("a")
    assert found is not None
    assert found.record.uid == "uid-1"
    with pytest.raises((UnknownVcp, ValueError)):
        await directory.retain(second.id)
    assert [r.state for r in world.store.vcps()] == [VcpState.ACTIVE] * 2


async def test_memory_of_those_at_work_is_bounded() -> None:
    world = World()
    directory = Directory(world.store, world.plane, world.directory._admission, max_warm=2)
    for number in range(5):
        await directory.create(f"v{number}", f"uid-{number}")
        directory.find(f"v{number}")
    assert len(directory._warm) == 2


async def test_the_administrator_is_known_in_root_only() -> None:
    world = World()
    digest = hashlib.sha256(b"secret").digest()
    directory = Directory(world.store, world.plane, world.directory._admission, admin_digest=digest)
    await directory.create("a", "uid-1")
    assert directory.root.authenticator.authenticate("Bearer secret").name == "kplane-admin"
    found = directory.find("a")
    assert found is not None
    with pytest.raises(Unauthorized):
        found.authenticator.authenticate("Bearer secret")
