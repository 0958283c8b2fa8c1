# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``/snapshot``: what a control plane holds, at one revision, as one JSON document that is written while it is read.

Who may get the path sees in it what they may list in all namespaces, and nothing else; what they may not is named. A document that is
whole ends with ``"complete":true``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final

import orjson

from kplane_server.access.attributes import Attributes, forbidden
from kplane_server.http.call import Answer, Call
from kplane_server.http.inflight import InFlight
from kplane_server.http.request import parse_flag
from kplane_server.http.response import Outlet, StreamResponse
from kplane_server.model.errors import ApiError, BadRequest, Expired, Json
from kplane_server.registry import snapshot
from kplane_server.registry.resource import ResourceInfo
from kplane_server.storage.api import Compacted, UnknownVcp

#: Snapshots that are written at once: by the server, and of one control plane.
MOST: Final = 16
MOST_EACH: Final = 2
#: Bytes are gathered up to this size before they are sent.
CHUNK: Final = 64 * 1024
_KNOWN: Final = frozenset({"resource", "includeEmpty"})


class Snapshots:
    """The handler, with its bounds."""

    def __init__(self) -> None:
        self._open = InFlight(MOST, MOST_EACH, "snapshots")

    def get(self, call: Call) -> Answer:
        """A stream of the whole, or of the collections that ``resource`` names, separated by commas."""
        if unknown := sorted(call.query.keys() - _KNOWN):
            raise BadRequest(f"unknown parameter {unknown[0][:64]!r}: a snapshot takes resource and includeEmpty")
        names = [name for name in call.query.get("resource", "").split(",") if name]
        allowed, denied = _sorted_by_right(call, snapshot.rows(call.plane.api.registry, names))
        if names and denied:
            raise forbidden(call.user, _question(denied[0]))
        writer = _Writer(call, allowed, denied, parse_flag(call.query.get("includeEmpty")))
        plane = call.plane.record.id
        self._open.enter(plane)
        headers = [("x-snapshot-cluster", call.plane.name), ("x-snapshot-time", writer.time)]
        return StreamResponse(writer.run, lambda: self._open.leave(plane), headers=headers)


def _question(row: ResourceInfo) -> Attributes:
    return Attributes("list", row.group, row.version, row.resource)


def _sorted_by_right(call: Call, rows: list[ResourceInfo]) -> tuple[list[ResourceInfo], list[ResourceInfo]]:
    """What may be listed in all namespaces, and what may not."""
    allowed: list[ResourceInfo] = []
    denied: list[ResourceInfo] = []
    for row in rows:
        decision = call.plane.authorizer.authorize(call.user, _question(row))
        (allowed if decision.allowed else denied).append(row)
    return allowed, denied


class _Writer:
    """One snapshot."""

    def __init__(self, call: Call, allowed: list[ResourceInfo], denied: list[ResourceInfo], empty: bool) -> None:
        self._registry = call.plane.api.registry
        self._revision = self._registry.store.revision
        self._rows = allowed
        self._empty = empty
        self._live = 0
        self._inside = False
        self.time = _nanoseconds(time.time_ns())
        self._head: dict[str, Json] = {
            "cluster": call.plane.name,
            "snapshotTime": self.time,
            "resourceVersion": str(self._revision),
            "forbidden": [str(row.group_resource) for row in denied],
        }

    async def run(self, outlet: Outlet) -> None:
        gathered: list[bytes] = []
        size = 0
        async for part in self._parts():
            gathered.append(part)
            size += len(part)
            if size >= CHUNK:
                await outlet.send(b"".join(gathered))
                gathered, size = [], 0
        await outlet.send(b"".join(gathered))

    async def _parts(self) -> AsyncIterator[bytes]:
        yield orjson.dumps(self._head)[:-1] + b',"resources":['
        end = b'"complete":true}'
        try:
            for row in self._rows:
                async for part in self._collection(row):
                    yield part
        except UnknownVcp:
            return  # it is gone, and the document stays a torso
        except Compacted as error:
            end = _incomplete(Expired(f"the state of revision {self._revision} is no longer kept: {error}"))
        except ApiError as error:
            end = _incomplete(error)
        yield (b"]}" if self._inside else b"") + b'],"liveResources":%d,' % self._live + end

    async def _collection(self, row: ResourceInfo) -> AsyncIterator[bytes]:
        """A collection; nothing for an empty one, unless those are wanted."""
        about = {"group": row.group, "version": row.version, "resource": row.resource, "kind": row.kind}
        opened = (b"," if self._live else b"") + orjson.dumps(about)[:-1] + b',"items":['
        count = 0
        async for items in snapshot.pages(self._registry, row, self._revision):
            if items:
                self._inside = True
                yield (b"," if count else opened) + b",".join(items)
                count += len(items)
            await asyncio.sleep(0)  # others get their turn
        self._inside = False
        if count or self._empty:
            self._live += 1
            yield (b"" if count else opened) + b'],"itemCount":%d}' % count


def _incomplete(error: ApiError) -> bytes:
    return b'"complete":false,"error":%b}' % orjson.dumps(error.status())


def _nanoseconds(moment: int) -> str:
    """RFC 3339 with nanoseconds."""
    seconds, rest = divmod(moment, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
