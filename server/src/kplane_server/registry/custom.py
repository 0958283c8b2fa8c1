# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The custom resources of one control plane: rows kept in step with its CustomResourceDefinitions."""

from __future__ import annotations

from typing import Final

from kplane_server.model.errors import Json
from kplane_server.model.keys import ResourceId, Scope, VcpId
from kplane_server.registry import codec
from kplane_server.registry.catalog import Catalog
from kplane_server.registry.custom_rows import CustomResourceInfo, rows_of
from kplane_server.storage.api import Store

#: Where definitions live.
DEFINITIONS: Final = ResourceId("customresourcedefinitions.apiextensions.k8s.io")

_NONE: Final = Catalog(())


class CustomResources:
    """A cache over the definitions of one control plane, compared with the store at each use and rebuilt only when they changed."""

    __slots__ = ("_catalog", "_rows", "_seen", "_store", "_vcp")

    def __init__(self, vcp: VcpId, store: Store) -> None:
        self._vcp = vcp
        self._store = store
        self._seen = -1
        self._catalog = _NONE
        self._rows: dict[tuple[str, str], tuple[Json, CustomResourceInfo]] = {}

    @property
    def generation(self) -> int:
        """Grows when a definition changes."""
        return self._store.changed(self._vcp, DEFINITIONS)

    @property
    def catalog(self) -> Catalog:
        """The rows of today."""
        changed = self._store.changed(self._vcp, DEFINITIONS)
        if changed != self._seen:
            self._rebuild()
            self._seen = changed
        return self._catalog

    def _rebuild(self) -> None:
        rows = []
        for item in self._store.page(Scope(self._vcp, DEFINITIONS)).items:
            rows.extend(rows_of(codec.decode(item.value), item.revision))
        self._catalog = Catalog(rows) if rows else _NONE
