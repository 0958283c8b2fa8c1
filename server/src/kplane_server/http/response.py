# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An HTTP answer as the rest of this room makes it, and the one renderer of errors."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import orjson

from kplane_server.model.errors import ApiError, Json

JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"

Headers = list[tuple[str, str]]


@dataclass(slots=True)
class Response:
    """A complete answer."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: Headers = field(default_factory=list)


class Outlet(Protocol):
    """Where a stream writes. Raises ``ClientGone`` when nobody reads any more."""

    async def send(self, data: bytes) -> None: ...


class ClientGone(Exception):
    """The client closed its end of a stream."""


@dataclass(slots=True)
class StreamResponse:
    """An answer that is written piece by piece by ``run``. ``close`` runs in any case, also when ``run`` never started."""

    run: Callable[[Outlet], Coroutine[Any, Any, None]]
    close: Callable[[], None]
    status: int = 200
    content_type: str = JSON
    headers: Headers = field(default_factory=list)


def json_response(document: Json, status: int = 200, headers: Headers | None = None) -> Response:
    """A document as compact JSON."""
    return Response(status, orjson.dumps(document), JSON, headers if headers is not None else [])


def error_response(error: ApiError) -> Response:
    """The ``Status`` of an error, with the headers that go with it."""
    headers: Headers = list(error.headers.items())
    if error.retry_after:
        headers.append(("retry-after", str(error.retry_after)))
    headers += warning_headers(list(error.warnings))
    return Response(error.code, orjson.dumps(error.status()), JSON, headers)


def warning_headers(warnings: list[str]) -> Headers:
    """``Warning: 299 - "…"`` (RFC 7234 5.5), as kubectl prints them; each once, bounded in number and length."""
    headers: Headers = []
    for text in dict.fromkeys(warnings):
        if len(headers) == MAX_WARNINGS:
            break
        clean = "".join(c if c >= " " and c != "\x7f" else " " for c in text[:MAX_WARNING_LENGTH])
        quoted = clean.replace("\\", "\\\\").replace('"', '\\"')
        headers.append(("warning", f'299 - "{quoted.encode("ascii", "replace").decode()}"'))
    return headers


MAX_WARNINGS: Final = 32
MAX_WARNING_LENGTH: Final = 256
