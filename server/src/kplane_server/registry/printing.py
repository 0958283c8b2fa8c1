# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the cells of built-in tables have in common: nested values, ages, selectors, shortened lists."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from kplane_server.model import timestamps
from kplane_server.model.errors import Json
from kplane_server.registry.strategies.scale import selector_text

Document = dict[str, Any]
#: From a document to the values of all columns, in their order.
Printer = Callable[[Document], list[Json]]

NONE: Final = "<none>"
UNSET: Final = "<unset>"
UNKNOWN: Final = "<unknown>"


def section(obj: Json, *path: str) -> Document:
    """A nested object, or an empty one."""
    for step in path:
        obj = obj.get(step) if isinstance(obj, dict) else None
    return obj if isinstance(obj, dict) else {}


def items(obj: Document, field: str) -> list[Json]:
    value = obj.get(field)
    return value if isinstance(value, list) else []


def name(obj: Document) -> str:
    return str(section(obj, "metadata").get("name", ""))


def age(obj: Document) -> str:
    return timestamps.human_age(section(obj, "metadata").get("creationTimestamp"))


def since(moment: Json) -> str:
    return timestamps.human_age(moment if isinstance(moment, str) else None)


def labels_text(labels: Mapping[str, Json]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items())) or NONE


def selector(value: Json) -> str:
    """A label selector; one that selects everything is ``<none>``, as upstream shows it."""
    return selector_text(value) or NONE


def limited(texts: Iterable[str], most: int, absent: str) -> str:
    """The first few texts, and how many are left out."""
    known = list(texts)
    shown = ",".join(known[:most])
    return f"{shown} + {len(known) - most} more..." if len(known) > most else shown or absent


def containers(template: Document) -> list[Json]:
    """Names and images of a pod template, a cell each."""
    rows = [c for c in items(section(template, "spec"), "containers") if isinstance(c, dict)]
    return [",".join(str(c.get("name", "")) for c in rows), ",".join(str(c.get("image", "")) for c in rows)]


def balancers(obj: Document) -> list[str]:
    """The addresses of a load balancer, sorted."""
    rows = items(section(obj, "status", "loadBalancer"), "ingress")
    return sorted({row.get("ip") or row.get("hostname") or "" for row in rows} - {""})
