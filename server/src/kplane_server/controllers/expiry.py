# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects that end by themselves: bootstrap tokens when they expire, signing requests some time after they were answered, or never were.

One instance for all control planes. What was made in an earlier run is found when something of its kind happens in its control
plane; until then an expired token is no good anyway.

Source: https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/ and
https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#create-certificatesigningrequest
"""

from __future__ import annotations

import time
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Hashable, Iterable
from typing import Any, Final, NamedTuple

from cryptography import x509

from kplane_server.access import bootstrap_tokens
from kplane_server.controllers import documents
from kplane_server.controllers.runtime import WorkQueue
from kplane_server.model import timestamps
from kplane_server.model.errors import Json
from kplane_server.model.keys import ROOT_VCP_ID, ObjectKey, ResourceId, Scope, VcpId
from kplane_server.registry import codec
from kplane_server.storage.api import Event, EventType
from kplane_server.vcp.directory import Directory

Document = dict[str, Any]

SECRETS: Final = ResourceId("secrets")
REQUESTS: Final = ResourceId("certificatesigningrequests.certificates.k8s.io")

#: How long a signing request stays that nobody answers, and one that was answered (seconds).
PENDING_TTL: Final = 24 * 3600.0
ANSWERED_TTL: Final = 3600.0

_TOKEN_TYPE: Final = f'"type":"{bootstrap_tokens.SECRET_TYPE}"'.encode()
_RESOURCES: Final = (SECRETS, REQUESTS)


class Review(NamedTuple):
    """A collection of a control plane whose objects of earlier runs are to be taken on."""

    vcp: VcpId
    resource: ResourceId


class Expirer:
    """Keys are ObjectKeys, and :class:`Review` once for each collection in which something happens."""

    name = "expiry"
    resources: frozenset[ResourceId] | None = frozenset(_RESOURCES)
    concurrency = 4

    def __init__(self, directory: Directory, clock: Callable[[], float] = time.time) -> None:
        self._store = directory.store
        self._clock = clock
        self._queue: WorkQueue | None = None
        self._reviewed: set[Review] = set()

    def attach(self, queue: WorkQueue) -> None:
        self._queue = queue

    def observe(self, event: Event) -> Iterable[Hashable]:
        vcp, resource, _, _ = event.key
        if event.type is EventType.DELETED or not _concerns(event.key, event.value):
            return ()
        review = Review(vcp, resource)
        if review in self._reviewed:
            return (event.key,)
        self._reviewed.add(review)
        return (event.key, review)

    async def resync(self) -> AsyncIterator[Hashable]:
        self._reviewed.clear()
        for resource in _RESOURCES:
            review = Review(ROOT_VCP_ID, resource)
            self._reviewed.add(review)
            yield review

    async def reconcile(self, key: Hashable) -> float | None:
        if isinstance(key, Review):
            self._take_on(key)
            return None
        assert isinstance(key, ObjectKey)  # what observe gives
        stored = self._store.get(key)
        if stored is None:
            return None
        document: Document = codec.decode(stored.value)
        ends = _ENDS[key.resource](document)
        if ends is None:
            return None
        left = ends - self._clock()
        if left > 0:
            return left
        if "deletionTimestamp" not in document["metadata"] and not document["metadata"].get("finalizers"):
            await self._store.commit([documents.removal(stored)])
        return None

    def _take_on(self, review: Review) -> None:
        """Look at what is there: tokens are in one namespace, requests in none."""
        assert self._queue is not None  # attached at the start
        namespace = bootstrap_tokens.NAMESPACE if review.resource == SECRETS else None
        for item in self._store.page(Scope(review.vcp, review.resource, namespace)).items:
            if _concerns(item.key, item.value):
                self._queue.add(item.key)


def _concerns(key: ObjectKey, value: bytes) -> bool:
    if key.resource == REQUESTS:
        return True
    return key.namespace == bootstrap_tokens.NAMESPACE and key.name.startswith(bootstrap_tokens.PREFIX) and _TOKEN_TYPE in value


def token_end(secret: Json) -> float | None:
    """When a bootstrap token goes."""
    return bootstrap_tokens.ends_at(secret) if secret.get("type") == bootstrap_tokens.SECRET_TYPE else None


def request_end(request: Json) -> float | None:
    """When a signing request goes; None while it is approved and waits for its certificate."""
    status = request.get("status") or {}
    conditions = status.get("conditions") or ()
    if not conditions:
        return timestamps.to_epoch(request["metadata"]["creationTimestamp"]) + PENDING_TTL
    ends = [_answered(c) for c in conditions if c.get("type") in ("Denied", "Failed")]
    if status.get("certificate"):
        approved = [_answered(c) for c in conditions if c.get("type") == "Approved"]
        ends += [*approved, _certificate_end(status["certificate"])] if approved else []
    return min((end for end in ends if end is not None), default=None)


def _answered(condition: Json) -> float | None:
    moment = condition.get("lastUpdateTime")
    return timestamps.to_epoch(moment) + ANSWERED_TTL if moment else None


def _certificate_end(text: str) -> float | None:
    """When an issued certificate expires; None if it is none that can be read."""
    try:
        return x509.load_pem_x509_certificate(b64decode(text)).not_valid_after_utc.timestamp()
    except ValueError:
        return None


_ENDS: Final[dict[ResourceId, Callable[[Json], float | None]]] = {SECRETS: token_end, REQUESTS: request_end}
