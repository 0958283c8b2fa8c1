# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change of a stored object: read, transform, admit, validate, commit against that revision; again if another write came first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import orjson

from kplane_server.model.errors import (
    ApiError,
    BadRequest,
    Cause,
    Json,
    MethodNotAllowed,
    conflict,
    field_invalid,
    invalid,
    not_found,
)
from kplane_server.model.keys import ObjectKey
from kplane_server.model.metadata import metadata_update_causes
from kplane_server.registry import codec
from kplane_server.registry.attributes import Attributes, Operation
from kplane_server.registry.create import create
from kplane_server.registry.documents import accept, check_types, complete, finalizer_causes, own_updated
from kplane_server.registry.generic import WRITE_ATTEMPTS, Registry, check_name, check_namespace, check_type, dedup_owner_references, reject
from kplane_server.registry.kinds import strategy_of
from kplane_server.registry.options import RequestContext
from kplane_server.registry.reserving import MODIFIED
from kplane_server.registry.resource import ResourceInfo
from kplane_server.registry.shapes import shape_causes
from kplane_server.registry.strategies.base import Strategy
from kplane_server.schema.patch.json_patch import equal
from kplane_server.storage.api import RevisionMismatch, Stored

#: From the stored document (``None``: there is none; the callee may change what it gets) to the wanted one.
Transform = Callable[[Json | None], Json]


class Written(NamedTuple):
    """The outcome of a write: the object as the client sees it, and whether it is new."""

    stored: Stored
    created: bool


async def update(
    registry: Registry, info: ResourceInfo, namespace: str, name: str, body: Json, ctx: RequestContext, subresource: str = ""
) -> Written:
    """Replace an object (PUT). ``body`` becomes the verb's own and is changed."""
    if not info.stored:
        raise MethodNotAllowed(f'update is not supported on resources of kind "{info.resource}"', kind=info.resource, group=info.group)
    check_type(info, body)
    check_namespace(info, body, namespace)
    check_name(body["metadata"], name)
    accept(info, body, ctx)
    pristine = orjson.dumps(body)
    creates = strategy_of(info).allow_create_on_update and not subresource
    return await change(registry, info, namespace, name, lambda _: orjson.loads(pristine), ctx, subresource, may_create=creates)


async def change(
    registry: Registry,
    info: ResourceInfo,
    namespace: str,
    name: str,
    transform: Transform,
    ctx: RequestContext,
    subresource: str = "",
    *,
    may_create: bool = False,
    owned: bool = False,
    admitted: bool = False,
) -> Written:
    """Run ``transform`` on the stored object until its result can be committed. Raises Conflict when the result names another revision.

    owned: the transform has set ``managedFields`` itself (server-side apply). admitted: admission has judged what was posted.
    """
    if info.deprecation:
        ctx.warn(info.deprecation)
    key = registry.key(info, namespace, name)
    last: Exception | None = None
    async with registry.locks.hold(key):
        for _ in range(WRITE_ATTEMPTS):
            stored = registry.store.get(key)
            if stored is None:
                if not may_create:
                    raise not_found(info.resource, info.group, name)
                try:
                    obj = transform(None)
                    _refuse_preconditions(info, name, obj, applied=owned)
                    return Written(await create(registry, info, namespace, obj, ctx, name, owned=owned), True)
                except ApiError as error:
                    if error.reason != "AlreadyExists":
                        raise
                    last = error
                    continue
            try:
                return Written(await _attempt(registry, info, stored, transform, ctx, subresource, owned, admitted), False)
            except RevisionMismatch as mismatch:
                last = mismatch
    raise conflict(info.resource, info.group, name, MODIFIED) from last


def _refuse_preconditions(info: ResourceInfo, name: str, obj: Json, *, applied: bool) -> None:
    """What names a uid cannot be created, and what names a revision neither, but by an apply."""
    metadata = obj["metadata"]
    if metadata.get("uid"):
        why = f"uid mismatch: the provided object specified uid {metadata['uid']}, and no existing object was found"
        raise conflict(info.resource, info.group, name, why)
    if not applied and metadata.get("resourceVersion") not in (None, "", "0"):
        raise not_found(info.resource, info.group, name)
    metadata.pop("resourceVersion", None)


async def _attempt(
    registry: Registry,
    info: ResourceInfo,
    stored: Stored,
    transform: Transform,
    ctx: RequestContext,
    subresource: str,
    owned: bool,
    admitted: bool,
) -> Stored:
    """One run of all the steps against one revision of the object."""
    strategy = strategy_of(info)
    key = stored.key
    seen = await registry.see(info, stored)
    old = codec.decode(seen.value)
    new = transform(codec.decode(seen.value))
    check_type(info, new)
    check_namespace(info, new, key.namespace)
    _check_preconditions(info, key, new, old, stored)
    causes = _timed(new["metadata"], old["metadata"])
    keep_server_fields(new["metadata"], old["metadata"])
    dedup_owner_references(new, ctx)
    sctx = registry.strategy_context(info, key.namespace, ctx, _strategic(subresource))
    attributes = registry.attributes(Operation.UPDATE, info, key, ctx, new=new, old=old, subresource=subresource)
    if not admitted and registry.admission.mutates(attributes):
        await registry.admission.admit(attributes)
        if attributes.mutated:
            complete(info, new)
            check_types(info, new)
        keep_server_fields(new["metadata"], old["metadata"])
    strategy.prepare_for_update(new, old, sctx)
    if not owned:
        new = attributes.object = own_updated(info, new, old, ctx, subresource, registry.now())
    causes += metadata_update_causes(new["metadata"], old["metadata"]) + finalizer_causes(info, new["metadata"])
    reject(info, key.name, causes + (await shape_causes(key.vcp, info, new, old, ctx.warn) or strategy.validate_update(new, old, sctx)))
    for text in strategy.warnings(new, old):
        ctx.warn(text)
    if not admitted:
        await registry.admission.validate(attributes)
    return await _store(registry, strategy, stored, seen, old, attributes)


