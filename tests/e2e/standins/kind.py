# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for kind 0.30: the sub-commands and flags that it has, no others."""

from __future__ import annotations

import argparse
import sys
from typing import Any, NoReturn

import yaml
from support.server import free_port

from standins import state
from standins.steps import step

PROVIDER = "kind"
VERSION = "kind v0.30.0 go1.24.6 linux/amd64"
NODE_IMAGE = "kindest/node:v1.34.0@sha256:7416a61b42b1662ca6ca89f02028ac133a309a2a30ba309614e8ec94d976dc5a"
#: The flags of each sub-command; held against the real program by a test.
FLAGS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("version",): (),
    ("get", "clusters"): (),
    ("get", "nodes"): ("--name", "--all-clusters"),
    ("get", "kubeconfig"): ("--name", "--internal"),
    ("create", "cluster"): ("--name", "--config", "--image", "--kubeconfig", "--retain", "--wait"),
    ("delete", "cluster"): ("--name", "--kubeconfig"),
    ("load", "docker-image"): ("--name", "--nodes"),
}
_SWITCHES = ("--all-clusters", "--internal", "--retain")


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        state.die(f"ERROR: {message}")


def parse(arguments: list[str]) -> tuple[tuple[str, ...], argparse.Namespace]:
    for command, flags in FLAGS.items():
        if tuple(arguments[: len(command)]) == command:
            parser = Parser(prog="kind", allow_abbrev=False, add_help=False)
            for flag in flags:
                parser.add_argument(flag, action="store_true") if flag in _SWITCHES else parser.add_argument(flag)
            if command[0] == "load":
                parser.add_argument("images", nargs="+")
            return command, parser.parse_intermixed_args(arguments[len(command) :])
    state.die(f'ERROR: unknown command "{" ".join(arguments)}" for "kind"')


def nodes_of(config: dict[str, Any], name: str) -> list[dict[str, Any]]:
    counts: dict[str, int] = {}
    found = []
    for entry in config.get("nodes") or [{"role": "control-plane"}]:
        role = entry.get("role", "control-plane")
        counts[role] = counts.get(role, 0) + 1
        suffix = "" if counts[role] == 1 else str(counts[role])
        mappings, labels = entry.get("extraPortMappings") or [], entry.get("labels") or {}
        found.append({"name": f"{name}-{role}{suffix}", "role": role, "mappings": mappings, "labels": labels})
    return found


def create(options: argparse.Namespace) -> None:
    name = options.name or "kind"
    config = {}
    if options.config:
        with open(options.config) as handle:
            config = yaml.safe_load(handle)
    if config.get("apiVersion", "kind.x-k8s.io/v1alpha4") != "kind.x-k8s.io/v1alpha4" or config.get("kind", "Cluster") != "Cluster":
        state.die("ERROR: failed to create cluster: unknown apiVersion")
    if state.find(name):
        state.die(f'ERROR: failed to create cluster: node(s) already exist for a cluster with the name "{name}"')
    state.fail_if_asked("kind create")
    nodes = nodes_of(config, name)
    mappings = [(node["name"], entry) for node in nodes for entry in node["mappings"]]
    cluster = {
        "provider": PROVIDER,
        "name": name,
        "image": options.image or NODE_IMAGE,
        "nodes": nodes,
        "config": config,
        "api_port": free_port(),
        "port": next((entry["hostPort"] for _, entry in mappings), 0) or free_port(),
        "labels": nodes[0]["labels"],
    }
    print(f'Creating cluster "{name}" ...', file=sys.stderr)
    state.begin(cluster)
    state.start(cluster)
    if options.kubeconfig:
        with open(options.kubeconfig, "w") as handle:
            handle.write(state.kubeconfig(cluster, f"kind-{name}"))


def require(name: str) -> dict[str, Any]:
    cluster = state.find(name, PROVIDER)
    if cluster is None:
        words = f'could not locate any control plane nodes for cluster named "{name}". Use the --name option to select a different cluster'
        state.die(f"ERROR: {words}")
    return cluster


def main() -> None:
    arguments = sys.argv[1:]
    state.log("kind", arguments)
    command, options = parse(arguments)
    state.fail_if_asked("kind " + command[0])
    if command == ("version",):
        print(VERSION)
    elif command == ("get", "clusters"):
        names = [entry["name"] for entry in state.clusters(PROVIDER)]
        print("\n".join(names)) if names else print("No kind clusters found.", file=sys.stderr)
    elif command == ("get", "nodes"):
        cluster = state.find(options.name or "kind", PROVIDER)
        if cluster is None:
            print(f'No kind nodes found for cluster "{options.name}".', file=sys.stderr)
        else:
            print("\n".join(node["name"] for node in cluster["nodes"]))
    elif command == ("get", "kubeconfig"):
        cluster = require(options.name or "kind")
        if "pid" not in cluster:
            reading = f"docker exec --privileged {cluster['nodes'][0]['name']} cat /etc/kubernetes/admin.conf"
            state.die(f'ERROR: command "{reading}" failed with error: exit status 1')
        print(state.kubeconfig(cluster, f"kind-{options.name}"), end="")
    elif command == ("create", "cluster"):
        create(options)
    elif command == ("delete", "cluster"):
        print(f'Deleting cluster "{options.name}" ...', file=sys.stderr)
        cluster = state.find(options.name or "kind", PROVIDER)
        if cluster is not None:
            state.remove(cluster)
    else:
        cluster = require(options.name or "kind")
        step("kind load")
        state.save({**cluster, "images": [*cluster.get("images", []), *options.images]})


if __name__ == "__main__":
    main()
