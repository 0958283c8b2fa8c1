# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cells of built-in tables: one function for a resource, from a document to the values of all its columns, in their order.

What people know from ``kubectl get`` (``1/1``, ``Terminating``, ``80/TCP``) is made here, because a server makes it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from kplane_server.model import timestamps
from kplane_server.model.errors import Json
from kplane_server.registry.printing_pods import pod_cells
from kplane_server.registry.strategies.scale import selector_text

Document = dict[str, Any]
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


# -- core ----------------------------------------------------------------------------------------------------------------------------
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
        return ",".join([*_balancers(obj), *external]) or "<pending>"
    return ",".join(external) or NONE


def _balancers(obj: Document) -> list[str]:
    rows = items(section(obj, "status", "loadBalancer"), "ingress")
    return sorted({row.get("ip") or row.get("hostname") or "" for row in rows} - {""})


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


# -- workloads -----------------------------------------------------------------------------------------------------------------------
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


# -- networks, access, policies ------------------------------------------------------------------------------------------------------
def ingress(obj: Document) -> list[Json]:
    spec = section(obj, "spec")
    rules = items(spec, "rules")
    hosts = [str(rule["host"]) for rule in rules[:3] if rule.get("host")]
    text = ",".join(hosts) or "*"
    if len(rules) > 3 and hosts:
        text += f" + {len(rules) - 3} more..."
    ports = "80, 443" if items(spec, "tls") else "80"
    return [name(obj), spec.get("ingressClassName") or NONE, text, ",".join(_balancers(obj)), ports, age(obj)]


def ingress_class(obj: Document) -> list[Json]:
    spec = section(obj, "spec")
    parameters = section(spec, "parameters")
    text = NONE
    if parameters:
        group = f".{parameters['apiGroup']}" if parameters.get("apiGroup") else ""
        text = f"{parameters.get('kind', '')}{group}/{parameters.get('name', '')}"
    return [name(obj), spec.get("controller", ""), text, age(obj)]


def endpoint_slice(obj: Document) -> list[Json]:
    ports = [str(p["port"]) if p.get("port") is not None else p.get("name") or "*" for p in items(obj, "ports")]
    addresses = [str(a) for e in items(obj, "endpoints") for a in items(e, "addresses")]
    return [name(obj), obj.get("addressType", ""), limited(ports, 3, UNSET), limited(addresses, 3, UNSET), age(obj)]


def ip_address(obj: Document) -> list[Json]:
    parent = section(obj, "spec", "parentRef")
    resource = ".".join(part for part in (parent.get("resource"), parent.get("group")) if part)
    place = f"{parent['namespace']}/{parent.get('name', '')}" if parent.get("namespace") else str(parent.get("name", ""))
    return [name(obj), f"{resource}/{place}" if parent else UNSET]


def role_binding(obj: Document) -> list[Json]:
    reference = section(obj, "roleRef")
    subjects = items(obj, "subjects")
    users = [s.get("name", "") for s in subjects if s.get("kind") == "User"]
    groups = [s.get("name", "") for s in subjects if s.get("kind") == "Group"]
    accounts = [f"{s.get('namespace', '')}/{s.get('name', '')}" for s in subjects if s.get("kind") == "ServiceAccount"]
    row = [name(obj), f"{reference.get('kind', '')}/{reference.get('name', '')}", age(obj)]
    return [*row, *(", ".join(texts) for texts in (users, groups, accounts))]


def signing_request(obj: Document) -> list[Json]:
    spec, status = section(obj, "spec"), section(obj, "status")
    types = {c.get("type") for c in items(status, "conditions")}
    word = "Denied" if "Denied" in types else "Approved" if "Approved" in types else "Pending"
    word += ",Failed" if "Failed" in types else ""
    word += ",Issued" if status.get("certificate") else ""
    seconds = spec.get("expirationSeconds")
    duration = NONE if seconds is None else timestamps.human_duration(seconds)
    return [name(obj), age(obj), spec.get("signerName") or NONE, spec.get("username", ""), duration, word]


