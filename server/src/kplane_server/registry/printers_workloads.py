# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cells of what runs pods: Deployments, Jobs, autoscalers and their kin."""

from __future__ import annotations

import time
from typing import Final

from kplane_server.model import timestamps
from kplane_server.model.errors import Json
from kplane_server.registry.printing import (
    NONE,
    UNKNOWN,
    UNSET,
    Document,
    age,
    containers,
    items,
    labels_text,
    name,
    section,
    selector,
    since,
)
from kplane_server.registry.strategies.scale import selector_text


def _figure(obj: Document, field: str) -> int:
    value = section(obj, "status").get(field)
    return value if isinstance(value, int) else 0


def _desired(obj: Document) -> int:
    value = section(obj, "spec").get("replicas")
    return value if isinstance(value, int) else 0


def deployment(obj: Document) -> list[Json]:
    spec = section(obj, "spec")
    ready = f"{_figure(obj, 'readyReplicas')}/{_desired(obj)}"
    figures = [ready, _figure(obj, "updatedReplicas"), _figure(obj, "availableReplicas")]
    return [name(obj), *figures, age(obj), *containers(section(spec, "template")), selector_text(spec.get("selector"))]


def replica_set(obj: Document) -> list[Json]:
    spec = section(obj, "spec")
    figures = [_desired(obj), _figure(obj, "replicas"), _figure(obj, "readyReplicas")]
    return [name(obj), *figures, age(obj), *containers(section(spec, "template")), selector(spec.get("selector"))]


def stateful_set(obj: Document) -> list[Json]:
    ready = f"{_figure(obj, 'readyReplicas')}/{_desired(obj)}"
    return [name(obj), ready, age(obj), *containers(section(obj, "spec", "template"))]


def daemon_set(obj: Document) -> list[Json]:
    spec = section(obj, "spec")
    fields = ("desiredNumberScheduled", "currentNumberScheduled", "numberReady", "updatedNumberScheduled", "numberAvailable")
    template = section(spec, "template")
    nodes = labels_text(section(template, "spec", "nodeSelector"))
    return [name(obj), *(_figure(obj, f) for f in fields), nodes, age(obj), *containers(template), selector(spec.get("selector"))]


_JOB_WORDS: Final = (
    ("Complete", "Complete"),
    ("Failed", "Failed"),
    ("", "Terminating"),
    ("Suspended", "Suspended"),
    ("FailureTarget", "FailureTarget"),
    ("SuccessCriteriaMet", "SuccessCriteriaMet"),
)


def pod_template(obj: Document) -> list[Json]:
    template = section(obj, "template")
    return [name(obj), *containers(template), labels_text(section(template, "metadata", "labels"))]


def job(obj: Document) -> list[Json]:
    spec, status = section(obj, "spec"), section(obj, "status")
    true = {c.get("type") for c in items(status, "conditions") if c.get("status") == "True"}
    if section(obj, "metadata").get("deletionTimestamp"):
        true.add("")
    word = next((text for condition, text in _JOB_WORDS if condition in true), "Running")
    parallelism = spec.get("parallelism") or 0
    of = spec["completions"] if spec.get("completions") is not None else f"1 of {parallelism}" if parallelism > 1 else 1
    took = ""
    if start := status.get("startTime"):
        try:
            end = timestamps.to_epoch(status["completionTime"]) if status.get("completionTime") else time.time()
            took = timestamps.human_duration(end - timestamps.to_epoch(start))
        except ValueError:
            took = "<invalid>"
    completions = f"{_figure(obj, 'succeeded')}/{of}"
    return [name(obj), word, completions, took, age(obj), *containers(section(spec, "template")), selector(spec.get("selector"))]


def cron_job(obj: Document) -> list[Json]:
    spec, status = section(obj, "spec"), section(obj, "status")
    last = since(status["lastScheduleTime"]) if status.get("lastScheduleTime") else NONE
    template = section(spec, "jobTemplate", "spec")
    suspended = "True" if spec.get("suspend") else "False"
    row = [name(obj), spec.get("schedule", ""), spec.get("timeZone") or NONE, suspended, len(items(status, "active")), last, age(obj)]
    return [*row, *containers(section(template, "template")), selector(template.get("selector"))]


def autoscaler(obj: Document) -> list[Json]:
    spec, status = section(obj, "spec"), section(obj, "status")
    target = section(spec, "scaleTargetRef")
    minimum = UNSET if spec.get("minReplicas") is None else str(spec["minReplicas"])
    if "targetCPUUtilizationPercentage" in spec or "metrics" not in spec:
        now, wanted = status.get("currentCPUUtilizationPercentage"), spec.get("targetCPUUtilizationPercentage")
        current = UNKNOWN if now is None else f"{now}%"
        targets = NONE if wanted is None else f"cpu: {current}/{wanted}%"
    else:
        targets = _metrics(items(spec, "metrics"), items(status, "currentMetrics"))
    reference = f"{target.get('kind', '')}/{target.get('name', '')}"
    return [name(obj), reference, targets, minimum, spec.get("maxReplicas", 0), status.get("currentReplicas", 0), age(obj)]


_METRIC_FIELDS: Final = {
    "External": "external",
    "Pods": "pods",
    "Object": "object",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}


def _metrics(specs: list[Json], statuses: list[Json]) -> str:
    texts = [_metric(spec, statuses[i] if i < len(statuses) else {}) for i, spec in enumerate(specs)]
    shown = ", ".join(texts[:2])
    return f"{shown} + {len(texts) - 2} more..." if len(texts) > 2 else shown or NONE


def _metric(spec: Json, status: Json) -> str:
    field = _METRIC_FIELDS.get(spec.get("type") or "")
    if field is None:
        return "<unknown type>"
    target, current = section(spec, field, "target"), section(status, field, "current")
    if field in ("resource", "containerResource"):
        what = section(spec, field).get("name", "")
        if target.get("averageValue") is not None:
            return f"{what}: {current.get('averageValue', UNKNOWN)}/{target['averageValue']}"
        now, wanted = current.get("averageUtilization"), target.get("averageUtilization")
        return f"{what}: {UNKNOWN if now is None else f'{now}%'}/{'<auto>' if wanted is None else f'{wanted}%'}"
    if target.get("averageValue") is not None:
        average = " (avg)" if field != "pods" else ""
        return f"{current.get('averageValue', UNKNOWN)}/{target['averageValue']}{average}"
    return f"{current.get('value', UNKNOWN)}/{target.get('value', '0')}"


def controller_revision(obj: Document) -> list[Json]:
    owner = next((o for o in items(section(obj, "metadata"), "ownerReferences") if o.get("controller")), None)
    text = NONE
    if owner is not None:
        group = str(owner.get("apiVersion", "")).rpartition("/")[0]
        kind = str(owner.get("kind", "")).lower()
        text = f"{kind}.{group}/{owner.get('name')}" if group else f"{kind}/{owner.get('name')}"
    return [name(obj), text, obj.get("revision", 0), age(obj)]
