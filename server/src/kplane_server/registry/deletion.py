# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deletion: preconditions, admission, then one of: gone at once, marked and held by finalizers, or marked with a grace period."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple

from kplane_server.model import timestamps
from kplane_server.model.errors import Forbidden, Json, MethodNotAllowed, NotFound, conflict
from kplane_server.model.keys import ObjectKey
from kplane_server.model.metadata import FINALIZER_FOREGROUND, FINALIZER_ORPHAN
from kplane_server.registry import codec
from kplane_server.registry.attributes import Operation
from kplane_server.registry.custom_definition import DEFINITIONS, mark_terminating
from kplane_server.registry.custom_rows import CustomResourceInfo
from kplane_server.registry.generic import WRITE_ATTEMPTS, Registry
from kplane_server.registry.kinds import strategy_of
from kplane_server.registry.listing import ListResult, list_converted, list_objects
from kplane_server.registry.options import FOREGROUND, ORPHAN, DeleteOptions, ListOptions, RequestContext
from kplane_server.registry.reserving import MODIFIED
from kplane_server.registry.resource import ResourceInfo
from kplane_server.registry.update import holds
from kplane_server.storage.api import RevisionMismatch, Stored

#: How many deletions of a collection are under way at once.
_BATCH: Final = 100


#: Resources that answer with the object also when it is gone, as upstream's do.
_SHOWN_GONE: Final = frozenset(
    [
        "namespaces",
        "persistentvolumeclaims",
        "persistentvolumes",
        "pods",
        "podtemplates",
        "resourcequotas",
        "serviceaccounts",
        "services",
        "deviceclasses.resource.k8s.io",
        "resourceclaims.resource.k8s.io",
        "resourceclaimtemplates.resource.k8s.io",
        "resourceslices.resource.k8s.io",
        "csidrivers.storage.k8s.io",
        "csinodes.storage.k8s.io",
        "storageclasses.storage.k8s.io",
        "volumeattachments.storage.k8s.io",
        "volumeattributesclasses.storage.k8s.io",
    ]
)


class Deletion(NamedTuple):
    """The outcome. ``finished``: the object is gone; else it waits, and ``stored`` shows it with its deletionTimestamp."""

    stored: Stored
    finished: bool

    @property
    def shown(self) -> bool:
        """Whether the answer is the object, and not a Status that says it is gone."""
        return not self.finished or self.stored.key.resource in _SHOWN_GONE


async def delete(
    registry: Registry,
    info: ResourceInfo,
    namespace: str,
    name: str,
    options: DeleteOptions,
    ctx: RequestContext,
    *,
    admitted: bool = False,
) -> Deletion:
    """Delete one object. ``admitted``: admission has judged it as something else. Raises NotFound, Conflict (preconditions), Forbidden."""
    if not info.stored:
        raise MethodNotAllowed(f'delete is not supported on resources of kind "{info.resource}"', kind=info.resource, group=info.group)
    key = registry.key(info, namespace, name)
    last: RevisionMismatch | None = None
    async with registry.locks.hold(key):
        for _ in range(WRITE_ATTEMPTS):
            try:
                return await _attempt(registry, info, registry.require(info, namespace, name), options, ctx, admitted)
            except RevisionMismatch as mismatch:
                last = mismatch
    raise conflict(info.resource, info.group, name, MODIFIED) from last


async def _attempt(
    registry: Registry, info: ResourceInfo, stored: Stored, options: DeleteOptions, ctx: RequestContext, admitted: bool
) -> Deletion:
    key = stored.key
    seen = await registry.see(info, stored)
    old = codec.decode(seen.value)
    _check_preconditions(info, key, old, stored, options)
    strategy = strategy_of(info)
    sctx = registry.strategy_context(info, key.namespace, ctx)
    if causes := strategy.validate_delete(old, sctx):
        qualified = str(info.group_resource)
        raise Forbidden(f'{qualified} "{key.name}" is forbidden: {causes[0].message}', group=info.group, kind=info.resource, name=key.name)
    attributes = registry.attributes(Operation.DELETE, info, key, ctx, new=None, old=old, options=options_document(options, ctx))
    if not admitted:
        if registry.admission.mutates(attributes):
            await registry.admission.admit(attributes)
        await registry.admission.validate(attributes)
    new = codec.decode(seen.value)
    if _mark(registry, info, new, options):
        return await _hold(registry, info, stored, seen, new, old, ctx)
    companions = strategy.companions(None, old, sctx)
    new = await registry.storable(info, new)
    mutations = [registry.mutation(info, key, new, stored.revision, delete=True), *registry.companion_mutations(companions, ctx)]
    if ctx.dry_run:
        return Deletion(seen, True)
    revisions = await registry.commit(mutations)
    return Deletion(await registry.answer(info, mutations[0], revisions[0]), True)


