# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parameters of a policy: objects of any kind that a binding names."""

from __future__ import annotations

from kplane_server.admission.policies.definitions import ParamKind, ParamRef
from kplane_server.admission.surroundings import kind_text
from kplane_server.model.errors import Json
from kplane_server.model.resources import GroupVersionKind
from kplane_server.registry.attributes import Attributes
from kplane_server.registry.resource import ResourceInfo
from kplane_server.registry.strategies.conversion import convert
from kplane_server.registry.table import ResourceTable


class ConfigurationError(Exception):
    """A policy or a binding that cannot be applied as it is."""


def param_row(kind: ParamKind, table: ResourceTable) -> ResourceInfo:
    """The resource of a kind of parameters. Raises ConfigurationError."""
    row = table.kind(GroupVersionKind(*kind.group_version, kind.kind))
    if row is None or not row.stored:
        raise ConfigurationError(f"failed to find resource referenced by paramKind: '{kind_text(kind.api_version, kind.kind)}'")
    return row


def collect(row: ResourceInfo | None, reference: ParamRef | None, attributes: Attributes) -> list[Json | None]:
    """The parameters to judge with, one after the other; a single None for a policy or a binding without. Raises ConfigurationError."""
    if row is None or reference is None:
        return [None]
    namespace = ""
    if row.namespaced:
        namespace = reference.namespace or attributes.namespace
        if not namespace:
            raise ConfigurationError("cannot use namespaced paramRef in policy binding that matches cluster-scoped resources")
    elif reference.namespace:
        raise ConfigurationError("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
    found: list[Json | None] = []
    if reference.name:
        document = attributes.lookup.get(row.storage_id, namespace, reference.name)
        found = [] if document is None else [_at_version(document, row)]
    elif reference.selector is not None:
        selector = reference.selector
        documents = attributes.lookup.list(row.storage_id, namespace if row.namespaced else None)
        found = [_at_version(d, row) for d in documents if selector.matches(d["metadata"].get("labels") or {})]
    if not found and reference.must_exist:
        raise ConfigurationError("no params found for policy binding with `Deny` parameterNotFoundAction")
    return found


def _at_version(document: Json, row: ResourceInfo) -> Json:
    if row.storage_version == row.group_version:
        return document
    if row.builtin:
        return convert(document, row.storage_version, row.group_version)
    return {**document, "apiVersion": str(row.group_version)}
