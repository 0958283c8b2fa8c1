# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A thin Kubernetes REST client: verified TLS, pooled connections for many threads, typed errors, no discovery.

It uses the standard library only, because the import of a full client costs each task more than its work does.
PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import queue
import socket
import ssl
import time
import typing as t
from urllib.parse import urlencode, urlsplit

from ansible_collections.kplane.core.plugins.module_utils._auth import Connection
from ansible_collections.kplane.core.plugins.module_utils._contract import FIELD_MANAGER, Resource
from ansible_collections.kplane.core.plugins.module_utils._errors import (
    ApiError,
    ConnectionFailed,
    Expired,
    KplaneError,
    Untrusted,
    from_status,
)

Json = t.Dict[str, t.Any]

MERGE_PATCH: t.Final = "application/merge-patch+json"
APPLY_PATCH: t.Final = "application/apply-patch+yaml"
JSON_TYPE: t.Final = "application/json"

PAGE_SIZE: t.Final = 1000
MAX_RESPONSE: t.Final = 512 * 1024 * 1024
_MAX_WATCH_LINE = 16 * 1024 * 1024
_ATTEMPTS = 4
_BACKOFF = 0.15
#: A server that asks for more patience than this gets an error instead.
_MAX_RETRY_AFTER = 10.0
_RETRIED_CODES = frozenset({429, 503})
#: Methods that may be sent again when nobody knows whether the first attempt arrived.
_SAFE_TO_REPEAT = frozenset({"GET", "HEAD", "PUT", "DELETE"})

_WRITE_QUERY: t.Final = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}


