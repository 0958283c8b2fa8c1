# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An HTTP request as the rest of this room sees it, whatever the transport."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final, Protocol
from urllib.parse import parse_qsl

from kplane_server.model.errors import BadRequest, RequestEntityTooLarge

#: More parameters than any client sends; stops a query of a million ``&``.
MAX_QUERY_FIELDS: Final = 100

NO_QUERY: Final[dict[str, str]] = {}


class Incoming(Protocol):
    """What a transport hands over: the line, the headers, the body on demand, and the client's departure."""

    method: str
    path: str
    query_string: str
    client: str

    def header(self, name: str) -> str | None:
        """The first value of a header, by its lower-case name."""
        ...

    def header_values(self, name: str) -> list[str]: ...

    def header_names(self) -> list[str]:
        """In lower case."""
        ...

    def headers(self) -> list[tuple[str, str]]: ...

    def body_chunks(self) -> AsyncIterator[bytes]: ...

    async def read_body(self) -> bytes: ...


def parse_query(text: str) -> dict[str, str]:
    """The first value of each parameter, as upstream's decoder of options takes it."""
    if not text:
        return NO_QUERY
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS, errors="strict")
    except (ValueError, UnicodeDecodeError) as error:
        raise BadRequest(f"invalid query string: {error}") from error
    query: dict[str, str] = {}
    for key, value in pairs:
        query.setdefault(key, value)
    return query


def parse_flag(value: str | None) -> bool:
    """A boolean query parameter by upstream's rule: present and neither ``false`` nor ``0``."""
    return value is not None and value.lower() not in ("false", "0")


async def read_bounded(incoming: Incoming, limit: int) -> bytes:
    """The whole body, or 413 as soon as it is known to be larger than ``limit``; 400 when the client sent less than it announced."""
    announced = incoming.header("content-length")
    if announced is not None:
        if not (announced.isascii() and announced.isdigit()):
            raise BadRequest("invalid Content-Length")
        if len(announced) > 18 or int(announced) > limit:
            raise too_large(limit)
        body = await incoming.read_body()
        if len(body) != int(announced):
            raise BadRequest(f"the body ended after {len(body)} of {announced} bytes")
        return body
    parts: list[bytes] = []
    size = 0
    async for chunk in incoming.body_chunks():
        size += len(chunk)
        if size > limit:
            raise too_large(limit)
        parts.append(chunk)
    return b"".join(parts)


def too_large(limit: int) -> RequestEntityTooLarge:
    return RequestEntityTooLarge(f"Request entity too large: limit is {limit}")
