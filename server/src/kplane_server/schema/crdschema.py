# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which schemas a CustomResourceDefinition may have: well-formed, structural, with defaults that are valid themselves.

A schema is judged before it is compiled, so nothing here assumes that any part of it has the right type.
Source: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from kplane_server.model.errors import Cause, Json
from kplane_server.schema.cel.budget import HERE_LIMIT, Budget
from kplane_server.schema.cel.rulechecks import check_count, check_rules
from kplane_server.schema.cel.rules import validate_rules
from kplane_server.schema.crdrules import document_rules
from kplane_server.schema.defaulting import copy_json
from kplane_server.schema.limits import compile_pattern
from kplane_server.schema.pruning import prune
from kplane_server.schema.structural import MISSING, Schema, compile_resource_schema, compile_schema
from kplane_server.schema.validation import show, validate

#: A schema with more nodes than this is refused (one definition may not eat the memory of all).
MAX_NODES: Final = 20_000

#: What the rules over all defaults of a schema may cost: they are evaluated at once.
_DEFAULTS_LIMIT: Final = 4 * HERE_LIMIT

_BOOLEANS: Final = frozenset(
    {"nullable", "exclusiveMaximum", "exclusiveMinimum", "uniqueItems", "x-kubernetes-int-or-string"}
    | {"x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"}
)
_COUNTS: Final = frozenset({"maxLength", "minLength", "maxItems", "minItems", "maxProperties", "minProperties"})
_NUMBERS: Final = frozenset({"maximum", "minimum", "multipleOf"})
_TEXTS: Final = frozenset(
    {"type", "format", "pattern", "title", "description", "$ref", "$schema", "id", "x-kubernetes-list-type", "x-kubernetes-map-type"}
)
_TEXT_LISTS: Final = frozenset({"required", "x-kubernetes-list-map-keys"})
_SCHEMAS: Final = frozenset({"not"})
_SCHEMA_LISTS: Final = frozenset({"allOf", "anyOf", "oneOf"})
_SCHEMA_MAPS: Final = frozenset({"properties", "patternProperties", "definitions"})
_INT_OR_STRING: Final = [{"type": "integer"}, {"type": "string"}]


def check_structural(schema: Json, *, at: str = "", unchanged: bool = False) -> list[Cause]:
    """What is wrong with the ``openAPIV3Schema`` of a version; fields are relative to it (``properties[spec].type``).

    at: its own path. unchanged: it was accepted before, so that no expression is refused for what it alone may cost.
    """
    shape = _Shape()
    shape.check(schema, "")
    if shape.causes:
        return shape.causes
    causes = sorted(_structural(schema, "", "root"), key=lambda cause: (cause.field, cause.message))
    causes.extend(_complete(schema, schema, "", ""))
    causes.extend(document_rules(schema))
    if schema.get("nullable"):
        causes.append(_forbidden("nullable", "nullable cannot be true at the root"))
    causes = causes or check_count(schema) or list(_defaults(schema))
    return causes or check_rules(schema, at=at, unchanged=unchanged)


