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
from kplane_server.model.keys import ROOT_VCP_ID
from kplane_server.registry.api import ControlPlaneApi
from kplane_server.registry.attributes import Admission
from kplane_server.registry.catalog import BUILTIN, Catalog
from kplane_server.registry.hooks import HookCaller, NoHooks
from kplane_server.storage.api import Store, VcpRecord
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
    ) -> None:
        self.record = record
        self.store = store
        self.plane = plane
        self.caches: dict[str, object] = {}
        self._admission = admission
        self._hooks = hooks
        self._catalog = catalog
        self._admin_digest = admin_digest if record.id == ROOT_VCP_ID else None
        self._clock = clock

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
        return ControlPlaneApi(self.record, self.store, self._catalog, admission, self._clock, self.hooks)

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
        return Authenticator(self, self.issuer, admin_digest=self._admin_digest, clock=self._clock)

    @cached_property
    def authorizer(self) -> RbacAuthorizer:
        """What they may do."""
        return RbacAuthorizer(self)


def token_issuer(plane: ManagementPlane, record: VcpRecord, clock: Callable[[], float] = time.time) -> TokenIssuer:
    """The issuer of an incarnation."""
    return TokenIssuer(plane.master_secret, record, plane.base_url, accepted_base_urls=plane.former_base_urls, clock=clock)
