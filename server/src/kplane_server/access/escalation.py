# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nobody grants what they do not hold: the check of every write of a role or a binding.

Source: https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kplane_server.access import attributes as access_attributes
from kplane_server.access import rules
from kplane_server.access.attributes import forbidden_object, quoted
from kplane_server.access.rbac import RBAC_GROUP, RbacAuthorizer, RoleNotFound, RoleRef
from kplane_server.access.rules import FULL_AUTHORITY, PolicyRule
from kplane_server.model.errors import Forbidden, Json, not_found
from kplane_server.model.identity import MASTERS, UserInfo
from kplane_server.registry.attributes import Admission, Attributes, Operation

_WRITES: Final = (Operation.CREATE, Operation.UPDATE)
_ROLES: Final = frozenset({"roles", "clusterroles"})
_BINDINGS: Final = frozenset({"rolebindings", "clusterrolebindings"})

#: Metadata that may change without a new check: what garbage collection must be able to change, and what the server writes itself.
_UNCHECKED_METADATA: Final = frozenset({"ownerReferences", "finalizers", "managedFields", "resourceVersion", "generation"})


class EscalationGuard:
    """Checks RBAC writes in one control plane."""

    def __init__(self, authorizer: RbacAuthorizer) -> None:
        self._authorizer = authorizer

    @staticmethod
    def concerns(group: str, resource: str) -> bool:
        """Whether writes of this resource must be checked."""
        return group == RBAC_GROUP and (resource in _ROLES or resource in _BINDINGS)

    def check(self, user: UserInfo, resource: str, namespace: str, new: Json, old: Json | None) -> None:
        """Raises Forbidden if ``user`` may not write ``new`` over ``old`` (None for a create)."""
        if MASTERS in user.groups or (old is not None and _same(new, old)):
            return
        if resource in _ROLES:
            self._check_role(user, resource, namespace, new, old)
        elif resource in _BINDINGS:
            self._check_binding(user, resource, namespace, new)

    def _check_role(self, user: UserInfo, resource: str, namespace: str, new: Json, old: Json | None) -> None:
        name = new["metadata"].get("name", "")
        # Upstream asks for the name of the request, which a create has not.
        asked = name if old is not None else ""
        question = access_attributes.Attributes("escalate", RBAC_GROUP, "*", resource, namespace=namespace, name=asked)
        if self._authorizer.authorize(user, question).allowed:
            return
        if why := self._missing(user, namespace, rules.parse_rules(new.get("rules"))):
            raise forbidden_object(RBAC_GROUP, resource, name, why)
        # An aggregated role takes in rules of others, now and later: only who holds everything may set that up.
        if (_aggregates(new) or _aggregates(old)) and self._missing(user, namespace, FULL_AUTHORITY):
            raise forbidden_object(RBAC_GROUP, resource, name, "must have cluster-admin privileges to use the aggregationRule")

    def _check_binding(self, user: UserInfo, resource: str, namespace: str, new: Json) -> None:
        name = new["metadata"].get("name", "")
        reference = new.get("roleRef") or {}
        kind, role = reference.get("kind", ""), reference.get("name", "")
        bindable = {"ClusterRole": "clusterroles", "Role": "roles"}.get(kind)
        if bindable is not None:
            question = access_attributes.Attributes("bind", reference.get("apiGroup", ""), "*", bindable, namespace=namespace, name=role)
            if self._authorizer.authorize(user, question).allowed:
                return
        try:
            granted = self._authorizer.role_rules(RoleRef(kind, namespace if kind == "Role" else "", role))
        except RoleNotFound as error:
            if bindable is None:
                raise Forbidden(str(error), group=RBAC_GROUP, kind=resource, name=name) from error
            raise not_found(bindable, RBAC_GROUP, role) from error
        if why := self._missing(user, namespace, granted):
            raise forbidden_object(RBAC_GROUP, resource, name, why)

    def _missing(self, user: UserInfo, namespace: str, wanted: Sequence[PolicyRule]) -> str:
        """What of ``wanted`` the user does not hold, in upstream's words; empty if all is held."""
        held, errors = self._authorizer.rules_for(user, namespace)
        missing = rules.uncovered(held, wanted)
        if not missing:
            return ""
        lines = sorted({rules.describe(rule) for rule in rules.compact(missing)})
        why = (
            f"user {quoted(user.name)} (groups={rules.quoted_list(user.groups)}) "
            "is attempting to grant RBAC permissions not currently held:\n" + "\n".join(lines)
        )
        return f"{why}; resolution errors: [{' '.join(errors)}]" if errors else why


def _aggregates(role: Json | None) -> bool:
    return bool(role and (role.get("aggregationRule") or {}).get("clusterRoleSelectors"))


def _same(new: Json, old: Json) -> bool:
    """Whether a write changes nothing but what garbage collection needs to change."""

    def relevant(document: Json) -> Json:
        metadata = {key: value for key, value in document["metadata"].items() if key not in _UNCHECKED_METADATA}
        return {**document, "metadata": metadata}

    return bool(relevant(new) == relevant(old))


class EscalationAdmission:
    """An admission chain with the check behind it: what is judged is the document that would be stored."""

    def __init__(self, chain: Admission, authorizer: RbacAuthorizer) -> None:
        self._chain = chain
        self._guard = EscalationGuard(authorizer)

    def mutates(self, attributes: Attributes) -> bool:
        return self._chain.mutates(attributes)

    def minds_deletions(self, attributes: Attributes) -> bool:
        return self._chain.minds_deletions(attributes)

    async def admit(self, attributes: Attributes) -> None:
        await self._chain.admit(attributes)

    async def validate(self, attributes: Attributes) -> None:
        info = attributes.info
        if attributes.operation in _WRITES and attributes.object is not None and self._guard.concerns(info.group, info.resource):
            self._guard.check(attributes.user, info.resource, attributes.namespace, attributes.object, attributes.old)
        await self._chain.validate(attributes)
