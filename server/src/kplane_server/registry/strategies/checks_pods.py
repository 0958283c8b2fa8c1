# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of pods: containers, volumes, probes, and what of a pod may still change once it is there."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator
from typing import Final

from kplane_server.model import metadata
from kplane_server.model.errors import (
    Cause,
    Json,
    field_duplicate,
    field_forbidden,
    field_invalid,
    field_not_supported,
    field_required,
)
from kplane_server.model.quantity import parse_quantity
from kplane_server.registry.strategies.base import Document, StrategyContext
from kplane_server.registry.strategies.checks import Object, bounds_cause, join, objects, path_segment, port_name, section

_HANDLERS: Final = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_NOT_VOLUME_SOURCES: Final = frozenset({"name"})
#: Fields of its Pod that a container may be told in its environment.
_ENV_FIELD: Final = re.compile(
    r"metadata\.(name|namespace|uid|(labels|annotations)\['[^']*'\])|spec\.(nodeName|serviceAccountName)|status\.(hostIPs?|podIPs?)"
).fullmatch
_ENV_SOURCES: Final = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")


# -- containers ----------------------------------------------------------------------------------------------------------------------
def port_or_name(value: Json, path: str) -> Iterator[Cause]:
    """A port as a number or as the name of a container's port."""
    if isinstance(value, str):
        yield from (field_invalid(path, value, problem) for problem in port_name(value))
    elif (cause := bounds_cause(path, value if value is not None else 0, (1, 65535))) is not None:
        yield cause


def http_get(obj: Object, path: str) -> Iterator[Cause]:
    yield from port_or_name(obj.get("port"), join(path, "port"))


def tcp_socket(obj: Object, path: str) -> Iterator[Cause]:
    yield from port_or_name(obj.get("port"), join(path, "port"))


def handler(obj: Object, path: str) -> Iterator[Cause]:
    """Exactly one way to look at a container, or to call it."""
    present = [name for name in _HANDLERS if obj.get(name) is not None]
    if not present:
        yield field_required(path, "must specify a handler type")
    yield from (field_forbidden(join(path, name), "may not specify more than 1 handler type") for name in present[1:])


def env_var(obj: Object, path: str) -> Iterator[Cause]:
    source = obj.get("valueFrom")
    if not isinstance(source, dict):
        return
    at = join(path, "valueFrom")
    present = [name for name in _ENV_SOURCES if source.get(name) is not None]
    if not present:
        choices = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
        yield field_invalid(at, "", choices)
    elif obj.get("value"):
        yield field_invalid(at, "", "may not be specified when `value` is not empty")
    elif len(present) > 1:
        yield field_invalid(at, "", "may not have more than one field specified at a time")
    elif (field := section(source, "fieldRef").get("fieldPath")) and not _ENV_FIELD(field):
        why = f"error converting fieldPath: field label not supported: {field}"
        yield field_invalid(join(at, "fieldRef", "fieldPath"), field, why)


def resources(obj: Object, path: str) -> Iterator[Cause]:
    """Requests do not exceed limits, and nothing is negative."""
    limits, requests = section(obj, "limits"), section(obj, "requests")
    for field, table in (("limits", limits), ("requests", requests)):
        for name, amount in table.items():
            at = f"{join(path, field)}[{name}]"
            yield from (field_invalid(at, name, problem) for problem in metadata.qualified_name_problems(name))
            if _value(amount) is not None and parse_quantity(amount) < 0:
                yield field_invalid(at, amount, "must be greater than or equal to 0")
    for name, amount in requests.items():
        limit = limits.get(name)
        if limit is not None and _value(limit) is not None and _value(amount) is not None and _exceeds(amount, limit):
            yield field_invalid(join(path, "requests"), amount, f"must be less than or equal to {name} limit of {limit}")


def _exceeds(amount: Json, limit: Json) -> bool:
    return parse_quantity(amount) > parse_quantity(limit)


def _value(amount: Json) -> Json:
    """The amount if it is a quantity; others are refused elsewhere."""
    try:
        parse_quantity(amount)
    except (ValueError, TypeError):
        return None
    return amount


