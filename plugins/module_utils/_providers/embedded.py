# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The provider ``embedded``: a kplane-server process of the user, driven through its own executable.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import json
import os
import shutil
import socket
import subprocess
import sys
import typing as t

from ansible_collections.kplane.core.plugins.module_utils import _auth, _io, _kubeconfig, _yaml
from ansible_collections.kplane.core.plugins.module_utils._client import Client
from ansible_collections.kplane.core.plugins.module_utils._contract import DEFAULT_PORT, PORT_RANGE
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError, ProviderError, ProviderMissing
from ansible_collections.kplane.core.plugins.module_utils._home import user_data_home
from ansible_collections.kplane.core.plugins.module_utils._providers.base import Drift, Driver, Kubeconfig, Options, Plane

EXECUTABLE: t.Final = "kplane-server"
DEFAULT_HOST: t.Final = "127.0.0.1"
ADMIN_KUBECONFIG: t.Final = "admin.kubeconfig"
#: What marks a directory as a data directory of kplane-server; nothing without it is ever removed.
MARKER: t.Final = "kplane-server.json"

#: What stands before the server's own version in the one that it answers with, behind that of Kubernetes.
_VERSION_MARK: t.Final = "+kplane."

_COMMAND_MARGIN = 30.0
_STOP_TIMEOUT = 60.0
_READY_TIMEOUT = 5.0
#: Copying a store, and what is written to a file of it.
_COPY_TIMEOUT = 3600.0
#: How a server says that it could not have the port.
_PORT_REASON = "PortInUse"


def default_data_dir(name: str) -> str:
    """Where the management plane ``name`` keeps its data unless told otherwise."""
    return os.path.join(user_data_home(), "kplane", name)


def installation_dir() -> str:
    """Where the role ``server`` installs kplane-server for a user unless told otherwise."""
    return os.path.join(user_data_home(), "kplane-server")


def find_executable(explicit: str | None = None) -> str | None:
    """The kplane-server to use: the given one, the one beside this interpreter, the user's installation, PATH."""
    if explicit:
        path = _io.expand(explicit)
        return path if os.access(path, os.X_OK) and os.path.isfile(path) else None
    for directory in (os.path.dirname(sys.executable), os.path.join(installation_dir(), "venv", "bin")):
        candidate = os.path.join(directory, EXECUTABLE)
        if os.access(candidate, os.X_OK) and os.path.isfile(candidate):
            return candidate
    return shutil.which(EXECUTABLE)


def installed_version(executable: str) -> str:
    """The version of kplane-server in the environment of its executable, read from its metadata; empty where that cannot be told."""
    environment = os.path.dirname(os.path.dirname(os.path.abspath(executable)))
    found = glob.glob(os.path.join(glob.escape(environment), "lib", "python*", "site-packages", "kplane_server-*.dist-info"))
    return os.path.basename(found[0])[len("kplane_server-") : -len(".dist-info")] if len(found) == 1 else ""


