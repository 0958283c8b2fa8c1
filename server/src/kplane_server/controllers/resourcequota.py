# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ResourceQuota: counts what there is, and gives back what went. Admission takes; see ``admission.quota``.

One instance for all control planes. Where there is no quota it costs one comparison for each event of a namespace that could matter.

Source: https://kubernetes.io/docs/concepts/policy/resource-quotas/
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Hashable, Iterable
from typing import Any, Final, NamedTuple

from kplane_server.admission.amounts import ZERO, Amounts, add, amounts, only, whole, written
from kplane_server.admission.quota.evaluators import CLAIMS, DEVICE_CLAIMS, PODS, SERVICES, evaluator_of, overdue_at, resource_of
from kplane_server.admission.quota.plugin import QUOTAS, quota_lock
from kplane_server.admission.quota.scopes import requirements
from kplane_server.controllers import documents
from kplane_server.controllers.runtime import WorkQueue
from kplane_server.model.keys import ResourceId, Scope, VcpId
from kplane_server.registry import codec
from kplane_server.registry.generic import RESERVATION_PATIENCE
from kplane_server.storage.api import Event, EventType, Stored, VcpState
from kplane_server.vcp.directory import Directory

Document = dict[str, Any]

#: Everything is counted again after this many seconds, as upstream does (``--resource-quota-sync-period``).
FULL_RESYNC: Final = 300.0
#: For how many control planes it is remembered that they have no quota.
MAX_REMEMBERED: Final = 65_536
#: Objects that are measured, and control planes that are looked at, before others get their turn.
_BATCH: Final = 200

#: Resources whose updates can change what they take.
_MEASURED: Final = frozenset({PODS, SERVICES, CLAIMS, DEVICE_CLAIMS})


class Books(NamedTuple):
    """The quotas of a namespace, to be counted again; ``resource`` empty: all that they limit."""

    vcp: VcpId
    namespace: str
    resource: ResourceId = ResourceId("")


