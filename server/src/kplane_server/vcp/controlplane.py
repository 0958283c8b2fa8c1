# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One control plane at work: its record, and what is built on it when it is first needed."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property

from kplane_server.access.authentication import Authenticator
from kplane_server.access.escalation import EscalationAdmission
from kplane_server.access.rbac import RbacAuthorizer
from kplane_server.access.tokens import TokenIssuer
from kplane_server.model.keys import ROOT_VCP_ID, ObjectKey
from kplane_server.registry import codec
from kplane_server.registry.api import ControlPlaneApi
from kplane_server.registry.attributes import Admission
from kplane_server.registry.catalog import BUILTIN, Catalog
from kplane_server.registry.generic import Ceiling
from kplane_server.registry.hooks import HookCaller, NoHooks
from kplane_server.storage.api import Bounds, Store, VcpRecord
from kplane_server.vcp import contract, standing
from kplane_server.vcp.plane import ManagementPlane

#: Makes the admission chain of a control plane.
AdmissionFactory = Callable[["ControlPlane"], Admission]
#: Makes what calls the webhooks of a control plane.
HooksFactory = Callable[["ControlPlane"], HookCaller]


def no_hooks(control_plane: ControlPlane) -> HookCaller:
    """A server that calls nobody."""
    return NoHooks()


class ControlPlane:
    """The rooms below, put together for one incarnation. Everything here is a cache: it can be dropped at any time.

    caches: what the rooms above keep for this control plane (discovery documents and the like), under names of their own.
    """

    def __init__(
        self,
        record: VcpRecord,
        store: Store,
        plane: ManagementPlane,
        admission: AdmissionFactory,
        *,
        catalog: Catalog = BUILTIN,
        admin_digest: bytes | None = None,
        clock: Callable[[], float] = time.time,
        hooks: HooksFactory = no_hooks,
        on_legacy_use: Callable[[ObjectKey], None] | None = None,
    ) -> None:
        self.record = record
        self.store = store
        self.plane = plane
        self.caches: dict[str, object] = {}
        self._admission = admission
        self._hooks = hooks
        self._on_legacy_use = on_legacy_use
        self._catalog = catalog
        self._admin_digest = admin_digest if record.id == ROOT_VCP_ID else None
        self._clock = clock
        self.standing = standing.decode(record.settings)
        self._limits: tuple[int, standing.Limits, Ceiling | None] = (-1, standing.NO_LIMITS, None)

    @property
    def limits(self) -> standing.Limits:
        """The limits in force: of the class, lowered by the ControlPlane's own."""
        return self._in_force()[1]

    def ceiling(self) -> Ceiling | None:
        """How far it may grow, and who says so."""
        return self._in_force()[2]

    def _in_force(self) -> tuple[int, standing.Limits, Ceiling | None]:
        """Read again when a class has changed."""
        if self.record.id == ROOT_VCP_ID:
            return self._limits
        changed = self.store.changed(ROOT_VCP_ID, contract.CLASSES)
        if self._limits[0] != changed:
            own, klass = self.standing.limits, self.standing.klass
            stored = self.store.get(contract.root_key(contract.CLASSES, klass)) if klass else None
            spec = (codec.decode(stored.value).get("spec") or {}) if stored is not None else {}
            limits = own.lowered(standing.limits_of(spec.get("limits")))
            bounds = Bounds(limits.objects, limits.bytes)
            said = f'ControlPlaneClass "{klass}"', f"annotation {contract.LIMITS_ANNOTATION} of its ControlPlane"
            sources = tuple(said[mine is not None and mine == least] for mine, least in zip(own[:2], bounds, strict=True))
            self._limits = (changed, limits, None if bounds == Bounds() else Ceiling(bounds, sources))
        return self._limits

    @property
    def vcp(self) -> VcpRecord:
        """The record again, under the name by which the room ``access`` knows it."""
        return self.record

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def is_root(self) -> bool:
        return self.record.id == ROOT_VCP_ID

    @property
    def url(self) -> str:
        """Where clients reach it, with its path."""
        return self.plane.url_of(self.record.name)

    @cached_property
    def api(self) -> ControlPlaneApi:
        """The verbs."""
        admission = EscalationAdmission(self._admission(self), self.authorizer)
        api = ControlPlaneApi(self.record, self.store, self._catalog, admission, self._clock, self.hooks)
        api.registry.ceiling = self.ceiling
        return api

    @cached_property
    def hooks(self) -> HookCaller:
        """What calls its webhooks."""
        return self._hooks(self)

    @cached_property
    def issuer(self) -> TokenIssuer:
        """Its tokens: keys, issuer and audience of its own."""
        return token_issuer(self.plane, self.record, self._clock)

    @cached_property
    def authenticator(self) -> Authenticator:
        """Who makes a request."""
        return Authenticator(self, self.issuer, admin_digest=self._admin_digest, clock=self._clock, on_legacy_use=self._on_legacy_use)

    @cached_property
    def authorizer(self) -> RbacAuthorizer:
        """What they may do."""
        return RbacAuthorizer(self)


def token_issuer(plane: ManagementPlane, record: VcpRecord, clock: Callable[[], float] = time.time) -> TokenIssuer:
    """The issuer of an incarnation."""
    return TokenIssuer(plane.master_secret, record, plane.base_url, accepted_base_urls=plane.former_base_urls, clock=clock)
