# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Defaults of built-in types as data; functions where one field's default depends on another.

Source: the field descriptions of the API reference (https://kubernetes.io/docs/reference/kubernetes-api/). A nested struct that gets
defaults by itself (a Deployment's ``strategy``) is made when it is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from kplane_server.model import quantity, timestamps
from kplane_server.model.errors import Json
from kplane_server.registry.strategies.typewalk import MICRO_TIME, QUANTITY, TIME, Planner, properties_of, visit

Object = dict[str, Any]

_TCP: Final = {"protocol": "TCP"}
_FILE_MODE: Final = {"defaultMode": 0o644}
_MATCH: Final[dict[str, Json]] = {"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}}
_WEBHOOK: Final = {"failurePolicy": "Fail", **_MATCH, "timeoutSeconds": 10}
_RBAC_REF: Final = {"apiGroup": "rbac.authorization.k8s.io"}
_RBD: Final = {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"}
_SCALE_IO: Final = {"storageMode": "ThinProvisioned", "fsType": "xfs"}

#: type → field → value of a field that is missing, null or an empty text.
DEFAULTS: Final[dict[str, dict[str, Json]]] = {
    "admissionregistration.v1.MatchResources": _MATCH,
    "admissionregistration.v1.MutatingWebhook": {**_WEBHOOK, "reinvocationPolicy": "Never"},
    "admissionregistration.v1.NamedRuleWithOperations": {"scope": "*"},
    "admissionregistration.v1.RuleWithOperations": {"scope": "*"},
    "admissionregistration.v1.ServiceReference": {"port": 443},
    "admissionregistration.v1.ValidatingAdmissionPolicySpec": {"failurePolicy": "Fail"},
    "admissionregistration.v1.ValidatingWebhook": _WEBHOOK,
    "admissionregistration.v1beta1.MatchResources": _MATCH,
    "admissionregistration.v1beta1.MutatingAdmissionPolicySpec": {"failurePolicy": "Fail"},
    "admissionregistration.v1beta1.NamedRuleWithOperations": {"scope": "*"},
    "apiregistration.v1.ServiceReference": {"port": 443},
    "apps.v1.DaemonSetSpec": {"revisionHistoryLimit": 10, "updateStrategy": {}},
    "apps.v1.DaemonSetUpdateStrategy": {"type": "RollingUpdate"},
    "apps.v1.DeploymentSpec": {"replicas": 1, "strategy": {}, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600},
    "apps.v1.DeploymentStrategy": {"type": "RollingUpdate"},
    "apps.v1.ReplicaSetSpec": {"replicas": 1},
    "apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
    "apps.v1.StatefulSetSpec": {
        "podManagementPolicy": "OrderedReady",
        "updateStrategy": {},
        "persistentVolumeClaimRetentionPolicy": {},
        "replicas": 1,
        "revisionHistoryLimit": 10,
    },
    "authentication.v1.TokenRequestSpec": {"expirationSeconds": 3600},
    "autoscaling.v1.HorizontalPodAutoscalerSpec": {"minReplicas": 1},
    "autoscaling.v2.HorizontalPodAutoscalerSpec": {"minReplicas": 1},
    "batch.v1.CronJobSpec": {"concurrencyPolicy": "Allow", "suspend": False, "successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1},
    "batch.v1.PodFailurePolicyOnPodConditionsPattern": {"status": "True"},
    "core.v1.AzureDiskVolumeSource": {"cachingMode": "ReadWrite", "fsType": "ext4", "kind": "Shared", "readOnly": False},
    "core.v1.ConfigMapVolumeSource": _FILE_MODE,
    "core.v1.ContainerPort": _TCP,
    "core.v1.DownwardAPIVolumeSource": _FILE_MODE,
    "core.v1.EndpointPort": _TCP,
    "core.v1.HTTPGetAction": {"path": "/", "scheme": "HTTP"},
    "core.v1.ISCSIPersistentVolumeSource": {"iscsiInterface": "default"},
    "core.v1.ISCSIVolumeSource": {"iscsiInterface": "default"},
    "core.v1.NamespaceStatus": {"phase": "Active"},
    "core.v1.ObjectFieldSelector": {"apiVersion": "v1"},
    "core.v1.PersistentVolumeClaimSpec": {"volumeMode": "Filesystem"},
    "core.v1.PersistentVolumeSpec": {"persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem"},
    "core.v1.PodSpec": {
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
        "schedulerName": "default-scheduler",
    },
    "core.v1.ProjectedVolumeSource": _FILE_MODE,
    "core.v1.RBDPersistentVolumeSource": _RBD,
    "core.v1.RBDVolumeSource": _RBD,
    "core.v1.ReplicationControllerSpec": {"replicas": 1},
    "core.v1.ScaleIOPersistentVolumeSource": _SCALE_IO,
    "core.v1.ScaleIOVolumeSource": _SCALE_IO,
    "core.v1.Secret": {"type": "Opaque"},
    "core.v1.SecretVolumeSource": _FILE_MODE,
    "core.v1.ServiceAccountTokenProjection": {"expirationSeconds": 3600},
    "core.v1.ServicePort": _TCP,
    "core.v1.ServiceSpec": {"sessionAffinity": "None", "type": "ClusterIP"},
    "discovery.v1.EndpointPort": {**_TCP, "name": ""},
    "flowcontrol.v1.ExemptPriorityLevelConfiguration": {"nominalConcurrencyShares": 0, "lendablePercent": 0},
    "flowcontrol.v1.LimitedPriorityLevelConfiguration": {"nominalConcurrencyShares": 30, "lendablePercent": 0},
    "networking.v1.IngressClassParametersReference": {"scope": "Cluster"},
    "networking.v1.NetworkPolicyPort": _TCP,
    "rbac.v1.RoleRef": _RBAC_REF,
    "resource.v1.DeviceSubRequest": {"allocationMode": "ExactCount"},
    "resource.v1.DeviceToleration": {"operator": "Equal"},
    "resource.v1.ExactDeviceRequest": {"allocationMode": "ExactCount"},
    "scheduling.v1.PriorityClass": {"preemptionPolicy": "PreemptLowerPriority"},
    "storage.v1.CSIDriverSpec": {
        "attachRequired": True,
        "podInfoOnMount": False,
        "storageCapacity": False,
        "fsGroupPolicy": "ReadWriteOnceWithFSType",
        "requiresRepublish": False,
        "seLinuxMount": False,
    },
    "storage.v1.StorageClass": {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"},
    "apiextensions.v1.ServiceReference": {"port": 443},
}

#: type → field → value of a field that is missing or 0, where 0 means unset.
ZERO_DEFAULTS: Final[dict[str, dict[str, int]]] = {
    "core.v1.Probe": {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3},
    "flowcontrol.v1.FlowSchemaSpec": {"matchingPrecedence": 1000},
    "flowcontrol.v1.QueuingConfiguration": {"handSize": 8, "queues": 64, "queueLengthLimit": 50},
}

#: Structs that are always there in a document of a type, because something in them has a default.
PRESENT: Final[dict[str, tuple[str, ...]]] = {
    "apps.v1.DaemonSet": ("spec",),
    "apps.v1.DaemonSetSpec": ("template",),
    "apps.v1.Deployment": ("spec",),
    "apps.v1.DeploymentSpec": ("template",),
    "apps.v1.ReplicaSet": ("spec",),
    "apps.v1.ReplicaSetSpec": ("template",),
    "apps.v1.StatefulSet": ("spec",),
    "apps.v1.StatefulSetSpec": ("template",),
    "autoscaling.v1.HorizontalPodAutoscaler": ("spec",),
    "autoscaling.v2.HorizontalPodAutoscaler": ("spec",),
    "batch.v1.CronJob": ("spec",),
    "batch.v1.Job": ("spec",),
    "batch.v1.JobSpec": ("template",),
    "core.v1.Namespace": ("spec", "status"),
    "core.v1.PersistentVolume": ("spec",),
    "core.v1.PersistentVolumeClaim": ("spec",),
    "core.v1.Pod": ("spec",),
    "core.v1.PodTemplateSpec": ("spec",),
    "core.v1.ReplicationController": ("spec",),
    "core.v1.Service": ("spec",),
    "storage.v1.CSIDriver": ("spec",),
}


def missing(obj: Object, field: str) -> bool:
    """Whether a field is unset as Go's zero value of texts and pointers is: absent, null or an empty text."""
    value = obj.get(field)
    return value is None or value == ""


def set_default(obj: Object, field: str, value: Json) -> None:
    if missing(obj, field):
        obj[field] = dict(value) if isinstance(value, dict) else list(value) if isinstance(value, list) else value


def child(obj: Object, field: str) -> Object:
    """A nested object, or an empty one of its own when there is none."""
    value = obj.get(field)
    return value if isinstance(value, dict) else {}


def children(obj: Object, field: str) -> list[Object]:
    """The objects in a list."""
    value = obj.get(field)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


#: Types of texts that have many forms for one value → the form that a server answers with.
CANONICAL: Final[dict[str, Callable[[Any], str]]] = {
    QUANTITY: quantity.canonical,
    TIME: timestamps.canonical,
    MICRO_TIME: timestamps.canonical_micro,
}
#: Their times are the server's own.
_SERVER_TIMES: Final = frozenset({"meta.v1.ObjectMeta", "meta.v1.ManagedFieldsEntry"})


def canonical_texts(type_name: str) -> tuple[tuple[str, str, Callable[[Any], str]], ...]:
    """(property, ``one`` or ``map``, function to the canonical form) of the properties of a type that are such texts."""
    if type_name in _SERVER_TIMES:
        return ()
    return tuple((prop, how, form) for target, form in CANONICAL.items() for prop, how in properties_of(type_name, target))


class _Rule:
    """Everything that happens to a value of one type."""

    __slots__ = ("fields", "function", "present", "texts", "zeros")

    def __init__(self, type_name: str, function: Callable[[Object], None] | None) -> None:
        self.present = PRESENT.get(type_name, ())
        self.fields = tuple(DEFAULTS.get(type_name, {}).items())
        self.zeros = tuple(ZERO_DEFAULTS.get(type_name, {}).items())
        self.texts = canonical_texts(type_name)
        self.function = function

    def apply(self, obj: Object) -> None:
        for field in self.present:
            set_default(obj, field, {})
        for field, value in self.fields:
            set_default(obj, field, value)
        for field, number in self.zeros:
            if not obj.get(field):
                obj[field] = number
        for field, how, form in self.texts:
            if field in obj:
                _canonicalize(obj, field, how, form)
        if self.function is not None:
            self.function(obj)


def _canonicalize(obj: Object, field: str, how: str, form: Callable[[Any], str]) -> None:
    """Texts in the form that a server answers with; one that cannot be read is left for validation."""
    value = obj[field]
    if how == "one":
        obj[field] = _canonical(value, form)
    elif isinstance(value, dict):
        for key, item in value.items():
            value[key] = _canonical(item, form)


def _canonical(value: Json, form: Callable[[Any], str]) -> Json:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if isinstance(value, str) or (number and form is quantity.canonical):  # a number is a quantity too, but never a time
        with suppress(ValueError):
            return form(value)
    return value


class Defaults:
    """The defaults of all built-in types, with the functions of ``functions``."""

    def __init__(self, functions: dict[str, Callable[[Object], None]]) -> None:
        self._functions = functions
        self._planner: Planner[_Rule] = Planner(self._rule)

    def _rule(self, type_name: str) -> _Rule | None:
        function = self._functions.get(type_name)
        if (
            function is None
            and not any(type_name in table for table in (DEFAULTS, ZERO_DEFAULTS, PRESENT))
            and not canonical_texts(type_name)
        ):
            return None
        return _Rule(type_name, function)

    def apply(self, type_name: str, obj: Object) -> None:
        """Fill in what is left out, the outer types first. Idempotent; never fails on a document of a wrong shape."""
        visit(self._planner.plan(type_name), obj, _Rule.apply)