def flow_schema(obj: Document) -> list[Json]:
    spec = section(obj, "spec")
    method = section(spec, "distinguisherMethod").get("type") or NONE
    dangling = next((c.get("status") for c in items(section(obj, "status"), "conditions") if c.get("type") == "Dangling"), "?")
    row = [name(obj), section(spec, "priorityLevelConfiguration").get("name") or NONE, str(spec.get("matchingPrecedence", ""))]
    return [*row, method, age(obj), dangling]


def priority_level(obj: Document) -> list[Json]:
    spec = section(obj, "spec")
    limited_level = section(spec, "limited") or section(spec, "exempt")
    queuing = section(spec, "limited", "limitResponse", "queuing")
    shares = limited_level.get("nominalConcurrencyShares")
    figures = [queuing.get(field) for field in ("queues", "handSize", "queueLengthLimit")]
    texts = [NONE if figure is None else str(figure) for figure in (shares, *figures)]
    return [name(obj), spec.get("type", ""), *texts, age(obj)]


def resource_claim(obj: Document) -> list[Json]:
    status = section(obj, "status")
    words = ["deleted"] if section(obj, "metadata").get("deletionTimestamp") else []
    words.append("allocated" if status.get("allocation") else "pending")
    if items(status, "reservedFor"):
        words.append("reserved")
    return [name(obj), ",".join(words), age(obj)]


# -- storage -------------------------------------------------------------------------------------------------------------------------
def storage_class(obj: Document) -> list[Json]:
    annotations = section(obj, "metadata", "annotations")
    keys = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
    default = any(annotations.get(key) == "true" for key in keys)
    policies = [obj.get("reclaimPolicy") or "Delete", obj.get("volumeBindingMode") or "Immediate"]
    expansion = bool(obj.get("allowVolumeExpansion"))
    return [name(obj) + (" (default)" if default else ""), obj.get("provisioner", ""), *policies, expansion, age(obj)]


def csi_driver(obj: Document) -> list[Json]:
    spec = section(obj, "spec")
    audiences = [str(t.get("audience", "")) for t in items(spec, "tokenRequests")]
    tokens = UNSET if spec.get("tokenRequests") is None else ",".join(audiences)
    flags = [spec.get("attachRequired", True), spec.get("podInfoOnMount", False), spec.get("storageCapacity", False)]
    modes = ",".join(str(mode) for mode in items(spec, "volumeLifecycleModes")) or NONE
    return [name(obj), *flags, tokens, spec.get("requiresRepublish", False), modes, age(obj)]


def admission_binding(obj: Document) -> list[Json]:
    spec = section(obj, "spec")
    reference = section(spec, "paramRef")
    text = UNSET
    if reference.get("name"):
        text = f"{reference.get('namespace') or '*'}/{reference['name']}"
    elif reference.get("selector") is not None:
        text = selector_text(reference["selector"])
    return [name(obj), spec.get("policyName", ""), text, age(obj)]


def admission_policy(obj: Document) -> list[Json]:
    spec = section(obj, "spec")
    kind = section(spec, "paramKind")
    text = f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}" if kind else UNSET
    return [name(obj), len(items(spec, "validations")), text, age(obj)]


def _count(field: str, *path: str) -> Printer:
    """Name, how many entries a list or map has, age."""

    def cells(obj: Document) -> list[Json]:
        value = (section(obj, *path) if path else obj).get(field)
        return [name(obj), len(value) if isinstance(value, (list, dict)) else 0, age(obj)]

    return cells


def _value(*path: str, absent: Json = "") -> Callable[[Document], Json]:
    """The value at a path."""

    def read(obj: Document) -> Json:
        value = section(obj, *path[:-1]).get(path[-1])
        return absent if value is None else value

    return read


def _row(*cells: Callable[[Document], Json]) -> Printer:
    return lambda obj: [cell(obj) for cell in cells]


def _budget(field: str) -> Callable[[Document], Json]:
    return lambda obj: str(section(obj, "spec").get(field, "N/A"))


