# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which requests a webhook (or a policy) is about: rules, selectors, and other versions of the same resource. Nothing is called here.

Source: https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#matching-requests-rules
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from kplane_server.model.errors import Json, not_found
from kplane_server.model.keys import ResourceId
from kplane_server.model.resources import GroupVersionResource
from kplane_server.model.selectors import LabelSelector, label_selector_from_document
from kplane_server.registry.attributes import Attributes, Operation
from kplane_server.registry.resource import ResourceInfo
from kplane_server.registry.table import ResourceTable

_NAMESPACES: Final = ResourceId("namespaces")
#: What is asked about users and their rights: policies are not, for they could lock everybody out.
REVIEWS: Final = frozenset({"authentication.k8s.io", "authorization.k8s.io"})
#: What decides about admission is not subject to it, so that nobody locks himself out.
EXEMPT: Final = frozenset(
    ResourceId(f"{resource}.admissionregistration.k8s.io")
    for resource in (
        "mutatingadmissionpolicies",
        "mutatingadmissionpolicybindings",
        "mutatingwebhookconfigurations",
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
        "validatingwebhookconfigurations",
    )
)
_ANY: Final = "*"


class Rule(NamedTuple):
    """One of ``rules``."""

    operations: frozenset[str]
    groups: frozenset[str]
    versions: frozenset[str]
    resources: tuple[tuple[str, str], ...]
    scope: str

    @classmethod
    def of(cls, document: Json) -> Rule:
        split = (text.partition("/") for text in document.get("resources") or ())
        return cls(
            frozenset(document.get("operations") or ()),
            frozenset(document.get("apiGroups") or ()),
            frozenset(document.get("apiVersions") or ()),
            tuple((resource, subresource) for resource, _, subresource in split),
            document.get("scope") or _ANY,
        )

    def is_about(self, operation: Operation) -> bool:
        """Whether requests of a kind can be meant at all."""
        return _has(self.operations, operation)

    def matches(self, attributes: Attributes, resource: GroupVersionResource) -> bool:
        """Whether a request is meant, were it for ``resource``."""
        return (
            _has(self.groups, resource.group)
            and _has(self.operations, attributes.operation)
            and _has(self.versions, resource.version)
            and self._has_scope(attributes, resource)
            and any(_is(name, resource.resource) and _is(sub, attributes.subresource) for name, sub in self.resources)
        )

    def _has_scope(self, attributes: Attributes, resource: GroupVersionResource) -> bool:
        if self.scope == _ANY:
            return True
        cluster = not attributes.namespace or (resource.resource == "namespaces" and not resource.group)
        return cluster == (self.scope == "Cluster")


def _has(values: frozenset[str], value: str) -> bool:
    return _ANY in values or value in values


def _is(wanted: str, value: str) -> bool:
    return wanted in (_ANY, value)


@dataclass(frozen=True, slots=True)
class Matcher:
    """Everything but match conditions."""

    rules: tuple[Rule, ...]
    namespaces: LabelSelector
    objects: LabelSelector
    equivalent: bool

    @classmethod
    def of(cls, document: Json) -> Matcher:
        """From a webhook. Raises ValueError for a selector that cannot be one; the API admits none such."""
        return cls(
            tuple(Rule.of(rule) for rule in document.get("rules") or ()),
            label_selector_from_document(document.get("namespaceSelector") or {}),
            label_selector_from_document(document.get("objectSelector") or {}),
            (document.get("matchPolicy") or "Equivalent") == "Equivalent",
        )

    def find(self, attributes: Attributes, others: Sequence[ResourceInfo] = ()) -> ResourceInfo | None:
        """The row at whose version the request is shown to the webhook; None when it is not meant. ``others``: its equivalents.

        Raises NotFound for a namespace that is not there.
        """
        row = self._row(attributes, others)
        if row is None or not self._selects_object(attributes) or not self._selects_namespace(attributes):
            return None
        return row

    def _row(self, attributes: Attributes, others: Sequence[ResourceInfo]) -> ResourceInfo | None:
        info = attributes.info
        if any(rule.matches(attributes, info.gvr) for rule in self.rules):
            return info
        if not self.equivalent or not others:
            return None
        return next((other for rule in self.rules for other in others if rule.matches(attributes, other.gvr)), None)

    def _selects_object(self, attributes: Attributes) -> bool:
        """Either the new object or the old one has to match."""
        if self.objects.empty:
            return True
        return selects(self.objects, attributes)

    def _selects_namespace(self, attributes: Attributes) -> bool:
        if self.namespaces.empty:
            return True
        labels = namespace_labels(attributes)
        return labels is None or self.namespaces.matches(labels)


class Equivalents:
    """The other rows of the same objects: other versions, and for Events the other group. Remembered until a definition changes."""

    __slots__ = ("_generation", "_known")

    def __init__(self) -> None:
        self._generation = -1
        self._known: dict[GroupVersionResource, tuple[ResourceInfo, ...]] = {}

    def of(self, info: ResourceInfo, table: ResourceTable) -> tuple[ResourceInfo, ...]:
        if self._generation != table.generation:
            self._generation = table.generation
            self._known.clear()
        gvr = info.gvr
        found = self._known.get(gvr)
        if found is None:
            found = self._known[gvr] = tuple(equivalents(info, table))
        return found


def equivalents(info: ResourceInfo, table: ResourceTable) -> Iterator[ResourceInfo]:
    """The other rows of the same objects as they are now."""
    for row in table.all():
        if row.storage_id == info.storage_id and row.gvr != info.gvr and row.stored:
            yield row


def selects(selector: LabelSelector, attributes: Attributes) -> bool:
    """Whether the new object or the old one has such labels. What has no metadata, as the options of a connection, has not."""
    documents = (obj for obj in (attributes.object, attributes.old) if obj is not None and "metadata" in obj)
    return any(selector.matches(labels_of(obj)) for obj in documents)


def labels_of(obj: Json) -> dict[str, str]:
    labels: dict[str, str] = obj["metadata"].get("labels") or {}
    return labels


def namespace_labels(attributes: Attributes) -> dict[str, str] | None:
    """The labels of the namespace of a request; those of the object if it is a Namespace; None for other cluster-scoped objects."""
    info = attributes.info
    if info.storage_id == _NAMESPACES:
        if attributes.object is not None and not attributes.subresource and attributes.operation is not Operation.DELETE:
            return labels_of(attributes.object)
        return labels_of(attributes.old) if attributes.old is not None else {}
    if not attributes.namespace:
        return None
    found = attributes.lookup.get(_NAMESPACES, "", attributes.namespace)
    if found is None:
        raise not_found("namespaces", "", attributes.namespace)
    return labels_of(found)


def request_namespace(attributes: Attributes) -> str:
    """The namespace of a request; that of a Namespace is itself."""
    return attributes.name if attributes.info.storage_id == _NAMESPACES else attributes.namespace
