# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The composition root: builds every room from the settings, and owns start, readiness and the orderly stop."""

from __future__ import annotations

import asyncio
import gc
import heapq
import ipaddress
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any, Final

import yaml

from kplane_server import __version__
from kplane_server.admission.chain import default_chain
from kplane_server.admission.outbound import Outbound
from kplane_server.admission.webhook_client import WebhookClient
from kplane_server.admission.webhooks import webhook_plugins
from kplane_server.controllers.manager import Controllers
from kplane_server.http.audit import Auditor
from kplane_server.http.auditlog import AuditLog
from kplane_server.http.auditpolicy import AuditPolicy, parse_policy
from kplane_server.http.frontdoor import FrontDoor
from kplane_server.http.metrics import Metrics
from kplane_server.http.transport import AddressInUse, Transport, bind
from kplane_server.model.keys import ResourceId
from kplane_server.model.names import ROOT
from kplane_server.process import datadir, pki
from kplane_server.process.admin import ensure_admin_credential
from kplane_server.process.datadir import DataDir, ServerState
from kplane_server.process.failures import ProcessError
from kplane_server.process.pki import ServerIdentity
from kplane_server.settings import AuditSettings, ListenSettings, Settings
from kplane_server.storage.api import StorageUnavailable, UnknownFormat, VcpRecord
from kplane_server.storage.sqlite import SqliteStore
from kplane_server.vcp.bootstrap import BootstrapLayer
from kplane_server.vcp.directory import Directory
from kplane_server.vcp.plane import ManagementPlane
from kplane_server.vcp.surroundings import asking_plugins, surroundings

log = logging.getLogger(__name__)

#: The certificate is looked at this often (seconds); it is renewed months before it ends.
CERTIFICATE_INTERVAL: Final = 6 * 3600.0
#: A parent that cannot be waited for is looked at this often (seconds).
PARENT_INTERVAL: Final = 1.0
#: File descriptors that the server asks for; more than ``max_connections`` needs.
MAX_DESCRIPTORS: Final = 65_536
#: The collector of reference cycles runs rarely: requests make none, and a full run over a large working set costs milliseconds.
GC_THRESHOLDS: Final = (20_000, 20, 50)


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises ProcessError for what keeps the server from starting."""
    _raise_descriptor_limit()
    with datadir.open(settings.data_dir) as directory:
        _run_loop(_serve(settings, directory))


def _raise_descriptor_limit() -> None:
    """Every watch is a connection; the usual soft limit of 1,024 descriptors is for programs that use ``select``."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _run_loop(main: Coroutine[Any, Any, None]) -> None:
    if sys.platform == "win32":
        asyncio.run(main)
    else:
        import uvloop  # there is none for Windows

        uvloop.run(main)


async def _serve(settings: Settings, data: DataDir) -> None:
    listening = _bind(settings.listen)
    with listening:
        server = Server(settings, data, listening)
        await server.run()


def _check_root_name(name: str, store: SqliteStore) -> None:
    """Another name of root must not hide a control plane that is there."""
    if name != ROOT and store.vcp(name) is not None:
        text = f"--root-control-plane-name: there is a virtual control plane {name!r}; choose another name, or delete that one first"
        raise ProcessError("RootNameTaken", text)


def _bind(listen: ListenSettings) -> socket.socket:
    try:
        return bind(listen.host, listen.port)
    except AddressInUse as error:
        raise ProcessError("PortInUse", str(error)) from error
    except OSError as error:
        raise ProcessError("AddressUnusable", f"cannot listen on {listen.host}:{listen.port}: {error}") from error


