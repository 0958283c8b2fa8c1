# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operator: makes a virtual control plane of each ControlPlane, keeps its credentials and conditions true, and takes it apart.

Everything for a new control plane is one commit: its record, its endpoint, its management namespace, its kubeconfig Secret, the status.
For a common one it is the very commit that creates the ControlPlane (see ``birth``). So there is no half-made one; every other step
compares what is there with what should be, and may be repeated at any time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterable
from typing import Any, Final, NamedTuple

from kplane_server.controllers import credentials, documents
from kplane_server.controllers.address import AddressNote
from kplane_server.controllers.lifecycle import ended, outlook
from kplane_server.controllers.namespaces import NamespaceController
from kplane_server.controllers.provisioning import NAMESPACES, Draft, Provisioner, planned_record, ready_event, ready_status
from kplane_server.controllers.quickstart import QuickStart
from kplane_server.controllers.resolution import Refusal, Terms, terms
from kplane_server.controllers.runtime import WorkQueue
from kplane_server.controllers.teardown import Teardown
from kplane_server.model import timestamps
from kplane_server.model.errors import not_found
from kplane_server.model.identity import CONTROLLER_USER
from kplane_server.model.keys import ROOT_VCP_ID, ObjectKey, ResourceId, Scope
from kplane_server.model.resources import GroupVersionKind
from kplane_server.registry import codec
from kplane_server.registry.options import DeleteOptions, Preconditions, RequestContext
from kplane_server.storage.api import NEW_VCP, NOTHING, Event, EventType, Mutation, RevisionMismatch, Stored, VcpRecord, VcpState
from kplane_server.vcp import contract
from kplane_server.vcp.directory import Directory
from kplane_server.vcp.standing import decode, standing_of

log: Final = logging.getLogger("kplane.controllers")

Document = dict[str, Any]

#: How many ControlPlanes a walk over all of them reads at a time.
WALK_PAGE: Final = 200
#: How often the ends of tokens are looked at, at most and at least (seconds).
SWEEP_BOUNDS: Final = (60.0, 6 * 3600.0)
#: When they are looked at first after a start (seconds).
FIRST_SWEEP: Final = 10.0
#: How many whose time has come are looked at in one go, how soon the next ones are, and how long the clock is trusted (seconds).
DUE_BATCH: Final = 200
DUE_PAUSE: Final = 0.5
LONGEST_SLEEP: Final = 300.0
#: The part of the annotation that counts.
MAX_ROTATION: Final = 253

_KIND: Final = GroupVersionKind(contract.GROUP, "v1alpha1", "ControlPlane")
#: How long to wait for ControlPlanes that do not have a new address of the server yet (seconds).
ADDRESS_PAUSE: Final = 0.5
#: How long changes of the list of retained control planes are gathered before it is written (seconds).
RETAINED_PAUSE: Final = 1.0


class Lost(NamedTuple):
    """A ControlPlane that is gone without the operator's doing (its finalizer was taken away): its data is retained."""

    name: str
    path: str
    uid: str


class ClassChanged(NamedTuple):
    """A ControlPlaneClass whose ControlPlanes must be judged again."""

    name: str


class Wipe(NamedTuple):
    """A destroyed control plane whose ControlPlane is gone already."""

    uid: str


SWEEP: Final = ("sweep",)
ADDRESS: Final = ("address",)
RETAINED: Final = ("retained",)
DUE: Final = ("due",)


class Resume(NamedTuple):
    """A paused control plane that somebody asks for."""

    name: str


