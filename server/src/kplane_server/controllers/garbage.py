# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Garbage collection by owner references: background, foreground and orphaning deletion.

Source: https://kubernetes.io/docs/concepts/architecture/garbage-collection/. Instead of a graph in memory, the store's index of owners is
asked; what must survive a restart (owners that are gone, objects with a finalizer) is in the store too.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Hashable, Iterable
from enum import Enum
from typing import Any, Final, NamedTuple

from kplane_server.controllers import documents
from kplane_server.controllers.runtime import TryAgain, WorkQueue
from kplane_server.model import timestamps
from kplane_server.model.errors import ApiError, Conflict, Json, NotFound
from kplane_server.model.identity import controller_user
from kplane_server.model.keys import ObjectKey, ResourceId, Scope, VcpId
from kplane_server.model.metadata import FINALIZER_FOREGROUND, FINALIZER_ORPHAN
from kplane_server.model.resources import GroupVersion, GroupVersionKind
from kplane_server.registry import codec
from kplane_server.registry.options import BACKGROUND, FOREGROUND, ORPHAN, DeleteOptions, Preconditions, RequestContext
from kplane_server.registry.resource import ResourceInfo
from kplane_server.storage.api import Event, EventType
from kplane_server.vcp.controlplane import ControlPlane
from kplane_server.vcp.directory import Directory

Document = dict[str, Any]

#: How soon to look again at dependents whose fate could not be decided (seconds).
UNDECIDED_PAUSE: Final = 30.0

#: How many objects are looked at for an owner that may be in another namespace.
SEARCHED_OWNERS: Final = 500

#: Who deletes, as webhooks and policies see it.
USER: Final = controller_user("generic-garbage-collector")
_COMPONENT: Final = "garbage-collector-controller"
_OWNED: Final = b'"ownerReferences":['
_BLOCKING: Final = b'"blockOwnerDeletion":true'
_DELETING: Final = b'"deletionTimestamp":"'


class Pending(NamedTuple):
    """Owners were deleted somewhere: ask the store which ones still have dependents."""


class Gone(NamedTuple):
    """An owner that is gone."""

    vcp: VcpId
    uid: str


class Owner(NamedTuple):
    """An owner that may wait for a dependent that just went, as the dependent named it."""

    vcp: VcpId
    namespace: str
    api_version: str
    kind: str
    name: str


class Standing(Enum):
    """What an owner reference is worth."""

    SOLID = "the owner is there"
    WAITING = "the owner waits for its dependents to go"
    ABSENT = "the owner is not there"
    UNKNOWN = "it cannot be told"


