# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the schema of a custom resource, and its rules, have against a document."""

from __future__ import annotations

from collections.abc import Callable

from kplane_server.model.errors import Cause, Json
from kplane_server.model.keys import VcpId
from kplane_server.registry.aside import judged
from kplane_server.registry.custom_rows import CustomResourceInfo
from kplane_server.registry.resource import ResourceInfo
from kplane_server.schema.cel.budget import Budget, Place
from kplane_server.schema.customresource import resource_causes


async def shape_causes(
    vcp: VcpId, info: ResourceInfo, obj: Json, old: Json | None = None, warn: Callable[[str], None] | None = None
) -> list[Cause]:
    """What is wrong; what an update leaves alone is only warned of."""
    if not isinstance(info, CustomResourceInfo):
        return []
    schema = info.schema

    def work(place: Place) -> tuple[list[Cause], list[str]]:
        warnings: list[str] = []
        return resource_causes(obj, schema, old=old, warn=warnings.append, budget=Budget(place=place)), warnings

    causes, warnings = await judged(vcp, work)
    if warn is not None:
        for text in warnings:
            warn(text)
    return causes