def container(obj: Object, path: str) -> Iterator[Cause]:
    context = section(obj, "securityContext")
    if context.get("allowPrivilegeEscalation") is False and context.get("privileged") is True:
        why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
        yield field_invalid(join(path, "securityContext"), context, why)
    mounts = objects(obj, "volumeMounts")
    seen: set[Json] = set()
    for index, mount in enumerate(mounts):
        at = f"{join(path, 'volumeMounts')}[{index}]"
        target = mount.get("mountPath")
        if target and target in seen:
            yield field_invalid(join(at, "mountPath"), target, "must be unique")
        seen.add(target)
        if mount.get("subPath") and mount.get("subPathExpr"):
            yield field_invalid(join(at, "subPathExpr"), mount["subPathExpr"], "subPathExpr and subPath are mutually exclusive")
        for field in ("subPath", "subPathExpr"):
            if mount.get(field):
                yield from _local_path(mount[field], join(at, field))


def _local_path(value: str, path: str) -> Iterator[Cause]:
    """A path that stays below the volume."""
    if value.startswith("/"):
        yield field_invalid(path, value, "must be a relative path")
    if ".." in value.split("/"):
        yield field_invalid(path, value, "must not contain '..'")


# -- pods ----------------------------------------------------------------------------------------------------------------------------
def pod_spec(obj: Object, path: str) -> Iterator[Cause]:
    yield from _init_containers(obj, path)
    if obj.get("hostNetwork") is not True:
        yield from _host_ports(obj, path)
    else:
        yield from _host_network_ports(obj, path)
    yield from metadata.label_causes(obj.get("nodeSelector"), join(path, "nodeSelector"))
    if obj.get("dnsPolicy") == "None" and not section(obj, "dnsConfig").get("nameservers"):
        why = "must provide at least one DNS nameserver when `dnsPolicy` is None"
        yield field_required(join(path, "dnsConfig", "nameservers"), why)


def pod(obj: Object, path: str) -> Iterator[Cause]:
    yield from volume_references(section(obj, "spec"), join(path, "spec"))


def volume_references(obj: Object, path: str, also: Iterable[Json] = ()) -> Iterator[Cause]:
    """Mounts name volumes of the pod. ``also``: volumes that come from elsewhere, as a StatefulSet's claims do."""
    volumes = {volume.get("name") for volume in objects(obj, "volumes")} | set(also)
    for field in ("containers", "initContainers", "ephemeralContainers"):
        for index, item in enumerate(objects(obj, field)):
            for kind in ("volumeMounts", "volumeDevices"):
                for number, mount in enumerate(objects(item, kind)):
                    name = mount.get("name")
                    if name and name not in volumes:
                        at = f"{join(path, field)}[{index}].{kind}[{number}].name"
                        yield Cause("FieldValueNotFound", f'Not found: "{name}"', at)


def _init_containers(obj: Object, path: str) -> Iterator[Cause]:
    names = {item.get("name") for item in objects(obj, "containers")}
    for index, item in enumerate(objects(obj, "initContainers")):
        at = f"{join(path, 'initContainers')}[{index}]"
        if item.get("name") in names:
            yield field_duplicate(join(at, "name"), item["name"])
        names.add(item.get("name"))
        if item.get("restartPolicy") == "Always":
            continue
        for field in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
            if item.get(field):
                yield field_forbidden(join(at, field), "may not be set for init containers without restartPolicy=Always")
    for field in ("containers", "initContainers"):
        for index, item in enumerate(objects(obj, field)):
            for probe in ("livenessProbe", "startupProbe"):
                threshold = section(item, probe).get("successThreshold")
                if isinstance(threshold, int) and threshold not in (0, 1):
                    yield field_invalid(f"{join(path, field)}[{index}].{probe}.successThreshold", threshold, "must be 1")


def _host_ports(obj: Object, path: str) -> Iterator[Cause]:
    seen: set[tuple[Json, Json, Json]] = set()
    for index, item in enumerate(objects(obj, "containers")):
        for number, port in enumerate(objects(item, "ports")):
            if port.get("hostPort"):
                key = (port.get("protocol"), port.get("hostIP", ""), port["hostPort"])
                if key in seen:
                    shown = f"{key[2]}/{key[0]}"
                    yield field_duplicate(f"{join(path, 'containers')}[{index}].ports[{number}].hostPort", shown)
                seen.add(key)


def _host_network_ports(obj: Object, path: str) -> Iterator[Cause]:
    for field in ("containers", "initContainers"):
        for index, item in enumerate(objects(obj, field)):
            for number, port in enumerate(objects(item, "ports")):
                if port.get("hostPort") and port["hostPort"] != port.get("containerPort"):
                    at = f"{join(path, field)}[{index}].ports[{number}].hostPort"
                    yield field_invalid(at, port["hostPort"], "must match `containerPort` when `hostNetwork` is true")


