# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenAPI v3 in protobuf, as gnostic lays it out. Source: https://github.com/google/gnostic-models (``OpenAPIv3.proto``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from kplane_server.model.errors import Json
from kplane_server.registry.gnostic import any_value, extensions, named
from kplane_server.schema.protobuf import Codec

_METHODS: Final = ("get", "put", "post", "delete", "patch")

#: message → (number, name, type, kept), of the parts of a document that are written here.
_MESSAGES: Final[dict[str, list[tuple[int, str | None, str, int]]]] = {
    "Document": [(1, "openapi", "string", 1), (2, "info", "Info", 1), (4, "paths", "Paths", 1), (5, "components", "Components", 1)],
    "Info": [(1, "title", "string", 1), (6, "version", "string", 1)],
    "Paths": [(1, "path", "[]NamedPathItem", 1)],
    "NamedPathItem": [(1, "name", "string", 1), (2, "value", "PathItem", 1)],
    "PathItem": [
        (4, "get", "Operation", 1),
        (5, "put", "Operation", 1),
        (6, "post", "Operation", 1),
        (7, "delete", "Operation", 1),
        (10, "patch", "Operation", 1),
        (13, "parameters", "[]ParameterOrReference", 1),
    ],
    "Operation": [
        (1, "tags", "[]string", 1),
        (3, "description", "string", 1),
        (5, "operationId", "string", 1),
        (6, "parameters", "[]ParameterOrReference", 1),
        (7, "requestBody", "RequestBodyOrReference", 1),
        (8, "responses", "Responses", 1),
        (13, "extensions", "[]NamedAny", 1),
    ],
    "ParameterOrReference": [(1, "parameter", "Parameter", 1)],
    "Parameter": [
        (1, "name", "string", 1),
        (2, "in", "string", 1),
        (3, "description", "string", 1),
        (4, "required", "bool", 1),
        (10, "schema", "SchemaOrReference", 1),
    ],
    "RequestBodyOrReference": [(1, "request_body", "RequestBody", 1)],
    "RequestBody": [(2, "content", "MediaTypes", 1), (3, "required", "bool", 1)],
    "MediaTypes": [(1, "named", "[]NamedMediaType", 1)],
    "NamedMediaType": [(1, "name", "string", 1), (2, "value", "MediaType", 1)],
    "MediaType": [(1, "schema", "SchemaOrReference", 1)],
    "Responses": [(2, "named", "[]NamedResponseOrReference", 1)],
    "NamedResponseOrReference": [(1, "name", "string", 1), (2, "value", "ResponseOrReference", 1)],
    "ResponseOrReference": [(1, "response", "Response", 1)],
    "Response": [(1, "description", "string", 1), (3, "content", "MediaTypes", 1)],
    "Components": [(1, "schemas", "Properties", 1), (7, "securitySchemes", "SecuritySchemes", 1)],
    "SecuritySchemes": [(1, "named", "[]NamedSecurityScheme", 1)],
    "NamedSecurityScheme": [(1, "name", "string", 1), (2, "value", "SecuritySchemeOrReference", 1)],
    "SecuritySchemeOrReference": [(1, "security_scheme", "SecurityScheme", 1)],
    "SecurityScheme": [(1, "type", "string", 1), (2, "description", "string", 1), (3, "name", "string", 1), (4, "in", "string", 1)],
    "SchemaOrReference": [(1, "schema", "Schema", 1), (2, "reference", "Reference", 1)],
    "Reference": [(1, "$ref", "string", 1)],
    "Schema": [
        (1, "nullable", "bool", 1),
        (7, "example", "Any", 1),
        (9, "title", "string", 1),
        (10, "multipleOf", "double", 1),
        (11, "maximum", "double", 1),
        (12, "exclusiveMaximum", "bool", 1),
        (13, "minimum", "double", 1),
        (14, "exclusiveMinimum", "bool", 1),
        (15, "maxLength", "int64", 1),
        (16, "minLength", "int64", 1),
        (17, "pattern", "string", 1),
        (18, "maxItems", "int64", 1),
        (19, "minItems", "int64", 1),
        (20, "uniqueItems", "bool", 1),
        (21, "maxProperties", "int64", 1),
        (22, "minProperties", "int64", 1),
        (23, "required", "[]string", 1),
        (24, "enum", "[]Any", 1),
        (25, "type", "string", 1),
        (26, "allOf", "[]SchemaOrReference", 1),
        (27, "oneOf", "[]SchemaOrReference", 1),
        (28, "anyOf", "[]SchemaOrReference", 1),
        (29, "not", "Schema", 1),
        (30, "items", "ItemsItem", 1),
        (31, "properties", "Properties", 1),
        (32, "additionalProperties", "AdditionalPropertiesItem", 1),
        (33, "default", "DefaultType", 1),
        (34, "description", "string", 1),
        (35, "format", "string", 1),
        (36, "extensions", "[]NamedAny", 1),
    ],
    "ItemsItem": [(1, "schemas", "[]SchemaOrReference", 1)],
    "Properties": [(1, "named", "[]NamedSchema", 1)],
    "NamedSchema": [(1, "name", "string", 1), (2, "value", "SchemaOrReference", 1)],
    "AdditionalPropertiesItem": [(1, "schema", "SchemaOrReference", 1), (2, "boolean", "bool", 1)],
    "DefaultType": [(1, "number", "double", 1), (2, "boolean", "bool", 1), (3, "string", "string", 1)],
    "NamedAny": [(1, "name", "string", 1), (2, "value", "Any", 1)],
    "Any": [(2, "yaml", "string", 1)],
}

