# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A request as a webhook sees it: its documents at the version that the webhook asks for, and what it made of them back again."""

from __future__ import annotations

from dataclasses import dataclass

from kplane_server.admission.webhook_review import kind_of
from kplane_server.model.errors import ApiError, BadRequest, Cause, InternalError, Json
from kplane_server.model.resources import GroupVersionKind
from kplane_server.registry import documents
from kplane_server.registry.attributes import Attributes
from kplane_server.registry.custom_rows import CustomResourceInfo
from kplane_server.registry.generic import Registry, check_type
from kplane_server.registry.kinds import schema_of
from kplane_server.registry.resource import ResourceInfo
from kplane_server.registry.strategies.conversion import convert
from kplane_server.registry.strategies.scale import ScalePaths, scale_of, with_scale
from kplane_server.schema.defaulting import copy_json
from kplane_server.schema.patch import json_patch
from kplane_server.schema.pruning import prune

_SCALE = "scale"


@dataclass(slots=True)
class Shown:
    """What is shown to webhooks at one version. ``dirty``: changed since it was made of the request."""

    row: ResourceInfo
    kind: GroupVersionKind
    object: Json | None
    old: Json | None
    dirty: bool = False


async def show(registry: Registry, attributes: Attributes, row: ResourceInfo) -> Shown:
    """The documents of a request at the version of ``row``. Raises ApiError where that is impossible."""
    subresource = attributes.subresource
    obj = await _at(registry, attributes.object, attributes.info, row)
    old = await _at(registry, attributes.old, attributes.info, row)
    if subresource == _SCALE:
        paths = _scale_paths(row)
        obj, old = (None if document is None else scale_of(row, document, paths) for document in (obj, old))
    return Shown(row, kind_of(row, subresource), obj, old)


async def take_back(registry: Registry, attributes: Attributes, shown: Shown) -> None:
    """Put what webhooks made of the document into the request, in place."""
    assert attributes.object is not None
    assert shown.object is not None  # only what is there can be dirty
    shown.dirty = False
    if attributes.subresource == _SCALE:
        changed: Json = with_scale(attributes.object, shown.object, _scale_paths(attributes.info))
    else:
        changed = await _at(registry, shown.object, shown.row, attributes.info)
    attributes.mutated = True
    replace(attributes.object, changed)


def replace(document: dict[str, Json], content: dict[str, Json]) -> None:
    """Give a document other content. It, and its metadata, stay the objects that others hold on to."""
    metadata: dict[str, Json] = document["metadata"]
    given = copy_json(content["metadata"])
    metadata.clear()
    metadata.update(given)
    rest = {key: value for key, value in content.items() if key != "metadata"}
    document.clear()
    document.update(rest)
    document["metadata"] = metadata


def patched(shown: Shown, patch: Json) -> bool:
    """Apply the JSON patch of a webhook to what it was shown. True if that changed anything. Raises InternalError."""
    assert shown.object is not None  # the caller's condition
    try:
        changed = json_patch.apply(shown.object, patch)
    except ApiError as error:
        raise internal_error(error.message) from error
    return adopt(shown, changed)


def adopt(shown: Shown, changed: Json, *, strict: bool = False) -> bool:
    """Show a document that was made of what was shown. True if it is another one.

    Raises InternalError for what is no document of the kind; if ``strict``, for unknown fields too.
    """
    try:
        _complete(shown, changed, strict)
    except ApiError as error:
        raise internal_error(error.message) from error
    differs = not json_patch.equal(changed, shown.object)
    shown.object, shown.dirty = changed, True
    return differs


def _complete(shown: Shown, document: Json, strict: bool) -> None:
    """What decoding into the Go type and defaulting would do."""
    row = shown.row
    check_type(row, document, shown.kind)
    if shown.kind != row.gvk:  # a document of a sub-resource: Scale, Binding, Eviction
        return
    _, unknown = prune(document, schema_of(row))
    if strict and unknown and row.builtin:
        raise BadRequest("strict decoding error: " + ", ".join(f'unknown field "{path}"' for path in unknown))
    documents.complete(row, document)
    documents.check_types(row, document)


async def _at(registry: Registry, document: Json | None, given: ResourceInfo, wanted: ResourceInfo) -> Json | None:
    if document is None or given.gvr == wanted.gvr:
        return document
    if isinstance(wanted, CustomResourceInfo):
        return (await registry.converter.documents([document], wanted, wanted.group_version))[0]
    return convert(copy_json(document), given.group_version, wanted.group_version)


def _scale_paths(row: ResourceInfo) -> ScalePaths | None:
    return row.scale if isinstance(row, CustomResourceInfo) else None


def internal_error(why: str) -> InternalError:
    """Upstream's ``NewInternalError``."""
    return InternalError(f"Internal error occurred: {why}", causes=[Cause("", why)])
