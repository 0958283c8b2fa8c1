# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The provider ``kind``: a management cluster made by kind (https://kind.sigs.k8s.io).

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import copy
import json
import os
import typing as t

from ansible_collections.kplane.core.plugins.module_utils import _yaml
from ansible_collections.kplane.core.plugins.module_utils._contract import NODE_PORT, Resource
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError, ProviderError
from ansible_collections.kplane.core.plugins.module_utils._providers import scratch
from ansible_collections.kplane.core.plugins.module_utils._providers.base import Options
from ansible_collections.kplane.core.plugins.module_utils._providers.cli import THROWAWAY
from ansible_collections.kplane.core.plugins.module_utils._providers.containers import (
    CONFIG_LABEL,
    LOOPBACK,
    QUICK,
    ContainerDriver,
    Expected,
    Node,
    digest,
)

Document = t.Dict[str, t.Any]

API_VERSION: t.Final = "kind.x-k8s.io/v1alpha4"
_ROLE_LABEL = "io.x-k8s.kind.role"
_CERTS_DIR = "/etc/containerd/certs.d"
#: Node images of kind before 0.27 do not look into _CERTS_DIR by themselves (https://kind.sigs.k8s.io/docs/user/local-registry/).
_CERTS_PATCH = f'[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "{_CERTS_DIR}"\n'
_MAKE_MARGIN = 600.0
_NODES: t.Final = Resource("", "v1", "nodes", "Node")


def check_config(config: t.Any) -> Document:
    """``config`` if kind could read it, as far as we have to understand it."""
    if not isinstance(config, dict):
        raise ProviderError("provider_config is not a kind configuration: it is not a mapping")
    if config.get("kind", "Cluster") != "Cluster" or config.get("apiVersion", API_VERSION) != API_VERSION:
        raise ProviderError(
            f"provider_config has kind {config.get('kind')!r} and apiVersion {config.get('apiVersion')!r}, "
            f"not 'Cluster' and {API_VERSION!r}"
        )
    nodes = config.get("nodes")
    if nodes is not None and (not isinstance(nodes, list) or not all(isinstance(node, dict) for node in nodes)):
        raise ProviderError("provider_config is not a valid kind configuration: nodes is not a list of mappings")
    if nodes and not any(node.get("role", "control-plane") == "control-plane" for node in nodes):
        raise ProviderError("provider_config is not a valid kind configuration: no node has the role control-plane")
    return config


def merged_config(config: Document | None, port: int, mirrors: bool) -> Document:
    """The configuration of the user with what we need: the way in, on the loopback address only."""
    declared = check_config(config if config is not None else {})
    result: Document = {"kind": "Cluster", "apiVersion": API_VERSION, **copy.deepcopy(declared)}
    result["nodes"] = result.get("nodes") or [{"role": "control-plane"}]
    node = next(entry for entry in result["nodes"] if entry.get("role", "control-plane") == "control-plane")
    mappings = list(node.get("extraPortMappings") or [])
    for entry in mappings:
        if entry.get("containerPort") == NODE_PORT:
            raise ProviderError(f"provider_config maps the node port {NODE_PORT} itself; leave that to kplane.core and set the option port")
    mappings.append({"containerPort": NODE_PORT, "hostPort": port, "listenAddress": LOOPBACK, "protocol": "TCP"})
    node["extraPortMappings"] = mappings
    node["labels"] = {**(node.get("labels") or {}), CONFIG_LABEL: digest(declared)}
    if mirrors:
        result["containerdConfigPatches"] = [*(result.get("containerdConfigPatches") or []), _CERTS_PATCH]
    return result


def hosts_file(registry: str, mirrors: t.Sequence[str]) -> str:
    """What containerd reads for one registry (https://github.com/containerd/containerd/blob/main/docs/hosts.md)."""
    upstream = "registry-1.docker.io" if registry == "docker.io" else registry
    lines = [f"server = {json.dumps('https://' + upstream)}"]
    for mirror in mirrors:
        lines += ["", f"[host.{json.dumps(mirror)}]", '  capabilities = ["pull", "resolve"]']
    return "\n".join(lines) + "\n"


