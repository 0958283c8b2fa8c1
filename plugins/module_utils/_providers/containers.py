# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What kind and k3s have in common: a management cluster whose nodes are containers of a Docker daemon on this host.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import abc
import hashlib
import json
import os
import socket
import time
import typing as t

from ansible_collections.kplane.core.plugins.module_utils import _auth, _kubeconfig, _yaml
from ansible_collections.kplane.core.plugins.module_utils._client import Client
from ansible_collections.kplane.core.plugins.module_utils._contract import (
    API_SERVICE,
    API_SERVICE_PORT,
    CONFIG_MAPS,
    DEFAULT_PORT,
    MANAGEMENT_CONFIG_MAP,
    MANAGEMENT_NAMESPACE,
    NODE_PORT,
    PORT_RANGE,
    vcp_path,
)
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError, NotFound, ProviderError
from ansible_collections.kplane.core.plugins.module_utils._providers.base import Drift, Driver, Kubeconfig, Options, Plane
from ansible_collections.kplane.core.plugins.module_utils._providers.cli import Program, Version
from ansible_collections.kplane.core.plugins.module_utils._providers.making import MAKING, REMOVING, Note

LOOPBACK: t.Final = "127.0.0.1"
#: On nodes: the digest of the configuration that the cluster was made with.
CONFIG_LABEL: t.Final = "core.kplane.dev/config"
QUICK: t.Final = 60.0
_READY_TIMEOUT = 5.0
_START_POLL = 0.5
_DOCKER_HINT = "Install Docker and start its daemon (https://docs.docker.com/engine/install/); 'docker version' has to work for this user."
#: https://kind.sigs.k8s.io/docs/user/known-issues/#pod-errors-due-to-too-many-open-files; k3d needs the same.
_INOTIFY: t.Final = (("max_user_instances", 128), ("max_user_watches", 8192))
_INOTIFY_DIR = "/proc/sys/fs/inotify"
#: How Docker says that somebody else has the port.
_PORT_TAKEN: t.Final = ("port is already allocated", "address already in use", "ports are not available")


class Node(t.NamedTuple):
    """One container of a cluster."""

    name: str
    role: str
    image: str
    running: bool
    #: The address and port on the host that lead to the way in, if this container has them.
    address: str = ""
    port: int = 0


class Expected(t.NamedTuple):
    """What a cluster made with these options would look like from outside."""

    nodes: int
    digest: str


def digest(document: t.Any) -> str:
    """A short name for a configuration; a label value."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]


def free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def inotify_problem(directory: str = _INOTIFY_DIR) -> str:
    """Why the host's limits are too low for Kubernetes in containers, or an empty string."""
    low = []
    for name, least in _INOTIFY:
        try:
            with open(os.path.join(directory, name), encoding="ascii") as handle:
                found = int(handle.read())
        except (OSError, ValueError):
            continue  # not Linux: the daemon runs in a virtual machine with limits of its own
        if found < least:
            low.append(f"fs.inotify.{name} is {found}, at least {least} is needed")
    if not low:
        return ""
    return f"{'; '.join(low)}. Raise it: sysctl -w fs.inotify.max_user_instances=512 fs.inotify.max_user_watches=524288"


