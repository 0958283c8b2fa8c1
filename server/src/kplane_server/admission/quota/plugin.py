# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ResourceQuota admission: a write takes what it needs from every quota of its namespace, in the commit that stores it.

The books are exact: ``status.used`` moves in the same commit as the object, against the revision that was checked, so that no race
can go over a limit. What is given back is counted by the controller.

Source: https://kubernetes.io/docs/concepts/policy/resource-quotas/
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from kplane_server.admission.amounts import Amounts, add, amounts, listed, minus, only, shown, written
from kplane_server.admission.plugin import Plugin, forbidden
from kplane_server.admission.quota.evaluators import IGNORED, Evaluator, evaluator_of
from kplane_server.admission.quota.scopes import requirements
from kplane_server.model.errors import Json
from kplane_server.model.keys import ObjectKey, ResourceId, VcpId
from kplane_server.registry import codec
from kplane_server.registry.attributes import Attributes, Operation, Taken
from kplane_server.storage.api import Mutation

QUOTAS: Final = ResourceId("resourcequotas")

#: How long a write waits for a new quota to be counted, and how often it looks (seconds).
COUNTING_PATIENCE: Final = 2.0
_PAUSE: Final = 0.01


class _Claim(NamedTuple):
    """What a write takes from one quota."""

    quota: Json
    hard: Amounts
    used: Amounts
    tracked: frozenset[str]

    @property
    def unknown(self) -> set[str]:
        """The limits that nothing was counted for yet."""
        return set(self.tracked - self.used.keys())


class ResourceQuotaAdmission(Plugin):
    """The last judge: what it allows is taken when the object is stored."""

    name = "ResourceQuota"

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._without: dict[VcpId, int] = {}

    def concerns(self, attributes: Attributes) -> bool:
        if not attributes.namespace or not attributes.info.namespaced or attributes.info.storage_id in IGNORED:
            return False
        return attributes.operation in (Operation.CREATE, Operation.UPDATE) and attributes.info.stored

    async def validate(self, attributes: Attributes) -> None:
        if not self._has_quotas(attributes):
            return
        evaluator = evaluator_of(attributes.info.storage_id)
        if not evaluator.charges(attributes):
            return
        reservation = QuotaReservation(attributes, evaluator, self._clock)
        waiting_ends = time.monotonic() + COUNTING_PATIENCE
        while reservation.uncounted() and time.monotonic() < waiting_ends:
            await asyncio.sleep(_PAUSE)  # a quota made a moment ago: the controller counts what is there
        attributes.reservation = reservation

    def _has_quotas(self, attributes: Attributes) -> bool:
        """Whether there is a quota in the control plane, and then in the namespace. Mostly one comparison."""
        changed = attributes.lookup.changed(QUOTAS)
        if self._without.get(attributes.vcp) == changed:
            return False
        if attributes.lookup.count(QUOTAS):
            return attributes.lookup.count(QUOTAS, attributes.namespace) > 0
        self._without = {attributes.vcp: changed}
        return False


class QuotaReservation:
    """A :class:`kplane_server.registry.attributes.Reservation` of one write."""

    def __init__(self, attributes: Attributes, evaluator: Evaluator, clock: Callable[[], float]) -> None:
        self._attributes = attributes
        self._evaluator = evaluator
        self._clock = clock

    @property
    def lock(self) -> ObjectKey:
        return quota_lock(self._attributes.vcp, self._attributes.namespace)

    def uncounted(self) -> bool:
        """Whether a quota that matters was not counted yet."""
        return any(claim.unknown for claim in self._claims({}))

    def take(self, pending: Mapping[ObjectKey, Json]) -> list[Taken]:
        attributes = self._attributes
        claims = list(self._claims(pending))
        for claim in claims:
            name = claim.quota["metadata"]["name"]
            if why := self._evaluator.missing(claim.tracked, attributes.object):
                raise forbidden(attributes, f"failed quota: {name}: {why}")
            if claim.unknown:
                raise forbidden(attributes, f"status unknown for quota: {name}, resources: {listed(claim.tracked)}")
        delta = self._delta() if claims else {}
        changed = []
        for claim in claims:
            requested = only(delta, claim.hard.keys())
            if requested:
                changed.append(_charge(attributes, claim, requested))
        return changed

    def _claims(self, pending: Mapping[ObjectKey, Json]) -> Iterable[_Claim]:
        """The quotas that count this object, as they are now."""
        attributes = self._attributes
        for quota in attributes.lookup.list(QUOTAS, attributes.namespace):
            key = ObjectKey(attributes.vcp, QUOTAS, attributes.namespace, quota["metadata"]["name"])
            quota = pending.get(key, quota)
            status = quota.get("status") or {}
            hard = amounts(status.get("hard") or (quota.get("spec") or {}).get("hard"))
            tracked = frozenset(name for name in hard if self._evaluator.tracks(name))
            if tracked and self._evaluator.matches(requirements(quota), attributes.object):
                yield _Claim(quota, hard, amounts(status.get("used")), tracked)

    def _delta(self) -> Amounts:
        """What the write takes more than before."""
        attributes, now = self._attributes, self._clock()
        usage = self._evaluator.usage(attributes.object, now)
        if negative := [name for name, value in usage.items() if value.value < 0]:
            raise forbidden(attributes, f"quota usage is negative for resource(s): {listed(negative)}")
        if attributes.old is not None:
            usage = minus(usage, self._evaluator.usage(attributes.old, now))
        return {name: value for name, value in usage.items() if value.value}


def _charge(attributes: Attributes, claim: _Claim, requested: Amounts) -> Taken:
    """The quota with more used, if that is not too much."""
    used = dict(claim.used)
    add(used, requested)
    exceeded = {name for name, value in requested.items() if value.value > 0 and used[name].value > claim.hard[name].value}
    metadata = claim.quota["metadata"]
    if exceeded:
        why = (
            f"exceeded quota: {metadata['name']}, requested: {shown(only(requested, exceeded))}, "
            f"used: {shown(only(claim.used, exceeded))}, limited: {shown(only(claim.hard, exceeded))}"
        )
        raise forbidden(attributes, why)
    document = {**claim.quota, "status": {**(claim.quota.get("status") or {}), "used": written(used)}}
    key = ObjectKey(attributes.vcp, QUOTAS, metadata["namespace"], metadata["name"])
    owners = tuple(reference["uid"] for reference in metadata.get("ownerReferences") or ())
    terminating = "deletionTimestamp" in metadata
    revision = int(metadata["resourceVersion"])
    return Taken(Mutation(key, codec.encode(document), revision, False, metadata["uid"], owners, terminating), document)


def quota_lock(vcp: VcpId, namespace: str) -> ObjectKey:
    """What all that changes the books of a namespace queues for."""
    return ObjectKey(vcp, QUOTAS, namespace, "")
