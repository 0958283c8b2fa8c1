# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Request bodies to documents: bounded and decoded; duplicate fields are noted for ``fieldValidation``."""

from __future__ import annotations

import asyncio
from typing import Final

from kplane_server.http.call import Call
from kplane_server.http.negotiation import JSON, YAML, Encoding, body_encoding, unsupported
from kplane_server.http.request import read_bounded
from kplane_server.model.errors import BadRequest, Json, LengthRequired
from kplane_server.model.resources import GroupVersionKind
from kplane_server.registry import wire
from kplane_server.registry.options import RequestContext
from kplane_server.schema.strict import decode_json, decode_yaml
from kplane_server.settings import LimitSettings

#: YAML is slow to parse; from this size on it is done in a thread, so that other requests go on.
YAML_IN_THREAD: Final = 16 * 1024


class Bodies:
    """Reads and decodes bodies within the bounds of the settings."""

    def __init__(self, limits: LimitSettings) -> None:
        self._limit = limits.max_body_bytes
        self._depth = limits.max_json_depth

    async def raw(self, call: Call) -> bytes:
        """The bytes of a body."""
        return await read_bounded(call.incoming, self._limit)

    async def document(self, call: Call, kind: GroupVersionKind, ctx: RequestContext | None = None) -> Json:
        """The object in a body: of ``kind``, where a protobuf body does not say. ``ctx`` takes note of duplicate fields."""
        found = await self.optional_document(call, kind, ctx)
        if found is None:
            raise BadRequest("the request has no body, an object was expected")
        return found

    async def optional_document(self, call: Call, kind: GroupVersionKind, ctx: RequestContext | None = None) -> Json | None:
        """The object in a body that may be empty."""
        encoding = body_encoding(call.incoming.header("content-type"))
        if encoding is Encoding.PROTOBUF and wire.message_of(kind) is None:
            raise unsupported(JSON, YAML)
        body = await self.raw(call)
        if not body.strip():
            return None
        if encoding is not Encoding.PROTOBUF:
            return await self.decode(call, body, encoding, ctx)
        _require_length(call)
        try:
            return wire.decode(body, kind)
        except ValueError as error:
            raise BadRequest(f"the body of the request could not be decoded: {error}") from error

    async def decode(self, call: Call, body: bytes, encoding: Encoding, ctx: RequestContext | None) -> Json:
        """JSON or YAML bytes to a document. Raises 400 for what is malformed or nested too deeply."""
        duplicates = ctx is not None and ctx.field_validation != "Ignore"
        try:
            if encoding is Encoding.JSON:
                document, repeated = decode_json(body, duplicates=duplicates, max_depth=self._depth)
            else:
                _require_length(call)
                if len(body) < YAML_IN_THREAD:
                    document, repeated = decode_yaml(body, duplicates=duplicates, max_depth=self._depth)
                else:
                    document, repeated = await asyncio.to_thread(decode_yaml, body, duplicates=duplicates, max_depth=self._depth)
        except (ValueError, RecursionError) as error:
            text = str(error) if isinstance(error, ValueError) else "nested too deeply"
            raise BadRequest(f"the body of the request could not be decoded: {text}") from error
        if ctx is not None:
            ctx.duplicates += repeated
        return document


def _require_length(call: Call) -> None:
    """JSON shows by itself when its end is missing. YAML and protobuf do not, and the transport does not tell for chunked bodies."""
    if call.incoming.header("content-length") is None:
        raise LengthRequired("a body that is not JSON needs a Content-Length")
