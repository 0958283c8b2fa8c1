# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What passes admission and is never stored: documents that are answered (reviews, tokens), and connections through an object."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

from kplane_server.model.errors import ApiError, BadRequest, Json, ServiceUnavailable
from kplane_server.registry import codec
from kplane_server.registry.attributes import Attributes, Operation
from kplane_server.registry.generic import Registry, check_type
from kplane_server.registry.options import RequestContext
from kplane_server.registry.resource import ResourceInfo

#: Sub-resources that lead to what runs on a node. They have no documents, and their verbs are for the other end.
CONNECTIONS: Final = frozenset({"attach", "exec", "portforward", "proxy"})


async def answer(
    registry: Registry,
    info: ResourceInfo,
    namespace: str,
    body: Json,
    ctx: RequestContext,
    make: Callable[[Json], Awaitable[dict[str, Json]]],
    *,
    name: str = "",
    subresource: str = "",
) -> dict[str, Json]:
    """The document that ``make`` makes of ``body``. Webhooks may change the body, and judge what it became but for its status."""
    row = info.subresources.get(subresource)
    check_type(info, body, row.kind if row is not None else None)
    key = registry.key(info, namespace, name)
    attributes = registry.attributes(Operation.CREATE, info, key, ctx, new=body, subresource=subresource)
    await _admit(registry, attributes)
    document = await make(body)  # which changes nothing anywhere, so it may come before the judgement
    attributes.object = {part: value for part, value in document.items() if part != "status"}
    await registry.admission.validate(attributes)
    return document


async def connect(
    registry: Registry, info: ResourceInfo, namespace: str, name: str, subresource: str, options: Json, ctx: RequestContext
) -> NoReturn:
    """Judge a connection, and say why there is none."""
    key = registry.key(info, namespace, name)
    attributes = registry.attributes(Operation.CONNECT, info, key, ctx, new=options, subresource=subresource)
    await _admit(registry, attributes)
    await registry.admission.validate(attributes)
    raise unreachable(info, name, codec.decode(registry.require(info, namespace, name).value))


async def _admit(registry: Registry, attributes: Attributes) -> None:
    if registry.admission.mutates(attributes):
        await registry.admission.admit(attributes)


def unreachable(info: ResourceInfo, name: str, obj: Json) -> ApiError:
    """There are no nodes behind this control plane that it could ask."""
    if info.resource == "pods" and not (obj.get("spec") or {}).get("nodeName"):
        return BadRequest(f"pod {name} does not have a host assigned", kind="pods", name=name)
    return ServiceUnavailable(f"{info.resource} {name!r} cannot be reached: this control plane is not connected to nodes")
