# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reviews: every field of the answers, the refusals of malformed questions."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.planes import Plane, user

from kplane_server.access.authentication import Authenticator
from kplane_server.access.fields import Fields
from kplane_server.access.reviews import HANDLERS, user_document
from kplane_server.model.errors import BadRequest, Invalid
from kplane_server.model.identity import MASTERS, UserInfo

READ = {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["a"]}
RESOURCE = {"verb": "get", "resource": "configmaps", "name": "a", "namespace": "default"}


async def review(plane: Plane, kind: str, spec: Any, asker: UserInfo | None = None, namespace: str = "", **fields: Any) -> dict[str, Any]:
    group = "authentication.k8s.io" if kind in ("TokenReview", "SelfSubjectReview") else "authorization.k8s.io"
    body = {"apiVersion": f"{group}/v1", "kind": kind, "spec": spec, **fields}
    return await HANDLERS[(group, f"{kind.lower()}s")](plane, asker or user("ann"), namespace, body)


async def reader(plane: Plane, **subject: str) -> None:
    await plane.role("reader", READ, {"verbs": ["get"], "nonResourceURLs": ["/metrics"]})
    await plane.bind("read", "reader", subject or {"kind": "User", "name": "ann"})


async def test_may_i(plane: Plane) -> None:
    await reader(plane)
    answer = await review(plane, "SelfSubjectAccessReview", {"resourceAttributes": RESOURCE})
    assert answer == {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "metadata": {},
        "spec": {"resourceAttributes": RESOURCE},
        "status": {
            "allowed": True,
            "reason": 'RBAC: allowed by ClusterRoleBinding "read" of ClusterRole "reader" to User "ann"',
        },
    }
    denied = await review(plane, "SelfSubjectAccessReview", {"resourceAttributes": {**RESOURCE, "name": "b"}})
    assert denied["status"] == {"allowed": False}
    path = await review(plane, "SelfSubjectAccessReview", {"nonResourceAttributes": {"verb": "get", "path": "/metrics"}})
    assert path["status"]["allowed"] is True


async def test_may_they(plane: Plane, other: Plane) -> None:
    """T2: the same question in two control planes."""
    await reader(plane, kind="Group", name="g")
    spec = {"user": "bob", "groups": ["g"], "uid": "u", "extra": {"a": ["b"]}, "resourceAttributes": RESOURCE}
    for _ in range(2):
        assert (await review(plane, "SubjectAccessReview", spec))["status"]["allowed"] is True
        assert (await review(other, "SubjectAccessReview", spec))["status"] == {"allowed": False}
    only_groups = {"groups": ["g"], "resourceAttributes": RESOURCE}
    assert (await review(plane, "SubjectAccessReview", only_groups))["status"]["allowed"] is True
    masters = {"user": "x", "groups": [MASTERS], "resourceAttributes": RESOURCE}
    assert (await review(plane, "SubjectAccessReview", masters))["status"] == {"allowed": True}


async def test_a_status_from_the_client_means_nothing(plane: Plane) -> None:
    answer = await review(plane, "SelfSubjectAccessReview", {"resourceAttributes": RESOURCE}, status={"allowed": True, "x": 1})
    assert answer["status"] == {"allowed": False}


async def test_may_they_here(plane: Plane) -> None:
    await reader(plane)
    spec = {"user": "ann", "resourceAttributes": RESOURCE}
    answer = await review(plane, "LocalSubjectAccessReview", spec, namespace="default")
    assert answer["status"]["allowed"] is True
    assert answer["metadata"] == {"namespace": "default"}
    for bad, namespace in (
        ({**spec, "resourceAttributes": {**RESOURCE, "namespace": "other"}}, "default"),
        ({"user": "ann", "nonResourceAttributes": {"verb": "get", "path": "/"}}, "default"),
    ):
        with pytest.raises(Invalid):
            await review(plane, "LocalSubjectAccessReview", bad, namespace=namespace)
    with pytest.raises(BadRequest):
        await review(plane, "LocalSubjectAccessReview", spec, namespace="default", metadata={"namespace": "other"})


@pytest.mark.parametrize(
    ("kind", "spec", "fields", "cause"),
    [
        ("SelfSubjectAccessReview", {}, {}, "spec.resourceAttributes"),
        ("SelfSubjectAccessReview", {"resourceAttributes": RESOURCE, "nonResourceAttributes": {"path": "/"}}, {},
         "spec.nonResourceAttributes"),
        ("SelfSubjectAccessReview", {"resourceAttributes": RESOURCE}, {"metadata": {"name": "x"}}, "metadata"),
        ("SubjectAccessReview", {"resourceAttributes": RESOURCE}, {}, "spec.user"),
        ("SubjectAccessReview", {"user": "a"}, {}, "spec.resourceAttributes"),
        ("SubjectAccessReview", {"user": "a", "resourceAttributes": {**RESOURCE, "fieldSelector": {}}}, {},
         "spec.resourceAttributes.fieldSelector.requirements"),
        ("SubjectAccessReview",
         {"user": "a", "resourceAttributes": {**RESOURCE, "labelSelector": {"rawSelector": "a=b", "requirements": [{}]}}}, {},
         "spec.resourceAttributes.labelSelector.rawSelector"),
    ],
)  # fmt: skip
async def test_questions_that_make_no_sense(plane: Plane, kind: str, spec: Any, fields: Any, cause: str) -> None:
    with pytest.raises(Invalid) as refusal:
        await review(plane, kind, spec, **fields)
    assert [one.field for one in refusal.value.causes] == [cause]


