# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RBAC in one control plane: bindings indexed by subject, roles by name, decisions cached until a role or binding changes.

Source: https://kubernetes.io/docs/reference/access-authn-authz/rbac/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

import orjson

from kplane_server.access import rules
from kplane_server.access.attributes import Attributes, Decision, quoted
from kplane_server.access.rules import PolicyRule
from kplane_server.model.errors import Json
from kplane_server.model.identity import MASTERS, UserInfo
from kplane_server.model.keys import ObjectKey, ResourceId, Scope
from kplane_server.storage.api import Store, VcpRecord

RBAC_GROUP: Final = "rbac.authorization.k8s.io"
ROLES: Final = ResourceId(f"roles.{RBAC_GROUP}")
CLUSTER_ROLES: Final = ResourceId(f"clusterroles.{RBAC_GROUP}")
ROLE_BINDINGS: Final = ResourceId(f"rolebindings.{RBAC_GROUP}")
CLUSTER_ROLE_BINDINGS: Final = ResourceId(f"clusterrolebindings.{RBAC_GROUP}")

#: Decisions that one control plane remembers; at the bound all are forgotten, which costs one evaluation each.
MAX_DECISIONS: Final = 4096
#: Namespaces whose RoleBindings one control plane keeps indexed.
MAX_NAMESPACES: Final = 512
#: Characters of a question whose answer is remembered.
MAX_QUESTION_LENGTH: Final = 2048
#: Bytes of bindings up to which control planes with equal bindings share their index.
MAX_SHARED: Final = 128 * 1024
#: Roles that one control plane keeps compiled, and how long a document it keeps of each.
MAX_ROLES: Final = 1024
MAX_ROLE_BYTES: Final = 64 * 1024


class PlaneData(Protocol):
    """The part of a control plane that access needs: whose objects, and where they are."""

    @property
    def vcp(self) -> VcpRecord: ...

    @property
    def store(self) -> Store: ...


class RoleRef(NamedTuple):
    """What a binding refers to. ``namespace`` is that of a Role, empty for a ClusterRole."""

    kind: str
    namespace: str
    name: str


class RoleNotFound(Exception):
    """A binding refers to a role that is not there, or is of an unknown kind; it grants nothing."""


class Grant(NamedTuple):
    """One subject of one binding, as ``shown`` in reasons."""

    position: int  # of the binding in its list, by name
    number: int  # of the subject in the binding
    binding: str
    role: RoleRef
    kind: str
    shown: str

    def source(self, namespace: str) -> str:
        """How a reason names it; ``namespace`` is that of a RoleBinding."""
        binding = f"RoleBinding {quoted(f'{self.binding}/{namespace}')}" if namespace else f"ClusterRoleBinding {quoted(self.binding)}"
        return f"{binding} of {self.role.kind} {quoted(self.role.name)} to {self.kind} {quoted(self.shown)}"


#: Who is meant (``User`` or ``Group``, name) → what is granted.
_Index = Mapping[tuple[str, str], Sequence[Grant]]

_MASTER: Final = Decision(True)


