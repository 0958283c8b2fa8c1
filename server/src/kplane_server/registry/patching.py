# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Patches: a media type names the function that makes the wanted document from the stored one."""

from __future__ import annotations

from kplane_server.model.errors import UnsupportedMediaType
from kplane_server.registry.generic import Registry
from kplane_server.registry.options import Patch, RequestContext
from kplane_server.registry.resource import ResourceInfo
from kplane_server.registry.update import Written


async def patch(
    registry: Registry, info: ResourceInfo, namespace: str, name: str, patch: Patch, ctx: RequestContext, subresource: str = ""
) -> Written:
    """Patch an object or a sub-resource."""
    raise UnsupportedMediaType(f"unsupported patch type {patch.content_type}")
