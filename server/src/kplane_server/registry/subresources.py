# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sub-resources: documents that show, or change, a part of an object. Each is a row: verb → function."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import orjson

from kplane_server.model.errors import BadRequest, Json, MethodNotAllowed, NotFound, invalid
from kplane_server.model.resources import GroupVersionKind
from kplane_server.registry import codec, conversion, pods
from kplane_server.registry.builtin_schemas import schema_for
from kplane_server.registry.custom_rows import CustomResourceInfo
from kplane_server.registry.generic import Registry, check_name, check_type
from kplane_server.registry.options import Patch, RequestContext
from kplane_server.registry.patching import APPLY_PATCH, apply_object, check_applied, check_media_type, patch_object, patched
from kplane_server.registry.resource import ResourceInfo, Subresource
from kplane_server.registry.strategies.scale import scale_causes, scale_of, with_scale
from kplane_server.registry.unstored import unreachable
from kplane_server.registry.update import Written, change
from kplane_server.registry.update import update as update_object
from kplane_server.storage.api import Stored

_SCALE = ("autoscaling", "v1", "Scale")


def get(registry: Registry, info: ResourceInfo, namespace: str, name: str, subresource: str) -> Stored:
    """The document of a sub-resource."""
    _require(info, subresource, "get")
    return shown(info, name, subresource, conversion.read(registry.require(info, namespace, name), info))


def shown(info: ResourceInfo, name: str, subresource: str, stored: Stored) -> Stored:
    """The document of a sub-resource of an object, which is at the version of ``info``."""
    _require(info, subresource, "get")
    if subresource == "scale":
        return _scale(info, stored)
    if subresource == "log":
        raise unreachable(info, name, codec.decode(stored.value))
    return stored


async def create(
    registry: Registry, info: ResourceInfo, namespace: str, name: str, subresource: str, body: Json, ctx: RequestContext
) -> Stored:
    """Post to a sub-resource."""
    row = _require(info, subresource, "create")
    handler = _POSTS.get((info.resource, subresource))
    if handler is None:
        raise MethodNotAllowed(
            f'create is not supported on resources of kind "{info.resource}/{subresource}"', group=info.group, kind=info.resource
        )
    check_type(info, body, row.kind)
    return await handler(registry, info, namespace, name, body, ctx)


async def create_binding(registry: Registry, info: ResourceInfo, namespace: str, body: Json, ctx: RequestContext) -> Stored:
    """Post to ``bindings``: the document names the pod."""
    check_type(info, body)
    name = body["metadata"].get("name")
    row = registry.resources.find("", "v1", "pods")
    if row is None or not name:
        raise BadRequest("metadata.name of a Binding must name a pod")
    return await pods.bind(registry, row, namespace, name, body, ctx, through=info)


async def update(
    registry: Registry, info: ResourceInfo, namespace: str, name: str, subresource: str, body: Json, ctx: RequestContext
) -> Written:
    """Replace the document of a sub-resource."""
    _require(info, subresource, "update")
    if subresource == "scale":
        check_type(info, body, _SCALE)
        check_name(body["metadata"], name)
        return await _rescale(registry, info, namespace, name, ctx, lambda _: body)
    return await update_object(registry, info, namespace, name, body, ctx, subresource)


async def patch(
    registry: Registry, info: ResourceInfo, namespace: str, name: str, subresource: str, patch: Patch, ctx: RequestContext
) -> Written:
    """Patch the document of a sub-resource."""
    _require(info, subresource, "patch")
    if subresource != "scale":
        return await patch_object(registry, info, namespace, name, patch, ctx, subresource)
    check_media_type(info, patch)
    if patch.content_type == APPLY_PATCH:
        written = await apply_object(registry, info, namespace, name, _applied_scale(info, name, patch), ctx, "scale")
        return Written(_scale(info, written.stored), False)
    return await _rescale(registry, info, namespace, name, ctx, lambda scale: patched(scale, patch, schema_for(GroupVersionKind(*_SCALE))))


def _applied_scale(info: ResourceInfo, name: str, patch: Patch) -> Patch:
    """An applied Scale as the one field of the object that it is about: who owns that field is known of the object."""
    scale = patch.document
    check_applied(scale, GroupVersionKind(*_SCALE))
    check_type(info, scale, _SCALE)
    check_name(scale["metadata"], name)
    if not isinstance(scale.get("spec") or {}, dict):
        raise BadRequest("json: cannot unmarshal into Go struct field Scale.spec of type v1.ScaleSpec")
    _check_scale(info, name, scale)
    bare = {"apiVersion": str(info.group_version), "kind": info.kind, "metadata": scale["metadata"]}
    given = (scale.get("spec") or {}).get("replicas") is not None
    paths = info.scale if isinstance(info, CustomResourceInfo) else None
    return Patch(APPLY_PATCH, with_scale(bare, scale, paths) if given else bare, patch.force)


def _check_scale(info: ResourceInfo, name: str, scale: Json) -> None:
    """Of a built-in kind the Scale is wrong; of a custom one the resource is, as upstream words it."""
    if causes := scale_causes(scale):
        kind, group = ("Scale", "autoscaling") if info.builtin else (info.kind, info.group)
        raise invalid(kind, group, name, causes)


async def _rescale(
    registry: Registry, info: ResourceInfo, namespace: str, name: str, ctx: RequestContext, wanted: Callable[[Json], Json]
) -> Written:
    """Change the replicas of an object through its Scale."""
    paths = info.scale if isinstance(info, CustomResourceInfo) else None

    def transform(old: Json | None) -> Json:
        assert old is not None  # change() makes nothing here
        scale = wanted(scale_of(info, old, paths))
        check_type(info, scale, _SCALE)
        if not isinstance(scale.get("spec") or {}, dict):
            raise BadRequest("json: cannot unmarshal into Go struct field Scale.spec of type v1.ScaleSpec")
        _check_scale(info, name, scale)
        new: Json = with_scale(old, scale, paths)
        given = scale["metadata"]
        kept = {k: given[k] for k in ("uid", "resourceVersion") if given.get(k)}
        metadata = {k: v for k, v in old["metadata"].items() if k not in ("uid", "resourceVersion")}
        return {**new, "metadata": {**metadata, **kept}}

    written = await change(registry, info, namespace, name, transform, ctx, "scale")
    return Written(_scale(info, written.stored), False)


def _scale(info: ResourceInfo, stored: Stored) -> Stored:
    paths = info.scale if isinstance(info, CustomResourceInfo) else None
    return Stored(stored.key, stored.revision, orjson.dumps(scale_of(info, codec.decode(stored.value), paths)))


def _require(info: ResourceInfo, subresource: str, verb: str) -> Subresource:
    row = info.subresources.get(subresource)
    if row is None:
        raise NotFound("the server could not find the requested resource", group=info.group, kind=info.resource)
    if verb not in row.verbs:
        raise MethodNotAllowed(
            f'{verb} is not supported on resources of kind "{info.resource}/{subresource}"', group=info.group, kind=info.resource
        )
    return row


Post = Callable[[Registry, ResourceInfo, str, str, Json, RequestContext], Awaitable[Stored]]

#: (resource, sub-resource) → what a POST does. ``serviceaccounts/token`` is answered by the room ``access``.
_POSTS: Final[dict[tuple[str, str], Post]] = {
    ("pods", "binding"): pods.bind,
    ("pods", "eviction"): pods.evict,
}