class EmbeddedDriver(Driver):
    """Drives one kplane-server and its data directory."""

    provider = "embedded"
    context_prefix = "embedded-"

    def __init__(self, name: str, data_dir: str | None = None, executable: str | None = None) -> None:
        super().__init__(name)
        self.data_dir = _io.expand(data_dir) if data_dir else default_data_dir(name)
        self._asked = executable

    # What is there

    @property
    def _admin_kubeconfig(self) -> str:
        return os.path.join(self.data_dir, ADMIN_KUBECONFIG)

    def kubeconfig(self) -> Kubeconfig:
        path = self._admin_kubeconfig
        content = _io.read_bytes(path)
        if content is None:
            raise ProviderError(f"There is no embedded management plane {self.name!r}: {path} does not exist", path=path)
        return Kubeconfig(_kubeconfig.check(_yaml.load(content, path), path), self.context, path, self.data_dir)

    def find(self) -> Plane | None:
        if not os.path.exists(self._admin_kubeconfig):
            # A start that was interrupted may have left a data directory without a credential.
            begun = os.path.exists(os.path.join(self.data_dir, MARKER))
            return Plane(self.provider, self.name, self.context, False, data_dir=self.data_dir) if begun else None
        found = self.kubeconfig()
        connection = _auth.connection(found.document, found.context, found.base, found.source)
        url = connection.url
        running, version = _probe(Client(connection))
        return Plane(
            provider=self.provider,
            name=self.name,
            context=self.context,
            running=running,
            server=connection.server,
            host=url.hostname or "",
            port=url.port or DEFAULT_PORT,
            version=version,
            kubeconfig=found.source,
            data_dir=self.data_dir,
        )

    def planes(self) -> list[str]:
        parent = os.path.dirname(default_data_dir(self.name))
        try:
            entries = sorted(os.listdir(parent))
        except OSError as exc:
            if exc.errno == errno.ENOENT:
                return []
            raise ProviderError(f"Cannot read {parent}: {exc.strerror or exc}", path=parent) from exc
        return [entry for entry in entries if os.path.exists(os.path.join(parent, entry, ADMIN_KUBECONFIG))]

    def drift(self, plane: Plane, options: Options) -> list[Drift]:
        found = []
        if options.port is not None and plane.port and plane.port != options.port:
            found.append(Drift("port", plane.port, options.port))
        if options.host is not None and plane.running and find_executable(self._asked):
            listens = str(self._run("status", timeout=_COMMAND_MARGIN).get("host") or plane.host)
            if listens != options.host:
                found.append(Drift("host", listens, options.host))
        executable = find_executable(self._asked)
        installed = installed_version(executable) if executable else ""
        running = plane.version.partition(_VERSION_MARK)[2]
        if installed and running and running != installed:
            found.append(Drift("version", running, installed))
        if options.advertise_addresses and plane.host != options.advertise_addresses[0].strip("[]"):
            found.append(Drift("advertise_addresses", plane.host, options.advertise_addresses[0]))
        return found

    def remembered(self, plane: Plane) -> _kubeconfig.Document:
        return {"dataDir": plane.data_dir} if plane.data_dir != default_data_dir(self.name) else {}

    # What is done

    def missing(self) -> str:
        if find_executable(self._asked):
            return ""
        if self._asked:
            return f"{self._asked} is not an executable file"
        return (
            f"{EXECUTABLE} is not installed: it is not beside {sys.executable}, not in {installation_dir()}/venv and not on PATH. "
            "The role kplane.core.server installs it; or name it with the option executable"
        )

    def _executable(self) -> str:
        found = find_executable(self._asked)
        if not found:
            raise ProviderMissing(self.missing() + ".")
        return found

    def _run(self, command: str, *arguments: str, timeout: float) -> dict[str, t.Any]:
        argv = [self._executable(), command, "--data-dir", self.data_dir, *arguments, "--output", "json"]
        try:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False)
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise ProviderError(f"{' '.join(argv)} failed: {exc}", cmd=argv) from exc
        stdout, stderr = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        known = {"cmd": argv, "rc": done.returncode, "stderr": stderr}
        try:
            result = json.loads(stdout)
        except ValueError as exc:
            if done.returncode == 0:
                raise ProviderError(f"{' '.join(argv)} printed no JSON", stdout=stdout, **known) from exc
            result = {}
        if done.returncode != 0 or not isinstance(result, dict):
            error = (result.get("error") or {}) if isinstance(result, dict) else {}
            message = error.get("message") or stderr.strip() or stdout.strip() or f"it ended with code {done.returncode}"
            raise ProviderError(f"{EXECUTABLE} {command} failed: {message}", reason=error.get("reason", ""), **known)
        return result

    def create(self, options: Options) -> Plane:
        before = self.find()
        host = options.host or DEFAULT_HOST
        if before is not None and before.running:
            return before
        if options.port is not None:
            ports = [options.port]
        elif before is not None and before.port:
            # Kubeconfigs that are out there name this port: it is kept, or the start fails and says so.
            ports = [before.port]
        else:
            ports = [port for port in range(DEFAULT_PORT, DEFAULT_PORT + PORT_RANGE) if _free(host, port)]
            if not ports:
                raise ProviderError(
                    f"No port from {DEFAULT_PORT} to {DEFAULT_PORT + PORT_RANGE - 1} is free on {host}; set the option port"
                )
        return self._start(host, ports, options)

    def _start(self, host: str, ports: list[int], options: Options) -> Plane:
        arguments = ["--cluster-name", self.name, "--host", host, "--wait-timeout", f"{options.wait_timeout:g}"]
        for address in options.advertise_addresses:
            arguments += ["--advertise-address", address]
        for port in ports:
            try:
                self._run("start", *arguments, "--port", str(port), timeout=options.wait_timeout + _COMMAND_MARGIN)
                break
            except ProviderError as exc:
                # Another process may have taken the port since it was seen free.
                if exc.details.get("reason") != _PORT_REASON or port == ports[-1]:
                    raise
        plane = self.find()
        if plane is None or not plane.running:
            raise ProviderError(f"{EXECUTABLE} said that it started, but nothing answers for {self._admin_kubeconfig}")
        return plane

    def recreate(self, options: Options) -> Plane:
        before = self.find()
        self.stop()
        if before is not None and options.port is None:
            options = options._replace(port=before.port)
        return self._start(options.host or DEFAULT_HOST, [options.port or DEFAULT_PORT], options)

    def stop(self) -> None:
        self._run("stop", timeout=_STOP_TIMEOUT + _COMMAND_MARGIN)

    def backup(self, path: str) -> dict[str, t.Any]:
        """Write everything to one file; a server that runs goes on."""
        return self._run("backup", "--file", path, timeout=_COPY_TIMEOUT)

    def restore(self, path: str, force: bool, check: bool) -> dict[str, t.Any]:
        """Become what the file at ``path`` holds. A server that runs is stopped for it, and is not started again."""
        arguments = ["--file", path, *(["--force"] if force else [])]
        found = self._run("restore", *arguments, "--check", timeout=_COPY_TIMEOUT)
        if check or not found["changed"]:
            return found
        self.stop()
        try:
            return self._run("restore", *arguments, timeout=_COPY_TIMEOUT)
        except ProviderError as exc:
            exc.message += ". The server is stopped; the playbook kplane.core.up starts it"
            raise

    def delete(self) -> None:
        if not os.path.exists(os.path.join(self.data_dir, MARKER)):
            raise ProviderError(
                f"{self.data_dir} is not removed: it has no {MARKER}, so it is not a data directory of {EXECUTABLE}", path=self.data_dir
            )
        plane = self.find()
        # A server that is not running needs no executable to be removed.
        if find_executable(self._asked) or (plane is not None and plane.running):
            self.stop()
        try:
            shutil.rmtree(self.data_dir)
        except OSError as exc:
            raise ProviderError(f"Cannot remove {self.data_dir}: {exc.strerror or exc}", path=self.data_dir) from exc
        if self.data_dir == default_data_dir(self.name):
            with contextlib.suppress(OSError):  # other management planes live there
                os.rmdir(os.path.dirname(self.data_dir))


def _probe(client: Client) -> tuple[bool, str]:
    """Whether the server is ready, and what version it says it has."""
    if not client.ready(_READY_TIMEOUT):
        return False, ""
    try:
        return True, str(client.request("GET", "/version", timeout=_READY_TIMEOUT).json().get("gitVersion") or "")
    except KplaneError:
        return False, ""


def _free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), port))
        except OSError:
            return False
    return True
