# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resources that are answered and never stored: the reviews, and the token of a service account."""

from __future__ import annotations

from typing import Final

import orjson

from kplane_server.access.reviews import HANDLERS
from kplane_server.access.tokenrequest import create_token
from kplane_server.http.bodies import Bodies
from kplane_server.http.call import Answer, ResourceCall
from kplane_server.http.negotiation import Accepted
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
        accepted, body = await self._object(call)
        return self._answer(await handler(call.plane, call.user, call.namespace, body), accepted)

    async def token(self, call: ResourceCall) -> Answer:
        """``serviceaccounts/<name>/token``."""
        accepted, body = await self._object(call)
        return self._answer(await create_token(call.plane, call.namespace, call.request.name, body), accepted)

    def _answer(self, document: Json, accepted: Accepted) -> Answer:
        return encoded(orjson.dumps(document), accepted, CREATED)

    async def _object(self, call: ResourceCall) -> tuple[Accepted, Json]:
        kind = call.gvk
        accepted = call.accept(frozenset())
        ctx = parse_write_options(call.query, call.user, kind="CreateOptions")
        body = await self._bodies.document(call, kind, ctx)
        if not isinstance(body, dict):
            raise BadRequest(f"the body of the request must be a {kind.kind} object")
        if body.get("kind") not in (None, "", kind.kind):
            raise BadRequest(f"the kind in the data ({str(body['kind'])[:64]}) does not match the expected kind ({kind.kind})")
        return accepted, body