async def _store(registry: Registry, strategy: Strategy, stored: Stored, seen: Stored, old: Json, attributes: Attributes) -> Stored:
    info, key, ctx, new = attributes.info, stored.key, attributes.context, attributes.object
    assert new is not None  # an update has a document
    storable = await registry.storable(info, new)
    mutation = registry.mutation(info, key, storable, stored.revision)
    encoded = mutation.draft.at(stored.revision)
    if encoded == stored.value or (len(encoded) == len(stored.value) and _same(new, old)):
        return seen  # nothing changed: no write and no event, as upstream
    sctx = registry.strategy_context(info, key.namespace, ctx, _strategic(attributes.subresource))
    gone = mutation.terminating and not holds(info, new)
    companions = strategy.companions(None if gone else new, old, sctx)
    mutations = [registry.mutation(info, key, storable, stored.revision, delete=gone) if companions or gone else mutation]
    mutations += registry.companion_mutations(companions, ctx)
    if ctx.dry_run:
        if attributes.reservation is not None:
            attributes.reservation.take({})
        return await registry.answer(info, mutations[0], stored.revision)
    revisions = await registry.commit_reserved(mutations, attributes.reservation)
    return await registry.answer(info, mutations[0], revisions[0])


def _same(new: Json, old: Json) -> bool:
    """Whether two documents differ in nothing but the order of their fields, and the revision that an update may leave out."""
    if new.keys() != old.keys():
        return False
    first, second = new["metadata"], old["metadata"]
    if (first.keys() ^ second.keys()) - {"resourceVersion"}:
        return False
    metadata = {**first, "resourceVersion": second.get("resourceVersion")}
    if "managedFields" in first:
        metadata["managedFields"] = _without_times(first["managedFields"])
        old = {**old, "metadata": {**second, "managedFields": _without_times(second["managedFields"])}}
    return equal({**new, "metadata": metadata}, old)


def _without_times(entries: Json) -> Json:
    """managedFields whose times alone differ say the same (a manager that applies the same again, in other words: ``1000m`` for ``1``)."""
    bare = ({key: value for key, value in entry.items() if key != "time"} for entry in entries)
    return sorted(bare, key=lambda entry: [str(entry.get(key)) for key in ("manager", "operation", "apiVersion", "subresource")])


def _strategic(subresource: str) -> str:
    """A Scale changes a field of the object itself, so the object's own rules hold."""
    return "" if subresource == "scale" else subresource


def holds(info: ResourceInfo, obj: Json) -> bool:
    """Whether something keeps an object that is being deleted: a finalizer, a namespace's own finalizers, or a grace period that runs."""
    metadata = obj["metadata"]
    if metadata.get("finalizers") or metadata.get("deletionGracePeriodSeconds"):
        return True
    return info.resource == "namespaces" and not info.group and bool((obj.get("spec") or {}).get("finalizers"))


def _check_preconditions(info: ResourceInfo, key: ObjectKey, new: Json, old: Json, stored: Stored) -> None:
    metadata = new["metadata"]
    if metadata.setdefault("name", key.name) != key.name:
        raise BadRequest(f"the name of the object ({metadata['name'][:253]}) does not match the name on the URL ({key.name})")
    wanted = metadata.get("uid")
    if wanted and wanted != old["metadata"].get("uid"):
        why = f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {old['metadata'].get('uid', '')}"
        raise conflict(info.resource, info.group, key.name, why)
    revision = metadata.get("resourceVersion")
    if revision in (None, "", "0"):
        if not strategy_of(info).allow_unconditional_update:
            cause = field_invalid("metadata.resourceVersion", 0, "must be specified for an update")
            raise invalid(info.kind, info.group, key.name, [cause])
        return
    if not (revision.isascii() and revision.isdigit()):
        raise invalid(info.kind, info.group, key.name, [field_invalid("metadata.resourceVersion", revision, "must be an unsigned integer")])
    if int(revision) != stored.revision:
        raise conflict(info.resource, info.group, key.name, MODIFIED)


def _timed(new: dict[str, Json], old: dict[str, Json]) -> list[Cause]:
    """Only a deletion sets the time of it."""
    given = new.get("deletionTimestamp")
    changed = given not in (None, "", old.get("deletionTimestamp"))
    return [field_invalid("metadata.deletionTimestamp", given, "field is immutable")] if changed else []


_KEPT: Final = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")


def keep_server_fields(new: dict[str, Json], old: dict[str, Json]) -> None:
    """What an update never changes: a value that is left out, or that a client cannot set, stays as it is."""
    for field in _KEPT:
        if field in old:
            new[field] = old[field]
        else:
            new.pop(field, None)
    new.pop("selfLink", None)
    if "generateName" in old:
        new.setdefault("generateName", old["generateName"])
