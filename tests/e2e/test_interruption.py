# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays that are killed (kill -9) before each of their steps: the next run completes them, and nothing tells that it happened.

``make test`` tries some steps of each playbook, and each provider with some playbooks; ``make test-interruptions`` all of them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from standins import steps
from standins.picture import differences, of_world, secrets_of
from standins.world import Modules, World

#: One in so many steps is tried; a prime, so that it does not keep time with anything.
EVERY = 1 if os.environ.get("KPLANE_TEST_EVERY_STEP") else 17
PROVIDERS = ["kind", "k3s", "kubeconfig"]
CONFIRMED = {"kplane_confirm": True}
ROTATED = ["certificates", "administrator-token"]
ROTATED_SECRETS = {
    "kplane-apiserver-tls",
    "kplane-kubelet-client",
    "kplane-etcd-tls",
    "kplane-etcd-client",
    "apiserver-token-auth",
    "apiserver-kubeconfig",
}


def on(*providers: str) -> pytest.MarkDecorator:
    """The providers that a test is run on: all of them where every step is tried."""
    return pytest.mark.parametrize("world", PROVIDERS if EVERY == 1 else providers, indirect=True)


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, request.param)
    if request.param == "kubeconfig":
        made.own_cluster()
    yield made
    made.end()


class Undisturbed:
    """A play that is run once from its beginning to its end: its steps, and what it leaves."""

    def __init__(self, world: World, modules: Modules) -> None:
        self.world = world
        self.modules = modules
        assert world.again(modules)
        self.steps = steps.seen()
        self.picture = of_world(world)
        world.offer_authority()

    def survives(self, at: int) -> None:
        """Kill it before one step, and run it again."""
        step = self.steps[at - 1]
        assert self.world.again(self.modules, at) is None, f"it ended before step {at}, {step}"
        assert self.world.again(self.modules) is not None
        assert differences(of_world(self.world), self.picture) == [], f"after it was killed before step {at}, {step}"
        assert self.world.again(self.modules) == 0, f"a change after it was killed before step {at}, {step}"
        self.world.offer_authority()

    def some(self) -> list[int]:
        """The steps to be tried: the first, the last, and some between them."""
        last = len(self.steps)
        return sorted({1, last, *range(EVERY, last, EVERY)}) if EVERY > 1 else list(range(1, last + 1))


class Rotated(Undisturbed):
    """A rotation: the plays that are run again after it do not ask for another one, and complete the one that was begun."""

    def __init__(self, world: World, modules: Modules, plain: Modules) -> None:
        self.plain = plain
        world.again(plain)
        super().__init__(world, modules)

    def survives(self, at: int) -> None:
        """Kill it before one step: a plain run completes it, and it is begun once."""
        step = self.steps[at - 1]
        before = secrets_of(self.world)
        assert self.world.again(self.modules, at) is None, f"it ended before step {at}, {step}"
        assert self.world.again(self.plain) is not None
        after = secrets_of(self.world)
        changed = {name for name in after if after[name] != before[name]}
        assert changed in (set(), ROTATED_SECRETS), f"half of it after it was killed before step {at}, {step}"
        assert self.world.again(self.plain) == 0
        assert differences(of_world(self.world), self.picture) == [], f"after it was killed before step {at}, {step}"


def in_order(done: list[str]) -> bool:
    """Whether definitions came before their objects, Secrets before what mounts them, and the components one after another."""
    order = ["/namespaces/kplane-system", "/secrets/kplane-apiserver-tls", "/customresourcedefinitions/controlplaneclasses"]
    order += ["/statefulsets/kplane-etcd", "/deployments/kplane-apiserver", "/deployments/kplane-controlplane-operator"]
    order += ["/controlplaneclasses/starter", "/configmaps/kplane-core-stack"]
    last = {part: max(index for index, step in enumerate(done) if part + "." in step or step.endswith(part)) for part in order}
    return list(last.values()) == sorted(last.values())


def back_and_forth(one: Undisturbed, other: Undisturbed) -> None:
    """Kill each of two plays that undo one another at its steps."""
    ones, others = one.some(), other.some()
    for turn in range(max(len(ones), len(others))):
        one.survives(ones[turn % len(ones)])
        other.survives(others[turn % len(others)])


@on(*PROVIDERS)
def test_the_management_plane(world: World) -> None:
    up = world.modules("up")
    assert in_order(steps.seen())
    down = world.modules("down", **CONFIRMED)
    world.offer_authority()
    there, back = Undisturbed(world, up), Undisturbed(world, down)
    back_and_forth(there, back)
    # And with all of Ansible around the modules.
    for at in there.some()[1::7] or there.some()[-1:]:
        assert world.kill("up", at), f"it ended before step {at}"
        assert world.play("up")
        assert differences(of_world(world), there.picture) == []
        assert world.play("up") == 0
        assert world.again(down)
        world.offer_authority()
    # Images are pulled by the nodes of a real cluster; nothing else comes from anywhere.
    assert steps.called() == []


@on("k3s")
def test_a_control_plane(world: World) -> None:
    world.play("up")
    name = {"kplane_vcp_name": "demo", "kplane_vcp_deletion_policy": "Destroy"}
    create, delete = world.modules("create_cluster", **name), world.modules("delete_cluster", **name)
    back_and_forth(Undisturbed(world, create), Undisturbed(world, delete))
    assert world.again(create)
    one, other = ({"kplane_context": context} for context in ("demo", "work"))
    use, use_other = world.modules("use_context", **one), world.modules("use_context", **other)
    back_and_forth(Undisturbed(world, use), Undisturbed(world, use_other))
    fetch = world.modules("get_credentials", kplane_credentials_name="demo")
    drop = world.modules("get_credentials", kplane_credentials_name="demo", kplane_credentials_state="absent")
    back_and_forth(Undisturbed(world, fetch), Undisturbed(world, drop))
    # A list is read only: there is nothing that it could be killed before.
    assert world.again(world.modules("get_clusters")) == 0
    assert steps.seen() == []


@on("kind")
def test_an_upgrade_and_a_rotation(world: World) -> None:
    world.play("up")
    images = {f"kplane_{part}_image": f"example/{part}:v9.0.0" for part in ("etcd", "apiserver", "operator")}
    older = {name: image.replace("9", "8") for name, image in images.items()}
    there = world.modules("up", **images)
    back = world.modules("up", **older, kplane_allow_downgrade=True)
    newer = Undisturbed(world, there)
    recorded = newer.picture["/api/v1/configmaps kplane-system kplane-core-stack"]["data"]
    assert json.loads(recorded["images"]) == {name.split("_")[1]: image for name, image in images.items()}
    back_and_forth(newer, Undisturbed(world, back))
    rotate = Rotated(world, world.modules("up", **older, kplane_rotate=ROTATED), world.modules("up", **older))
    for at in rotate.some():
        rotate.survives(at)