class ContainerDriver(Driver):
    """Drives one management cluster by the program that makes it."""

    #: The program, the oldest version of it, how it is asked for that, and where people get it.
    program_name: t.ClassVar[str]
    minimum: t.ClassVar[Version]
    version_command: t.ClassVar[str]
    program_hint: t.ClassVar[str]

    def __init__(self, name: str, executable: str | None = None, namespace: str = MANAGEMENT_NAMESPACE) -> None:
        super().__init__(name)
        self.namespace = namespace
        self.program = Program(self.program_name, self.program_hint, executable)
        self.docker = Program("docker", _DOCKER_HINT)
        self.note = Note(self.provider, name)
        self._kubeconfig: Kubeconfig | None = None
        self._addresses: tuple[str, str] | None = None

    # What each of them does in its own way

    @abc.abstractmethod
    def nodes(self) -> list[Node]:
        """The containers of the cluster; none if there is no such cluster."""

    @abc.abstractmethod
    def expected(self, options: Options) -> Expected:
        """What the options lead to; also where a configuration of the user's own is looked at and refused."""

    @abc.abstractmethod
    def make(self, port: int, options: Options) -> None:
        """Make the cluster."""

    @abc.abstractmethod
    def destroy(self) -> None:
        """Remove the cluster."""

    @abc.abstractmethod
    def load_images(self, images: t.Sequence[str]) -> None:
        """Copy images of the Docker daemon to the nodes."""

    @abc.abstractmethod
    def print_kubeconfig(self) -> str:
        """The administrator's kubeconfig, as the program prints it."""

    @abc.abstractmethod
    def switch(self, on: bool) -> None:
        """Start or stop the containers."""

    @abc.abstractmethod
    def config_digest(self) -> str:
        """The digest of the configuration that the cluster was made with, or an empty string if nothing says."""

    # What is there

    def kubeconfig(self) -> Kubeconfig:
        if self._kubeconfig is None:
            source = f"the kubeconfig of {self.program_name}"
            document = _kubeconfig.check(_yaml.load(self.print_kubeconfig().encode(), source), source)
            self._kubeconfig = Kubeconfig(document, self.context, source)
        return self._kubeconfig

    def client(self, timeout: float = 30.0) -> Client:
        """A client of the management cluster."""
        found = self.kubeconfig()
        return Client(_auth.connection(found.document, found.context, found.base, found.source), timeout)

    def find(self) -> Plane | None:
        self._require_daemon()
        nodes = self.nodes()
        if self.note.found():
            # Containers may be there, but what is in them was never finished or is half gone: it is asked nothing.
            return Plane(self.provider, self.name, self.context, False)
        if not nodes:
            return None
        mapped = next((node for node in nodes if node.port), None)
        plane = Plane(
            self.provider, self.name, self.context, False, host=mapped.address if mapped else "", port=mapped.port if mapped else 0
        )
        if not all(node.running for node in nodes):
            return plane
        with self.client() as client:
            running, version = probe(client)
            return plane._replace(running=running, server=client.connection.server, version=version)

    def way_in(self) -> Node:
        """The container that the way in is mapped on; a cluster without it was not made by us, and is left alone."""
        for node in self.nodes():
            if node.port:
                return node
        raise ProviderError(
            f"The {self.provider} cluster {self.name!r} is not a management plane of kplane.core: no port of this host leads to its node "
            f"port {NODE_PORT}. It is left alone. Take another cluster_name, or delete that cluster yourself."
        )

    def endpoints(self, server: str, vcp: str) -> tuple[str, str]:
        if self._addresses is None:
            node = self.way_in()
            with self.client() as client:
                said = (settings(client, self.namespace) or {}).get("internalEndpoint")
            internal = str(said or f"https://{API_SERVICE}.{self.namespace}.svc.cluster.local:{API_SERVICE_PORT}")
            self._addresses = internal, f"https://{node.address}:{node.port}"
        return self._addresses[0] + vcp_path(vcp), self._addresses[1] + vcp_path(vcp)

    def drift(self, plane: Plane, options: Options) -> list[Drift]:
        found: list[Drift] = []
        if self.note.found():
            return found
        nodes = self.nodes()
        self.way_in()
        workers = [node for node in nodes if node.role != "loadbalancer"]
        if options.port is not None and plane.port != options.port:
            found.append(Drift("port", plane.port, options.port))
        if plane.host and plane.host != LOOPBACK:
            found.append(Drift("host", plane.host, LOOPBACK))
        images = sorted({node.image for node in workers})
        if options.node_image is not None and images != [options.node_image]:
            found.append(Drift("node_image", ", ".join(images), options.node_image))
        expected = self.expected(options)
        if options.provider_config is not None:
            if len(workers) != expected.nodes:
                found.append(Drift("provider_config", f"{len(workers)} nodes", f"{expected.nodes} nodes"))
            elif plane.running and (made_with := self.config_digest()) != expected.digest:
                found.append(Drift("provider_config", made_with or "unknown", expected.digest))
        return found

    def remembered(self, plane: Plane) -> _kubeconfig.Document:
        return {"ingressPort": plane.port} if plane.port else {}

    # What is done

    def missing(self) -> str:
        return self.program.missing() or self.docker.missing()

    def _require_daemon(self) -> None:
        """Both programs are there, and the daemon answers."""
        for program in (self.program, self.docker):
            if program.missing():
                program.run("version", timeout=QUICK)  # says what is missing
        self.docker.run("version", "--format", "{{.Server.Version}}", timeout=QUICK)

    def preflight(self, options: Options) -> None:
        """Everything that can be known to fail, before anything is made."""
        self._require_daemon()
        version = self.program.version(self.version_command, timeout=QUICK)
        if version < self.minimum:
            found, needed = (".".join(map(str, entry)) for entry in (version, self.minimum))
            raise ProviderError(f"{self.program_name} {found} is too old: {needed} or later is needed. {self.program_hint}")
        self.expected(options)
        if problem := inotify_problem():
            raise ProviderError(f"A {self.provider} cluster would not work on this host: {problem}")

    def _ports(self, options: Options) -> list[int]:
        if options.port is not None:
            if not free(LOOPBACK, options.port):
                raise ProviderError(
                    f"The port {options.port} of {LOOPBACK} is taken by another program; set the option port to another one"
                )
            return [options.port]
        ports = [port for port in range(DEFAULT_PORT, DEFAULT_PORT + PORT_RANGE) if free(LOOPBACK, port)]
        if not ports:
            raise ProviderError(
                f"No port from {DEFAULT_PORT} to {DEFAULT_PORT + PORT_RANGE - 1} is free on {LOOPBACK}; set the option port"
            )
        return ports

    def create(self, options: Options) -> Plane:
        before = self.find()
        unfinished = self.note.found()
        if unfinished == REMOVING:
            raise ProviderError(
                f"The removal of the {self.provider} cluster {self.name!r} was interrupted. "
                f"Complete it with the playbook kplane.core.down; if the cluster is to stay as it is, delete {self.note.path}."
            )
        if before is None or unfinished:
            self.preflight(options)
            return self._make(options)
        self.way_in()
        if not before.running:
            self.switch(True)
        return self._settled(options)

    def _make(self, options: Options) -> Plane:
        """Make the cluster in place of what is there, which is nothing, or what an interrupted run has left, or what is to go."""
        self._require_ours()
        with self.note.kept(MAKING) as handle:
            try:
                self.program.inherited = (handle,)
                self._clear()
                self._make_at(self._ports(options), options)
                if options.images:
                    self.load_images(options.images)
            except KplaneError:
                if not self.nodes():
                    self.sweep()
                    self.note.forget()
                raise
            finally:
                self.program.inherited = ()
        return self._settled(options)

    def sweep(self) -> None:
        """Take away what the program leaves besides nodes when it fails: kind nothing."""

    def _make_at(self, ports: list[int], options: Options) -> None:
        for port in ports:
            try:
                self.make(port, options)
                return
            except ProviderError as exc:
                # Another program may have taken the port since it was seen free. The programs clean up after themselves.
                taken = any(text in str(exc.details.get("stderr", "")).lower() for text in _PORT_TAKEN)
                if not taken or port == ports[-1]:
                    raise

    def _settled(self, options: Options) -> Plane:
        """The plane, as soon as the API of its cluster answers."""
        deadline = time.monotonic() + options.wait_timeout
        while True:
            self._kubeconfig = None
            plane = self.find()
            if plane is not None and plane.running:
                return plane
            if time.monotonic() >= deadline:
                server = plane.server if plane else "nowhere"
                raise ProviderError(
                    f"The {self.provider} cluster {self.name!r} is there, but its API ({server}) did not answer within "
                    f"{options.wait_timeout:g} seconds"
                )
            time.sleep(_START_POLL)

    def recreate(self, options: Options) -> Plane:
        self.preflight(options)
        before = self.find()
        if before is not None and options.port is None and before.port:
            options = options._replace(port=before.port)
        return self._make(options)

    def stop(self) -> None:
        self.way_in()
        self.switch(False)

    def delete(self) -> None:
        self._require_ours()
        with self.note.kept(REMOVING) as handle:
            self.program.inherited = (handle,)
            self._clear()

    def _require_ours(self) -> None:
        """Refuse to go on with what is there if it is not ours: somebody may have made another one of its name since a run was killed."""
        if self.nodes():
            self.way_in()

    def _clear(self) -> None:
        """Remove what is there of the cluster."""
        if self.nodes():
            self.destroy()


def probe(client: Client) -> tuple[bool, str]:
    """Whether the server is ready, and what version it says it has."""
    if not client.ready(_READY_TIMEOUT):
        return False, ""
    try:
        return True, str(client.request("GET", "/version", timeout=_READY_TIMEOUT).json().get("gitVersion") or "")
    except KplaneError:
        return False, ""


def settings(client: Client, namespace: str) -> dict[str, str] | None:
    """What our stack says of itself, or ``None`` if it is not there."""
    try:
        found = client.get(CONFIG_MAPS, MANAGEMENT_CONFIG_MAP, namespace)
    except NotFound:
        return None
    data = {str(key): str(value) for key, value in (found.get("data") or {}).items()}
    # A stack that something else installed has this ConfigMap too, but does not say all of this.
    return data if data.get("externalEndpoint") else None