class Server:
    """One run of a server."""

    def __init__(self, settings: Settings, data: DataDir, listening: socket.socket) -> None:
        self._settings = settings
        self._data = data
        self._listening = listening
        self._stopping = asyncio.Event()
        self._why = ""

    async def run(self) -> None:
        """Start, serve, stop in order."""
        started = time.monotonic()
        settings, data = self._settings, self._data
        identity = self._identity()
        credential = ensure_admin_credential(
            settings.admin_kubeconfig_path, settings.cluster_name, settings.listen.base_url, identity.ca_pem
        )
        plane = ManagementPlane(
            base_url=settings.listen.base_url,
            port=settings.listen.port,
            ca_certificate=identity.ca_pem,
            master_secret=data.master_secret,
            advertise_address=_advertised_address(settings.listen),
            former_base_urls=datadir.former_base_urls(data.path, settings.listen.base_url),
        )
        async with AsyncExitStack() as stack:
            self._catch_signals()
            layer = BootstrapLayer(plane)
            store = self._open_store(layer)
            stack.push_async_callback(store.close)
            _check_root_name(settings.root_name, store)
            outbound = Outbound(settings.outbound, settings.listen.port)
            stack.push_async_callback(outbound.close)
            directory = Directory(
                store,
                plane,
                lambda one: default_chain([*asking_plugins(one), *webhook_plugins(lambda: one.api.registry, one.hooks, surroundings(one))]),
                admin_digest=credential.digest,
                hooks=lambda one: WebhookClient(one.record.id, store, outbound),
                root_name=settings.root_name,
            )
            controllers = Controllers(directory, usage_interval=settings.limits.usage_interval)
            metrics = Metrics()
            _add_rankings(metrics, store, directory)
            metrics.add_source("kplane_storage", "Of the store.", store.statistics)
            metrics.add_source("kplane_controller", "Of the controllers.", controllers.statistics)
            metrics.add_source("kplane_outbound", "Of the requests to webhooks.", outbound.statistics)
            ping: dict[str, Callable[[], str | None]] = {"ping": lambda: None}
            alive = {**ping, "storage": store.healthy, "controllers": controllers.healthy}
            ready = {**alive, **_bootstrap_checks(layer, directory.root.record), "shutdown": lambda: self._why or None}
            auditor = _auditor(settings.audit, metrics, stack)
            door = FrontDoor(settings, directory, metrics, liveness=alive, readiness=ready, auditor=auditor)
            await controllers.start()
            stack.push_async_callback(controllers.stop)
            transport = Transport(door.handle, self._listening, identity.cert_path, identity.key_path, settings.limits)
            await transport.start()
            stack.push_async_callback(transport.stop)
            stack.callback(door.streams.close_all)
            data.announce(self._state())
            gc.collect()
            gc.freeze()
            gc.set_threshold(*GC_THRESHOLDS)
            log.info("serving %s (process %d) after %.0f ms", settings.listen.base_url, os.getpid(), (time.monotonic() - started) * 1000)
            async with asyncio.TaskGroup() as tasks:
                watchers = [tasks.create_task(self._keep_certificate(identity, transport), name="certificate")]
                if settings.parent_pid is not None:
                    watchers.append(tasks.create_task(self._watch_parent(settings.parent_pid), name="parent"))
                await self._stopping.wait()
                log.info("stopping: %s", self._why)
                for watcher in watchers:
                    watcher.cancel()
        log.info("stopped")

    def stop(self, why: str) -> None:
        """Begin the orderly stop; the first reason counts."""
        self._why = self._why or why
        self._stopping.set()

    def _catch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop, signal.Signals(number).name)

    def _identity(self) -> ServerIdentity:
        listen = self._settings.listen
        names = [*pki.local_names(), *listen.advertise_addresses]
        if listen.host not in ("", "0.0.0.0", "::"):
            names.append(listen.host)
        return pki.ensure(self._data.path, names, datetime.now(UTC))

    def _open_store(self, layer: BootstrapLayer) -> SqliteStore:
        path = self._data.path / datadir.STORE
        try:
            return SqliteStore.open(path, layer=layer, layer_version=layer.version, synchronous=self._settings.storage.synchronous)
        except (UnknownFormat, StorageUnavailable) as error:
            raise ProcessError("StorageUnusable", f"{path}: {error}") from error

    def _state(self) -> ServerState:
        settings = self._settings
        return ServerState(
            pid=os.getpid(),
            url=settings.listen.base_url,
            host=settings.listen.host,
            port=settings.listen.port,
            version=__version__,
            cluster_name=settings.cluster_name,
            kubeconfig=str(settings.admin_kubeconfig_path),
            started=time.time(),
        )

    async def _keep_certificate(self, identity: ServerIdentity, transport: Transport) -> None:
        """Renew the serving certificate in time; connections that are open keep theirs."""
        while True:
            await asyncio.sleep(CERTIFICATE_INTERVAL)
            try:
                renewed = self._identity()
                if renewed.not_after != identity.not_after:
                    await transport.renew()
                    identity = renewed
            except Exception:  # tried again at the next look; until then the present one is good
                log.exception("the serving certificate could not be renewed; it ends at %s", identity.not_after)

    async def _watch_parent(self, pid: int) -> None:
        """Stop when the process ``pid`` is gone."""
        if hasattr(os, "pidfd_open"):
            try:
                descriptor = os.pidfd_open(pid)
            except ProcessLookupError:
                self.stop(f"parent process {pid} is gone")
                return
            gone = asyncio.Event()
            loop = asyncio.get_running_loop()
            loop.add_reader(descriptor, gone.set)
            try:
                await gone.wait()
            finally:
                loop.remove_reader(descriptor)
                os.close(descriptor)
        else:
            while _exists(pid):
                await asyncio.sleep(PARENT_INTERVAL)
        self.stop(f"parent process {pid} is gone")


