# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenAPI v2 in protobuf, as gnostic lays it out. Source: https://github.com/google/gnostic-models (``OpenAPIv2.proto``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import orjson

from kplane_server.model.errors import Json
from kplane_server.schema.protobuf import Codec

#: message → (number, name, type, kept), of the parts of a document that are written here.
_MESSAGES: Final[dict[str, list[tuple[int, str | None, str, int]]]] = {
    "Document": [(1, "swagger", "string", 1), (2, "info", "Info", 1), (8, "paths", "Paths", 1), (9, "definitions", "Properties", 1)],
    "Info": [(1, "title", "string", 1), (2, "version", "string", 1)],
    "Paths": [(2, "path", "[]NamedPathItem", 1)],
    "NamedPathItem": [(1, "name", "string", 1), (2, "value", "PathItem", 1)],
    "PathItem": [
        (2, "get", "Operation", 1),
        (3, "put", "Operation", 1),
        (4, "post", "Operation", 1),
        (5, "delete", "Operation", 1),
        (8, "patch", "Operation", 1),
        (9, "parameters", "[]ParametersItem", 1),
    ],
    "Operation": [
        (1, "tags", "[]string", 1),
        (3, "description", "string", 1),
        (5, "operationId", "string", 1),
        (6, "produces", "[]string", 1),
        (7, "consumes", "[]string", 1),
        (8, "parameters", "[]ParametersItem", 1),
        (9, "responses", "Responses", 1),
        (10, "schemes", "[]string", 1),
        (13, "extensions", "[]NamedAny", 1),
    ],
    "ParametersItem": [(1, "parameter", "Parameter", 1)],
    "Parameter": [(1, "body", "BodyParameter", 1), (2, "other", "NonBodyParameter", 1)],
    "BodyParameter": [(2, "name", "string", 1), (3, "in", "string", 1), (4, "required", "bool", 1), (5, "schema", "Schema", 1)],
    "NonBodyParameter": [(3, "query", "QueryParameter", 1), (4, "path", "PathParameter", 1)],
    "QueryParameter": [
        (1, "required", "bool", 1),
        (2, "in", "string", 1),
        (3, "description", "string", 1),
        (4, "name", "string", 1),
        (6, "type", "string", 1),
        (20, "uniqueItems", "bool", 1),
    ],
    "PathParameter": [
        (1, "required", "bool", 1),
        (2, "in", "string", 1),
        (3, "description", "string", 1),
        (4, "name", "string", 1),
        (5, "type", "string", 1),
        (19, "uniqueItems", "bool", 1),
    ],
    "Responses": [(1, "response_code", "[]NamedResponseValue", 1)],
    "NamedResponseValue": [(1, "name", "string", 1), (2, "value", "ResponseValue", 1)],
    "ResponseValue": [(1, "response", "Response", 1)],
    "Response": [(1, "description", "string", 1), (2, "schema", "SchemaItem", 1)],
    "SchemaItem": [(1, "schema", "Schema", 1)],
    "Schema": [
        (1, "$ref", "string", 1),
        (2, "format", "string", 1),
        (3, "title", "string", 1),
        (4, "description", "string", 1),
        (5, "default", "Any", 1),
        (6, "multipleOf", "double", 1),
        (7, "maximum", "double", 1),
        (8, "exclusiveMaximum", "bool", 1),
        (9, "minimum", "double", 1),
        (10, "exclusiveMinimum", "bool", 1),
        (11, "maxLength", "int64", 1),
        (12, "minLength", "int64", 1),
        (13, "pattern", "string", 1),
        (14, "maxItems", "int64", 1),
        (15, "minItems", "int64", 1),
        (16, "uniqueItems", "bool", 1),
        (17, "maxProperties", "int64", 1),
        (18, "minProperties", "int64", 1),
        (19, "required", "[]string", 1),
        (20, "enum", "[]Any", 1),
        (21, "additionalProperties", "AdditionalPropertiesItem", 1),
        (22, "type", "TypeItem", 1),
        (23, "items", "ItemsItem", 1),
        (24, "allOf", "[]Schema", 1),
        (25, "properties", "Properties", 1),
        (31, "extensions", "[]NamedAny", 1),
    ],
    "Properties": [(1, "named", "[]NamedSchema", 1)],
    "NamedSchema": [(1, "name", "string", 1), (2, "value", "Schema", 1)],
    "AdditionalPropertiesItem": [(1, "schema", "Schema", 1), (2, "boolean", "bool", 1)],
    "TypeItem": [(1, "value", "[]string", 1)],
    "ItemsItem": [(1, "schema", "[]Schema", 1)],
    "NamedAny": [(1, "name", "string", 1), (2, "value", "Any", 1)],
    "Any": [(2, "yaml", "string", 1)],
}

_CODEC: Final = Codec(_MESSAGES.__getitem__)


def encode_document(document: Json) -> bytes:
    """The bytes of a v2 document, or of some of its parts."""
    made = {key: document[key] for key in ("swagger", "info") if key in document}
    made["paths"] = {"path": named(document["paths"], _path_item)}
    made["definitions"] = {"named": named(document["definitions"], _schema)}
    return _CODEC.encode("Document", made)


def named(entries: Json, form: Callable[[Json], Json]) -> list[Json]:
    """A map, which gnostic lays out as a list."""
    return [{"name": name, "value": form(value)} for name, value in entries.items()]


def any_value(value: Json) -> Json:
    """A value that has no type of its own."""
    return {"yaml": orjson.dumps(value).decode() + "\n"}  # JSON is YAML


def extensions(document: Json) -> list[Json]:
    """What begins with ``x-``."""
    return [{"name": key, "value": any_value(value)} for key, value in document.items() if key.startswith("x-")]


def _path_item(item: Json) -> Json:
    made = {method: _operation(operation) for method, operation in item.items() if method != "parameters"}
    return made | {"parameters": [_parameter(parameter) for parameter in item.get("parameters", ())]}


def _operation(operation: Json) -> Json:
    responses = {code: response | {"schema": _schema(response["schema"])} if "schema" in response else response
                 for code, response in operation["responses"].items()}  # fmt: skip
    return operation | {
        "parameters": [_parameter(parameter) for parameter in operation["parameters"]],
        "responses": {"response_code": named(responses, _response)},
        "extensions": extensions(operation),
    }


def _response(response: Json) -> Json:
    made = {"description": response["description"]}
    return {"response": made | ({"schema": {"schema": response["schema"]}} if "schema" in response else {})}


def _parameter(parameter: Json) -> Json:
    if parameter["in"] == "body":
        return {"parameter": {"body": parameter | {"schema": _schema(parameter["schema"])}}}
    return {"parameter": {"other": {parameter["in"]: parameter}}}


def _schema(schema: Json) -> Json:
    made = dict(schema)
    if "default" in made:
        made["default"] = any_value(made["default"])
    if "enum" in made:
        made["enum"] = [any_value(value) for value in made["enum"]]
    if "type" in made:
        made["type"] = {"value": [made["type"]]}
    if "items" in made:
        made["items"] = {"schema": [_schema(made["items"])]}
    if "allOf" in made:
        made["allOf"] = [_schema(child) for child in made["allOf"]]
    if "properties" in made:
        made["properties"] = {"named": named(made["properties"], _schema)}
    if "additionalProperties" in made:
        extra = made["additionalProperties"]
        made["additionalProperties"] = {"boolean": extra} if isinstance(extra, bool) else {"schema": _schema(extra)}
    made["extensions"] = extensions(schema)
    return made
