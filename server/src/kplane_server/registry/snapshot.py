# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that a control plane holds at one revision, resource by resource, in pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

import orjson

from kplane_server.model.errors import BadRequest
from kplane_server.model.keys import Scope
from kplane_server.registry import conversion
from kplane_server.registry.custom_rows import CustomResourceInfo
from kplane_server.registry.generic import Registry
from kplane_server.registry.resource import ResourceInfo
from kplane_server.storage.api import Stored

#: Objects that are read, and stripped, in one turn of the loop.
PAGE: Final = 100
_OWNERSHIP: Final = b'"managedFields":'


def rows(registry: Registry, names: Sequence[str]) -> list[ResourceInfo]:
    """One row for each collection that can be listed, in the order of group and resource.

    names: only these, as ``resource`` or ``resource.group``. Raises BadRequest for one that is not there.
    """
    found: dict[str, ResourceInfo] = {}
    for row in registry.resources.all():  # what several versions or groups share is shown once, in the first of them
        if row.stored and "list" in row.verbs:
            found.setdefault(str(row.storage_id), row)
    by_name = {str(row.group_resource): row for row in found.values()}
    if unknown := sorted(set(names) - set(by_name)):
        raise BadRequest(f"resource: {unknown[0][:253]!r} is no collection of this control plane; name them as deployments.apps")
    wanted = [by_name[name] for name in dict.fromkeys(names)] if names else list(found.values())
    return sorted(wanted, key=lambda row: (row.group, row.resource))


async def pages(registry: Registry, info: ResourceInfo, revision: int) -> AsyncIterator[list[bytes]]:
    """The objects of a collection as they were at a revision, without ``managedFields``. Raises Compacted when it is forgotten."""
    scope = Scope(registry.vcp.id, info.storage_id)
    after: tuple[str, str] | None = None
    more = True
    while more:
        page = registry.store.page(scope, after=after, limit=PAGE, revision=revision)
        items: Sequence[Stored] = page.items
        if isinstance(info, CustomResourceInfo) and info.by_webhook:
            items = await registry.converter.read(items, info)
        yield [_plain(conversion.read(item, info).value) for item in items]
        more = page.more
        after = (page.items[-1].key.namespace, page.items[-1].key.name) if more else None


def _plain(value: bytes) -> bytes:
    if _OWNERSHIP not in value:
        return value
    document = orjson.loads(value)
    document["metadata"].pop("managedFields", None)
    return orjson.dumps(document)