class Operator:
    """The controller of ControlPlanes. Keys are their names, and the tuples above."""

    name = "controlplane"
    resources: frozenset[ResourceId] | None = frozenset(
        {contract.CONTROL_PLANES, contract.CLASSES, contract.ENDPOINTS, credentials.SECRETS, NAMESPACES}
    )
    concurrency = 64

    def __init__(self, directory: Directory, namespaces: NamespaceController, clock: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._store = directory.store
        self._clock = clock
        self._provisioner = Provisioner(directory.store, directory.plane, clock)
        self._teardown = Teardown(directory, namespaces, clock)
        self._address = AddressNote(directory.store, directory.plane)
        self._quick = QuickStart(directory.plane, clock)
        self._classes: dict[str, tuple[int, Document]] = {}
        self._queue: WorkQueue | None = None
        #: Called when retained data is served again: there may be work in it that was begun before. The manager sets it.
        self.on_revival: Callable[[], None] = lambda: None
        #: Our own last write of an object, by the bytes after its revision: its event needs no second look.
        self._mine: dict[ObjectKey, bytes] = {}
        #: Explicit endpointRefs: endpoint → ControlPlanes. The default endpoint's name tells whose it is.
        self._by_endpoint: dict[str, set[str]] = {}
        self._endpoint_of: dict[str, str] = {}
        #: ControlPlanes that wait for a path that another one has.
        self._blocked: dict[str, set[str]] = {}

    def attach(self, queue: WorkQueue) -> None:
        self._queue = queue

    # -- events to keys

    def observe(self, event: Event) -> Iterable[Hashable]:
        key = event.key
        if key.vcp != ROOT_VCP_ID:
            return ()
        if self._mine and (tail := self._mine.get(key)) is not None:
            del self._mine[key]
            if event.type is not EventType.DELETED and event.value.endswith(tail):
                return ()
        return _OBSERVERS[key.resource](self, event)

    def _control_plane_changed(self, event: Event) -> Iterable[Hashable]:
        if event.type is not EventType.DELETED:
            return (event.key.name,)
        name = event.key.name
        self._index(name, "")
        if name in self._teardown.finished:
            self._teardown.finished.discard(name)
            if not self._blocked:
                return ()
        document = codec.decode(event.value)
        path = contract.cluster_path(document)
        return (*self._blocked.pop(path, ()), Lost(name, path, contract.incarnation(document)))

    def _class_changed(self, event: Event) -> Iterable[Hashable]:
        return (ClassChanged(event.key.name),)

    def _endpoint_changed(self, event: Event) -> Iterable[Hashable]:
        name = event.key.name
        return {*self._by_endpoint.get(name, ()), name.removesuffix("-endpoint")}

    def _secret_changed(self, event: Event) -> Iterable[Hashable]:
        key = event.key
        if event.type is EventType.ADDED or not key.namespace.startswith(contract.NAMESPACE_PREFIX):
            return ()
        name = key.name.removeprefix("controlplane-").removesuffix("-kubeconfig")
        return (name,) if key == credentials.secret_key(name) else ()

    def _namespace_changed(self, event: Event) -> Iterable[Hashable]:
        if event.type is not EventType.DELETED or not event.key.name.startswith(contract.NAMESPACE_PREFIX):
            return ()
        name = (codec.decode(event.value)["metadata"].get("labels") or {}).get(contract.NAME_LABEL)
        return (name,) if name else ()

    async def resync(self) -> AsyncIterator[Hashable]:
        self._mine.clear()
        moved = self._address.differs()
        owned: set[str] = set()
        records = self._store.vcps(VcpState.ACTIVE)  # before the walk: whose ControlPlane it does not meet, has none
        async for stored, document in self._walk():
            owned.add(contract.incarnation(document))
            self._index(stored.key.name, ((document.get("spec") or {}).get("endpointRef") or {}).get("name") or "")
            if moved or not is_settled(document):
                yield stored.key.name
        for record in records:
            if record.id != ROOT_VCP_ID and record.uid not in owned:
                yield Lost(record.name, record.name, record.uid)
        for record in self._directory.wiping():
            if record.uid not in owned:
                yield Wipe(record.uid)
        yield RETAINED
        yield DUE
        if moved:
            yield ADDRESS
        self._enqueue(SWEEP, FIRST_SWEEP)

    async def _walk(self) -> AsyncIterator[tuple[Stored, Document]]:
        after: tuple[str, str] | None = None
        while True:
            page = self._store.page(Scope(ROOT_VCP_ID, contract.CONTROL_PLANES), after=after, limit=WALK_PAGE)
            for stored in page.items:
                yield stored, codec.decode(stored.value)
            if not page.more:
                return
            after = ("", page.items[-1].key.name)
            await asyncio.sleep(0)

    # -- keys to work

    async def reconcile(self, key: Hashable) -> float | None:
        if isinstance(key, str):
            return await self._control_plane(key)
        if isinstance(key, ClassChanged):
            async for _, document in self._walk():
                if ((document.get("spec") or {}).get("classRef") or {}).get("name") == key.name:
                    self._enqueue(document["metadata"]["name"])
        elif isinstance(key, Lost):
            return await self._lost(key)
        elif isinstance(key, Wipe):
            await self._teardown.wipe(key.uid)
        elif key == SWEEP:
            return await self._sweep()
        elif key == RETAINED:
            return await self._teardown.publish_retained()
        elif key == DUE:
            return self._due()
        elif isinstance(key, Resume):
            await self._resume(key.name)
        elif key == ADDRESS:
            if self._queue is not None and self._queue.unsettled > 1:
                return ADDRESS_PAUSE  # not every ControlPlane has the new address yet
            await self._address.publish_port()
            await self._address.note(timestamps.from_epoch(self._clock()))
        return None

    def _enqueue(self, key: Hashable, after: float = 0.0) -> None:
        if self._queue is not None:
            if after:
                self._queue.add_after(key, after)
            else:
                self._queue.add(key)

    async def _control_plane(self, name: str) -> float | None:
        stored = self._store.get(contract.root_key(contract.CONTROL_PLANES, name))
        if stored is None:
            return None
        document: Document = codec.decode(stored.value)
        metadata = document["metadata"]
        self._index(name, ((document.get("spec") or {}).get("endpointRef") or {}).get("name") or "")
        klass = self._class_of(document)
        if "deletionTimestamp" in metadata:
            again = await self._teardown.run(stored, document, klass)
            if self._teardown.retained_changed:
                self._teardown.retained_changed = False
                self._enqueue(RETAINED, RETAINED_PAUSE)
            return again
        if ended(document, klass, self._clock()):
            await self._expire(stored, document)
            return None
        try:
            await self._program(stored, document, klass)
        except Refusal as refusal:
            await self._refuse(stored, document, refusal)
            return refusal.retry_after
        return None

    async def _program(self, stored: Stored, document: Document, klass: Document | None) -> None:
        now = timestamps.from_epoch(self._clock())
        agreed = terms(document, klass)
        if await self._quickly(stored, document, agreed, now):
            return
        record = await self._incarnation(stored, document, agreed.path)
        if record is None:
            return  # it took over retained data in a commit of its own, whose event leads back here
        if not planned(record) and await self._rotated(stored, document, record):
            return
        draft = Draft(document, agreed, record, now)
        self._provisioner.role(draft)
        endpoints = self._provisioner.endpoints(draft)
        self._provisioner.namespace(draft)
        self._provisioner.secret(draft, self._provisioner.account(draft), endpoints)
        ready, before = documents.find_condition(document, "Ready"), document.get("status") or {}
        changed = self._with_outlook(draft, klass, ready_status(document, endpoints, now), before)
        if contract.FINALIZER not in (document["metadata"].get("finalizers") or ()):
            document["metadata"]["finalizers"] = [*(document["metadata"].get("finalizers") or ()), contract.FINALIZER]
            changed = True
        if changed:
            draft.mutations.append(documents.change(stored, document))
            now_ready = documents.find_condition(document, "Ready")
            if (ready is None or ready["status"] != "True") and now_ready is not None and now_ready["status"] == "True":
                draft.mutations.append(ready_event(document, endpoints, now))
        if not draft.mutations and (draft.settings, draft.due) == (record.settings, record.due):
            return
        await self._commit(draft)

    async def _quickly(self, stored: Stored, document: Document, agreed: Terms, now: str) -> bool:
        """Make a control plane of the common sort from templates. False: it is not one, or something was in the way."""
        if not self._quick.applies(document, agreed) or self._directory.has_retained(agreed.path):
            return False
        record = planned_record(agreed.path, document["metadata"]["uid"], int(self._clock()))
        change = Mutation(stored.key, codec.draft_of(stored.value), stored.revision)
        draft = Draft(document, agreed, record, now, self._quick.mutations(change, document, record, now), _settings(document))
        try:
            await self._commit(draft)
        except RevisionMismatch as surprise:
            log.debug("ControlPlane %s is not like others: %s", agreed.path, surprise)
            return False
        return True

    async def _incarnation(self, stored: Stored, document: Document, path: str) -> VcpRecord | None:
        """The record of the control plane: the one there is, or the plan of a new one. None if it had to be taken over first."""
        uid = contract.incarnation(document)
        record = self._store.vcp(path)
        if record is not None:
            if record.uid == uid:
                return record
            self._blocked.setdefault(path, set()).add(document["metadata"]["name"])
            raise Refusal("Accepted", "ClusterPathConflict", f'the path "{path}" belongs to another ControlPlane')
        resting = self._directory.resting(uid)
        if resting is not None and resting.state is VcpState.WIPING:
            raise Refusal("Programmed", "Destroying", "the data of this control plane is being destroyed", retry_after=1.0)
        if resting is None and self._directory.has_retained(path):
            resting = self._chosen(document, path)
        if resting is None:
            return planned_record(path, uid, int(self._clock()))
        annotations = {**(document["metadata"].get("annotations") or {}), contract.INCARNATION_ANNOTATION: resting.uid}
        document["metadata"]["annotations"] = annotations
        await self._directory.reattach(resting.id, [documents.change(stored, document)])
        self._enqueue(RETAINED, RETAINED_PAUSE)
        self.on_revival()
        return None

    def _chosen(self, document: Document, path: str) -> VcpRecord | None:
        """Which retained incarnation of ``path`` the ControlPlane takes over, by its annotation. None: it starts empty."""
        choice = (document["metadata"].get("annotations") or {}).get(contract.REATTACH_ANNOTATION)
        kept = self._directory.retained(path)
        if choice == "false":
            return None
        if choice == "true" and len(kept) == 1:
            return kept[0]
        if choice not in (None, "true"):
            found = next((record for record in kept if record.uid == choice), None)
            if found is not None:
                return found
        uids = ", ".join(f'"{record.uid}" (of {timestamps.from_epoch(record.created)})' for record in kept[-10:])
        values = '"true", ' if len(kept) == 1 else ""
        text = (
            f'data of an earlier control plane "{path}" is retained. Set annotation {contract.REATTACH_ANNOTATION} to {values}'
            f'or to the uid of one, to take it over: {uids}; or to "false", to start empty and leave it'
        )
        reason = "RetainedDataExists" if choice in (None, "true") else "RetainedDataNotFound"
        raise Refusal("Accepted", reason, text)

    # -- births

    def birth(self, document: Document, change: Mutation) -> Awaitable[Stored] | None:
        """A ControlPlane that is being created: if it is of the common sort, it comes into the world complete and Ready, in one commit."""
        try:
            agreed = terms(document, self._class_of(document))
        except Refusal:
            return None
        if not self._quick.applies(document, agreed) or self._directory.has_retained(agreed.path):
            return None
        return self._bear(document, change, agreed)

    async def _bear(self, document: Document, change: Mutation, agreed: Terms) -> Stored:
        now = timestamps.from_epoch(self._clock())
        record = planned_record(agreed.path, document["metadata"]["uid"], int(self._clock()))
        draft = Draft(document, agreed, record, now, self._quick.mutations(change, document, record, now), _settings(document))
        try:
            await self._commit(draft)
        except RevisionMismatch as surprise:
            if surprise.key == change.key and surprise.current:
                raise  # the name is taken
            revisions = await self._store.commit([change])
            return Stored(change.key, revisions[0], change.draft.at(revisions[0]))
        stored = self._store.get(change.key)
        if stored is None:  # deleted in the same instant
            raise not_found("controlplanes", contract.GROUP, change.key.name)
        return stored

    # -- outcomes

    def _with_outlook(self, draft: Draft, klass: Document | None, status: Document, before: Document) -> bool:
        """Complete ``status`` with what follows from limits and time, and set it. Whether it says something new."""
        document, record, now = draft.control_plane, draft.record, self._clock()
        usage = NOTHING if draft.fresh else self._store.usage(record.id)
        watches = 0 if draft.fresh else self._directory.activity.watches.get(record.id, 0)
        if usage != NOTHING or watches or "usage" in status:
            status = {**status, "usage": {"objects": usage.objects, "bytes": usage.bytes, "watches": watches}}
        if draft.fresh and (asked := rotation(document)):
            status["observedRotate"] = asked  # a new control plane has a new key
        found = outlook(document, klass, status, usage, now)
        draft.settings, draft.due = found.standing.encode(), found.due
        document["status"] = found.status
        if found.status == before:
            return False
        draft.mutations.extend(found.events(before))
        return True

    async def _commit(self, draft: Draft) -> None:
        self._expect(draft.mutations)
        try:
            if draft.fresh:
                await self._make(draft)
            elif (draft.settings, draft.due) != (draft.record.settings, draft.record.due):
                await self._directory.settle(draft.record.id, draft.settings, draft.due, draft.mutations)
            else:
                await self._store.commit(draft.mutations)
        except BaseException:
            for mutation in draft.mutations:
                self._mine.pop(mutation.key, None)
            raise
        if draft.due is not None:
            self._enqueue(DUE, max(draft.due - self._clock(), 0.0))

    async def _make(self, draft: Draft) -> None:
        try:
            await self._directory.create(
                draft.terms.path,
                draft.record.uid,
                draft.mutations,
                created=draft.record.created,
                settings=draft.settings,
                due=draft.due,
            )
        except ValueError as error:
            # Another ControlPlane was faster; the next look finds its record.
            key = contract.root_key(contract.CONTROL_PLANES, draft.name)
            raise RevisionMismatch(key, 0, 0) from error

    def _expect(self, mutations: list[Mutation]) -> None:
        for mutation in mutations:
            if mutation.key.vcp == ROOT_VCP_ID and self.resources is not None and mutation.key.resource in self.resources:
                self._mine[mutation.key] = mutation.draft.tail

    # -- with time

    def look(self, name: str) -> None:
        """Look at a ControlPlane soon."""
        self._enqueue(name)

    def resume(self, name: str) -> None:
        """Serve a paused control plane again: somebody who is known asks for it."""
        self._enqueue(Resume(name))

    def _due(self) -> float | None:
        """Look at those whose time has come; the answer is when the next one's does."""
        now = self._clock()
        for record in self._store.due(DUE_BATCH):
            if record.due is not None and record.due > now:
                return min(record.due - now, LONGEST_SLEEP)
            self._enqueue(decode(record.settings).control_plane or record.name)
        return DUE_PAUSE if self._store.due(1) else None

    async def _expire(self, stored: Stored, document: Document) -> None:
        """Delete a ControlPlane that has come to its end; what becomes of its data is decided as for any other."""
        root = self._directory.root.api
        info = root.resources.kind(_KIND)
        if info is None:
            raise LookupError("the definition of ControlPlane is not in the root control plane")
        text = "the control plane has come to the end of its time and is deleted"
        now = timestamps.from_epoch(self._clock())
        await self._store.commit([documents.event(ROOT_VCP_ID, document, "Expired", text, now, warning=True)])
        options = DeleteOptions(preconditions=Preconditions(uid=document["metadata"]["uid"]))
        await root.delete(info, "", stored.key.name, options, RequestContext(CONTROLLER_USER))

    async def _resume(self, name: str) -> None:
        stored = self._store.get(contract.root_key(contract.CONTROL_PLANES, name))
        if stored is None:
            return
        document: Document = codec.decode(stored.value)
        annotations = document["metadata"].get("annotations") or {}
        if annotations.get(contract.STATE_ANNOTATION) == contract.PAUSED and annotations.get(contract.RESUME_ANNOTATION) == "true":
            del annotations[contract.STATE_ANNOTATION]
            await self._store.commit([documents.change(stored, document)])

    async def _rotated(self, stored: Stored, document: Document, record: VcpRecord) -> bool:
        """Give a control plane a new signing key if that is asked for. True: its commit's event leads back here, to the new Secret."""
        asked, status = rotation(document), document.get("status") or {}
        if not asked or status.get("observedRotate") == asked:
            return False
        generation = record.key_generation + 1
        document["status"] = {**status, "observedRotate": asked, "keyGeneration": generation}
        text = (
            f"tokens are signed with key {generation} from now on; those of key {record.key_generation} stay good until the next rotation"
        )
        now = timestamps.from_epoch(self._clock())
        told = documents.event(ROOT_VCP_ID, document, "KeyRotated", text, now)
        await self._directory.rotate_key(record.id, [documents.change(stored, document), told])
        return True

    async def _refuse(self, stored: Stored, document: Document, refusal: Refusal) -> None:
        """Write why not. What was set up before goes on being served, and stays in the status (kplane defect O12)."""
        now, generation = timestamps.from_epoch(self._clock()), document["metadata"].get("generation", 1)
        old = {c["type"]: c for c in (document.get("status") or {}).get("conditions") or ()}
        verdicts = [documents.condition(refusal.condition, False, refusal.reason, refusal.message)]
        if refusal.condition == "Programmed":
            verdicts.insert(0, documents.condition("Accepted", True, "Accepted", "the control plane is acceptable"))
        elif old.get("Programmed", {}).get("status") != "True":
            verdicts.append(documents.condition("Programmed", False, "NotAccepted", refusal.message))
        if old.get("Ready", {}).get("status") != "True":
            verdicts.append(documents.condition("Ready", False, refusal.reason, refusal.message))
        status = dict(document.get("status") or {})
        conditions = documents.with_conditions(status.get("conditions"), verdicts, generation, now)
        if conditions == status.get("conditions") and status.get("observedGeneration") == generation:
            return
        document["status"] = {**status, "observedGeneration": generation, "conditions": conditions}
        mutations = [documents.change(stored, document)]
        before = old.get(refusal.condition, {})
        if (before.get("status"), before.get("reason")) != ("False", refusal.reason):
            mutations.append(documents.event(ROOT_VCP_ID, document, refusal.reason, refusal.message, now, warning=True))
        self._expect(mutations)
        await self._store.commit(mutations)

    async def _lost(self, key: Lost) -> float | None:
        stored = self._store.get(contract.root_key(contract.CONTROL_PLANES, key.name))
        if stored is not None and contract.incarnation(codec.decode(stored.value)) == key.uid:
            return None  # it is there
        again = await self._teardown.lost(key.name, key.path, key.uid)
        if self._teardown.retained_changed:
            self._teardown.retained_changed = False
            self._enqueue(RETAINED, RETAINED_PAUSE)
        return again

    async def _sweep(self) -> float:
        """Look for tokens near their end, in all ControlPlanes, one page at a time (kplane defect O1)."""
        now, plane = self._clock(), self._directory.plane
        async for _, document in self._walk():
            name = document["metadata"]["name"]
            secret = self._store.get(credentials.secret_key(name))
            if secret is not None and credentials.near_end(codec.decode(secret.value)["metadata"].get("annotations") or {}, plane, now):
                self._enqueue(name)
        return min(max(plane.admin_token_lifetime / 20, SWEEP_BOUNDS[0]), SWEEP_BOUNDS[1])

    # -- what refers to what

    def _class_of(self, document: Document) -> Document | None:
        name = ((document.get("spec") or {}).get("classRef") or {}).get("name")
        stored = self._store.get(contract.root_key(contract.CLASSES, name)) if name else None
        if name is None or stored is None:
            self._classes.pop(name or "", None)
            return None
        revision, klass = self._classes.get(name, (0, {}))
        if revision != stored.revision:
            klass = codec.decode(stored.value)
            self._classes[name] = (stored.revision, klass)
        return klass

    def _index(self, name: str, endpoint: str) -> None:
        before = self._endpoint_of.get(name, "")
        if before == endpoint:
            return
        if before:
            self._by_endpoint[before].discard(name)
            if not self._by_endpoint[before]:
                del self._by_endpoint[before]
            del self._endpoint_of[name]
        if endpoint:
            self._endpoint_of[name] = endpoint
            self._by_endpoint.setdefault(endpoint, set()).add(name)


def rotation(document: Document) -> str:
    """What asks for a new key: any value that is not the last one seen."""
    return ((document["metadata"].get("annotations") or {}).get(contract.ROTATE_ANNOTATION) or "")[:MAX_ROTATION]


def planned(record: VcpRecord) -> bool:
    """Whether the control plane is still to be made."""
    return record.id == NEW_VCP


def _settings(document: Document) -> str:
    return standing_of(document).encode()


def is_settled(document: Document) -> bool:
    """Whether a ControlPlane needs no look at a start: it is as its last look left it, and that was well.

    What happened since is among the events that are seen again; see ``dispatcher.REPLAYED_EVENTS``.
    """
    metadata, status = document["metadata"], document.get("status") or {}
    ready = {c["type"] for c in status.get("conditions") or () if c.get("status") == "True"}
    return (
        "deletionTimestamp" not in metadata
        and status.get("observedGeneration") == metadata.get("generation", 1)
        and ready >= {"Accepted", "Programmed", "Ready"}
    )


_OBSERVERS: Final[dict[ResourceId, Callable[[Operator, Event], Iterable[Hashable]]]] = {
    contract.CONTROL_PLANES: Operator._control_plane_changed,
    contract.CLASSES: Operator._class_changed,
    contract.ENDPOINTS: Operator._endpoint_changed,
    credentials.SECRETS: Operator._secret_changed,
    NAMESPACES: Operator._namespace_changed,
}
