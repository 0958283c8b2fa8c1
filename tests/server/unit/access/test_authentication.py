# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who makes a request: tokens live as long as what they are bound to, and only in their own control plane."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from support.planes import Plane

from kplane_server.access import authentication, legacy_tokens
from kplane_server.access.authentication import ADMINISTRATOR, Authenticator
from kplane_server.access.claims import Reference
from kplane_server.access.tokens import BoundObject
from kplane_server.model import timestamps
from kplane_server.model.errors import Unauthorized
from kplane_server.model.identity import ANONYMOUS_USER, UserInfo

ADMIN_TOKEN = "a-long-random-administrator-token"
ADMIN_DIGEST = hashlib.sha256(ADMIN_TOKEN.encode()).digest()


async def token_of(plane: Plane, bound: BoundObject | None = None, **options: Any) -> str:
    account = await plane.account()
    return plane.issuer.issue("default", "robot", account["metadata"]["uid"], bound_object=bound, **options).token


def ask(plane: Plane, token: str) -> UserInfo:
    return plane.authenticator.authenticate(f"Bearer {token}")


def refused(plane: Plane, token: str) -> bool:
    try:
        ask(plane, token)
    except Unauthorized:
        return True
    return False


def test_a_refusal_says_nothing_of_why(root: Plane) -> None:
    with pytest.raises(Unauthorized) as refusal:
        ask(root, "garbage")
    status = refusal.value.status()
    assert (status["code"], status["reason"], status["message"]) == (401, "Unauthorized", "Unauthorized")


@pytest.mark.parametrize("header", [None, "", "Basic dTpw", "Bearer", "Bearer ", "bearer  ", "Token x"])
def test_without_a_bearer_token_a_request_is_anonymous(root: Plane, header: str | None) -> None:
    assert root.authenticator.authenticate(header) == ANONYMOUS_USER


@pytest.mark.parametrize(
    "token", ["x", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "ü", "\udcff", "x" * 100_000, "\x00", "a b", f"{ADMIN_TOKEN}x"]
)
def test_garbage_is_refused(root: Plane, token: str) -> None:
    assert refused(root, token)


async def test_a_service_account(plane: Plane) -> None:
    token = await token_of(plane)
    found = ask(plane, token)
    assert found.name == "system:serviceaccount:default:robot"
    assert found.groups == ("system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated")
    assert found.extra["authentication.kubernetes.io/credential-id"][0].startswith("JTI=")
    assert found.uid
    assert plane.authenticator.authenticate(f"bearer {token}") == found
    assert ask(plane, token) is found


async def test_a_token_is_unknown_in_another_control_plane(plane: Plane, other: Plane, root: Plane) -> None:
    token = await token_of(plane)
    await other.account()
    await root.account()
    for _ in range(2):
        assert not refused(plane, token)
        assert refused(other, token)
        assert refused(root, token)


async def test_the_administrator_is_known_in_root_alone(root: Plane, plane: Plane) -> None:
    with_admin = Authenticator(root, root.issuer, admin_digest=ADMIN_DIGEST)
    assert with_admin.authenticate(f"Bearer {ADMIN_TOKEN}") == ADMINISTRATOR
    assert "system:masters" in ADMINISTRATOR.groups
    assert with_admin.authenticate(f"Bearer {ADMIN_TOKEN}") is ADMINISTRATOR
    with pytest.raises(Unauthorized):
        with_admin.authenticate(f"Bearer {ADMIN_TOKEN}x")
    assert refused(root, ADMIN_TOKEN)
    assert refused(plane, ADMIN_TOKEN)
    with pytest.raises(ValueError, match="root alone"):
        Authenticator(plane, plane.issuer, admin_digest=ADMIN_DIGEST)


async def test_a_token_ends_with_its_time(plane: Plane) -> None:
    token = await token_of(plane, expiration_seconds=600)
    assert not refused(plane, token)
    plane.clock.now += 600
    assert refused(plane, token)


async def test_a_token_ends_with_its_account(plane: Plane) -> None:
    token = await token_of(plane)
    assert not refused(plane, token)
    await plane.remove("serviceaccounts", "default", "robot")
    assert refused(plane, token)
    await plane.account()  # the same name, another uid
    assert refused(plane, token)


async def test_an_unrelated_change_ends_nothing(plane: Plane) -> None:
    token = await token_of(plane)
    first = ask(plane, token)
    await plane.account(name="another")
    assert ask(plane, token) is first


@pytest.mark.parametrize(
    ("kind", "resource", "namespace"), [("Pod", "pods", "default"), ("Secret", "secrets", "default"), ("Node", "nodes", "")]
)
async def test_a_token_ends_with_what_it_is_bound_to(plane: Plane, kind: str, resource: str, namespace: str) -> None:
    bound = await plane.put(resource, namespace, "thing", kind)
    token = await token_of(plane, BoundObject(kind, "thing", bound["metadata"]["uid"]))
    assert not refused(plane, token)
    await plane.put(resource, namespace, "thing", kind, metadata={"uid": bound["metadata"]["uid"], "labels": {"a": "b"}})
    assert not refused(plane, token)
    await plane.put(resource, namespace, "thing", kind)  # made again, with another uid
    assert refused(plane, token)
    await plane.remove(resource, namespace, "thing")
    assert refused(plane, token)


async def test_what_is_being_deleted_vouches_a_minute_longer(plane: Plane) -> None:
    bound = await plane.put("pods", "default", "thing", "Pod")
    uid = bound["metadata"]["uid"]
    token = await token_of(plane, BoundObject("Pod", "thing", uid))
    deleted = {"uid": uid, "deletionTimestamp": timestamps.from_epoch(plane.clock.now)}
    await plane.put("pods", "default", "thing", "Pod", metadata=deleted)
    plane.clock.now += 59
    assert not refused(plane, token)
    plane.clock.now += 2
    assert refused(plane, token)


