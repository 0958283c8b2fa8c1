# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Defaulting from a schema, as custom resources have it.

A null where the schema does not allow one is first dropped, so that a default can take its place.
Source: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#defaulting-and-nullable.
"""

from __future__ import annotations

from kplane_server.model.errors import Json
from kplane_server.schema.structural import MISSING, Schema


def copy_json(value: Json) -> Json:
    """A deep copy of a parsed document."""
    if isinstance(value, dict):
        return {key: copy_json(child) if isinstance(child, (dict, list)) else child for key, child in value.items()}
    if isinstance(value, list):
        return [copy_json(child) if isinstance(child, (dict, list)) else child for child in value]
    return value


def apply_defaults(document: Json, schema: Schema) -> Json:
    """Set defaults **in place** and drop forbidden nulls. Returns the document."""
    if isinstance(document, dict):
        _default_object(document, schema)
    elif isinstance(document, list):
        _default_list(document, schema)
    return document


def has_defaults(schema: Schema) -> bool:
    """Whether anything at or below the node has a default."""
    known = schema.defaults_below
    if known is None:
        schema.defaults_below = False  # while a recursive definition looks at itself
        children = [*schema.properties.values(), schema.additional, schema.items]
        known = schema.default is not MISSING or any(child is not None and has_defaults(child) for child in children)
        schema.defaults_below = known
    return bool(known)


def _default_object(document: dict[str, Json], schema: Schema) -> None:
    properties, additional = schema.properties, schema.additional
    for name, value in list(document.items()):
        child = properties.get(name, additional)
        if child is None:
            continue
        if value is None:
            if child.nullable:
                continue
            if child.default is MISSING:
                del document[name]
            elif name not in properties:
                document[name] = copy_json(child.default)
            else:
                del document[name]  # set again below
        elif isinstance(value, dict):
            _default_object(value, child)
        elif isinstance(value, list):
            _default_list(value, child)
    if not has_defaults(schema):
        return
    for name, child in properties.items():
        if child.default is not MISSING and name not in document:
            value = document[name] = copy_json(child.default)
            apply_defaults(value, child)


def _default_list(document: list[Json], schema: Schema) -> None:
    items = schema.items
    if items is None:
        return
    for index, value in enumerate(document):
        if isinstance(value, dict):
            _default_object(value, items)
        elif isinstance(value, list):
            _default_list(value, items)
        elif value is None and not items.nullable and items.default is not MISSING:
            document[index] = copy_json(items.default)