async def test_metadata_as_clients_send_it_is_no_metadata(plane: Plane) -> None:
    await review(plane, "SelfSubjectAccessReview", {"resourceAttributes": RESOURCE}, metadata={"creationTimestamp": None})


async def test_what_may_i(plane: Plane) -> None:
    await reader(plane)
    await plane.bind("broken", "gone", {"kind": "User", "name": "ann"})
    answer = await review(plane, "SelfSubjectRulesReview", {"namespace": "default"})
    assert answer["status"] == {
        "resourceRules": [READ],
        "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/metrics"]}],
        "incomplete": False,
        "evaluationError": 'clusterrole.rbac.authorization.k8s.io "gone" not found',
    }
    nobody = await review(plane, "SelfSubjectRulesReview", {"namespace": "default"}, user("bob"))
    assert nobody["status"] == {"resourceRules": [], "nonResourceRules": [], "incomplete": False}
    master = await review(plane, "SelfSubjectRulesReview", {"namespace": "default"}, UserInfo("x", groups=(MASTERS,)))
    assert master["status"]["resourceRules"] == [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]
    with pytest.raises(BadRequest, match="no namespace on request"):
        await review(plane, "SelfSubjectRulesReview", {})


async def test_who_am_i(plane: Plane) -> None:
    asker = UserInfo("ann", "u", ("g",), {"scopes": ("a", "b")})
    answer = await review(plane, "SelfSubjectReview", None, asker)
    assert answer["status"] == {"userInfo": {"username": "ann", "uid": "u", "groups": ["g"], "extra": {"scopes": ["a", "b"]}}}
    assert answer["metadata"]["creationTimestamp"].endswith("Z")
    assert user_document(UserInfo("x")) == {"username": "x"}


async def test_whose_token(plane: Plane, other: Plane) -> None:
    """T3: a token is authenticated in its own control plane only, in both directions."""
    account, theirs = await plane.account(), await other.account()
    own = plane.issuer.issue("default", "robot", account["metadata"]["uid"]).token
    foreign = other.issuer.issue("default", "robot", theirs["metadata"]["uid"]).token
    answer = await review(plane, "TokenReview", {"token": own})
    status = answer["status"]
    assert status["authenticated"] is True
    assert status["audiences"] == [plane.issuer.url]
    assert status["user"]["username"] == "system:serviceaccount:default:robot"
    assert status["user"]["uid"] == account["metadata"]["uid"]
    for one, token in ((plane, foreign), (other, own)):
        refused = (await review(one, "TokenReview", {"token": token}))["status"]
        assert refused.get("authenticated", False) is False
        assert refused["user"] == {}
        assert refused["error"].startswith("[invalid bearer token, ")
        assert token not in refused["error"]


async def test_a_token_for_somebody_else_is_reviewed_for_them(plane: Plane) -> None:
    account = await plane.account()
    token = plane.issuer.issue("default", "robot", account["metadata"]["uid"], audiences=["vault", "db"]).token
    answer = await review(plane, "TokenReview", {"token": token, "audiences": ["db", "x"]})
    assert answer["status"]["audiences"] == ["db"]
    assert "authenticated" not in (await review(plane, "TokenReview", {"token": token}))["status"]
    with pytest.raises(BadRequest, match="token is required"):
        await review(plane, "TokenReview", {"audiences": ["db"]})


async def test_the_administrators_token_is_reviewed_in_root(root: Plane, plane: Plane) -> None:
    root.authenticator = Authenticator(root, root.issuer, admin_digest=hashlib.sha256(b"secret").digest())
    status = (await review(root, "TokenReview", {"token": "secret"}))["status"]
    assert status["user"]["username"] == "kplane-admin"
    assert "authenticated" not in (await review(root, "TokenReview", {"token": "secret", "audiences": ["x"]}))["status"]
    assert "authenticated" not in (await review(plane, "TokenReview", {"token": "secret"}))["status"]


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        ("TokenReview", {"token": 1}, "cannot unmarshal number into Go struct field TokenReview.spec.token of type string"),
        ("TokenReview", {"token": "x", "audiences": "y"}, "cannot unmarshal string"),
        ("TokenReview", "x", "cannot unmarshal string into Go struct field TokenReview.spec of type object"),
        ("SubjectAccessReview", {"user": "a", "groups": [1]}, "cannot unmarshal number"),
        ("SubjectAccessReview", {"user": "a", "resourceAttributes": []}, "cannot unmarshal array"),
        ("SubjectAccessReview", {"user": "a", "resourceAttributes": {}, "extra": {"a": "b"}}, "cannot unmarshal string"),
        ("SubjectAccessReview", {"groups": ["g"] * 2000, "resourceAttributes": {}}, "more than 1024 entries"),
        ("SelfSubjectRulesReview", {"namespace": True}, "cannot unmarshal bool"),
    ],
)
async def test_fields_of_another_type_are_bad_requests(plane: Plane, kind: str, body: Any, text: str) -> None:
    with pytest.raises(BadRequest, match=text):
        await review(plane, kind, body)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["spec", "token", "user", "groups", "resourceAttributes", "verb", "metadata"]), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(_json)
def test_law_reading_fields_fails_only_as_a_bad_request(body: Any) -> None:
    with suppress(BadRequest):
        spec = Fields(body, "X").object("spec")
        spec.text("token")
        spec.texts("groups")
        spec.integer("verb", 0)
        spec.text_lists("metadata")
