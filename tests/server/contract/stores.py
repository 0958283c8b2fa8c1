# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the storage tests share: a small layer, keys, drafts, and how each store is made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from kplane_server.model.keys import ROOT_VCP_ID, ObjectKey, ResourceId, Scope, VcpId
from kplane_server.storage.api import ANY, Draft, Mutation, Store, VcpRecord
from kplane_server.storage.memory import MemoryStore
from kplane_server.storage.overlay import LayerSource, NoLayer
from kplane_server.storage.sqlite import SqliteStore

CONFIGMAPS = ResourceId("configmaps")
SECRETS = ResourceId("secrets")
ROLES = ResourceId("clusterroles.rbac.authorization.k8s.io")
SERVICES = ResourceId("services")


class SmallLayer:
    """A layer of two resources. Its documents bear the uid of their VCP, so that a mix-up shows."""

    CONTENT = {ROLES: (("", "admin"), ("", "edit"), ("", "view")), SERVICES: (("default", "kubernetes"), ("kube-system", "dns"))}  # noqa: RUF012

    def get(self, vcp: VcpRecord, resource: ResourceId, namespace: str, name: str) -> bytes | None:
        if (namespace, name) not in self.CONTENT.get(resource, ()):
            return None
        return f"layer {vcp.uid} {resource} {namespace}/{name} at {vcp.revision}".encode()

    def names(self, vcp: VcpRecord, resource: ResourceId) -> Sequence[tuple[str, str]]:
        return self.CONTENT.get(resource, ())

    def resources(self, vcp: VcpRecord) -> Iterable[ResourceId]:
        return self.CONTENT


def layer_for(record: VcpRecord) -> SmallLayer | NoLayer:
    """VCPs have the small layer, root has none."""
    return NoLayer() if record.id == ROOT_VCP_ID else SmallLayer()


def make(kind: str, folder: Path, *, layer: LayerSource = layer_for, **options: Any) -> Store:
    """A store of a kind; needs a running loop."""
    if kind == "memory":
        options.pop("synchronous", None)
        return MemoryStore(layer=layer, **options)
    return SqliteStore.open(folder / "store.db", layer=layer, **options)


def key(name: str = "a", namespace: str = "default", resource: ResourceId = CONFIGMAPS, vcp: VcpId = ROOT_VCP_ID) -> ObjectKey:
    return ObjectKey(vcp, resource, namespace, name)


def put(where: ObjectKey, text: str = "", expected: int = ANY, **more: Any) -> Mutation:
    """A write of a document that says its revision and ``text``."""
    return Mutation(where, Draft(b"r", f" {text}".encode()), expected, **more)


def delete(where: ObjectKey, expected: int = ANY, **more: Any) -> Mutation:
    return Mutation(where, Draft(b"r", b" deleted"), expected, delete=True, **more)


def document(revision: int, text: str = "") -> bytes:
    """What :func:`put` has written at a revision."""
    return f"r{revision} {text}".encode()


def names(store: Store, scope: Scope, **options: Any) -> list[str]:
    """The ``namespace/name`` of everything in a scope, page by page if a limit is given."""
    return [f"{s.key.namespace}/{s.key.name}" for s in store.page(scope, **options).items]


def scope(resource: ResourceId = CONFIGMAPS, namespace: str | None = None, vcp: VcpId = ROOT_VCP_ID) -> Scope:
    return Scope(vcp, resource, namespace)


async def new_vcp(store: Store, name: str = "one", uid: str = "") -> VcpRecord:
    return await store.create_vcp(name, uid or f"uid-of-{name}", created=1_700_000_000)
