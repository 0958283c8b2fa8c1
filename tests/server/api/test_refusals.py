# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused, and in which words: every refusal is a Status with its code."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from support.client import Client
from support.objects import config_map
from support.server import Server

MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.mark.parametrize("path", ["", "/api", "/api/v1/namespaces", "/version", "/readyz", "/apis/apps/v1/deployments?watch=1"])
def test_an_unknown_control_plane_is_not_found_whoever_asks(root: Client, path: str) -> None:
    nowhere = root.at("nowhere")
    answers = [client.get(path) for client in (nowhere, replace(nowhere, token=""), replace(nowhere, token="wrong"))]
    for answer in answers:
        answer.fails(404, "NotFound")
    assert answers[0].body == answers[1].body == answers[2].body
    assert "nowhere" not in root.get("/apis/controlplane.kplane.dev/v1alpha1/controlplanes").body.decode()


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/nothing",
        "/apis/nothing/v1/things",
        "/apis/apps/v9/deployments",
        f"{MAPS}/x/nothing",
        "/api/v1/namespaces/default/nodes",
        "/api/v1/pods/x",
        "/api/v1/namespaces/default/namespaces",
        "/api/v1/namespaces/default/nothing",
        "/nothing",
    ],
)
def test_unknown_resources_are_not_found(root: Client, path: str) -> None:
    assert root.get(path).fails(404, "NotFound")["message"] == "the server could not find the requested resource"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("OPTIONS", MAPS),
        ("TRACE", MAPS),
        ("FOO", MAPS),
        ("POST", "/api/v1/configmaps"),
        ("DELETE", "/api/v1/configmaps"),
        ("POST", f"{MAPS}/x"),
        ("PUT", MAPS),
        ("PATCH", MAPS),
        ("GET", "/apis/authorization.k8s.io/v1/subjectaccessreviews"),
        ("DELETE", "/api/v1/namespaces"),
        ("PUT", "/api/v1/namespaces/default/serviceaccounts/default/token"),
        ("POST", "/version"),
        ("DELETE", "/apis"),
    ],
)
def test_methods_that_are_not_there(root: Client, method: str, path: str) -> None:
    root.request(method, path).fails(405, "MethodNotAllowed")


def test_head_is_not_allowed_and_has_no_body(root: Client) -> None:
    answer = root.request("HEAD", "/api/v1/namespaces")
    assert (answer.code, answer.body) == (405, b"")


@pytest.mark.parametrize("accept", ["text/plain", "application/json;as=Table;v=v9;g=meta.k8s.io", "image/*", "application/json;q=0"])
def test_forms_that_cannot_be_had(root: Client, accept: str) -> None:
    for path in (MAPS, f"{MAPS}/kube-root-ca.crt", f"{MAPS}?watch=1"):
        root.get(path, Accept=accept).fails(406, "NotAcceptable")


def test_a_write_that_could_not_be_answered_is_not_done(root: Client) -> None:
    root.request("POST", MAPS, config_map("unanswerable"), {"Accept": "text/plain"}).fails(406, "NotAcceptable")
    root.get(f"{MAPS}/unanswerable").fails(404)


@pytest.mark.parametrize(
    ("method", "path", "content_type"),
    [
        ("POST", MAPS, "text/plain"),
        ("POST", MAPS, "application/cbor"),
        ("PUT", f"{MAPS}/kube-root-ca.crt", "application/x-www-form-urlencoded"),
        ("PATCH", f"{MAPS}/kube-root-ca.crt", "application/json"),
        ("PATCH", f"{MAPS}/kube-root-ca.crt", "application/apply-patch+cbor"),
        ("POST", "/apis/controlplane.kplane.dev/v1alpha1/controlplanes", "application/vnd.kubernetes.protobuf"),
    ],
)
def test_bodies_in_unknown_formats(root: Client, method: str, path: str, content_type: str) -> None:
    status = root.request(method, path, b"{}", {"Content-Type": content_type}).fails(415, "UnsupportedMediaType")
    assert "accepted media types include" in status["message"]


def test_bodies_are_bounded(root: Client) -> None:
    root.request("POST", MAPS, b" " * (3 * 1024 * 1024 + 1)).fails(413, "RequestEntityTooLarge")
    root.request("POST", MAPS, b"[" * 3_000_000).fails(400, "BadRequest")


def chunked(client: Client, content_type: str, chunks: list[bytes]) -> int:
    """The code of a POST whose body comes in chunks of unknown number."""
    connection = client.connect()
    headers = {"Authorization": f"Bearer {client.token}", "Content-Type": content_type}
    connection.request("POST", urlsplit(client.base).path + MAPS, iter(chunks), headers, encode_chunked=True)
    code = connection.getresponse().status
    connection.close()
    return code


def test_chunked_bodies(root: Client) -> None:
    assert chunked(root, "application/json", [b'{"metadata":', b'{"generateName":"chunked-"}}']) == 201
    assert chunked(root, "application/yaml", [b"metadata: {generateName: chunked-}\n"]) == 411, "a cut YAML text can still be YAML"
    assert chunked(root, "application/json", [b" " * 65536] * 100) == 413


def test_queries_are_bounded_and_checked(root: Client) -> None:
    root.get(f"{MAPS}?" + "&".join(f"a{n}" for n in range(200))).fails(400, "BadRequest")
    root.get(f"{MAPS}?labelSelector=" + "a" * 40_000).fails(400, "BadRequest")
    root.get(f"{MAPS}?limit=x").fails(400, "BadRequest")
    root.get(f"{MAPS}?labelSelector=%ff").fails(400, "BadRequest")


def test_one_control_plane_leaves_room_for_others(make_server: Any) -> None:
    server: Server = make_server("data", "--limit=max_in_flight_per_vcp=1").start()
    vcp, root = server.create_vcp("busy"), server.root
    holding = vcp.connect()
    holding.putrequest("POST", f"/clusters/busy/control-plane{MAPS}")
    for name, value in (("Authorization", f"Bearer {vcp.token}"), ("Content-Type", "application/json"), ("Content-Length", "100")):
        holding.putheader(name, value)
    holding.endheaders(b'{"metadata":')  # and never the rest: this request is under way
    refused = vcp.post(MAPS, config_map("second"))
    assert refused.fails(429, "TooManyRequests")["details"]["retryAfterSeconds"] == 1
    assert vcp.get(MAPS).code == 200, "reads are answered at once"
    assert server.create_vcp("other").post(MAPS, config_map("first")).code == 201
    assert root.post(MAPS, config_map("first")).code == 201
    holding.close()


def test_a_body_that_never_comes_ends_in_a_timeout(make_server: Any) -> None:
    server: Server = make_server("data", "--limit=request_timeout=0.5").start()
    waiting = server.root.connect()
    waiting.putrequest("POST", MAPS)
    waiting.putheader("Authorization", f"Bearer {server.root.token}")
    waiting.putheader("Content-Length", "100")
    waiting.endheaders(b"{")
    answer = waiting.getresponse()
    assert (answer.status, json.loads(answer.read())["reason"]) == (504, "Timeout")
    waiting.close()
