# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Typed identity of stored objects. A key is never a concatenated string (kplane defects A2 and O9)."""

from __future__ import annotations

from typing import NamedTuple, NewType

#: One incarnation of a VCP. Numbers are never used twice, so a VCP made again under an old name shares nothing with it.
VcpId = NewType("VcpId", int)

#: ``str(GroupResource)``: ``configmaps``, ``deployments.apps``. Versions of one resource share their objects.
ResourceId = NewType("ResourceId", str)

#: The root control plane is always the first incarnation.
ROOT_VCP_ID = VcpId(1)


class ObjectKey(NamedTuple):
    """Where one object lives. ``namespace`` is empty for cluster-scoped objects."""

    vcp: VcpId
    resource: ResourceId
    namespace: str
    name: str


class Scope(NamedTuple):
    """A collection: one resource in one VCP, in one namespace or (``None``) in all."""

    vcp: VcpId
    resource: ResourceId
    namespace: str | None = None

    def contains(self, key: ObjectKey) -> bool:
        return self.vcp == key.vcp and self.resource == key.resource and self.namespace in (None, key.namespace)
