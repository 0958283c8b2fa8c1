# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Creation: identity, defaults, admission, validation, then one commit that demands that the name is free."""

from __future__ import annotations

from functools import partial
from typing import Final

import orjson

from kplane_server.model.errors import (
    AlreadyExists,
    BadRequest,
    Forbidden,
    Json,
    MethodNotAllowed,
    NotFound,
    ServiceUnavailable,
    already_exists,
)
from kplane_server.model.keys import ObjectKey, ResourceId
from kplane_server.model.metadata import metadata_causes
from kplane_server.model.uids import random_uid
from kplane_server.registry import codec, conversion
from kplane_server.registry.attributes import Operation
from kplane_server.registry.custom_rows import CustomResourceInfo
from kplane_server.registry.documents import accept, check_types, complete, finalizer_causes, own_created
from kplane_server.registry.generic import Registry, check_namespace, check_type, dedup_owner_references, generate_name, reject
from kplane_server.registry.kinds import strategy_of
from kplane_server.registry.options import RequestContext
from kplane_server.registry.resource import ResourceInfo
from kplane_server.registry.shapes import shape_causes
from kplane_server.registry.strategies.base import Strategy
from kplane_server.storage.api import ABSENT, RevisionMismatch, Stored

#: How many names are tried for a ``generateName`` (upstream: RetryGenerateName), and how often companions may get in the way.
CREATE_ATTEMPTS: Final = 8

