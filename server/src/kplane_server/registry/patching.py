# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Patches: a media type names the function that makes the wanted document from the stored one.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-apply
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from kplane_server.model.errors import BadRequest, Json, UnsupportedMediaType
from kplane_server.model.resources import GroupVersionKind
from kplane_server.registry.documents import accept, accept_patched, unowned
from kplane_server.registry.generic import Registry, check_name, check_type
from kplane_server.registry.kinds import schema_of, strategy_of
from kplane_server.registry.options import Patch, RequestContext
from kplane_server.registry.resource import ResourceInfo
from kplane_server.registry.update import Written, change
from kplane_server.schema.apply import managers
from kplane_server.schema.patch import json_patch, merge_patch, strategic
from kplane_server.schema.structural import Schema

JSON_PATCH: Final = "application/json-patch+json"
MERGE_PATCH: Final = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH: Final = "application/strategic-merge-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"


def _strategic(document: Json, patch: Json, schema: Schema) -> Json:
    """Upstream reads the result into the Go type that the document was, so a type that the patch names (as clients do that scale by the
    object's own kind) counts for nothing."""
    result = strategic.apply(document, patch, schema)
    return {**result, "apiVersion": document["apiVersion"], "kind": document["kind"]} if isinstance(result, dict) else result


_PATCHERS: Final[dict[str, Callable[[Json, Json, Schema], Json]]] = {
    JSON_PATCH: lambda document, patch, schema: json_patch.apply(document, patch),
    MERGE_PATCH: lambda document, patch, schema: merge_patch.apply(document, patch),
    STRATEGIC_MERGE_PATCH: _strategic,
}


def media_types(info: ResourceInfo) -> tuple[str, ...]:
    """The patches that a resource takes. Strategic merge needs Go types, so custom resources have none."""
    return (JSON_PATCH, MERGE_PATCH, *((STRATEGIC_MERGE_PATCH,) if info.builtin else ()), APPLY_PATCH)


def patched(document: Json, patch: Patch, schema: Schema) -> Json:
    """``document`` after a patch that is not an apply."""
    if patch.content_type != JSON_PATCH and not isinstance(patch.document, dict):
        raise BadRequest("the patch must be a JSON object")
    result = _PATCHERS[patch.content_type](document, patch.document, schema)
    if not isinstance(result, dict):
        raise BadRequest("the patch must leave a JSON object")
    return result


def check_media_type(info: ResourceInfo, patch: Patch) -> None:
    """Raises the 415 of a patch that the resource does not take."""
    accepted = media_types(info)
    if patch.content_type not in accepted:
        listed = ", ".join(accepted)
        raise UnsupportedMediaType(f"the body of the request was in an unknown format - accepted media types include: {listed}")


async def patch_object(
    registry: Registry, info: ResourceInfo, namespace: str, name: str, patch: Patch, ctx: RequestContext, subresource: str = ""
) -> Written:
    """Patch an object, or a sub-resource that takes the whole document. An apply creates what is missing."""
    check_media_type(info, patch)
    if patch.content_type == APPLY_PATCH:
        return await apply_object(registry, info, namespace, name, patch, ctx, subresource)
    schema = schema_of(info)

    def transform(old: Json | None) -> Json:
        new = patched(old, patch, schema)
        accept_patched(info, new, ctx, patch.document)
        check_name(new["metadata"], name)
        return new

    return await change(registry, info, namespace, name, transform, ctx, subresource)


def check_applied(document: Json, wanted: GroupVersionKind) -> None:
    """What is applied says what it is. Raises BadRequest."""
    version, kind = (document.get("apiVersion") or "", document.get("kind") or "") if isinstance(document, dict) else ("", "")
    if (version, kind) != (wanted.api_version, wanted.kind):
        group, _, number = str(version)[:253].rpartition("/")
        raise BadRequest(f"invalid object type: {group}/{number}, Kind={str(kind)[:63]}")


async def apply_object(
    registry: Registry, info: ResourceInfo, namespace: str, name: str, patch: Patch, ctx: RequestContext, subresource: str
) -> Written:
    """Server-side apply: https://kubernetes.io/docs/reference/using-api/server-side-apply/."""
    applied = patch.document
    check_applied(applied, info.gvk)
    check_type(info, applied)
    metadata = applied["metadata"]
    check_name(metadata, name)
    if info.namespaced and metadata.setdefault("namespace", namespace) != namespace:
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
    if metadata.get("managedFields"):
        raise BadRequest("metadata.managedFields must be nil")
    schema = schema_of(info)
    ignored = unowned(strategy_of(info).reset_fields(subresource))
    version = str(info.group_version)
    force = patch.force or ctx.force

    def transform(old: Json | None) -> Json:
        now = registry.now()
        new: Json = managers.apply(old, applied, ctx.field_manager, force, schema, version, subresource, now, ignored=ignored)
        accept(info, new, ctx)
        return new

    creates = not subresource
    return await change(registry, info, namespace, name, transform, ctx, subresource, may_create=creates, owned=True)
