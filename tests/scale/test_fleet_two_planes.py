# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two management planes at once, a thousand VCPs each from two inventories, through a whole life.

What a run says of itself is not believed: every VCP is asked through its own API, with the credential that was handed out for it.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.client import eventually
from support.many import Handed
from support.plays import Controller, Played
from support.server import GROUP, Server

COUNT = 1_000
#: Enough that the play is in the middle: some VCPs are complete, some are half made, most are not there.
EARLY = 150
PATIENCE = 240.0
ADDON = "platform"
SEEDED = "/api/v1/namespaces/default/configmaps/welcome"


def names(color: str, first: int, last: int) -> list[str]:
    return [f"{color}-{number:04d}" for number in range(first, last + 1)]


class Half:
    """One management plane, the inventory of its VCPs, and the credentials that were handed out for them."""

    def __init__(self, color: str, server: Server, controller: Controller) -> None:
        self.color = color
        self.server = server
        self.controller = controller
        self.last = COUNT
        self.groups: dict[str, tuple[str, dict[str, Any]]] = {}
        self.manifests: list[dict[str, Any]] = [self.config_map("welcome", team="{{ inventory_hostname }}")]
        self.handed = Handed(controller.folder / color / "credentials")

    @staticmethod
    def config_map(name: str, **data: str) -> dict[str, Any]:
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}

    def write(self) -> None:
        """The inventory as it shall be now: ``groups`` are parts of the half with variables of their own."""
        hosts: dict[str, Any] = {f"{self.color}-[0001:{self.last:04d}]": {}}
        children = {f"{self.color}_{name}": {"hosts": {hosts: {}}, "vars": found} for name, (hosts, found) in self.groups.items()}
        variables = {
            "kplane_management_kubeconfig": str(self.server.kubeconfig),
            "kplane_deletion_policy": "Destroy",
            "kplane_manifests": self.manifests,
            "kplane_credentials": {"directory": "credentials"},
        }
        half = {"hosts": hosts, "vars": variables, "children": children}
        self.controller.write(f"{self.color}/fleet.yml", {"kplane_vcps": {"children": {self.color: half}}})

    def control_planes(self) -> dict[str, dict[str, Any]]:
        return {item["metadata"]["name"]: item for item in self.server.root.get(f"{GROUP}/controlplanes").ok()["items"]}

    def uids(self) -> dict[str, str]:
        return {name: item["metadata"]["uid"] for name, item in self.control_planes().items()}

    def versions(self) -> dict[str, str]:
        return {name: item["metadata"]["resourceVersion"] for name, item in self.control_planes().items()}

    def data(self, vcps: list[str], path: str = SEEDED) -> dict[str, Any]:
        """By VCP, the data of a ConfigMap that it holds."""
        return {name: answer.ok()["data"] for name, answer in self.handed.ask(vcps, path).items()}

    def wait_for(self, count: int) -> None:
        root = self.server.root

        def enough() -> bool:
            page = root.get(f"{GROUP}/controlplanes?limit=1").ok()
            return len(page["items"]) + page["metadata"].get("remainingItemCount", 0) >= count

        eventually(enough, PATIENCE, f"{count} VCPs in {self.color}", every=0.2)

    def wait_for_code(self, vcps: list[str], path: str, code: int) -> None:
        """Until each of the VCPs answers so; some things come by themselves."""
        eventually(lambda: self.handed.codes(vcps, path) == {code}, PATIENCE, f"{code} for {path} in {self.color}", every=0.5)

    def wait_for_names(self, wanted: set[str]) -> None:
        eventually(lambda: set(self.control_planes()) == wanted, PATIENCE, f"exactly those that were declared in {self.color}", every=0.5)

    def all(self) -> list[str]:
        return names(self.color, 1, self.last)


@pytest.fixture
def controller(tmp_path: Path) -> Controller:
    folder = tmp_path / "controller"
    folder.mkdir()
    return Controller(folder)


@pytest.fixture
def halves(tmp_path: Path, controller: Controller) -> Iterator[tuple[Half, Half]]:
    servers = [Server(tmp_path / name) for name in ("one", "two")]
    try:
        for server in servers:
            server.start()
        yield Half("red", servers[0], controller), Half("green", servers[1], controller)
    finally:
        for server in servers:
            server.kill()


COMMAND = ("ansible-playbook", "kplane.core.fleet", "-i", "red/fleet.yml", "-i", "green/fleet.yml")


def converge(controller: Controller, halves: tuple[Half, Half], check: bool = True, **variables: Any) -> Played:
    for half in halves:
        half.write()
    return controller.run(*COMMAND, "-e", json.dumps({"kplane_fleet_name": "both"} | variables), check=check)


@contextlib.contextmanager
def begun(controller: Controller, halves: tuple[Half, Half]) -> Iterator[subprocess.Popen[str]]:
    """A play that goes on meanwhile; what is left of it at the end is killed."""
    for half in halves:
        half.write()
    play = controller.start(*COMMAND, "-e", "kplane_fleet_name=both")
    try:
        yield play
    finally:
        controller.kill(play)


def test_a_whole_life(controller: Controller, halves: tuple[Half, Half]) -> None:
    made_through_kills(controller, halves)
    found_as_declared(controller, halves)
    another_class(controller, halves)
    another_seed(controller, halves)
    pruned(controller, halves)
    ended_and_paused(controller, halves)
    assert converge(controller, halves).changed == 0


