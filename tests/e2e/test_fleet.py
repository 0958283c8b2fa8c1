# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fleets: an inventory is played against real servers, and the servers are asked what is there."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.client import eventually
from support.plays import Controller, Played
from support.server import GROUP, Server, client_of
from support.widgets import crd, widget

FLEET_LABEL = "kplane.core/fleet"
SEED = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "welcome"}, "data": {"team": "{{ inventory_hostname }}"}}

StartServer = Callable[[str], Server]


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    made: list[Server] = []

    def start(name: str) -> Server:
        made.append(Server(tmp_path / name).start())
        return made[-1]

    yield start
    for server in made:
        server.stop()


@pytest.fixture
def server(start_server: StartServer) -> Server:
    return start_server("plane")


@pytest.fixture
def controller(tmp_path: Path) -> Controller:
    folder = tmp_path / "controller"
    folder.mkdir()
    return Controller(folder)


def inventory(server: Server, hosts: str | dict[str, Any], **variables: Any) -> dict[str, Any]:
    common = {"kplane_management_kubeconfig": str(server.kubeconfig), "kplane_deletion_policy": "Destroy"}
    return {"kplane_vcps": {"hosts": {hosts: {}} if isinstance(hosts, str) else hosts, "vars": common | copy.deepcopy(variables)}}


def converge(controller: Controller, *arguments: str, check: bool = True, **variables: Any) -> Played:
    return controller.play("kplane.core.fleet", "-i", "fleet.yml", *arguments, check=check, **({"kplane_fleet_name": "blue"} | variables))


def results(controller: Controller) -> dict[str, dict[str, Any]]:
    """By name, what the record of the last run says."""
    record = controller.folder / "home" / ".local" / "state" / "kplane" / "fleets" / "blue.json"
    return {entry["name"]: entry for entry in json.loads(record.read_text())["results"]}


def control_planes(server: Server) -> dict[str, dict[str, Any]]:
    return {item["metadata"]["name"]: item for item in server.root.get(f"{GROUP}/controlplanes").ok()["items"]}


def versions(server: Server) -> dict[str, str]:
    return {name: item["metadata"]["resourceVersion"] for name, item in control_planes(server).items()}


def welcome(server: Server, name: str) -> dict[str, Any]:
    found: dict[str, Any] = server.vcp(name).get("/api/v1/namespaces/default/configmaps/welcome").ok()
    return found


def test_two_hundred_from_an_inventory(server: Server, controller: Controller) -> None:
    """Made, seeded and handed out; again without a change; then changed one part at a time."""
    description = inventory(
        server,
        "team-[001:200]",
        kplane_labels={"team": "{{ inventory_hostname }}"},
        kplane_manifests=[SEED, {"template": "templates/own.yml"}],
        kplane_credentials={"directory": str(controller.folder / "credentials")},
    )
    controller.write(
        "templates/own.yml", "{% include 'head.yml' %}\n\ndata: {host: '{{ inventory_hostname }}', team: '{{ kplane_labels.team }}'}\n"
    )
    controller.write("templates/head.yml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: own}\n")
    controller.write("fleet.yml", description)
    assert converge(controller).changed == 1
    made = control_planes(server)
    assert len(made) == 200
    assert made["team-007"]["metadata"]["labels"] | {FLEET_LABEL: "blue", "team": "team-007"} == made["team-007"]["metadata"]["labels"]
    for name in ("team-001", "team-100", "team-200"):
        found = welcome(server, name)
        assert found["data"] == {"team": name}
        assert {entry["manager"] for entry in found["metadata"]["managedFields"]} == {"kplane.core"}
        own = server.vcp(name).get("/api/v1/namespaces/default/configmaps/own").ok()
        assert own["data"] == {"host": name, "team": name}
        handed = controller.folder / "credentials" / f"{name}.kubeconfig"
        assert handed.stat().st_mode & 0o777 == 0o600
        assert client_of(handed.read_text()).get("/api/v1/namespaces/default").code == 200
    before = versions(server)
    assert converge(controller).changed == 0
    assert versions(server) == before

    gold = {"apiVersion": "controlplane.kplane.dev/v1alpha1", "kind": "ControlPlaneClass", "metadata": {"name": "gold"}, "spec": {}}
    server.root.post(f"{GROUP}/controlplaneclasses", gold).ok()
    description["kplane_vcps"]["children"] = {"golden": {"hosts": {"team-[001:010]": {}}, "vars": {"kplane_class": "gold"}}}
    description["kplane_vcps"]["vars"]["kplane_labels"]["cost"] = "42"
    controller.write("fleet.yml", description)
    assert converge(controller).changed == 1
    made = control_planes(server)
    classes = {name: item["spec"]["classRef"]["name"] for name, item in made.items()}
    assert {name for name, found in classes.items() if found == "gold"} == {f"team-{number:03d}" for number in range(1, 11)}
    assert {item["metadata"]["labels"]["cost"] for item in made.values()} == {"42"}
    assert converge(controller).changed == 0

    description["kplane_vcps"]["vars"]["kplane_manifests"][0]["data"]["more"] = "x"
    controller.write("fleet.yml", description)
    assert converge(controller).changed == 1
    assert {entry["action"] for entry in results(controller).values()} == {"seeded"}
    assert welcome(server, "team-150")["data"] == {"team": "team-150", "more": "x"}


