# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the server itself sets, or takes away, when an object of a kind is made or changed."""

from __future__ import annotations

from typing import Any, Final

from kplane_server.model.errors import Json
from kplane_server.registry.strategies.base import Document, StrategyContext

NAMESPACE_FINALIZER: Final = "kubernetes"

_DEFAULT_GRACE_SECONDS: Final = 30


def _object(parent: Document, field: str) -> Document:
    """A nested object that is there afterwards."""
    value = parent.get(field)
    if not isinstance(value, dict):
        value = parent[field] = {}
    return value


# -- namespaces ----------------------------------------------------------------------------------------------------------------------
def namespace_create(obj: Document, ctx: StrategyContext) -> None:
    metadata = _object(obj, "metadata")
    _object(metadata, "labels")["kubernetes.io/metadata.name"] = metadata.get("name", "")  # known now, also for generateName
    spec = _object(obj, "spec")
    finalizers = spec.get("finalizers")
    kept = [name for name in finalizers if isinstance(name, str)] if isinstance(finalizers, list) else []
    spec["finalizers"] = kept if NAMESPACE_FINALIZER in kept else [*kept, NAMESPACE_FINALIZER]


def namespace_update(new: Document, old: Document, ctx: StrategyContext) -> None:
    """Finalizers of the spec change only through ``/finalize``."""
    if not ctx.subresource:
        new["spec"] = {**_object(new, "spec"), **{k: v for k, v in (old.get("spec") or {}).items() if k == "finalizers"}}


# -- volumes -------------------------------------------------------------------------------------------------------------------------
def claim_create(obj: Document, ctx: StrategyContext) -> None:
    """A data source and its newer form say the same, as upstream keeps them."""
    spec = _object(obj, "spec")
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if source and not reference:
        spec["dataSourceRef"] = dict(source)
    elif isinstance(reference, dict) and not source and not reference.get("namespace"):
        spec["dataSource"] = dict(reference)


def volume_create(obj: Document, ctx: StrategyContext) -> None:
    obj["status"]["lastPhaseTransitionTime"] = ctx.now


# -- pods ----------------------------------------------------------------------------------------------------------------------------
def _resource_quantities(container: Json) -> tuple[dict[str, Json], dict[str, Json]]:
    resources = container.get("resources") if isinstance(container, dict) else None
    resources = resources if isinstance(resources, dict) else {}
    requests, limits = resources.get("requests"), resources.get("limits")
    return (requests if isinstance(requests, dict) else {}), (limits if isinstance(limits, dict) else {})


def qos_class(pod: Document) -> str:
    """Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/."""
    spec = pod.get("spec") or {}
    containers = [c for field in ("containers", "initContainers") for c in spec.get(field) or ()]
    figures = [_resource_quantities(container) for container in containers]
    relevant = ("cpu", "memory")
    if all(not any(name in table for name in relevant) for pair in figures for table in pair):
        return "BestEffort"
    guaranteed = all(
        name in limits and requests.get(name, limits[name]) == limits[name] for requests, limits in figures for name in relevant
    )
    return "Guaranteed" if guaranteed else "Burstable"


def pod_create(obj: Document, ctx: StrategyContext) -> None:
    obj["status"] = {"phase": "Pending", "qosClass": qos_class(obj)}
    spec = _object(obj, "spec")
    gates = spec.get("schedulingGates")
    if gates:
        obj["status"]["conditions"] = [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates",
                "lastProbeTime": None,
                "lastTransitionTime": None,
            }
        ]


def pod_update(new: Document, old: Document, ctx: StrategyContext) -> None:
    """The class of service is decided at creation and shown for ever."""
    if ctx.subresource == "status":
        status = _object(new, "status")
        if quality := (old.get("status") or {}).get("qosClass"):
            status["qosClass"] = quality