class ResourceQuotaController:
    """Keys are :class:`Books`."""

    name = "resourcequota"
    resources: frozenset[ResourceId] | None = None
    concurrency = 4

    def __init__(self, directory: Directory, clock: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._store = directory.store
        self._clock = clock
        self._without: OrderedDict[VcpId, int] = OrderedDict()

    def attach(self, queue: WorkQueue) -> None:
        return None

    def observe(self, event: Event) -> Iterable[Hashable]:
        vcp, resource, namespace, _ = event.key
        if resource == QUOTAS:
            return () if event.type is EventType.DELETED or not _needs_counting(event) else (Books(vcp, namespace),)
        if not namespace or event.type is EventType.ADDED or not self._has_quotas(vcp, namespace):
            return ()
        if event.type is EventType.MODIFIED and (resource not in _MEASURED or not self._differs(event)):
            return ()
        return (Books(vcp, namespace, resource),)

    async def resync(self) -> AsyncIterator[Hashable]:
        for number, record in enumerate(self._store.vcps(VcpState.ACTIVE)):
            if not number % _BATCH:
                await asyncio.sleep(0)
            if not self._store.count(Scope(record.id, QUOTAS)):
                continue
            for namespace in {item.key.namespace for item in self._store.page(Scope(record.id, QUOTAS)).items}:
                yield Books(record.id, namespace)

    async def reconcile(self, key: Hashable) -> float | None:
        assert isinstance(key, Books)  # what observe gives
        control_plane = self._directory.get(key.vcp)
        if control_plane is None or not self._store.count(Scope(key.vcp, QUOTAS, key.namespace)):
            return None
        async with control_plane.api.registry.locks.hold(quota_lock(key.vcp, key.namespace), RESERVATION_PATIENCE):
            await self._adopt_limits(key)
            again = await self._count(key)
        return again if again is not None or key.resource else FULL_RESYNC

    def _has_quotas(self, vcp: VcpId, namespace: str) -> bool:
        changed = self._store.changed(vcp, QUOTAS)
        if self._without.get(vcp) == changed:
            return False
        if self._store.count(Scope(vcp, QUOTAS)):
            return self._store.count(Scope(vcp, QUOTAS, namespace)) > 0
        self._without[vcp] = changed
        self._without.move_to_end(vcp)
        if len(self._without) > MAX_REMEMBERED:
            self._without.popitem(last=False)
        return False

    def _differs(self, event: Event) -> bool:
        """Whether a change of an object changes what it takes, or when."""
        if event.previous is None:
            return False
        old, new = codec.decode(event.previous), codec.decode(event.value)
        usage, now = evaluator_of(event.key.resource).usage, self._clock()
        marked = "deletionTimestamp" in new["metadata"] and "deletionTimestamp" not in old["metadata"]
        return marked or usage(old, now) != usage(new, now)

    def _quotas(self, key: Books) -> list[tuple[Stored, Document]]:
        items = self._store.page(Scope(key.vcp, QUOTAS, key.namespace)).items
        return [(item, codec.decode(item.value)) for item in items]

    async def _adopt_limits(self, key: Books) -> None:
        """Put limits that are new in force before anything is counted.

        The commit is also a barrier: what was queued before it by writes that did not see these limits is visible after it, and
        writes that come later wait for the lock, or are told that the usage is unknown.
        """
        mutations = []
        for stored, quota in self._quotas(key):
            hard = _limits(quota)
            status = quota.get("status") or {}
            if hard != amounts(status.get("hard")):
                used = only(amounts(status.get("used")), hard.keys())
                if hard.keys() - amounts(status.get("hard")).keys():
                    mutations.append(documents.change(stored, {**quota, "status": {"hard": written(hard), "used": written(used)}}))
        if mutations:
            await self._store.commit(mutations)

    async def _count(self, key: Books) -> float | None:
        """Count, and write down what differs. The answer: seconds after which something ends by itself."""
        ends: list[float] = []
        mutations = []
        for stored, quota in self._quotas(key):
            hard, status = _limits(quota), quota.get("status") or {}
            before = amounts(status.get("used"))
            used = only(before, hard.keys())
            tracked = {resource_of(name) for name in hard} - {None}
            for resource in tracked if not key.resource else tracked & {key.resource}:
                assert resource is not None  # taken out above
                used.update(await self._usage(key, resource, quota, hard, ends))
            if written(used) != written(before) or hard != amounts(status.get("hard")):
                wanted = {"hard": written(hard), "used": written(used)}
                mutations.append(documents.change(stored, {**quota, "status": wanted}))
        if mutations:
            await self._store.commit(mutations)
        return max(1.0, min(ends) - self._clock()) if ends else None

    async def _usage(self, key: Books, resource: ResourceId, quota: Document, hard: Amounts, ends: list[float]) -> Amounts:
        """What the objects of one resource take from a quota."""
        evaluator = evaluator_of(resource)
        scopes = list(requirements(quota))
        names = [name for name in hard if evaluator.tracks(name)]
        total: Amounts = dict.fromkeys(names, ZERO)
        scope = Scope(key.vcp, resource, key.namespace)
        if evaluator.counted_only:
            return dict.fromkeys(names, whole(0 if scopes else self._store.count(scope)))
        now = self._clock()
        after: tuple[str, str] | None = None
        while True:
            page = self._store.page(scope, after=after, limit=_BATCH)
            for item in page.items:
                document = codec.decode(item.value)
                if evaluator.matches(scopes, document):
                    add(total, only(evaluator.usage(document, now), names))
                if resource == PODS and (end := overdue_at(document)) is not None and end >= now:
                    ends.append(end)
            if not page.more:
                return total
            after = (key.namespace, page.items[-1].key.name)
            await asyncio.sleep(0)


def _limits(quota: Document) -> Amounts:
    return amounts((quota.get("spec") or {}).get("hard"))


def _needs_counting(event: Event) -> bool:
    """Whether a change of a quota is more than what admission or this controller wrote."""
    if event.previous is None:
        return True
    old, new = codec.decode(event.previous), codec.decode(event.value)
    status, was = new.get("status") or {}, old.get("status") or {}
    if old.get("spec") != new.get("spec") or status.get("hard") != was.get("hard"):
        return _limits(new) != amounts(status.get("hard"))
    return bool(status.keys() != was.keys() or (status.get("used") or {}).keys() != (was.get("used") or {}).keys())
