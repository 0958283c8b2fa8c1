# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one chain that every request takes, built-in and custom resources, sub-resources and other paths alike:

errors → path → control plane (404 before anything is asked about the client, 503 if it is paused) → authenticate → impersonate → authorize
→ handler, which runs within the bound of requests in flight and under the deadline. Nothing is served beside it.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
import os
import re
import time
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any, Final

from kplane_server.access.attributes import Attributes, for_path, forbidden
from kplane_server.access.impersonation import PREFIX as IMPERSONATION_PREFIX
from kplane_server.access.impersonation import impersonate
from kplane_server.http.audit import Auditor, Trail
from kplane_server.http.call import Answer, Call, Waits
from kplane_server.http.deadline import Deadline
from kplane_server.http.fairness import is_exempt
from kplane_server.http.inflight import InFlight
from kplane_server.http.metrics import Metrics
from kplane_server.http.negotiation import accepts_gzip
from kplane_server.http.request import Incoming, parse_query
from kplane_server.http.response import Outlet, Response, StreamResponse, error_response
from kplane_server.http.routing import METHOD_VERBS, ApiRequest, check_path, method_not_allowed, resolve, split_vcp, unknown_vcp
from kplane_server.http.turns import Turns
from kplane_server.model.errors import ApiError, BadRequest, Expired, InternalError, ServiceUnavailable, Timeout, Unauthorized
from kplane_server.model.identity import ANONYMOUS_USER
from kplane_server.model.keys import VcpId
from kplane_server.settings import LimitSettings
from kplane_server.storage.api import Compacted, FutureRevision, StorageUnavailable
from kplane_server.vcp import contract
from kplane_server.vcp.controlplane import ControlPlane
from kplane_server.vcp.directory import Directory

log = logging.getLogger(__name__)

#: Answers the calls that passed all filters.
Dispatch = Callable[[Call], Answer | Waits]

_NO_STORE: Final = ("cache-control", "no-cache, private")
_UNRESOLVED: Final = ApiRequest("", "invalid")
_COMPRESSION_LEVEL: Final = 1
_impersonates: Final = re.compile(re.escape(IMPERSONATION_PREFIX)).match
_TOO_SLOW: Final = "the server was unable to return a response in the time allotted, but may still be processing the request"


