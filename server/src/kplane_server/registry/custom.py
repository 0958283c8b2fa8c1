# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The custom resources of one control plane: rows kept in step with its CustomResourceDefinitions."""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

import orjson

from kplane_server.model.errors import Json
from kplane_server.model.keys import Scope, VcpId
from kplane_server.registry import codec
from kplane_server.registry.catalog import Catalog
from kplane_server.registry.custom_definition import DEFINITIONS
from kplane_server.registry.custom_rows import CustomResourceInfo, rows_of, version_priority
from kplane_server.storage.api import Store, Stored

_NONE: Final = Catalog(())


class _Known(NamedTuple):
    """A definition as it was read last."""

    revision: int
    shape: bytes
    rows: tuple[CustomResourceInfo, ...]


class CustomResources:
    """A cache over the definitions of one control plane, compared with the store at each use and rebuilt only when they changed."""

    __slots__ = ("_catalog", "_known", "_seen", "_store", "_vcp")

    def __init__(self, vcp: VcpId, store: Store) -> None:
        self._vcp = vcp
        self._store = store
        self._seen = -1
        self._catalog = _NONE
        self._known: dict[str, _Known] = {}

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
        """Parse the definitions that were written. One whose shape is the same keeps its rows, and with them since when it holds."""
        known, self._known = self._known, {}
        rows: list[CustomResourceInfo] = []
        for item in self._store.page(Scope(self._vcp, DEFINITIONS)).items:
            previous = known.get(item.key.name)
            current = previous if previous is not None and previous.revision == item.revision else _parse(item, previous)
            self._known[item.key.name] = current
            rows.extend(current.rows)
        rows.sort(key=lambda row: (row.group, version_priority(row.version), row.resource))
        self._catalog = Catalog(rows) if rows else _NONE


def _parse(item: Stored, previous: _Known | None) -> _Known:
    crd = codec.decode(item.value)
    shape = _shape(crd)
    if previous is not None and previous.shape == shape:
        return _Known(item.revision, shape, previous.rows)
    return _Known(item.revision, shape, tuple(rows_of(crd, item.revision)))


def _shape(crd: Json) -> bytes:
    """What of a definition makes its rows."""
    status = crd.get("status") or {}
    conditions = [(c.get("type"), c.get("status")) for c in status.get("conditions") or ()]
    text = orjson.dumps([crd["metadata"].get("uid"), crd["spec"], status.get("acceptedNames"), conditions])
    return hashlib.blake2b(text, digest_size=16).digest()