async def test_a_pods_token_tells_its_pod_and_node(plane: Plane) -> None:
    bound = await plane.put("pods", "default", "thing", "Pod")
    token = await token_of(plane, BoundObject("Pod", "thing", bound["metadata"]["uid"], Reference("worker", "")))
    extra = ask(plane, token).extra
    assert extra["authentication.kubernetes.io/pod-name"] == ("thing",)
    assert extra["authentication.kubernetes.io/pod-uid"] == (bound["metadata"]["uid"],)
    assert extra["authentication.kubernetes.io/node-name"] == ("worker",)
    assert "authentication.kubernetes.io/node-uid" not in extra


async def test_a_token_for_another_audience_is_refused(plane: Plane) -> None:
    assert refused(plane, await token_of(plane, audiences=("vault",)))


async def test_good_tokens_remembered_are_bounded(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authentication, "MAX_TOKENS", 3)
    uid = (await plane.account())["metadata"]["uid"]
    tokens = [plane.issuer.issue("default", "robot", uid).token for _ in range(5)]
    for token in tokens:
        ask(plane, token)
    assert len(plane.authenticator._known) == 3
    assert refused(plane, "garbage")
    assert len(plane.authenticator._known) == 3
    plane.authenticator.forget()
    assert not refused(plane, tokens[0])


# -- tokens in Secrets


async def legacy_secret(plane: Plane) -> tuple[dict[str, Any], str]:
    account = await plane.account()
    secret = await plane.put(
        "secrets",
        "default",
        "robot-token",
        "Secret",
        type=legacy_tokens.SECRET_TYPE,
        metadata={"annotations": {legacy_tokens.NAME_ANNOTATION: "robot"}},
    )
    assert legacy_tokens.account_name(secret) == "robot"
    assert legacy_tokens.belongs(secret, account)
    filled = legacy_tokens.filled(secret, account, plane.issuer, b"CA")
    assert filled is not None
    await plane.put("secrets", "default", "robot-token", **{key: filled[key] for key in ("kind", "type", "data", "metadata")})
    return filled, base64.b64decode(filled["data"]["token"]).decode()


async def test_a_token_in_a_secret(plane: Plane, other: Plane) -> None:
    secret, token = await legacy_secret(plane)
    assert base64.b64decode(secret["data"]["ca.crt"]) == b"CA"
    assert base64.b64decode(secret["data"]["namespace"]) == b"default"
    assert ask(plane, token).name == "system:serviceaccount:default:robot"
    plane.clock.now += 10 * 365 * 86400
    assert not refused(plane, token)
    await legacy_secret(other)
    assert refused(other, token)


async def test_a_filled_secret_stays(plane: Plane) -> None:
    secret, _ = await legacy_secret(plane)
    account = {"metadata": {"name": "robot", "uid": secret["metadata"]["annotations"][legacy_tokens.UID_ANNOTATION]}}
    assert legacy_tokens.filled(secret, account, plane.issuer, b"CA") is None
    renewed = legacy_tokens.filled(secret, account, plane.issuer, b"CA2")
    assert renewed is not None
    assert renewed["data"]["token"] == secret["data"]["token"]
    damaged = {**secret, "data": {**secret["data"], "token": "eA=="}}
    repaired = legacy_tokens.filled(damaged, account, plane.issuer, b"CA")
    assert repaired is not None
    assert repaired["data"]["token"] != "eA=="


@pytest.mark.parametrize(
    "change",
    [
        {"data": {"token": base64.b64encode(b"another").decode()}},
        {"data": {}},
        {"metadata": {"labels": {"kubernetes.io/legacy-token-invalid-since": "2026-01-01"}}},
        {"metadata": {"deletionTimestamp": "2023-11-14T22:13:20Z"}},
    ],
)
async def test_a_token_in_a_secret_ends_when_the_secret_says_otherwise(plane: Plane, change: dict[str, Any]) -> None:
    secret, token = await legacy_secret(plane)
    assert not refused(plane, token)
    metadata = {**secret["metadata"], **change.get("metadata", {})}
    await plane.put("secrets", "default", "robot-token", "Secret", metadata=metadata, data=change.get("data", secret["data"]))
    assert refused(plane, token)


async def test_a_token_in_a_secret_ends_with_the_secret_and_the_account(plane: Plane) -> None:
    _, token = await legacy_secret(plane)
    await plane.account()
    assert refused(plane, token)
    _, token = await legacy_secret(plane)
    await plane.remove("secrets", "default", "robot-token")
    assert refused(plane, token)


@pytest.mark.parametrize(
    ("secret", "belongs"),
    [
        ({"type": legacy_tokens.SECRET_TYPE, "metadata": {"annotations": {legacy_tokens.NAME_ANNOTATION: "robot"}}}, True),
        ({"type": "Opaque", "metadata": {"annotations": {legacy_tokens.NAME_ANNOTATION: "robot"}}}, False),
        ({"type": legacy_tokens.SECRET_TYPE, "metadata": {}}, False),
        (
            {
                "type": legacy_tokens.SECRET_TYPE,
                "metadata": {"annotations": {legacy_tokens.NAME_ANNOTATION: "robot", legacy_tokens.UID_ANNOTATION: "former"}},
            },
            False,
        ),
    ],
)
def test_which_secrets_belong_to_an_account(secret: dict[str, Any], belongs: bool) -> None:
    assert legacy_tokens.belongs(secret, {"metadata": {"name": "robot", "uid": "uid"}}) is belongs
