# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The provider ``k3s``: a management cluster made by k3d (https://k3d.io).

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.kplane.core.plugins.module_utils import _yaml
from ansible_collections.kplane.core.plugins.module_utils._contract import NODE_PORT
from ansible_collections.kplane.core.plugins.module_utils._errors import ProviderError
from ansible_collections.kplane.core.plugins.module_utils._providers import scratch
from ansible_collections.kplane.core.plugins.module_utils._providers.base import Options
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

_API_GROUP = "k3d.io/"
_MAKE_MARGIN = 600.0


def check_config(config: t.Any) -> Document:
    """``config`` if k3d could read it, as far as we have to understand it."""
    if not isinstance(config, dict):
        raise ProviderError("provider_config is not a k3d configuration: it is not a mapping")
    if config and (config.get("kind") != "Simple" or not str(config.get("apiVersion") or "").startswith(_API_GROUP)):
        raise ProviderError(
            f"provider_config has kind {config.get('kind')!r} and apiVersion {config.get('apiVersion')!r}, "
            "not 'Simple' and one of k3d's (for example 'k3d.io/v1alpha5')"
        )
    for entry in config.get("ports") or []:
        if str((entry or {}).get("port") or "").partition("/")[0].rpartition(":")[2] == str(NODE_PORT):
            raise ProviderError(f"provider_config maps the node port {NODE_PORT} itself; leave that to kplane.core and set the option port")
    return config


class K3sDriver(ContainerDriver):
    """Drives one cluster of k3d."""

    provider = "k3s"
    context_prefix = "k3d-"
    program_name = "k3d"
    minimum = (5, 4, 0)
    version_command = "version"
    program_hint = "Get it from https://k3d.io/#installation."

    def planes(self) -> list[str]:
        self._require_daemon()
        return [str(entry.get("name") or "") for entry in self._clusters()]

    def _clusters(self) -> list[Document]:
        printed = self.program.run("cluster", "list", "--output", "json", timeout=QUICK).stdout
        try:
            # k3d prints null where it has no cluster.
            return t.cast("list[Document]", json.loads(printed.strip() or "null") or [])
        except ValueError as exc:
            raise ProviderError("k3d cluster list --output json printed something that is not JSON") from exc

    def _cluster(self) -> Document | None:
        return next((entry for entry in self._clusters() if entry.get("name") == self.name), None)

    def nodes(self) -> list[Node]:
        cluster = self._cluster()
        if cluster is None:
            return []
        try:
            return [parse_node(entry) for entry in cluster.get("nodes") or [] if entry.get("role") != "registry"]
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise ProviderError(f"k3d cluster list printed something unexpected about {self.name!r}: {exc!r}") from exc

    def expected(self, options: Options) -> Expected:
        declared = check_config(options.provider_config if options.provider_config is not None else {})
        return Expected(int(declared.get("servers") or 1) + int(declared.get("agents") or 0), digest(declared))

    def make(self, port: int, options: Options) -> None:
        declared = check_config(options.provider_config if options.provider_config is not None else {})
        with scratch.directory() as folder:
            arguments = ["cluster", "create", self.name, "--wait", "--timeout", f"{int(options.wait_timeout)}s"]
            # k3d publishes on every address of the host unless it is told otherwise.
            arguments += ["--api-port", f"{LOOPBACK}:random", "--port", f"{LOOPBACK}:{port}:{NODE_PORT}@server:0:direct"]
            arguments += ["--kubeconfig-update-default=false", "--kubeconfig-switch-context=false"]
            arguments += ["--runtime-label", f"{CONFIG_LABEL}={digest(declared)}@server:0"]
            if not declared:
                # Nothing of the stack needs an ingress controller.
                arguments += ["--k3s-arg=--disable=traefik@server:*"]
            if options.node_image:
                arguments += ["--image", options.node_image]
            if declared:
                arguments += ["--config", _written(folder, "k3d.yaml", declared)]
            if options.registry_mirrors:
                mirrors = {name: {"endpoint": list(hosts)} for name, hosts in options.registry_mirrors.items()}
                arguments += ["--registry-config", _written(folder, "registries.yaml", {"mirrors": mirrors})]
            self.program.run(*arguments, timeout=options.wait_timeout + _MAKE_MARGIN)

    def destroy(self) -> None:
        self.program.run("cluster", "delete", self.name, timeout=_MAKE_MARGIN)

    def sweep(self) -> None:
        # Both are made before the first node, and k3d forgets them (found with k3d 5.8.3). What failed is told, whatever becomes of this.
        self.docker.run("volume", "rm", "--force", f"k3d-{self.name}-images", timeout=QUICK, accept=(0, 1))
        if self.docker.run("network", "ls", "--quiet", "--filter", f"name=^k3d-{self.name}$", timeout=QUICK, accept=(0, 1)).stdout.strip():
            self.docker.run("network", "rm", f"k3d-{self.name}", timeout=QUICK, accept=(0, 1))

    def load_images(self, images: t.Sequence[str]) -> None:
        self.program.run("image", "import", *images, "--cluster", self.name, timeout=_MAKE_MARGIN)

    def print_kubeconfig(self) -> str:
        return self.program.run("kubeconfig", "get", self.name, timeout=QUICK).stdout

    def switch(self, on: bool) -> None:
        self.program.run("cluster", "start" if on else "stop", self.name, timeout=_MAKE_MARGIN)

    def config_digest(self) -> str:
        for entry in (self._cluster() or {}).get("nodes") or []:
            found = (entry.get("runtimeLabels") or {}).get(CONFIG_LABEL)
            if found:
                return str(found)
        return ""


def _written(directory: str, name: str, document: Document) -> str:
    path = os.path.join(directory, name)
    with open(path, "wb") as handle:
        handle.write(_yaml.dump(document))
    return path


def parse_node(entry: Document) -> Node:
    """One container, from what ``k3d cluster list`` says of it."""
    mapped = ((entry.get("portMappings") or {}).get(f"{NODE_PORT}/tcp") or [{}])[0]
    return Node(
        name=str(entry["name"]),
        role=str(entry["role"]),
        image=str(entry.get("image") or ""),
        running=bool((entry.get("State") or {}).get("Running")),
        address=str(mapped.get("HostIp") or ("0.0.0.0" if mapped else "")),
        port=int(mapped.get("HostPort") or 0),
    )
