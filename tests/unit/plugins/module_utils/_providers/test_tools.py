# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kind, k3d and kubectl: receipts, versions, and whose a file is."""

from __future__ import annotations

import hashlib
import json
import os

import pytest

from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError
from ansible_collections.kplane.core.plugins.module_utils._providers import cli, receipts, tools


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/usr/bin:/bin")
    tools.probe.cache_clear()
    return tmp_path


def program(path, prints, mode=0o755):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{prints}\nEND\n")
    path.chmod(mode)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def note(tool, executable, *installed):
    path = receipts.receipt_path(tool)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    entries = [{"path": str(where), "version": "1.0.0", "sha256": digest} for where, digest in installed]
    with open(path, "w", encoding="utf-8") as handle:
        json.dump({"executable": str(executable), "installed": entries}, handle)


def pin(version, checksum):
    return tools.read_pins({"kind": {"version": version, "checksums": {receipts.platform(): checksum}}})["kind"]


def test_what_the_role_took_care_of_goes_before_path(home):
    program(home / "path" / "kind", "kind v0.29.0")
    assert receipts.find("kind") == str(home / "path" / "kind")
    program(home / "own" / "kind", "kind v0.30.0")
    note("kind", home / "own" / "kind")
    assert receipts.find("kind") == str(home / "own" / "kind")
    assert cli.Program("kind", "").version("version", timeout=30) == (0, 30, 0)
    # Once it is gone, PATH is as good as before.
    (home / "own" / "kind").unlink()
    assert receipts.find("kind") == str(home / "path" / "kind")


@pytest.mark.parametrize("content", ["{", "[]", '{"executable": "x"}', '{"executable": "x", "installed": [1]}', '{"installed": {}}'])
def test_a_receipt_that_is_none_is_said(content):
    note("kind", "")
    with open(receipts.receipt_path("kind"), "w", encoding="utf-8") as handle:
        handle.write(content)
    with pytest.raises(KplaneError, match=r"kind\.json is no receipt .* Remove it"):
        receipts.find("kind")


@pytest.mark.parametrize(
    ("tool", "prints", "version", "recent"),
    [
        ("kind", "kind v0.30.0 go1.24.6 linux/amd64", "0.30.0", True),
        ("kind", "kind v0.19.9 go1.20 linux/amd64", "0.19.9", False),
        ("k3d", "k3d version v5.8.3\nk3s version v1.31.5-k3s1 (default)", "5.8.3", True),
        ("k3d", "k3d version v5-dev", "", True),
        ("kubectl", "Client Version: v1.34.1\nKustomize Version: v5.7.1", "1.34.1", True),
        ("kubectl", 'Client Version: version.Info{Major:"1", Minor:"27", GitVersion:"v1.27.3"}', "1.27.3", False),
        ("kubectl", "no version", "", False),
    ],
)
def test_versions(home, tool, prints, version, recent):
    program(home / "path" / tool, prints)
    found = tools.find(tool)
    assert (found.version, found.recent) == (version, recent)
    assert bool(found.problem) == (not recent)


def test_what_cannot_be_run_is_said(home):
    path = home / "kind"
    path.write_bytes(b"\x7fELF of another machine")
    assert "is not an executable file" in tools.probe("kind", str(path)).problem
    tools.probe.cache_clear()
    path.chmod(0o755)
    assert "is no kind that runs here" in tools.probe("kind", str(path)).problem


def test_whose_the_file_is(home):
    path = home / "bin" / "kind"
    wanted = pin("0.30.0", "a" * 64)

    def look(now=wanted):
        tools.probe.cache_clear()
        return tools.look("kind", now, str(home / "bin"), None)

    assert (look()["target"]["state"], look()["obstacle"]) == ("absent", "")
    digest = program(path, "kind v0.29.0")
    assert look()["target"]["state"] == "foreign"
    assert f"{path} is there (version 0.29.0), is not kind 0.30.0 and was not put there" in look()["obstacle"]
    note("kind", path, (path, digest))
    about = look()
    assert (about["target"]["state"], about["obstacle"], about["owned"]) == ("ours", "", [str(path)])
    assert (about["installed_by_role"], about["pinned"]) == (True, False)
    about = look(pin("0.29.0", digest))
    assert (about["target"]["state"], about["pinned"]) == ("pinned", True)
    # The same receipt for a file that somebody changed.
    path.write_text("#!/bin/sh\necho kind v0.29.0\n")
    about = look()
    assert (about["target"]["state"], about["owned"], about["installed_by_role"]) == ("foreign", [], False)
    # And the right file that lost its mode is put right.
    path.unlink()
    program(path, "kind v0.29.0", mode=0o644)
    assert look(pin("0.29.0", digest))["target"]["state"] == "ours"


def test_a_directory_is_in_the_way(home):
    (home / "bin" / "kind").mkdir(parents=True)
    assert tools.look("kind", pin("0.30.0", "a" * 64), str(home / "bin"), None)["target"]["state"] == "foreign"


@pytest.mark.parametrize(("machine", "platform"), [("x86_64", "linux-amd64"), ("aarch64", "linux-arm64"), ("riscv64", "linux-riscv64")])
def test_a_platform_without_a_checksum_is_refused(home, monkeypatch, machine, platform):
    monkeypatch.setattr(receipts.host, "system", lambda: "Linux")
    monkeypatch.setattr(receipts.host, "machine", lambda: machine)
    assert receipts.platform() == platform
    checksums = {"linux-amd64": "a" * 64, "linux-arm64": "b" * 64}
    wanted = tools.read_pins({"kind": {"version": "0.30.0", "checksums": checksums}})["kind"]
    assert wanted.checksum == checksums.get(platform, "")
    obstacle = tools.look("kind", wanted, str(home), None)["obstacle"]
    assert obstacle.startswith("No checksum of kind 0.30.0 for linux-riscv64 is known") == (machine == "riscv64")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"helm": {}}, r"tools\.helm: there is no such tool; known are kind, k3d, kubectl"),
        ({"kind": "0.30.0"}, r"tools\.kind has to be a mapping"),
        ({"kind": {"version": "new"}}, r"tools\.kind\.version is 'new'"),
        ({"kind": {"version": "v0.30.0"}}, r"tools\.kind\.version is 'v0\.30\.0'"),
        ({"kind": {"version": "0.30.0", "checksums": []}}, None),
        ({"kind": {"version": "0.30.0", "checksums": ["a"]}}, r"tools\.kind\.checksums has to be a mapping"),
        ({"kind": {"version": "0.30.0", "checksums": {"linux-amd64": "12"}}}, r"checksums\.linux-amd64 is '12'"),
        ({"kind": {"version": "0.30.0", "checksums": {"linux-amd64": "G" * 64}}}, r"64 hexadecimal digits"),
    ],
)
def test_bad_releases_are_refused(given, message):
    if message is None:
        assert tools.read_pins(given)["kind"].checksum == ""
        return
    with pytest.raises(KplaneError, match=message):
        tools.read_pins(given)