def test_check_mode_writes_nothing_and_says_what_would_be(server: Server, controller: Controller) -> None:
    controller.write("fleet.yml", inventory(server, "team-[1:3]", kplane_manifests=[SEED]))
    before = server.root.get("/metrics").body.decode()
    said = converge(controller, "--check", "--diff")
    assert said.changed == 1
    assert "3 created" in said.output
    assert "kplane.core/fleet" in said.output
    assert control_planes(server) == {}
    assert not (controller.folder / "home" / ".local").exists()

    def commits(text: str) -> list[str]:
        return [line for line in text.splitlines() if line.startswith("kplane_storage_revision")]

    assert commits(server.root.get("/metrics").body.decode()) == commits(before)
    converge(controller)
    held = versions(server)
    controller.write("fleet.yml", inventory(server, "team-[1:3]", kplane_manifests=[SEED], kplane_labels={"x": "y"}))
    assert "3 updated" in converge(controller, "--check").output
    assert versions(server) == held
    assert converge(controller).changed == 1
    assert converge(controller, "--check").changed == 0


def test_check_mode_before_there_is_a_management_plane(server: Server, controller: Controller) -> None:
    """It says what would be made; but a server that is not the one that is meant is an error also then."""
    handed = {"directory": str(controller.folder / "credentials")}
    controller.write("fleet.yml", inventory(server, "team-[1:3]", kplane_manifests=[SEED], kplane_credentials=handed))
    server.stop()
    stopped = converge(controller, "--check", "--diff")
    assert stopped.changed == 1
    assert "Cannot reach" in stopped.output
    assert "all 3 would be made" in stopped.output
    assert "3 created" in stopped.output
    assert "Cannot reach" in converge(controller, check=False).output

    nowhere = {"kplane_vcps": {"hosts": {"team-[1:3]": {}}}}
    controller.write("fleet.yml", nowhere)
    assert "3 created" in converge(controller, "--check", kplane_provider="embedded").output
    missing = converge(controller, "--check", kplane_management_kubeconfig=str(controller.folder / "none"))
    assert "3 created" in missing.output
    assert "does not exist" in missing.output

    server.start()
    document = yaml.safe_load(server.kubeconfig.read_text())
    impostor = Server(server.data_dir.parent / "impostor").start()
    try:
        document["clusters"][0]["cluster"]["server"] = impostor.url
        other = controller.write("other.kubeconfig", document)
        refused = converge(controller, "--check", check=False, kplane_management_kubeconfig=str(other))
        assert refused.code != 0
        assert "is not trusted" in refused.output
    finally:
        impostor.stop()


