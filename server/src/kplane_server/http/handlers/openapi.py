# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenAPI v3 and v2: the index of a control plane, and its documents, which are built in a thread when somebody asks."""

from __future__ import annotations

import asyncio
from typing import Final

import orjson

from kplane_server.http.call import Answer, Call, Waits
from kplane_server.http.discovery import Document, make_document
from kplane_server.http.handlers.documents import conditional
from kplane_server.http.negotiation import JSON, accepts_type, require_json
from kplane_server.http.response import Response
from kplane_server.http.routing import path_not_found
from kplane_server.model.resources import GroupVersion
from kplane_server.registry import openapi, openapi_v2
from kplane_server.registry.custom_rows import CustomResourceInfo
from kplane_server.registry.openapi import CustomKind
from kplane_server.vcp.controlplane import ControlPlane

_CACHE: Final = "http.openapi"
#: Documents are made for a hash that is part of their URL, so they never change there (upstream: a year).
_IMMUTABLE: Final = ("cache-control", "public, max-age=31536000, immutable")

CustomKinds = dict[GroupVersion, list[CustomKind]]


class OpenApi:
    """The handlers of ``/openapi``."""

    def __init__(self) -> None:
        self._building = asyncio.Lock()  # one at a time: a document costs tens of milliseconds and megabytes
        self._builtin_index: Document | None = None

    def handle(self, call: Call) -> Answer | Waits:
        """``/openapi/v3``, ``/openapi/v3/<group version>`` and ``/openapi/v2``."""
        parts = call.request.path.strip("/").split("/")
        if parts[1:] == ["v2"]:
            return self._v2(call)
        if parts[1:2] != ["v3"] or len(parts) not in (2, 4, 5):
            raise path_not_found()
        if len(parts) == 2:
            return conditional(call, self._index(call.plane))
        if len(parts) == 4 and parts[2] == "api":
            return self._document(call, GroupVersion("", parts[3]))
        if len(parts) == 5 and parts[2] == "apis":
            return self._document(call, GroupVersion(parts[3], parts[4]))
        raise path_not_found()

    def _index(self, plane: ControlPlane) -> Document:
        custom = custom_kinds(plane)
        if not custom:
            if self._builtin_index is None:
                self._builtin_index = make_document(orjson.dumps(openapi.index({})))
            return self._builtin_index
        generation = plane.api.resources.generation
        cached = plane.caches.get(_CACHE)
        if isinstance(cached, tuple) and cached[0] == generation:
            found: Document = cached[1]
            return found
        made = make_document(orjson.dumps(openapi.index(custom)))
        plane.caches[_CACHE] = (generation, made)
        return made

    async def _document(self, call: Call, gv: GroupVersion) -> Answer:
        accept = call.incoming.header("accept")
        protobuf = any(accepts_type(accept, name) for name in openapi.PROTOBUF_TYPES)
        if not protobuf:
            require_json(accept)
        kinds = custom_kinds(call.plane).get(gv)
        digest = openapi.custom_hash(kinds) if kinds else openapi.builtin_hash(gv)
        etag = f'"{digest}{"-pb" if protobuf else ""}"'
        if call.incoming.header("if-none-match") == etag:
            return Response(304, headers=[("etag", etag), _IMMUTABLE])
        async with self._building:
            if kinds:
                custom = openapi.custom_protobuf if protobuf else openapi.custom_document
                body: bytes | None = await asyncio.to_thread(custom, gv.group, gv.version, kinds)
            else:
                builtin = openapi.builtin_protobuf if protobuf else openapi.builtin_document
                body = await asyncio.to_thread(builtin, gv.group, gv.version)
        if body is None:
            raise path_not_found()
        headers = [("etag", etag), ("vary", "accept")]
        if call.query.get("hash") == digest:
            headers.append(_IMMUTABLE)
        return Response(200, body, openapi.PROTOBUF_TYPE if protobuf else JSON, headers)

    async def _v2(self, call: Call) -> Answer:
        """The one document of v2, in protobuf where the client takes it: gnostic's form is what clients of Kubernetes read."""
        accept = call.incoming.header("accept")
        protobuf = any(accepts_type(accept, name) for name in openapi_v2.PROTOBUF_TYPES)
        if not protobuf:
            require_json(accept)
        custom = custom_kinds(call.plane)
        etag = f'"{openapi.index_hash(custom)}{"-pb" if protobuf else ""}"'
        headers = [("etag", etag), ("vary", "accept")]
        if call.incoming.header("if-none-match") == etag:
            return Response(304, headers=headers)
        make = openapi_v2.protobuf_document if protobuf else openapi_v2.json_document
        async with self._building:
            body = await asyncio.to_thread(make, custom)
        return Response(200, body, openapi_v2.PROTOBUF_TYPE if protobuf else JSON, headers)


def custom_kinds(plane: ControlPlane) -> CustomKinds:
    """The custom resources of a control plane by group version."""
    found: CustomKinds = {}
    for row in plane.api.resources.custom.catalog:
        if isinstance(row, CustomResourceInfo):
            found.setdefault(row.group_version, []).append(CustomKind(row, orjson.loads(row.schema_text) or None))
    return found
