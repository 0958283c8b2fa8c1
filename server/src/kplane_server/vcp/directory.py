# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory of control planes: finds them, makes them, keeps or destroys their data. Nothing is ever made by looking."""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

from kplane_server.model.keys import ROOT_VCP_ID, ObjectKey, VcpId
from kplane_server.model.names import ROOT
from kplane_server.registry.catalog import BUILTIN, Catalog
from kplane_server.storage.api import Mutation, Store, UnknownVcp, VcpRecord, VcpState
from kplane_server.vcp.activity import Activity
from kplane_server.vcp.controlplane import AdmissionFactory, ControlPlane, HooksFactory, no_hooks
from kplane_server.vcp.plane import ManagementPlane
from kplane_server.vcp.policy import guarded
from kplane_server.vcp.standing import decode

#: Control planes whose caches are kept in memory; the least recently used is dropped first.
MAX_WARM: Final = 512


class Directory:
    """All control planes of a store.

    admission: makes the chain of a control plane; root's is followed by the rules of the kplane kinds.
    admin_digest: SHA-256 of the root administrator's token.
    root_name: another name of root, beside its own.
    hooks: makes what calls the webhooks of a control plane.
    """

    def __init__(
        self,
        store: Store,
        plane: ManagementPlane,
        admission: AdmissionFactory,
        *,
        catalog: Catalog = BUILTIN,
        admin_digest: bytes | None = None,
        clock: Callable[[], float] = time.time,
        max_warm: int = MAX_WARM,
        hooks: HooksFactory = no_hooks,
        root_name: str = ROOT,
    ) -> None:
        self.store = store
        self.plane = plane
        self._root_names = frozenset({ROOT, root_name})
        self._admission = guarded(admission, root_name)
        self._catalog = catalog
        self._admin_digest = admin_digest
        self._hooks = hooks
        self._clock = clock
        self._max_warm = max_warm
        self._warm: OrderedDict[VcpId, ControlPlane] = OrderedDict()
        self.activity: Final = Activity()
        #: Told the name of a ControlPlane that is to be served again.
        self.on_resume: Callable[[str], None] | None = None
        self.on_legacy_use: Callable[[ObjectKey], None] | None = None
        self._resting = {r.uid: r for state in (VcpState.RETAINED, VcpState.WIPING) for r in store.vcps(state)}
        self._retained_names = Counter(r.name for r in self._resting.values() if r.state is VcpState.RETAINED)
        record = store.vcp_by_id(ROOT_VCP_ID)
        if record is None:
            raise UnknownVcp("the store has no root control plane")
        self.root: Final = self._build(record)

    # -- finding

    def find(self, name: str) -> ControlPlane | None:
        """The control plane that is served under ``name``."""
        if name in self._root_names:
            return self.root
        record = self.store.vcp(name)
        return None if record is None else self._of(record)

    def get(self, vcp: VcpId) -> ControlPlane | None:
        """The control plane of an incarnation, if it is served."""
        if vcp == ROOT_VCP_ID:
            return self.root
        record = self.store.vcp_by_id(vcp)
        return self._of(record) if record is not None and record.state is VcpState.ACTIVE else None

    def resting(self, uid: str) -> VcpRecord | None:
        """The incarnation with this uid, if it is retained or being wiped."""
        return self._resting.get(uid)

    def retained(self, name: str | None = None) -> list[VcpRecord]:
        """The incarnations (of a name) that are kept without being served, oldest first."""
        found = [r for r in self._resting.values() if r.state is VcpState.RETAINED and name in (None, r.name)]
        return sorted(found, key=lambda record: record.id)

    def has_retained(self, name: str) -> bool:
        """Whether data of an earlier control plane of this name is kept."""
        return self._retained_names[name] > 0

    def wiping(self) -> list[VcpRecord]:
        """The incarnations whose data is being destroyed."""
        return [record for record in self._resting.values() if record.state is VcpState.WIPING]

    # -- the table of states: (none) → ACTIVE ⇄ RETAINED, ACTIVE → WIPING → (none)

    async def create(
        self,
        name: str,
        uid: str,
        mutations: Sequence[Mutation] = (),
        *,
        created: int | None = None,
        settings: str = "",
        due: int | None = None,
    ) -> VcpRecord:
        """Make a control plane, with ``mutations`` in the same commit. Raises ValueError if the name is served already.

        settings, due: what is in force for it (see ``standing``), and when the operator wants to look at it again.
        """
        moment = int(self._clock()) if created is None else created
        return await self.store.create_vcp(name, uid, created=moment, mutations=mutations, settings=settings, due=due)

    async def retain(self, vcp: VcpId, mutations: Sequence[Mutation] = ()) -> VcpRecord:
        """Stop serving a control plane, and keep its data."""
        return await self._move(vcp, VcpState.RETAINED, mutations)

    async def reattach(self, vcp: VcpId, mutations: Sequence[Mutation] = ()) -> VcpRecord:
        """Serve a retained one again. Raises ValueError if its name is taken."""
        return await self._move(vcp, VcpState.ACTIVE, mutations)

    async def destroy(self, vcp: VcpId, mutations: Sequence[Mutation] = ()) -> VcpRecord:
        """Stop serving a control plane for good; :meth:`wipe` takes its data away."""
        return await self._move(vcp, VcpState.WIPING, mutations)

    async def wipe(self, vcp: VcpId) -> int:
        """Take away the data of a destroyed control plane. Goes on where an earlier run stopped."""
        record = self.store.vcp_by_id(vcp)
        count = await self.store.wipe_vcp(vcp)
        if record is not None:
            self._forget(record.uid)
        return count

    async def rotate_key(self, vcp: VcpId, mutations: Sequence[Mutation] = ()) -> VcpRecord:
        """Give a control plane a new signing key. The one before stays good until the next rotation."""
        record = await self.store.rotate_vcp_key(vcp, mutations)
        self._warm.pop(vcp, None)
        return record

    async def _move(self, vcp: VcpId, state: VcpState, mutations: Sequence[Mutation]) -> VcpRecord:
        record = await self.store.set_vcp_state(vcp, state, mutations)
        self._forget(record.uid)
        if state is not VcpState.ACTIVE:
            self._resting[record.uid] = record
            self._warm.pop(vcp, None)
            if state is VcpState.RETAINED:
                self._retained_names[record.name] += 1
        return record

    def _forget(self, uid: str) -> None:
        """Take an incarnation off the books of those at rest."""
        record = self._resting.pop(uid, None)
        if record is not None and record.state is VcpState.RETAINED:
            self._retained_names[record.name] -= 1
            if not self._retained_names[record.name]:
                del self._retained_names[record.name]

    # -- what is in force

    async def settle(self, vcp: VcpId, settings: str, due: int | None, mutations: Sequence[Mutation] = ()) -> VcpRecord:
        """Put in force what a ControlPlane says. A control plane that is paused ends its watches and is forgotten."""
        record = await self.store.settle_vcp(vcp, settings, due, mutations)
        self._warm.pop(vcp, None)
        if decode(settings).paused:
            self.store.quiesce(vcp)
        return record

    def request_resume(self, plane: ControlPlane) -> None:
        """Somebody who is known asks for a paused control plane that is to be resumed on request."""
        if self.on_resume is not None:
            self.on_resume(plane.standing.control_plane or plane.name)

    # -- caches

    def _of(self, record: VcpRecord) -> ControlPlane:
        found = self._warm.get(record.id)
        if found is not None and found.record == record:
            self._warm.move_to_end(record.id)
            return found
        found = self._build(record)
        if found.standing.paused:
            return found
        self._warm[record.id] = found
        while len(self._warm) > self._max_warm:
            self._warm.popitem(last=False)
        return found

    def _build(self, record: VcpRecord) -> ControlPlane:
        return ControlPlane(
            record,
            self.store,
            self.plane,
            self._admission,
            catalog=self._catalog,
            admin_digest=self._admin_digest,
            clock=self._clock,
            hooks=self._hooks,
            on_legacy_use=self._legacy_token_used,
        )

    def _legacy_token_used(self, secret: ObjectKey) -> None:
        if self.on_legacy_use is not None:
            self.on_legacy_use(secret)