def made_through_kills(controller: Controller, halves: tuple[Half, Half]) -> None:
    """The play is killed in the middle, and in the next one a server: nothing is doubled, lost or left half made."""
    with begun(controller, halves):
        for half in halves:
            half.wait_for(EARLY)
    before = [half.uids() for half in halves]
    assert all(EARLY <= len(found) < COUNT for found in before)

    with begun(controller, halves) as play:
        killed = halves[1]
        killed.wait_for((len(before[1]) + COUNT) // 2)
        killed.server.kill()
        assert play.poll() is None, "the play was over before its server was killed"
        time.sleep(1)
        killed.server.start(PATIENCE)
        output = play.communicate(timeout=PATIENCE)[0]
        assert play.returncode == 0, output
    for half, found in zip(halves, before, strict=True):
        now = half.uids()
        assert set(now) == set(half.all())
        assert {name: now[name] for name in found} == found
        assert half.handed.names() == set(now)
        assert half.data(half.all()) == {name: {"team": name} for name in half.all()}


def found_as_declared(controller: Controller, halves: tuple[Half, Half]) -> None:
    before = [half.versions() for half in halves]
    assert converge(controller, halves).changed == 0
    assert [half.versions() for half in halves] == before


def another_class(controller: Controller, halves: tuple[Half, Half]) -> None:
    """A class carries a seed of its own, so whoever has the class shows it in its API."""
    for half in halves:
        content = json.dumps(
            half.config_map("of-the-class", color=half.color) | {"metadata": {"name": "of-the-class", "namespace": "default"}}
        )
        addon = {"metadata": {"name": ADDON, "namespace": "kplane-system"}, "data": {"manifests": content}}
        half.server.root.post("/api/v1/namespaces/kplane-system/configmaps", {"apiVersion": "v1", "kind": "ConfigMap"} | addon).ok()
        gold = {"apiVersion": "controlplane.kplane.dev/v1alpha1", "kind": "ControlPlaneClass", "metadata": {"name": "gold"}}
        half.server.root.post(f"{GROUP}/controlplaneclasses", gold | {"spec": {"addons": [ADDON]}}).ok()
        half.groups["gold"] = (f"{half.color}-[0001:0100]", {"kplane_class": "gold"})
    assert converge(controller, halves).changed == 1
    for half in halves:
        golden = names(half.color, 1, 100)
        path = "/api/v1/namespaces/default/configmaps/of-the-class"
        half.wait_for_code(golden, path, 200)
        assert half.handed.codes(names(half.color, 101, COUNT), path) == {404}


def another_seed(controller: Controller, halves: tuple[Half, Half]) -> None:
    for half in halves:
        half.manifests = [half.config_map("welcome", team="{{ inventory_hostname }}", round="2"), half.config_map("more", color=half.color)]
    assert converge(controller, halves).changed == 1
    for half in halves:
        assert half.data(half.all()) == {name: {"team": name, "round": "2"} for name in half.all()}
        more = half.data(half.all(), "/api/v1/namespaces/default/configmaps/more")
        assert list(more.values()) == [{"color": half.color}] * COUNT


def pruned(controller: Controller, halves: tuple[Half, Half]) -> None:
    """A fifth leaves the inventories: refused, then done on an explicit word; and nobody else is touched."""
    before = [half.versions() for half in halves]
    for half in halves:
        half.last = COUNT - COUNT // 5
        half.server.root.post(
            f"{GROUP}/controlplanes",
            {
                "apiVersion": "controlplane.kplane.dev/v1alpha1",
                "kind": "ControlPlane",
                "metadata": {"name": "foreign"},
                "spec": {"classRef": {"name": "starter"}},
            },
        ).ok()
    refused = converge(controller, halves, check=False, kplane_fleet_prune=True)
    assert refused.code != 0
    assert f"no longer names {COUNT // 5} of {COUNT}" in refused.output
    for half, held in zip(halves, before, strict=True):
        now = half.versions()
        assert now.pop("foreign")
        assert now == held
    assert converge(controller, halves, kplane_fleet_prune=True, kplane_fleet_prune_limit=20).changed == 1
    for half in halves:
        assert set(half.control_planes()) == {"foreign", *half.all()}
        assert half.handed.names() == set(half.all())
        assert half.handed.codes(names(half.color, half.last + 1, COUNT), SEEDED) == {404}
        assert half.handed.codes(half.all(), SEEDED) == {200}


def ended_and_paused(controller: Controller, halves: tuple[Half, Half]) -> None:
    """Some live a few seconds only, some rest; then those that rest serve again, with all that they held."""
    for half in halves:
        half.groups["brief"] = (f"{half.color}-brief-[01:20]", {"kplane_ttl": "20s"})
        half.groups["resting"] = (f"{half.color}-[0701:0750]", {"kplane_state": "paused"})
    assert converge(controller, halves).changed == 1
    for half in halves:
        brief, resting = [f"{half.color}-brief-{number:02d}" for number in range(1, 21)], names(half.color, 701, 750)
        awake = names(half.color, 1, 700) + names(half.color, 751, half.last)
        for answer in half.handed.ask(resting, SEEDED).values():
            assert "paused" in answer.fails(503, "ServiceUnavailable")["message"]
        assert half.handed.codes(awake, SEEDED) == {200}
        half.wait_for_code(brief, SEEDED, 404)
        half.wait_for_names({"foreign", *half.all()})
        half.groups = {"gold": half.groups["gold"]}
    assert converge(controller, halves).changed == 1
    for half in halves:
        assert half.data(half.all()) == {name: {"team": name, "round": "2"} for name in half.all()}
