# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conversion between the versions of built-in kinds that differ in shape: Events of both groups, and HorizontalPodAutoscalers.

The autoscaler's v1 has no room for what v2 says; as upstream, it travels in annotations (pkg/apis/autoscaling: "round-trip annotations").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from kplane_server.model.errors import Json
from kplane_server.model.resources import GroupVersion

Document = dict[str, Any]

# -- events --------------------------------------------------------------------------------------------------------------------------
#: Field of core/v1 → field of events.k8s.io/v1.
_EVENT_FIELDS: Final = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}


def _rename(obj: Document, names: Mapping[str, str]) -> Document:
    return {names.get(key, key): value for key, value in obj.items()}


def _event_to_events(obj: Document) -> Document:
    return _rename(obj, _EVENT_FIELDS)


def _event_to_core(obj: Document) -> Document:
    return _rename(obj, {new: old for old, new in _EVENT_FIELDS.items()})


# -- autoscalers ---------------------------------------------------------------------------------------------------------------------
_PREFIX: Final = "autoscaling.alpha.kubernetes.io/"
_METRICS: Final = _PREFIX + "metrics"
_STATUSES: Final = _PREFIX + "current-metrics"
_BEHAVIOR: Final = _PREFIX + "behavior"
_CONDITIONS: Final = _PREFIX + "conditions"
_ROUND_TRIP: Final = frozenset({_METRICS, _STATUSES, _BEHAVIOR, _CONDITIONS})

#: metric type → ((field of v1, path in v2 below the source), …). ``%`` is ``target`` in a spec and ``current`` in a status.
_SOURCES: Final[dict[str, tuple[tuple[str, tuple[str, ...]], ...]]] = {
    "resource": (("name", ("name",)), ("%AverageUtilization", ("%", "averageUtilization")), ("%AverageValue", ("%", "averageValue"))),
    "containerResource": (
        ("name", ("name",)),
        ("container", ("container",)),
        ("%AverageUtilization", ("%", "averageUtilization")),
        ("%AverageValue", ("%", "averageValue")),
    ),
    "pods": (
        ("metricName", ("metric", "name")),
        ("selector", ("metric", "selector")),
        ("%AverageValue", ("%", "averageValue")),
    ),
    "object": (
        ("target", ("describedObject",)),
        ("metricName", ("metric", "name")),
        ("selector", ("metric", "selector")),
        ("%Value", ("%", "value")),
        ("averageValue", ("%", "averageValue")),
    ),
    "external": (
        ("metricName", ("metric", "name")),
        ("metricSelector", ("metric", "selector")),
        ("%Value", ("%", "value")),
        ("%AverageValue", ("%", "averageValue")),
    ),
}
_TARGET_TYPES: Final = (("averageUtilization", "Utilization"), ("averageValue", "AverageValue"), ("value", "Value"))


def _flat(metric: Document, side: str) -> Document:
    """A v2 metric in the shape of v1. ``side`` is ``target`` or ``current``."""
    flat: Document = {"type": metric.get("type")}
    for source, fields in _SOURCES.items():
        body = metric.get(source)
        if not isinstance(body, dict):
            continue
        flat[source] = {}
        for name, path in fields:
            value: Json = body
            for step in path:
                value = value.get(side if step == "%" else step) if isinstance(value, dict) else None
            if value is not None:
                flat[source][name.replace("%", side)] = value
    return flat


def _nested(metric: Document, side: str) -> Document:
    """A metric in the shape of v1 as v2 has it."""
    nested: Document = {"type": metric.get("type")}
    for source, fields in _SOURCES.items():
        body = metric.get(source)
        if not isinstance(body, dict):
            continue
        out: Document = {}
        for name, path in fields:
            value = body.get(name.replace("%", side))
            if value is None:
                continue
            parent = out
            for step in path[:-1]:
                parent = parent.setdefault(side if step == "%" else step, {})
            parent[path[-1]] = value
        figures = out.setdefault(side, {})
        if side == "target":
            figures["type"] = next((kind for field, kind in _TARGET_TYPES if field in figures), "Value")
        nested[source] = out
    return nested


def _cpu_utilization(metric: Json, side: str) -> Json:
    """The percentage of a plain CPU metric; None for every other metric."""
    if not isinstance(metric, dict) or metric.get("type") != "Resource":
        return None
    resource = metric.get("resource")
    if not isinstance(resource, dict) or resource.get("name") != "cpu" or not isinstance(resource.get(side), dict):
        return None
    return resource[side].get("averageUtilization")


def _text(value: Json) -> str:
    return orjson.dumps(value).decode()


def _list(obj: Document, field: str) -> list[Json]:
    value = obj.get(field)
    return value if isinstance(value, list) else []


def _section(obj: Document, field: str) -> Document:
    """A copy of a nested object."""
    value = obj.get(field)
    return dict(value) if isinstance(value, dict) else {}


