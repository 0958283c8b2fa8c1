# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ``scale`` sub-resource: ``autoscaling/v1 Scale`` as a view of an object, built-in or custom."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from kplane_server.model.errors import Cause, Json, field_invalid
from kplane_server.registry.resource import ResourceInfo

Document = dict[str, Any]


class ScalePaths(NamedTuple):
    """Where an object keeps its figures. ``selector`` names a text, a label map or a label selector; empty for none."""

    spec_replicas: tuple[str, ...]
    status_replicas: tuple[str, ...]
    selector: tuple[str, ...] = ()


#: Of every built-in resource with ``/scale``.
_BUILTIN: Final = ScalePaths(("spec", "replicas"), ("status", "replicas"), ("spec", "selector"))


def paths_of(path: str) -> tuple[str, ...]:
    """A JSON path of a CRD's ``subresources.scale`` (``.spec.replicas``) as steps."""
    return tuple(step for step in path.split(".") if step)


def _read(obj: Json, path: tuple[str, ...]) -> Json:
    for step in path:
        if not isinstance(obj, dict):
            return None
        obj = obj.get(step)
    return obj


def selector_text(selector: Json) -> str:
    """A label map, a label selector or a selector's text in the text form of a selector; keys sorted, as ``kubectl`` shows it."""
    if isinstance(selector, str):
        return selector
    if not isinstance(selector, dict):
        return ""
    if "matchLabels" not in selector and "matchExpressions" not in selector:
        return ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
    terms = [(key, f"{key}={value}") for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or ():
        key, operator, values = expression.get("key", ""), expression.get("operator"), ",".join(sorted(expression.get("values") or ()))
        texts = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key, "DoesNotExist": f"!{key}"}
        terms.append((key, texts.get(operator, "")))
    return ",".join(text for _, text in sorted(terms) if text)


def scale_of(info: ResourceInfo, obj: Document, paths: ScalePaths | None = None) -> Document:
    """The Scale of an object (a document of ``info``'s version)."""
    where = paths or _BUILTIN
    metadata = obj.get("metadata") or {}
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status: Document = {"replicas": _read(obj, where.status_replicas) or 0}
    if where.selector and (text := selector_text(_read(obj, where.selector))):
        status["selector"] = text
    return {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        "spec": {"replicas": _read(obj, where.spec_replicas) or 0},
        "status": status,
    }


def scale_causes(scale: Document) -> list[Cause]:
    """What is wrong with a Scale that a client sent."""
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if not isinstance(replicas, int) or isinstance(replicas, bool):
        return [field_invalid("spec.replicas", replicas, "must be an integer")]
    return [field_invalid("spec.replicas", replicas, "must be greater than or equal to 0")] if replicas < 0 else []


def with_scale(obj: Document, scale: Document, paths: ScalePaths | None = None) -> Document:
    """A copy of ``obj`` with the replicas that a Scale asks for; everything else of the Scale is read-only."""
    where = paths or _BUILTIN
    changed = dict(obj)
    parent = changed
    for step in where.spec_replicas[:-1]:
        below = parent.get(step)
        parent[step] = dict(below) if isinstance(below, dict) else {}
        parent = parent[step]
    parent[where.spec_replicas[-1]] = (scale.get("spec") or {}).get("replicas", 0)
    return changed
