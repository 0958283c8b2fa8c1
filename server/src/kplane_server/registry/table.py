# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The resources that one control plane serves: the built-in ones, and those of its own CustomResourceDefinitions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from kplane_server.model.keys import ResourceId, VcpId
from kplane_server.model.resources import GroupVersionKind
from kplane_server.registry.catalog import Catalog
from kplane_server.registry.custom import CustomResources
from kplane_server.registry.resource import ResourceInfo
from kplane_server.storage.api import Store


class ResourceTable:
    """Look-ups of rows. Rebuilt when a CustomResourceDefinition changes; without any, it costs nothing beside the shared catalog."""

    __slots__ = ("_builtin", "_custom")

    def __init__(self, vcp: VcpId, store: Store, builtin: Catalog) -> None:
        self._builtin = builtin
        self._custom = CustomResources(vcp, store)

    @property
    def custom(self) -> CustomResources:
        """The custom part, with what only custom resources have."""
        return self._custom

    @property
    def generation(self) -> int:
        """Changes when the set of rows may have changed: what discovery and OpenAPI caches compare."""
        return self._custom.generation

    def find(self, group: str, version: str, resource: str) -> ResourceInfo | None:
        """The row that a request path addresses."""
        return self._builtin.find(group, version, resource) or self._custom.catalog.find(group, version, resource)

    def kind(self, gvk: GroupVersionKind) -> ResourceInfo | None:
        """The row of a document's type."""
        return self._builtin.kind(gvk) or self._custom.catalog.kind(gvk)

    def all(self) -> Iterator[ResourceInfo]:
        """Every row, built-in ones first."""
        yield from self._builtin
        yield from self._custom.catalog

    def groups(self) -> Mapping[str, Mapping[str, Sequence[ResourceInfo]]]:
        """group → version → rows in order of preference. Built-in groups come first."""
        custom = self._custom.catalog.groups()
        if not custom:
            return self._builtin.groups()
        merged: dict[str, Mapping[str, Sequence[ResourceInfo]]] = dict(self._builtin.groups())
        for group, versions in custom.items():
            known = merged.get(group, {})
            merged[group] = {**known, **{v: (*known.get(v, ()), *rows) for v, rows in versions.items()}}
        return merged

    def by_storage(self, resource: ResourceId) -> ResourceInfo | None:
        """A row of the resource that is kept under this id: the one of the storage version where there is one."""
        best: ResourceInfo | None = None
        for row in self.all():
            if row.storage_id == resource and row.stored:
                if row.group_version == row.storage_version:
                    return row
                best = best or row
        return best
