# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pruning: what the schema does not know is dropped, and told.

For typed documents (built-in kinds) nulls are dropped too, as decoding into a Go struct does; a custom resource keeps them for
:mod:`~kplane_server.schema.defaulting` to decide.
Source: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#field-pruning.
"""

from __future__ import annotations

from typing import Final

from kplane_server.model.errors import Json
from kplane_server.schema.structural import Schema

#: No more unknown fields than this are reported for one document (all are dropped).
MAX_REPORTED: Final = 100


def prune(document: Json, schema: Schema) -> tuple[Json, list[str]]:
    """Drop unknown fields **in place**. Returns the document and the path of each dropped field (``spec.ports[0].foo``)."""
    found: list[str] = []
    if isinstance(document, dict):
        _prune_object(document, schema, [], found)
    elif isinstance(document, list):
        _prune_list(document, schema, [], found)
    return document, found


def unknown_field_messages(paths: list[str]) -> list[str]:
    """The dropped fields as Kubernetes words them in warnings and strict errors."""
    return [f'unknown field "{path}"' for path in paths]


def _report(path: list[str], name: str, found: list[str]) -> None:
    if len(found) < MAX_REPORTED:
        found.append("".join([*path, ".", name])[1:] if path else name)


def _prune_object(document: dict[str, Json], schema: Schema, path: list[str], found: list[str]) -> None:
    properties, typed = schema.properties, schema.typed
    unwanted: list[str] | None = None
    for name, value in document.items():
        child = properties.get(name)
        if child is None:
            child = schema.additional
            if child is None:
                if not schema.open:
                    _report(path, name, found)
                    unwanted = [*unwanted, name] if unwanted else [name]
                continue
        if value is None:
            if typed and name in properties and not _takes_null(child):
                unwanted = [*unwanted, name] if unwanted else [name]
        elif not child.scalar and isinstance(value, (dict, list)):
            path.append(f".{name}")
            if isinstance(value, dict):
                _prune_object(value, child, path, found)
            else:
                _prune_list(value, child, path, found)
            path.pop()
    if unwanted:
        for name in unwanted:
            del document[name]


def _prune_list(document: list[Json], schema: Schema, path: list[str], found: list[str]) -> None:
    items = schema.items
    if items is None or items.scalar:
        return
    for index, value in enumerate(document):
        if isinstance(value, dict):
            path.append(f"[{index}]")
            _prune_object(value, items, path, found)
            path.pop()
        elif isinstance(value, list):
            path.append(f"[{index}]")
            _prune_list(value, items, path, found)
            path.pop()


def _takes_null(schema: Schema) -> bool:
    """A free-form value (``apiextensions.JSON``) may be null on purpose."""
    return not schema.type and schema.open