#: (resource.group) → its printer. Resources without one show name and age.
PRINTERS: Final[dict[str, Printer]] = {
    "certificatesigningrequests.certificates.k8s.io": signing_request,
    "clusterrolebindings.rbac.authorization.k8s.io": role_binding,
    "componentstatuses": component_status,
    "configmaps": lambda obj: [name(obj), len(section(obj, "data")) + len(section(obj, "binaryData")), age(obj)],
    "controllerrevisions.apps": controller_revision,
    "cronjobs.batch": cron_job,
    "csidrivers.storage.k8s.io": csi_driver,
    "csinodes.storage.k8s.io": _count("drivers", "spec"),
    "csistoragecapacities.storage.k8s.io": _row(name, _value("storageClassName"), _value("capacity", absent=UNSET)),
    "daemonsets.apps": daemon_set,
    "deployments.apps": deployment,
    "deviceclasses.resource.k8s.io": _row(name, age),
    "endpoints": endpoints,
    "endpointslices.discovery.k8s.io": endpoint_slice,
    "events": event,
    "flowschemas.flowcontrol.apiserver.k8s.io": flow_schema,
    "horizontalpodautoscalers.autoscaling": autoscaler,
    "ingressclasses.networking.k8s.io": ingress_class,
    "ingresses.networking.k8s.io": ingress,
    "ipaddresses.networking.k8s.io": ip_address,
    "jobs.batch": job,
    "leases.coordination.k8s.io": _row(name, _value("spec", "holderIdentity"), age),
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": _count("webhooks"),
    "namespaces": _row(name, _value("status", "phase"), age),
    "networkpolicies.networking.k8s.io": _row(name, lambda obj: selector(section(obj, "spec").get("podSelector")), age),
    "nodes": node,
    "persistentvolumeclaims": claim,
    "persistentvolumes": volume,
    "poddisruptionbudgets.policy": _row(
        name, _budget("minAvailable"), _budget("maxUnavailable"), _value("status", "disruptionsAllowed", absent=0), age
    ),
    "pods": pod_cells,
    "podtemplates": pod_template,
    "priorityclasses.scheduling.k8s.io": _row(
        name, _value("value", absent=0), _value("globalDefault", absent=False), age, _value("preemptionPolicy")
    ),
    "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io": priority_level,
    "replicasets.apps": replica_set,
    "replicationcontrollers": lambda obj: [*replica_set(obj)[:-1], labels_text(section(obj, "spec", "selector"))],
    "resourceclaims.resource.k8s.io": resource_claim,
    "resourceclaimtemplates.resource.k8s.io": _row(name, age),
    "resourcequotas": quota,
    "resourceslices.resource.k8s.io": _row(
        name, _value("spec", "nodeName", absent=UNSET), _value("spec", "driver"), _value("spec", "pool", "name"), age
    ),
    "rolebindings.rbac.authorization.k8s.io": role_binding,
    "runtimeclasses.node.k8s.io": _row(name, _value("handler"), age),
    "scale.autoscaling": _row(name, _value("spec", "replicas", absent=0), _value("status", "replicas", absent=0), age),
    "secrets": lambda obj: [name(obj), obj.get("type", ""), len(section(obj, "data")), age(obj)],
    "serviceaccounts": _count("secrets"),
    "servicecidrs.networking.k8s.io": lambda obj: [name(obj), ",".join(items(section(obj, "spec"), "cidrs")), age(obj)],
    "services": service,
    "statefulsets.apps": stateful_set,
    "storageclasses.storage.k8s.io": storage_class,
    "validatingadmissionpolicies.admissionregistration.k8s.io": admission_policy,
    "validatingadmissionpolicybindings.admissionregistration.k8s.io": admission_binding,
    "validatingwebhookconfigurations.admissionregistration.k8s.io": _count("webhooks"),
    "volumeattachments.storage.k8s.io": _row(
        name, _value("spec", "attacher"), _value("spec", "source", "persistentVolumeName"), _value("spec", "nodeName"),
        _value("status", "attached", absent=False), age,
    ),
    "volumeattributesclasses.storage.k8s.io": _row(name, _value("driverName"), age),
}
