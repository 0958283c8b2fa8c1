# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fleets: so many ControlPlanes as a Fleet asks for, owned by it. What they need beyond that is the operator's; their end with the Fleet
is the garbage collector's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Hashable, Iterable
from typing import Any, Final

from kplane_server.controllers import documents
from kplane_server.controllers.runtime import WorkQueue
from kplane_server.model import timestamps
from kplane_server.model.errors import AlreadyExists, ApiError, NotFound
from kplane_server.model.identity import service_account_user
from kplane_server.model.keys import ROOT_VCP_ID, ResourceId, Scope
from kplane_server.model.resources import GroupVersionKind
from kplane_server.registry import codec
from kplane_server.registry.options import DeleteOptions, Preconditions, RequestContext
from kplane_server.storage.api import Event, EventType, Stored
from kplane_server.vcp import contract
from kplane_server.vcp.directory import Directory

Document = dict[str, Any]

GROUP: Final = "kplane.dev"
FLEETS: Final = ResourceId(f"fleets.{GROUP}")
API_VERSION: Final = f"{GROUP}/v1"
#: Label of a member: the name of its Fleet.
LABEL: Final = f"{GROUP}/fleet"
USER: Final = service_account_user(contract.SYSTEM_NAMESPACE, "fleet-controller")
#: Members that are made or deleted in one go; the status tells how far it is in between.
BATCH: Final = 50
#: How soon to look again at what somebody else stands in the way of (seconds).
FAILED_PAUSE: Final = 30.0

_LABELLED: Final = f'"{LABEL}":"'.encode()
_CONTROL_PLANE: Final = GroupVersionKind(contract.GROUP, "v1alpha1", "ControlPlane")
_FLEET: Final = GroupVersionKind(GROUP, "v1", "Fleet")


