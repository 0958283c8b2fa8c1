# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deletion of namespaces: what is in them goes first, pods before all else, then the namespace itself.

Conditions and their words are those of Kubernetes' namespace controller. Order: KEP-5080.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Hashable, Iterable
from typing import Any, Final, NamedTuple

from kplane_server.controllers import documents
from kplane_server.controllers.runtime import TryAgain, WorkQueue
from kplane_server.model import timestamps
from kplane_server.model.errors import ApiError, NotFound
from kplane_server.model.identity import controller_user
from kplane_server.model.keys import ROOT_VCP_ID, ObjectKey, ResourceId, Scope, VcpId
from kplane_server.registry import codec
from kplane_server.registry.options import DeleteOptions, ListOptions, RequestContext
from kplane_server.registry.resource import ResourceInfo
from kplane_server.storage.api import Event, EventType, Mutation, RevisionMismatch, Store, Stored
from kplane_server.vcp import contract
from kplane_server.vcp.controlplane import ControlPlane
from kplane_server.vcp.directory import Directory

log: Final = logging.getLogger("kplane.controllers")

Document = dict[str, Any]

NAMESPACES: Final = ResourceId("namespaces")
PODS: Final = ResourceId("pods")
NODES: Final = ResourceId("nodes")
KUBERNETES_FINALIZER: Final = "kubernetes"

#: Kinds that nothing else hangs on: where only these are in a namespace, it is emptied in one commit.
PLAIN_RESOURCES: Final = frozenset(
    ResourceId(r)
    for r in (
        "configmaps",
        "endpoints",
        "events",
        "leases.coordination.k8s.io",
        "limitranges",
        "rolebindings.rbac.authorization.k8s.io",
        "roles.rbac.authorization.k8s.io",
        "secrets",
        "serviceaccounts",
    )
)
#: At most so many objects go in one commit.
PLAIN_LIMIT: Final = 500
#: How many objects of a resource are read to say which finalizers hold them.
REPORTED_LIMIT: Final = 1_000
#: How much is said of one failure (characters); a webhook may give any text.
FAILURE_TEXT: Final = 1_000
#: Who deletes what is in a namespace, as webhooks and policies see it.
USER: Final = controller_user("namespace-controller")
#: How soon to look again at what does not go at once, and so much later for each object that is left (seconds).
REMAINING_PAUSE: Final = 1.0
REMAINING_PAUSE_EACH: Final = 0.001

