# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole management plane in memory, without HTTP: store, directory and controllers, with a clock of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from kplane_server.admission.chain import default_chain
from kplane_server.controllers.manager import Controllers
from kplane_server.model.identity import UserInfo
from kplane_server.model.keys import VcpId
from kplane_server.registry import codec
from kplane_server.registry.api import ControlPlaneApi
from kplane_server.registry.options import DeleteOptions, Patch, RequestContext
from kplane_server.registry.resource import ResourceInfo
from kplane_server.storage.api import StorageUnavailable, VcpRecord
from kplane_server.storage.memory import MemoryStore
from kplane_server.vcp.bootstrap import BootstrapLayer
from kplane_server.vcp.directory import Directory
from kplane_server.vcp.plane import ManagementPlane
from kplane_server.vcp.surroundings import asking_plugins

Document = dict[str, Any]
ADMIN = UserInfo("kplane-admin", groups=("system:masters", "system:authenticated"))
KPLANE = "controlplane.kplane.dev/v1alpha1"


class Clock:
    """Seconds since the epoch that move only when told to."""

    def __init__(self) -> None:
        self.now = float(int(time.time()))

    def __call__(self) -> float:
        return self.now


class FusedStore(MemoryStore):
    """A store whose writes fail after so many: what the disk sees of a process that is killed there."""

    fuse: int | None = None
    dead = False
    writes = 0

    def _burn(self) -> None:
        if self.fuse is not None and self.writes >= self.fuse:
            self.dead = True
            raise StorageUnavailable("the process is dead")
        self.writes += 1

    async def commit(self, mutations: Any, bounds: Any = None) -> list[int]:
        self._burn()
        return await super().commit(mutations, bounds)

    async def settle_vcp(self, *args: Any, **kwargs: Any) -> VcpRecord:
        self._burn()
        return await super().settle_vcp(*args, **kwargs)

    async def create_vcp(self, *args: Any, **kwargs: Any) -> VcpRecord:
        self._burn()
        return await super().create_vcp(*args, **kwargs)

    async def set_vcp_state(self, *args: Any, **kwargs: Any) -> VcpRecord:
        self._burn()
        return await super().set_vcp_state(*args, **kwargs)

    async def wipe_vcp(self, vcp: VcpId, *, batch: int = 2_000) -> int:
        self._burn()
        return await super().wipe_vcp(vcp, batch=batch)

    async def garbage_done(self, vcp: VcpId, owner_uid: str) -> None:
        self._burn()
        await super().garbage_done(vcp, owner_uid)


class World:
    """Start it, write to it, let it settle, look."""

    def __init__(self, **plane: Any) -> None:
        self.clock = Clock()
        options: dict[str, Any] = {
            "base_url": "https://127.0.0.1:8443",
            "port": 8443,
            "ca_certificate": b"-----BEGIN CERTIFICATE-----\nTEST\n",
            **plane,
        }
        self.plane = ManagementPlane(master_secret=b"0123456789abcdef0123456789abcdef", **options)
        self.store = FusedStore(layer=BootstrapLayer(self.plane), clock=self.clock)
        self.directory: Directory
        self.controllers: Controllers
        self._build()

    def _build(self) -> None:
        self.directory = Directory(self.store, self.plane, lambda one: default_chain(asking_plugins(one)), clock=self.clock)
        self.controllers = Controllers(self.directory, self.clock)

    async def start(self) -> None:
        await self.controllers.start()

    async def stop(self) -> None:
        await self.controllers.stop()

    async def restart(self, **plane: Any) -> None:
        """Another process on the same data, perhaps under another address."""
        self.store.fuse, self.store.dead = None, False
        await self.controllers.stop()
        if plane:
            former = (*self.plane.former_base_urls, self.plane.base_url)
            options = {**vars(self.plane), "former_base_urls": former, **plane}
            self.plane = ManagementPlane(**{k: v for k, v in options.items() if k in ManagementPlane.__dataclass_fields__})
        self._build()
        await self.controllers.start()

    async def settle(self, until: Callable[[], object] | None = None, timeout: float = 10.0) -> None:
        """Until the controllers have nothing to do, and ``until`` (if given) holds."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            await asyncio.sleep(0.002)
            if self.store.dead:
                raise StorageUnavailable("the process is dead")
            if self.controllers.idle and (until is None or until()):
                return
        raise AssertionError(f"it does not settle: {self.controllers.statistics()}")

    def api(self, vcp: str = "root") -> ControlPlaneApi:
        found = self.directory.find(vcp)
        assert found is not None, f"no control plane {vcp!r}"
        return found.api

    def info(self, kind: str, vcp: str = "root") -> ResourceInfo:
        return next(row for row in self.api(vcp).resources.all() if row.kind == kind and row.stored)

    async def create(self, document: Document, vcp: str = "root", user: UserInfo = ADMIN) -> Document:
        info = next(
            row for row in self.api(vcp).resources.all() if (str(row.group_version), row.kind) == (document["apiVersion"], document["kind"])
        )
        namespace = document["metadata"].get("namespace", "")
        made = await self.api(vcp).create(info, namespace, document, RequestContext(user))
        parsed: Document = codec.decode(made.value)
        return parsed

    def get(self, kind: str, name: str, namespace: str = "", vcp: str = "root") -> Document | None:
        return self.api(vcp).document(self.info(kind, vcp), namespace, name)

    def read(self, kind: str, name: str, namespace: str = "", vcp: str = "root") -> Document:
        found = self.get(kind, name, namespace, vcp)
        assert found is not None, f"no {kind} {namespace}/{name} in {vcp}"
        return found

    def names(self, kind: str, namespace: str | None = None, vcp: str = "root") -> list[str]:
        return [item.key.name for item in self.api(vcp).list(self.info(kind, vcp), namespace).items]

    async def merge(
        self, kind: str, name: str, patch: Document, namespace: str = "", vcp: str = "root", user: UserInfo = ADMIN
    ) -> Document:
        change = Patch("application/merge-patch+json", patch)
        written = await self.api(vcp).patch(self.info(kind, vcp), namespace, name, change, RequestContext(user))
        parsed: Document = codec.decode(written.stored.value)
        return parsed

    async def delete(self, kind: str, name: str, namespace: str = "", vcp: str = "root", policy: str = "") -> None:
        options = DeleteOptions(propagation_policy=policy)
        await self.api(vcp).delete(self.info(kind, vcp), namespace, name, options, RequestContext(ADMIN))

    # -- the kplane kinds

    async def control_plane(self, name: str, spec: Document | None = None, annotations: dict[str, str] | None = None) -> Document:
        """Make a ControlPlane and let the operator do its part."""
        metadata: Document = {"name": name, **({"annotations": annotations} if annotations else {})}
        await self.create({"apiVersion": KPLANE, "kind": "ControlPlane", "metadata": metadata, "spec": spec or {}})
        await self.settle()
        return self.read("ControlPlane", name)

    def condition(self, kind: str, name: str, condition: str) -> tuple[str, str]:
        """(status, reason) of a condition, or two empty strings."""
        conditions = (self.read(kind, name).get("status") or {}).get("conditions") or []
        return next(((c["status"], c["reason"]) for c in conditions if c["type"] == condition), ("", ""))
