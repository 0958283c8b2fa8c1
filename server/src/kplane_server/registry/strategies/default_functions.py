# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Defaults that depend on other fields, one function for a type. The plain ones are rows in ``defaults``."""

from __future__ import annotations

from base64 import b64encode
from typing import Any, Final

from kplane_server.model.errors import Json
from kplane_server.registry.strategies.defaults import Defaults, child, children, missing, set_default

Object = dict[str, Any]

_PULL_ALWAYS_TAG: Final = "latest"
_MAX_INT32: Final = 2**31 - 1
_CLIENT_IP_SECONDS: Final = 10800


def image_tag(image: Json) -> str:
    """The tag of an image reference; ``latest`` when it has neither a tag nor a digest."""
    if not isinstance(image, str) or not image:
        return ""
    name, at, _ = image.partition("@")
    last = name.rpartition("/")[2]
    _, colon, tag = last.partition(":")
    if colon:
        return tag
    return "" if at else _PULL_ALWAYS_TAG


def pull_policy(image: Json) -> str:
    return "Always" if image_tag(image) == _PULL_ALWAYS_TAG else "IfNotPresent"


# -- pods ----------------------------------------------------------------------------------------------------------------------------
def container(obj: Object) -> None:
    set_default(obj, "imagePullPolicy", pull_policy(obj.get("image")))
    set_default(obj, "terminationMessagePath", "/dev/termination-log")
    set_default(obj, "terminationMessagePolicy", "File")
    set_default(obj, "resources", {})


#: Every kind of volume; a volume with none of them is an ``emptyDir``.
_NOT_SOURCES: Final = frozenset({"name"})


def volume(obj: Object) -> None:
    if all(value is None for key, value in obj.items() if key not in _NOT_SOURCES):
        obj["emptyDir"] = {}
    image = obj.get("image")
    if isinstance(image, dict):
        set_default(image, "pullPolicy", pull_policy(image.get("reference")))
    host_path = obj.get("hostPath")
    if isinstance(host_path, dict) and host_path.get("type") is None:
        host_path["type"] = ""


def grpc_action(obj: Object) -> None:
    if obj.get("service") is None:
        obj["service"] = ""


def pod_spec(obj: Object) -> None:
    """``serviceAccount`` is the old name of ``serviceAccountName``; both are kept equal."""
    name, old = obj.get("serviceAccountName"), obj.get("serviceAccount")
    if name:
        obj["serviceAccount"] = name
    elif old:
        obj["serviceAccountName"] = old


def _requests_from_limits(spec: Object) -> None:
    for field in ("containers", "initContainers"):
        for item in children(spec, field):
            resources = child(item, "resources")
            limits = child(resources, "limits")
            if limits:
                requests = resources.get("requests")
                if not isinstance(requests, dict):
                    requests = resources["requests"] = {}
                for key, value in limits.items():
                    requests.setdefault(key, value)


def _host_ports(spec: Object) -> None:
    if spec.get("hostNetwork") is not True:
        return
    for field in ("containers", "initContainers"):
        for item in children(spec, field):
            for port in children(item, "ports"):
                if not port.get("hostPort") and "containerPort" in port:
                    port["hostPort"] = port["containerPort"]


def pod(obj: Object) -> None:
    spec = child(obj, "spec")
    _requests_from_limits(spec)
    set_default(spec, "enableServiceLinks", True)
    _host_ports(spec)
    resources = spec.get("resources")
    if isinstance(resources, dict) and child(resources, "limits"):
        requests = resources.get("requests")
        if not isinstance(requests, dict):
            requests = resources["requests"] = {}
        for key, value in child(resources, "limits").items():
            requests.setdefault(key, value)


def secret(obj: Object) -> None:
    """``stringData`` is write-only: its values go into ``data``. What is of a wrong type stays, to be refused."""
    given, data = obj.get("stringData"), obj.get("data")
    if isinstance(given, dict) and isinstance(data, dict | None) and all(isinstance(value, str) for value in given.values()):
        del obj["stringData"]
        encoded = {key: b64encode(value.encode("utf-8", "surrogatepass")).decode() for key, value in given.items()}
        if encoded:
            obj["data"] = {**(data or {}), **encoded}


