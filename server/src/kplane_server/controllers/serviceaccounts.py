# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ServiceAccounts: the one called ``default`` is in every namespace, and Secrets that ask for a token of an account hold one.

Mostly a new namespace has its account from the commit that makes it; here it is made again when somebody deleted it. The owner's own
account is the operator's to make; here it is told at once when a tenant deleted it, or its role.

Source: https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Hashable, Iterable
from typing import Any, Final, NamedTuple

from kplane_server.access import legacy_tokens
from kplane_server.controllers import documents
from kplane_server.controllers.runtime import WorkQueue
from kplane_server.model import timestamps
from kplane_server.model.keys import ROOT_VCP_ID, ObjectKey, ResourceId, Scope, VcpId
from kplane_server.registry import codec
from kplane_server.storage.api import Event, EventType, Store
from kplane_server.vcp import contract
from kplane_server.vcp.controlplane import ControlPlane
from kplane_server.vcp.directory import Directory
from kplane_server.vcp.standing import decode

Document = dict[str, Any]

NAMESPACES: Final = ResourceId("namespaces")
SECRETS: Final = ResourceId("secrets")
SERVICE_ACCOUNTS: Final = ResourceId("serviceaccounts")
CLUSTER_ROLE_BINDINGS: Final = ResourceId("clusterrolebindings.rbac.authorization.k8s.io")
DEFAULT: Final = "default"

#: What the owner of a control plane gets in by, and the namespace that it is in.
_OWNERS: Final = frozenset(
    {
        (SERVICE_ACCOUNTS, contract.SYSTEM_NAMESPACE, contract.ADMIN_ACCOUNT),
        (CLUSTER_ROLE_BINDINGS, "", contract.ADMIN_ACCOUNT),
        (NAMESPACES, "", contract.SYSTEM_NAMESPACE),
    }
)
_TOKEN_TYPE: Final = f'"type":"{legacy_tokens.SECRET_TYPE}"'.encode()


class Account(NamedTuple):
    """A ServiceAccount whose presence, and whose token Secrets, are to be looked at."""

    vcp: VcpId
    namespace: str
    name: str


class TokenSecret(NamedTuple):
    """A Secret that asks for a token."""

    vcp: VcpId
    namespace: str
    name: str


class Owner(NamedTuple):
    """A control plane whose owner's account, or its role, is gone."""

    vcp: VcpId


class ServiceAccountController:
    """Keys are accounts, token Secrets and owners, of all control planes. ``look``: has the operator look at a ControlPlane."""

    name = "serviceaccount"
    resources: frozenset[ResourceId] | None = frozenset({SERVICE_ACCOUNTS, SECRETS, NAMESPACES, CLUSTER_ROLE_BINDINGS})
    concurrency = 8

    def __init__(self, directory: Directory, look: Callable[[str], None], clock: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._look = look
        self._store = directory.store
        self._clock = clock

    def attach(self, queue: WorkQueue) -> None:
        return None

    def observe(self, event: Event) -> Iterable[Hashable]:
        vcp, resource, namespace, name = event.key
        if event.type is EventType.DELETED and (resource, namespace, name) in _OWNERS and vcp != ROOT_VCP_ID:
            return (Owner(vcp),)
        if resource == SERVICE_ACCOUNTS:
            if event.type is not EventType.DELETED or self._store.get(ObjectKey(vcp, NAMESPACES, "", namespace)) is None:
                return ()  # in the second case it went with its namespace
            return (Account(vcp, namespace, name),)
        if resource == NAMESPACES:
            made = event.type is EventType.ADDED and self._store.get(ObjectKey(vcp, SERVICE_ACCOUNTS, name, DEFAULT)) is None
            return (Account(vcp, name, DEFAULT),) if made else ()
        if event.type is not EventType.DELETED and _TOKEN_TYPE in event.value:
            return (TokenSecret(vcp, namespace, name),)
        return ()

    async def resync(self) -> AsyncIterator[Hashable]:
        return
        yield

    async def reconcile(self, key: Hashable) -> float | None:
        if isinstance(key, TokenSecret):
            await self._fill(key)
        elif isinstance(key, Account):
            await self._account(key)
        elif isinstance(key, Owner):
            self._owner(key.vcp)
        return None

    def _owner(self, vcp: VcpId) -> None:
        """Tell the operator, unless the namespace of the account is on its way out: its end is told too."""
        record = self._store.vcp_by_id(vcp)
        namespace = ObjectKey(vcp, NAMESPACES, "", contract.SYSTEM_NAMESPACE)
        if record is None or (self._store.get(namespace) is not None and not is_active(self._store, vcp, namespace.name)):
            return
        self._look(decode(record.settings).control_plane or record.name)

    async def _account(self, key: Account) -> None:
        stored = self._store.get(ObjectKey(key.vcp, SERVICE_ACCOUNTS, key.namespace, key.name))
        if stored is None and key.name == DEFAULT and is_active(self._store, key.vcp, key.namespace):
            document: Document = {"apiVersion": "v1", "kind": "ServiceAccount"}
            now = timestamps.from_epoch(self._clock())
            mutation = documents.creation(ObjectKey(key.vcp, SERVICE_ACCOUNTS, key.namespace, DEFAULT), document, now)
            await self._store.commit([mutation])
        if stored is not None:
            return
        for item in self._store.page(Scope(key.vcp, SECRETS, key.namespace)).items:
            if _TOKEN_TYPE in item.value and legacy_tokens.account_name(codec.decode(item.value)) == key.name:
                await self._fill(TokenSecret(key.vcp, key.namespace, item.key.name))

    async def _fill(self, key: TokenSecret) -> None:
        """Give a Secret its token, or delete it if its account is not there (upstream's token controller does both)."""
        stored = self._store.get(ObjectKey(key.vcp, SECRETS, key.namespace, key.name))
        control_plane = self._directory.get(key.vcp)
        if stored is None or control_plane is None:
            return
        secret: Document = codec.decode(stored.value)
        name = legacy_tokens.account_name(secret)
        if name is None or "deletionTimestamp" in secret["metadata"]:
            return
        account = self._store.get(ObjectKey(key.vcp, SERVICE_ACCOUNTS, key.namespace, name))
        if account is None or not legacy_tokens.belongs(secret, codec.decode(account.value)):
            await self._store.commit([documents.removal(stored)])
            return
        filled = self._filled(control_plane, secret, codec.decode(account.value))
        if filled is not None:
            await self._store.commit([documents.change(stored, filled)])

    def _filled(self, control_plane: ControlPlane, secret: Document, account: Document) -> Document | None:
        filled: Document | None = legacy_tokens.filled(secret, account, control_plane.issuer, control_plane.plane.ca_certificate)
        return filled


def is_active(store: Store, vcp: VcpId, namespace: str) -> bool:
    """Whether a namespace is there and is not being deleted."""
    stored = store.get(ObjectKey(vcp, NAMESPACES, "", namespace))
    return stored is not None and "deletionTimestamp" not in codec.decode(stored.value)["metadata"]
