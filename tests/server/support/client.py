# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plain HTTP client for one control plane: shows exactly what the server says, and nothing a library made of it."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Response:
    code: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def ok(self) -> Any:
        """The document of a successful answer; an AssertionError that shows the whole answer otherwise."""
        assert self.code < 300, f"{self.code}: {self.body.decode(errors='replace')}"
        return self.json

    def fails(self, code: int, reason: str | None = None) -> Any:
        """The Status of a failed answer, which must have this code (and reason)."""
        assert self.code == code, f"{self.code}: {self.body.decode(errors='replace')}"
        document = self.json
        assert document["kind"] == "Status"
        assert document["status"] == "Failure"
        assert document["code"] == code
        if reason is not None:
            assert document["reason"] == reason, document
        return document


@dataclass(frozen=True)
class Client:
    """Requests to one control plane with one credential. ``base`` ends with the path of the control plane."""

    base: str
    ca: str
    token: str = ""
    timeout: float = 30.0

    def at(self, vcp: str) -> Client:
        """The same credential at another VCP of the same server."""
        parts = urlsplit(self.base)
        return replace(self, base=f"{parts.scheme}://{parts.netloc}/clusters/{vcp}/control-plane")

    def as_user(self, token: str) -> Client:
        return replace(self, token=token)

    def connect(self) -> http.client.HTTPSConnection:
        parts = urlsplit(self.base)
        tls = ssl.create_default_context(cadata=self.ca)
        assert parts.hostname is not None
        return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=self.timeout, context=tls)

    def _headers(self, extra: dict[str, str] | None) -> dict[str, str]:
        headers = {"Accept": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return headers | (extra or {})

    def request(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Response:
        """One request on a connection of its own. ``body``: bytes as they are, anything else as JSON."""
        connection = self.connect()
        try:
            return self.over(connection, method, path, body, headers)
        finally:
            connection.close()

    def over(
        self, connection: http.client.HTTPSConnection, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Response:
        """The same on a connection that may serve more requests, also of other VCPs of the same server."""
        sent = self._headers(headers)
        data: bytes | None = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        connection.request(method, urlsplit(self.base).path + path, data, sent)
        answer = connection.getresponse()
        return Response(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())

    def get(self, path: str, **headers: str) -> Response:
        return self.request("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def post(self, path: str, body: Any) -> Response:
        return self.request("POST", path, body)

    def put(self, path: str, body: Any) -> Response:
        return self.request("PUT", path, body)

    def delete(self, path: str, body: Any = None) -> Response:
        return self.request("DELETE", path, body)

    def patch(self, path: str, body: Any, kind: str = "merge-patch+json") -> Response:
        return self.request("PATCH", path, body, {"Content-Type": f"application/{kind}"})

    def apply(self, path: str, body: Any, manager: str = "tests", force: bool = False) -> Response:
        query = f"?fieldManager={manager}&force={str(force).lower()}"
        return self.request("PATCH", path + query, body, {"Content-Type": "application/apply-patch+yaml"})

    def watch(self, path: str, *, seconds: float = 5.0) -> Iterator[dict[str, Any]]:
        """Events of a watch until the server ends it or nothing comes for ``seconds``."""
        connection = replace(self, timeout=seconds).connect()
        try:
            connection.request("GET", urlsplit(self.base).path + path, headers=self._headers(None))
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            while line := answer.readline():
                yield json.loads(line)
        except TimeoutError:
            return
        finally:
            connection.close()


def eventually(check: Any, seconds: float = 10.0, what: str = "", every: float = 0.02) -> Any:
    """The first true value of ``check()``; an AssertionError with its last value after ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what or check} did not come true in {seconds} s; last: {value!r}"
        time.sleep(every)
