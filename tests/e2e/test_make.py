# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two commands of the README, in a fresh clone, with an empty home and a kubeconfig that is somebody else's."""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path

import yaml
from support.client import Client
from support.kubectl import kubectl_for
from support.machine import Machine

OTHERS = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "work",
    "contexts": [{"name": "work", "context": {"cluster": "work", "user": "me", "namespace": "mine"}}],
    "clusters": [{"name": "work", "cluster": {"server": "https://work.example:6443"}}],
    "users": [{"name": "me", "user": {"token": "secret-of-mine"}}],
    "preferences": {"colors": True},
}


def changes(output: str) -> list[int]:
    """The ``changed=`` figure of each play recap."""
    return [int(number) for number in re.findall(r"changed=(\d+)", output)]


def client_for(kubeconfig: dict[str, list[dict[str, dict[str, str]]]], name: str) -> Client:
    clusters = {str(entry["name"]): entry["cluster"] for entry in kubeconfig["clusters"]}
    users = {str(entry["name"]): entry["user"] for entry in kubeconfig["users"]}
    ca = base64.b64decode(clusters[name]["certificate-authority-data"]).decode()
    return Client(clusters[name]["server"], ca, users[name]["token"])


def processes_of(home: Path) -> list[str]:
    """Command lines of running processes that name a folder of this home."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                text = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(home) in text:
                found.append(text)
    return found


def test_up_use_up_again_down(clone: Machine, tmp_path: Path) -> None:
    config = clone.home / ".kube" / "config"
    config.parent.mkdir()
    config.write_text(yaml.safe_dump(OTHERS))
    config.chmod(0o600)
    try:
        first = clone.run("make", "up")
        assert "kubectl --context kplane-demo" in first.stdout
        assert sum(changes(first.stdout)) > 0
        written = yaml.safe_load(config.read_text())
        assert written["current-context"] == "work"
        assert written["contexts"][0] == OTHERS["contexts"][0]
        assert {entry["name"] for entry in written["contexts"]} == {"work", "kplane-demo", "embedded-kplane-management"}
        assert config.stat().st_mode & 0o777 == 0o600

        demo = client_for(written, "kplane-demo")
        assert "default" in [item["metadata"]["name"] for item in demo.get("/api/v1/namespaces").ok()["items"]]
        kubectl = kubectl_for(demo, tmp_path)
        assert "kube-system" in kubectl("--kubeconfig", str(config), "--context", "kplane-demo", "get", "ns")

        before = config.read_bytes()
        second = clone.run("make", "up")
        assert set(changes(second.stdout)) == {0}, second.stdout
        assert config.read_bytes() == before
    finally:
        down = clone.run("make", "down")
    assert sum(changes(down.stdout)) > 0
    assert yaml.safe_load(config.read_text()) == OTHERS
    assert processes_of(clone.home) == []
    left = [str(path.relative_to(clone.home)) for path in clone.home.rglob("*") if path.is_file() and "admin" in path.name]
    assert left == []
    again = clone.run("make", "down")
    assert set(changes(again.stdout)) == {0}