class _TlsConnection(http.client.HTTPSConnection):
    """An HTTPS connection that can verify another name than the one it connects to."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext, timeout: float, server_name: str) -> None:
        super().__init__(host, port, timeout=timeout, context=context)
        self._tls = context
        self._server_name = server_name

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        name = self._server_name or getattr(self, "_tunnel_host", None) or self.host
        self.sock = self._tls.wrap_socket(self.sock, server_hostname=name)


class Response(t.NamedTuple):
    """A successful answer."""

    code: int
    body: bytes
    warnings: list[str]

    def json(self) -> Json:
        """The body as a JSON object."""
        try:
            document = json.loads(self.body)
        except ValueError as exc:
            raise KplaneError(f"The server answered something that is not JSON: {self.body[:200]!r}") from exc
        if not isinstance(document, dict):
            raise KplaneError("The server answered JSON that is not an object")
        return document


class WatchEvent(t.NamedTuple):
    """One event of a watch."""

    type: str
    object: Json


class Client:
    """Talks to one API server (or, with ``prefix``, to one VCP of it) as one user; safe to share between threads."""

    def __init__(self, connection: Connection, timeout: float = 30.0, prefix: str = "") -> None:
        self.connection = connection
        self.timeout = timeout
        self._url = connection.url
        self._base = self._url.path.rstrip("/") + prefix
        self._idle: queue.LifoQueue[http.client.HTTPConnection] = queue.LifoQueue()
        self.warnings: list[str] = []

    @property
    def server(self) -> str:
        """The address, for messages."""
        return self._url.scheme + "://" + self._url.netloc + self._base

    # Connections

    def _proxy(self) -> str:
        if self.connection.proxy:
            return self.connection.proxy
        variables = ("https_proxy", "HTTPS_PROXY") if self._url.scheme == "https" else ("http_proxy", "HTTP_PROXY")
        if not any(os.environ.get(name) for name in variables):
            return ""
        from urllib.request import getproxies, proxy_bypass  # heavy, and rarely needed

        host = self._url.hostname or ""
        if host in ("localhost", "127.0.0.1", "::1") or proxy_bypass(host):
            return ""
        return str(getproxies().get(self._url.scheme, ""))

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        host, port = self._url.hostname or "", self._url.port or (443 if self._url.scheme == "https" else 80)
        proxy = urlsplit(self._proxy())
        if proxy.netloc and (proxy.scheme != "http" or not proxy.hostname):
            raise ConnectionFailed(f"The proxy {proxy.scheme}://{proxy.hostname} is not supported: only http proxies are")
        via = (proxy.hostname, proxy.port or 80) if proxy.hostname else (host, port)
        made: http.client.HTTPConnection
        if self.connection.ssl_context is not None:
            made = _TlsConnection(via[0], via[1], self.connection.ssl_context, timeout, self.connection.server_name)
        else:
            made = http.client.HTTPConnection(via[0], via[1], timeout=timeout)
        if proxy.hostname:
            made.set_tunnel(host, port)
        return made

    @property
    def base(self) -> str:
        """What the paths of this client begin with."""
        return self._base

    def dial(self, timeout: float) -> tuple[str, socket.socket]:
        """A connection for another protocol than requests, and the host to name in it."""
        made = self._connect(timeout)
        try:
            made.connect()
        except OSError as exc:
            raise self._unreachable("CONNECT", self._base, 1, exc) from exc
        return self._url.netloc, made.sock

    def close(self) -> None:
        """Close the connections that nobody uses."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()

    def sibling(self, server: str, authorization: str, name: str) -> Client:
        """A client of another path of the same server as another user; the two share their connections.

        Only for connections without a client certificate: whatever uses one of those is the user of the certificate.
        """
        other = Client(self.connection._replace(server=server, headers={"Authorization": authorization}, context=name), self.timeout)
        if other._url[:2] != self._url[:2]:
            raise ValueError(f"{server} is another server than {self.server}")
        other._idle = self._idle
        return other

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    # One request

    def _send(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str], timeout: float
    ) -> tuple[int, bytes, http.client.HTTPMessage]:
        """One exchange over a pooled connection; a pooled one that turns out to be closed is replaced once."""
        while True:
            try:
                pooled = self._idle.get_nowait()
                fresh = False
                if pooled.sock is not None:
                    pooled.sock.settimeout(timeout)
            except queue.Empty:
                pooled, fresh = self._connect(timeout), True
            try:
                pooled.request(method, path, body, headers)
                answer = pooled.getresponse()
                content = answer.read(MAX_RESPONSE + 1)
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                pooled.close()
                # The server closed an idle connection before it saw this request.
                if fresh or method not in _SAFE_TO_REPEAT:
                    raise
                continue
            except BaseException:
                pooled.close()
                raise
            if len(content) > MAX_RESPONSE:
                pooled.close()
                raise ConnectionFailed(f"The answer of {self.server} to {method} {path} is larger than {MAX_RESPONSE} bytes")
            if answer.will_close:
                pooled.close()
            else:
                self._idle.put(pooled)
            return answer.status, content, answer.headers

    def request(
        self,
        method: str,
        path: str,
        query: t.Mapping[str, str] | None = None,
        body: Json | None = None,
        content_type: str = JSON_TYPE,
        timeout: float | None = None,
        attempts: int = _ATTEMPTS,
    ) -> Response:
        """One request, repeated a few times where that is safe; raises a typed error for anything but a success."""
        target = self._base + path + ("?" + urlencode(query) if query else "")
        headers = {"Accept": JSON_TYPE, "User-Agent": FIELD_MANAGER, **self.connection.headers}
        payload = None
        if body is not None:
            payload = json.dumps(body, separators=(",", ":")).encode()
            headers["Content-Type"] = content_type
        attempt = 0
        while True:
            attempt += 1
            try:
                code, content, answer = self._send(method, target, payload, headers, self.timeout if timeout is None else timeout)
            except ssl.SSLCertVerificationError as exc:
                raise Untrusted(
                    f"The certificate of {self.server} (context {self.connection.context!r}) is not trusted: {exc.verify_message}"
                ) from exc
            except (OSError, http.client.HTTPException) as exc:
                if attempt < attempts and (method in _SAFE_TO_REPEAT or isinstance(exc, (ConnectionRefusedError, socket.gaierror))):
                    time.sleep(_BACKOFF * 2 ** (attempt - 1))
                    continue
                raise self._unreachable(method, path, attempt, exc) from exc
            if code in _RETRIED_CODES and attempt < attempts:
                time.sleep(_retry_after(answer, attempt))
                continue
            if code >= 300:
                raise self._refused(method, path, code, content)
            found = [text for text in map(_warning_text, answer.get_all("Warning") or []) if text]
            self.warnings.extend(text for text in found if text not in self.warnings)
            return Response(code, content, found)

    def _unreachable(self, method: str, path: str, attempts: int, exc: Exception) -> ConnectionFailed:
        reason = (exc.strerror if isinstance(exc, OSError) else None) or str(exc) or type(exc).__name__
        return ConnectionFailed(
            f"Cannot reach {self.server} (context {self.connection.context!r}) for {method} {path} after {attempts} attempts: {reason}",
            server=self.server,
            context=self.connection.context,
        )

    def _refused(self, method: str, path: str, code: int, content: bytes) -> ApiError:
        try:
            status = json.loads(content)
        except ValueError:
            status = None
        fallback = f"{method} {path} was answered with {code}: {content[:300].decode(errors='replace')}"
        return from_status(code, status if isinstance(status, dict) else None, fallback, server=self.server, request=f"{method} {path}")

    # The verbs

    def get(self, resource: Resource, name: str, namespace: str = "") -> Json:
        """The object called ``name``."""
        return self.request("GET", resource.path(name, namespace)).json()

    def list_all(
        self, resource: Resource, namespace: str = "", label_selector: str = "", field_selector: str = ""
    ) -> tuple[list[Json], str]:
        """All objects, page by page, and the resource version that a watch can go on from."""
        query = {"limit": str(PAGE_SIZE)}
        if label_selector:
            query["labelSelector"] = label_selector
        if field_selector:
            query["fieldSelector"] = field_selector
        items: list[Json] = []
        while True:
            try:
                page = self.request("GET", resource.path(namespace=namespace), query).json()
            except Expired:
                if "continue" not in query:
                    raise
                # The history behind the token is gone: read everything at once, as client-go's pager does.
                query.pop("continue")
                query.pop("limit")
                items = []
                continue
            items.extend(page.get("items") or [])
            metadata = page.get("metadata") or {}
            if not metadata.get("continue"):
                return items, str(metadata.get("resourceVersion") or "")
            query["continue"] = str(metadata["continue"])

    def create(self, resource: Resource, body: Json, namespace: str = "", dry_run: bool = False) -> Json:
        """Create an object."""
        return self.request("POST", resource.path(namespace=namespace), _write_query(dry_run), body).json()

    def patch(
        self,
        resource: Resource,
        name: str,
        body: Json,
        namespace: str = "",
        content_type: str = MERGE_PATCH,
        dry_run: bool = False,
        force: bool = False,
    ) -> Json:
        """Patch an object: a merge patch, or with ``APPLY_PATCH`` a server-side apply."""
        query = _write_query(dry_run)
        if content_type == APPLY_PATCH and force:
            query["force"] = "true"
        return self.request("PATCH", resource.path(name, namespace), query, body, content_type).json()

    def delete(self, resource: Resource, name: str, namespace: str = "", uid: str = "", dry_run: bool = False) -> None:
        """Delete an object, only the one with ``uid`` if that is given."""
        options: Json = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if uid:
            options["preconditions"] = {"uid": uid}
        if dry_run:
            options["dryRun"] = ["All"]  # with a body, an API server does not look at the query
        self.request("DELETE", resource.path(name, namespace), body=options)

    def watch(
        self, resource: Resource, resource_version: str, timeout: float, namespace: str = "", field_selector: str = ""
    ) -> t.Iterator[WatchEvent]:
        """Events since ``resource_version`` until the server or ``timeout`` ends the watch."""
        query = {
            "watch": "true",
            "resourceVersion": resource_version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(max(1, int(timeout))),
        }
        if field_selector:
            query["fieldSelector"] = field_selector
        path = resource.path(namespace=namespace)
        deadline = time.monotonic() + timeout
        stream = self._connect(min(self.timeout, timeout))
        try:
            stream.request("GET", self._base + path + "?" + urlencode(query), headers={"Accept": JSON_TYPE, **self.connection.headers})
            answer = stream.getresponse()
            if answer.status >= 300:
                raise self._refused("WATCH", path, answer.status, answer.read(MAX_RESPONSE))
            while True:
                left = deadline - time.monotonic()
                if left <= 0:
                    return
                if stream.sock is not None:
                    stream.sock.settimeout(left)
                line = answer.readline(_MAX_WATCH_LINE)
                if not line:
                    return
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise from_status(
                        int(event["object"].get("code") or 500), event["object"], "the watch ended with an error", server=self.server
                    )
                yield WatchEvent(event["type"], event["object"])
        except socket.timeout:
            return
        except (OSError, http.client.HTTPException) as exc:
            raise self._unreachable("WATCH", path, 1, exc) from exc
        finally:
            stream.close()

    def ready(self, timeout: float = 5.0) -> bool:
        """Whether the server answers and says that it is ready."""
        try:
            return self.request("GET", "/readyz", timeout=timeout, attempts=1).code == 200
        except (ApiError, ConnectionFailed):
            return False


def _write_query(dry_run: bool) -> dict[str, str]:
    return {**_WRITE_QUERY, "dryRun": "All"} if dry_run else dict(_WRITE_QUERY)


def _retry_after(headers: http.client.HTTPMessage, attempt: int) -> float:
    """Seconds to wait before the next attempt, as the server asks or growing."""
    try:
        return min(float(str(headers.get("Retry-After", ""))), _MAX_RETRY_AFTER)
    except ValueError:
        return float(_BACKOFF * 2 ** (attempt - 1))


def _warning_text(header: str) -> str:
    """The text of a Warning header: ``299 - "text"``."""
    text = header.split(" ", 2)[-1].strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return text
