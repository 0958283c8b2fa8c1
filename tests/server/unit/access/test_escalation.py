# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes of roles and bindings: nobody grants what they do not hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.planes import Plane, user

from kplane_server.access.escalation import EscalationAdmission, EscalationGuard
from kplane_server.access.rbac import RBAC_GROUP
from kplane_server.model.errors import Forbidden, NotFound
from kplane_server.model.identity import MASTERS, UserInfo
from kplane_server.model.keys import VcpId
from kplane_server.registry.attributes import AdmitAll, Attributes, Operation
from kplane_server.registry.catalog import BUILTIN
from kplane_server.registry.options import RequestContext

READ = {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}
WRITE = {"verbs": ["create"], "apiGroups": [""], "resources": ["pods"]}
ANN = {"kind": "User", "name": "ann"}
ASKER = user("ann", "g")


def role(*rules: Any, name: str = "new", **fields: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "rules": list(rules), **fields}


def binding(to: str, kind: str = "ClusterRole") -> dict[str, Any]:
    return {"metadata": {"name": "new"}, "roleRef": {"apiGroup": RBAC_GROUP, "kind": kind, "name": to}, "subjects": [ANN]}


async def hold(plane: Plane, *rules: Any, namespace: str = "") -> EscalationGuard:
    await plane.role("held", *rules)
    await plane.bind("held", "held", ANN, namespace=namespace)
    return EscalationGuard(plane.authorizer)


@pytest.mark.parametrize(
    ("group", "resource", "expected"),
    [
        (RBAC_GROUP, "roles", True),
        (RBAC_GROUP, "clusterroles", True),
        (RBAC_GROUP, "rolebindings", True),
        (RBAC_GROUP, "clusterrolebindings", True),
        ("", "roles", False),
        ("example.com", "clusterroles", False),
        ("", "pods", False),
    ],
)
def test_what_is_checked(group: str, resource: str, expected: bool) -> None:
    assert EscalationGuard.concerns(group, resource) is expected


async def test_a_role_of_what_is_held(plane: Plane) -> None:
    guard = await hold(plane, READ)
    guard.check(ASKER, "clusterroles", "", role(READ), None)
    guard.check(ASKER, "roles", "default", role({**READ, "resourceNames": ["a"]}), None)


async def test_a_role_of_more(plane: Plane) -> None:
    guard = await hold(plane, READ)
    with pytest.raises(Forbidden) as refusal:
        guard.check(ASKER, "clusterroles", "", role(READ, WRITE, {"verbs": ["get"], "nonResourceURLs": ["/metrics"]}), None)
    assert refusal.value.message == (
        f'clusterroles.{RBAC_GROUP} "new" is forbidden: user "ann" (groups=["g" "system:authenticated"]) '
        "is attempting to grant RBAC permissions not currently held:\n"
        '{APIGroups:[""], Resources:["pods"], Verbs:["create"]}\n'
        '{NonResourceURLs:["/metrics"], Verbs:["get"]}'
    )


async def test_what_is_held_in_one_namespace_counts_there(plane: Plane) -> None:
    guard = await hold(plane, READ, namespace="home")
    guard.check(ASKER, "roles", "home", role(READ), None)
    for resource, namespace in (("roles", "other"), ("clusterroles", "")):
        with pytest.raises(Forbidden):
            guard.check(ASKER, resource, namespace, role(READ), None)


async def test_the_escalate_verb_lifts_the_check(plane: Plane) -> None:
    guard = await hold(plane, {"verbs": ["escalate"], "apiGroups": [RBAC_GROUP], "resources": ["clusterroles"], "resourceNames": ["new"]})
    guard.check(ASKER, "clusterroles", "", role(WRITE), role())
    with pytest.raises(Forbidden):
        guard.check(ASKER, "clusterroles", "", role(WRITE), None)  # a create has no name to be allowed by
    with pytest.raises(Forbidden):
        guard.check(ASKER, "clusterroles", "", role(WRITE, name="other"), role(name="other"))


async def test_masters_grant_anything(plane: Plane) -> None:
    EscalationGuard(plane.authorizer).check(UserInfo("x", groups=(MASTERS,)), "clusterroles", "", role(WRITE), None)


async def test_what_garbage_collection_needs_is_not_checked(plane: Plane) -> None:
    guard = EscalationGuard(plane.authorizer)
    old = role(WRITE)
    new = role(WRITE)
    new["metadata"] |= {"finalizers": ["x"], "ownerReferences": [{"uid": "u"}]}
    guard.check(ASKER, "clusterroles", "", new, old)
    new["metadata"]["labels"] = {"a": "b"}
    with pytest.raises(Forbidden):
        guard.check(ASKER, "clusterroles", "", new, old)


