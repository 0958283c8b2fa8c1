# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role prerequisites, from mirrors on this host that have programs of the test's own."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.machine import ROOT

ROLE = ROOT / "roles" / "prerequisites"
KNOWN = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())["prerequisites_known"]
PRINTS = {
    "kind": "kind v{} go1.24.6 linux/amd64",
    "k3d": "k3d version v{}\nk3s version v1.31.5-k3s1 (default)",
    "kubectl": "Client Version: v{}\nKustomize Version: v5.7.1",
}
PLATFORM = subprocess.run(
    [
        sys.executable,
        "-c",
        "from ansible_collections.kplane.core.plugins.module_utils._providers.receipts import platform; print(platform())",
    ],
    env=dict(os.environ, PYTHONPATH=str(ROOT / ".build/collections")),
    capture_output=True,
    text=True,
    check=True,
).stdout.strip()
Json = dict[str, Any]


def program(tool: str, version: str) -> bytes:
    return f"#!/bin/sh\n# {tool} {version}\ncat <<END\n{PRINTS[tool].format(version)}\nEND\n".encode()


class Mirror:
    """A mirror that has one release of each tool, as files and over HTTP."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.releases: dict[str, Json] = {}
        #: Paths that are answered with half of the file, by what the server does then.
        self.half: dict[str, str] = {}
        self.asked: list[str] = []
        for tool, known in KNOWN.items():
            self.add(tool, known["version"])

    def add(self, tool: str, version: str) -> None:
        """Put a release on the mirror and into the table of the role."""
        content = program(tool, version)
        path = self.path(tool, version)
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        self.releases[tool] = {"version": version, "checksums": {PLATFORM: hashlib.sha256(content).hexdigest()}}

    def path(self, tool: str, version: str) -> Path:
        system, architecture = PLATFORM.split("-")
        return self.folder / tool / KNOWN[tool]["file"].format(version=version, system=system, architecture=architecture)

    def serve(self) -> str:
        mirror = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.asked.append(self.path)
                path = mirror.folder / self.path.lstrip("/")
                if not path.is_file():
                    return self.send_error(404)
                content = path.read_bytes()
                how = mirror.half.get(self.path)
                self.send_response(200)
                self.send_header("Content-Length", str(len(content) // (2 if how == "short" else 1)))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2] if how else content)
                self.wfile.flush()
                if how == "hang":
                    stop.wait()

            def log_message(self, *_: object) -> None:
                """The test says what is of interest."""

        stop = threading.Event()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.stop = stop
        return f"http://127.0.0.1:{self.server.server_port}"


class Host:
    """A home of its own, where the role is run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.bin = self.home / ".local" / "bin"
        self.home.mkdir()
        (folder / "collections/ansible_collections/kplane").mkdir(parents=True)
        (folder / "collections/ansible_collections/kplane/core").symlink_to(ROOT)
        keep = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "KPLANE_", "XDG_", "PYTHON"))}
        self.environment = keep | {
            "HOME": str(self.home),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"]),
            "DOCKER_HOST": f"unix://{folder}/none.sock",
            "ANSIBLE_COLLECTIONS_PATH": str(folder / "collections"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
            "ANSIBLE_NOCOLOR": "1",
        }

    def start(self, *cases: Json, check: bool = False) -> subprocess.Popen[str]:
        """The role once for each case, in one play; what went wrong is written to a file."""
        steps = []
        for case in cases:
            role = {"name": "Run", "ansible.builtin.include_role": {"name": "kplane.core.prerequisites"}, "vars": case}
            remember = {"problems": "{{ (problems | default([])) + [ansible_failed_result.msg] }}"}
            fine = {"name": "Fine", "ansible.builtin.set_fact": {"problems": "{{ (problems | default([])) + [''] }}"}}
            steps.append(
                {"name": "Try", "block": [role, fine], "rescue": [{"name": "Remember", "ansible.builtin.set_fact": remember}]},
            )
        write = {"content": "{{ problems | to_json }}", "dest": str(self.folder / "problems"), "mode": "0600"}
        steps.append({"name": "Tell", "ansible.builtin.copy": write, "check_mode": False, "changed_when": False})
        play = self.folder / "play.yml"
        play.write_text(yaml.safe_dump([{"name": "Test", "hosts": "localhost", "gather_facts": False, "tasks": steps}]))
        return subprocess.Popen(
            ["ansible-playbook", *(["--check"] if check else []), str(play)],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *cases: Json, check: bool = False) -> list[str]:
        """What each case failed with; an empty string for what it did not."""
        process = self.start(*cases, check=check)
        self.output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, self.output
        return json.loads((self.folder / "problems").read_text())

    @property
    def changed(self) -> int:
        return sum(int(number) for number in re.findall(r"changed=(\d+)", self.output))

    @property
    def files(self) -> list[str]:
        """Everything that is there but what Ansible keeps for itself."""
        return sorted(str(path.relative_to(self.home)) for path in self.home.rglob("*") if path.is_file() and ".ansible" not in path.parts)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    made = Mirror(tmp_path / "mirror")
    yield made
    if hasattr(made, "server"):
        made.stop.set()
        made.server.shutdown()
        made.server.server_close()


RECEIPTS = ".local/share/kplane-tools"


def test_from_a_mirror_once_and_again(host: Host, mirror: Mirror) -> None:
    case = {"kplane_provider": "kind", "kplane_prerequisites_mirror": mirror.serve(), "kplane_prerequisites_releases": mirror.releases}
    assert host.run(case, check=True) == [""]
    assert f"would install kind {KNOWN['kind']['version']} from http://127.0.0.1" in host.output
    assert host.changed == 1
    assert (host.files, mirror.asked) == ([], [])
    assert host.run(case) == [""]
    # What the provider needs, and nothing else.
    assert host.files == [
        ".local/bin/kind",
        ".local/bin/kubectl",
        f"{RECEIPTS}/kind.json",
        f"{RECEIPTS}/kubectl.json",
    ]
    assert (host.bin / "kind").read_bytes() == program("kind", KNOWN["kind"]["version"])
    assert (host.bin / "kind").stat().st_mode & 0o777 == 0o755
    assert "which is not on PATH" in host.output
    before, asked = host.changed, list(mirror.asked)
    assert before
    assert host.run(case, case) == ["", ""]
    assert (host.changed, mirror.asked) == (0, asked)


def test_another_release_replaces_what_the_role_put_there_and_nothing_else(host: Host, mirror: Mirror) -> None:
    base = {"kplane_prerequisites_tools": ["kind", "k3d"], "kplane_prerequisites_mirror": f"file://{mirror.folder}/"}
    host.bin.mkdir(parents=True, mode=0o700)
    (host.bin / "other").write_text("of somebody else")
    first = {**base, "kplane_prerequisites_releases": json.loads(json.dumps(mirror.releases))}
    mirror.add("kind", "0.31.0")
    second = {**base, "kplane_prerequisites_releases": mirror.releases}
    assert host.run(first, second) == ["", ""]
    assert (host.bin / "kind").read_bytes() == program("kind", "0.31.0")
    assert host.bin.stat().st_mode & 0o777 == 0o700
    (host.bin / "kind").write_bytes(program("kind", "0.29.0"))
    (host.bin / "kind").chmod(0o755)
    problem, removed = host.run(second, {"kplane_prerequisites_state": "absent"})
    assert re.search(r"bin/kind is there \(version 0\.29\.0\), is not kind 0\.31\.0 and was not put there by the role", problem)
    assert removed == ""
    assert host.files == [".local/bin/kind", ".local/bin/other"]
    assert (host.bin / "kind").read_bytes() == program("kind", "0.29.0")


def test_what_is_not_what_it_should_be_is_not_there(host: Host, mirror: Mirror) -> None:
    version = KNOWN["kind"]["version"]
    address = mirror.serve()
    base = {"kplane_prerequisites_tools": ["kind"], "kplane_prerequisites_mirror": address}
    good = {**base, "kplane_prerequisites_releases": mirror.releases}
    before = json.loads(json.dumps(mirror.releases))
    wrong = {"kind": {"version": version, "checksums": {PLATFORM: "0" * 64}}}
    cases: list[tuple[Json, str]] = [
        (
            {"kplane_prerequisites_releases": wrong},
            rf"kind {version} was not installed.*{address}/kind/v.*did not match 000.* it was \w{{64}}",
        ),
        ({"kplane_prerequisites_releases": {"kind": {**wrong["kind"], "version": "9.9.9"}}}, r"/kind/v9\.9\.9/.*404"),
        ({"kplane_prerequisites_releases": {"kind": {"version": "9.9.9"}}}, rf"No checksum of kind 9\.9\.9 for {PLATFORM} is known"),
        ({"kplane_prerequisites_mirror": "https://me:secret@mirror"}, r"hold no user name and no password"),
        ({"kplane_prerequisites_mirror": f"file://{mirror.folder}/none"}, r"file:///.*/none/kind/v.*"),
        ({}, rf"kind {version} was not installed.*did not match"),
    ]
    # The last one gets half of what it asks for.
    path = f"/{mirror.path('kind', version).relative_to(mirror.folder)}"
    mirror.half[path] = "short"
    problems = host.run(*[{**good, **case} for case, _ in cases])
    for problem, (_, expected) in zip(problems, cases, strict=True):
        assert re.search(expected, problem, re.DOTALL), (expected, problem)
    assert not any("secret" in problem for problem in problems)
    assert host.files == []
    # A failure after that leaves the program that is there, and the receipt that says whose it is.
    del mirror.half[path]
    mirror.add("kind", "0.31.0")
    mirror.path("kind", "0.31.0").write_bytes(b"rubbish")
    newer = {**good, "kplane_prerequisites_releases": mirror.releases}
    first, second = host.run({**good, "kplane_prerequisites_releases": before}, newer)
    assert first == ""
    assert "did not match" in second
    assert (host.bin / "kind").read_bytes() == program("kind", version)
    assert [one["version"] for one in json.loads((host.home / RECEIPTS / "kind.json").read_text())["installed"]] == [version]


def test_a_run_that_was_killed_is_completed_by_the_next(host: Host, mirror: Mirror) -> None:
    address = mirror.serve()
    case = {
        "kplane_prerequisites_tools": ["kind"],
        "kplane_prerequisites_mirror": address,
        "kplane_prerequisites_releases": mirror.releases,
    }
    path = f"/{mirror.path('kind', KNOWN['kind']['version']).relative_to(mirror.folder)}"
    mirror.half[path] = "hang"
    process = host.start(case)
    deadline = time.monotonic() + 120
    while not mirror.asked and time.monotonic() < deadline:
        time.sleep(0.1)
    assert mirror.asked
    # Ansible starts its modules in sessions of their own: who works for this home is found by it.
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            mine = f"HOME={host.home}\0".encode() in entry.read_bytes()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if mine:
            os.kill(int(entry.parent.name), signal.SIGKILL)
    mirror.stop.set()
    assert not (host.bin / "kind").exists()
    del mirror.half[path]
    assert host.run(case) == [""]
    assert (host.bin / "kind").read_bytes() == program("kind", KNOWN["kind"]["version"])


def test_programs_of_the_users_own(host: Host, mirror: Mirror, tmp_path: Path) -> None:
    for version in ("0.19.0", "0.29.0"):
        (tmp_path / version).write_bytes(program("kind", version))
        (tmp_path / version).chmod(0o755)
    (tmp_path / "plain").write_text("no program")
    problems = host.run(
        *[
            {"kplane_prerequisites_tools": ["kind"], "kplane_prerequisites_executables": {"kind": str(tmp_path / name)}}
            for name in ("0.19.0", "plain", "0.29.0")
        ]
    )
    assert "is version 0.19.0; 0.20.0 or later is needed" in problems[0]
    assert "plain is not an executable file" in problems[1]
    assert problems[2] == ""
    # It is used from now on.
    assert host.files == [f"{RECEIPTS}/kind.json"]
    done = subprocess.run(["ansible-playbook", "kplane.core.doctor"], env=host.environment, capture_output=True, text=True, check=True)
    assert f"kind: {tmp_path}/0.29.0, version 0.29.0, not the pinned release (0.30.0), not installed by the role" in done.stdout
    # `up` gets what is missing when it is told to, and comes as far as Docker, which it cannot get.
    missing = {
        "kplane_provider": "k3s",
        "kplane_prerequisites": True,
        "kplane_prerequisites_mirror": f"file://{mirror.folder}",
        "kplane_prerequisites_releases": mirror.releases,
    }
    up = ["ansible-playbook", "kplane.core.up", "-e", json.dumps(missing)]
    done = subprocess.run([*up, "--check"], env=host.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert f"would install k3d {KNOWN['k3d']['version']}" in done.stdout
    done = subprocess.run(up, env=host.environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert f"k3d {KNOWN['k3d']['version']} was installed as {host.bin}/k3d" in done.stdout
    assert re.search("docker is not installed|Cannot connect to the Docker daemon", done.stdout + done.stderr), done.stdout


@pytest.mark.parametrize("tool", KNOWN)
def test_the_table(tool: str) -> None:
    """Every platform has a checksum of its own, and the tests use the same kind and k3d."""
    release = KNOWN[tool]
    assert set(release["checksums"]) == {"linux-amd64", "linux-arm64", "darwin-amd64", "darwin-arm64"}
    assert len(set(release["checksums"].values())) == 4
    assert all(re.fullmatch("[0-9a-f]{64}", checksum) for checksum in release["checksums"].values())
    if tool != "kubectl":
        assert f"v{release['version']}\n" in (ROOT / "tests/tools" / tool / "go.mod").read_text()


def test_every_variable_is_documented() -> None:
    options = set(yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"])
    texts = "".join(path.read_text() for folder in ("vars", "tasks") for path in sorted((ROLE / folder).glob("*.yml")))
    used = set(re.findall(r"\bkplane_\w+", texts)) - {"kplane_doctor_info"}
    assert used == options
