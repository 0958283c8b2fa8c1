# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a seed made in a VCP, so that what it no longer holds can be found: an ApplySet, in the vocabulary of KEP-3659.

Each object has a label that names the set; a ConfigMap of the VCP, the parent, says which kinds the set may have. It names them before an
object is made and until all of its kind are gone, so whatever interrupts a run, the next one finds everything.
PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import typing as t

from ansible_collections.kplane.core.plugins.module_utils._client import APPLY_PATCH, Client, Json
from ansible_collections.kplane.core.plugins.module_utils._contract import FIELD_MANAGER, MANAGED_BY_LABEL, Resource
from ansible_collections.kplane.core.plugins.module_utils._errors import NotFound
from ansible_collections.kplane.core.plugins.plugin_utils._fleet_seed import Discovery, Document, apply, rank_of

_PREFIX = "applyset.kubernetes.io/"
ID_LABEL: t.Final = _PREFIX + "id"
MEMBER_LABEL: t.Final = _PREFIX + "part-of"
_TOOLING = _PREFIX + "tooling"
_KINDS = _PREFIX + "contains-group-kinds"
_NAMESPACES = _PREFIX + "additional-namespaces"
_CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap", True)
_NAME, _NAMESPACE = "kplane-seed", "kube-system"
_VERSION = FIELD_MANAGER + "/v1"


def _identity() -> str:
    """The name of the set, made from that of its parent as the proposal says."""
    digest = hashlib.sha256(f"{_NAME}.{_NAMESPACE}.{_CONFIG_MAPS.kind}.{_CONFIG_MAPS.group}".encode()).digest()
    return f"applyset-{base64.urlsafe_b64encode(digest).decode().rstrip('=')}-v1"


ID: t.Final = _identity()


class Member(t.NamedTuple):
    """One object of the set."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}{'.' + self.group if self.group else ''} {self.namespace + '/' if self.namespace else ''}{self.name}"


def _group_kind(document: Document) -> str:
    group = str(document["apiVersion"]).rpartition("/")[0]
    return f"{document['kind']}.{group}" if group else str(document["kind"])


def _labelled(document: Document) -> Document:
    metadata = document["metadata"]
    return {**document, "metadata": {**metadata, "labels": {**(metadata.get("labels") or {}), MEMBER_LABEL: ID}}}


def _parent(kinds: t.Iterable[str], namespaces: t.Iterable[str]) -> Json:
    annotations = {_TOOLING: _VERSION, _KINDS: ",".join(sorted(kinds)), _NAMESPACES: ",".join(sorted(set(namespaces) - {_NAMESPACE}))}
    labels = {ID_LABEL: ID, MANAGED_BY_LABEL: FIELD_MANAGER}
    metadata: Json = {"name": _NAME, "namespace": _NAMESPACE, "labels": labels, "annotations": annotations}
    return {"apiVersion": "v1", "kind": _CONFIG_MAPS.kind, "metadata": metadata}


def _listed(parent: Json | None, key: str) -> set[str]:
    text = str((((parent or {}).get("metadata") or {}).get("annotations") or {}).get(key) or "")
    return set(filter(None, text.split(",")))


def _read(client: Client) -> Json | None:
    try:
        return client.get(_CONFIG_MAPS, _NAME, _NAMESPACE)
    except NotFound:
        return None


class Seed:
    """The seed of one VCP, and the objects that earlier seeds of it have made."""

    def __init__(self, client: Client, documents: t.Sequence[Document], discovery: Discovery) -> None:
        self._client = client
        self._documents = documents
        self._discovery = discovery

    def sow(self, force: bool, prune: bool, fresh: bool) -> list[Member]:
        """Apply the seed; with ``prune``, delete what it no longer holds, and return that. A ``fresh`` VCP has no earlier seed."""
        parent = None if fresh else _read(self._client)
        kinds = {_group_kind(document) for document in self._documents}
        namespaces = {str(document["metadata"].get("namespace") or "default") for document in self._documents}
        earlier, known = _listed(parent, _KINDS), _listed(parent, _NAMESPACES)
        if parent is None or not kinds <= earlier or not namespaces <= known | {_NAMESPACE}:
            self._declare(kinds | earlier, namespaces | known)
        apply(self._client, [_labelled(document) for document in self._documents], self._discovery, force)
        if not prune:
            return []
        removed = []
        for member, resource, uid in self._leftovers(kinds | earlier):
            with contextlib.suppress(NotFound):
                self._client.delete(resource, member.name, member.namespace, uid=uid)
            removed.append(member)
        if earlier - kinds or known - namespaces:
            self._declare(kinds, namespaces)
        return removed

    def leftovers(self) -> list[Member]:
        """What pruning would delete now."""
        earlier = _listed(_read(self._client), _KINDS)
        return [member for member, _resource, _uid in self._leftovers(earlier)]

    def _declare(self, kinds: t.Iterable[str], namespaces: t.Iterable[str]) -> None:
        self._client.patch(_CONFIG_MAPS, _NAME, _parent(kinds, namespaces), _NAMESPACE, APPLY_PATCH, force=True)

    def _held(self) -> set[Member]:
        held = set()
        for document in self._documents:
            namespace = str(document["metadata"].get("namespace") or "")
            # A kind that the seed is only going to define has objects that were never made.
            with contextlib.suppress(NotFound):
                resource = self._discovery.resource(self._client, document)
                namespace = (namespace or "default") if resource.namespaced else ""
            group = str(document["apiVersion"]).rpartition("/")[0]
            held.add(Member(group, str(document["kind"]), namespace, str(document["metadata"]["name"])))
        return held

    def _leftovers(self, kinds: t.Iterable[str]) -> list[tuple[Member, Resource, str]]:
        """The objects that an earlier seed made and this one does not hold: those that others need go last."""
        held = self._held()
        found = []
        for group_kind in kinds:
            kind, _dot, group = group_kind.partition(".")
            try:
                resource = self._discovery.of_kind(self._client, group, kind)
                objects, _version = self._client.list_all(resource, label_selector=f"{MEMBER_LABEL}={ID}")
            except NotFound:
                continue  # the kind has gone, and its objects with it
            for obj in objects:
                metadata = obj["metadata"]
                member = Member(group, kind, str(metadata.get("namespace") or ""), str(metadata["name"]))
                if member not in held and _made_here(obj):
                    found.append((member, resource, str(metadata["uid"])))
        return sorted(found, key=lambda entry: (-rank_of(entry[0].kind), entry[0]))


def _made_here(obj: Json) -> bool:
    """Whether a seed made the object, and nobody deletes it yet. A copy that somebody made of one has the label, but not the manager."""
    metadata = obj["metadata"]
    managers = {str(entry.get("manager")) for entry in metadata.get("managedFields") or [] if entry.get("operation") == "Apply"}
    return FIELD_MANAGER in managers and not metadata.get("deletionTimestamp")