# -- workloads -----------------------------------------------------------------------------------------------------------------------
def deployment_strategy(obj: Object) -> None:
    if obj.get("type") == "RollingUpdate":
        set_default(obj, "rollingUpdate", {})
        rolling = child(obj, "rollingUpdate")
        set_default(rolling, "maxUnavailable", "25%")
        set_default(rolling, "maxSurge", "25%")


def daemon_set_strategy(obj: Object) -> None:
    if obj.get("type") == "RollingUpdate":
        set_default(obj, "rollingUpdate", {})
        rolling = child(obj, "rollingUpdate")
        set_default(rolling, "maxUnavailable", 1)
        set_default(rolling, "maxSurge", 0)


def stateful_set_strategy(obj: Object) -> None:
    if missing(obj, "type"):
        obj["type"] = "RollingUpdate"
        set_default(obj, "rollingUpdate", {})
    rolling = obj.get("rollingUpdate")
    if obj["type"] == "RollingUpdate" and isinstance(rolling, dict):
        set_default(rolling, "partition", 0)


def stateful_set_spec(obj: Object) -> None:
    """Claim templates are documents of their own: they carry their type, and a claim's status."""
    for claim in children(obj, "volumeClaimTemplates"):
        set_default(claim, "apiVersion", "v1")
        set_default(claim, "kind", "PersistentVolumeClaim")
        set_default(claim, "status", {"phase": "Pending"})


def daemon_set(obj: Object) -> None:
    """The template's generation lives in an annotation since apps/v1; whoever writes the object owns it."""
    metadata = obj.get("metadata")
    if isinstance(metadata, dict) and isinstance(annotations := metadata.get("annotations") or {}, dict):
        metadata["annotations"] = {"deprecated.daemonset.template.generation": "0", **annotations}


def _labels_of_template(obj: Object, *, selector: bool) -> None:
    labels = child(child(child(obj, "spec"), "template"), "metadata").get("labels")
    if not isinstance(labels, dict) or not labels:
        return
    if selector and not child(obj, "spec").get("selector"):
        child(obj, "spec")["selector"] = dict(labels)
    metadata = obj.get("metadata")
    if isinstance(metadata, dict) and not metadata.get("labels"):
        metadata["labels"] = dict(labels)


def replication_controller(obj: Object) -> None:
    _labels_of_template(obj, selector=True)


def job(obj: Object) -> None:
    spec = child(obj, "spec")
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    set_default(spec, "parallelism", 1)
    set_default(spec, "backoffLimit", 6 if spec.get("backoffLimitPerIndex") is None else _MAX_INT32)
    _labels_of_template(obj, selector=False)
    set_default(spec, "completionMode", "NonIndexed")
    set_default(spec, "suspend", False)
    set_default(spec, "podReplacementPolicy", "TerminatingOrFailed" if spec.get("podFailurePolicy") is None else "Failed")
    set_default(spec, "manualSelector", False)


