# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cells of core resources: Services, Endpoints, Nodes, Events, volumes, quotas."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from kplane_server.model.errors import Json
from kplane_server.registry.printing import (
    NONE,
    UNKNOWN,
    UNSET,
    Document,
    age,
    balancers,
    items,
    labels_text,
    limited,
    name,
    section,
    since,
)


def service(obj: Document) -> list[Json]:
    spec = section(obj, "spec")
    addresses = items(spec, "clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else [])
    ports = [
        f"{p.get('port')}:{p['nodePort']}/{p.get('protocol')}" if p.get("nodePort") else f"{p.get('port')}/{p.get('protocol')}"
        for p in items(spec, "ports")
    ]
    cluster_ip = addresses[0] if addresses else NONE
    row = [name(obj), spec.get("type", ""), cluster_ip, _external_address(obj, spec), ",".join(ports) or NONE, age(obj)]
    return [*row, labels_text(section(spec, "selector"))]


def _external_address(obj: Document, spec: Document) -> str:
    external = [str(address) for address in items(spec, "externalIPs")]
    kind = spec.get("type")
    if kind == "ExternalName":
        return str(spec.get("externalName", ""))
    if kind == "LoadBalancer":
        return ",".join([*balancers(obj), *external]) or "<pending>"
    return ",".join(external) or NONE


def endpoints(obj: Document) -> list[Json]:
    found: list[str] = []
    for subset in items(obj, "subsets"):
        addresses = [str(address.get("ip", "")) for address in items(subset, "addresses")]
        ports = items(subset, "ports")
        found += addresses if not ports else [_host_port(a, port.get("port")) for port in ports for a in addresses]
    return [name(obj), limited(found, 3, NONE), age(obj)]


def _host_port(address: str, port: Json) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def node(obj: Document) -> list[Json]:
    status, info = section(obj, "status"), section(obj, "status", "nodeInfo")
    ready = [c for c in items(status, "conditions") if c.get("type") == "Ready"]
    words = ["Ready" if c.get("status") == "True" else "NotReady" for c in ready[-1:]] or ["Unknown"]
    if section(obj, "spec").get("unschedulable"):
        words.append("SchedulingDisabled")
    labels = section(obj, "metadata", "labels")
    prefix = "node-role.kubernetes.io/"
    roles = {key.removeprefix(prefix) for key in labels if key.startswith(prefix)} | {labels.get("kubernetes.io/role", "")}
    addresses = {a.get("type"): a.get("address") for a in reversed(items(status, "addresses"))}
    wide = [info.get(field) or UNKNOWN for field in ("osImage", "kernelVersion", "containerRuntimeVersion")]
    return [
        name(obj), ",".join(words), ",".join(sorted(roles - {""})) or NONE, age(obj), info.get("kubeletVersion", ""),
        addresses.get("InternalIP", NONE), addresses.get("ExternalIP", NONE), *wide,
    ]  # fmt: skip


def event(obj: Document) -> list[Json]:
    """Of either group: the fields have two names each."""
    about = section(obj, "involvedObject") or section(obj, "regarding")
    source = section(obj, "source") or section(obj, "deprecatedSource")
    series = section(obj, "series")
    first = obj.get("firstTimestamp") or obj.get("deprecatedFirstTimestamp") or obj.get("eventTime")
    last = series.get("lastObservedTime") or obj.get("lastTimestamp") or obj.get("deprecatedLastTimestamp") or first
    count = series.get("count") or obj.get("count") or obj.get("deprecatedCount") or 1
    target = str(about.get("kind", "")).lower() + (f"/{about['name']}" if about.get("name") else "")
    component = source.get("component") or obj.get("reportingComponent") or obj.get("reportingController") or ""
    instance = source.get("host") or obj.get("reportingInstance") or ""
    message = str(obj.get("message") or obj.get("note") or "").strip()
    origin = f"{component}, {instance}" if instance else component
    return [
        since(last), obj.get("type", ""), obj.get("reason", ""), target, about.get("fieldPath", ""), origin, message, since(first),
        str(count), name(obj),
    ]  # fmt: skip


_ACCESS_MODES: Final = (("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP"))


def _modes(modes: Iterable[Json]) -> str:
    known = set(modes)
    return ",".join(short for mode, short in _ACCESS_MODES if mode in known)


def _phase(obj: Document) -> Json:
    return "Terminating" if section(obj, "metadata").get("deletionTimestamp") else section(obj, "status").get("phase", "")


def volume(obj: Document) -> list[Json]:
    spec = section(obj, "spec")
    claim = section(spec, "claimRef")
    annotations = section(obj, "metadata", "annotations")
    storage_class = annotations.get("volume.beta.kubernetes.io/storage-class", spec.get("storageClassName", ""))
    return [
        name(obj), section(spec, "capacity").get("storage", "0"), _modes(items(spec, "accessModes")),
        spec.get("persistentVolumeReclaimPolicy", ""), _phase(obj),
        f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
        storage_class, spec.get("volumeAttributesClassName") or UNSET, section(obj, "status").get("reason", ""), age(obj),
        spec.get("volumeMode") or UNSET,
    ]  # fmt: skip


def claim(obj: Document) -> list[Json]:
    spec, status = section(obj, "spec"), section(obj, "status")
    bound = bool(spec.get("volumeName"))
    annotations = section(obj, "metadata", "annotations")
    storage_class = annotations.get("volume.beta.kubernetes.io/storage-class", spec.get("storageClassName", ""))
    return [
        name(obj), _phase(obj), spec.get("volumeName", ""), section(status, "capacity").get("storage", "0") if bound else "",
        _modes(items(status, "accessModes")) if bound else "", storage_class, spec.get("volumeAttributesClassName") or UNSET, age(obj),
        spec.get("volumeMode") or UNSET,
    ]  # fmt: skip


def quota(obj: Document) -> list[Json]:
    hard, used = section(obj, "status", "hard"), section(obj, "status", "used")
    texts = {key: f"{key}: {used.get(key, 0)}/{hard[key]}" for key in sorted(hard)}
    limits = [text for key, text in texts.items() if key.startswith("limits.")]
    requests = [text for key, text in texts.items() if not key.startswith("limits.")]
    return [name(obj), ", ".join(requests), ", ".join(limits), age(obj)]


def component_status(obj: Document) -> list[Json]:
    for condition in items(obj, "conditions"):
        if condition.get("type") == "Healthy":
            word = "Healthy" if condition.get("status") == "True" else "Unhealthy"
            return [name(obj), word, condition.get("message", ""), condition.get("error", "")]
    return [name(obj), "Unknown", "", ""]
