# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Request bodies to documents: bounded and decoded; duplicate fields are noted for ``fieldValidation``."""

from __future__ import annotations

import asyncio
from typing import Final

from kplane_server.http.call import Call
from kplane_server.http.negotiation import BodyForm, body_form
from kplane_server.http.request import read_bounded
from kplane_server.model.errors import BadRequest, Json
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
        return await read_bounded(call.incoming, self._limit)

    async def document(self, call: Call, ctx: RequestContext | None = None) -> Json:
        """The object in a body. ``ctx`` takes note of duplicate fields; without one they are ignored."""
        form = body_form(call.incoming.header("content-type"))
        body = await self.raw(call)
        if not body.strip():
            raise BadRequest("the request has no body, an object was expected")
        return await self.decode(body, form, ctx)

    async def optional_document(self, call: Call) -> Json | None:
        """The object in a body that may be empty."""
        body = await self.raw(call)
        if not body.strip():
            return None
        return await self.decode(body, body_form(call.incoming.header("content-type")), None)

    async def decode(self, body: bytes, form: BodyForm, ctx: RequestContext | None) -> Json:
        """Bytes to a document. Raises 400 for what is malformed or nested too deeply."""
        duplicates = ctx is not None and ctx.field_validation != "Ignore"
        try:
            if form is BodyForm.JSON:
                document, repeated = decode_json(body, duplicates=duplicates, max_depth=self._depth)
            elif len(body) < YAML_IN_THREAD:
                document, repeated = decode_yaml(body, duplicates=duplicates, max_depth=self._depth)
            else:
                document, repeated = await asyncio.to_thread(decode_yaml, body, duplicates=duplicates, max_depth=self._depth)
        except (ValueError, RecursionError) as error:
            text = str(error) if isinstance(error, ValueError) else "nested too deeply"
            raise BadRequest(f"the body of the request could not be decoded: {text}") from error
        if ctx is not None:
            ctx.duplicates += repeated
        return document