class KindDriver(ContainerDriver):
    """Drives one cluster of kind."""

    provider = "kind"
    context_prefix = "kind-"
    program_name = "kind"
    minimum = (0, 20, 0)
    version_command = "version"
    program_hint = "Get it from https://kind.sigs.k8s.io/docs/user/quick-start/#installation."

    def planes(self) -> list[str]:
        self._require_daemon()
        return self.program.run("get", "clusters", timeout=QUICK).stdout.split()

    def nodes(self) -> list[Node]:
        names = self.program.run("get", "nodes", "--name", self.name, timeout=QUICK).stdout.split()
        if not names:
            return []
        printed = self.docker.run("inspect", "--type", "container", *names, timeout=QUICK).stdout
        try:
            return [parse_node(entry) for entry in json.loads(printed)]
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise ProviderError(f"docker inspect of the nodes of {self.name!r} printed something unexpected: {exc!r}") from exc

    def expected(self, options: Options) -> Expected:
        declared = check_config(options.provider_config if options.provider_config is not None else {})
        merged = merged_config(declared, options.port or 0, False)
        return Expected(len(merged["nodes"]), digest(declared))

    def make(self, port: int, options: Options) -> None:
        config = merged_config(options.provider_config, port, bool(options.registry_mirrors))
        with scratch.directory() as folder:
            path = os.path.join(folder, "kind.yaml")
            with open(path, "wb") as handle:
                handle.write(_yaml.dump(config))
            arguments = ["create", "cluster", "--name", self.name, "--config", path, "--kubeconfig", THROWAWAY]
            arguments += ["--wait", f"{int(options.wait_timeout)}s"]
            if options.node_image:
                arguments += ["--image", options.node_image]
            self.program.run(*arguments, timeout=options.wait_timeout + _MAKE_MARGIN)
        if options.registry_mirrors:
            self._mirror(options.registry_mirrors)

    def _mirror(self, mirrors: t.Mapping[str, t.Sequence[str]]) -> None:
        for node in self.nodes():
            for registry, hosts in mirrors.items():
                directory = f"{_CERTS_DIR}/{registry}"
                self.docker.run("exec", node.name, "mkdir", "-p", directory, timeout=QUICK)
                self.docker.run(
                    "exec", "-i", node.name, "cp", "/dev/stdin", directory + "/hosts.toml", timeout=QUICK, stdin=hosts_file(registry, hosts)
                )

    def destroy(self) -> None:
        self.program.run("delete", "cluster", "--name", self.name, "--kubeconfig", THROWAWAY, timeout=_MAKE_MARGIN)

    def load_images(self, images: t.Sequence[str]) -> None:
        self.program.run("load", "docker-image", *images, "--name", self.name, timeout=_MAKE_MARGIN)

    def print_kubeconfig(self) -> str:
        return self.program.run("get", "kubeconfig", "--name", self.name, timeout=QUICK).stdout

    def switch(self, on: bool) -> None:
        names = [node.name for node in self.nodes()]
        self.docker.run("start" if on else "stop", *names, timeout=_MAKE_MARGIN)

    def config_digest(self) -> str:
        with self.client() as client:
            try:
                items = client.list_all(_NODES, label_selector=CONFIG_LABEL)[0]
            except KplaneError:
                return ""
        return str(items[0]["metadata"]["labels"][CONFIG_LABEL]) if items else ""


def parse_node(entry: Document) -> Node:
    """One container, from what ``docker inspect`` says of it."""
    labels = entry["Config"].get("Labels") or {}
    role = str(labels.get(_ROLE_LABEL) or "")
    bindings = (entry.get("HostConfig") or {}).get("PortBindings") or {}
    # A stopped container has no live ports; what it was made with stays in its host configuration.
    live = ((entry.get("NetworkSettings") or {}).get("Ports") or {}).get(f"{NODE_PORT}/tcp")
    mapped = (live or bindings.get(f"{NODE_PORT}/tcp") or [{}])[0]
    return Node(
        name=str(entry["Name"]).lstrip("/"),
        role="loadbalancer" if role == "external-load-balancer" else role,
        image=str(entry["Config"].get("Image") or ""),
        running=bool(entry["State"]["Running"]),
        address=str(mapped.get("HostIp") or ("0.0.0.0" if mapped else "")),
        port=int(mapped.get("HostPort") or 0),
    )
