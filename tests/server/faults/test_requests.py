# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Broken and hostile requests: each gets a proper answer, and the server is healthy after all of them."""

from __future__ import annotations

import http.client
import json
import random
import socket
import ssl
from urllib.parse import urlsplit

import pytest
from support.client import Client
from support.objects import config_map

MAPS = "/api/v1/namespaces/default/configmaps"


def raw(client: Client, data: bytes, *, half_close: bool = False) -> bytes:
    """Send bytes as they are; what comes back until the server closes or is silent for a moment."""
    parts = urlsplit(client.base)
    assert parts.hostname is not None
    tls = ssl.create_default_context(cadata=client.ca)
    with (
        socket.create_connection((parts.hostname, parts.port or 443), timeout=5) as plain,
        tls.wrap_socket(plain, server_hostname=parts.hostname) as sock,
    ):
        sock.sendall(data)
        if half_close:
            return b""
        sock.settimeout(2)
        answer = b""
        try:
            while chunk := sock.recv(65536):
                answer += chunk
                if b"\r\n\r\n" in answer:
                    break
        except TimeoutError:
            pass
        return answer


def test_a_truncated_request_harms_nobody(root: Client) -> None:
    path = urlsplit(root.base).path
    head = f"POST {path}{MAPS} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {root.token}\r\n"
    raw(root, head.encode(), half_close=True)
    raw(root, (head + 'content-type: application/json\r\ncontent-length: 500\r\n\r\n{"metadata":').encode(), half_close=True)
    raw(root, b"\x16\x03\x01 not http \r\n\r\n")
    assert root.get("/readyz").code == 200


def test_a_mebibyte_is_kept_and_more_is_refused(vcp: Client) -> None:
    mebibyte = "x" * (1024 * 1024 - 100)
    vcp.post(MAPS, config_map("large", {"k": mebibyte})).ok()
    assert len(vcp.get(f"{MAPS}/large").ok()["data"]["k"]) == len(mebibyte)
    vcp.post(MAPS, config_map("larger", {"k": "x" * (1024 * 1024 + 1)})).fails(422, "Invalid")
    vcp.post(MAPS, config_map("oversized", {"k": "x" * (8 * 1024 * 1024)})).fails(413, "RequestEntityTooLarge")
    vcp.get(f"{MAPS}/oversized").fails(404)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"null", 400),
        (b'"text"', 400),
        (b'{"metadata": 5}', 400),
        (b'{"metadata": {"name": 5}}', 400),
        (b'{"metadata": {"name": "UPPER"}}', 422),
        (b'{"metadata": {"name": "a/b"}}', 422),
        (b'{"metadata": {"name": ".."}}', 422),
        (b'{"metadata": {"name": "x", "labels": {"a": 1}}}', 400),
        (b'{"metadata": {"name": "x"}, "data": ["a"]}', 400),
        (b'{"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "x"}}', 400),
        (b"{}", 422),
        (b"\xff\xfe{}", 400),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, 400),
        (b"[" * 200_000, 400),
    ],
)
def test_bad_bodies(root: Client, body: bytes, code: int) -> None:
    root.request("POST", MAPS, body).fails(code)


@pytest.mark.parametrize(
    "path",
    [
        "/clusters/a%2Fb/control-plane/api",
        "/clusters/..%2Froot/control-plane/api",
        "/clusters/../clusters/root/control-plane/api",
        "/clusters/root/control-planeX/api/v1/namespaces",
        "/clusters/root/control-plane/../../../etc/passwd",
        "/clusters//control-plane/api",
        "/clusters/ROOT/control-plane/api",
        "/clusters/root",
        "/clusters",
        f"{MAPS}/a%2Fb",
        f"{MAPS}/..",
        f"{MAPS}/%00",
        "/api/v1/namespaces/%2e%2e/configmaps",
        "/api/v1/nothing",
        "/apis/nothing/v1/things",
        "/" + "a/" * 2000,
        "/api/v1/namespaces/default/configmaps/x/y/z",
    ],
)
def test_bad_paths(server_base: Client, path: str) -> None:
    answer = server_base.request("GET", path)
    assert answer.code in (400, 403, 404, 414), (path, answer)
    assert answer.json["kind"] == "Status"


@pytest.fixture
def server_base(root: Client) -> Client:
    """Root's administrator with no path of its own."""
    parts = urlsplit(root.base)
    return Client(f"{parts.scheme}://{parts.netloc}", root.ca, root.token)


def garbage(rng: random.Random) -> bytes:
    """One random request: sometimes almost right, sometimes bytes."""
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO"]
    pieces = [
        "api",
        "apis",
        "v1",
        "apps",
        "namespaces",
        "default",
        "configmaps",
        "..",
        "%2F",
        "%00",
        "clusters",
        "root",
        "control-plane",
        "x" * 300,
    ]
    path = "/" + "/".join(rng.choices(pieces, k=rng.randint(0, 8)))
    query = rng.choice(
        ["", "?watch=maybe", "?limit=-1", "?limit=x", "?resourceVersion=abc", "?labelSelector=%3D%3D", "?continue=zzz", "?dryRun=Some"]
    )
    body = rng.choice(
        [
            b"",
            b"{",
            rng.randbytes(rng.randint(1, 300)),
            b'{"a":' * rng.randint(1, 2000),
            json.dumps({"metadata": {"name": rng.choice([1, None, "x", [], {}, "Ü"])}, "data": rng.choice([1, [], {"k": 1}])}).encode(),
        ]
    )
    kind = rng.choice(
        ["application/json", "application/yaml", "application/apply-patch+yaml", "application/json-patch+json", "text/plain", "", "a" * 500]
    )
    head = f"{rng.choice(methods)} {path}{query} HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + b"authorization: Bearer %s\r\n\r\n" + body


def test_ten_thousand_garbage_requests(root: Client) -> None:
    rng = random.Random(20261122)
    connection = root.connect()
    codes: dict[int, int] = {}
    for _ in range(10_000):
        head, _, body = garbage(rng).partition(b"\r\n\r\n")
        method, target, _version = head.split(b"\r\n", 1)[0].split(b" ")
        headers = {"Authorization": f"Bearer {root.token}"}
        for line in head.split(b"\r\n")[2:3]:
            name, _, value = line.partition(b": ")
            headers[name.decode()] = value.decode()
        if b"watch" in target:
            target = target.split(b"?")[0]
        try:
            connection.request(method.decode(), target.decode(), body, headers)
            answer = connection.getresponse()
        except (ssl.SSLError, OSError, http.client.HTTPException):
            # The server may close after it refused a body; every request gets its answer on a fresh connection.
            connection.close()
            connection = root.connect()
            connection.request(method.decode(), target.decode(), body, headers)
            answer = connection.getresponse()
        content = answer.read()
        codes[answer.status] = codes.get(answer.status, 0) + 1
        assert answer.status < 500, (method, target, body[:200], content[:500])
        if answer.status >= 400 and method != b"HEAD":
            assert json.loads(content)["kind"] == "Status", (method, target, content[:300])
        if answer.will_close:
            connection.close()
            connection = root.connect()
    connection.close()
    assert root.get("/readyz").code == 200
    assert len(codes) > 3, codes
