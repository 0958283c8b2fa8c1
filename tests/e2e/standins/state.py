# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the stand-ins remember: one JSON file for each cluster, and the failures that a test asked for."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import yaml

from standins.steps import directory, step

Json = dict[str, Any]


def log(program: str, arguments: list[str]) -> None:
    """Every call, for tests that look at how the programs were called."""
    with (directory() / "calls").open("a") as handle:
        handle.write(json.dumps({"program": program, "arguments": arguments, "kubeconfig": os.environ.get("KUBECONFIG", "")}) + "\n")


def calls() -> list[Json]:
    path = directory() / "calls"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def fail_if_asked(what: str) -> None:
    """Fail as a test asked for: the file ``fail`` says what fails, with which words; ``once`` takes itself away."""
    path = directory() / "fail"
    asked = json.loads(path.read_text()) if path.exists() else {}
    if what in asked:
        words = asked.pop(what)
        path.write_text(json.dumps(asked))
        die(words)


def die(words: str) -> NoReturn:
    print(words, file=sys.stderr)
    raise SystemExit(1)


def path_of(name: str) -> Path:
    return directory() / f"{name}.cluster.json"


def clusters(provider: str) -> list[Json]:
    found = [json.loads(path.read_text()) for path in sorted(directory().glob("*.cluster.json"))]
    return [entry for entry in found if entry["provider"] == provider]


def find(name: str, provider: str = "") -> Json | None:
    path = path_of(name)
    if not path.exists():
        return None
    entry: Json = json.loads(path.read_text())
    return entry if provider in ("", entry["provider"]) else None


def save(cluster: Json) -> None:
    path_of(cluster["name"]).write_text(json.dumps(cluster))


def begin(cluster: Json) -> None:
    """The containers are there, but nothing is in them yet; somebody whose program is killed now finds that."""
    step("containers are made")
    save({**cluster, "running": True})
    step("Kubernetes is set up in them")


def remove(cluster: Json) -> None:
    """Everything of a cluster, its containers last."""
    step("Kubernetes is ended")
    stop(cluster)
    save({key: value for key, value in cluster.items() if key != "pid"} | {"running": True})
    step("containers are removed")
    if (data := directory() / cluster["name"]).exists():
        shutil.rmtree(data)
    path_of(cluster["name"]).unlink()


def start(cluster: Json) -> None:
    """Start the process that plays the cluster, and wait until its API answers."""
    data = directory() / cluster["name"]
    data.mkdir(exist_ok=True)
    ready = data / "ready"
    ready.unlink(missing_ok=True)
    log_file = (data / "log").open("ab")
    argv = [sys.executable, "-m", "standins.cluster", str(data), str(cluster["api_port"]), str(cluster["port"])]
    argv += [os.environ["STANDIN_PARENT"], json.dumps(cluster.get("labels") or {})]
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log_file, stderr=log_file, start_new_session=True, env=_own())
    deadline = time.monotonic() + 60
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            die(f"ERROR: failed to create cluster: {(data / 'log').read_text()[-2000:]}")
        time.sleep(0.05)
    cluster.update(pid=process.pid, running=True)
    save(cluster)


def _own() -> dict[str, str]:
    """The environment of a cluster: it is no part of the play."""
    return {key: value for key, value in os.environ.items() if key != "STANDIN_ROOT"}


def stop(cluster: Json) -> None:
    """End the cluster and its server, which is in the same group."""
    if cluster.get("running") and "pid" in cluster:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(cluster["pid"], signal.SIGTERM)
        deadline = time.monotonic() + 20
        while _alive(cluster["pid"]) and time.monotonic() < deadline:
            time.sleep(0.05)
    cluster["running"] = False
    save(cluster)


def _alive(group: int) -> bool:
    """Whether any process of a group runs; one that has ended but was not waited for does not."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended meanwhile
            if int(fields[2]) == group and fields[0] != "Z":
                return True
    return False


def kubeconfig(cluster: Json, context: str) -> str:
    """The administrator's kubeconfig, as the program prints it."""
    document = yaml.safe_load((directory() / cluster["name"] / "server" / "admin.kubeconfig").read_text())
    for section in ("clusters", "users", "contexts"):
        document[section][0]["name"] = context
    document["contexts"][0]["context"] = {"cluster": context, "user": context}
    document["current-context"] = context
    text: str = yaml.safe_dump(document)
    return text
