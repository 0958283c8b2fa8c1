# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The row that describes one served resource at one version, built-in or custom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kplane_server.model.keys import ResourceId
from kplane_server.model.resources import GroupResource, GroupVersion, GroupVersionKind, GroupVersionResource


@dataclass(frozen=True, slots=True)
class Subresource:
    """``status``, ``scale``, ``token``…: what kind its documents are, and its verbs."""

    name: str
    kind: GroupVersionKind
    verbs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the ``meta/v1 Table`` of a resource. ``path`` is a JSONPath, or the name of a printer function after ``@``."""

    name: str
    type: str = "string"
    path: str = ""
    format: str = ""
    priority: int = 0
    description: str = ""


@dataclass(frozen=True, slots=True)
class ResourceInfo:
    """One resource at one version.

    storage_id: where its objects live; versions of a resource (and events of both groups) share one.
    storage_version: the apiVersion of the stored bytes; when it equals this row's version, a read does no JSON work.
    deprecation: the text of a ``Warning`` header on every answer; empty for none.
    stored: false for create-only resources such as reviews, which are answered and never kept.
    """

    group: str
    version: str
    resource: str
    kind: str
    singular: str
    namespaced: bool
    verbs: tuple[str, ...]
    storage_id: ResourceId
    storage_version: GroupVersion
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: Mapping[str, Subresource] = field(default_factory=dict)
    columns: tuple[Column, ...] = ()
    list_kind: str = ""
    builtin: bool = True
    stored: bool = True
    deprecation: str = ""

    @property
    def group_version(self) -> GroupVersion:
        return GroupVersion(self.group, self.version)

    @property
    def gvk(self) -> GroupVersionKind:
        return GroupVersionKind(self.group, self.version, self.kind)

    @property
    def gvr(self) -> GroupVersionResource:
        return GroupVersionResource(self.group, self.version, self.resource)

    @property
    def group_resource(self) -> GroupResource:
        return GroupResource(self.group, self.resource)
