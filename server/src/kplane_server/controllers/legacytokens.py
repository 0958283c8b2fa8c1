# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens in Secrets that were made for an account long ago: their use is noted, and those that nobody used for a year go.

Only Secrets that an account names among its ``secrets`` count as made for it; those that somebody made by hand stay. First such a
Secret is marked, which makes its token invalid; a year later it is deleted. Whoever needs it after all takes the mark away.

Source: https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#legacy-serviceaccount-token-cleaner
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Callable, Hashable, Iterable
from typing import Any, Final, NamedTuple

from kplane_server.access import legacy_tokens
from kplane_server.controllers import documents
from kplane_server.controllers.runtime import WorkQueue
from kplane_server.model import timestamps
from kplane_server.model.keys import ROOT_VCP_ID, ObjectKey, ResourceId, Scope, VcpId
from kplane_server.registry import codec
from kplane_server.storage.api import Event, EventType, Stored
from kplane_server.vcp.directory import Directory

Document = dict[str, Any]

SECRETS: Final = ResourceId("secrets")
ACCOUNTS: Final = ResourceId("serviceaccounts")
PODS: Final = ResourceId("pods")

#: How long a token may lie unused, and how long a marked one lies (seconds; upstream's default).
UNUSED_FOR: Final = 365 * 86_400.0
#: How soon a token that is kept for another reason is looked at again.
LOOK_AGAIN: Final = 86_400.0

LAST_USED: Final = "kubernetes.io/legacy-token-last-used"
INVALID_SINCE: Final = "kubernetes.io/legacy-token-invalid-since"
_TRACKING: Final = (ResourceId("configmaps"), "kube-system", "kube-apiserver-legacy-service-account-token-tracking")
_TOKEN_TYPE: Final = f'"type":"{legacy_tokens.SECRET_TYPE}"'.encode()
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class Review(NamedTuple):
    """A control plane whose tokens of earlier runs are to be taken on."""

    vcp: VcpId


class LegacyTokenCleaner:
    """Keys are the ObjectKeys of token Secrets. Control planes without any cost nothing."""

    name = "legacyserviceaccounttokencleaner"
    resources: frozenset[ResourceId] | None = frozenset({SECRETS})
    concurrency = 2

    def __init__(self, directory: Directory, clock: Callable[[], float] = time.time) -> None:
        self._store = directory.store
        self._clock = clock
        self._queue: WorkQueue | None = None
        self._used: set[ObjectKey] = set()
        self._reviewed: set[VcpId] = set()
        directory.on_legacy_use = self.used

    def attach(self, queue: WorkQueue) -> None:
        self._queue = queue

    def used(self, secret: ObjectKey) -> None:
        """The token of a Secret was used just now."""
        if self._queue is not None:
            self._used.add(secret)
            self._queue.add(secret)

    def observe(self, event: Event) -> Iterable[Hashable]:
        if event.type is EventType.DELETED or _TOKEN_TYPE not in event.value:
            return ()
        if event.key.vcp in self._reviewed:
            return (event.key,)
        self._reviewed.add(event.key.vcp)
        return (event.key, Review(event.key.vcp))

    async def resync(self) -> AsyncIterator[Hashable]:
        self._reviewed = {ROOT_VCP_ID}
        yield Review(ROOT_VCP_ID)

    async def reconcile(self, key: Hashable) -> float | None:
        if isinstance(key, Review):
            assert self._queue is not None  # attached at the start
            for item in self._store.page(Scope(key.vcp, SECRETS)).items:
                if _TOKEN_TYPE in item.value:
                    self._queue.add(item.key)
            return None
        assert isinstance(key, ObjectKey)  # what observe gives
        used = key in self._used
        self._used.discard(key)
        stored = self._store.get(key)
        if stored is None:
            return None
        secret: Document = codec.decode(stored.value)
        if secret.get("type") != legacy_tokens.SECRET_TYPE or "deletionTimestamp" in secret["metadata"]:
            return None
        if used and await self._note(stored, secret):
            return None  # the change comes back as an event
        return await self._clean(stored, secret)

    async def _note(self, stored: Stored, secret: Document) -> bool:
        """Write down that a token was used today; whether that was news."""
        today = _date(self._clock())
        labels = secret["metadata"].get("labels") or {}
        if labels.get(LAST_USED) == today:
            return False
        await self._label(stored, secret, LAST_USED, today)
        return True

    async def _clean(self, stored: Stored, secret: Document) -> float | None:
        """Mark a token that is not needed, or delete one that was marked long ago. The answer: when to look again."""
        now = self._clock()
        since = self._tracked_since(stored.key.vcp)
        labels = secret["metadata"].get("labels") or {}
        created = timestamps.to_epoch(secret["metadata"]["creationTimestamp"])
        last_used = labels.get(LAST_USED)
        if last_used is not None and not _DATE.fullmatch(last_used):
            return None  # nobody can tell
        needed_until = max(since, created, 0.0 if last_used is None else _epoch(last_used)) + UNUSED_FOR
        if now < needed_until:
            return needed_until - now
        if not self._made_for_account(stored.key, secret) or self._mounted(stored.key):
            return LOOK_AGAIN
        invalid = labels.get(INVALID_SINCE) or ""
        if not _DATE.fullmatch(invalid):
            await self._label(stored, secret, INVALID_SINCE, _date(now))
            return None
        left = _epoch(invalid) + UNUSED_FOR + LOOK_AGAIN - now
        if left > 0:
            return left
        await self._store.commit([documents.removal(stored)])
        return None

    async def _label(self, stored: Stored, secret: Document, name: str, value: str) -> None:
        metadata = secret["metadata"]
        changed = {**metadata, "labels": {**(metadata.get("labels") or {}), name: value}}
        await self._store.commit([documents.change(stored, {**secret, "metadata": changed})])

    def _tracked_since(self, vcp: VcpId) -> float:
        """When noting began here; without that nothing is known of use, and nothing may go."""
        resource, namespace, name = _TRACKING
        stored = self._store.get(ObjectKey(vcp, resource, namespace, name))
        text = "" if stored is None else (codec.decode(stored.value).get("data") or {}).get("since") or ""
        return _epoch(text) if _DATE.fullmatch(text) else self._clock()

    def _made_for_account(self, key: ObjectKey, secret: Document) -> bool:
        """Whether the account of a token names the Secret as its own."""
        name = legacy_tokens.account_name(secret)
        stored = None if name is None else self._store.get(ObjectKey(key.vcp, ACCOUNTS, key.namespace, name))
        if stored is None:
            return False
        account = codec.decode(stored.value)
        named = any(reference.get("name") == key.name for reference in account.get("secrets") or ())
        return named and legacy_tokens.belongs(secret, account)

    def _mounted(self, key: ObjectKey) -> bool:
        """Whether a pod of the namespace mentions the Secret, in whatever place."""
        quoted = f'"{key.name}"'.encode()
        return any(quoted in item.value for item in self._store.page(Scope(key.vcp, PODS, key.namespace)).items)


def _date(epoch: float) -> str:
    return timestamps.from_epoch(epoch)[:10]


def _epoch(date: str) -> float:
    return timestamps.to_epoch(f"{date}T00:00:00Z")