_CODEC: Final = Codec(_MESSAGES.__getitem__)


def encode_document(document: Json) -> bytes:
    """The bytes of a v3 document."""
    made = {"openapi": document["openapi"], "info": document["info"]}
    made["paths"] = {"path": named(document["paths"], _path_item)}
    components = document["components"]
    made["components"] = {
        "schemas": {"named": named(components["schemas"], _reference_or_schema)},
        "securitySchemes": {"named": named(components["securitySchemes"], _wrapped("security_scheme"))},
    }
    return _CODEC.encode("Document", made)


def _wrapped(kind: str, form: Callable[[Json], Json] = lambda value: value) -> Callable[[Json], Json]:
    """The choice between a thing and a reference to it, where it is always the thing."""
    return lambda value: {kind: form(value)}


def _path_item(item: Json) -> Json:
    made = {method: _operation(item[method]) for method in _METHODS if method in item}
    return made | {"parameters": [_parameter(parameter) for parameter in item.get("parameters", ())]}


def _operation(operation: Json) -> Json:
    made = operation | {
        "parameters": [_parameter(parameter) for parameter in operation.get("parameters", ())],
        "responses": {"named": named(operation["responses"], _wrapped("response", _content))},
        "extensions": extensions(operation),
    }
    if "requestBody" in operation:
        made["requestBody"] = {"request_body": _content(operation["requestBody"])}
    return made


def _parameter(parameter: Json) -> Json:
    return {"parameter": parameter | {"schema": _reference_or_schema(parameter["schema"])}}


def _content(holder: Json) -> Json:
    """A request or a response: what it holds by media type."""
    if "content" not in holder:
        return holder
    types = named(holder["content"], lambda media: {"schema": _reference_or_schema(media["schema"])})
    return holder | {"content": {"named": types}}


def _reference_or_schema(schema: Json) -> Json:
    return {"reference": {"$ref": schema["$ref"]}} if "$ref" in schema else {"schema": _schema(schema)}


def _schema(schema: Json) -> Json:
    made = {key: form(schema[key]) for key, form in _FORMS.items() if key in schema}
    return {**schema, **made, "extensions": extensions(schema)}


def _additional(value: Json) -> Json:
    return {"boolean": value} if isinstance(value, bool) else {"schema": _reference_or_schema(value)}


def _default(value: Json) -> Json:
    """Gnostic has no place for a default that is a list or a map: there it says only that there is one."""
    if isinstance(value, bool):
        return {"boolean": value}
    if isinstance(value, int | float):
        return {"number": value}
    return {"string": value} if isinstance(value, str) else {}


def _schemas(values: Json) -> Json:
    return [_reference_or_schema(value) for value in values]


#: field of a schema → its form here; the others are as they are.
_FORMS: Final[dict[str, Callable[[Json], Json]]] = {
    "default": _default,
    "example": any_value,
    "enum": lambda values: [any_value(value) for value in values],
    "allOf": _schemas,
    "oneOf": _schemas,
    "anyOf": _schemas,
    "not": _schema,
    "items": lambda value: {"schemas": [_reference_or_schema(value)]},
    "properties": lambda values: {"named": named(values, _reference_or_schema)},
    "additionalProperties": _additional,
}
