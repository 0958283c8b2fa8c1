# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded driver, with a stand-in for kplane-server that does as a test tells it."""

from __future__ import annotations

import json
import os
import socket
import sys

import pytest

from ansible_collections.kplane.core.plugins.module_utils import _kubeconfig, _yaml
from ansible_collections.kplane.core.plugins.module_utils._errors import ProviderError, ProviderMissing
from ansible_collections.kplane.core.plugins.module_utils._providers import embedded
from ansible_collections.kplane.core.plugins.module_utils._providers.base import Options, Plane
from ansible_collections.kplane.core.tests.unit.fake_api import FakeApi

STAND_IN = """#!{python}
import json, os, sys
with open({log!r}, "a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
{body}
"""


class Stage:
    """A data directory, a stand-in, and what it was called with."""

    def __init__(self, tmp_path):
        self.data = tmp_path / "data"
        self.program = tmp_path / "kplane-server"
        self.log = tmp_path / "calls"
        self.driver = embedded.EmbeddedDriver("work", str(self.data), str(self.program))

    def program_does(self, body):
        self.program.write_text(STAND_IN.format(python=sys.executable, log=str(self.log), body=body))
        self.program.chmod(0o755)

    def calls(self):
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def served_at(self, url):
        self.data.mkdir(exist_ok=True)
        entries = _kubeconfig.EntrySet("embedded-work", {"server": url}, {"token": "t"}, "embedded-work")
        (self.data / "admin.kubeconfig").write_bytes(_yaml.dump(_kubeconfig.merge(_kubeconfig.empty(), entries)))
        (self.data / "kplane-server.json").write_text("{}")


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


@pytest.fixture
def server():
    api = FakeApi(lambda request: (200, {"gitVersion": "v1.34.2"}))
    yield api
    api.close()


def test_nothing_is_there(stage):
    assert stage.driver.find() is None
    with pytest.raises(ProviderError, match="There is no embedded management plane 'work'"):
        stage.driver.kubeconfig()


def test_one_that_runs_is_found_without_a_process(stage, server):
    stage.served_at(server.url)
    plane = stage.driver.find()
    assert (plane.running, plane.server, plane.version, plane.context) == (True, server.url, "v1.34.2", "embedded-work")
    assert stage.calls() == []


def test_one_that_does_not_answer_is_found_too(stage):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        stage.served_at(f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert not stage.driver.find().running


def test_one_that_was_only_begun_is_found_and_can_be_deleted(stage):
    stage.data.mkdir()
    (stage.data / "kplane-server.json").write_text("{}")
    plane = stage.driver.find()
    assert (plane.running, plane.server, plane.port) == (False, "", 0)
    assert stage.driver.drift(plane, Options(port=9000)) == []
    stage.driver.delete()
    assert not stage.data.exists()


def starts(stage, server, refuse=""):
    """A body that writes the kubeconfig, after it has refused some ports."""
    stage.data.mkdir()
    ready = stage.data / "ready"
    entries = _kubeconfig.EntrySet("embedded-work", {"server": server.url}, {"token": "t"}, "embedded-work")
    ready.write_bytes(_yaml.dump(_kubeconfig.merge(_kubeconfig.empty(), entries)))
    return (
        f"port = sys.argv[sys.argv.index('--port') + 1]\n"
        f"if port in {refuse!r}:\n"
        f"    print(json.dumps({{'error': {{'reason': 'PortInUse', 'message': 'port ' + port + ' is taken'}}}}))\n"
        f"    sys.exit(1)\n"
        f"os.rename({str(ready)!r}, {str(stage.data / 'admin.kubeconfig')!r})\n"
        f"print(json.dumps({{'changed': True, 'running': True}}))"
    )


def test_starting_takes_the_default_port_or_the_next_free_one(stage, server, monkeypatch):
    monkeypatch.setattr(embedded, "_free", lambda host, port: port != 8443)
    stage.program_does(starts(stage, server, refuse="8444"))
    plane = stage.driver.create(Options())
    assert plane.running
    assert [call[call.index("--port") + 1] for call in stage.calls()] == ["8444", "8445"], "a port that was taken meanwhile is passed over"
    assert stage.calls()[0][:3] == ["start", "--data-dir", str(stage.data)]
    assert "--cluster-name" in stage.calls()[0]


def test_a_port_that_was_asked_for_is_the_only_one_that_is_tried(stage, server):
    stage.program_does(starts(stage, server, refuse="9000"))
    with pytest.raises(ProviderError, match="port 9000 is taken") as caught:
        stage.driver.create(Options(port=9000))
    assert len(stage.calls()) == 1
    assert caught.value.details["rc"] == 1


def test_one_that_was_stopped_comes_back_on_its_port(stage, server):
    stage.program_does(starts(stage, server, refuse="12345"))
    stage.served_at("http://127.0.0.1:12345")
    with pytest.raises(ProviderError, match="port 12345 is taken"):
        stage.driver.create(Options())
    assert [call[call.index("--port") + 1] for call in stage.calls()] == ["12345"]


def test_one_that_runs_is_not_started_again(stage, server):
    stage.served_at(server.url)
    assert stage.driver.create(Options()).running
    assert stage.calls() == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("sys.exit('something broke')", "something broke"),
        ("print('not json')", "printed no JSON"),
        ("print(json.dumps({'error': {'message': 'disk full'}})); sys.exit(3)", "disk full"),
        ("sys.exit(4)", "ended with code 4"),
    ],
)
def test_a_failure_says_what_the_program_said(stage, body, said):
    stage.program_does(body)
    with pytest.raises(ProviderError, match=said) as caught:
        stage.driver.create(Options(port=9000))
    assert caught.value.details["cmd"][0] == str(stage.program)


