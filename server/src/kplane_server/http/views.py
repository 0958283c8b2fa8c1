# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is made of objects for an answer: as they are (bytes joined, no JSON work), as a Table, or as their metadata alone.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson
import yaml

from kplane_server.http.negotiation import META_GROUP, PROTOBUF, YAML, Accepted, Encoding, View, not_acceptable
from kplane_server.http.response import JSON, Headers, Response
from kplane_server.http.watchstream import JsonLines
from kplane_server.model.errors import BadRequest, InternalError, Json
from kplane_server.registry import wire
from kplane_server.registry.listing import ListResult
from kplane_server.registry.resource import ResourceInfo
from kplane_server.registry.tables import to_table
from kplane_server.schema.protobuf import watch_frame

INCLUDE_OBJECT: Final = ("Metadata", "Object", "None")

_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def include_object(query: Mapping[str, str]) -> str:
    """The ``includeObject`` parameter of a Table request."""
    value = query.get("includeObject") or "Metadata"
    if value not in INCLUDE_OBJECT:
        raise BadRequest(f'invalid includeObject value: {value[:64]!r}: must be "None", "Metadata" or "Object"')
    return value


def object_response(
    info: ResourceInfo, value: bytes, accepted: Accepted, query: Mapping[str, str], *, status: int = 200, headers: Headers | None = None
) -> Response:
    """An answer with one object."""
    if accepted.view is View.TABLE:
        document = orjson.loads(value)
        table = to_table(info, [document], include_object(query), accepted.version)
        table["metadata"] = {"resourceVersion": document["metadata"].get("resourceVersion", "")}
        value = orjson.dumps(table)
    elif accepted.view is View.METADATA:
        value = orjson.dumps(partial(orjson.loads(value), accepted.version))
    return encoded(value, accepted, status, headers)


def list_response(
    info: ResourceInfo, result: ListResult, accepted: Accepted, query: Mapping[str, str], headers: Headers | None = None
) -> Response:
    """An answer with a collection."""
    metadata: Json = {"resourceVersion": str(result.revision)}
    if result.continue_token:
        metadata["continue"] = result.continue_token
    if result.remaining is not None and result.continue_token:
        metadata["remainingItemCount"] = result.remaining
    if accepted.view is View.TABLE:
        table = to_table(info, [orjson.loads(item.value) for item in result.items], include_object(query), accepted.version)
        table["metadata"] = metadata
        return encoded(orjson.dumps(table), accepted, headers=headers)
    if accepted.view is View.METADATA_LIST:
        document = {
            "kind": "PartialObjectMetadataList",
            "apiVersion": f"{META_GROUP}/{accepted.version}",
            "metadata": metadata,
            "items": [partial(orjson.loads(item.value), accepted.version) for item in result.items],
        }
        return encoded(orjson.dumps(document), accepted, headers=headers)
    head = b'{"kind":"%b","apiVersion":"%b","metadata":%b,"items":[' % (
        (info.list_kind or info.kind + "List").encode(),
        str(info.group_version).encode(),
        orjson.dumps(metadata),
    )
    return encoded(b"%b%b]}" % (head, b",".join([item.value for item in result.items])), accepted, headers=headers)


def partial(document: Json, version: str) -> Json:
    """The metadata of an object, as an object."""
    return {"kind": "PartialObjectMetadata", "apiVersion": f"{META_GROUP}/{version}", "metadata": document["metadata"]}


def encoded(value: bytes, accepted: Accepted, status: int = 200, headers: Headers | None = None) -> Response:
    """JSON bytes in the encoding that was asked for."""
    given = headers if headers is not None else []
    if accepted.encoding is Encoding.JSON:
        return Response(status, value, JSON, given)
    document = orjson.loads(value)
    if accepted.encoding is Encoding.YAML:
        text = yaml.dump(document, Dumper=_Dumper, default_flow_style=False, allow_unicode=True)
        return Response(status, text.encode(), YAML, given)
    message = wire.encode(document)
    if message is None:
        raise not_acceptable()
    return Response(status, message, PROTOBUF, given)


class MetadataView(JsonLines):
    """A watch of metadata alone."""

    __slots__ = ("_version", "form")

    def __init__(self, version: str) -> None:
        self._version = version
        self.form = f"metadata {version}"

    def object(self, value: bytes) -> bytes:
        return orjson.dumps(partial(orjson.loads(value), self._version))

    bookmark = object


class TableView(JsonLines):
    """A watch of Tables of one row; only the first has column definitions, as upstream."""

    __slots__ = ("_include", "_info", "_started", "_version")

    form: Final = None

    def __init__(self, info: ResourceInfo, version: str, include: str) -> None:
        self._info, self._version, self._include = info, version, include
        self._started = False

    def object(self, value: bytes) -> bytes:
        document = orjson.loads(value)
        table = to_table(self._info, [document], self._include, self._version)
        table["metadata"] = {"resourceVersion": document["metadata"]["resourceVersion"]}
        if self._started:
            table["columnDefinitions"] = None
        self._started = True
        return orjson.dumps(table)

    def bookmark(self, value: bytes) -> bytes:
        metadata = orjson.loads(value)["metadata"]
        kind = {"kind": "Table", "apiVersion": f"{META_GROUP}/{self._version}"}
        return orjson.dumps({**kind, "metadata": metadata, "columnDefinitions": None, "rows": []})


class ProtobufView:
    """A watch in protobuf: length-delimited frames."""

    __slots__ = ()

    form: Final = "protobuf"

    content_type = f"{PROTOBUF};stream=watch"

    def object(self, value: bytes) -> bytes:
        message = wire.encode(orjson.loads(value))
        if message is None:
            raise InternalError("an object of this watch has no protobuf form")
        return message

    bookmark = object

    def frame(self, kind: str, document: bytes) -> bytes:
        return watch_frame(kind, document)

    def error(self, status: Json) -> bytes:
        return watch_frame("ERROR", wire.encode(status) or b"")