async def test_aggregation_needs_everything(plane: Plane) -> None:
    guard = await hold(plane, READ)
    aggregating = role(READ, aggregationRule={"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]})
    for new, old in ((aggregating, None), (role(READ), aggregating)):
        with pytest.raises(Forbidden, match="must have cluster-admin privileges to use the aggregationRule"):
            guard.check(ASKER, "clusterroles", "", new, old)
    everything = ({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}, {"verbs": ["*"], "nonResourceURLs": ["*"]})
    (await hold(plane, *everything)).check(ASKER, "clusterroles", "", aggregating, None)


async def test_a_binding_of_what_is_held(plane: Plane) -> None:
    guard = await hold(plane, READ)
    await plane.role("reader", READ)
    await plane.role("writer", WRITE)
    guard.check(ASKER, "clusterrolebindings", "", binding("reader"), None)
    guard.check(ASKER, "rolebindings", "home", binding("reader"), None)
    with pytest.raises(Forbidden, match="not currently held"):
        guard.check(ASKER, "rolebindings", "home", binding("writer"), None)


@pytest.mark.parametrize(("verb_namespace", "resource", "allowed"), [
    ("", "clusterrolebindings", True),
    ("", "rolebindings", True),
    ("home", "rolebindings", True),
    ("home", "clusterrolebindings", False),
])  # fmt: skip
async def test_the_bind_verb_lifts_the_check(plane: Plane, verb_namespace: str, resource: str, allowed: bool) -> None:
    await plane.role("writer", WRITE)
    rule = {"verbs": ["bind"], "apiGroups": [RBAC_GROUP], "resources": ["clusterroles"], "resourceNames": ["writer"]}
    guard = await hold(plane, rule, namespace=verb_namespace)
    namespace = "home" if resource == "rolebindings" else ""
    if allowed:
        guard.check(ASKER, resource, namespace, binding("writer"), None)
    else:
        with pytest.raises(Forbidden):
            guard.check(ASKER, resource, namespace, binding("writer"), None)


async def test_a_binding_to_a_role_that_is_not_there(plane: Plane) -> None:
    guard = await hold(plane, READ)
    with pytest.raises(NotFound, match=f'clusterroles.{RBAC_GROUP} "gone" not found'):
        guard.check(ASKER, "clusterrolebindings", "", binding("gone"), None)
    with pytest.raises(NotFound, match=f'roles.{RBAC_GROUP} "gone" not found'):
        guard.check(ASKER, "rolebindings", "home", binding("gone", "Role"), None)
    with pytest.raises(Forbidden, match="unsupported role reference kind"):
        guard.check(ASKER, "rolebindings", "home", binding("gone", "Odd"), None)


# -- as part of admission


class Recorder(AdmitAll):
    """A chain that notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def mutates(self, attributes: Attributes) -> bool:
        self.asked.append("mutates")
        return True

    async def admit(self, attributes: Attributes) -> None:
        self.asked.append("admit")

    async def validate(self, attributes: Attributes) -> None:
        self.asked.append("validate")


def write(resource: str, new: Any, old: Any = None, operation: Operation = Operation.CREATE, group: str = RBAC_GROUP) -> Attributes:
    info = BUILTIN.find(group, "v1", resource)
    assert info is not None
    nothing: Any = None
    return Attributes(operation, VcpId(2), info, "", "new", new, old, RequestContext(ASKER), nothing)


async def test_the_chain_is_asked_as_before(plane: Plane) -> None:
    chain = Recorder()
    admission = EscalationAdmission(chain, plane.authorizer)
    attributes = write("configmaps", {"metadata": {"name": "new"}}, group="")
    assert admission.mutates(attributes)
    await admission.admit(attributes)
    await admission.validate(attributes)
    assert chain.asked == ["mutates", "admit", "validate"]


@pytest.mark.parametrize(
    ("attributes", "refused"),
    [
        (lambda: write("clusterroles", role(WRITE)), True),
        (lambda: write("clusterroles", role(WRITE), role(READ), Operation.UPDATE), True),
        (lambda: write("clusterrolebindings", binding("writer")), True),
        (lambda: write("clusterroles", role()), False),
        (lambda: write("clusterroles", None, role(WRITE), Operation.DELETE), False),
    ],
)
async def test_admission_refuses_what_grants_more(plane: Plane, attributes: Callable[[], Attributes], refused: bool) -> None:
    await plane.role("writer", WRITE)
    chain = Recorder()
    admission = EscalationAdmission(chain, plane.authorizer)
    if refused:
        with pytest.raises(Forbidden):
            await admission.validate(attributes())
    else:
        await admission.validate(attributes())
    assert chain.asked == ([] if refused else ["validate"])