def test_prune_is_off_unless_asked_and_has_a_limit_and_an_owner(server: Server, controller: Controller) -> None:
    secrets = {"directory": str(controller.folder / "credentials"), "secret": {"namespace": "default"}}
    server.create_vcp("foreign", deletionPolicy="Destroy")
    controller.write("fleet.yml", inventory(server, "team-[01:20]", kplane_credentials=secrets))
    converge(controller)
    controller.write("fleet.yml", inventory(server, "team-[01:17]", kplane_credentials=secrets))
    assert converge(controller).changed == 0
    assert len(control_planes(server)) == 21

    refused = converge(controller, check=False, kplane_fleet_prune=True)
    assert refused.code != 0
    assert "no longer names 3 of 20" in refused.output
    assert len(control_planes(server)) == 21

    assert "3 pruned" in converge(controller, "--check", kplane_fleet_prune=True, kplane_fleet_prune_limit=15).output
    assert len(control_planes(server)) == 21
    converge(controller, kplane_fleet_prune=True, kplane_fleet_prune_limit=15)
    assert set(control_planes(server)) == {"foreign"} | {f"team-{number:02d}" for number in range(1, 18)}
    assert not (controller.folder / "credentials" / "team-20.kubeconfig").exists()
    handed = server.root.get(f"/api/v1/namespaces/default/secrets?labelSelector={FLEET_LABEL}=blue").ok()["items"]
    assert {item["metadata"]["name"] for item in handed} == {f"team-{number:02d}-kubeconfig" for number in range(1, 18)}
    ends = server.root.get(f"{GROUP}/controlplaneendpoints").ok()["items"]
    assert len(ends) == 18
    assert converge(controller, kplane_fleet_prune=True).changed == 0


def test_what_belongs_to_others_is_left_alone(server: Server, controller: Controller) -> None:
    server.create_vcp("team-1", deletionPolicy="Destroy")
    controller.write("fleet.yml", inventory(server, "team-[1:2]"))
    refused = converge(controller, check=False)
    assert refused.code != 0
    assert "belongs to no fleet" in refused.output
    made = control_planes(server)
    assert FLEET_LABEL not in made["team-1"]["metadata"].get("labels", {})
    assert made["team-2"]["metadata"]["labels"][FLEET_LABEL] == "blue"
    converge(controller, kplane_fleet_adopt=True)
    assert control_planes(server)["team-1"]["metadata"]["labels"][FLEET_LABEL] == "blue"
    assert "belongs to the fleet 'blue'" in converge(controller, check=False, kplane_fleet_name="red").output


def test_one_that_fails_does_not_stop_the_others(server: Server, controller: Controller) -> None:
    broken = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "Not A Name"}}
    hosts = {"team-[1:6]": {}, "team-3": {"kplane_class": "missing"}, "team-5": {"kplane_manifests": [broken]}}
    controller.write("fleet.yml", inventory(server, hosts, kplane_manifests=[SEED]))
    failed = converge(controller, check=False, kplane_wait_timeout=20)
    assert failed.code != 0
    found = results(controller)
    assert {name for name, entry in found.items() if entry["failed"]} == {"team-3", "team-5"}
    assert "missing" in found["team-3"]["msg"]
    assert "Not A Name" in found["team-5"]["msg"]
    assert '"name": "team-3"' in failed.output
    assert '"name": "team-1"' not in failed.output, "what was shown of a failed run is about what failed"
    for name in ("team-1", "team-2", "team-4", "team-6"):
        assert welcome(server, name)["data"] == {"team": name}
    controller.write("fleet.yml", inventory(server, "team-[1:6]", kplane_class="starter", kplane_manifests=[SEED]))
    converge(controller)
    assert set(results(controller)) == {"team-3", "team-5"}
    assert welcome(server, "team-3")["data"] == {"team": "team-3"}