class GarbageCollector:
    """One collector for all control planes. Keys: the tuples above, and the ObjectKeys of objects to look at."""

    name = "garbagecollector"
    resources: frozenset[ResourceId] | None = None
    concurrency = 16

    def __init__(self, directory: Directory, clock: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._store = directory.store
        self._clock = clock
        self._queue: WorkQueue | None = None

    def attach(self, queue: WorkQueue) -> None:
        self._queue = queue

    # -- events to keys

    def observe(self, event: Event) -> Iterable[Hashable]:
        value = event.value
        if event.type is EventType.DELETED:
            keys: list[Hashable] = [Pending()]
            if _BLOCKING in value:
                keys.extend(_owners_of(event))
            return keys
        if _DELETING in value and (b'"foregroundDeletion"' in value or b'"orphan"' in value):
            return (event.key,)
        if _OWNED in value and (event.previous is None or _references(event.previous) != _references(value)):
            return (event.key,)
        if event.previous is not None and _BLOCKING in event.previous:
            return _owners_of(event, event.previous)  # a reference was taken away: its owner may wait for just that
        return ()

    async def resync(self) -> AsyncIterator[Hashable]:
        yield Pending()
        for key in self._store.terminating():
            yield key

    async def reconcile(self, key: Hashable) -> float | None:
        if isinstance(key, Pending):
            for vcp, uid in self._store.pending_garbage():
                self._enqueue(Gone(vcp, uid))
            return None
        if isinstance(key, Gone):
            return await self._gone(key)
        if isinstance(key, Owner):
            found = self._resolve(key)
            return await self._object(found) if found is not None else None
        assert isinstance(key, ObjectKey)  # what observe gives
        return await self._object(key)

    def _enqueue(self, key: Hashable) -> None:
        if self._queue is not None:
            self._queue.add(key)

    # -- work

    async def _gone(self, key: Gone) -> float | None:
        if not await self._judge_all(self._store.dependents(key.vcp, key.uid), gone=key.uid):
            return UNDECIDED_PAUSE
        await self._store.garbage_done(key.vcp, key.uid)
        return None

    async def _judge_all(self, keys: Iterable[ObjectKey], gone: str = "") -> bool:
        """Whether all could be decided. One that may not be deleted is in nobody's way. Raises TryAgain at the end if there was one."""
        decided = True
        refused: ApiError | None = None
        for key in keys:
            try:
                decided &= await self._judge(key, gone)
            except Conflict:
                raise  # a race: all of it again, soon
            except ApiError as error:
                refused = error
        if refused is not None:
            raise TryAgain(refused.message) from refused
        return decided

    async def _object(self, key: ObjectKey) -> float | None:
        stored = self._store.get(key)
        if stored is None:
            return None
        metadata = codec.decode(stored.value)["metadata"]
        if "deletionTimestamp" not in metadata:
            await self._judge_all([key])
            return None
        finalizers = metadata.get("finalizers") or ()
        if FINALIZER_ORPHAN in finalizers:
            await self._orphan(key, metadata["uid"])
        elif FINALIZER_FOREGROUND in finalizers:
            await self._foreground(key, metadata["uid"])
        return None

    async def _orphan(self, key: ObjectKey, uid: str) -> None:
        """Take the reference out of every dependent, then let the owner go."""
        for dependent in self._store.dependents(key.vcp, uid):
            await self._drop_references(dependent, {uid})
        await self._amend(key, lambda document: _drop_finalizer(document, FINALIZER_ORPHAN))

    async def _foreground(self, key: ObjectKey, uid: str) -> None:
        """Delete the dependents; the owner goes when none is left that blocks it."""
        await self._judge_all(self._store.dependents(key.vcp, uid))
        if not any(self._blocks(dependent, uid) for dependent in self._store.dependents(key.vcp, uid)):
            await self._amend(key, lambda document: _drop_finalizer(document, FINALIZER_FOREGROUND))

    def _blocks(self, dependent: ObjectKey, uid: str) -> bool:
        stored = self._store.get(dependent)
        references = (codec.decode(stored.value)["metadata"].get("ownerReferences") or ()) if stored is not None else ()
        return any(reference.get("uid") == uid and reference.get("blockOwnerDeletion") for reference in references)

    async def _judge(self, key: ObjectKey, gone: str = "") -> bool:
        """Delete a dependent that no owner holds any more, or take dead references out of it. False: it could not be decided."""
        stored = self._store.get(key)
        control_plane = self._directory.get(key.vcp)
        if stored is None or control_plane is None:
            return True
        document: Document = codec.decode(stored.value)
        metadata = document["metadata"]
        references = metadata.get("ownerReferences") or ()
        if not references or "deletionTimestamp" in metadata:
            return True
        standings: dict[str, Standing] = {}
        for reference in references:
            uid = reference["uid"]
            standings[uid] = Standing.ABSENT if uid == gone else await self._standing(control_plane, document, reference)
        if Standing.UNKNOWN in standings.values():
            return False
        loose = {uid for uid, standing in standings.items() if standing is not Standing.SOLID}
        if len(loose) < len(standings):
            if loose:
                await self._drop_references(key, loose)
            return True
        waiting = Standing.WAITING in standings.values()
        await self._delete(control_plane, key, document, stored.revision, waiting)
        return True

    async def _delete(self, control_plane: ControlPlane, key: ObjectKey, document: Document, revision: int, waiting: bool) -> None:
        metadata = document["metadata"]
        finalizers = metadata.get("finalizers") or ()
        policy = BACKGROUND
        if FINALIZER_ORPHAN in finalizers:
            policy = ORPHAN
        elif FINALIZER_FOREGROUND in finalizers:
            policy = FOREGROUND
        elif waiting and (dependents := self._store.dependents(key.vcp, metadata["uid"])):
            policy = FOREGROUND
            if any(self._is_deleting(dependent) for dependent in dependents):
                # A circle: each would wait for the next. Stop blocking the owners (upstream: unblockOwnerReferences).
                await self._amend(key, _unblock)
                revision = 0
        info = control_plane.api.resources.by_storage(key.resource)
        if info is None:
            return
        wanted = Preconditions(uid=metadata["uid"], resource_version=str(revision) if revision else "")
        options = DeleteOptions(propagation_policy=policy, preconditions=wanted)
        try:
            await control_plane.api.delete(info, key.namespace, key.name, options, RequestContext(USER))
        except NotFound:
            return

    def _is_deleting(self, key: ObjectKey) -> bool:
        stored = self._store.get(key)
        return stored is not None and _DELETING in stored.value and "deletionTimestamp" in codec.decode(stored.value)["metadata"]

    # -- owners

    async def _standing(self, control_plane: ControlPlane, dependent: Document, reference: Json) -> Standing:
        info = _info(control_plane, reference.get("apiVersion") or "", reference.get("kind") or "")
        if info is None:
            return Standing.UNKNOWN
        namespace = dependent["metadata"].get("namespace", "")
        if info.namespaced and not namespace:
            await self._complain(control_plane, dependent, reference)
            return Standing.SOLID  # never resolvable, so never a reason to delete
        key = ObjectKey(control_plane.record.id, info.storage_id, namespace if info.namespaced else "", reference.get("name") or "")
        stored = self._store.get(key)
        metadata = codec.decode(stored.value)["metadata"] if stored is not None else {}
        if metadata.get("uid") == reference["uid"]:
            foreground = FINALIZER_FOREGROUND in (metadata.get("finalizers") or ())
            return Standing.WAITING if foreground and "deletionTimestamp" in metadata else Standing.SOLID
        if info.namespaced and self._elsewhere(control_plane, info, reference["uid"]):
            await self._complain(control_plane, dependent, reference)
        return Standing.ABSENT

    def _elsewhere(self, control_plane: ControlPlane, info: ResourceInfo, uid: str) -> bool:
        """Whether the owner is in another namespace, where it owns nothing. Only a note for people hangs on it, so the search is short."""
        needle = f'"uid":"{uid}"'.encode()
        page = self._store.page(Scope(control_plane.record.id, info.storage_id), limit=SEARCHED_OWNERS)
        return any(needle in item.value and codec.decode(item.value)["metadata"].get("uid") == uid for item in page.items)

    async def _complain(self, control_plane: ControlPlane, dependent: Document, reference: Json) -> None:
        metadata = dependent["metadata"]
        text = (
            f"ownerRef [{reference.get('apiVersion')}/{reference.get('kind')}, namespace: {metadata.get('namespace', '')}, "
            f'name: {reference.get("name")}, uid: {reference.get("uid")}] does not exist in namespace "{metadata.get("namespace", "")}"'
        )
        now, vcp = timestamps.from_epoch(self._clock()), control_plane.record.id
        event = documents.event(vcp, dependent, "OwnerRefInvalidNamespace", text, now, warning=True, component=_COMPONENT)
        await self._store.commit([event])

    def _resolve(self, owner: Owner) -> ObjectKey | None:
        control_plane = self._directory.get(owner.vcp)
        info = _info(control_plane, owner.api_version, owner.kind) if control_plane is not None else None
        return None if info is None else ObjectKey(owner.vcp, info.storage_id, owner.namespace if info.namespaced else "", owner.name)

    # -- changes

    async def _drop_references(self, key: ObjectKey, uids: set[str]) -> None:
        def drop(document: Document) -> bool:
            metadata = document["metadata"]
            left = [reference for reference in metadata.get("ownerReferences") or () if reference.get("uid") not in uids]
            changed = len(left) != len(metadata.get("ownerReferences") or ())
            if left:
                metadata["ownerReferences"] = left
            else:
                metadata.pop("ownerReferences", None)
            return changed

        await self._amend(key, drop)

    async def _amend(self, key: ObjectKey, edit: Callable[[Document], bool]) -> None:
        """Change an object through its API, so that what a change entails (a last finalizer gone) follows."""
        control_plane = self._directory.get(key.vcp)
        info = control_plane.api.resources.by_storage(key.resource) if control_plane is not None else None
        if control_plane is None or info is None:
            return
        document: Document | None = control_plane.api.document(info, key.namespace, key.name)
        if document is None or not edit(document):
            return
        try:
            await control_plane.api.update(info, key.namespace, key.name, document, RequestContext(USER))
        except NotFound:
            return


def _info(control_plane: ControlPlane, api_version: str, kind: str) -> ResourceInfo | None:
    try:
        group_version = GroupVersion.parse(api_version)
    except ValueError:
        return None
    resources = control_plane.api.resources
    found = resources.kind(GroupVersionKind(group_version.group, group_version.version, kind))
    if found is None:  # another version of the kind will do: they share their objects
        found = next((row for row in resources.all() if row.group == group_version.group and row.kind == kind and row.stored), None)
    return found


def _references(value: bytes) -> Json:
    return codec.decode(value)["metadata"].get("ownerReferences") if _OWNED in value else None


def _owners_of(event: Event, value: bytes | None = None) -> list[Hashable]:
    references = codec.decode(value or event.value)["metadata"].get("ownerReferences") or ()
    return [
        Owner(event.key.vcp, event.key.namespace, reference.get("apiVersion", ""), reference.get("kind", ""), reference.get("name", ""))
        for reference in references
        if reference.get("blockOwnerDeletion")
    ]


def _drop_finalizer(document: Document, finalizer: str) -> bool:
    metadata = document["metadata"]
    before = metadata.get("finalizers") or []
    metadata["finalizers"] = [name for name in before if name != finalizer]
    if not metadata["finalizers"]:
        del metadata["finalizers"]
    return finalizer in before


def _unblock(document: Document) -> bool:
    changed = False
    for reference in document["metadata"].get("ownerReferences") or ():
        if reference.get("blockOwnerDeletion"):
            reference["blockOwnerDeletion"] = False
            changed = True
    return changed
