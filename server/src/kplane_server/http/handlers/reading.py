# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GET of one object and LIST: answered at once from the store's memory, unless they name a revision that is not here yet."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from functools import partial
from typing import Final

from kplane_server.http.call import Answer, ResourceCall, Waits
from kplane_server.http.negotiation import GET_VIEWS, LIST_VIEWS, PLAIN, Accepted
from kplane_server.http.response import Headers, warning_headers
from kplane_server.http.views import list_response, object_response
from kplane_server.registry.custom_rows import CustomResourceInfo
from kplane_server.registry.listing import ListResult
from kplane_server.registry.options import ListOptions, parse_get_options, parse_list_options

#: Longer lists that must be parsed (tables and the like) are made in a thread, so that others need not wait; kubectl asks for 500.
MANY: Final = 500

Steps = Generator[None, None, ListResult]


def get(call: ResourceCall) -> Answer | Waits:
    """One object, or one of its sub-resources."""
    if call.query and (revision := parse_get_options(call.query)):
        return _get_settled(call, revision)
    return _get(call)


def _get(call: ResourceCall) -> Answer | Waits:
    accepted = call.accept(GET_VIEWS)
    if isinstance(call.info, CustomResourceInfo) and call.info.by_webhook:
        return _get_converted(call, call.info, accepted)
    request = call.request
    stored = call.plane.api.get(call.info, call.namespace, request.name, request.subresource)
    return object_response(call.info, stored.value, accepted, call.query, headers=_deprecation(call))


async def _get_converted(call: ResourceCall, info: CustomResourceInfo, accepted: Accepted) -> Answer:
    request = call.request
    stored = await call.plane.api.get_converted(info, call.namespace, request.name, request.subresource)
    return object_response(call.info, stored.value, accepted, call.query, headers=_deprecation(call))


async def _get_settled(call: ResourceCall, revision: int) -> Answer:
    await call.plane.api.settle(revision)
    answer = _get(call)
    return await answer if isinstance(answer, Coroutine) else answer


def list_objects(call: ResourceCall) -> Answer | Waits:
    """A collection, or one page of it."""
    options = parse_list_options(call.query)
    if options.resource_version:
        return _list_settled(call, options.resource_version)
    return _list(call)


def _list(call: ResourceCall) -> Answer | Waits:
    accepted = call.accept(LIST_VIEWS)
    options = parse_list_options(call.query)
    if isinstance(call.info, CustomResourceInfo) and call.info.by_webhook:
        return _list_converted(call, call.info, options, accepted)
    steps = call.plane.api.list_steps(call.info, call.namespace or None, options)
    try:
        next(steps)
    except StopIteration as end:
        return _listed(call, end.value, accepted)
    return _list_on(call, steps, accepted)


async def _list_on(call: ResourceCall, steps: Steps, accepted: Accepted) -> Answer:
    """A long list: others have their turns between its steps."""
    while True:
        await asyncio.sleep(0)
        try:
            next(steps)
        except StopIteration as end:
            answer = _listed(call, end.value, accepted)
            return await answer if isinstance(answer, Coroutine) else answer


async def _list_converted(call: ResourceCall, info: CustomResourceInfo, options: ListOptions, accepted: Accepted) -> Answer:
    answer = _listed(call, await call.plane.api.list_converted(info, call.namespace or None, options), accepted)
    return await answer if isinstance(answer, Coroutine) else answer


def _listed(call: ResourceCall, result: ListResult, accepted: Accepted) -> Answer | Waits:
    answer = partial(list_response, call.info, result, accepted, call.query, headers=_deprecation(call))
    if accepted != PLAIN and len(result.items) > MANY:
        return asyncio.to_thread(answer)
    return answer()


async def _list_settled(call: ResourceCall, revision: int) -> Answer:
    await call.plane.api.settle(revision)
    answer = _list(call)
    return await answer if isinstance(answer, Coroutine) else answer


def _deprecation(call: ResourceCall) -> Headers:
    """What a resource says about its own deprecation, on reads too."""
    return warning_headers([call.info.deprecation]) if call.info.deprecation else []
