# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CREATE, UPDATE, PATCH, DELETE and DELETECOLLECTION: the body and options of a request to one call of the control plane's verbs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import orjson

from kplane_server.http.audit import Audited
from kplane_server.http.bodies import Bodies
from kplane_server.http.call import Answer, ResourceCall
from kplane_server.http.fairness import Writes
from kplane_server.http.negotiation import LIST_VIEWS, WRITE_VIEWS, Encoding, patch_type
from kplane_server.http.response import json_response, warning_headers
from kplane_server.http.views import list_response, object_response
from kplane_server.model.errors import ApiError, BadRequest, Json
from kplane_server.model.resources import GroupVersionKind
from kplane_server.registry.deletion import Deletion
from kplane_server.registry.options import (
    Patch,
    RequestContext,
    parse_delete_options,
    parse_list_options,
    parse_write_options,
)
from kplane_server.storage.api import Stored

DELETE_OPTIONS: Final = GroupVersionKind("meta.k8s.io", "v1", "DeleteOptions")
APPLY: Final = "application/apply-patch+yaml"


class Writing:
    """The handlers of writes."""

    def __init__(self, bodies: Bodies, writes: Writes) -> None:
        self._bodies = bodies
        self._writes = writes

    async def create(self, call: ResourceCall) -> Answer:
        """POST to a collection, or to a sub-resource of an object."""
        self._writes.admit(call)
        ctx = _context(call, "CreateOptions")
        request = call.request
        with _telling(ctx):
            body = await self._bodies.document(call, call.gvk, ctx)
            stored = await call.plane.api.create(call.info, call.namespace, body, ctx, name=request.name, subresource=request.subresource)
        return _written(call, stored, ctx, 201)

    async def update(self, call: ResourceCall) -> Answer:
        """PUT of an object or a sub-resource."""
        self._writes.admit(call)
        ctx = _context(call, "UpdateOptions")
        request = call.request
        with _telling(ctx):
            body = await self._bodies.document(call, call.gvk, ctx)
            stored, created = await call.plane.api.update(call.info, call.namespace, request.name, body, ctx, request.subresource)
        return _written(call, stored, ctx, 201 if created else 200)

    async def patch(self, call: ResourceCall) -> Answer:
        """PATCH of an object or a sub-resource, in any of the four formats."""
        self._writes.admit(call)
        media = patch_type(call.incoming.header("content-type"))
        ctx = _context(call, "PatchOptions", apply=media == APPLY)
        body = await self._bodies.raw(call)
        if not body.strip():
            raise BadRequest("the request has no body, a patch was expected")
        document = await self._bodies.decode(call, body, Encoding.YAML if media == APPLY else Encoding.JSON, ctx)
        patch = Patch(media, document, ctx.force)
        request = call.request
        with _telling(ctx):
            stored, created = await call.plane.api.patch(call.info, call.namespace, request.name, patch, ctx, request.subresource)
        return _written(call, stored, ctx, 201 if created else 200)

    async def delete(self, call: ResourceCall) -> Answer:
        """DELETE of an object: a Status when it is gone, the object itself when it waits for something."""
        self._writes.admit(call)
        options, dry_run = parse_delete_options(call.query, await self._bodies.optional_document(call, DELETE_OPTIONS))
        ctx = _delete_context(call, dry_run)
        result = await call.plane.api.delete(call.info, call.namespace, call.request.name, options, ctx)
        if result.shown:
            return _written(call, result.stored, ctx, 200)
        return json_response(_deleted(call, result), headers=warning_headers(ctx.warnings))

    async def delete_collection(self, call: ResourceCall) -> Answer:
        """DELETE of all that a list would select."""
        self._writes.admit(call)
        options, dry_run = parse_delete_options(call.query, await self._bodies.optional_document(call, DELETE_OPTIONS))
        ctx = _delete_context(call, dry_run)
        accepted = call.accept(LIST_VIEWS)
        selection = parse_list_options(call.query)
        result = await call.plane.api.delete_collection(call.info, call.namespace or None, selection, options, ctx)
        return list_response(call.info, result, accepted, call.query)


@contextmanager
def _telling(ctx: RequestContext) -> Iterator[None]:
    """A request that fails is warned all the same: a mistyped field may be why."""
    try:
        yield
    except ApiError as error:
        error.warnings = ctx.warnings
        raise


def _context(call: ResourceCall, kind: str, *, apply: bool = False) -> RequestContext:
    agent = call.incoming.header("user-agent") or ""
    call.accept(WRITE_VIEWS)  # a 406 must come before anything is written
    ctx = parse_write_options(call.query, call.user, kind=kind, user_agent=agent, apply=apply)
    if isinstance(call.incoming, Audited):
        call.incoming.note(ctx.annotations)
    return ctx


def _delete_context(call: ResourceCall, dry_run: bool) -> RequestContext:
    call.accept(WRITE_VIEWS | LIST_VIEWS)
    ctx = RequestContext(user=call.user, dry_run=dry_run)
    if isinstance(call.incoming, Audited):
        call.incoming.note(ctx.annotations)
    return ctx


def _written(call: ResourceCall, stored: Stored, ctx: RequestContext, status: int) -> Answer:
    accepted = call.accept(WRITE_VIEWS)
    return object_response(call.info, stored.value, accepted, call.query, status=status, headers=warning_headers(ctx.warnings))


def _deleted(call: ResourceCall, result: Deletion) -> Json:
    details = {"name": call.request.name, "kind": call.info.resource}
    if call.info.group:
        details["group"] = call.info.group
    if uid := orjson.loads(result.stored.value)["metadata"].get("uid"):
        details["uid"] = uid
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