async def _hold(
    registry: Registry, info: ResourceInfo, stored: Stored, seen: Stored, new: Json, old: Json, ctx: RequestContext
) -> Deletion:
    """Store the object with its mark."""
    mutation = registry.mutation(info, stored.key, await registry.storable(info, new), stored.revision)
    if mutation.draft.at(stored.revision) == stored.value:
        return Deletion(seen, False)
    if ctx.dry_run:
        return Deletion(Stored(stored.key, stored.revision, codec.encode(new).at(stored.revision)), False)
    revisions = await registry.commit([mutation])
    return Deletion(await registry.answer(info, mutation, revisions[0]), False)


def _mark(registry: Registry, info: ResourceInfo, obj: Json, options: DeleteOptions) -> bool:
    """Set finalizers and the deletion's time in ``obj``. False when nothing holds it and it can go at once."""
    metadata = obj["metadata"]
    strategy = strategy_of(info)
    grace = strategy.graceful_seconds(obj, options.grace_period_seconds)
    _set_propagation(metadata, options.propagation_policy)
    already = metadata.get("deletionTimestamp")
    if already:
        left = metadata.get("deletionGracePeriodSeconds") or 0
        if options.grace_period_seconds is not None and grace < left:  # a grace period can only be shortened
            ends = timestamps.to_epoch(already) - left + grace
            metadata["deletionTimestamp"] = timestamps.from_epoch(ends)
            metadata["deletionGracePeriodSeconds"] = grace
        return holds(info, obj)
    metadata["deletionTimestamp"] = registry.now() if not grace else timestamps.from_epoch(registry.clock() + grace)
    metadata["deletionGracePeriodSeconds"] = grace
    held = holds(info, obj)
    if not held and not strategy.graceful:
        del metadata["deletionTimestamp"], metadata["deletionGracePeriodSeconds"]
        return False
    if strategy.has_generation:
        metadata["generation"] = metadata.get("generation", 0) + 1
    if not held:
        return False
    if (mark := _MARKS.get(info.storage_id)) is not None:
        mark(obj, registry.now())
    return True


def _mark_namespace(namespace: Json, now: str) -> None:
    namespace.setdefault("status", {})["phase"] = "Terminating"


#: What the status of a kind says when its deletion begins.
_MARKS: Final[dict[str, Callable[[Json, str], None]]] = {"namespaces": _mark_namespace, DEFINITIONS: mark_terminating}


def _set_propagation(metadata: dict[str, Json], policy: str) -> None:
    """The finalizers that make the garbage collector orphan, or first delete, the dependents. Without a policy those there stay."""
    if not policy:
        return
    finalizers = [f for f in metadata.get("finalizers") or () if f not in (FINALIZER_ORPHAN, FINALIZER_FOREGROUND)]
    if policy == ORPHAN:
        finalizers.append(FINALIZER_ORPHAN)
    elif policy == FOREGROUND:
        finalizers.append(FINALIZER_FOREGROUND)
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)


def _check_preconditions(info: ResourceInfo, key: ObjectKey, old: Json, stored: Stored, options: DeleteOptions) -> None:
    wanted = options.preconditions
    uid = old["metadata"].get("uid", "")
    if wanted.uid and wanted.uid != uid:
        why = f"the UID in the precondition ({wanted.uid}) does not match the UID in record ({uid})."
        why += " The object might have been deleted and then recreated"
        raise conflict(info.kind, info.group, key.name, why)
    if wanted.resource_version and wanted.resource_version != str(stored.revision):
        why = (
            f"the ResourceVersion in the precondition ({wanted.resource_version[:32]}) does not match the ResourceVersion in record "
            f"({stored.revision}). The object might have been modified"
        )
        raise conflict(info.kind, info.group, key.name, why)


def options_document(options: DeleteOptions, ctx: RequestContext) -> Json:
    """The DeleteOptions as admission sees them."""
    document: dict[str, Json] = {"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1"}
    if options.grace_period_seconds is not None:
        document["gracePeriodSeconds"] = options.grace_period_seconds
    if options.propagation_policy:
        document["propagationPolicy"] = options.propagation_policy
    wanted = {"uid": options.preconditions.uid, "resourceVersion": options.preconditions.resource_version}
    if any(wanted.values()):
        document["preconditions"] = {k: v for k, v in wanted.items() if v}
    if ctx.dry_run:
        document["dryRun"] = ["All"]
    return document


async def delete_collection(
    registry: Registry,
    info: ResourceInfo,
    namespace: str | None,
    options: ListOptions,
    delete_options: DeleteOptions,
    ctx: RequestContext,
) -> ListResult:
    """Delete every object that a list selects, a batch at a time. The answer is the list as it was."""
    if "deletecollection" not in info.verbs:
        raise MethodNotAllowed(
            f'deletecollection is not supported on resources of kind "{info.resource}"', kind=info.resource, group=info.group
        )
    if isinstance(info, CustomResourceInfo) and info.by_webhook:
        selected = await list_converted(registry, info, namespace, options)
    else:
        selected = list_objects(registry, info, namespace, options)
    for start in range(0, len(selected.items), _BATCH):
        batch = selected.items[start : start + _BATCH]
        results = await asyncio.gather(
            *(delete(registry, info, item.key.namespace, item.key.name, delete_options, ctx) for item in batch), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, NotFound):  # gone meanwhile is as good
                raise result
    return selected
