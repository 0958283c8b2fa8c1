# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for k3d 5.8: the sub-commands and flags that it has, no others."""

from __future__ import annotations

import json
import re
import sys
from argparse import Namespace
from typing import Any

import yaml
from support.server import free_port

from standins import state
from standins.kind import Parser
from standins.steps import step

PROVIDER = "k3s"
VERSION = "k3d version v5.8.3\nk3s version v1.31.5-k3s1 (default)"
NODE_IMAGE = "rancher/k3s:v1.31.5-k3s1"
FLAGS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("version",): (),
    ("cluster", "list"): ("--output", "--no-headers", "--token"),
    ("cluster", "create"): (
        "--wait",
        "--timeout",
        "--api-port",
        "--port",
        "--kubeconfig-update-default",
        "--kubeconfig-switch-context",
        "--runtime-label",
        "--k3s-arg",
        "--image",
        "--config",
        "--registry-config",
        "--servers",
        "--agents",
        "--no-lb",
    ),
    ("cluster", "delete"): ("--all", "--config"),
    ("cluster", "start"): ("--all", "--wait", "--timeout"),
    ("cluster", "stop"): ("--all",),
    ("image", "import"): ("--cluster", "--mode", "--keep-tarball", "--keep-tools"),
    ("kubeconfig", "get"): ("--all",),
}
_SWITCHES = ("--wait", "--no-headers", "--token", "--all", "--no-lb", "--keep-tarball", "--keep-tools")
_REPEATED = ("--port", "--runtime-label", "--k3s-arg", "--cluster")
_PORT = re.compile(r"(?:(?P<host>[0-9.]+):)?(?P<hostport>\d+|random):(?P<port>\d+)@(?P<filter>server:0:direct)")


def parse(arguments: list[str]) -> tuple[tuple[str, ...], Namespace]:
    for command, flags in FLAGS.items():
        if tuple(arguments[: len(command)]) == command:
            parser = Parser(prog="k3d", allow_abbrev=False, add_help=False)
            for flag in flags:
                action = "store_true" if flag in _SWITCHES else "append" if flag in _REPEATED else "store"
                parser.add_argument(flag, action=action)
            parser.add_argument("names", nargs="*")
            return command, parser.parse_intermixed_args(arguments[len(command) :])
    state.die(f"unknown command {arguments}")


def node(name: str, role: str, image: str, running: bool, ports: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    status = "running" if running else "exited"
    found: dict[str, Any] = {"name": name, "role": role, "image": image, "runtimeLabels": labels}
    found["State"] = {"Running": running, "Status": status}
    if ports:
        found["portMappings"] = ports
    return found


def listed(cluster: dict[str, Any]) -> dict[str, Any]:
    name, image, running = cluster["name"], cluster["image"], cluster["running"]
    ports = (
        {f"{cluster['node_port']}/tcp": [{"HostIp": cluster["host_ip"], "HostPort": str(cluster["port"])}]} if cluster["node_port"] else {}
    )
    nodes = [node(f"k3d-{name}-server-0", "server", image, running, ports, cluster["runtime_labels"])]
    nodes += [node(f"k3d-{name}-agent-{index}", "agent", image, running, {}, {}) for index in range(cluster["agents"])]
    api = {"6443/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(cluster["api_port"])}]}
    nodes.append(node(f"k3d-{name}-serverlb", "loadbalancer", "ghcr.io/k3d-io/k3d-proxy:5.8.3", running, api, {}))
    return {"name": name, "nodes": nodes, "serversCount": 1, "serversRunning": int(running), "agentsCount": cluster["agents"]}


def create(name: str, options: Namespace) -> None:
    if state.find(name):
        state.die(f"FATA[0000] Failed to create cluster '{name}' because a cluster with that name already exists")
    state.fail_if_asked("k3d create")
    config = {}
    if options.config:
        with open(options.config) as handle:
            config = yaml.safe_load(handle)
        if config.get("kind") != "Simple":
            state.die("FATA[0000] Schema Validation failed for config file")
    mapped = [_PORT.fullmatch(entry) for entry in options.port or []]
    if not all(mapped):
        state.die(f"FATA[0000] error processing port mappings: {options.port}")
    first = mapped[0]
    labels = dict(entry.split("@")[0].split("=", 1) for entry in options.runtime_label or [])
    cluster = {
        "provider": PROVIDER,
        "name": name,
        "image": options.image or config.get("image") or NODE_IMAGE,
        "agents": int(options.agents or config.get("agents") or 0),
        "node_port": int(first["port"]) if first else 0,
        "host_ip": (first["host"] or "0.0.0.0") if first else "",
        "port": int(first["hostport"]) if first else free_port(),
        "api_port": free_port(),
        "runtime_labels": labels,
    }
    if options.registry_config:
        with open(options.registry_config) as handle:
            cluster["registries"] = yaml.safe_load(handle)
    state.begin(cluster)
    state.start(cluster)


def require(name: str) -> dict[str, Any]:
    cluster = state.find(name, PROVIDER)
    if cluster is None:
        state.die("FATA[0000] No nodes found for given cluster")
    return cluster


def main() -> None:
    arguments = sys.argv[1:]
    state.log("k3d", arguments)
    command, options = parse(arguments)
    state.fail_if_asked("k3d " + " ".join(command))
    names = options.names
    if command == ("version",):
        print(VERSION)
    elif command == ("cluster", "list"):
        print(json.dumps([listed(entry) for entry in state.clusters(PROVIDER)]))
    elif command == ("cluster", "create"):
        create(names[0], options)
    elif command == ("cluster", "delete"):
        state.remove(require(names[0]))
    elif command == ("cluster", "start"):
        step("k3d cluster start")
        state.start(require(names[0]))
    elif command == ("cluster", "stop"):
        step("k3d cluster stop")
        state.stop(require(names[0]))
    elif command == ("kubeconfig", "get"):
        cluster = require(names[0])
        if "pid" not in cluster:
            state.die(f"FATA[0000] Failed to get kubeconfig for cluster '{names[0]}': could not read the file in the server node")
        print(state.kubeconfig(cluster, f"k3d-{names[0]}"), end="")
    else:
        cluster = require(options.cluster[0])
        step("k3d image import")
        state.save({**cluster, "images": [*cluster.get("images", []), *names]})


if __name__ == "__main__":
    main()
