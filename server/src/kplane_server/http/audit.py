# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit trail of requests: what is noted while one is on its way. Events are encoded and written elsewhere (``auditlog``).

A request is noted once somebody has been asked who makes it; before that there is nobody to hold to account.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, NamedTuple

from kplane_server.access.attributes import Decision
from kplane_server.http.auditpolicy import AuditPolicy, Level, Verdict
from kplane_server.http.request import Incoming
from kplane_server.http.response import Response, StreamResponse
from kplane_server.http.routing import ApiRequest
from kplane_server.model.identity import UserInfo

#: The longest texts of a client that are kept.
MAX_TEXT: Final = 4096


class Trace(NamedTuple):
    """One event to write, with nothing encoded yet."""

    stage: str
    at: float
    audited: Audited
    code: int
    body: bytes | None


class Audited:
    """A request that is audited: the incoming one, which it stands for, and what has become known of it."""

    __slots__ = (
        "_chunks",
        "agent",
        "annotations",
        "client",
        "content_type",
        "decision",
        "id",
        "impersonated",
        "incoming",
        "method",
        "path",
        "query_string",
        "received",
        "request",
        "user",
        "vcp",
        "verdict",
    )

    def __init__(self, incoming: Incoming, audit_id: str, vcp: str, request: ApiRequest, user: UserInfo | None, verdict: Verdict) -> None:
        self.incoming = incoming
        self.method, self.path, self.query_string, self.client = incoming.method, incoming.path, incoming.query_string, incoming.client
        self.agent = (incoming.header("user-agent") or "")[:MAX_TEXT]  # now: the event is encoded in another thread
        self.content_type = incoming.header("content-type") or ""
        self.id = audit_id
        self.vcp = vcp
        self.request = request
        self.user = user
        self.verdict = verdict
        self.impersonated: UserInfo | None = None
        self.decision: Decision | None = None
        self.annotations: dict[str, str] = {}
        self.received = time.time()
        self._chunks: list[bytes] = []

    # -- stands for the incoming request, and keeps its body where it is to be told

    def header(self, name: str) -> str | None:
        return self.incoming.header(name)

    def header_values(self, name: str) -> list[str]:
        return self.incoming.header_values(name)

    def header_names(self) -> list[str]:
        return self.incoming.header_names()

    def headers(self) -> list[tuple[str, str]]:
        return self.incoming.headers()

    async def body_chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self.incoming.body_chunks():
            if self.verdict.level >= Level.REQUEST:
                self._chunks.append(chunk)
            yield chunk

    async def read_body(self) -> bytes:
        body = await self.incoming.read_body()
        if self.verdict.level >= Level.REQUEST:
            self._chunks = [body]
        return body

    @property
    def body(self) -> bytes:
        """What of the body has been read."""
        return b"".join(self._chunks)

    def note(self, annotations: dict[str, str]) -> None:
        """Annotations that admission writes while the request is under way: the dictionary itself, which fills later."""
        self.annotations = annotations


class Auditor:
    """Judges requests by a policy, and hands what is to be told of them to ``emit``, which must not wait."""

    def __init__(self, policy: AuditPolicy, emit: Callable[[Trace], None]) -> None:
        self._policy = policy
        self._emit = emit

    def trail(self, incoming: Incoming, audit_id: str, vcp: str) -> Trail:
        """Where a request leaves its marks."""
        return Trail(self, incoming, audit_id, vcp)

    def begin(self, incoming: Incoming, audit_id: str, vcp: str, request: ApiRequest, user: UserInfo | None) -> Audited | None:
        """Note a request, if the policy wants it."""
        verdict = self._policy.judge(user, request)
        if verdict.level is Level.NONE:
            return None
        audited = Audited(incoming, audit_id, vcp, request, user, verdict)
        self._tell(audited, "RequestReceived", 0, None)
        return audited

    def finish(self, audited: Audited, answer: Response | StreamResponse) -> None:
        """Note the answer; of a stream its beginning now, and its end when it comes."""
        if isinstance(answer, Response):
            self._tell(audited, "ResponseComplete", answer.status, answer.body)
            return
        self._tell(audited, "ResponseStarted", answer.status, None)
        status, close = answer.status, answer.close

        def closed() -> None:
            close()
            self._tell(audited, "ResponseComplete", status, None)

        answer.close = closed

    def abandon(self, audited: Audited) -> None:
        """Note that the client left before it was answered; what it asked for may have been done."""
        audited.note({**audited.annotations, "kplane.dev/outcome": "the client left before the answer"})
        self._tell(audited, "ResponseComplete", 0, None)

    def _tell(self, audited: Audited, stage: str, code: int, body: bytes | None) -> None:
        if stage not in audited.verdict.omit_stages:
            self._emit(Trace(stage, time.time(), audited, code, body))


class Trail:
    """The marks of one request. All of them do nothing for a request that the policy does not want."""

    __slots__ = ("_audited", "_auditor", "_id", "_incoming", "_vcp")

    def __init__(self, auditor: Auditor, incoming: Incoming, audit_id: str, vcp: str) -> None:
        self._auditor = auditor
        self._incoming = incoming
        self._id = audit_id
        self._vcp = vcp
        self._audited: Audited | None = None

    def begin(self, request: ApiRequest, user: UserInfo | None) -> Incoming:
        """It is known who asks for what (None: their credential is bad). The answer stands for the incoming request from here on."""
        self._audited = self._auditor.begin(self._incoming, self._id, self._vcp, request, user)
        return self._incoming if self._audited is None else self._audited

    def impersonated(self, user: UserInfo) -> None:
        if self._audited is not None:
            self._audited.impersonated = user

    def decided(self, decision: Decision) -> None:
        if self._audited is not None:
            self._audited.decision = decision

    def finish(self, answer: Response | StreamResponse) -> None:
        if self._audited is not None:
            self._auditor.finish(self._audited, answer)

    def abandon(self) -> None:
        if self._audited is not None:
            self._auditor.abandon(self._audited)


def identity(user: UserInfo) -> dict[str, Any]:
    """A user as events show it."""
    shown: dict[str, Any] = {"username": user.name}
    if user.uid:
        shown["uid"] = user.uid
    shown["groups"] = list(user.groups)
    if user.extra:
        shown["extra"] = {key: list(values) for key, values in user.extra.items()}
    return shown
