# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The OpenAPI v2 document of a control plane, as JSON and in the protobuf form of gnostic, which is what clients ask for.

It is made of two parts: that of the built-in kinds, made once for all control planes and kept compressed, and that of a control
plane's custom kinds. In protobuf the parts are simply put together, for messages that follow each other merge.
Source: https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-v2
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import orjson

from kplane_server.model.errors import Json
from kplane_server.model.resources import GroupVersion
from kplane_server.registry import openapi
from kplane_server.registry.catalog import BUILTIN, KUBERNETES_VERSION
from kplane_server.registry.gnostic import encode_document
from kplane_server.registry.openapi import CustomKind

PROTOBUF_TYPE: Final = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
#: The name that clients ask for still, though an @ may not stand in a media type.
PROTOBUF_TYPES: Final = (PROTOBUF_TYPE, "application/com.github.proto-openapi.spec.v2@v1.0+protobuf")

_HEAD: Final = {"swagger": "2.0", "info": {"title": "Kubernetes", "version": f"v{KUBERNETES_VERSION}"}}
_METHODS: Final = frozenset({"get", "put", "post", "delete", "patch"})
_REFERENCE: Final = "#/components/schemas/"

#: What the v2 schema object has no word for; upstream drops them from custom kinds too.
_DROPPED: Final = frozenset({"nullable", "oneOf", "anyOf", "not"})


class _Part(NamedTuple):
    """Paths and definitions in their v2 form."""

    paths: dict[str, Json]
    definitions: dict[str, Json]


def json_document(custom: Mapping[GroupVersion, Sequence[CustomKind]]) -> bytes:
    """The document as JSON."""
    paths, definitions = (zlib.decompress(part) for part in _builtin_json())
    if custom:
        extra = _custom_part(custom)
        paths, definitions = _joined(paths, extra.paths), _joined(definitions, extra.definitions)
    return b'%b,"paths":%b,"definitions":%b}' % (orjson.dumps(_HEAD)[:-1], paths, definitions)


def protobuf_document(custom: Mapping[GroupVersion, Sequence[CustomKind]]) -> bytes:
    """The document in protobuf."""
    document = zlib.decompress(_builtin_protobuf())
    return document + encode_document(_custom_part(custom)._asdict()) if custom else document


def _joined(text: bytes, more: Mapping[str, Json]) -> bytes:
    return text[:-1] + b"," + orjson.dumps(dict(more))[1:] if more else text


@lru_cache(maxsize=1)
def _builtin_json() -> tuple[bytes, bytes]:
    part = _builtin_part()
    return zlib.compress(orjson.dumps(part.paths)), zlib.compress(orjson.dumps(part.definitions))


@lru_cache(maxsize=1)
def _builtin_protobuf() -> bytes:
    return zlib.compress(encode_document({**_HEAD, **_builtin_part()._asdict()}))


def _builtin_part() -> _Part:
    part = _Part({}, {})
    for group, versions in BUILTIN.groups().items():
        for version in versions:
            document = openapi.builtin_document(group, version)
            if document is not None:
                _add(part, orjson.loads(document))
    return part


def _custom_part(custom: Mapping[GroupVersion, Sequence[CustomKind]]) -> _Part:
    part = _Part({}, {})
    for gv, kinds in custom.items():
        _add(part, orjson.loads(openapi.custom_document(gv.group, gv.version, kinds)))
    for name in _builtin_names() & part.definitions.keys():
        del part.definitions[name]  # the built-in part has it
    return part


@lru_cache(maxsize=1)
def _builtin_names() -> frozenset[str]:
    return frozenset(orjson.loads(zlib.decompress(_builtin_json()[1])))


def _add(part: _Part, document: Json) -> None:
    for path, item in document["paths"].items():
        part.paths[path] = _path_item(item)
    for name, schema in document["components"]["schemas"].items():
        if name not in part.definitions:
            part.definitions[name] = _schema(schema)


# -- from v3 to v2


def _path_item(item: Json) -> Json:
    made = {method: _operation(operation) for method, operation in item.items() if method in _METHODS}
    if parameters := item.get("parameters"):
        made["parameters"] = [_parameter(parameter) for parameter in parameters]
    return made


def _operation(operation: Json) -> Json:
    made = {key: value for key, value in operation.items() if key not in ("parameters", "requestBody", "responses")}
    parameters = [_parameter(parameter) for parameter in operation.get("parameters", ())]
    consumes: Iterable[str] = ("*/*",)
    if body := operation.get("requestBody"):
        consumes, schema = _content(body["content"])
        parameters.insert(0, {"name": "body", "in": "body", "schema": schema} | ({"required": True} if body.get("required") else {}))
    produces: list[str] = []
    responses: dict[str, Json] = {}
    for code, response in operation["responses"].items():
        responses[code] = {"description": response["description"]}
        if content := response.get("content"):
            types, schema = _content(content)
            produces += [content_type for content_type in types if content_type not in produces]
            responses[code]["schema"] = schema
    return made | {
        "consumes": list(consumes),
        "produces": produces,
        "schemes": ["https"],
        "parameters": parameters,
        "responses": responses,
    }


def _content(content: Json) -> tuple[list[str], Json]:
    """The media types of a v3 content, and its schema, which is one for all of them."""
    return list(content), _schema(next(iter(content.values()))["schema"])


def _parameter(parameter: Json) -> Json:
    return {key: value for key, value in parameter.items() if key != "schema"} | parameter["schema"]


def _schema(schema: Json) -> Json:
    """A schema object: references by their v2 names, a lone ``allOf`` as the reference that it wraps, no words that v2 lacks."""
    made: dict[str, Json] = {}
    for key, value in schema.items():
        if key == "$ref":
            made[key] = "#/definitions/" + value.removeprefix(_REFERENCE)
        elif key == "allOf" and len(value) == 1 and "$ref" in value[0]:
            made.update(_schema(value[0]))
        elif key == "properties":
            made[key] = {name: _schema(child) for name, child in value.items()}
        elif key in ("items", "additionalProperties"):
            made[key] = _schema(value) if isinstance(value, dict) else value
        elif key == "allOf":
            made[key] = [_schema(child) for child in value]
        elif key not in _DROPPED:
            made[key] = value
    return made