_NAMESPACES: Final = ResourceId("namespaces")
_NO_COMPANIONS: Final = Strategy().companion_hook
_SERVER_FIELDS: Final = ("resourceVersion", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds")


async def create(
    registry: Registry, info: ResourceInfo, namespace: str, body: Json, ctx: RequestContext, name: str = "", *, owned: bool = False
) -> Stored:
    """Create an object. ``body`` becomes the verb's own and is changed.

    name: the one in the path, where there is one. owned: ``managedFields`` are set already (server-side apply).
    """
    if not info.stored:
        raise MethodNotAllowed(f'create is not supported on resources of kind "{info.resource}"', kind=info.resource, group=info.group)
    if isinstance(info, CustomResourceInfo):
        _check_definition(registry, info)
    if info.deprecation:
        ctx.warn(info.deprecation)
    check_type(info, body)
    check_namespace(info, body, namespace)
    metadata = body["metadata"]
    if metadata.get("resourceVersion"):
        raise BadRequest("resourceVersion should not be set on objects to be created")
    if name and metadata.setdefault("name", name) != name:
        raise BadRequest(f"the name of the object ({metadata['name'][:253]}) does not match the name on the URL ({name})")
    dedup_owner_references(body, ctx)
    accept(info, body, ctx)
    generated = not metadata.get("name") and metadata.get("generateName")
    repeatable = generated or strategy_of(info).companion_hook is not _NO_COMPANIONS
    pristine = orjson.dumps(body) if repeatable else b""
    for attempt in range(CREATE_ATTEMPTS):
        obj = body if attempt == 0 else orjson.loads(pristine)
        if generated:
            obj["metadata"]["name"] = generate_name(generated)
        try:
            return await _attempt(registry, info, namespace, obj, ctx, owned)
        except RevisionMismatch as mismatch:
            taken = mismatch.key == registry.key(info, namespace, mismatch.key.name)  # a companion is of another resource
            if taken and not generated:
                raise already_exists(info.resource, info.group, mismatch.key.name) from mismatch
            last = mismatch
            if not repeatable:
                break
    if generated:
        tried = obj["metadata"]["name"]
        why = f'{info.group_resource} "{tried}" already exists, the server was not able to generate a unique name for the object'
        raise AlreadyExists(why, group=info.group, kind=info.resource, name=tried, retry_after=1) from last
    raise ServiceUnavailable(f"what must be created with the object kept changing: {last}", retry_after=1) from last


async def _attempt(registry: Registry, info: ResourceInfo, namespace: str, obj: Json, ctx: RequestContext, owned: bool) -> Stored:
    """One run of all the steps. Raises RevisionMismatch when the name, or that of a companion, was taken."""
    strategy = strategy_of(info)
    namespaces = registry.store.changed(registry.vcp.id, _NAMESPACES)
    metadata = obj["metadata"]
    name = metadata.get("name") or ""
    key = registry.key(info, namespace, name)
    sctx = registry.strategy_context(info, namespace, ctx)
    if not owned:  # before admission, as upstream: what a plug-in adds belongs to nobody, and a later apply leaves it alone
        obj = own_created(info, obj, ctx, registry.now())
        metadata = obj["metadata"]
    attributes = registry.attributes(Operation.CREATE, info, key, ctx, new=obj)
    if registry.admission.mutates(attributes):
        await registry.admission.admit(attributes)
        if attributes.mutated:
            complete(info, obj)
            check_types(info, obj)
            check_namespace(info, obj, namespace)
            name = attributes.name = metadata.get("name") or ""  # a webhook may name what is made
            key = registry.key(info, namespace, name)
    causes = metadata_causes(metadata, namespaced=info.namespaced, rule=strategy.name_validation) + finalizer_causes(info, metadata)
    for field in _SERVER_FIELDS:
        metadata.pop(field, None)
    metadata["uid"] = random_uid()
    metadata["creationTimestamp"] = registry.now()
    strategy.prepare_for_create(obj, sctx)
    reject(info, name, causes + (await shape_causes(key.vcp, info, obj) or strategy.validate_create(obj, sctx)))
    for text in strategy.warnings(obj):
        ctx.warn(text)
    await registry.admission.validate(attributes)
    companions = strategy.companions(obj, None, sctx)  # may fill in what was allocated, so it comes before the encoding
    mutations = [registry.mutation(info, key, await registry.storable(info, obj), ABSENT)]
    if companions:
        mutations += registry.companion_mutations(companions, ctx)
    if ctx.dry_run:
        if registry.store.get(key) is not None:
            raise RevisionMismatch(key, ABSENT, registry.store.revision)
        if attributes.reservation is not None:
            attributes.reservation.take({})
        return Stored(key, 0, codec.encode_without_revision(obj))
    still_open = partial(_check_still_open, registry, info, key, namespaces)
    birth = registry.births.get(info.storage_id)
    if birth is not None:
        still_open()
        if (writing := birth(obj, mutations[0])) is not None:
            return conversion.read(await registry.stored(writing), info)
    revisions = await registry.commit_reserved(mutations, attributes.reservation, still_open)
    return await registry.answer(info, mutations[0], revisions[0])


def _check_still_open(registry: Registry, info: ResourceInfo, key: ObjectKey, namespaces: int) -> None:
    """Nothing is left behind by a deletion that began while admission was asked: no await comes between this and the commit's queue."""
    if isinstance(info, CustomResourceInfo):
        _check_definition(registry, info)
    if key.namespace and registry.store.changed(registry.vcp.id, _NAMESPACES) != namespaces:
        found = registry.lookup.get(_NAMESPACES, "", key.namespace)
        if found is not None and "deletionTimestamp" in found["metadata"]:
            why = f"unable to create new content in namespace {key.namespace} because it is being terminated"
            text = f'{info.group_resource} "{key.name}" is forbidden: {why}'
            raise Forbidden(text, group=info.group, kind=info.resource, name=key.name)


def _check_definition(registry: Registry, info: CustomResourceInfo) -> None:
    """A definition that is gone or going takes no new instances."""
    current = registry.resources.find(info.group, info.version, info.resource)
    if current is None:
        raise NotFound("the server could not find the requested resource", group=info.group, kind=info.resource)
    if isinstance(current, CustomResourceInfo) and current.terminating:
        why = "create not allowed while custom resource definition is terminating"
        raise MethodNotAllowed(why, kind=info.resource, group=info.group)