def host_path(obj: Object, path: str) -> Iterator[Cause]:
    if ".." in (obj.get("path") or "").split("/"):
        yield field_invalid(join(path, "path"), obj["path"], "must not contain '..'")


def volume(obj: Object, path: str) -> Iterator[Cause]:
    sources = [field for field, value in obj.items() if field not in _NOT_VOLUME_SOURCES and value is not None]
    if not sources:
        yield field_required(path, "must specify a volume type")
    yield from (field_forbidden(join(path, field), "may not specify more than 1 volume type") for field in sources[1:])


def key_to_path(obj: Object, path: str) -> Iterator[Cause]:
    if obj.get("path"):
        yield from _local_path(obj["path"], join(path, "path"))


def claim_source(obj: Object, path: str) -> Iterator[Cause]:
    name = obj.get("claimName")
    if name:
        yield from (field_invalid(join(path, "claimName"), name, problem) for problem in path_segment(name))


def toleration(obj: Object, path: str) -> Iterator[Cause]:
    key, operator = obj.get("key") or "", obj.get("operator") or "Equal"
    if key:
        yield from (field_invalid(join(path, "key"), key, problem) for problem in metadata.qualified_name_problems(key))
    elif operator != "Exists":
        why = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        yield field_invalid(join(path, "operator"), obj.get("operator") or "", why)
    if obj.get("tolerationSeconds") is not None and obj.get("effect") != "NoExecute":
        yield field_invalid(join(path, "effect"), obj.get("effect") or "", "effect must be 'NoExecute' when `tolerationSeconds` is set")
    if operator == "Exists" and obj.get("value"):
        yield field_invalid(join(path, "operator"), obj["value"], "value must be empty when `operator` is 'Exists'")


def pod_template(obj: Object, path: str) -> Iterator[Cause]:
    """The metadata that the pods will have."""
    meta = section(obj, "metadata")
    yield from metadata.label_causes(meta.get("labels"), join(path, "metadata", "labels"))
    yield from metadata.annotation_causes(meta.get("annotations"), join(path, "metadata", "annotations"))
    if section(obj, "spec").get("ephemeralContainers"):
        yield field_forbidden(join(path, "spec", "ephemeralContainers"), "ephemeral containers not allowed in pod template")