class FleetController:
    """Keys are names of Fleets, which are in root alone."""

    name = "fleet"
    resources: frozenset[ResourceId] | None = frozenset({FLEETS, contract.CONTROL_PLANES})
    concurrency = 4

    def __init__(self, directory: Directory, clock: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._store = directory.store
        self._clock = clock

    def attach(self, queue: WorkQueue) -> None:
        return None

    def observe(self, event: Event) -> Iterable[Hashable]:
        key = event.key
        if key.vcp != ROOT_VCP_ID:
            return ()
        if key.resource == FLEETS:
            return (key.name,) if event.type is not EventType.DELETED else ()
        if _LABELLED not in event.value:
            return ()
        return ((codec.decode(event.value)["metadata"].get("labels") or {}).get(LABEL, ""),)

    async def resync(self) -> AsyncIterator[Hashable]:
        for item in self._store.page(Scope(ROOT_VCP_ID, FLEETS)).items:
            yield item.key.name

    async def reconcile(self, key: Hashable) -> float | None:
        assert isinstance(key, str)  # what observe gives
        stored = self._store.get(contract.root_key(FLEETS, key))
        if stored is None:
            return None
        fleet: Document = codec.decode(stored.value)
        if "deletionTimestamp" in fleet["metadata"]:
            return None
        left = self._seconds_left(fleet)
        if left is not None and left <= 0:
            await self._end(fleet)
            return None
        members = await self._members(fleet)
        failures = await self._meet(fleet, members)
        members = await self._members(fleet)
        unmade = await self._report(stored.key.name, fleet, members, failures)
        if unmade or any(name not in wanted_names(fleet) for name in members):
            return 0.0
        pauses = [pause for pause in (left, FAILED_PAUSE if failures else None) if pause is not None]
        return min(pauses, default=None)

    def _seconds_left(self, fleet: Document) -> float | None:
        """Until the Fleet's end; None if it has none."""
        seconds = (fleet.get("spec") or {}).get("ttlSeconds") or 0
        return timestamps.to_epoch(fleet["metadata"]["creationTimestamp"]) + seconds - self._clock() if seconds else None

    async def _end(self, fleet: Document) -> None:
        info = self._directory.root.api.resources.kind(_FLEET)
        assert info is not None  # there is an object of it
        options = DeleteOptions(preconditions=Preconditions(uid=fleet["metadata"]["uid"]))
        try:
            await self._directory.root.api.delete(info, "", fleet["metadata"]["name"], options, RequestContext(USER))
        except NotFound:
            return

    async def _members(self, fleet: Document) -> dict[str, Document]:
        """The ControlPlanes that the Fleet controls and that stay, by name."""
        uid = fleet["metadata"]["uid"]
        found: dict[str, Document] = {}
        for number, key in enumerate(sorted(self._store.dependents(ROOT_VCP_ID, uid))):
            stored = self._store.get(key) if key.resource == contract.CONTROL_PLANES else None
            if stored is not None and _is_controlled(stored, uid):
                found[key.name] = codec.decode(stored.value)
            if number % BATCH == BATCH - 1:
                await asyncio.sleep(0)
        return {name: document for name, document in found.items() if "deletionTimestamp" not in document["metadata"]}

    async def _meet(self, fleet: Document, members: dict[str, Document]) -> dict[str, str]:
        """Make members that are missing and delete those that are too many, some at a time. The answer: why some cannot be made."""
        api = self._directory.root.api
        info = api.resources.kind(_CONTROL_PLANE)
        assert info is not None  # of root's own layer
        wanted = wanted_names(fleet)
        failures: dict[str, str] = {}
        for name in [name for name in members if name not in wanted][:BATCH]:
            options = DeleteOptions(preconditions=Preconditions(uid=members[name]["metadata"]["uid"]))
            try:
                await api.delete(info, "", name, options, RequestContext(USER))
            except NotFound:
                continue
        made = 0
        for name in wanted:
            if name in members or made >= BATCH:
                continue
            try:
                await api.create(info, "", _control_plane(fleet, name), RequestContext(USER))
                made += 1
            except AlreadyExists:
                failures[name] = self._taken(name)
            except ApiError as error:
                failures[name] = error.message[:1_000]
        return failures

    def _taken(self, name: str) -> str:
        stored = self._store.get(contract.root_key(contract.CONTROL_PLANES, name))
        if stored is not None and "deletionTimestamp" in codec.decode(stored.value)["metadata"]:
            return "an earlier control plane of this name is being deleted"
        return "there is a ControlPlane of this name that is not this Fleet's"

    async def _report(self, name: str, fleet: Document, members: dict[str, Document], failures: dict[str, str]) -> bool:
        """Bring the status up to date, nought and empty included. True if members are still to be made."""
        key = contract.root_key(FLEETS, name)
        stored = self._store.get(key)
        if stored is None:
            return False
        current: Document = codec.decode(stored.value)
        known = {entry["clusterID"]: entry for entry in (current.get("status") or {}).get("members") or ()}
        now = timestamps.from_epoch(self._clock())
        wanted = wanted_names(fleet)
        entries = [_entry(member, members.get(member), failures.get(member), known.get(member), now) for member in wanted]
        status = {
            "observedGeneration": fleet["metadata"].get("generation", 1),
            "readyReplicas": sum(entry["phase"] == "Ready" for entry in entries),
            "members": entries,
        }
        if current["metadata"]["uid"] == fleet["metadata"]["uid"] and status != current.get("status"):
            await self._store.commit([documents.change(stored, {**current, "status": status})])
        return any(member not in members and member not in failures for member in wanted)


def wanted_names(fleet: Document) -> dict[str, None]:
    """The names of the members, in order."""
    spec = fleet["spec"]
    if names := spec.get("names"):
        return dict.fromkeys(names)
    prefix = spec.get("namePrefix") or f"{fleet['metadata']['name']}-"
    return dict.fromkeys(f"{prefix}{number:04d}" for number in range(spec["replicas"]))


def _is_controlled(stored: Stored, uid: str) -> bool:
    references = codec.decode(stored.value)["metadata"].get("ownerReferences") or ()
    return any(reference.get("uid") == uid and reference.get("controller") for reference in references)


def _control_plane(fleet: Document, name: str) -> Document:
    metadata, spec = fleet["metadata"], fleet["spec"]
    owner = {"apiVersion": API_VERSION, "kind": "Fleet", "name": metadata["name"], "uid": metadata["uid"]}
    return {
        "apiVersion": contract.API_VERSION,
        "kind": "ControlPlane",
        "metadata": {
            "name": name,
            "labels": {LABEL: metadata["name"]},
            "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}],
        },
        "spec": {"classRef": dict(spec.get("classRef") or {}), "deletionPolicy": spec.get("deletionPolicy", "Destroy")},
    }


def _entry(name: str, member: Document | None, failure: str | None, before: Document | None, now: str) -> Document:
    """What the status says of one member. A transition time moves only when the phase does."""
    ready = documents.find_condition(member, "Ready") if member is not None else None
    if member is None:
        phase, message = ("Failed", failure) if failure else ("Pending", "to be made")
    elif ready is not None and ready["status"] == "True":
        phase, message = "Ready", ""
    else:
        accepted = documents.find_condition(member, "Accepted")
        refused = accepted is not None and accepted["status"] == "False"
        told = accepted if refused else ready
        phase, message = "Failed" if refused else "Pending", (told or {}).get("message", "")
    since = before["lastTransitionTime"] if before is not None and before["phase"] == phase else now
    return {"clusterID": name, "phase": phase, **({"message": message} if message else {}), "lastTransitionTime": since}