class RbacAuthorizer:
    """Answers for one control plane. Members of ``system:masters`` may do everything in it, and nothing outside of it."""

    def __init__(self, api: PlaneData) -> None:
        self._store = api.store
        self._vcp = api.vcp.id
        self._seen = -1  # the store's revision when the stamps were last compared
        self._stamps = (-1, -1, -1, -1)
        self._decisions: dict[tuple[str, tuple[str, ...], Attributes], Decision] = {}
        self._cluster: _Index | None = None
        self._namespaces: dict[str, _Index] = {}
        self._roles: dict[RoleRef, tuple[PolicyRule, ...]] = {}

    def authorize(self, user: UserInfo, attributes: Attributes) -> Decision:
        """Whether ``user`` may do this here, and why."""
        groups = user.groups
        if MASTERS in groups:
            return _MASTER
        self._refresh()
        key = (user.name, groups, attributes)
        decision = self._decisions.get(key)
        if decision is None:
            decision = self._decide(user, attributes)
            # Questions come from outside, in reviews of any size: what is remembered is bounded in number and in length.
            if len(user.name) + sum(map(len, groups)) + sum(map(len, attributes[:-1])) <= MAX_QUESTION_LENGTH:
                if len(self._decisions) >= MAX_DECISIONS:
                    self._decisions.clear()
                self._decisions[key] = decision
        return decision

    def rules_for(self, user: UserInfo, namespace: str) -> tuple[list[PolicyRule], list[str]]:
        """Every rule that applies to ``user`` in ``namespace`` (and cluster-wide), and why the list may be incomplete."""
        self._refresh()
        found: list[PolicyRule] = []
        errors: list[str] = []
        for grant, _ in self._grants(user, namespace):
            try:
                found += self._rules_of(grant.role)
            except RoleNotFound as error:
                errors.append(str(error))
        return found, errors

    def role_rules(self, role: RoleRef) -> tuple[PolicyRule, ...]:
        """The rules of a role. Raises :class:`RoleNotFound`."""
        self._refresh()
        return self._rules_of(role)

    def _decide(self, user: UserInfo, attributes: Attributes) -> Decision:
        errors: list[str] = []
        for grant, namespace in self._grants(user, attributes.namespace):
            try:
                granted = self._rules_of(grant.role)
            except RoleNotFound as error:
                errors.append(str(error))
                continue
            if any(rules.allows(rule, attributes) for rule in granted):
                return Decision(True, f"RBAC: allowed by {grant.source(namespace)}")
        return Decision(False, f"RBAC: {aggregate(errors)}" if errors else "")

    def _refresh(self) -> None:
        """Forget what was built from collections that have changed since."""
        revision = self._store.revision
        if revision == self._seen:
            return
        self._seen = revision
        changed, vcp = self._store.changed, self._vcp
        stamps = (
            changed(vcp, CLUSTER_ROLE_BINDINGS),
            changed(vcp, ROLE_BINDINGS),
            changed(vcp, CLUSTER_ROLES),
            changed(vcp, ROLES),
        )
        before = self._stamps
        if stamps == before:
            return
        self._stamps = stamps
        self._decisions.clear()
        if stamps[0] != before[0]:
            self._cluster = None
        if stamps[1] != before[1]:
            self._namespaces.clear()
        if stamps[2:] != before[2:]:
            self._roles.clear()

    def _grants(self, user: UserInfo, namespace: str) -> Iterator[tuple[Grant, str]]:
        """What applies to ``user``, with the namespace of its binding: cluster-wide first, then in ``namespace``."""
        if self._cluster is None:
            self._cluster = self._index(CLUSTER_ROLE_BINDINGS, "")
        for grant in _applicable(self._cluster, user):
            yield grant, ""
        if namespace:
            index = self._namespaces.get(namespace)
            if index is None:
                if len(self._namespaces) >= MAX_NAMESPACES:
                    self._namespaces.clear()
                index = self._namespaces[namespace] = self._index(ROLE_BINDINGS, namespace)
            for grant in _applicable(index, user):
                yield grant, namespace

    def _index(self, resource: ResourceId, namespace: str) -> _Index:
        page = self._store.page(Scope(self._vcp, resource, namespace or None))
        pairs = tuple(
            pair for position, stored in enumerate(page.items) for pair in _grants_of(orjson.loads(stored.value), position, namespace)
        )
        return _shared_index(pairs) if sum(len(stored.value) for stored in page.items) <= MAX_SHARED else _index_of(pairs)

    def _rules_of(self, role: RoleRef) -> tuple[PolicyRule, ...]:
        found = self._roles.get(role)
        if found is not None:
            return found
        resource = {"Role": ROLES, "ClusterRole": CLUSTER_ROLES}.get(role.kind)
        if resource is None:
            raise RoleNotFound(f"unsupported role reference kind: {quoted(role.kind)}")
        stored = self._store.get(ObjectKey(self._vcp, resource, role.namespace, role.name))
        if stored is None:
            raise RoleNotFound(f"{role.kind.lower()}.{RBAC_GROUP} {quoted(role.name)} not found")
        if len(self._roles) >= MAX_ROLES:
            self._roles.clear()
        compiled = rules.parse_rules(orjson.loads(stored.value).get("rules"))
        if len(stored.value) <= MAX_ROLE_BYTES:
            self._roles[role] = compiled
        return compiled


def aggregate(errors: list[str]) -> str:
    """Several messages as one: alone as it is, else in brackets, each once."""
    unique = list(dict.fromkeys(errors))
    return unique[0] if len(unique) == 1 else "[" + ", ".join(unique) + "]"


def _index_of(pairs: Iterable[tuple[tuple[str, str], Grant]]) -> _Index:
    index: dict[tuple[str, str], list[Grant]] = {}
    for subject, grant in pairs:
        index.setdefault(subject, []).append(grant)
    return index


@lru_cache(maxsize=64)
def _shared_index(pairs: tuple[tuple[tuple[str, str], Grant], ...]) -> _Index:
    """The index of these very bindings: control planes that still have what they began with share one in memory."""
    return _index_of(pairs)


def _applicable(index: _Index, user: UserInfo) -> Sequence[Grant]:
    """The grants to a user and their groups, in the order of the bindings; of each binding the first subject that fits."""
    found = list(index.get(("User", user.name), ()))
    for group in user.groups:
        found += index.get(("Group", group), ())
    if len(found) < 2:
        return found
    first: dict[int, Grant] = {}
    for grant in sorted(found, key=lambda one: one[:2]):
        first.setdefault(grant.position, grant)
    return list(first.values())


def _grants_of(binding: Json, position: int, namespace: str) -> Iterator[tuple[tuple[str, str], Grant]]:
    """Each subject of a binding as the index looks it up. ``namespace`` is empty for a ClusterRoleBinding."""
    reference = binding.get("roleRef") or {}
    kind, name = reference.get("kind", ""), reference.get("name", "")
    role = RoleRef(kind, namespace if kind == "Role" else "", name)
    own_name = binding["metadata"]["name"]
    for number, subject in enumerate(binding.get("subjects") or ()):
        subject_kind, subject_name = subject.get("kind", ""), subject.get("name", "")
        shown, looked_up = subject_name, (subject_kind, subject_name)
        if subject_kind == "ServiceAccount":
            of = subject.get("namespace") or namespace
            if not of:
                continue  # a ClusterRoleBinding must say which namespace it means
            shown, looked_up = f"{subject_name}/{of}", ("User", f"system:serviceaccount:{of}:{subject_name}")
        elif subject_kind not in ("User", "Group"):
            continue
        yield looked_up, Grant(position, number, own_name, role, subject_kind, shown)