def node_selector_requirement(obj: Object, path: str) -> Iterator[Cause]:
    values, operator = obj.get("values") or [], obj.get("operator")
    if operator in ("In", "NotIn") and not values:
        yield field_required(join(path, "values"), "must be specified when `operator` is 'In' or 'NotIn'")
    if operator in ("Exists", "DoesNotExist") and values:
        yield field_forbidden(join(path, "values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    if operator in ("Gt", "Lt") and len(values) != 1:
        yield field_required(join(path, "values"), "must be specified single value when `operator` is 'Lt' or 'Gt'")


# -- changes -------------------------------------------------------------------------------------------------------------------------
_UPDATABLE: Final = (
    "`spec.containers[*].image`",
    "`spec.initContainers[*].image`",
    "`spec.activeDeadlineSeconds`",
    "`spec.tolerations` (only additions to existing tolerations)",
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
)


def _without_images(spec: Document) -> Document:
    trimmed = {**spec}
    for field in ("containers", "initContainers"):
        if field in spec:
            trimmed[field] = [{k: v for k, v in item.items() if k != "image"} for item in objects(spec, field)]
    for field in ("activeDeadlineSeconds", "tolerations"):
        trimmed.pop(field, None)
    return trimmed


def pod_update(new: Document, old: Document, ctx: StrategyContext) -> list[Cause]:
    """Nearly all of a pod is decided when it is made. Source: https://kubernetes.io/docs/concepts/workloads/pods/#pod-update-and-replacement."""
    spec, before = section(new, "spec"), section(old, "spec")
    if ctx.subresource == "binding":
        return []
    if ctx.subresource in ("resize", "ephemeralcontainers"):
        return _resize_causes(spec, before) if ctx.subresource == "resize" else _ephemeral_causes(spec, before)
    causes = _deadline_causes(spec, before)
    if spec == before:
        return causes
    for field in ("containers", "initContainers"):
        if len(objects(spec, field)) != len(objects(before, field)):
            return [*causes, field_forbidden(f"spec.{field}", "pod updates may not add or remove containers")]
    tolerations = objects(spec, "tolerations")
    if any(entry not in tolerations for entry in objects(before, "tolerations")):
        why = "existing toleration can not be modified except its tolerationSeconds"
        if any(_same_but_seconds(entry, tolerations) is False for entry in objects(before, "tolerations")):
            causes.append(field_forbidden("spec.tolerations", why))
    trimmed, trimmed_before = _without_images(spec), _without_images(before)
    if before.get("schedulingGates"):
        _allow_gated_changes(trimmed, trimmed_before)
    if trimmed.get("terminationGracePeriodSeconds") == 1 and (before.get("terminationGracePeriodSeconds") or 0) < 0:
        trimmed["terminationGracePeriodSeconds"] = before["terminationGracePeriodSeconds"]
    if trimmed != trimmed_before:
        changed = sorted(k for k in trimmed.keys() | trimmed_before.keys() if trimmed.get(k) != trimmed_before.get(k))
        fields = ", ".join(f"spec.{name}" for name in changed)
        why = f"pod updates may not change fields other than {','.join(_UPDATABLE)}\n(changed: {fields})"
        causes.append(field_forbidden("spec", why))
    return causes


def _same_but_seconds(entry: Object, others: list[Object]) -> bool:
    bare = {k: v for k, v in entry.items() if k != "tolerationSeconds"}
    return any(bare == {k: v for k, v in other.items() if k != "tolerationSeconds"} for other in others)


def _allow_gated_changes(spec: Document, before: Document) -> None:
    """A pod that waits behind scheduling gates may lose gates and gain constraints (KEP-3838)."""
    gates = {gate.get("name") for gate in objects(before, "schedulingGates")}
    if all(gate.get("name") in gates for gate in objects(spec, "schedulingGates")):
        spec["schedulingGates"] = before.get("schedulingGates")
    selector = section(before, "nodeSelector")
    if all(section(spec, "nodeSelector").get(key) == value for key, value in selector.items()):
        spec.pop("nodeSelector", None)
        before.pop("nodeSelector", None)
    if not section(before, "affinity").get("nodeAffinity"):
        for holder in (spec, before):
            affinity = {k: v for k, v in section(holder, "affinity").items() if k != "nodeAffinity"}
            holder.pop("affinity", None)
            if affinity:
                holder["affinity"] = affinity


def _deadline_causes(spec: Document, before: Document) -> list[Cause]:
    value, previous = spec.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds")
    at = "spec.activeDeadlineSeconds"
    if previous is not None and value is None:
        return [field_invalid(at, value, "must not update from a positive integer to nil value")]
    if previous is not None and value > previous:
        return [field_invalid(at, value, "must be less than or equal to previous value")]
    return []


def _ephemeral_causes(spec: Document, before: Document) -> list[Cause]:
    entries = {entry.get("name"): entry for entry in objects(spec, "ephemeralContainers")}
    causes = []
    for index, entry in enumerate(objects(before, "ephemeralContainers")):
        at = f"spec.ephemeralContainers[{index}]"
        name = entry.get("name")
        if name not in entries:
            causes.append(field_forbidden("spec.ephemeralContainers", f'existing ephemeral containers "{name}" may not be removed\n'))
        elif entries[name] != entry:
            causes.append(field_forbidden(at, f'existing ephemeral containers "{name}" may not be changed\n'))
    return causes


def _resize_causes(spec: Document, before: Document) -> list[Cause]:
    """Only figures of resources change (KEP-1287)."""
    trimmed, trimmed_before = copy.deepcopy(spec), copy.deepcopy(before)
    for holder in (trimmed, trimmed_before):
        holder.pop("resources", None)
        for field in ("containers", "initContainers"):
            for item in objects(holder, field):
                item.pop("resources", None)
                item.pop("resizePolicy", None)
    if trimmed == trimmed_before:
        return []
    return [field_forbidden("spec", "only cpu and memory resources are mutable")]


def always_restarted(template: Object, path: str, kind: str) -> Iterator[Cause]:
    """Pods of controllers that keep them running."""
    spec = section(template, "spec")
    policy = spec.get("restartPolicy")
    if policy != "Always":
        yield field_not_supported(join(path, "spec", "restartPolicy"), policy or "", ["Always"])
    if spec.get("activeDeadlineSeconds") is not None:
        yield field_forbidden(join(path, "spec", "activeDeadlineSeconds"), f"activeDeadlineSeconds in {kind} is not Supported")