def _autoscaler_to_v1(obj: Document) -> Document:
    out = dict(obj)
    spec, status, metadata = _section(obj, "spec"), _section(obj, "status"), _section(obj, "metadata")
    annotations = {key: value for key, value in _section(metadata, "annotations").items() if key not in _ROUND_TRIP}
    metrics = [metric for metric in _list(spec, "metrics") if isinstance(metric, dict)]
    spec.pop("metrics", None)
    percentages = [_cpu_utilization(metric, "target") for metric in metrics]
    others = [_flat(metric, "target") for metric, percentage in zip(metrics, percentages, strict=True) if percentage is None]
    if known := [percentage for percentage in percentages if percentage is not None]:
        spec["targetCPUUtilizationPercentage"] = known[0]
    statuses = [metric for metric in _list(status, "currentMetrics") if isinstance(metric, dict)]
    status.pop("currentMetrics", None)
    for metric in statuses:
        if (percentage := _cpu_utilization(metric, "current")) is not None:
            status["currentCPUUtilizationPercentage"] = percentage
    kept: tuple[tuple[str, Json], ...] = (
        (_METRICS, others),
        (_STATUSES, [_flat(metric, "current") for metric in statuses]),
        (_BEHAVIOR, spec.pop("behavior", None)),
        (_CONDITIONS, status.pop("conditions", None)),
    )
    annotations.update({name: _text(value) for name, value in kept if value})
    _put_annotations(metadata, annotations)
    out["metadata"], out["spec"] = metadata, spec
    if "status" in obj:
        out["status"] = status
    return out


def _autoscaler_to_v2(obj: Document) -> Document:
    out = dict(obj)
    spec, status, metadata = _section(obj, "spec"), _section(obj, "status"), _section(obj, "metadata")
    annotations = _section(metadata, "annotations")
    metrics = [_nested(metric, "target") for metric in _parsed_list(annotations.get(_METRICS))]
    percentage = spec.pop("targetCPUUtilizationPercentage", None)
    if percentage is not None:
        target = {"type": "Utilization", "averageUtilization": percentage}
        metrics.append({"type": "Resource", "resource": {"name": "cpu", "target": target}})
    if metrics:
        spec["metrics"] = metrics
    if isinstance(behavior := _parsed(annotations.get(_BEHAVIOR)), dict) and behavior:
        spec["behavior"] = behavior
    current = status.pop("currentCPUUtilizationPercentage", None)
    if statuses := _parsed_list(annotations.get(_STATUSES)):
        status["currentMetrics"] = [_nested(metric, "current") for metric in statuses]
    elif current is not None:
        status["currentMetrics"] = [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": current}}}]
    if conditions := _parsed_list(annotations.get(_CONDITIONS)):
        status["conditions"] = conditions
    _put_annotations(metadata, {key: value for key, value in annotations.items() if key not in _ROUND_TRIP})
    out["metadata"], out["spec"] = metadata, spec
    if status or "status" in obj:
        out["status"] = status
    return out


def _put_annotations(metadata: Document, annotations: Document) -> None:
    if annotations:
        metadata["annotations"] = annotations
    else:
        metadata.pop("annotations", None)


def _parsed(text: Json) -> Json:
    """An annotation's JSON. Text that is none is no error: users may write what they like there (upstream passes over it too)."""
    if not isinstance(text, str):
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _parsed_list(text: Json) -> list[Document]:
    value = _parsed(text)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


_AUTOSCALING_V1: Final = GroupVersion("autoscaling", "v1")
_AUTOSCALING_V2: Final = GroupVersion("autoscaling", "v2")
_CORE: Final = GroupVersion("", "v1")
_EVENTS: Final = GroupVersion("events.k8s.io", "v1")

_CONVERSIONS: Final[dict[tuple[str, GroupVersion, GroupVersion], Callable[[Document], Document]]] = {
    ("Event", _CORE, _EVENTS): _event_to_events,
    ("Event", _EVENTS, _CORE): _event_to_core,
    ("HorizontalPodAutoscaler", _AUTOSCALING_V1, _AUTOSCALING_V2): _autoscaler_to_v2,
    ("HorizontalPodAutoscaler", _AUTOSCALING_V2, _AUTOSCALING_V1): _autoscaler_to_v1,
}


def convert(obj: Document, source: GroupVersion, target: GroupVersion) -> Document:
    """A built-in document in another version of its kind. The result may share parts with ``obj``; neither is changed afterwards.

    Versions of the same shape (or an unknown pair) differ in ``apiVersion`` alone.
    """
    if source == target:
        return obj
    change = _CONVERSIONS.get((obj.get("kind") or "", source, target))
    converted = change(obj) if change is not None else dict(obj)
    converted["apiVersion"] = str(target)
    return converted
