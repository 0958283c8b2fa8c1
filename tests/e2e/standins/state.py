# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the stand-ins remember: one JSON file for each cluster, and the failures that a test asked for."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import yaml

STATE = "STANDIN_STATE"
Json = dict[str, Any]


def directory() -> Path:
    return Path(os.environ[STATE])


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


def start(cluster: Json) -> None:
    """Start the process that plays the cluster, and wait until its API answers."""
    data = directory() / cluster["name"]
    data.mkdir(exist_ok=True)
    ready = data / "ready"
    ready.unlink(missing_ok=True)
    log_file = (data / "log").open("ab")
    argv = [sys.executable, "-m", "standins.cluster", str(data), str(cluster["api_port"]), str(cluster["port"])]
    argv += [os.environ["STANDIN_PARENT"], json.dumps(cluster.get("labels") or {})]
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log_file, stderr=log_file, start_new_session=True)
    deadline = time.monotonic() + 60
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            die(f"ERROR: failed to create cluster: {(data / 'log').read_text()[-2000:]}")
        time.sleep(0.05)
    cluster.update(pid=process.pid, running=True)
    save(cluster)


def stop(cluster: Json) -> None:
    if cluster.get("running"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(cluster["pid"], signal.SIGTERM)
        deadline = time.monotonic() + 20
        while _alive(cluster["pid"]) and time.monotonic() < deadline:
            time.sleep(0.05)
    cluster["running"] = False
    save(cluster)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return (Path("/proc") / str(pid) / "stat").read_text().split()[2] != "Z" if Path("/proc").exists() else True


def kubeconfig(cluster: Json, context: str) -> str:
    """The administrator's kubeconfig, as the program prints it."""
    document = yaml.safe_load((directory() / cluster["name"] / "server" / "admin.kubeconfig").read_text())
    for section in ("clusters", "users", "contexts"):
        document[section][0]["name"] = context
    document["contexts"][0]["context"] = {"cluster": context, "user": context}
    document["current-context"] = context
    text: str = yaml.safe_dump(document)
    return text
