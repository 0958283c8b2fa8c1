# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Discovery documents of a set of resources, plain and aggregated. Pure; every URL in them is relative, so they hold under any path prefix.

Source: https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api, KEP-3352 (aggregated discovery).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import orjson

from kplane_server.model.errors import Json
from kplane_server.model.resources import GroupVersion, GroupVersionKind
from kplane_server.registry.resource import ResourceInfo

#: The Content-Type of the aggregated form must repeat g, v and as, or client-go takes it for the plain one.
AGGREGATED_TYPE: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class Document(NamedTuple):
    """A finished document and its entity tag."""

    body: bytes
    etag: str


Versions = Mapping[str, Sequence[ResourceInfo]]


class Discovery:
    """The discovery documents of the rows of one control plane (group → version → rows, by preference), each made at its first use."""

    def __init__(self, groups: Mapping[str, Versions]) -> None:
        self._groups = groups
        self._documents: dict[str, Document] = {}

    def api_versions(self, address: str) -> Document:
        """``/api``."""
        versions = list(self._groups.get("", {}))
        server = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
        return self._once("api", lambda: {"kind": "APIVersions", "versions": versions, "serverAddressByClientCIDRs": server})

    def group_list(self) -> Document:
        """``/apis``."""
        groups = self._groups
        return self._once(
            "apis",
            lambda: {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(g, v) for g, v in groups.items() if g]},
        )

    def group(self, name: str) -> Document | None:
        """``/apis/<group>``."""
        versions = self._groups.get(name) if name else None
        if not versions:
            return None
        return self._once(f"apis/{name}", lambda: {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)})

    def resource_list(self, group: str, version: str) -> Document | None:
        """``/api/v1`` and ``/apis/<group>/<version>``."""
        rows = self._groups.get(group, {}).get(version)
        if not rows:
            return None
        group_version = str(GroupVersion(group, version))
        return self._once(
            f"resources/{group}/{version}",
            lambda: {
                "kind": "APIResourceList",
                "apiVersion": "v1",
                "groupVersion": group_version,
                "resources": [entry for row in rows for entry in _resources(row)],
            },
        )

    def aggregated(self, *, core: bool) -> Document:
        """``/api`` (core) or ``/apis`` as one APIGroupDiscoveryList."""
        groups = {g: v for g, v in self._groups.items() if (g == "") is core}
        return self._once(
            f"aggregated/{core}",
            lambda: {
                "kind": "APIGroupDiscoveryList",
                "apiVersion": "apidiscovery.k8s.io/v2",
                "metadata": {},
                "items": [_aggregated_group(g, v) for g, v in groups.items()],
            },
        )

    def _once(self, key: str, make: Callable[[], Json]) -> Document:
        document = self._documents.get(key)
        if document is None:
            document = self._documents[key] = make_document(orjson.dumps(make()))
        return document


def make_document(body: bytes) -> Document:
    """Bytes with their entity tag (upstream: a quoted SHA-512 in upper case)."""
    return Document(body, f'"{hashlib.sha512(body).hexdigest().upper()}"')


def _group(name: str, versions: Versions) -> Json:
    entries = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": entries, "preferredVersion": entries[0]}


def _resources(row: ResourceInfo) -> list[Json]:
    main: Json = {
        "name": row.resource,
        "singularName": row.singular,
        "namespaced": row.namespaced,
        "kind": row.kind,
        "verbs": row.verbs,
    }
    if row.short_names:
        main["shortNames"] = row.short_names
    if row.categories:
        main["categories"] = row.categories
    return [main, *(_subresource(row, sub.name, sub.kind, sub.verbs) for sub in row.subresources.values())]


def _subresource(row: ResourceInfo, name: str, kind: GroupVersionKind, verbs: Sequence[str]) -> Json:
    entry: Json = {"name": f"{row.resource}/{name}", "singularName": "", "namespaced": row.namespaced}
    if (kind.group, kind.version) != (row.group, row.version):
        entry["group"] = kind.group
        entry["version"] = kind.version
    entry["kind"] = kind.kind
    entry["verbs"] = verbs
    return entry


def _aggregated_group(name: str, versions: Versions) -> Json:
    metadata: Json = {"creationTimestamp": None}
    if name:
        metadata = {"name": name, **metadata}
    return {
        "metadata": metadata,
        "versions": [
            {"version": version, "resources": [_aggregated_resource(row) for row in rows], "freshness": "Current"}
            for version, rows in versions.items()
        ],
    }


def _response_kind(kind: GroupVersionKind) -> Json:
    return {"group": kind.group, "version": kind.version, "kind": kind.kind}


def _aggregated_resource(row: ResourceInfo) -> Json:
    entry: Json = {
        "resource": row.resource,
        "responseKind": _response_kind(row.gvk),
        "scope": "Namespaced" if row.namespaced else "Cluster",
        "singularResource": row.singular,
        "verbs": row.verbs,
    }
    if row.short_names:
        entry["shortNames"] = row.short_names
    if row.categories:
        entry["categories"] = row.categories
    if row.subresources:
        entry["subresources"] = [
            {"subresource": sub.name, "responseKind": _response_kind(sub.kind), "verbs": sub.verbs} for sub in row.subresources.values()
        ]
    return entry
