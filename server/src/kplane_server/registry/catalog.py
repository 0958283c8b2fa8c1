# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The resources of a control plane as rows. ``BUILTIN`` holds those of Kubernetes itself, from generated data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

import orjson

from kplane_server.model.errors import Json
from kplane_server.model.keys import ResourceId
from kplane_server.model.resources import GroupVersion, GroupVersionKind
from kplane_server.registry.resource import ResourceInfo, Subresource

#: Where the generated data is.
DATA: Final = Path(__file__).parent / "data"


class Catalog:
    """An immutable set of rows with the look-ups that requests and documents need. Order is that of discovery."""

    def __init__(self, rows: Iterable[ResourceInfo]) -> None:
        self._rows = tuple(rows)
        self._by_resource = {(row.group, row.version, row.resource): row for row in self._rows}
        self._by_kind = {(row.group, row.version, row.kind): row for row in self._rows}
        groups: dict[str, dict[str, list[ResourceInfo]]] = {}
        for row in self._rows:
            groups.setdefault(row.group, {}).setdefault(row.version, []).append(row)
        self._groups = {group: {version: tuple(found) for version, found in versions.items()} for group, versions in groups.items()}

    def __iter__(self) -> Iterator[ResourceInfo]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def find(self, group: str, version: str, resource: str) -> ResourceInfo | None:
        """The row that a request path addresses."""
        return self._by_resource.get((group, version, resource))

    def kind(self, gvk: GroupVersionKind) -> ResourceInfo | None:
        """The row of a document's type."""
        return self._by_kind.get((gvk.group, gvk.version, gvk.kind))

    def groups(self) -> Mapping[str, Mapping[str, Sequence[ResourceInfo]]]:
        """group → version → rows, in order of preference: the first version of a group is its preferred one."""
        return MappingProxyType(self._groups)

    def versions(self, group: str) -> list[GroupVersion]:
        """The versions of a group, the preferred one first; empty for an unknown group."""
        return [GroupVersion(group, version) for version in self._groups.get(group, {})]

    def resources(self, group: str, version: str) -> Sequence[ResourceInfo]:
        """The rows of one group version, empty when it is not served."""
        return self._groups.get(group, {}).get(version, ())

    def storage_row(self, info: ResourceInfo) -> ResourceInfo:
        """The row of the version that ``info``'s objects are stored in: itself, mostly."""
        stored = info.storage_version
        found = self._by_kind.get((stored.group, stored.version, info.kind))
        return found if found is not None else info

    def with_rows(self, rows: Iterable[ResourceInfo]) -> Catalog:
        """A catalog with more rows after these; a row that is already there wins."""
        extra = [row for row in rows if (row.group, row.version, row.resource) not in self._by_resource]
        return Catalog((*self._rows, *extra))


def _kind(triple: Sequence[str]) -> GroupVersionKind:
    return GroupVersionKind(triple[0], triple[1], triple[2])


def _row(group: str, version: str, entry: Json) -> ResourceInfo:
    resource: str = entry["name"]
    stored_as = entry.get("storedAs") or (group, version)
    storage_id = entry.get("storageId") or (f"{resource}.{group}" if group else resource)
    subresources = {
        name: Subresource(name, _kind(sub["kind"]), tuple(sub["verbs"])) for name, sub in (entry.get("subresources") or {}).items()
    }
    return ResourceInfo(
        group=group,
        version=version,
        resource=resource,
        kind=entry["kind"],
        singular=entry["singular"],
        namespaced=entry["namespaced"],
        verbs=tuple(entry["verbs"]),
        storage_id=ResourceId(storage_id),
        storage_version=GroupVersion(stored_as[0], stored_as[1]),
        short_names=tuple(entry.get("short", ())),
        categories=tuple(entry.get("categories", ())),
        subresources=MappingProxyType(subresources),
        list_kind=entry["kind"] + "List",
        stored=entry.get("stored", True),
        deprecation=entry.get("deprecation", ""),
    )


def _load() -> tuple[str, Catalog]:
    data = orjson.loads((DATA / "catalog.json").read_bytes())
    rows = [_row(gv["group"], gv["version"], entry) for gv in data["groupVersions"] for entry in gv["resources"]]
    return data["kubernetes"], Catalog(rows)


_LOADED: Final = _load()

#: The Kubernetes version whose API the built-in resources are.
KUBERNETES_VERSION: Final[str] = _LOADED[0]

#: The built-in resources, at every version that is served.
BUILTIN: Final[Catalog] = _LOADED[1]
