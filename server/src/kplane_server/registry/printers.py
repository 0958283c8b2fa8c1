# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cells of built-in tables: one function for a resource, from a document to the values of all its columns, in their order.

What people know from ``kubectl get`` (``1/1``, ``Terminating``, ``80/TCP``) is made here, because a server makes it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from kplane_server.model import timestamps
from kplane_server.model.errors import Json
from kplane_server.registry import printers_core as core
from kplane_server.registry import printers_workloads as workloads
from kplane_server.registry.printing import (
    NONE,
    UNSET,
    Document,
    Printer,
    age,
    balancers,
    items,
    labels_text,
    limited,
    name,
    section,
    selector,
)
from kplane_server.registry.printing_pods import pod_cells
from kplane_server.registry.strategies.scale import selector_text


# -- networks, access, policies ------------------------------------------------------------------------------------------------------
def ingress(obj: Document) -> list[Json]:
    spec = section(obj, "spec")
    rules = items(spec, "rules")
    hosts = [str(rule["host"]) for rule in rules[:3] if rule.get("host")]
    text = ",".join(hosts) or "*"
    if len(rules) > 3 and hosts:
        text += f" + {len(rules) - 3} more..."
    ports = "80, 443" if items(spec, "tls") else "80"
    return [name(obj), spec.get("ingressClassName") or NONE, text, ",".join(balancers(obj)), ports, age(obj)]


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


def admission_policy(rules: str) -> Printer:
    """Name, how many rules, the kind of its parameters, age."""

    def cells(obj: Document) -> list[Json]:
        spec = section(obj, "spec")
        kind = section(spec, "paramKind")
        text = f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}" if kind else UNSET
        return [name(obj), len(items(spec, rules)), text, age(obj)]

    return cells


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
    "componentstatuses": core.component_status,
    "configmaps": lambda obj: [name(obj), len(section(obj, "data")) + len(section(obj, "binaryData")), age(obj)],
    "controllerrevisions.apps": workloads.controller_revision,
    "cronjobs.batch": workloads.cron_job,
    "csidrivers.storage.k8s.io": csi_driver,
    "csinodes.storage.k8s.io": _count("drivers", "spec"),
    "csistoragecapacities.storage.k8s.io": _row(name, _value("storageClassName"), _value("capacity", absent=UNSET)),
    "daemonsets.apps": workloads.daemon_set,
    "deployments.apps": workloads.deployment,
    "deviceclasses.resource.k8s.io": _row(name, age),
    "endpoints": core.endpoints,
    "endpointslices.discovery.k8s.io": endpoint_slice,
    "events": core.event,
    "flowschemas.flowcontrol.apiserver.k8s.io": flow_schema,
    "horizontalpodautoscalers.autoscaling": workloads.autoscaler,
    "ingressclasses.networking.k8s.io": ingress_class,
    "ingresses.networking.k8s.io": ingress,
    "ipaddresses.networking.k8s.io": ip_address,
    "jobs.batch": workloads.job,
    "leases.coordination.k8s.io": _row(name, _value("spec", "holderIdentity"), age),
    "mutatingadmissionpolicies.admissionregistration.k8s.io": admission_policy("mutations"),
    "mutatingadmissionpolicybindings.admissionregistration.k8s.io": admission_binding,
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": _count("webhooks"),
    "namespaces": _row(name, _value("status", "phase"), age),
    "networkpolicies.networking.k8s.io": _row(name, lambda obj: selector(section(obj, "spec").get("podSelector")), age),
    "nodes": core.node,
    "persistentvolumeclaims": core.claim,
    "persistentvolumes": core.volume,
    "poddisruptionbudgets.policy": _row(
        name, _budget("minAvailable"), _budget("maxUnavailable"), _value("status", "disruptionsAllowed", absent=0), age
    ),
    "pods": pod_cells,
    "podtemplates": workloads.pod_template,
    "priorityclasses.scheduling.k8s.io": _row(
        name, _value("value", absent=0), _value("globalDefault", absent=False), age, _value("preemptionPolicy")
    ),
    "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io": priority_level,
    "replicasets.apps": workloads.replica_set,
    "replicationcontrollers": lambda obj: [*workloads.replica_set(obj)[:-1], labels_text(section(obj, "spec", "selector"))],
    "resourceclaims.resource.k8s.io": resource_claim,
    "resourceclaimtemplates.resource.k8s.io": _row(name, age),
    "resourcequotas": core.quota,
    "resourceslices.resource.k8s.io": _row(
        name, _value("spec", "nodeName", absent=UNSET), _value("spec", "driver"), _value("spec", "pool", "name"), age
    ),
    "rolebindings.rbac.authorization.k8s.io": role_binding,
    "runtimeclasses.node.k8s.io": _row(name, _value("handler"), age),
    "scale.autoscaling": _row(name, _value("spec", "replicas", absent=0), _value("status", "replicas", absent=0), age),
    "secrets": lambda obj: [name(obj), obj.get("type", ""), len(section(obj, "data")), age(obj)],
    "serviceaccounts": _count("secrets"),
    "servicecidrs.networking.k8s.io": lambda obj: [name(obj), ",".join(items(section(obj, "spec"), "cidrs")), age(obj)],
    "services": core.service,
    "statefulsets.apps": workloads.stateful_set,
    "storageclasses.storage.k8s.io": storage_class,
    "validatingadmissionpolicies.admissionregistration.k8s.io": admission_policy("validations"),
    "validatingadmissionpolicybindings.admissionregistration.k8s.io": admission_binding,
    "validatingwebhookconfigurations.admissionregistration.k8s.io": _count("webhooks"),
    "volumeattachments.storage.k8s.io": _row(
        name,
        _value("spec", "attacher"),
        _value("spec", "source", "persistentVolumeName"),
        _value("spec", "nodeName"),
        _value("status", "attached", absent=False),
        age,
    ),
    "volumeattributesclasses.storage.k8s.io": _row(name, _value("driverName"), age),
}
