# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CustomResourceDefinition documents to rows: one row for each served version."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType

import orjson

from kplane_server.model.errors import InternalError, Json
from kplane_server.model.keys import ResourceId
from kplane_server.model.resources import GroupVersion, GroupVersionKind
from kplane_server.registry import codec
from kplane_server.registry.custom_strategy import custom_strategy
from kplane_server.registry.resource import Column, ResourceInfo, Subresource
from kplane_server.registry.strategies.base import Strategy
from kplane_server.registry.strategies.scale import ScalePaths, paths_of
from kplane_server.schema.defaulting import apply_defaults
from kplane_server.schema.pruning import prune
from kplane_server.schema.structural import Schema, compile_resource_schema
from kplane_server.storage.api import Stored

_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_SUBRESOURCE_VERBS = ("get", "patch", "update")


@dataclass(frozen=True, slots=True)
class CustomResourceInfo(ResourceInfo):
    """A row of a custom resource, with what only those have.

    since: the revision of the definition when this shape began: objects written later were defaulted by it already.
    conversion: JSON of ``spec.conversion.webhook``; empty where versions differ in their apiVersion alone.
    """

    definition: str = ""
    since: int = 0
    scale: ScalePaths | None = None
    selectable: tuple[str, ...] = ()
    schema_text: bytes = b"{}"
    terminating: bool = False
    strategy: Strategy = field(default_factory=Strategy)
    prefix: bytes = b""
    conversion: bytes = b""

    @property
    def by_webhook(self) -> bool:
        """Whether versions differ in more than their apiVersion, and only a webhook knows how (``conversion_webhook``)."""
        return bool(self.conversion)

    @property
    def schema(self) -> Schema:
        """The compiled schema. Definitions with the same schema share it, also across control planes."""
        return compiled(self.schema_text)

    def present(self, stored: Stored) -> Stored:
        """A stored object at this row's version: pruned and defaulted if it is older than this shape, its apiVersion spliced."""
        value = stored.value
        if stored.revision <= self.since:
            document = codec.decode(value)
            self.check_conversion(document["apiVersion"], str(self.group_version))
            document["apiVersion"] = str(self.group_version)
            schema = self.schema
            apply_defaults(prune(document, schema)[0], schema)
            return Stored(stored.key, stored.revision, codec.encode(document).at(stored.revision))
        if value.startswith(self.prefix):
            return stored
        given, wanted = codec.decode(value)["apiVersion"], str(self.group_version)
        self.check_conversion(given, wanted)
        return Stored(stored.key, stored.revision, codec.with_api_version(value, given, wanted))

    def check_conversion(self, given: str, wanted: str) -> None:
        """Raises InternalError where a webhook has to be asked first, rather than pass a wrong document off as right."""
        if self.conversion and given != wanted:
            raise InternalError(f"conversion webhook for {given}, Kind={self.kind} was not asked for {wanted}")


def rows_of(crd: Json, revision: int) -> Iterator[CustomResourceInfo]:
    """The rows that a definition serves now: none before its names are accepted."""
    if not _condition(crd, "Established"):
        return
    spec = crd["spec"]
    names = (crd.get("status") or {}).get("acceptedNames") or spec["names"]
    group = spec["group"]
    versions = sorted(spec["versions"], key=lambda v: version_priority(v["name"]))
    storage = next((v["name"] for v in versions if v.get("storage")), versions[0]["name"])
    for version in versions:
        if not version.get("served"):
            continue
        kind = GroupVersionKind(group, version["name"], names["kind"])
        yield CustomResourceInfo(
            group=group,
            version=version["name"],
            resource=names["plural"],
            kind=names["kind"],
            singular=names.get("singular") or names["kind"].lower(),
            namespaced=spec["scope"] == "Namespaced",
            verbs=_VERBS,
            storage_id=ResourceId(f"{names['plural']}.{group}"),
            storage_version=GroupVersion(group, storage),
            short_names=tuple(names.get("shortNames") or ()),
            categories=tuple(names.get("categories") or ()),
            subresources=MappingProxyType(_subresources(kind, version.get("subresources") or {})),
            columns=_columns(version.get("additionalPrinterColumns")),
            list_kind=names.get("listKind") or names["kind"] + "List",
            builtin=False,
            definition=crd["metadata"]["name"],
            since=revision,
            scale=_scale((version.get("subresources") or {}).get("scale")),
            selectable=tuple(f["jsonPath"] for f in version.get("selectableFields") or ()),
            schema_text=_shared(orjson.dumps(schema_document(crd, version))),
            terminating=_condition(crd, "Terminating"),
            deprecation=_deprecation(group, version, names["kind"]),
            strategy=custom_strategy(version, namespaced=spec["scope"] == "Namespaced"),
            conversion=_conversion(spec.get("conversion") or {}),
            prefix=f'{{"apiVersion":"{group}/{version["name"]}"'.encode(),
        )


def version_priority(version: str) -> tuple[int, int, int, str]:
    """The sort key of Kubernetes' version order: GA before beta before alpha, newer first, then other names alphabetically."""
    digits = version[1:] if version.startswith("v") else ""
    for stage, word in ((1, "beta"), (2, "alpha")):
        major, found, minor = digits.partition(word)
        if found and major.isdigit() and minor.isdigit():
            return (stage, -int(major), -int(minor), "")
    if digits.isdigit():
        return (0, -int(digits), 0, "")
    return (3, 0, 0, version)


def _conversion(declared: Json) -> bytes:
    return orjson.dumps(declared.get("webhook") or {}) if declared.get("strategy") == "Webhook" else b""


def _condition(crd: Json, kind: str) -> bool:
    return any(c.get("type") == kind and c.get("status") == "True" for c in (crd.get("status") or {}).get("conditions") or ())


def _subresources(kind: GroupVersionKind, declared: Json) -> dict[str, Subresource]:
    found = {}
    if declared.get("status") is not None:
        found["status"] = Subresource("status", kind, _SUBRESOURCE_VERBS)
    if declared.get("scale") is not None:
        found["scale"] = Subresource("scale", GroupVersionKind("autoscaling", "v1", "Scale"), _SUBRESOURCE_VERBS)
    return found


def _scale(declared: Json) -> ScalePaths | None:
    if not declared:
        return None
    selector = declared.get("labelSelectorPath") or ""
    return ScalePaths(paths_of(declared["specReplicasPath"]), paths_of(declared["statusReplicasPath"]), paths_of(selector))


def schema_document(crd: Json, version: Json) -> Json:
    """The schema of one version; ``preserveUnknownFields`` opens its root."""
    document = (version.get("schema") or {}).get("openAPIV3Schema") or {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    if crd["spec"].get("preserveUnknownFields"):
        document = {**document, "x-kubernetes-preserve-unknown-fields": True}
    return document


@lru_cache(maxsize=512)
def _shared(text: bytes) -> bytes:
    """One copy of a text for all control planes that have the same definition."""
    return text


@lru_cache(maxsize=512)
def compiled(text: bytes) -> Schema:
    """The schema of a definition's version, from its JSON text."""
    return compile_resource_schema(orjson.loads(text))


def _columns(declared: Json) -> tuple[Column, ...]:
    return tuple(
        Column(c["name"], c["type"], c["jsonPath"], c.get("format") or "", c.get("priority") or 0, c.get("description") or "")
        for c in declared or ()
    )


def _deprecation(group: str, version: Json, kind: str) -> str:
    if not version.get("deprecated"):
        return ""
    return version.get("deprecationWarning") or f"{group}/{version['name']} {kind} is deprecated"
