# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of what runs pods: Deployments, StatefulSets, DaemonSets, Jobs, CronJobs, autoscalers, disruption budgets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from kplane_server.model import metadata
from kplane_server.model.errors import Cause, Json, field_forbidden, field_invalid, field_not_supported, field_required
from kplane_server.model.selectors import label_selector_from_document
from kplane_server.registry.strategies.base import Document, StrategyContext
from kplane_server.registry.strategies.checks import Object, at_most_whole, is_zero, join, objects, percent_or_number, section
from kplane_server.registry.strategies.checks_pods import always_restarted, volume_references
from kplane_server.registry.strategies.cron import schedule_problem, zone_problem

_MAX_JOB_PARALLELISM: Final = 100_000
#: A CronJob's Jobs have eleven more characters in their names (63 - 11).
_CRON_NAME_MAX: Final = 52


def _selected(selector: Json, labels: Json) -> bool:
    """Whether a selector takes a template's labels; a selector that cannot be read is refused elsewhere."""
    try:
        return label_selector_from_document(selector).matches(labels or {})
    except (ValueError, TypeError, AttributeError):
        return True


def _selector_and_template(obj: Object, path: str, kind: str) -> Iterator[Cause]:
    selector, template = obj.get("selector"), section(obj, "template")
    at = join(path, "selector")
    if not isinstance(selector, dict):
        yield field_required(at)
        labels = section(template, "metadata").get("labels")
        yield field_invalid(join(path, "template", "metadata", "labels"), labels, "`selector` does not match template `labels`")
    elif not selector.get("matchLabels") and not selector.get("matchExpressions"):
        yield field_invalid(at, {}, f"empty selector is invalid for {kind}")
    elif not _selected(selector, section(template, "metadata").get("labels")):
        labels = section(template, "metadata").get("labels") or {}
        yield field_invalid(join(path, "template", "metadata", "labels"), _go_map(labels), "`selector` does not match template `labels`")
    claims = [section(claim, "metadata").get("name") for claim in objects(obj, "volumeClaimTemplates")]
    yield from volume_references(section(template, "spec"), join(path, "template", "spec"), claims)


def _go_map(labels: dict[str, Json]) -> Any:
    """Labels as Go prints a map."""
    return {key: labels[key] for key in sorted(labels)}


def deployment_spec(obj: Object, path: str) -> Iterator[Cause]:
    yield from _selector_and_template(obj, path, "deployment")
    yield from always_restarted(section(obj, "template"), join(path, "template"), "ReplicaSet")
    deadline, ready = obj.get("progressDeadlineSeconds"), obj.get("minReadySeconds") or 0
    if isinstance(deadline, int) and deadline <= ready:
        yield field_invalid(join(path, "progressDeadlineSeconds"), deadline, "must be greater than minReadySeconds")


def deployment_strategy(obj: Object, path: str) -> Iterator[Cause]:
    rolling, at = obj.get("rollingUpdate"), join(path, "rollingUpdate")
    if obj.get("type") == "Recreate":
        if rolling is not None:
            yield field_forbidden(at, "may not be specified when strategy `type` is 'Recreate'")
        return
    if not isinstance(rolling, dict):
        return
    for field in ("maxUnavailable", "maxSurge"):
        yield from percent_or_number(rolling.get(field), join(at, field))
    yield from at_most_whole(rolling.get("maxUnavailable"), join(at, "maxUnavailable"))
    if is_zero(rolling.get("maxUnavailable")) and is_zero(rolling.get("maxSurge")):
        yield field_invalid(join(at, "maxUnavailable"), rolling.get("maxUnavailable"), "may not be 0 when `maxSurge` is 0")


def replica_set_spec(obj: Object, path: str) -> Iterator[Cause]:
    yield from _selector_and_template(obj, path, "deployment")
    yield from always_restarted(section(obj, "template"), join(path, "template"), "ReplicaSet")


def replication_controller_spec(obj: Object, path: str) -> Iterator[Cause]:
    selector, template = obj.get("selector") or {}, section(obj, "template")
    if not selector:
        yield field_required(join(path, "selector"))
    if not template:
        yield field_required(join(path, "template"))
        return
    labels = section(template, "metadata").get("labels") or {}
    if any(labels.get(key) != value for key, value in selector.items()):
        yield field_invalid(join(path, "template", "metadata", "labels"), _go_map(labels), "`selector` does not match template `labels`")
    yield from always_restarted(template, join(path, "template"), "ReplicationController")
    yield from volume_references(section(template, "spec"), join(path, "template", "spec"))


def daemon_set_spec(obj: Object, path: str) -> Iterator[Cause]:
    if isinstance(obj.get("selector"), dict):
        yield from _selector_and_template(obj, path, "daemonset")
    yield from always_restarted(section(obj, "template"), join(path, "template"), "DaemonSet")


