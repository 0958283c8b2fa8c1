# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fleets with the published collection kubernetes.core and the published helm: their modules on the hosts of the dynamic inventory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.kubectl import write_kubeconfig
from support.plays import Controller, Played
from support.published import PATIENCE_SECONDS, collections, program
from support.server import GROUP, Server

pytestmark = pytest.mark.timeout(PATIENCE_SECONDS)

NAMESPACE = "/api/v1/namespaces/shop"
SETTINGS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}}
data: {color: {{ .Values.color }}}
"""
CHART = {
    "web/Chart.yaml": {"apiVersion": "v2", "name": "web", "version": "0.1.0"},
    "web/values.yaml": {"color": "red"},
    "web/templates/settings.yaml": SETTINGS,
}


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path / "plane")
    try:
        yield running.start()
    finally:
        running.stop()


@pytest.fixture
def controller(tmp_path: Path, plane: Server) -> Controller:
    helm = program("helm")
    folder = tmp_path / "controller"
    folder.mkdir()
    made = Controller(folder, (collections(),), (helm.parent,) if helm is not None else ())
    made.write("live.kplane.yml", {"plugin": "kplane.core.kplane", "planes": [{"kubeconfig": str(plane.kubeconfig)}]})
    return made


def make_fleet(controller: Controller, plane: Server, hosts: str, **more: Any) -> None:
    variables = {"kplane_management_kubeconfig": str(plane.kubeconfig), "kplane_deletion_policy": "Destroy"} | more
    controller.write("fleet.yml", {"kplane_vcps": {"hosts": {hosts: {}}, "vars": variables}})
    controller.play("kplane.core.fleet", "-i", "fleet.yml", kplane_fleet_name="blue")


def test_modules_of_kubernetes_core_on_a_hundred(plane: Server, controller: Controller) -> None:
    """They work on every host with nothing else set; asked again, some change nothing."""
    make_fleet(controller, plane, "team-[001:100]")
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "own", "namespace": "default"}}
    task = {"kubernetes.core.k8s": {"definition": document | {"data": {"host": "{{ inventory_hostname }}"}}}}
    controller.write("play.yml", [{"hosts": "kplane_vcps", "gather_facts": False, "tasks": [task]}])
    play = ("ansible-playbook", "-i", "live.kplane.yml", "play.yml")
    assert controller.run(*play, timeout=PATIENCE_SECONDS).changed == 100
    for number in range(1, 101):
        name = f"team-{number:03d}"
        assert plane.vcp(name).get("/api/v1/namespaces/default/configmaps/own").ok()["data"] == {"host": name}
    assert controller.run(*play, "--limit", "team-00*", timeout=PATIENCE_SECONDS).changed == 0


class Shop:
    """Charts for the hosts of a fleet, by the role of this collection."""

    def __init__(self, controller: Controller, plane: Server) -> None:
        self.controller = controller
        self.plane = plane
        for name, content in CHART.items():
            controller.write(f"charts/{name}", content)
        role: dict[str, Any] = {"ansible.builtin.include_role": {"name": "kplane.core.fleet", "tasks_from": "helm"}}
        controller.write("charts.yml", [{"hosts": "kplane_vcps", "gather_facts": False, "tasks": [role]}])

    def keep(self, *releases: str, check: bool = False, failing: bool = False, **values: Any) -> Played:
        """Declare these releases of the one chart, and run."""
        chart = {"chart_ref": "charts/web", "release_namespace": "shop", "values": values}
        declared = {"kplane_helm": [chart | {"name": name} for name in releases]}
        variables = {"kplane_fleet_prune_seeds": True}
        self.controller.write("group_vars/kplane_vcps.yml", declared)
        options = ["--check", "--diff"] if check else ["-v"]
        return self.controller.run(
            "ansible-playbook", "-i", "live.kplane.yml", "charts.yml", *options, "-e", json.dumps(variables), check=not failing
        )

    def colors(self, release: str) -> set[str]:
        """What the ConfigMap of a release says in each VCP; nothing where there is none."""
        found = [self.plane.vcp(name).get(f"{NAMESPACE}/configmaps/{release}") for name in ("team-1", "team-2")]
        return {answer.ok()["data"]["color"] if answer.code != 404 else "" for answer in found}

    def requests(self) -> int:
        """How many requests the server has answered."""
        lines = self.plane.root.get("/metrics").body.decode().splitlines()
        return sum(int(float(line.rsplit(" ", 1)[1])) for line in lines if line.startswith("kplane_requests_total{"))


def test_helm_charts_of_a_fleet(plane: Server, controller: Controller) -> None:
    """Installed, left alone at one read, upgraded by values and by the chart, and uninstalled when nobody names them any more."""
    if not controller.programs:
        pytest.skip("NO GO: helm is not built, and not run")
    make_fleet(controller, plane, "team-[1:2]")
    shop = Shop(controller, plane)
    assert shop.keep("web", "api", check=True).changed == 2
    assert shop.colors("web") == {""}
    assert shop.keep("web", "api", color="blue").changed == 2
    assert shop.colors("web") == shop.colors("api") == {"blue"}

    before = shop.requests()
    assert shop.keep("web", "api", color="blue").changed == 0
    # One list of the inventory, one read for each of the two hosts, and the two questions of this test.
    assert 3 <= shop.requests() - before <= 5

    assert shop.keep("web", "api", color="green").changed == 2
    assert shop.colors("web") == {"green"}
    controller.write("charts/web/templates/settings.yaml", SETTINGS.replace("{color: {{", "{color: very {{"))
    controller.write("charts/web/Chart.yaml", {"apiVersion": "v2", "name": "web", "version": "0.2.0"})
    assert shop.keep("web", "api", color="green").changed == 2
    assert shop.colors("web") == {"very green"}

    looked = shop.keep("web", check=True, color="green")
    assert looked.changed == 2
    assert shop.colors("api") == {"very green"}
    gone = shop.keep("web", color="green")
    assert gone.changed == 2
    assert "shop/api" in gone.output
    assert (shop.colors("api"), shop.colors("web")) == ({""}, {"very green"})
    assert shop.keep("web", color="green").changed == 0
    assert shop.keep().changed == 2
    assert shop.colors("web") == {""}
    for name in ("team-1", "team-2"):
        annotations = plane.root.get(f"{GROUP}/controlplanes/{name}").ok()["metadata"].get("annotations", {})
        assert "kplane.core/charts" not in annotations


def test_a_chart_that_fails_is_named_and_tried_again(plane: Server, controller: Controller) -> None:
    if not controller.programs:
        pytest.skip("NO GO: helm is not built, and not run")
    make_fleet(controller, plane, "team-[1:2]")
    shop = Shop(controller, plane)
    controller.write("charts/web/templates/settings.yaml", SETTINGS.replace("kind: ConfigMap", "kind: Unheard"))
    failed = shop.keep("web", failing=True)
    assert failed.code != 0
    assert "shop/web" in failed.output
    assert "Unheard" in failed.output
    controller.write("charts/web/templates/settings.yaml", SETTINGS)
    assert shop.keep("web").changed == 2
    assert shop.colors("web") == {"red"}


def test_kubectl_knows_that_a_seed_belongs_to_somebody(plane: Server, controller: Controller, tmp_path: Path) -> None:
    """What a seed leaves is an ApplySet as kubectl understands it, so kubectl leaves it alone."""
    kubectl = program("kubectl-1.37")
    if kubectl is None:
        pytest.skip("NO GO: kubectl is not built, and not run")
    seed = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}
    make_fleet(controller, plane, "team-1", kplane_manifests=[seed])
    other = controller.write("other.yml", seed | {"metadata": {"name": "other", "namespace": "kube-system"}})
    path = str(write_kubeconfig(plane.vcp("team-1"), tmp_path))
    options = ("--namespace", "kube-system", "--server-side", "--prune", "--applyset", "configmaps/kplane-seed", "--filename", str(other))
    refused = controller.run("env", "KUBECTL_APPLYSET=true", str(kubectl), "--kubeconfig", path, "apply", *options, check=False)
    assert refused.code != 0
    assert 'managed by tooling "kplane.core" instead of "kubectl"' in refused.output