def _auditor(settings: AuditSettings, metrics: Metrics, stack: AsyncExitStack) -> Auditor | None:
    """The audit log, if one is asked for; it is closed after everything that writes to it."""
    if settings.log is None:
        return None
    try:
        document = None if settings.policy is None else yaml.safe_load(settings.policy.read_text(encoding="utf-8"))
        policy = AuditPolicy() if settings.policy is None else parse_policy(document)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ProcessError("AuditUnusable", f"{settings.policy}: {error}") from error
    try:
        audit_log = AuditLog(settings.log, settings.max_bytes, settings.backups)
    except OSError as error:
        raise ProcessError("AuditUnusable", f"{settings.log}: {error}") from error
    stack.callback(audit_log.close)
    metrics.add_source("kplane_audit", "Of the audit log.", audit_log.statistics)
    return Auditor(policy, audit_log.write)


def _add_rankings(metrics: Metrics, store: SqliteStore, directory: Directory) -> None:
    """What the largest control planes hold, and who has most watches open."""

    def objects(limit: int) -> tuple[list[tuple[str, float]], float]:
        return [(name, usage.objects) for name, usage in store.largest(limit)[0]], store.total().objects

    def size(limit: int) -> tuple[list[tuple[str, float]], float]:
        return [(name, usage.bytes) for name, usage in store.largest(limit)[1]], store.total().bytes

    def watches(limit: int) -> tuple[list[tuple[str, float]], float]:
        opened = directory.activity.watches
        records = [(store.vcp_by_id(vcp), count) for vcp, count in heapq.nlargest(limit, opened.items(), key=lambda item: item[1])]
        return [(record.name, count) for record, count in records if record is not None], sum(opened.values())

    metrics.add_ranking("kplane_vcp_objects", "Objects beside those of the bootstrap layer, of the largest control planes.", objects)
    metrics.add_ranking("kplane_vcp_bytes", "Bytes of these objects, of the largest control planes.", size)
    metrics.add_ranking("kplane_vcp_watches", "Open watches, of the control planes with most.", watches)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _advertised_address(listen: ListenSettings) -> str:
    """The first of the advertised names that is an address; it stands in the Endpoints of Service ``kubernetes``."""
    for name in (*listen.advertise_addresses, listen.host):
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            continue
        if not address.is_unspecified:
            return str(address)
    return "127.0.0.1"


#: The hooks that tools look for in ``/readyz?verbose`` → an object of the bootstrap layer that shows the work of each as done.
_HOOKS: Final = {
    "start-system-namespaces-controller": ("namespaces", "", "kube-system"),
    "bootstrap-controller": ("services", "default", "kubernetes"),
    "start-cluster-authentication-info-controller": ("configmaps", "kube-system", "extension-apiserver-authentication"),
    "start-legacy-token-tracking-controller": ("configmaps", "kube-system", "kube-apiserver-legacy-service-account-token-tracking"),
    "rbac/bootstrap-roles": ("clusterroles.rbac.authorization.k8s.io", "", "cluster-admin"),
}


def _bootstrap_checks(layer: BootstrapLayer, root: VcpRecord) -> dict[str, Callable[[], str | None]]:
    """Whether the layer gives a control plane what upstream's start-up hooks would make."""

    def check(resource: str, namespace: str, name: str) -> Callable[[], str | None]:
        return lambda: None if layer.get(root, ResourceId(resource), namespace, name) else f"{resource} {name} is not in the layer"

    return {f"poststarthook/{hook}": check(*key) for hook, key in _HOOKS.items()}