def autoscaler_spec(obj: Object) -> None:
    if not obj.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        obj["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    behavior = obj.get("behavior")
    if isinstance(behavior, dict):
        up = [{"type": "Pods", "value": 4, "periodSeconds": 15}, {"type": "Percent", "value": 100, "periodSeconds": 15}]
        behavior["scaleUp"] = {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": up} | _set(behavior, "scaleUp")
        down = [{"type": "Percent", "value": 100, "periodSeconds": 15}]
        behavior["scaleDown"] = {"selectPolicy": "Max", "policies": down} | _set(behavior, "scaleDown")


def _set(obj: Object, field: str) -> Object:
    return {key: value for key, value in child(obj, field).items() if value is not None}


# -- services and networks -----------------------------------------------------------------------------------------------------------
def service_spec(obj: Object) -> None:
    if obj["sessionAffinity"] == "None":
        obj.pop("sessionAffinityConfig", None)
    elif obj["sessionAffinity"] == "ClientIP" and child(child(obj, "sessionAffinityConfig"), "clientIP").get("timeoutSeconds") is None:
        obj["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": _CLIENT_IP_SECONDS}}
    for port in children(obj, "ports"):
        if port.get("targetPort") in (None, 0, "") and "port" in port:
            port["targetPort"] = port["port"]
    kind = obj["type"]
    external = kind in ("NodePort", "LoadBalancer") or (kind == "ClusterIP" and bool(obj.get("externalIPs")))
    if external:
        set_default(obj, "externalTrafficPolicy", "Cluster")
    if kind in ("NodePort", "LoadBalancer", "ClusterIP"):
        set_default(obj, "internalTrafficPolicy", "Cluster")
    if kind == "LoadBalancer":
        set_default(obj, "allocateLoadBalancerNodePorts", True)


def network_policy_spec(obj: Object) -> None:
    obj.setdefault("podSelector", {})
    if not obj.get("policyTypes"):
        obj["policyTypes"] = ["Ingress", "Egress"] if obj.get("egress") else ["Ingress"]


def namespace(obj: Object) -> None:
    """KEP-2161: every namespace carries its name as a label."""
    metadata = obj.get("metadata")
    if isinstance(metadata, dict) and isinstance(metadata.get("name"), str) and metadata["name"]:
        labels = metadata.get("labels")
        if not isinstance(labels, dict):
            labels = metadata["labels"] = {}
        labels["kubernetes.io/metadata.name"] = metadata["name"]


# -- the rest ------------------------------------------------------------------------------------------------------------------------
def limit_range_item(obj: Object) -> None:
    if obj.get("type") != "Container":
        return
    tables: dict[str, Object] = {}
    for field in ("default", "defaultRequest"):
        tables[field] = {**child(obj, field)}
    for key, value in child(obj, "max").items():
        tables["default"].setdefault(key, value)
    for source in (tables["default"], child(obj, "min")):
        for key, value in source.items():
            tables["defaultRequest"].setdefault(key, value)
    obj.update({field: table for field, table in tables.items() if table})


def rbac_subject(obj: Object) -> None:
    if missing(obj, "apiGroup") and obj.get("kind") in ("User", "Group"):
        obj["apiGroup"] = "rbac.authorization.k8s.io"


def csi_driver_spec(obj: Object) -> None:
    if not obj.get("volumeLifecycleModes"):
        obj["volumeLifecycleModes"] = ["Persistent"]


def device_request(obj: Object) -> None:
    if obj["allocationMode"] == "ExactCount" and not obj.get("count"):
        obj["count"] = 1


def custom_resource_definition_spec(obj: Object) -> None:
    names = obj.get("names")
    if isinstance(names, dict) and isinstance(names.get("kind"), str):
        set_default(names, "singular", names["kind"].lower())
        set_default(names, "listKind", names["kind"] + "List")
    set_default(obj, "conversion", {})
    set_default(child(obj, "conversion"), "strategy", "None")


DEFAULTS: Final = Defaults(
    {
        "apiextensions.v1.CustomResourceDefinitionSpec": custom_resource_definition_spec,
        "apps.v1.DaemonSet": daemon_set,
        "apps.v1.DaemonSetUpdateStrategy": daemon_set_strategy,
        "apps.v1.DeploymentStrategy": deployment_strategy,
        "apps.v1.StatefulSetSpec": stateful_set_spec,
        "apps.v1.StatefulSetUpdateStrategy": stateful_set_strategy,
        "autoscaling.v2.HorizontalPodAutoscalerSpec": autoscaler_spec,
        "batch.v1.Job": job,
        "core.v1.Container": container,
        "core.v1.EphemeralContainer": container,
        "core.v1.GRPCAction": grpc_action,
        "core.v1.LimitRangeItem": limit_range_item,
        "core.v1.Namespace": namespace,
        "core.v1.Pod": pod,
        "core.v1.PodSpec": pod_spec,
        "core.v1.ReplicationController": replication_controller,
        "core.v1.Secret": secret,
        "core.v1.ServiceSpec": service_spec,
        "core.v1.Volume": volume,
        "networking.v1.NetworkPolicySpec": network_policy_spec,
        "rbac.v1.Subject": rbac_subject,
        "resource.v1.DeviceSubRequest": device_request,
        "resource.v1.ExactDeviceRequest": device_request,
        "storage.v1.CSIDriverSpec": csi_driver_spec,
    }
)