def test_what_a_seed_no_longer_holds_is_deleted_on_an_explicit_word(server: Server, controller: Controller) -> None:
    """And only what a seed made; also when an earlier run, without that word, left it there."""

    def seeded(*manifests: dict[str, Any], **variables: Any) -> Played:
        controller.write("fleet.yml", inventory(server, "team-[1:2]", kplane_manifests=list(manifests)))
        return converge(controller, **variables)

    def code(path: str) -> int:
        return server.vcp("team-1").get(path).code

    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "old"}}
    note = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "note", "namespace": "old"}}
    token = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "token"}, "stringData": {"a": "b"}}
    configmaps = "/api/v1/namespaces/default/configmaps"
    seeded(SEED, note, token, space, crd(), widget("first"))
    assert code("/apis/example.com/v1/namespaces/default/widgets/first") == 200

    copied = welcome(server, "team-1")
    copied["metadata"] = {"name": "copied", "labels": copied["metadata"]["labels"]}
    server.vcp("team-1").post(configmaps, copied).ok()
    assert seeded(SEED).changed == 1
    assert code("/api/v1/namespaces/old/configmaps/note") == 200
    assert seeded(SEED).changed == 0

    looked = converge(controller, "--check", "--diff", kplane_fleet_prune_seeds=True)
    assert looked.changed == 1
    for word in ("Namespace old", "ConfigMap old/note", "Secret default/token", "Widget.example.com default/first"):
        assert f'"{word}"' in looked.output
    assert "ConfigMap default/welcome" not in looked.output
    assert "copied" not in looked.output
    assert code("/api/v1/namespaces/old/configmaps/note") == 200

    assert seeded(SEED, kplane_fleet_prune_seeds=True).changed == 1
    assert "Secret default/token" in results(controller)["team-2"]["seed_pruned"]
    eventually(lambda: code("/api/v1/namespaces/old") == 404, 30, "the namespace and what is in it")
    eventually(lambda: code("/apis/example.com/v1") == 404, 30, "the definition and its objects")
    assert code("/api/v1/namespaces/default/secrets/token") == 404
    assert {code(f"{configmaps}/{name}") for name in ("welcome", "copied")} == {200}
    assert seeded(SEED, kplane_fleet_prune_seeds=True).changed == 0

    assert seeded(kplane_fleet_prune_seeds=True).changed == 1
    assert [code(f"{configmaps}/{name}") for name in ("welcome", "copied")] == [404, 200]
    assert seeded(kplane_fleet_prune_seeds=True).changed == 0


def _wait_for_some(server: Server, count: int) -> None:
    eventually(lambda: len(control_planes(server)) >= count, 60, f"{count} control planes")


def test_a_play_that_is_killed_goes_on_where_it_was(server: Server, controller: Controller) -> None:
    controller.write("fleet.yml", inventory(server, "team-[001:300]", kplane_manifests=[SEED]))
    command = ["ansible-playbook", "kplane.core.fleet", "-i", "fleet.yml", "-e", "kplane_fleet_name=blue", "-e", "kplane_parallel=2"]
    play = controller.start(*command)
    try:
        _wait_for_some(server, 20)
    finally:
        controller.kill(play)
    held = control_planes(server)
    assert 20 <= len(held) < 300
    converge(controller)
    made = control_planes(server)
    assert len(made) == 300
    assert {name: made[name]["metadata"]["uid"] for name in held} == {name: item["metadata"]["uid"] for name, item in held.items()}
    for name in ("team-001", "team-020", "team-021", "team-300"):
        assert welcome(server, name)["data"] == {"team": name}
    assert converge(controller).changed == 0


def test_a_server_that_is_killed_meanwhile_does_not_end_the_run(server: Server, controller: Controller) -> None:
    controller.write("fleet.yml", inventory(server, "team-[001:300]", kplane_manifests=[SEED]))
    play = controller.start("ansible-playbook", "kplane.core.fleet", "-i", "fleet.yml", "-e", "kplane_fleet_name=blue")
    _wait_for_some(server, 20)
    server.kill()
    time.sleep(1)
    server.start()
    output = play.communicate(timeout=240)[0]
    assert play.returncode == 0, output
    assert len(control_planes(server)) == 300
    assert welcome(server, "team-300")["data"] == {"team": "team-300"}
    assert converge(controller).changed == 0


