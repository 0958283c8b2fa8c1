# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sub-resources: documents that show, or change, a part of an object."""

from __future__ import annotations

from kplane_server.model.errors import Json, MethodNotAllowed, NotFound
from kplane_server.registry import conversion
from kplane_server.registry.generic import Registry
from kplane_server.registry.options import RequestContext
from kplane_server.registry.resource import ResourceInfo
from kplane_server.registry.update import Written
from kplane_server.registry.update import update as update_object
from kplane_server.storage.api import Stored


def get(registry: Registry, info: ResourceInfo, namespace: str, name: str, subresource: str) -> Stored:
    """The document of a sub-resource."""
    _require(info, subresource, "get")
    return conversion.read(registry.require(info, namespace, name), info)


async def create(
    registry: Registry, info: ResourceInfo, namespace: str, name: str, subresource: str, body: Json, ctx: RequestContext
) -> Stored:
    """Post to a sub-resource."""
    _require(info, subresource, "create")
    raise MethodNotAllowed(f"create of {info.resource}/{subresource}")


async def update(
    registry: Registry, info: ResourceInfo, namespace: str, name: str, subresource: str, body: Json, ctx: RequestContext
) -> Written:
    """Replace the document of a sub-resource."""
    _require(info, subresource, "update")
    return await update_object(registry, info, namespace, name, body, ctx, subresource)


def _require(info: ResourceInfo, subresource: str, verb: str) -> None:
    row = info.subresources.get(subresource)
    if row is None:
        raise NotFound("the server could not find the requested resource", group=info.group, kind=info.resource)
    if verb not in row.verbs:
        raise MethodNotAllowed(
            f'{verb} is not supported on resources of kind "{info.resource}/{subresource}"', group=info.group, kind=info.resource
        )