class Pipeline:
    """Takes requests of any transport to their answers. Never raises but when its task is cancelled."""

    def __init__(
        self,
        directory: Directory,
        dispatch: Dispatch,
        builtin_groups: Iterable[str],
        limits: LimitSettings,
        metrics: Metrics,
        auditor: Auditor | None = None,
    ) -> None:
        self._directory = directory
        self._dispatch = dispatch
        self._groups = frozenset(builtin_groups)
        self._limits = limits
        self._metrics = metrics
        self.in_flight = InFlight(limits.max_in_flight, limits.max_in_flight_per_vcp, "requests")
        self._turns = Turns()
        self._auditor = auditor
        self._deadline = Deadline(limits.request_timeout)
        self._audit_prefix = _audit_prefix(os.urandom(10).hex())
        self._audit_count = 0

    async def handle(self, incoming: Incoming) -> Answer:
        """The answer to one request, with the headers that all answers have."""
        started = time.perf_counter()
        self._audit_count += 1
        audit = self._audit_id()
        call: Call | None = None
        plane: ControlPlane | None = None
        trail: Trail | None = None
        try:
            plane, path, query = self._locate(incoming)
            if plane.standing.paused:
                raise self._pause(incoming, plane)
            vcp, begun = plane.record.id, started
            turn = self._turns.take(vcp, started)
            if turn is not None:
                await turn
                begun = time.perf_counter()
            if self._auditor is not None:
                trail = self._auditor.trail(incoming, audit, plane.name)
            call = self._admit(incoming, plane, path, query, trail)
            answer = self._dispatch(call)
            self._turns.spend(vcp, time.perf_counter() - begun)
            if not isinstance(answer, Response | StreamResponse):
                answer = await self._wait(call, answer)
            if isinstance(answer, StreamResponse):
                answer.run = partial(self._stream, vcp, answer.run)
        except Exception as error:
            answer = error_response(_as_api_error(error, incoming, audit))
        except asyncio.CancelledError:
            if trail is not None:
                trail.abandon()
            raise
        if trail is not None:
            trail.finish(answer)
        if isinstance(answer, Response) and len(answer.body) >= self._limits.gzip_threshold:
            await _compress(answer, incoming)
        answer.headers.append(("audit-id", audit))
        if not any(name == "cache-control" for name, _ in answer.headers):
            answer.headers.append(_NO_STORE)
        self._count(call, plane, answer.status, time.perf_counter() - started)
        return answer

    def _locate(self, incoming: Incoming) -> tuple[ControlPlane, str, dict[str, str]]:
        """The control plane and the path below it: the same 404 for an unknown one, whoever asks."""
        limits = self._limits
        check_path(incoming.path, limits.max_path_length)
        if len(incoming.query_string) > limits.max_query_length:
            raise BadRequest(f"the query is longer than {limits.max_query_length} characters")
        name, path = split_vcp(incoming.path)
        plane = self._directory.find(name)
        if plane is None:
            raise unknown_vcp(name)
        return plane, path, parse_query(incoming.query_string)

    def _admit(self, incoming: Incoming, plane: ControlPlane, path: str, query: dict[str, str], trail: Trail | None) -> Call:
        """Who it is and whether they may."""
        if incoming.method not in METHOD_VERBS:
            raise method_not_allowed()
        request = resolve(incoming.method, path, query)
        try:
            user = plane.authenticator.authenticate(incoming.header("authorization"))
        except Unauthorized:
            if trail is not None:
                trail.begin(request, None)
            raise
        if trail is not None:
            incoming = trail.begin(request, user)
        if any(map(_impersonates, incoming.header_names())):
            user = impersonate(user, incoming.headers(), plane.authorizer)
            if trail is not None:
                trail.impersonated(user)
        attributes = _attributes(request)
        decision = plane.authorizer.authorize(user, attributes)
        if trail is not None:
            trail.decided(decision)
        if not decision.allowed:
            raise forbidden(user, attributes, decision.reason)
        return Call(incoming, query, plane, request, user)

    def _pause(self, incoming: Incoming, plane: ControlPlane) -> ServiceUnavailable:
        """The answer of a paused control plane, to everybody. If it may be resumed on request, somebody who is known has it resumed."""
        wakes = False
        if plane.standing.resume:
            try:
                wakes = plane.authenticator.authenticate(incoming.header("authorization")) != ANONYMOUS_USER
            except Unauthorized:
                wakes = False
        if wakes:
            self._directory.request_resume(plane)
            why, after = "is being resumed, please try again", 1
        elif plane.standing.resume:
            why, after = "is paused; an authenticated request resumes it", 0
        else:
            why, after = f"is paused; it is resumed by removing annotation {contract.STATE_ANNOTATION} from its ControlPlane", 0
        text = f'control plane "{plane.name}" {why}'
        return ServiceUnavailable(text, group=contract.GROUP, kind="controlplanes", name=plane.name, retry_after=after)

    async def _wait(self, call: Call, answer: Waits) -> Answer:
        """A handler that could not answer at once, within the bounds."""
        key = call.plane.record.id
        try:
            self.in_flight.enter(key, call.plane.limits.requests_in_flight, exempt=is_exempt(call))
        except ApiError:
            answer.close()
            raise
        try:
            return await self._deadline.run(self._turns.run(key, answer))
        except TimeoutError as error:
            raise Timeout(_TOO_SLOW) from error
        finally:
            self.in_flight.leave(key)

    async def _stream(self, vcp: VcpId, run: Callable[[Outlet], Coroutine[Any, Any, None]], outlet: Outlet) -> None:
        """A stream is written in turns too: a thousand watches of one control plane are a noisy neighbour."""
        await self._turns.run(vcp, run(outlet))

    def _count(self, call: Call | None, plane: ControlPlane | None, status: int, seconds: float) -> None:
        request = call.request if call is not None else _UNRESOLVED
        if request.resource:
            group = request.group if request.group in self._groups else "custom"
            verb = request.verb
        else:
            group, verb = "", "path" if call is not None else "refused"
        self._metrics.observe(verb, group or "core", status, seconds, plane.record.name if plane is not None else "")

    def _audit_id(self) -> str:
        """A UUID (version 4 in form): random for this process, counted for the request."""
        return f"{self._audit_prefix}{self._audit_count & 0xFFFFFFFFFFFF:012x}"


def _audit_prefix(digits: str) -> str:
    """All but the last group of a version 4 UUID."""
    return f"{digits[:8]}-{digits[8:12]}-4{digits[12:15]}-a{digits[15:18]}-"


def _attributes(request: ApiRequest) -> Attributes:
    if not request.resource:
        return for_path(request.verb, request.path)
    return Attributes(
        request.verb, request.group, request.version, request.resource, request.subresource, request.namespace, request.name, request.path
    )


def _as_api_error(error: Exception, incoming: Incoming, audit: str) -> ApiError:
    """Every failure as an error with a Status. A bug is logged with its traceback, and told to nobody else."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, Compacted):
        return Expired(f"The resourceVersion for the provided request is too old: {error}")
    if isinstance(error, FutureRevision):
        return Timeout(str(error), retry_after=1)
    if isinstance(error, StorageUnavailable):
        return ServiceUnavailable(f"the store takes no writes now: {error}", retry_after=1)
    if isinstance(error, RecursionError):
        return BadRequest("the document is nested too deeply")
    log.error("%s %s failed (audit %s)", incoming.method, incoming.path, audit, exc_info=error)
    return InternalError(f"Internal error occurred, see the server's log for audit-id {audit}")


async def _compress(answer: Response, incoming: Incoming) -> None:
    """Large answers go compressed to clients that accept it; in a thread, which zlib leaves the interpreter for."""
    answer.headers.append(("vary", "accept-encoding"))
    if accepts_gzip(incoming.header("accept-encoding")):
        answer.body = await asyncio.to_thread(gzip.compress, answer.body, _COMPRESSION_LEVEL, mtime=0)
        answer.headers.append(("content-encoding", "gzip"))
