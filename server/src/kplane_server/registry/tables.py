# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents as a ``meta/v1 Table``, for built-in and custom resources.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import orjson

from kplane_server.model import timestamps
from kplane_server.model.errors import Json
from kplane_server.model.jsonpath import JsonPath, compile_path
from kplane_server.registry.catalog import DATA
from kplane_server.registry.printers import PRINTERS
from kplane_server.registry.printing import Printer, age, name
from kplane_server.registry.printing_pods import pod_conditions
from kplane_server.registry.resource import Column, ResourceInfo

Document = dict[str, Any]

_GROUP: Final = "meta.k8s.io"
_NAME_TEXT: Final = (
    "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request "
    "the generation of an appropriate name automatically."
)
_AGE_TEXT: Final = "CreationTimestamp is a timestamp representing the server time when this object was created."

#: What a custom resource shows whose definition names no columns.
_PLAIN: Final = (Column("Name", "string", format="name", description=_NAME_TEXT), Column("Age", "date", description=_AGE_TEXT))
#: What a built-in resource shows that has no columns of its own (roles, for one).
_BUILTIN_PLAIN: Final = (_PLAIN[0], Column("Created At", "date", description=_AGE_TEXT))


@lru_cache(maxsize=1)
def _builtin_columns() -> dict[str, tuple[Column, ...]]:
    """resource.group → columns, from generated data; read when the first table is asked for."""
    data = orjson.loads((DATA / "columns.json").read_bytes())
    prose: list[str] = data["prose"]
    return {key: tuple(Column(row[0], row[1], "", row[2], row[3], prose[row[4]]) for row in rows) for key, rows in data["columns"].items()}


def columns_of(info: ResourceInfo) -> tuple[Column, ...]:
    """The columns of a resource; those of a custom resource begin with its name."""
    if info.builtin:
        return _builtin_columns().get(_key(info), _BUILTIN_PLAIN)
    if not info.columns:
        return _PLAIN
    return (_PLAIN[0], *info.columns)


def _key(info: ResourceInfo) -> str:
    """Events of both groups show the same."""
    return "events" if info.resource == "events" else str(info.group_resource)


def definitions_of(info: ResourceInfo) -> list[Json]:
    """``columnDefinitions`` of a resource."""
    return [
        {"name": c.name, "type": c.type, "format": c.format, "description": c.description, "priority": c.priority} for c in columns_of(info)
    ]


def to_table(info: ResourceInfo, items: Sequence[Document], include_object: str = "Metadata", version: str = "v1") -> Document:
    """A Table of documents (of ``info``'s version), without its metadata. ``include_object``: ``None``, ``Metadata`` or ``Object``."""
    printer = _builtin_printer(info) if info.builtin else _custom_printer(info)
    rows = [_row(info, printer, item, include_object, version) for item in items]
    return {
        "kind": "Table",
        "apiVersion": f"{_GROUP}/{version}",
        "metadata": {},
        "columnDefinitions": definitions_of(info),
        "rows": rows,
    }


def _row(info: ResourceInfo, printer: Printer, item: Document, include_object: str, version: str) -> Document:
    row: Document = {"cells": printer(item)}
    if info.builtin and info.resource == "pods" and (conditions := pod_conditions(item)):
        row["conditions"] = conditions
    if include_object == "Object":
        row["object"] = item
    elif include_object == "Metadata":
        row["object"] = {"kind": "PartialObjectMetadata", "apiVersion": f"{_GROUP}/{version}", "metadata": item.get("metadata") or {}}
    return row


def _builtin_printer(info: ResourceInfo) -> Printer:
    return PRINTERS.get(_key(info), _created_cells)


def _created_cells(item: Document) -> list[Json]:
    return [name(item), (item.get("metadata") or {}).get("creationTimestamp")]


def _plain_cells(item: Document) -> list[Json]:
    return [name(item), age(item)]


# -- custom resources ----------------------------------------------------------------------------------------------------------------
def _custom_printer(info: ResourceInfo) -> Printer:
    """The cells of a custom resource: its name, then what ``additionalPrinterColumns`` lead to."""
    if not info.columns:
        return _plain_cells
    readers = [(column.type, _compiled(column.path)) for column in info.columns]

    def cells(item: Document) -> list[Json]:
        row: list[Json] = [name(item)]
        for kind, path in readers:
            found = path.find(item) if path is not None else []
            row.append(cell(kind, found[0]) if found else None)
        return row

    return cells


def _compiled(path: str) -> JsonPath | None:
    """A path that does not compile was refused with the definition; one from before that rule shows an empty column."""
    try:
        return compile_path(path)
    except ValueError:
        return None


def cell(kind: str, value: Json) -> Json:
    """A value as a column of a type shows it; what does not fit is empty."""
    if value is None:
        return None
    match kind:
        case "integer":
            return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and _finite(value) else None
        case "number":
            return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
        case "boolean":
            return value if isinstance(value, bool) else None
        case "date":
            return timestamps.human_age(value) if isinstance(value, str) else None
        case _:
            return value if isinstance(value, str) else orjson.dumps(value).decode()


def _finite(value: float) -> bool:
    return value == value and abs(value) < 2**63
