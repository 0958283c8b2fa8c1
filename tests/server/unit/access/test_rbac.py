# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RBAC in a control plane: bindings, reasons, refusals, and that nothing is remembered longer than it is true."""

from __future__ import annotations

import pytest
from support.planes import Plane, user

from kplane_server.access import rbac
from kplane_server.access.attributes import Attributes, Decision, for_path, forbidden
from kplane_server.model.identity import MASTERS, UserInfo, service_account_user

READ = {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["configmaps"]}
LIST = Attributes("list", "", "v1", "configmaps", namespace="default")
ANN = {"kind": "User", "apiGroup": rbac.RBAC_GROUP, "name": "ann"}


async def test_a_cluster_role_binding_reaches_everywhere(plane: Plane) -> None:
    await plane.role("reader", READ)
    await plane.bind("read", "reader", {"kind": "Group", "name": "readers"})
    asker = user("ann", "readers")
    reason = 'RBAC: allowed by ClusterRoleBinding "read" of ClusterRole "reader" to Group "readers"'
    assert plane.authorizer.authorize(asker, LIST) == Decision(True, reason)
    assert plane.authorizer.authorize(asker, LIST._replace(namespace="")).allowed
    assert plane.authorizer.authorize(asker, LIST._replace(verb="create")) == Decision(False)
    assert plane.authorizer.authorize(user("ann"), LIST) == Decision(False)


async def test_a_role_binding_reaches_its_namespace(plane: Plane) -> None:
    await plane.role("reader", READ)
    await plane.role("local", READ, namespace="one")
    await plane.bind("a", "reader", ANN, namespace="default")
    await plane.bind("b", "local", ANN, namespace="one", kind="Role")
    asker = user("ann")
    assert plane.authorizer.authorize(asker, LIST).reason == (
        'RBAC: allowed by RoleBinding "a/default" of ClusterRole "reader" to User "ann"'
    )
    assert plane.authorizer.authorize(asker, LIST._replace(namespace="one")).reason == (
        'RBAC: allowed by RoleBinding "b/one" of Role "local" to User "ann"'
    )
    assert not plane.authorizer.authorize(asker, LIST._replace(namespace="two")).allowed
    assert not plane.authorizer.authorize(asker, LIST._replace(namespace="")).allowed


async def test_a_role_of_another_namespace_is_not_found(plane: Plane) -> None:
    await plane.role("local", READ, namespace="one")
    await plane.bind("b", "local", ANN, namespace="two", kind="Role")
    decision = plane.authorizer.authorize(user("ann"), LIST._replace(namespace="two"))
    assert decision == Decision(False, f'RBAC: role.{rbac.RBAC_GROUP} "local" not found')


@pytest.mark.parametrize(
    ("subject", "binding_namespace", "allowed", "shown"),
    [
        ({"kind": "ServiceAccount", "name": "robot", "namespace": "home"}, "", True, "robot/home"),
        ({"kind": "ServiceAccount", "name": "robot", "namespace": "home"}, "default", True, "robot/home"),
        ({"kind": "ServiceAccount", "name": "robot"}, "", False, ""),
        ({"kind": "ServiceAccount", "name": "robot"}, "home", True, "robot/home"),
        ({"kind": "User", "name": "system:serviceaccount:home:robot"}, "", True, "system:serviceaccount:home:robot"),
        ({"kind": "Group", "name": "system:serviceaccounts:home"}, "", True, "system:serviceaccounts:home"),
        ({"kind": "Group", "name": "system:serviceaccounts:other"}, "", False, ""),
        ({"kind": "Robot", "name": "robot"}, "", False, ""),
    ],
)
async def test_service_accounts_as_subjects(
    plane: Plane, subject: dict[str, str], binding_namespace: str, allowed: bool, shown: str
) -> None:
    await plane.role("reader", READ)
    await plane.bind("read", "reader", subject, namespace=binding_namespace)
    decision = plane.authorizer.authorize(service_account_user("home", "robot"), LIST._replace(namespace=binding_namespace or "default"))
    assert decision.allowed is allowed
    assert decision.reason.endswith(f'to {subject["kind"]} "{shown}"' if allowed else "")


async def test_a_reason_names_the_first_subject_that_fits(plane: Plane) -> None:
    await plane.role("reader", READ)
    await plane.bind("read", "reader", {"kind": "Group", "name": "b"}, {"kind": "Group", "name": "a"}, ANN)
    assert plane.authorizer.authorize(user("ann", "a", "b"), LIST).reason.endswith('to Group "b"')


async def test_missing_roles_are_told_once_each(plane: Plane) -> None:
    await plane.bind("a", "gone", ANN)
    await plane.bind("b", "gone", ANN)
    await plane.bind("c", "lost", ANN)
    await plane.bind("d", "odd", ANN, kind="Odd")
    reason = plane.authorizer.authorize(user("ann"), LIST).reason
    assert reason == (
        f'RBAC: [clusterrole.{rbac.RBAC_GROUP} "gone" not found, clusterrole.{rbac.RBAC_GROUP} "lost" not found, '
        'unsupported role reference kind: "Odd"]'
    )


async def test_a_missing_role_hides_no_other(plane: Plane) -> None:
    await plane.bind("a", "gone", ANN)
    await plane.role("reader", READ)
    await plane.bind("b", "reader", ANN)
    assert plane.authorizer.authorize(user("ann"), LIST).allowed


