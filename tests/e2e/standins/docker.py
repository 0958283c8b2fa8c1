# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for the docker client: a daemon that answers, and the containers of the stand-in for kind."""

from __future__ import annotations

import json
import sys
from typing import Any

from standins import state
from standins.steps import directory, step


def container(cluster: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    ports = {
        f"{entry['containerPort']}/tcp": [{"HostIp": entry.get("listenAddress", "0.0.0.0"), "HostPort": str(entry["hostPort"])}]
        for entry in node["mappings"]
    }
    running = cluster["running"]
    return {
        "Name": "/" + node["name"],
        "State": {"Running": running, "Status": "running" if running else "exited"},
        "Config": {"Image": cluster["image"], "Labels": {"io.x-k8s.kind.cluster": cluster["name"], "io.x-k8s.kind.role": node["role"]}},
        "HostConfig": {"PortBindings": ports},
        "NetworkSettings": {"Ports": ports if running else {}},
    }


def main() -> None:
    arguments = sys.argv[1:]
    state.log("docker", arguments)
    state.fail_if_asked("docker " + arguments[0])
    containers = {node["name"]: (cluster, node) for cluster in state.clusters("kind") for node in cluster["nodes"]}
    if arguments == ["version", "--format", "{{.Server.Version}}"]:
        print("28.2.2")
    elif arguments[:3] == ["inspect", "--type", "container"]:
        missing = [name for name in arguments[3:] if name not in containers]
        if missing:
            state.die(f"Error: No such container: {missing[0]}")
        print(json.dumps([container(*containers[name]) for name in arguments[3:]]))
    elif arguments[0] in ("start", "stop"):
        step(f"docker {arguments[0]}")
        for cluster in {containers[name][0]["name"]: containers[name][0] for name in arguments[1:]}.values():
            state.start(cluster) if arguments[0] == "start" else state.stop(cluster)
    elif arguments[0] == "exec" and arguments[-3:-1] == ["cp", "/dev/stdin"]:
        (directory() / "hosts.toml").write_text(sys.stdin.read())
    elif arguments[:2] in (["volume", "rm"], ["network", "ls"]):
        pass  # the stand-in for k3d leaves nothing to take away
    elif arguments[0] != "exec":
        state.die(f"docker: '{arguments[0]}' is not a docker command.")


if __name__ == "__main__":
    main()
