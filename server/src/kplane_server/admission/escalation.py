# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RBAC escalation: nobody writes a role, or binds one, that grants more than the writer has.

The rules are those of the room ``access``, which is a sibling: the composition root hands them in.
Source: https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping
"""

from __future__ import annotations

from typing import Final, Protocol

from kplane_server.admission.plugin import Plugin
from kplane_server.model.errors import Json
from kplane_server.model.identity import UserInfo
from kplane_server.registry.attributes import Attributes, Operation


class Guard(Protocol):
    """The escalation rules of one control plane's authorizer."""

    def concerns(self, group: str, resource: str) -> bool: ...

    def check(self, user: UserInfo, resource: str, namespace: str, new: Json, old: Json | None) -> None:
        """Raises Forbidden."""
        ...


_WRITES: Final = (Operation.CREATE, Operation.UPDATE)


class EscalationCheck(Plugin):
    name = "RBACEscalation"

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def concerns(self, attributes: Attributes) -> bool:
        return attributes.operation in _WRITES and self._guard.concerns(attributes.info.group, attributes.info.resource)

    def validate(self, attributes: Attributes) -> None:
        self._guard.check(attributes.user, attributes.info.resource, attributes.namespace, attributes.object, attributes.old)
