# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only pods have: binding to a node, and eviction within disruption budgets.

Source: https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/
"""

from __future__ import annotations

from typing import Final

import orjson

from kplane_server.model.errors import (
    BadRequest,
    Cause,
    InternalError,
    Json,
    TooManyRequests,
    conflict,
    field_not_supported,
    field_required,
    invalid,
)
from kplane_server.model.keys import ObjectKey, ResourceId, Scope
from kplane_server.model.selectors import label_selector_from_document
from kplane_server.registry import codec
from kplane_server.registry.attributes import Operation
from kplane_server.registry.deletion import delete
from kplane_server.registry.generic import Registry
from kplane_server.registry.options import RequestContext, parse_delete_options
from kplane_server.registry.resource import ResourceInfo
from kplane_server.registry.update import change
from kplane_server.storage.api import RevisionMismatch, Stored

_BUDGETS: Final = ResourceId("poddisruptionbudgets.policy")
_FINISHED: Final = ("Succeeded", "Failed")
#: How often a budget is read again when another eviction took from it first.
_BUDGET_ATTEMPTS: Final = 8


async def _admit(
    registry: Registry, info: ResourceInfo, namespace: str, name: str, subresource: str, body: Json, ctx: RequestContext
) -> None:
    """Admission of what is posted to a sub-resource: a creation, whose object is the document that is posted."""
    key = registry.key(info, namespace, name)
    attributes = registry.attributes(Operation.CREATE, info, key, ctx, new=body, subresource=subresource)
    if registry.admission.mutates(attributes):
        await registry.admission.admit(attributes)
    await registry.admission.validate(attributes)


async def bind(
    registry: Registry,
    info: ResourceInfo,
    namespace: str,
    name: str,
    body: Json,
    ctx: RequestContext,
    *,
    through: ResourceInfo | None = None,
) -> Stored:
    """Put a pod on a node (``pods/binding``, or ``through`` the resource ``bindings``)."""
    await _admit(registry, through or info, namespace, name, "" if through else "binding", body, ctx)
    if not through and body["metadata"].get("name", "") != name:
        raise BadRequest("name in URL does not match name in Binding object")
    target = body.get("target")
    if not isinstance(target, dict):
        raise invalid("Binding", "", name, [field_required("target.name")])
    if target.get("kind") not in (None, "", "Node"):
        raise invalid("Binding", "", name, [field_not_supported("target.kind", target["kind"], ("Node", "<empty>"))])
    node = target.get("name")
    if not node or not isinstance(node, str):
        raise invalid("Binding", "", name, [field_required("target.name")])
    metadata = body["metadata"]

    def transform(old: Json | None) -> Json:
        assert old is not None  # change() makes nothing here
        if metadata.get("uid") and metadata["uid"] != old["metadata"].get("uid"):
            why = f"Precondition failed: UID in precondition: {metadata['uid']}, UID in object meta: {old['metadata'].get('uid', '')}"
            raise conflict("pods/binding", "", name, why)
        if old["metadata"].get("deletionTimestamp"):
            raise conflict("pods/binding", "", name, f"pod {name} is being deleted, cannot be assigned to a host")
        spec = old.setdefault("spec", {})
        if spec.get("nodeName"):
            raise conflict("pods/binding", "", name, f'pod {name} is already assigned to node "{spec["nodeName"]}"')
        if spec.get("schedulingGates"):
            raise conflict("pods/binding", "", name, f"pod {name} has non-empty .spec.schedulingGates")
        spec["nodeName"] = node
        for field in ("annotations", "labels"):
            if metadata.get(field):
                old["metadata"][field] = {**(old["metadata"].get(field) or {}), **metadata[field]}
        status = old.setdefault("status", {})
        conditions = [c for c in status.get("conditions") or () if c.get("type") != "PodScheduled"]
        status["conditions"] = [*conditions, {"type": "PodScheduled", "status": "True", "lastTransitionTime": registry.now()}]
        return old

    written = await change(registry, info, namespace, name, transform, ctx, "binding", admitted=True)
    return _success(written.stored)


async def evict(registry: Registry, info: ResourceInfo, namespace: str, name: str, body: Json, ctx: RequestContext) -> Stored:
    """Delete a pod if its disruption budget allows it (``pods/eviction``)."""
    if body["metadata"].setdefault("name", name) != name:
        raise BadRequest("name in URL does not match name in Eviction object")
    options, dry_run = parse_delete_options({}, body.get("deleteOptions"))
    if dry_run and not ctx.dry_run:
        ctx = RequestContext(ctx.user, True, ctx.field_manager, ctx.field_validation, ctx.warnings)
    stored = registry.require(info, namespace, name)
    pod = codec.decode(stored.value)
    await _admit(registry, info, namespace, name, "eviction", body, ctx)
    if not _free_to_go(pod):
        await _take_from_budget(registry, namespace, name, pod, ctx)
    await delete(registry, info, namespace, name, options, ctx, admitted=True)
    return _success(stored)


def _free_to_go(pod: Json) -> bool:
    """A pod that is finished, not started or on its way out needs nobody's leave."""
    return bool(pod["metadata"].get("deletionTimestamp")) or (pod.get("status") or {}).get("phase") in (*_FINISHED, "Pending")


async def _take_from_budget(registry: Registry, namespace: str, name: str, pod: Json, ctx: RequestContext) -> None:
    row = registry.resources.by_storage(_BUDGETS)
    assert row is not None  # a built-in resource
    for _ in range(_BUDGET_ATTEMPTS):
        budgets = _budgets_of(registry, namespace, pod)
        if not budgets:
            return
        if len(budgets) > 1:
            raise InternalError("This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.")
        stored, budget = budgets[0]
        status = budget.setdefault("status", {})
        wanted, allowed = status.get("desiredHealthy") or 0, status.get("disruptionsAllowed") or 0
        if allowed <= 0 or (status.get("observedGeneration") or 0) < (budget["metadata"].get("generation") or 0):
            has = status.get("currentHealthy") or 0
            text = f"The disruption budget {stored.key.name} needs {wanted} healthy pods and has {has} currently"
            error = TooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", retry_after=10)
            error.causes = (Cause("DisruptionBudget", text),)
            raise error
        status["disruptionsAllowed"] = allowed - 1
        status["disruptedPods"] = {**(status.get("disruptedPods") or {}), name: registry.now()}
        if ctx.dry_run:
            return
        try:
            await registry.commit([registry.mutation(row, stored.key, budget, stored.revision)])
        except RevisionMismatch:
            continue
        return
    raise TooManyRequests("Cannot evict pod as its disruption budget keeps changing.", retry_after=1)


def _budgets_of(registry: Registry, namespace: str, pod: Json) -> list[tuple[Stored, Json]]:
    labels = pod["metadata"].get("labels") or {}
    found = []
    for item in registry.store.page(Scope(registry.vcp.id, _BUDGETS, namespace)).items:
        budget = codec.decode(item.value)
        if label_selector_from_document((budget.get("spec") or {}).get("selector")).matches(labels):
            found.append((item, budget))
    return found


def _success(stored: Stored) -> Stored:
    document = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
    return Stored(ObjectKey(stored.key.vcp, stored.key.resource, "", ""), stored.revision, orjson.dumps(document))