def test_two_management_planes_at_once(start_server: StartServer, controller: Controller) -> None:
    one, two = start_server("one"), start_server("two")
    first, second = inventory(one, "red-[1:5]"), inventory(two, "green-[1:5]")
    both = {"kplane_vcps": {"children": {"red": first["kplane_vcps"], "green": second["kplane_vcps"]}}}
    controller.write("fleet.yml", both)
    assert converge(controller).changed == 1
    assert set(control_planes(one)) == {f"red-{number}" for number in range(1, 6)}
    assert set(control_planes(two)) == {f"green-{number}" for number in range(1, 6)}
    assert converge(controller).changed == 0

    planes = [{"name": "one", "kubeconfig": str(one.kubeconfig)}, {"name": "two", "kubeconfig": str(two.kubeconfig)}]
    controller.write("live.kplane.yml", {"plugin": "kplane.core.kplane", "planes": planes, "names": ["*-1", "~.*-2$"]})
    listed = json.loads(controller.run("ansible-inventory", "-i", "live.kplane.yml", "--list").output)
    assert set(listed["kplane_plane_one"]["hosts"]) == {"red-1.one", "red-2.one"}
    assert set(listed["kplane_vcps"]["hosts"]) == {"red-1.one", "red-2.one", "green-1.two", "green-2.two"}

    planes = [{"name": name, "management_kubeconfig": str(plane.kubeconfig)} for name, plane in (("one", one), ("two", two))]
    (controller.folder / "out").mkdir()
    page_file = str(controller.folder / "out" / "page.html")
    controller.play("kplane.core.report", kplane_report_planes=planes, kplane_fleet_name="blue", kplane_report_file=page_file)
    figures = json.loads((controller.folder / "out" / "page.json").read_text())
    page = (controller.folder / "out" / "page.html").read_text()
    assert figures["total"] == 10
    assert figures["states"]["ready"] == 10
    assert [plane["name"] for plane in figures["planes"]] == ["one", "two"]
    assert "http-equiv" in page
    assert not [word for word in ("<script", "src=", "href=", "@import", "url(") if word in page]


