# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a fleet run is: on a real terminal, in a file, and for callback plugins of others."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.plays import Controller
from support.server import Server

SEED = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "welcome"}}
ENABLED = "kplane.core.fleet"
COMMAND = ("ansible-playbook", "kplane.core.fleet", "-i", "fleet.yml", "-e", "kplane_fleet_name=blue")
#: A callback plugin of somebody else: it asks for events as the documentation says, and keeps what it got.
LISTENER = """
import json, os
from ansible.plugins.callback import CallbackBase

class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "listener"

    def __init__(self):
        super().__init__()
        self.path = os.path.abspath("listened.jsonl")
        others = os.environ.get("KPLANE_FLEET_EVENTS")
        os.environ["KPLANE_FLEET_EVENTS"] = f"{others}:{self.path}" if others else self.path

    def v2_playbook_on_stats(self, stats):
        with open(self.path) as file:
            ready = sorted(event["vcp"] for event in map(json.loads, file) if event["event"] == "ready")
        with open("heard.json", "w") as file:
            json.dump(ready, file)
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path / "plane")
    try:
        yield running.start()
    finally:
        running.stop()


@pytest.fixture
def controller(tmp_path: Path, server: Server) -> Controller:
    folder = tmp_path / "controller"
    folder.mkdir()
    made = Controller(folder)
    hosts: dict[str, Any] = {"team-[01:40]": {}, "team-07": {"kplane_class": "missing"}}
    variables = {"kplane_management_kubeconfig": str(server.kubeconfig), "kplane_deletion_policy": "Destroy", "kplane_manifests": [SEED]}
    made.write("fleet.yml", {"kplane_vcps": {"hosts": hosts, "vars": variables}})
    return made


def on_the_screen(said: str) -> list[str]:
    """What is left on a terminal after lines were replaced, without colors."""
    lines = [""]
    for part in re.split(r"(\x1b\[1A\x1b\[2K|\n)", re.sub(r"\x1b\[[0-9;]*m", "", said).replace("\r", "")):
        if part == "\n":
            lines.append("")
        elif part == "\x1b[1A\x1b[2K":
            lines[-2:] = [""]
        else:
            lines[-1] += part
    return lines


def test_a_callback_plugin_shows_it_on_a_terminal_and_others_get_events_too(controller: Controller) -> None:
    controller.write("callback_plugins/listener.py", LISTENER)
    played = controller.on_a_terminal(
        *COMMAND,
        columns=60,
        ANSIBLE_CALLBACKS_ENABLED=ENABLED,
        KPLANE_FLEET_INTERVAL="0.05",
        ANSIBLE_CALLBACK_PLUGINS=str(controller.folder / "callback_plugins"),
    )
    assert played.code != 0
    screen = on_the_screen(played.output)
    mine = [line for line in screen if line.startswith("blue: ")]
    failed, *shown = mine
    assert failed.startswith("blue: team-07 failed: ")
    assert "missing" in failed
    # Replaced again and again, it is one line (and another if Ansible said something before the last).
    assert 1 <= len(shown) <= 2, screen
    assert shown[-1].startswith("blue: 40/40, 40 created, 39 ready, 39 seeded, 1 failed")
    assert played.output.count("\x1b[1A\x1b[2K") >= 2
    assert max(map(len, shown)) < 60
    listened = (controller.folder / "heard.json").read_text()
    assert json.loads(listened) == [f"team-{number:02d}" for number in range(1, 41) if number != 7]
    assert not list((controller.folder / "home").rglob("kplane-events-*")), "no file of events stays behind"


def test_it_is_quiet_where_nobody_looks(controller: Controller) -> None:
    made = controller.run("env", f"ANSIBLE_CALLBACKS_ENABLED={ENABLED}", *COMMAND, "--check", check=False)
    assert "/40" not in made.output
    assert "\x1b" not in made.output


def test_without_a_callback_plugin_the_module_shows_it(controller: Controller) -> None:
    shown = on_the_screen(controller.on_a_terminal(*COMMAND).output)
    assert [line for line in shown if line.startswith("blue: 40/40, 40 created, 39 ready")], shown


def test_events_in_a_file(controller: Controller) -> None:
    events = controller.folder / "events.jsonl"
    loud = controller.run(*COMMAND, "-e", f"kplane_fleet_events={events}", "-e", "kplane_fleet_progress=always", check=False)
    first, *found = [json.loads(line) for line in events.read_text().splitlines()]
    assert (first["event"], first["fleet"], first["total"]) == ("planned", "blue", 40)
    for name in ("team-01", "team-40"):
        assert [event["event"] for event in found if event["vcp"] == name] == ["written", "ready", "seeded", "done"]
    (failed,) = [event for event in found if event["event"] == "failed"]
    assert failed["vcp"] == "team-07"
    assert "missing" in failed["message"]
    assert events.stat().st_mode & 0o777 == 0o600
    assert "\x1b" not in loud.output
