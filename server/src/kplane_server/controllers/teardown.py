# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking a control plane apart when its ControlPlane is deleted: its data is retained or destroyed, then what belonged to it goes.

Steps, each found again by what is there: (1) one commit ends the service, marks the management namespace and says so in the status;
(2) destroyed data is wiped; (3) one commit removes namespace, endpoint and the ControlPlane itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import orjson

from kplane_server.controllers import documents
from kplane_server.controllers.namespaces import NamespaceController
from kplane_server.controllers.provisioning import CONFIG_MAPS, NAMESPACES, owned_endpoint
from kplane_server.controllers.resolution import DESTROY, deletion_policy
from kplane_server.model import timestamps
from kplane_server.model.keys import ROOT_VCP_ID
from kplane_server.registry import codec
from kplane_server.storage.api import Mutation, Stored, VcpRecord, VcpState
from kplane_server.vcp import contract
from kplane_server.vcp.directory import Directory

Document = dict[str, Any]

#: The ConfigMap in which people find what is retained.
RETAINED_CONFIG_MAP: Final = "kplane-retained"
#: The newest of the retained control planes that are listed; a ConfigMap holds a mebibyte at most.
LISTED_RETAINED: Final = 2_000
#: How soon to look again at a namespace that something holds.
HELD_PAUSE: Final = 1.0


class Teardown:
    """The second half of the life of a control plane."""

    def __init__(self, directory: Directory, namespaces: NamespaceController, clock: Callable[[], float]) -> None:
        self._directory = directory
        self._store = directory.store
        self._namespaces = namespaces
        self._purger = namespaces.purger
        self._clock = clock
        #: ControlPlanes whose removal is our own: their event needs no look.
        self.finished: set[str] = set()
        #: Set when the list of retained control planes has to be published again.
        self.retained_changed = False

    async def run(self, stored: Stored, document: Document, klass: Document | None) -> float | None:
        """Bring the deletion of a ControlPlane forward, to its end if nothing holds it."""
        if contract.FINALIZER not in (document["metadata"].get("finalizers") or ()):
            return None  # our part is done; others hold it
        uid, path = contract.incarnation(document), contract.cluster_path(document)
        record = self._store.vcp(path)
        if record is not None and record.uid == uid:
            await self._end_service(record, stored, document, deletion_policy(document, klass) == DESTROY)
            again = self._store.get(stored.key)
            if again is None:
                return None
            stored, document = again, codec.decode(again.value)
        wiped = await self.wipe(uid)
        return await self._clear(stored, document, quiet=wiped)

    async def lost(self, name: str, path: str, uid: str) -> float | None:
        """A ControlPlane went without us: keep its data, and take its namespace away."""
        record = self._store.vcp(path)
        namespace = self._namespace(name)
        marks = self._purger.mark(namespace) if namespace is not None else []
        if record is not None and record.uid == uid and record.id != ROOT_VCP_ID:
            await self._directory.retain(record.id, marks)
            self.retained_changed = True
        elif marks:
            await self._store.commit(marks)
        await self.wipe(uid)
        return None  # the namespace controller empties the namespace, the garbage collector takes the endpoint

    async def wipe(self, uid: str) -> bool:
        """Take away the data of an incarnation that is to be destroyed. Whether there was one."""
        resting = self._directory.resting(uid)
        if resting is None or resting.state is not VcpState.WIPING:
            return False
        await self._directory.wipe(resting.id)
        return True

    async def publish_retained(self) -> float | None:
        """Write the ConfigMap that lists what is retained, if it is not so already."""
        kept = self._directory.retained()
        data = {
            record.uid: orjson.dumps({"name": record.name, "created": timestamps.from_epoch(record.created)}).decode()
            for record in kept[-LISTED_RETAINED:]
        }
        key = contract.root_key(CONFIG_MAPS, RETAINED_CONFIG_MAP, contract.SYSTEM_NAMESPACE)
        note = {f"{contract.GROUP}/retained": str(len(kept))}
        stored = self._store.get(key)
        if stored is None:
            if kept:
                document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"annotations": note}, "data": data}
                await self._store.commit([documents.creation(key, document, timestamps.from_epoch(self._clock()))])
            return None
        old: Document = codec.decode(stored.value)
        metadata = {**old["metadata"], "annotations": {**(old["metadata"].get("annotations") or {}), **note}}
        new = {**old, "metadata": metadata, "data": data}
        if new != old:
            await self._store.commit([documents.change(stored, new)])
        return None

    async def _end_service(self, record: VcpRecord, stored: Stored, document: Document, destroy: bool) -> None:
        now, generation = timestamps.from_epoch(self._clock()), document["metadata"].get("generation", 1)
        reason = "Destroying" if destroy else "Retaining"
        message = "the control plane is no longer served; its data is " + ("being destroyed" if destroy else "retained")
        verdicts = [documents.condition(kind, False, reason, message) for kind in ("Programmed", "Ready")]
        status = dict(document.get("status") or {})
        status["conditions"] = documents.with_conditions(status.get("conditions"), verdicts, generation, now)
        mutations: list[Mutation] = [documents.change(stored, {**document, "status": status})]
        namespace = self._namespace(document["metadata"]["name"])
        if namespace is not None:
            mutations.extend(self._purger.mark(namespace))
        if destroy:
            await self._directory.destroy(record.id, mutations)
        else:
            await self._directory.retain(record.id, mutations)
            self.retained_changed = True

    async def _clear(self, stored: Stored, document: Document, *, quiet: bool) -> float | None:
        """Remove what belonged to the control plane in root, and let go of the ControlPlane.

        quiet: something was written since the namespace was marked, so no write is on its way into it any more.
        """
        mutations: list[Mutation] = []
        namespace = self._namespace(document["metadata"]["name"])
        if namespace is not None:
            if marks := self._purger.mark(namespace):
                await self._store.commit(marks)
                return 0.0
            removals = self._purger.removals(ROOT_VCP_ID, namespace)
            if removals is None:
                await self._namespaces.drive(self._directory.root, namespace)
                return HELD_PAUSE
            mutations.extend(removals)
        endpoint = owned_endpoint(self._store, document)
        if endpoint is not None and not codec.decode(endpoint.value)["metadata"].get("finalizers"):
            mutations.append(documents.removal(endpoint))
        metadata = document["metadata"]
        left = [name for name in metadata["finalizers"] if name != contract.FINALIZER]
        changed = {**document, "metadata": {**metadata, "finalizers": left}}
        if left:
            mutations.append(documents.change(stored, changed))
        else:
            del changed["metadata"]["finalizers"]
            mutations.append(documents.removal(stored, changed))
            self.finished.add(stored.key.name)
        if namespace is not None and not quiet:
            await self._purger.remove(namespace.key, mutations)
        else:
            await self._store.commit(mutations)
        return None

    def _namespace(self, name: str) -> Stored | None:
        """The management namespace of a ControlPlane, if it is there and ours."""
        stored = self._store.get(contract.root_key(NAMESPACES, contract.management_namespace(name)))
        if stored is None:
            return None
        labels = codec.decode(stored.value)["metadata"].get("labels") or {}
        return stored if labels.get(contract.NAME_LABEL) == name else None