async def test_paths(plane: Plane) -> None:
    await plane.role("health", {"verbs": ["get"], "nonResourceURLs": ["/healthz", "/livez/*"]})
    await plane.bind("all", "health", {"kind": "Group", "name": "system:unauthenticated"})
    anonymous = UserInfo("system:anonymous", groups=("system:unauthenticated",))
    assert plane.authorizer.authorize(anonymous, for_path("get", "/livez/ping")).allowed
    assert not plane.authorizer.authorize(anonymous, for_path("get", "/metrics")).allowed
    assert not plane.authorizer.authorize(anonymous, for_path("post", "/healthz")).allowed


async def test_masters_may_do_everything(plane: Plane) -> None:
    assert plane.authorizer.authorize(UserInfo("x", groups=(MASTERS,)), Attributes("escalate", "a", "b", "c")).allowed
    assert not plane.authorizer.authorize(UserInfo(MASTERS, groups=("masters",)), LIST).allowed


async def test_every_change_counts_at_once(plane: Plane) -> None:
    asker = user("ann")
    assert not plane.authorizer.authorize(asker, LIST).allowed
    await plane.bind("read", "reader", ANN)
    assert "not found" in plane.authorizer.authorize(asker, LIST).reason
    await plane.role("reader", READ)
    assert plane.authorizer.authorize(asker, LIST).allowed
    await plane.role("reader", {**READ, "verbs": ["get"]})
    assert not plane.authorizer.authorize(asker, LIST).allowed
    await plane.role("reader", READ)
    assert plane.authorizer.authorize(asker, LIST).allowed
    await plane.remove(rbac.CLUSTER_ROLE_BINDINGS, "", "read")
    assert not plane.authorizer.authorize(asker, LIST).allowed
    await plane.role("local", READ, namespace="default")
    await plane.bind("read", "local", ANN, namespace="default", kind="Role")
    assert plane.authorizer.authorize(asker, LIST).allowed
    await plane.remove(rbac.ROLES, "default", "local")
    assert not plane.authorizer.authorize(asker, LIST).allowed


@pytest.mark.parametrize("first_allowed", [True, False])
async def test_a_warm_cache_crosses_no_border(plane: Plane, other: Plane, first_allowed: bool) -> None:
    await plane.role("reader", READ)
    await plane.bind("read", "reader", ANN)
    order = [(plane, True), (other, False)]
    for one, expected in (order if first_allowed else order[::-1]) * 2:
        assert one.authorizer.authorize(user("ann"), LIST).allowed is expected


async def test_caches_stay_bounded(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rbac, "MAX_DECISIONS", 8)
    monkeypatch.setattr(rbac, "MAX_NAMESPACES", 4)
    monkeypatch.setattr(rbac, "MAX_ROLES", 2)
    for number in range(5):
        await plane.role(f"role-{number}", READ)
        await plane.bind(f"bind-{number}", f"role-{number}", {"kind": "Group", "name": f"group-{number}"})
    for number in range(50):
        asker = user("ann", f"group-{number % 5}")
        assert plane.authorizer.authorize(asker, LIST._replace(namespace=f"ns-{number}")).allowed
    assert len(plane.authorizer._decisions) <= 8
    assert len(plane.authorizer._namespaces) <= 4
    assert len(plane.authorizer._roles) <= 2


async def test_long_questions_are_answered_and_forgotten(plane: Plane) -> None:
    await plane.role("reader", {**READ, "resourceNames": ["x" * 5000, *(f"name-{number}" for number in range(9000))]})
    await plane.bind("read", "reader", ANN)
    for asked in (LIST._replace(name="x" * 5000), LIST._replace(name="y" * 5000)):
        assert plane.authorizer.authorize(user("ann"), asked).allowed is asked.name.startswith("x")
    assert plane.authorizer.authorize(user("ann", "g" * 5000), LIST._replace(name="name-8999")).allowed
    assert not plane.authorizer._decisions
    assert not plane.authorizer._roles


async def test_rules_for_a_user(plane: Plane) -> None:
    await plane.role("reader", READ)
    await plane.role("local", {"verbs": ["delete"], "apiGroups": [""], "resources": ["pods"]}, namespace="default")
    await plane.bind("a", "reader", ANN)
    await plane.bind("b", "gone", ANN)
    await plane.bind("c", "local", ANN, namespace="default", kind="Role")
    rules, errors = plane.authorizer.rules_for(user("ann"), "default")
    assert [rule.verbs for rule in rules] == [("get", "list"), ("delete",)]
    assert errors == [f'clusterrole.{rbac.RBAC_GROUP} "gone" not found']
    assert len(plane.authorizer.rules_for(user("ann"), "other")[0]) == 1


@pytest.mark.parametrize(
    ("attributes", "reason", "message", "details"),
    [
        (
            LIST,
            "",
            'configmaps is forbidden: User "ann" cannot list resource "configmaps" in API group "" in the namespace "default"',
            {"kind": "configmaps"},
        ),
        (
            Attributes("get", "apps", "v1", "deployments", "scale", "", "web"),
            "RBAC: broken",
            'deployments.apps "web" is forbidden: User "ann" cannot get resource "deployments/scale" in API group "apps" '
            "at the cluster scope: RBAC: broken",
            {"kind": "deployments", "group": "apps", "name": "web"},
        ),
        (for_path("get", "/metrics"), "", 'forbidden: User "ann" cannot get path "/metrics"', None),
    ],
)
def test_a_refusal_speaks_as_upstream(attributes: Attributes, reason: str, message: str, details: dict[str, str] | None) -> None:
    status = forbidden(user("ann"), attributes, reason).status()
    assert (status["code"], status["reason"], status["message"]) == (403, "Forbidden", message)
    assert status.get("details") == details
