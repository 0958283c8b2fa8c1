# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TokenRequest: the answer field by field, bonds, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from support.planes import Plane

from kplane_server.access.tokenrequest import create_token
from kplane_server.model.errors import ApiError, BadRequest, Conflict, Invalid, NotFound


def body(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {"creationTimestamp": None}, "spec": spec}


async def test_a_token(plane: Plane) -> None:
    account = await plane.account()
    answer = await create_token(plane, "default", "robot", body())
    assert answer["spec"] == {"audiences": [plane.issuer.url], "expirationSeconds": 3600}
    assert answer["metadata"].pop("creationTimestamp").endswith("Z")
    assert answer["metadata"] == {"name": "robot", "namespace": "default", "uid": account["metadata"]["uid"]}
    assert answer["status"]["expirationTimestamp"] == "2023-11-14T23:13:20Z"
    user = plane.authenticator.authenticate(f"Bearer {answer['status']['token']}")
    assert user.name == "system:serviceaccount:default:robot"


async def test_a_token_for_others_and_longer(plane: Plane) -> None:
    await plane.account()
    answer = await create_token(plane, "default", "robot", body(audiences=["vault"], expirationSeconds=7200))
    assert answer["spec"] == {"audiences": ["vault"], "expirationSeconds": 7200}
    assert plane.issuer.verify(answer["status"]["token"], ["vault"]).audiences == ("vault",)


@pytest.mark.parametrize("kind", ["Pod", "Secret", "Node"])
async def test_a_bound_token(plane: Plane, kind: str) -> None:
    await plane.account()
    resource, namespace = f"{kind.lower()}s", "" if kind == "Node" else "default"
    spec = {"spec": {"serviceAccountName": "robot", "nodeName": "worker"}} if kind == "Pod" else {}
    bound = await plane.put(resource, namespace, "thing", kind, **spec)
    reference = {"kind": kind, "apiVersion": "v1", "name": "thing", "uid": bound["metadata"]["uid"]}
    answer = await create_token(plane, "default", "robot", body(boundObjectRef=reference))
    assert answer["spec"]["boundObjectRef"] == reference
    header = f"Bearer {answer['status']['token']}"
    plane.authenticator.authenticate(header)
    await plane.remove(resource, namespace, "thing")
    with pytest.raises(ApiError) as refusal:
        plane.authenticator.authenticate(header)
    assert refusal.value.code == 401


async def test_the_pods_node_is_noted(plane: Plane) -> None:
    await plane.account()
    await plane.put("pods", "default", "thing", "Pod", spec={"serviceAccountName": "robot", "nodeName": "worker"})
    reference = {"kind": "Pod", "apiVersion": "v1", "name": "thing"}
    answer = await create_token(plane, "default", "robot", body(boundObjectRef=reference))
    assert plane.issuer.verify(answer["status"]["token"]).node == ("worker", "")
    uid = (await plane.put("nodes", "", "worker", "Node"))["metadata"]["uid"]
    answer = await create_token(plane, "default", "robot", body(boundObjectRef=reference))
    assert plane.issuer.verify(answer["status"]["token"]).node == ("worker", uid)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"expirationSeconds": 599}, Invalid, "may not specify a duration less than 10 minutes"),
        ({"expirationSeconds": -1}, Invalid, "less than 10 minutes"),
        ({"expirationSeconds": (1 << 32) + 1}, Invalid, "larger than 2\\^32 seconds"),
        ({"expirationSeconds": "600"}, BadRequest, "cannot unmarshal string"),
        ({"audiences": ["x" * 5000]}, Invalid, "Too long"),
        ({"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "gone"}}, NotFound, 'pods "gone" not found'),
        ({"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "foreign"}}, BadRequest, "different serviceaccount"),
        ({"boundObjectRef": {"kind": "Secret", "apiVersion": "v1", "name": "s", "uid": "x"}}, Conflict, "does not match the UID in record"),
        ({"boundObjectRef": {"kind": "Deployment", "apiVersion": "apps/v1", "name": "x"}}, BadRequest, "cannot bind token to object"),
        ({"boundObjectRef": {"kind": "Secret", "apiVersion": "v2", "name": "s"}}, BadRequest, "cannot bind token to object"),
    ],
)
async def test_what_is_refused(plane: Plane, change: dict[str, Any], error: type[ApiError], text: str) -> None:
    await plane.account()
    await plane.put("secrets", "default", "s", "Secret")
    await plane.put("pods", "default", "foreign", "Pod", spec={"serviceAccountName": "other"})
    with pytest.raises(error, match=text):
        await create_token(plane, "default", "robot", body(**change))


@pytest.mark.parametrize(
    ("metadata", "error"),
    [({"name": "other"}, Invalid), ({"namespace": "other"}, Invalid), ({"uid": "other"}, Conflict), ({"name": 1}, BadRequest)],
)
async def test_a_body_about_somebody_else(plane: Plane, metadata: dict[str, Any], error: type[ApiError]) -> None:
    await plane.account()
    with pytest.raises(error):
        await create_token(plane, "default", "robot", {**body(), "metadata": metadata})


async def test_no_token_for_nobody(plane: Plane, other: Plane) -> None:
    await other.account()
    with pytest.raises(NotFound, match='serviceaccounts "robot" not found'):
        await create_token(plane, "default", "robot", body())