def daemon_set_strategy(obj: Object, path: str) -> Iterator[Cause]:
    rolling, at = obj.get("rollingUpdate"), join(path, "rollingUpdate")
    if obj.get("type") != "RollingUpdate" or not isinstance(rolling, dict):
        return
    for field in ("maxUnavailable", "maxSurge"):
        yield from percent_or_number(rolling.get(field), join(at, field))
        yield from at_most_whole(rolling.get(field), join(at, field))
    unavailable, surge = is_zero(rolling.get("maxUnavailable")), is_zero(rolling.get("maxSurge"))
    if not unavailable and not surge:
        yield field_invalid(join(at, "maxSurge"), rolling.get("maxSurge"), "may not be set when maxUnavailable is non-zero")
    if unavailable and surge:
        yield field_required(join(at, "maxUnavailable"), "cannot be 0 when maxSurge is 0")


def stateful_set_spec(obj: Object, path: str) -> Iterator[Cause]:
    yield from _selector_and_template(obj, path, "statefulset")
    yield from always_restarted(section(obj, "template"), join(path, "template"), "StatefulSet")
    service = obj.get("serviceName")
    if service:
        yield from (field_invalid(join(path, "serviceName"), service, p) for p in metadata.dns1123_subdomain_problems(service))
    for field in ("whenDeleted", "whenScaled"):
        policy = section(obj, "persistentVolumeClaimRetentionPolicy").get(field)
        if policy not in (None, "Retain", "Delete"):
            yield field_not_supported(join(path, "persistentVolumeClaimRetentionPolicy", field), policy, ["Retain", "Delete"])


_STATEFUL_MUTABLE: Final = frozenset(
    {
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    }
)


def stateful_set_update(new: Document, old: Document, ctx: StrategyContext) -> list[Cause]:
    spec, before = section(new, "spec"), section(old, "spec")
    if all(spec.get(key) == before.get(key) for key in (spec.keys() | before.keys()) - _STATEFUL_MUTABLE):
        return []
    why = (
        "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', "
        "'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
    )
    return [field_forbidden("spec", why)]


# -- jobs ----------------------------------------------------------------------------------------------------------------------------
def job_spec(obj: Object, path: str) -> Iterator[Cause]:
    template, at = section(obj, "template"), join(path, "template")
    yield from volume_references(section(template, "spec"), join(at, "spec"))
    policy = section(template, "spec").get("restartPolicy")
    choices = ["OnFailure", "Never"]
    if policy in (None, "", "Always"):
        yield field_required(join(at, "spec", "restartPolicy"), 'valid values: "OnFailure", "Never"')
    elif policy not in choices:
        yield field_not_supported(join(at, "spec", "restartPolicy"), policy, choices)
    elif obj.get("podFailurePolicy") is not None and policy != "Never":
        yield field_invalid(join(at, "spec", "restartPolicy"), policy, 'only "Never" is supported when podFailurePolicy is specified')
    selector = obj.get("selector")
    if isinstance(selector, dict) and not _selected(selector, section(template, "metadata").get("labels")):
        labels = section(template, "metadata").get("labels") or {}
        yield field_invalid(join(at, "metadata", "labels"), _go_map(labels), "`selector` does not match template `labels`")
    elif selector is None and path == "spec" and obj.get("manualSelector") is True:  # the template of a CronJob has none
        yield field_required(join(path, "selector"))
    yield from _indexed(obj, path)


def _indexed(obj: Object, path: str) -> Iterator[Cause]:
    if obj.get("completionMode") != "Indexed":
        for field in ("backoffLimitPerIndex", "maxFailedIndexes", "successPolicy"):
            if obj.get(field) is not None:
                yield field_invalid(join(path, field), obj[field], "requires indexed completion mode")
        return
    if obj.get("completions") is None:
        yield field_required(join(path, "completions"), "when completion mode is Indexed")
    parallelism = obj.get("parallelism")
    if isinstance(parallelism, int) and parallelism > _MAX_JOB_PARALLELISM:
        why = f"must be less than or equal to {_MAX_JOB_PARALLELISM} when completion mode is Indexed"
        yield field_invalid(join(path, "parallelism"), parallelism, why)
    if obj.get("maxFailedIndexes") is not None and obj.get("backoffLimitPerIndex") is None:
        yield field_required(join(path, "backoffLimitPerIndex"), "when maxFailedIndexes is specified")