def status_root_causes(schema: Mapping[str, Json]) -> list[Cause]:
    """What a schema with the status sub-resource may not say at its root, because status is validated apart."""
    allowed = {"description", "type", "format", "title", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "maxLength"}
    allowed |= {"minLength", "pattern", "maxItems", "minItems", "uniqueItems", "multipleOf", "required", "items", "properties"}
    allowed |= {"externalDocs", "example", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-validations"}
    if any(key not in allowed for key, value in schema.items() if value):
        names = " ".join(sorted(allowed))
        text = f"only [{names}] fields are allowed at the root of the schema if the status subresource is enabled"
        return [_invalid("", "", text)]
    return []


def _join(path: str, step: str) -> str:
    if not path or step.startswith("["):
        return path + step
    return f"{path}.{step}"


def _invalid(path: str, value: Json, why: str) -> Cause:
    return Cause("FieldValueInvalid", f"Invalid value: {show(value)}: {why}", path)


def _required(path: str, why: str = "") -> Cause:
    return Cause("FieldValueRequired", "Required value" + (f": {why}" if why else ""), path)


def _forbidden(path: str, why: str) -> Cause:
    return Cause("FieldValueForbidden", f"Forbidden: {why}", path)


class _Shape:
    """The types of a schema's own keywords."""

    def __init__(self) -> None:
        self.causes: list[Cause] = []
        self.nodes = 0

    def check(self, schema: Json, path: str) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            if self.nodes == MAX_NODES + 1:
                self.causes.append(_invalid(path, "", f"a schema may not have more than {MAX_NODES} nodes"))
            return
        if not isinstance(schema, dict):
            self._expected(path, "a schema")
            return
        for key, value in schema.items():
            if value is not None:
                self._keyword(key, value, _join(path, key))

    def _keyword(self, key: str, value: Json, path: str) -> None:
        if key in _SCHEMAS:
            self.check(value, path)
        elif key in _SCHEMA_LISTS:
            self._list(value, path, self.check)
        elif key in _SCHEMA_MAPS:
            self._map(value, path)
        elif key == "additionalProperties":
            if not isinstance(value, bool):
                self.check(value, path)
        elif key == "items":
            if isinstance(value, list):
                self.causes.append(_forbidden(path, "items must be a schema object and not an array"))
            else:
                self.check(value, path)
        elif key == "x-kubernetes-validations":
            self._list(value, path, self._rule)
        elif key == "enum":
            if not isinstance(value, list):
                self._expected(path, "a list")
        else:
            self._scalar(key, value, path)

    def _scalar(self, key: str, value: Json, path: str) -> None:
        if key in _BOOLEANS and not isinstance(value, bool):
            self._expected(path, "a boolean")
        elif key in _COUNTS and (isinstance(value, bool) or not isinstance(value, int)):
            self._expected(path, "an integer")
        elif key in _NUMBERS and (isinstance(value, bool) or not isinstance(value, (int, float))):
            self._expected(path, "a number")
        elif key in _TEXTS and not isinstance(value, str):
            self._expected(path, "a string")
        elif key in _TEXT_LISTS and not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
            self._expected(path, "a list of strings")

    def _list(self, value: Json, path: str, check: Callable[[Json, str], None]) -> None:
        if not isinstance(value, list):
            self._expected(path, "a list")
            return
        for index, item in enumerate(value):
            check(item, f"{path}[{index}]")

    def _map(self, value: Json, path: str) -> None:
        if not isinstance(value, dict):
            self._expected(path, "an object")
            return
        for name, child in value.items():
            self.check(child, f"{path}[{name}]")

    def _rule(self, value: Json, path: str) -> None:
        if not isinstance(value, dict):
            self._expected(path, "an object")
            return
        for key in ("rule", "message", "messageExpression", "reason", "fieldPath"):
            if value.get(key) is not None and not isinstance(value[key], str):
                self._expected(_join(path, key), "a string")
        if value.get("optionalOldSelf") is not None and not isinstance(value["optionalOldSelf"], bool):
            self._expected(_join(path, "optionalOldSelf"), "a boolean")

    def _expected(self, path: str, what: str) -> None:
        if len(self.causes) < 100:
            self.causes.append(Cause("FieldValueTypeInvalid", f"Invalid value: must be {what}", path))


_EMPTY_TYPE: Final = {
    "root": "must not be empty at the root",
    "item": "must not be empty for specified array items",
    "field": "must not be empty for specified object fields",
}


def _structural(schema: Mapping[str, Json], path: str, level: str) -> Iterator[Cause]:
    """The invariants of the structural part: types everywhere, logic only for values."""
    kind = schema.get("type") or ""
    items, properties, additional = schema.get("items"), schema.get("properties") or {}, schema.get("additionalProperties")
    if kind == "array" and items is None:
        yield _required(_join(path, "items"), "must be specified")
    if items is not None:
        yield from _structural(items, _join(path, "items"), "item")
    for name, child in properties.items():
        yield from _structural(child, _join(path, f"properties[{name}]"), "field")
    if additional is not None:
        if level == "root":
            yield _forbidden(_join(path, "additionalProperties"), "must not be used at the root")
        if isinstance(additional, dict):
            yield from _structural(additional, _join(path, "additionalProperties"), "field")
    yield from _extensions(schema, path, level)
    skip_any = schema.get("anyOf") == _INT_OR_STRING
    all_of = schema.get("allOf") or []
    skip_first = bool(all_of) and all_of[0].get("anyOf") == _INT_OR_STRING
    yield from _value_validation(schema, path, skip_any, skip_first)


def _extensions(schema: Mapping[str, Json], path: str, level: str) -> Iterator[Cause]:
    kind = schema.get("type") or ""
    embedded = bool(schema.get("x-kubernetes-embedded-resource"))
    int_or_string = bool(schema.get("x-kubernetes-int-or-string"))
    preserve = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    properties = schema.get("properties") or {}
    if int_or_string and preserve:
        yield _invalid(_join(path, "x-kubernetes-preserve-unknown-fields"), True, "must be false if x-kubernetes-int-or-string is true")
    if int_or_string and embedded:
        yield _invalid(_join(path, "x-kubernetes-embedded-resource"), True, "must be false if x-kubernetes-int-or-string is true")
    if embedded and kind != "object":
        text = "must be object if x-kubernetes-embedded-resource is true"
        yield _required(_join(path, "type"), text) if not kind else _invalid(_join(path, "type"), kind, text)
    elif not kind and not int_or_string and not preserve:
        yield _required(_join(path, "type"), _EMPTY_TYPE[level])
    if embedded and schema.get("additionalProperties") is not None:
        yield _forbidden(_join(path, "additionalProperties"), "must not be used if x-kubernetes-embedded-resource is set")
    if level == "root" and kind and kind != "object":
        yield _invalid(_join(path, "type"), kind, "must be object at the root")
    if level == "root" or embedded:
        yield from _type_meta(properties, path, level)
    if embedded and not preserve and not properties:
        text = "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields"
        yield _required(_join(path, "properties"), text)


def _type_meta(properties: Mapping[str, Json], path: str, level: str) -> Iterator[Cause]:
    for name in ("kind", "apiVersion"):
        if name in properties and properties[name].get("type") != "string":
            yield _invalid(_join(path, f"properties[{name}].type"), properties[name].get("type") or "", "must be string")
    metadata = properties.get("metadata")
    if metadata is None:
        return
    at = _join(path, "properties[metadata]")
    if metadata.get("type") != "object":
        yield _invalid(f"{at}.type", metadata.get("type") or "", "must be object")
    if level == "root":
        named = set(metadata.get("properties") or {}) <= {"name", "generateName"}
        if not named or any(value for key, value in metadata.items() if key not in ("type", "properties", "description", "default")):
            text = "must not specify anything other than name and generateName, but metadata is implicitly specified"
            yield _forbidden(at, text)


def _value_validation(schema: Mapping[str, Json], path: str, skip_any: bool, skip_first_all: bool) -> Iterator[Cause]:
    if not skip_any:
        for index, member in enumerate(schema.get("anyOf") or ()):
            yield from _nested(member, _join(path, f"anyOf[{index}]"), False)
    for index, member in enumerate(schema.get("allOf") or ()):
        yield from _nested(member, _join(path, f"allOf[{index}]"), skip_first_all and index == 0)
    for index, member in enumerate(schema.get("oneOf") or ()):
        yield from _nested(member, _join(path, f"oneOf[{index}]"), False)
    if schema.get("not") is not None:
        yield from _nested(schema["not"], _join(path, "not"), False)
    pattern = schema.get("pattern")
    if pattern:
        try:
            compile_pattern(pattern)
        except ValueError as error:
            yield _invalid(_join(path, "pattern"), pattern, f"must be a valid regular expression, but isn't: {error}")


#: What only the structural part may say, with the words for saying it elsewhere.
_NOT_NESTED: Final = {
    "type": "must be empty to be structural",
    "additionalProperties": "must be undefined to be structural",
    "default": "must be undefined to be structural",
    "title": "must be empty to be structural",
    "description": "must be empty to be structural",
    "nullable": "must be false to be structural",
    "x-kubernetes-preserve-unknown-fields": "must be false to be structural",
    "x-kubernetes-embedded-resource": "must be false to be structural",
    "x-kubernetes-int-or-string": "must be false to be structural",
    "x-kubernetes-list-map-keys": "must be empty to be structural",
    "x-kubernetes-list-type": "must be undefined to be structural",
    "x-kubernetes-map-type": "must be undefined to be structural",
    "x-kubernetes-validations": "must be empty to be structural",
}


def _nested(schema: Mapping[str, Json], path: str, skip_any: bool) -> Iterator[Cause]:
    yield from _value_validation(schema, path, skip_any, False)
    if schema.get("items") is not None:
        yield from _nested(schema["items"], _join(path, "items"), False)
    for name, child in (schema.get("properties") or {}).items():
        yield from _nested(child, _join(path, f"properties[{name}]"), False)
        if name == "metadata":
            yield _forbidden(_join(path, "properties[metadata]"), "must not be specified in a nested context")
    for key, text in _NOT_NESTED.items():
        value = schema.get(key)
        if value or (value is not None and key in ("default", "additionalProperties", "x-kubernetes-list-type", "x-kubernetes-map-type")):
            yield _forbidden(_join(path, key), text)


def _complete(values: Mapping[str, Json], schema: Mapping[str, Json], path: str, at: str) -> Iterator[Cause]:
    """Whatever a logical combination talks about must be there in the structural part as well."""
    for key in ("allOf", "anyOf", "oneOf"):
        for index, member in enumerate(values.get(key) or ()):
            yield from _complete_nested(member, schema, path, _join(at, f"{key}[{index}]"))
    if values.get("not") is not None:
        yield from _complete_nested(values["not"], schema, path, _join(at, "not"))


def _complete_nested(values: Mapping[str, Json], schema: Mapping[str, Json] | None, path: str, at: str) -> Iterator[Cause]:
    if schema is None:
        yield _required(path, f"because it is defined in {at}")
        return
    yield from _complete(values, schema, path, at)
    if values.get("items") is not None:
        yield from _complete_nested(values["items"], schema.get("items"), _join(path, "items"), _join(at, "items"))
    known = schema.get("properties") or {}
    for name, child in (values.get("properties") or {}).items():
        step = f"properties[{name}]"
        yield from _complete_nested(child, known.get(name), _join(path, step), _join(at, step))


def _defaults(schema: Mapping[str, Json]) -> Iterator[Cause]:
    """Every default must be valid by its own schema and its rules, and must not have fields that would be pruned."""
    root, budget = compile_resource_schema(schema), Budget(_DEFAULTS_LIMIT)
    for name, document in (schema.get("properties") or {}).items():
        if name not in ("apiVersion", "kind", "metadata"):
            yield from _node_defaults(root.properties[name], document, f"properties[{name}]", budget)


def _node_defaults(node: Schema, document: Mapping[str, Any], path: str, budget: Budget) -> Iterator[Cause]:
    if node.default is not MISSING and node.default is not None:
        yield from _default_causes(node, document, _join(path, "default"), budget)
    if document.get("items") is not None and node.items is not None:
        yield from _node_defaults(node.items, document["items"], _join(path, "items"), budget)
    for name, child in (document.get("properties") or {}).items():
        if name not in ("apiVersion", "kind", "metadata") or not document.get("x-kubernetes-embedded-resource"):
            yield from _node_defaults(node.properties[name], child, _join(path, f"properties[{name}]"), budget)


def _default_causes(node: Schema, document: Mapping[str, Any], at: str, budget: Budget) -> Iterator[Cause]:
    _, unknown = prune(copy_json(node.default), compile_schema(document))
    if unknown:
        yield _invalid(at, node.default, "must not have unknown fields")
    causes = validate(node.default, node, path=at)
    if not causes:  # rules count on the types of the schema; a default may take the place of itself, or be the first value
        causes = validate_rules(node.default, node, old=node.default, path=at, budget=budget, lenient=False)
        causes = causes or validate_rules(node.default, node, path=at, budget=budget)
    yield from causes
