# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Impersonation: every claim is authorized by itself, and the result stays in its control plane."""

from __future__ import annotations

import pytest
from support.planes import Plane, user

from kplane_server.access.attributes import Attributes
from kplane_server.access.impersonation import MAX_HEADERS, impersonate, service_account
from kplane_server.model.errors import BadRequest, Forbidden, Unauthorized
from kplane_server.model.identity import MASTERS, UserInfo

ADMIN = UserInfo("admin", groups=(MASTERS,))
Headers = list[tuple[str, str]]


def test_without_headers_a_user_stays(plane: Plane) -> None:
    asker = user("ann")
    assert impersonate(asker, [("Accept", "*/*")], plane.authorizer) is asker


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([("Impersonate-User", "bob")], UserInfo("bob", groups=("system:authenticated",))),
        ([("impersonate-user", "bob"), ("IMPERSONATE-GROUP", "a"), ("Impersonate-Group", "b")],
         UserInfo("bob", groups=("a", "b", "system:authenticated"))),
        ([("Impersonate-User", "system:anonymous")], UserInfo("system:anonymous", groups=("system:unauthenticated",))),
        ([("Impersonate-User", "bob"), ("Impersonate-Group", "system:unauthenticated")],
         UserInfo("bob", groups=("system:unauthenticated",))),
        ([("Impersonate-User", "system:serviceaccount:home:robot")],
         UserInfo("system:serviceaccount:home:robot",
                  groups=("system:serviceaccounts", "system:serviceaccounts:home", "system:authenticated"))),
        ([("Impersonate-User", "system:serviceaccount:home:robot"), ("Impersonate-Group", "x")],
         UserInfo("system:serviceaccount:home:robot", groups=("x", "system:authenticated"))),
        ([("Impersonate-User", "bob"), ("Impersonate-Uid", "u")], UserInfo("bob", "u", ("system:authenticated",))),
    ],
)  # fmt: skip
def test_who_is_meant(plane: Plane, headers: Headers, expected: UserInfo) -> None:
    assert impersonate(ADMIN, headers, plane.authorizer) == expected


def test_extra_keys_are_percent_decoded(plane: Plane) -> None:
    headers = [
        ("Impersonate-User", "bob"),
        ("Impersonate-Extra-Acme.com%2FProject", "one"),
        ("Impersonate-Extra-acme.com%2fproject", "two"),
        ("Impersonate-Extra-scopes", "view"),
    ]
    found = impersonate(ADMIN, headers, plane.authorizer)
    assert found.extra == {"acme.com/project": ("one", "two"), "scopes": ("view",)}


@pytest.mark.parametrize(
    "headers",
    [
        [("Impersonate-Group", "a")],
        [("Impersonate-Uid", "a")],
        [("Impersonate-Extra-x", "a")],
        [("Impersonate-User", "")],
        [("Impersonate-User", "a"), ("Impersonate-User", "b")],
        [("Impersonate-User", "a"), ("Impersonate-Uid", "b"), ("Impersonate-Uid", "c")],
        [("Impersonate-User", "a"), ("Impersonate-Extra-", "b")],
        [("Impersonate-User", "a"), ("Impersonate-Users", "b")],
        [("Impersonate-User", "a")] + [("Impersonate-Group", "b")] * MAX_HEADERS,
    ],
)
def test_what_makes_no_sense_is_refused(plane: Plane, headers: Headers) -> None:
    with pytest.raises(BadRequest):
        impersonate(ADMIN, headers, plane.authorizer)


RULES = {
    "user": {"verbs": ["impersonate"], "apiGroups": [""], "resources": ["users"], "resourceNames": ["bob"]},
    "group": {"verbs": ["impersonate"], "apiGroups": [""], "resources": ["groups"], "resourceNames": ["a"]},
    "account": {"verbs": ["impersonate"], "apiGroups": [""], "resources": ["serviceaccounts"]},
    "uid": {"verbs": ["impersonate"], "apiGroups": ["authentication.k8s.io"], "resources": ["uids"]},
    "extra": {"verbs": ["impersonate"], "apiGroups": ["authentication.k8s.io"], "resources": ["userextras/scopes"]},
}


@pytest.mark.parametrize(
    ("held", "headers", "missing"),
    [
        (["user"], [("Impersonate-User", "bob")], None),
        ([], [("Impersonate-User", "bob")], 'users "bob"'),
        (["user"], [("Impersonate-User", "eve")], 'users "eve"'),
        (["user"], [("Impersonate-User", "bob"), ("Impersonate-Group", "a")], 'groups "a"'),
        (["user", "group"], [("Impersonate-User", "bob"), ("Impersonate-Group", "a")], None),
        (["user", "group"], [("Impersonate-User", "bob"), ("Impersonate-Group", "a"), ("Impersonate-Group", MASTERS)],
         f'groups "{MASTERS}"'),
        (["user"], [("Impersonate-User", "system:serviceaccount:home:robot")], 'serviceaccounts "robot"'),
        (["account"], [("Impersonate-User", "system:serviceaccount:home:robot")], None),
        (["account"], [("Impersonate-User", "system:serviceaccount:home:robot:x")], "users"),
        (["user"], [("Impersonate-User", "bob"), ("Impersonate-Uid", "u")], "uids"),
        (["user", "uid"], [("Impersonate-User", "bob"), ("Impersonate-Uid", "u")], None),
        (["user"], [("Impersonate-User", "bob"), ("Impersonate-Extra-scopes", "s")], "userextras"),
        (["user", "extra"], [("Impersonate-User", "bob"), ("Impersonate-Extra-scopes", "s")], None),
        (["user", "extra"], [("Impersonate-User", "bob"), ("Impersonate-Extra-other", "s")], "userextras"),
    ],
)  # fmt: skip
async def test_each_claim_needs_the_verb(plane: Plane, held: list[str], headers: Headers, missing: str | None) -> None:
    await plane.role("can", *(RULES[name] for name in held))
    await plane.bind("can", "can", {"kind": "User", "name": "ann"})
    if missing is None:
        impersonate(user("ann"), headers, plane.authorizer)
    else:
        with pytest.raises(Forbidden) as refusal:
            impersonate(user("ann"), headers, plane.authorizer)
        assert refusal.value.message.startswith(missing)
        assert "cannot impersonate resource" in refusal.value.message


async def test_masters_of_one_control_plane_are_nobody_in_another(plane: Plane, other: Plane) -> None:
    """An administrator of a VCP may act as its masters; what comes out is judged by that VCP, and needs a token of it."""
    master = impersonate(ADMIN, [("Impersonate-User", "x"), ("Impersonate-Group", MASTERS)], plane.authorizer)
    assert plane.authorizer.authorize(master, Attributes("delete", resource="secrets")).allowed
    account = await plane.account()
    token = plane.issuer.issue("default", "robot", account["metadata"]["uid"]).token
    with pytest.raises(Unauthorized):
        other.authenticator.authenticate(f"Bearer {token}")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("system:serviceaccount:a:b", ("a", "b")),
        ("system:serviceaccount:a:", None),
        ("system:serviceaccount::b", None),
        ("system:serviceaccount:a", None),
        ("system:serviceaccount:a:b:c", None),
        ("ann", None),
    ],
)
def test_names_of_service_accounts(name: str, expected: tuple[str, str] | None) -> None:
    assert service_account(name) == expected
