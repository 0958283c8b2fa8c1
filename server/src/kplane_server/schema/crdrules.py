# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of each node of a CustomResourceDefinition's schema: keywords that Kubernetes does not support, or not together.

The types of the keywords have been checked before (see :mod:`~kplane_server.schema.crdschema`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from kplane_server.model.errors import Cause, Json
from kplane_server.schema.validation import show

_TYPES: Final = ("array", "boolean", "integer", "number", "object", "string")
_UNSUPPORTED: Final = ("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref")
_META: Final = ("metadata", "kind", "apiVersion")
_REASONS: Final = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
_NO_DEFAULTS_IN_META: Final = "inside additionalProperties applying to object metadata"


def document_rules(schema: Mapping[str, Json]) -> list[Cause]:
    """What is wrong with the keywords of a schema and of all below it; fields are relative to it."""
    return list(_node(schema, "", root=True, no_defaults="", in_meta=False))


def _at(path: str, step: str) -> str:
    return f"{path}.{step}" if path else step


def _node(schema: Mapping[str, Json], path: str, *, root: bool, no_defaults: str, in_meta: bool) -> Iterator[Cause]:
    yield from _keywords(schema, path, no_defaults, in_meta)
    yield from _list_rules(schema, path)
    yield from _map_rules(schema, path)
    yield from _validation_rules(schema, path)
    yield from _children(schema, path, root, no_defaults, in_meta)


def _children(schema: Mapping[str, Json], path: str, root: bool, no_defaults: str, in_meta: bool) -> Iterator[Cause]:
    additional = schema.get("additionalProperties")
    if isinstance(additional, dict):
        reason = _NO_DEFAULTS_IN_META if in_meta else no_defaults
        yield from _node(additional, _at(path, "additionalProperties"), root=False, no_defaults=reason, in_meta=in_meta)
    for name, child in (schema.get("properties") or {}).items():
        meta = in_meta or (name in _META and (root or bool(schema.get("x-kubernetes-embedded-resource"))))
        reason = f"in top-level {name}" if root and name in _META else no_defaults
        yield from _node(child, _at(path, f"properties[{name}]"), root=False, no_defaults=reason, in_meta=meta)
    if schema.get("not") is not None:
        yield from _node(schema["not"], _at(path, "not"), root=False, no_defaults=no_defaults, in_meta=in_meta)
    for key in ("allOf", "oneOf", "anyOf"):
        for index, child in enumerate(schema.get(key) or ()):
            yield from _node(child, _at(path, f"{key}[{index}]"), root=False, no_defaults=no_defaults, in_meta=in_meta)
    if schema.get("items") is not None:
        yield from _node(schema["items"], _at(path, "items"), root=False, no_defaults=no_defaults, in_meta=in_meta)


def _invalid(path: str, value: Json, why: str) -> Cause:
    return Cause("FieldValueInvalid", f"Invalid value: {show(value)}: {why}", path)


def _required(path: str, why: str) -> Cause:
    return Cause("FieldValueRequired", f"Required value: {why}", path)


def _forbidden(path: str, why: str) -> Cause:
    return Cause("FieldValueForbidden", f"Forbidden: {why}", path)


def _not_supported(path: str, value: Json, choices: tuple[str, ...]) -> Cause:
    shown = ", ".join(f'"{choice}"' for choice in choices)
    return Cause("FieldValueNotSupported", f"Unsupported value: {show(value)}: supported values: {shown}", path)


def _keywords(schema: Mapping[str, Json], path: str, no_defaults: str, in_meta: bool) -> Iterator[Cause]:
    kind = schema.get("type") or ""
    if kind == "null":
        yield _forbidden(_at(path, "type"), "type cannot be set to null, use nullable as an alternative")
    elif kind and kind not in _TYPES:
        yield _not_supported(_at(path, "type"), kind, _TYPES)
    if schema.get("default") is not None and no_defaults:
        yield _forbidden(_at(path, "default"), f"must not be set {no_defaults}")
    for key in _UNSUPPORTED:
        if schema.get(key):
            yield _forbidden(_at(path, key), f"{key} is not supported")
    if in_meta and schema.get("x-kubernetes-embedded-resource"):
        yield _forbidden(_at(path, "x-kubernetes-embedded-resource"), "must not be used inside of resource meta")
    if schema.get("uniqueItems"):
        yield _forbidden(_at(path, "uniqueItems"), "uniqueItems cannot be set to true since the runtime complexity becomes quadratic")
    additional = schema.get("additionalProperties")
    if additional is not None and additional is not True and schema.get("properties"):
        yield _forbidden(_at(path, "additionalProperties"), "additionalProperties and properties are mutual exclusive")
    if schema.get("x-kubernetes-preserve-unknown-fields") is False:
        yield _invalid(_at(path, "x-kubernetes-preserve-unknown-fields"), False, "must be true or undefined")


def _map_rules(schema: Mapping[str, Json], path: str) -> Iterator[Cause]:
    map_type, kind = schema.get("x-kubernetes-map-type"), schema.get("type") or ""
    if map_type is None:
        return
    if kind != "object":
        text = "must be object if x-kubernetes-map-type is specified"
        yield _required(_at(path, "type"), text) if not kind else _invalid(_at(path, "type"), kind, text)
    if map_type not in ("atomic", "granular"):
        yield _not_supported(_at(path, "x-kubernetes-map-type"), map_type, ("atomic", "granular"))


def _list_rules(schema: Mapping[str, Json], path: str) -> Iterator[Cause]:
    list_type, keys, kind = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys") or [], schema.get("type") or ""
    items = schema.get("items")
    if keys and list_type != "map":
        text = "must be map if x-kubernetes-list-map-keys is non-empty"
        at = _at(path, "x-kubernetes-list-type")
        yield _required(at, text) if list_type is None else _invalid(at, list_type, text)
    if list_type is None:
        return
    if kind != "array":
        text = "must be array if x-kubernetes-list-type is specified"
        yield _required(_at(path, "type"), text) if not kind else _invalid(_at(path, "type"), kind, text)
    if list_type not in ("atomic", "set", "map"):
        yield _not_supported(_at(path, "x-kubernetes-list-type"), list_type, ("atomic", "set", "map"))
    if list_type == "map":
        yield from _keyed_list_rules(keys, items, path)
    elif list_type == "set" and items is not None:
        yield from _set_rules(items, _at(path, "items"))
    if list_type in ("set", "map") and items is not None and items.get("nullable"):
        yield _forbidden(_at(path, "items.nullable"), f"cannot be nullable when x-kubernetes-list-type is {list_type}")


def _set_rules(items: Mapping[str, Json], path: str) -> Iterator[Cause]:
    text = "must be atomic as item of a list with x-kubernetes-list-type=set"
    if items.get("type") == "array" and items.get("x-kubernetes-list-type") not in (None, "atomic"):
        yield _invalid(_at(path, "x-kubernetes-list-type"), items["x-kubernetes-list-type"], text)
    if items.get("type") == "object" and items.get("x-kubernetes-map-type") != "atomic":
        yield _invalid(_at(path, "x-kubernetes-map-type"), items.get("x-kubernetes-map-type"), text)


def _keyed_list_rules(keys: list[str], items: Mapping[str, Json] | None, path: str) -> Iterator[Cause]:
    if not keys:
        yield _required(_at(path, "x-kubernetes-list-map-keys"), "must not be empty if x-kubernetes-list-type is map")
    if items is None:
        yield _required(_at(path, "items"), "must have a schema if x-kubernetes-list-type is map")
        return
    if items.get("type") != "object":
        at = _at(path, "items.type")
        yield _invalid(at, items.get("type") or "", "must be object if parent array's x-kubernetes-list-type is map")
        return
    properties, required = items.get("properties") or {}, items.get("required") or []
    seen: set[str] = set()
    for index, key in enumerate(keys):
        at = _at(path, f"items.properties[{key}]")
        if key in seen:
            yield _invalid(_at(path, f"x-kubernetes-list-map-keys[{index}]"), key, "must not repeat")
        seen.add(key)
        if key not in properties:
            yield _invalid(_at(path, f"x-kubernetes-list-map-keys[{index}]"), key, "entries must all be names of item properties")
            continue
        if properties[key].get("type") in ("array", "object"):
            yield _invalid(f"{at}.type", properties[key]["type"], "must be a scalar type if parent array's x-kubernetes-list-type is map")
        if key not in required and properties[key].get("default") is None:
            text = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
            yield _required(f"{at}.default", text)
        if properties[key].get("nullable"):
            yield _forbidden(f"{at}.nullable", "this property is in x-kubernetes-list-map-keys, so it cannot be nullable")


def _validation_rules(schema: Mapping[str, Json], path: str) -> Iterator[Cause]:
    """The form of ``x-kubernetes-validations``; the expressions themselves are compiled elsewhere."""
    for index, rule in enumerate(schema.get("x-kubernetes-validations") or ()):
        at = _at(path, f"x-kubernetes-validations[{index}]")
        expression, message = rule.get("rule") or "", rule.get("message") or ""
        if not expression.strip():
            yield _required(f"{at}.rule", "rule is not specified")
        if message and not message.strip():
            yield _invalid(f"{at}.message", message, "message must be non-empty if specified")
        elif "\n" in message.strip():
            yield _invalid(f"{at}.message", message, "message must not contain line breaks")
        elif "\n" in expression.strip() and not message.strip():
            yield _required(f"{at}.message", "message must be specified if rule contains line breaks")
        if rule.get("messageExpression") and not rule["messageExpression"].strip():
            yield _required(f"{at}.messageExpression", "messageExpression must be non-empty if specified")
        if rule.get("reason") is not None and rule["reason"] not in _REASONS:
            yield _not_supported(f"{at}.reason", rule["reason"], _REASONS)
        field_path = rule.get("fieldPath") or ""
        if field_path and not field_path.strip():
            yield _invalid(f"{at}.fieldPath", field_path, "must be non-empty if specified")
        elif "\n" in field_path:
            yield _invalid(f"{at}.fieldPath", field_path, "must not contain line breaks")