#: Condition type → its reason and message when all is well.
_GOOD: Final = {
    "NamespaceDeletionDiscoveryFailure": ("ResourcesDiscovered", "All resources successfully discovered"),
    "NamespaceDeletionGroupVersionParsingFailure": ("ParsedGroupVersions", "All legacy kube types successfully parsed"),
    "NamespaceDeletionContentFailure": ("ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
    "NamespaceContentRemaining": ("ContentRemoved", "All content successfully removed"),
    "NamespaceFinalizersRemaining": ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
}


class NamespacePurger:
    """The quick way for namespaces that hold plain objects only: marks, and removals for one commit.

    judged: whether somebody may want a say in deletions of a control plane, which takes the long way.
    """

    def __init__(self, store: Store, judged: Callable[[VcpId], bool], clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._judged = judged
        self._clock = clock

    def mark(self, stored: Stored) -> list[Mutation]:
        """The change that begins the deletion of a namespace, as a DELETE would; nothing if it has begun."""
        document: Document = codec.decode(stored.value)
        metadata = document["metadata"]
        if "deletionTimestamp" in metadata:
            return []
        metadata["deletionTimestamp"] = timestamps.from_epoch(self._clock())
        metadata["deletionGracePeriodSeconds"] = 0
        document.setdefault("status", {})["phase"] = "Terminating"
        return [documents.change(stored, document)]

    def removals(self, vcp: VcpId, stored: Stored) -> list[Mutation] | None:
        """The removal of a marked namespace and all that is in it; None where it takes more than that."""
        name = stored.key.name
        resources = self._store.resources_in(vcp, name)
        if not PLAIN_RESOURCES.issuperset(resources) or (resources and self._judged(vcp)):
            return None
        document: Document = codec.decode(stored.value)
        if not _only_ours(document):
            return None
        mutations: list[Mutation] = []
        for resource in resources:
            page = self._store.page(Scope(vcp, resource, name), limit=PLAIN_LIMIT + 1)
            for item in page.items:
                if b'"finalizers":[' in item.value and codec.decode(item.value)["metadata"].get("finalizers"):
                    return None
                mutations.append(documents.removal(item))
        if len(mutations) > PLAIN_LIMIT:
            return None
        return [*mutations, documents.removal(stored, _finalized(document))]

    async def remove(self, namespace: ObjectKey, mutations: list[Mutation]) -> None:
        """Commit the removal of a namespace. A write that was already on its way when the namespace was marked is taken away after it.

        Such a write was queued before this commit, so it is visible now; later ones find no namespace.
        """
        await self._store.commit(mutations)
        vcp, name = namespace.vcp, namespace.name
        if self._store.get(namespace) is not None:
            return  # made again already: what is in it is its own
        for resource in self._store.resources_in(vcp, name):
            for item in self._store.page(Scope(vcp, resource, name)).items:
                log.info("%s/%s came too late for namespace %s", item.key.resource, item.key.name, name)
                await self._store.commit([documents.removal(item)])


class Remaining(NamedTuple):
    """What is left in a namespace: how many of each resource, how many with each finalizer."""

    resources: dict[str, int]
    finalizers: dict[str, int]


class NamespaceController:
    """Empties namespaces that are being deleted, in all control planes. Keys are (VCP, name)."""

    name = "namespace"
    resources: frozenset[ResourceId] | None = frozenset({NAMESPACES})
    concurrency = 16

    def __init__(self, directory: Directory, clock: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._store = directory.store
        self.purger = NamespacePurger(directory.store, self._judged, clock)
        self._clock = clock

    def _judged(self, vcp: VcpId) -> bool:
        control_plane = self._directory.get(vcp)
        return control_plane is not None and control_plane.api.deletions_are_judged()

    def attach(self, queue: WorkQueue) -> None:
        return None

    def observe(self, event: Event) -> Iterable[Hashable]:
        if event.type is EventType.DELETED or b'"deletionTimestamp":"' not in event.value or _only_status(event):
            return ()
        return ((event.key.vcp, event.key.name),)

    async def resync(self) -> AsyncIterator[Hashable]:
        for key in self._store.terminating():
            if key.resource == NAMESPACES:
                yield (key.vcp, key.name)

    async def reconcile(self, key: Hashable) -> float | None:
        assert isinstance(key, tuple)  # what observe gives
        vcp, name = key
        control_plane = self._directory.get(vcp)
        stored = self._store.get(ObjectKey(vcp, NAMESPACES, "", name))
        if control_plane is None or stored is None:
            return None
        document: Document = codec.decode(stored.value)
        if "deletionTimestamp" not in document["metadata"] or self._operators(document, vcp):
            return None
        if KUBERNETES_FINALIZER not in ((document.get("spec") or {}).get("finalizers") or ()):
            return None  # others hold it
        return await self.drive(control_plane, stored)

    async def drive(self, control_plane: ControlPlane, stored: Stored) -> float | None:
        """Bring the deletion of a marked namespace forward, to its end if nothing holds it."""
        removals = self.purger.removals(control_plane.record.id, stored)
        if removals is not None:
            await self.purger.remove(stored.key, removals)
            return None
        failures = await self._empty(control_plane, stored.key.name)
        return await self._conclude(control_plane, stored.key.name, failures)

    def _operators(self, document: Document, vcp: VcpId) -> bool:
        """Whether the operator removes this namespace together with its ControlPlane."""
        owner = (document["metadata"].get("labels") or {}).get(contract.NAME_LABEL)
        if vcp != ROOT_VCP_ID or not owner or document["metadata"]["name"] != contract.management_namespace(owner):
            return False
        stored = self._store.get(contract.root_key(contract.CONTROL_PLANES, owner))
        if stored is None or b'"deletionTimestamp":"' not in stored.value:
            return False
        metadata = codec.decode(stored.value)["metadata"]
        return "deletionTimestamp" in metadata and contract.FINALIZER in (metadata.get("finalizers") or ())

    async def _empty(self, control_plane: ControlPlane, name: str) -> list[str]:
        """Delete what is there. The answer: what failed."""
        vcp = control_plane.record.id
        failures: list[str] = []
        if self._store.count(Scope(vcp, PODS, name)):
            await self._delete_pods(control_plane, name, failures)
            if self._store.count(Scope(vcp, PODS, name)):
                return failures  # pods may still need what else is here
        for resource in self._store.resources_in(vcp, name):
            info = control_plane.api.resources.by_storage(resource)
            if info is None:
                failures.append(f"no resource is served for {resource}")
                continue
            try:
                await control_plane.api.delete_collection(info, name, ListOptions(), DeleteOptions(), RequestContext(USER))
            except NotFound:
                continue
            except ApiError as error:
                failures.append(f"{resource}: {error.message[:FAILURE_TEXT]}")
        return failures

    async def _delete_pods(self, control_plane: ControlPlane, name: str, failures: list[str]) -> None:
        """Delete the pods; those of a node that does not exist at once, for no kubelet will ever end them (upstream: pod GC)."""
        api, vcp = control_plane.api, control_plane.record.id
        info = api.resources.by_storage(PODS)
        assert info is not None  # a built-in resource
        for item in self._store.page(Scope(vcp, PODS, name)).items:
            node = (codec.decode(item.value).get("spec") or {}).get("nodeName")
            orphan = node and self._store.get(ObjectKey(vcp, NODES, "", node)) is None
            options = DeleteOptions(grace_period_seconds=0) if orphan else DeleteOptions()
            try:
                await api.delete(info, name, item.key.name, options, RequestContext(USER))
            except NotFound:
                continue
            except ApiError as error:
                failures.append(f"pods: {error.message[:FAILURE_TEXT]}")

    def _remaining(self, control_plane: ControlPlane, name: str) -> Remaining:
        vcp = control_plane.record.id
        counts: dict[str, int] = {}
        finalizers: Counter[str] = Counter()
        for resource in self._store.resources_in(vcp, name):
            scope = Scope(vcp, resource, name)
            if count := self._store.count(scope):
                counts[_qualified(control_plane.api.resources.by_storage(resource), resource)] = count
            for item in self._store.page(scope, limit=REPORTED_LIMIT).items:
                if b'"finalizers":[' in item.value:
                    finalizers.update(codec.decode(item.value)["metadata"].get("finalizers") or ())
        return Remaining(counts, dict(finalizers))

    async def _conclude(self, control_plane: ControlPlane, name: str, failures: list[str]) -> float | None:
        """Let the namespace go if it is empty; else say what is left. Raises TryAgain where something could not be deleted."""
        stored = self._store.get(ObjectKey(control_plane.record.id, NAMESPACES, "", name))
        if stored is None:
            return None
        remaining = self._remaining(control_plane, name)
        document: Document = codec.decode(stored.value)
        if not remaining.resources and not failures:
            document = _finalized(document)
            held = document["spec"].get("finalizers") or document["metadata"].get("finalizers")
            if held:
                await self._store.commit([documents.change(stored, document)])
            else:
                await self.purger.remove(stored.key, [documents.removal(stored, document)])
            return None
        now = timestamps.from_epoch(self._clock())
        conditions = _conditions(remaining, failures)
        status = document.setdefault("status", {})
        merged = _merge(status.get("conditions"), conditions, now)
        if merged != status.get("conditions"):
            status["conditions"] = merged
            try:
                await self._store.commit([documents.change(stored, document)])
            except RevisionMismatch:
                return 0.0
        if failures:
            raise TryAgain(f"namespace {name}: {failures[0]}")
        return REMAINING_PAUSE + REMAINING_PAUSE_EACH * sum(remaining.resources.values())


def _only_status(event: Event) -> bool:
    """Whether a change of a namespace that is being deleted is one of its conditions: no reason to look again, it may be our own."""
    if event.previous is None or b'"deletionTimestamp":"' not in event.previous:
        return False
    before, after = codec.decode(event.previous), codec.decode(event.value)
    return all(_lasting(before, part) == _lasting(after, part) for part in ("metadata", "spec"))


def _lasting(document: Document, part: str) -> Document:
    return {key: value for key, value in (document.get(part) or {}).items() if key not in ("resourceVersion", "managedFields")}


def _only_ours(document: Document) -> bool:
    """Whether nothing but us holds a namespace."""
    spec = (document.get("spec") or {}).get("finalizers") or []
    return not document["metadata"].get("finalizers") and all(finalizer == KUBERNETES_FINALIZER for finalizer in spec)


def _finalized(document: Document) -> Document:
    """A namespace with our finalizer taken off."""
    spec = document.get("spec") or {}
    left = [finalizer for finalizer in spec.get("finalizers") or () if finalizer != KUBERNETES_FINALIZER]
    rest = {key: value for key, value in spec.items() if key != "finalizers"}
    return {**document, "spec": {**rest, "finalizers": left} if left else rest}


def _qualified(info: ResourceInfo | None, resource: ResourceId) -> str:
    """``resource.group``, with the dot also for the core group, as upstream writes it."""
    return f"{info.resource}.{info.group}" if info is not None else str(resource)


def _conditions(remaining: Remaining, failures: list[str]) -> list[Document]:
    bad: dict[str, tuple[str, str]] = {}
    if failures:
        text = f"Failed to delete all resource types, {len(failures)} remaining: {', '.join(failures[:20])}"
        bad["NamespaceDeletionContentFailure"] = ("ContentDeletionFailed", text)
    if remaining.resources:
        parts = [f"{resource} has {count} resource instances" for resource, count in sorted(remaining.resources.items())]
        bad["NamespaceContentRemaining"] = ("SomeResourcesRemain", f"Some resources are remaining: {', '.join(parts)}")
    if remaining.finalizers:
        parts = [f"{finalizer} in {count} resource instances" for finalizer, count in sorted(remaining.finalizers.items())]
        text = f"Some content in the namespace has finalizers remaining: {', '.join(parts)}"
        bad["NamespaceFinalizersRemaining"] = ("SomeFinalizersRemain", text)
    return [documents.condition(kind, kind in bad, *bad.get(kind, good)) for kind, good in _GOOD.items()]


def _merge(old: list[Document] | None, new: list[Document], now: str) -> list[Document]:
    """Namespace conditions carry no observedGeneration; a transition time moves when the status does."""
    known = {condition["type"]: condition for condition in old or ()}
    for wanted in new:
        before = known.get(wanted["type"])
        since = before["lastTransitionTime"] if before and before["status"] == wanted["status"] else now
        known[wanted["type"]] = {**wanted, "lastTransitionTime": since}
    return list(known.values())