def pod_grace(obj: Document, asked: int | None) -> int:
    """A pod that no node runs, or that has ended, goes at once. Source: pod deletion in the reference of the Pod lifecycle."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    if not spec.get("nodeName") or status.get("phase") in ("Failed", "Succeeded"):
        return 0
    if asked is not None:
        return asked
    seconds = spec.get("terminationGracePeriodSeconds")
    return seconds if isinstance(seconds, int) and seconds >= 0 else _DEFAULT_GRACE_SECONDS


# -- secrets -------------------------------------------------------------------------------------------------------------------------
def secret_update(new: Document, old: Document, ctx: StrategyContext) -> None:
    if not new.get("type"):
        new["type"] = old.get("type")


# -- workloads -----------------------------------------------------------------------------------------------------------------------
def daemon_set_create(obj: Document, ctx: StrategyContext) -> None:
    metadata = _object(obj, "metadata")
    _object(metadata, "annotations")["deprecated.daemonset.template.generation"] = "1"


def daemon_set_update(new: Document, old: Document, ctx: StrategyContext) -> None:
    """The template's generation lives in an annotation since apps/v1."""
    before = (old.get("metadata") or {}).get("annotations") or {}
    count = before.get("deprecated.daemonset.template.generation", "1")
    if not ctx.subresource and (new.get("spec") or {}).get("template") != (old.get("spec") or {}).get("template"):
        count = str(int(count) + 1) if count.isascii() and count.isdigit() else "1"
    _object(_object(new, "metadata"), "annotations")["deprecated.daemonset.template.generation"] = count


_JOB_LABELS: Final = ("controller-uid", "batch.kubernetes.io/controller-uid")
_JOB_NAME_LABELS: Final = ("job-name", "batch.kubernetes.io/job-name")


def job_create(obj: Document, ctx: StrategyContext) -> None:
    """Without ``manualSelector`` the server makes the selector from the Job's own uid, and labels the pods with it."""
    spec = _object(obj, "spec")
    if spec.get("manualSelector") is True:
        return
    metadata = obj["metadata"]
    template = _object(spec, "template")
    labels = _object(_object(template, "metadata"), "labels")
    for label in _JOB_NAME_LABELS:
        labels.setdefault(label, metadata.get("name", ""))
    for label in _JOB_LABELS:
        labels.setdefault(label, metadata.get("uid", ""))
    selector = _object(spec, "selector")
    match = _object(selector, "matchLabels")
    match.setdefault(_JOB_LABELS[1], metadata.get("uid", ""))
    if not metadata.get("labels"):
        metadata["labels"] = dict(labels)


def job_update(new: Document, old: Document, ctx: StrategyContext) -> None:
    """A client that sends its manifest again does not know what the server added to selector and template."""
    spec, before = _object(new, "spec"), old.get("spec") or {}
    if ctx.subresource or before.get("manualSelector") is True:
        return
    if not spec.get("selector") and before.get("selector"):
        spec["selector"] = before["selector"]
    added = ((before.get("template") or {}).get("metadata") or {}).get("labels") or {}
    labels = _object(_object(_object(spec, "template"), "metadata"), "labels")
    for label in (*_JOB_LABELS, *_JOB_NAME_LABELS):
        if label in added:
            labels.setdefault(label, added[label])


# -- certificates --------------------------------------------------------------------------------------------------------------------
def signing_request_create(obj: Document, ctx: StrategyContext) -> None:
    """Who asks is what the server saw, never what the document says."""
    spec: dict[str, Any] = _object(obj, "spec")
    spec["username"] = ctx.user.name
    for field, value in (("uid", ctx.user.uid), ("groups", list(ctx.user.groups))):
        if value:
            spec[field] = value
        else:
            spec.pop(field, None)
    spec.pop("extra", None)
    if ctx.user.extra:
        spec["extra"] = {key: list(values) for key, values in ctx.user.extra.items()}


def signing_request_update(new: Document, old: Document, ctx: StrategyContext) -> None:
    """The request itself never changes."""
    if "spec" in old:
        new["spec"] = old["spec"]
    if ctx.subresource in ("approval", "status"):
        known = {condition.get("type"): condition for condition in (old.get("status") or {}).get("conditions") or ()}
        for condition in (new.get("status") or {}).get("conditions") or ():
            if not isinstance(condition, dict):
                continue
            condition.setdefault("lastUpdateTime", ctx.now)
            same = known.get(condition.get("type"))
            condition.setdefault("lastTransitionTime", same.get("lastTransitionTime", ctx.now) if same else ctx.now)
            condition.setdefault("status", "True")
