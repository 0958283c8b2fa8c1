# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Aggregated ClusterRoles: the rules of a role with an aggregationRule are those of the roles that it selects.

Source: https://kubernetes.io/docs/reference/access-authn-authz/rbac/#aggregated-clusterroles
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable, Iterable
from typing import Any, Final

from kplane_server.controllers import documents
from kplane_server.controllers.runtime import WorkQueue
from kplane_server.model.errors import Json
from kplane_server.model.keys import ResourceId, Scope
from kplane_server.model.selectors import label_selector_from_document
from kplane_server.registry import codec
from kplane_server.storage.api import Event
from kplane_server.vcp.directory import Directory

Document = dict[str, Any]

CLUSTER_ROLES: Final = ResourceId("clusterroles.rbac.authorization.k8s.io")


class ClusterRoleAggregator:
    """Keys are VCPs: a role is selected by labels, so one change may concern every aggregated role of its control plane."""

    name = "clusterroleaggregation"
    resources: frozenset[ResourceId] | None = frozenset({CLUSTER_ROLES})
    concurrency = 4

    def __init__(self, directory: Directory) -> None:
        self._store = directory.store

    def attach(self, queue: WorkQueue) -> None:
        return None

    def observe(self, event: Event) -> Iterable[Hashable]:
        return (event.key.vcp,) if any(_matters(value) for value in (event.value, event.previous) if value) else ()

    async def resync(self) -> AsyncIterator[Hashable]:
        return
        yield

    async def reconcile(self, key: Hashable) -> float | None:
        assert isinstance(key, int)  # what observe gives
        page = self._store.page(Scope(key, CLUSTER_ROLES))  # type: ignore[arg-type]  # a VcpId
        roles = [(item, codec.decode(item.value)) for item in page.items]
        for _ in range(len(roles)):  # an aggregated role may select another one: until nothing changes
            changed = False
            for _, role in roles:
                if "aggregationRule" in role and "deletionTimestamp" not in role["metadata"]:
                    rules = aggregate(role, [other for _, other in roles])
                    if rules != (role.get("rules") or []):
                        role["rules"] = rules
                        changed = True
            if not changed:
                break
        mutations = [documents.change(item, role) for item, role in roles if role != codec.decode(item.value)]
        if mutations:
            await self._store.commit(mutations)
        return None


def aggregate(role: Document, roles: list[Document]) -> list[Json]:
    """The rules that a role's selectors collect, in the order of the roles' names, each once."""
    selectors = [label_selector_from_document(selector) for selector in role["aggregationRule"].get("clusterRoleSelectors") or ()]
    rules: list[Json] = []
    for other in roles:
        labels = other["metadata"].get("labels") or {}
        if other["metadata"]["name"] == role["metadata"]["name"] or not any(selector.matches(labels) for selector in selectors):
            continue
        rules.extend(rule for rule in other.get("rules") or () if rule not in rules)
    return rules


def _matters(value: bytes) -> bool:
    if b'"labels":{' not in value and b'"aggregationRule":' not in value:
        return False
    document = codec.decode(value)
    return bool(document["metadata"].get("labels")) or "aggregationRule" in document
