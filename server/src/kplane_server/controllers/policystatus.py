# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Type checking of policies: expressions are held to the schemas of the resources that the policy names, and warnings go into its status.

It changes nothing about how the policy is applied.
Source: https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/#type-checking
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable, Iterable, Iterator, Mapping
from typing import Any, Final

from kplane_server.admission.policies.plugin import POLICIES
from kplane_server.controllers import documents
from kplane_server.controllers.runtime import WorkQueue
from kplane_server.model.errors import Json
from kplane_server.model.keys import ObjectKey, ResourceId
from kplane_server.model.resources import GroupVersionKind
from kplane_server.registry import codec
from kplane_server.registry.kinds import schema_of
from kplane_server.registry.resource import ResourceInfo
from kplane_server.registry.table import ResourceTable
from kplane_server.schema.cel.admission import scope
from kplane_server.schema.cel.declarations import DYN, Type
from kplane_server.schema.cel.types import expression_type, type_of_schema
from kplane_server.schema.cel.values import CompileError
from kplane_server.storage.api import Event, EventType
from kplane_server.vcp.directory import Directory

Document = dict[str, Any]

#: How many kinds one policy is checked against (upstream's ``maxTypesToCheck``).
MAX_TYPES: Final = 10


class PolicyStatusController:
    """Keys are ObjectKeys of policies."""

    name = "validatingadmissionpolicystatus"
    resources: frozenset[ResourceId] | None = frozenset({POLICIES})
    concurrency = 2

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def attach(self, queue: WorkQueue) -> None:
        return None

    def observe(self, event: Event) -> Iterable[Hashable]:
        return () if event.type is EventType.DELETED else (event.key,)

    async def resync(self) -> AsyncIterator[Hashable]:
        return
        yield

    async def reconcile(self, key: Hashable) -> float | None:
        assert isinstance(key, ObjectKey)  # what observe gives
        control_plane = self._directory.get(key.vcp)
        stored = self._directory.store.get(key)
        if control_plane is None or stored is None:
            return None
        policy: Document = codec.decode(stored.value)
        generation = policy["metadata"].get("generation", 1)
        status = policy.get("status") or {}
        if status.get("observedGeneration") == generation or "deletionTimestamp" in policy["metadata"]:
            return None
        warnings = list(check(policy, control_plane.api.resources))
        checked: Document = {"expressionWarnings": warnings} if warnings else {}
        changed = {**policy, "status": {**status, "observedGeneration": generation, "typeChecking": checked}}
        await control_plane.store.commit([documents.change(stored, changed)])
        return None


def check(policy: Document, table: ResourceTable) -> Iterator[Document]:
    """The warnings about a policy."""
    spec = policy.get("spec") or {}
    rows = list(rows_of(spec, table))[:MAX_TYPES]
    params = _params(spec.get("paramKind"), table)
    for index, validation in enumerate(spec.get("validations") or ()):
        for field in ("expression", "messageExpression"):
            text = validation.get(field)
            if not text:
                continue
            found = [warning for row in rows if (warning := _warning(text, row, spec, params))]
            if found:
                yield {"fieldRef": f"spec.validations[{index}].{field}", "warning": "\n".join(found)}


def rows_of(spec: Mapping[str, Json], table: ResourceTable) -> Iterator[ResourceInfo]:
    """The resources that a policy names without a wildcard, in the order of their kinds."""
    found: dict[GroupVersionKind, ResourceInfo] = {}
    for rule in (spec.get("matchConstraints") or {}).get("resourceRules") or ():
        groups, versions, resources = (rule.get(field) or () for field in ("apiGroups", "apiVersions", "resources"))
        if any("*" in name for names in (groups, versions, resources) for name in names):
            continue
        for group in groups:
            for version in versions:
                for resource in resources:
                    row = None if "/" in resource else table.find(group, version, resource)
                    if row is not None:
                        found[row.gvk] = row
    for gvk in sorted(found):
        yield found[gvk]


def _params(kind: Mapping[str, str] | None, table: ResourceTable) -> Type | None:
    """The type of ``params``; None for a policy without."""
    if kind is None:
        return None
    group, _, version = (kind.get("apiVersion") or "").rpartition("/")
    row = table.kind(GroupVersionKind(group, version, kind.get("kind") or ""))
    return DYN if row is None else type_of_schema(schema_of(row))


def _warning(text: str, row: ResourceInfo, spec: Mapping[str, Json], params: Type | None) -> str:
    """What is wrong with an expression for one kind; empty if nothing."""
    own = type_of_schema(schema_of(row))
    given = {"object": own, "oldObject": own} | ({} if params is None else {"params": params})
    known: dict[str, Type] = {}
    for variable in spec.get("variables") or ():
        try:
            found = expression_type(variable.get("expression") or "", scope(params=params is not None, variables=dict(known)) | given)
        except CompileError:
            found = DYN  # the variable has no field of its own in the status
        known[variable["name"]] = found
    try:
        expression_type(text, scope(params=params is not None, variables=known) | given)
    except CompileError as error:
        where = f"{row.group}/{row.version}" if row.group else row.version
        return f"{where}, Kind={row.kind}: {error.message}\n"
    return ""