def test_a_success_that_is_none_is_noticed(stage):
    stage.program_does("print('{}')")
    with pytest.raises(ProviderError, match="nothing answers"):
        stage.driver.create(Options(port=9000))


def test_a_program_that_hangs_is_given_up_on(stage, monkeypatch):
    monkeypatch.setattr(embedded, "_COMMAND_MARGIN", 0.3)
    stage.program_does("import time; time.sleep(30)")
    with pytest.raises(ProviderError, match="timed out"):
        stage.driver.create(Options(port=9000, wait_timeout=0.1))


def test_a_missing_program_is_said_with_a_way_out(stage):
    assert "is not an executable file" in stage.driver.missing()
    with pytest.raises(ProviderMissing):
        stage.driver.create(Options(port=9000))


def test_where_the_program_is_looked_for(tmp_path, own_home, monkeypatch):
    def program(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
        return str(path)

    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv" / "bin" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    assert embedded.find_executable() is None
    assert "role kplane.core.server" in embedded.EmbeddedDriver("work").missing()
    on_path = program(tmp_path / "path" / "kplane-server")
    assert embedded.find_executable() == on_path
    users = program(own_home / ".local/share/kplane-server/venv/bin/kplane-server")
    assert embedded.find_executable() == users
    beside = program(tmp_path / "venv" / "bin" / "kplane-server")
    assert embedded.find_executable() == beside
    own = program(tmp_path / "own")
    assert embedded.find_executable(own) == own
    assert embedded.find_executable(str(tmp_path / "missing")) is None


def test_deleting_stops_and_removes_and_nothing_else(stage, server, tmp_path):
    stage.served_at(server.url)
    stage.program_does("print(json.dumps({'changed': True, 'running': False}))")
    beside = tmp_path / "beside"
    beside.write_text("x")
    stage.driver.delete()
    assert not stage.data.exists()
    assert beside.exists()
    assert [call[0] for call in stage.calls()] == ["stop"]


def test_a_directory_that_is_not_ours_is_never_removed(stage, server):
    stage.served_at(server.url)
    (stage.data / "kplane-server.json").unlink()
    (stage.data / "precious").write_text("x")
    stage.program_does("print('{}')")
    with pytest.raises(ProviderError, match="is not removed"):
        stage.driver.delete()
    assert (stage.data / "precious").exists()


def test_a_stopped_one_can_be_deleted_without_the_program(stage):
    stage.served_at("http://127.0.0.1:1")
    stage.driver.delete()
    assert not stage.data.exists()


def test_the_default_place(own_home):
    driver = embedded.EmbeddedDriver("work")
    assert driver.data_dir == str(own_home / ".local/share/kplane/work")
    assert driver.planes() == []
    for name in ("b", "a", "no-plane"):
        os.makedirs(os.path.join(own_home, ".local/share/kplane", name))
        if name != "no-plane":
            (own_home / ".local/share/kplane" / name / "admin.kubeconfig").write_text("")
    assert driver.planes() == ["a", "b"]


def test_drift_is_only_what_was_declared(stage):
    stage.program_does("print(json.dumps({'running': True, 'host': '0.0.0.0'}))")
    plane = Plane("embedded", "work", "embedded-work", True, "https://127.0.0.1:8443", "127.0.0.1", 8443)
    drift = stage.driver.drift
    assert drift(plane, Options()) == []
    assert stage.calls() == []
    assert drift(plane, Options(port=8443, host="0.0.0.0", advertise_addresses=("127.0.0.1", "more"))) == []
    found = drift(plane, Options(port=9443, host="127.0.0.1", advertise_addresses=("kplane.example.com",)))
    assert [entry.option for entry in found] == ["port", "host", "advertise_addresses"]
    assert found[0].text() == "port is 8443, declared is 9443"


def test_a_server_of_another_version_than_the_installed_one_is_drift(stage, tmp_path):
    """What an upgrade leaves to do: the program is new, the process is not."""
    environment = tmp_path / "venv"
    (environment / "bin").mkdir(parents=True)
    program = environment / "bin" / "kplane-server"
    program.touch(mode=0o755)
    driver = embedded.EmbeddedDriver("work", str(stage.data), str(program))
    plane = Plane("embedded", "work", "embedded-work", True, version="v1.34.2+kplane.0.1.0")
    assert driver.drift(plane, Options()) == []  # nobody knows what is installed
    installed = environment / "lib" / "python3.12" / "site-packages" / "kplane_server-0.2.0.dist-info"
    installed.mkdir(parents=True)
    assert [entry.text() for entry in driver.drift(plane, Options())] == ["version is '0.1.0', declared is '0.2.0'"]
    assert driver.drift(plane._replace(running=False, version=""), Options()) == []  # the next start takes the new one
    installed.rename(installed.with_name("kplane_server-0.1.0.dist-info"))
    assert driver.drift(plane, Options()) == []
