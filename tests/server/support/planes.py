# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A control plane without HTTP: access on the in-memory store, and short ways to put objects into it."""

from __future__ import annotations

import uuid

from kplane_server.access.authentication import Authenticator
from kplane_server.access.rbac import RBAC_GROUP, RbacAuthorizer
from kplane_server.access.tokens import TokenIssuer
from kplane_server.model.errors import Json
from kplane_server.model.identity import UserInfo
from kplane_server.model.keys import ObjectKey, ResourceId
from kplane_server.registry import codec
from kplane_server.storage.api import Mutation, Store, VcpRecord

MASTER_SECRET = bytes(range(32))
BASE_URL = "https://127.0.0.1:8443"


class Clock:
    """Time that stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


class Plane:
    """One control plane."""

    def __init__(self, store: Store, record: VcpRecord, clock: Clock, admin_digest: bytes | None = None) -> None:
        self.store, self.vcp, self.clock = store, record, clock
        self.api = self
        self.issuer = TokenIssuer(MASTER_SECRET, record, BASE_URL, clock=clock)
        self.authenticator = Authenticator(self, self.issuer, admin_digest=admin_digest, clock=clock)
        self.authorizer = RbacAuthorizer(self)

    async def put(self, resource: str, namespace: str, name: str, kind: str = "Thing", **fields: Json) -> dict[str, Json]:
        """Store an object over whatever is there."""
        metadata = {"name": name, **({"namespace": namespace} if namespace else {}), "uid": str(uuid.uuid4()), **fields.pop("metadata", {})}
        document = {"apiVersion": "v1", "kind": kind, "metadata": metadata, **fields}
        key = ObjectKey(self.vcp.id, ResourceId(resource), namespace, name)
        await self.store.commit([Mutation(key, codec.encode(document), uid=metadata["uid"])])
        return document

    async def remove(self, resource: str, namespace: str, name: str) -> None:
        key = ObjectKey(self.vcp.id, ResourceId(resource), namespace, name)
        stored = self.store.get(key)
        assert stored is not None
        await self.store.commit([Mutation(key, codec.encode(codec.decode(stored.value)), delete=True)])

    async def account(self, namespace: str = "default", name: str = "robot") -> dict[str, Json]:
        return await self.put("serviceaccounts", namespace, name, "ServiceAccount")

    async def role(self, name: str, *rules: Json, namespace: str = "", **fields: Json) -> None:
        resource = "roles" if namespace else "clusterroles"
        await self.put(f"{resource}.{RBAC_GROUP}", namespace, name, "Role", rules=list(rules), **fields)

    async def bind(self, name: str, role: str, *subjects: Json, namespace: str = "", kind: str = "ClusterRole") -> None:
        resource = "rolebindings" if namespace else "clusterrolebindings"
        reference = {"apiGroup": RBAC_GROUP, "kind": kind, "name": role}
        await self.put(f"{resource}.{RBAC_GROUP}", namespace, name, "Binding", roleRef=reference, subjects=list(subjects))


def user(name: str, *groups: str) -> UserInfo:
    return UserInfo(name, groups=(*groups, "system:authenticated"))