def job_update(new: Document, old: Document, ctx: StrategyContext) -> list[Cause]:
    """A Job's pods are decided when it is made; while it is suspended and never ran, their scheduling may change (KEP-2926)."""
    spec, before = section(new, "spec"), section(old, "spec")
    causes = [
        field_invalid(f"spec.{field}", spec.get(field), "field is immutable")
        for field in ("selector", "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy")
        if spec.get(field) != before.get(field)
    ]
    if spec.get("completions") != before.get("completions"):
        same = spec.get("completions") == spec.get("parallelism")
        if not (spec.get("completionMode") == "Indexed" and same and before.get("completions") == before.get("parallelism")):
            causes.append(field_invalid("spec.completions", spec.get("completions"), "field is immutable"))
    waiting = before.get("suspend") is True and not section(old, "status").get("startTime")
    template, previous = section(spec, "template"), section(before, "template")
    if waiting:
        template, previous = _without_directives(template), _without_directives(previous)
    if template != previous:
        causes.append(field_invalid("spec.template", template, "field is immutable"))
    return causes


_DIRECTIVES: Final = frozenset({"affinity", "nodeSelector", "tolerations", "schedulingGates"})


def _without_directives(template: Object) -> Object:
    spec = {key: value for key, value in section(template, "spec").items() if key not in _DIRECTIVES}
    meta = {key: value for key, value in section(template, "metadata").items() if key not in ("labels", "annotations")}
    return {**template, "spec": spec, "metadata": meta}


def cron_job_spec(obj: Object, path: str) -> Iterator[Cause]:
    schedule, zone = obj.get("schedule") or "", obj.get("timeZone")
    if schedule and (problem := schedule_problem(schedule)):
        yield field_invalid(join(path, "schedule"), schedule, problem)
    if zone is not None and (problem := zone_problem(zone)):
        yield field_invalid(join(path, "timeZone"), zone, problem)
    if not section(obj, "jobTemplate"):
        yield field_required(join(path, "jobTemplate"))
    if section(obj, "jobTemplate", "spec").get("manualSelector"):
        yield field_not_supported(join(path, "jobTemplate", "spec", "manualSelector"), True, ["nil", "false"])


def cron_job_name(obj: Document, ctx: StrategyContext) -> list[Cause]:
    name = section(obj, "metadata").get("name") or ""
    if len(name) <= _CRON_NAME_MAX:
        return []
    return [field_invalid("metadata.name", name, f"must be no more than {_CRON_NAME_MAX} characters")]


# -- scaling and disruption ----------------------------------------------------------------------------------------------------------
def autoscaler_spec(obj: Object, path: str) -> Iterator[Cause]:
    low, high = obj.get("minReplicas"), obj.get("maxReplicas") or 0
    if isinstance(low, int) and low < 1:  # scaling to zero is an alpha feature
        yield field_invalid(join(path, "minReplicas"), low, "must be greater than or equal to 1")
    if high < 1:
        yield field_invalid(join(path, "maxReplicas"), high, "must be greater than 0")
    if isinstance(low, int) and high < low:
        yield field_invalid(join(path, "maxReplicas"), high, "must be greater than or equal to `minReplicas`")
    if not section(obj, "scaleTargetRef"):
        yield field_required(join(path, "scaleTargetRef", "kind"))
        yield field_required(join(path, "scaleTargetRef", "name"))


def autoscaler_create(obj: Document, ctx: StrategyContext) -> list[Cause]:
    """A new one names the group of what it scales; those that are there already may leave it out."""
    version = section(obj, "spec", "scaleTargetRef").get("apiVersion") or ""
    if "/" in version:
        return []
    return [field_invalid("spec.scaleTargetRef.apiVersion", version, "apiVersion must specify API group")]


_METRIC_FIELDS: Final = {
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
    "External": "external",
    "ContainerResource": "containerResource",
}


def metric_spec(obj: Object, path: str) -> Iterator[Cause]:
    kind = obj.get("type") or ""
    if not kind:
        yield field_required(join(path, "type"), "must specify a metric source type")
        return
    if kind not in _METRIC_FIELDS:
        yield field_not_supported(join(path, "type"), kind, list(_METRIC_FIELDS))
        return
    wanted = _METRIC_FIELDS[kind]
    if obj.get(wanted) is None:
        yield field_required(join(path, wanted), "must populate information for the given metric source")
    for field in _METRIC_FIELDS.values():
        if field != wanted and obj.get(field) is not None:
            yield field_forbidden(join(path, field), "must populate the given metric source only")


def metric_target(obj: Object, path: str) -> Iterator[Cause]:
    kind = obj.get("type") or ""
    if not kind:
        yield field_required(join(path, "type"), "must specify a metric target type")
    elif kind not in ("Utilization", "Value", "AverageValue"):
        yield field_invalid(join(path, "type"), kind, "must be either Utilization, Value, or AverageValue")


def disruption_budget_spec(obj: Object, path: str) -> Iterator[Cause]:
    low, high = obj.get("minAvailable"), obj.get("maxUnavailable")
    if low is not None and high is not None:
        yield field_invalid(path, {"minAvailable": low, "maxUnavailable": high}, "minAvailable and maxUnavailable cannot be both set")
    for field, value in (("minAvailable", low), ("maxUnavailable", high)):
        yield from percent_or_number(value, join(path, field))
        yield from at_most_whole(value, join(path, field))