def test_hosts_of_the_dynamic_inventory(server: Server, controller: Controller, tmp_path: Path) -> None:
    """Whatever a host runs finds its own VCP; what VCPs say of themselves is never a template; no credential stays behind."""
    evil = {"annotations": {"note": "{{ lookup('ansible.builtin.pipe', 'touch " + str(tmp_path / "owned") + "') }}"}}
    for name in ("a-1", "b-1"):
        body = {
            "apiVersion": "controlplane.kplane.dev/v1alpha1",
            "kind": "ControlPlane",
            "metadata": {"name": name, "labels": {"team": name[0]}, **evil},
            "spec": {"classRef": {"name": "starter"}},
        }
        server.root.post(f"{GROUP}/controlplanes", body).ok()
        server.wait_ready(name)
    controller.write(
        "live.kplane.yml",
        {
            "plugin": "kplane.core.kplane",
            "planes": [{"name": "lab", "kubeconfig": str(server.kubeconfig)}],
            "compose": {"shout": "kplane_vcp.labels.team | upper"},
            "keyed_groups": [{"key": "kplane_vcp.labels.team", "prefix": "team"}],
            "strict": True,
        },
    )
    tasks: list[dict[str, Any]] = [
        {"ansible.builtin.command": "sh -c 'cat $KUBECONFIG'", "register": "seen"},
        {"kplane.core.kplane_vcp_info": {"name": "{{ kplane_name }}"}, "register": "info"},
        {
            "ansible.builtin.copy": {
                "dest": str(tmp_path) + "/{{ inventory_hostname }}.json",
                "mode": "0600",
                "content": "{{ {'seen': seen.stdout, 'info': info.vcp.name, 'note': kplane_vcp.annotations.note, 'shout': shout, "
                "'file': lookup('ansible.builtin.file', kplane_kubeconfig), 'path': kplane_kubeconfig, 'groups': group_names, "
                "'data': lookup('kplane.core.kubeconfig', kplane_name)['current-context']} | to_json }}",
            }
        },
    ]
    controller.write("play.yml", [{"hosts": "kplane_vcps", "gather_facts": False, "tasks": tasks}])
    controller.run("ansible-playbook", "-i", "live.kplane.yml", "play.yml")
    for name in ("a-1", "b-1"):
        found = json.loads((tmp_path / f"{name}.json").read_text())
        assert client_of(found["seen"]).get("/api/v1/namespaces/default").code == 200
        assert f"/clusters/{name}/" in found["seen"]
        assert yaml.safe_load(found["file"]) == yaml.safe_load(found["seen"])
        assert (found["info"], found["shout"], found["data"]) == (name, name[0].upper(), f"kplane-{name}")
        assert found["note"] == evil["annotations"]["note"]
        assert {"kplane_ready", "kplane_class_starter", "kplane_plane_lab", f"kplane_label_team_{name[0]}", f"team_{name[0]}"} <= set(
            found["groups"]
        )
        assert not Path(found["path"]).exists()
    assert not (tmp_path / "owned").exists()
    refused = controller.play("kplane.core.fleet", "-i", "live.kplane.yml", check=False, kplane_fleet_name="blue")
    assert "it comes from the dynamic inventory" in refused.output


def test_a_cached_inventory_needs_no_server(server: Server, controller: Controller) -> None:
    server.create_vcp("a-1")
    cache = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(controller.folder / "cache")}
    controller.write("live.kplane.yml", {"plugin": "kplane.core.kplane", "planes": [{"kubeconfig": str(server.kubeconfig)}], **cache})
    listing = ("ansible-inventory", "-i", "live.kplane.yml", "--list")
    first = json.loads(controller.run(*listing).output)
    kept = "".join(path.read_text() for path in (controller.folder / "cache").iterdir())
    assert "a-1" in kept
    assert "token" not in kept
    server.stop()
    assert json.loads(controller.run(*listing).output) == first
    fresh = controller.run(*listing, "--flush-cache", check=False)
    assert "Cannot reach" in fresh.output


def test_a_group_that_is_missing_changes_nothing(server: Server, controller: Controller) -> None:
    server.create_vcp("a-1")
    controller.write("fleet.yml", {"others": {"hosts": {"x": {}}}})
    refused = converge(controller, check=False, kplane_fleet_prune=True, kplane_management_kubeconfig=str(server.kubeconfig))
    assert "has no group 'kplane_vcps'" in refused.output
    assert set(control_planes(server)) == {"a-1"}


def test_a_life_of_its_own(server: Server, controller: Controller) -> None:
    """An end by ttl, pause and resume, and what has ended for good."""
    hosts: dict[str, Any] = {
        "short": {"kplane_ttl": "3s"},
        "resting": {"kplane_state": "paused", "kplane_credentials": {"directory": str(controller.folder / "credentials")}},
        "over": {"kplane_expires": "2026-01-01T00:00:00Z"},
    }
    controller.write("fleet.yml", inventory(server, hosts))
    converge(controller)
    handed = client_of((controller.folder / "credentials" / "resting.kubeconfig").read_text())
    assert handed.get("/api/v1/namespaces").code == 503
    assert converge(controller, check=False).code == 0
    eventually(lambda: set(control_planes(server)) == {"resting"}, 30, "short is gone and over was never made")
    del hosts["short"]
    del hosts["resting"]["kplane_state"]
    controller.write("fleet.yml", inventory(server, hosts))
    assert converge(controller).changed == 1
    assert handed.get("/api/v1/namespaces").code == 200
    assert converge(controller).changed == 0
