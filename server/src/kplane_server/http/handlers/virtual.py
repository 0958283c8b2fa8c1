# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resources that are answered and never stored: the reviews, and the token of a service account."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import orjson

from kplane_server.access.reviews import HANDLERS
from kplane_server.access.tokenrequest import create_token
from kplane_server.http.audit import Audited
from kplane_server.http.bodies import Bodies
from kplane_server.http.call import Answer, ResourceCall
from kplane_server.http.response import warning_headers
from kplane_server.http.routing import path_not_found
from kplane_server.http.views import encoded
from kplane_server.model.errors import BadRequest, Json
from kplane_server.registry.options import parse_write_options

CREATED: Final = 201


class Virtual:
    """The handlers of what is not stored. All are creates."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies

    async def review(self, call: ResourceCall) -> Answer:
        """A review of ``authentication.k8s.io`` or ``authorization.k8s.io``."""
        handler = HANDLERS.get((call.info.group, call.info.resource))
        if handler is None:
            raise path_not_found()

        async def answered(body: Json) -> dict[str, Json]:
            return await handler(call.plane, call.user, call.namespace, body)

        return await self._answer(call, answered)

    async def token(self, call: ResourceCall) -> Answer:
        """``serviceaccounts/<name>/token``."""

        async def issued(body: Json) -> dict[str, Json]:
            return await create_token(call.plane, call.namespace, call.request.name, body)

        return await self._answer(call, issued)

    async def _answer(self, call: ResourceCall, make: Callable[[Json], Awaitable[dict[str, Json]]]) -> Answer:
        """What ``make`` makes of the body. Nothing is changed anywhere, so a dry run is like any other."""
        request = call.request
        accepted = call.accept(frozenset())
        ctx = parse_write_options(call.query, call.user, kind="CreateOptions")
        if isinstance(call.incoming, Audited):
            call.incoming.note(ctx.annotations)
        body = await self._bodies.document(call, call.gvk, ctx)
        if not isinstance(body, dict):
            raise BadRequest(f"the body of the request must be a {call.gvk.kind} object")
        document = await call.plane.api.answer(
            call.info, call.namespace, body, ctx, make, name=request.name, subresource=request.subresource
        )
        return encoded(orjson.dumps(document), accepted, CREATED, warning_headers(ctx.warnings))
