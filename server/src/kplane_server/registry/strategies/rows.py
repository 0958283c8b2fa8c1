# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The behaviour of every built-in kind, a row each; what is alike for all of them is added in ``index``."""

from __future__ import annotations

from typing import Any, Final

from kplane_server.model.metadata import label_1035_name, label_name, path_segment_name
from kplane_server.registry.allocators import service_companions
from kplane_server.registry.strategies import (
    checks_admission,
    checks_config,
    checks_pods,
    checks_policies,
    checks_services,
    checks_workloads,
    lifecycle,
    services,
)
from kplane_server.registry.strategies.namespaces import namespace_companions

_FIELD_IMMUTABLE: Final = "field is immutable"


def _immutable(*paths: str) -> tuple[tuple[tuple[str, ...], str], ...]:
    return tuple((tuple(path.split(".")), _FIELD_IMMUTABLE) for path in paths)


def _generation(*paths: str) -> dict[str, Any]:
    """Rows whose generation counts changes of these paths; of ``spec`` when none is named."""
    fields = tuple(tuple(path.split(".")) for path in paths)
    return {"has_generation": True, **({"generation_fields": fields} if fields else {})}


_RBAC: Final[dict[str, Any]] = {"name_validation": path_segment_name, "allow_create_on_update": True}
_WEBHOOKS: Final[dict[str, Any]] = {**_generation("webhooks"), "allow_unconditional_update": False}

#: (group, resource) → arguments of its Strategy. ``settled``: fields that an update is not judged by when it leaves them as they are.
ROWS: Final[dict[tuple[str, str], dict[str, Any]]] = {
    ("", "configmaps"): {"update_validator": checks_config.config_map_update},
    # Those of Service kubernetes are on loopback where the server listens there alone, which nobody else could say of an address.
    ("", "endpoints"): {"allow_create_on_update": True, "settled": ("subsets",)},
    ("", "events"): {"create_validator": checks_admission.event, "allow_create_on_update": True},
    ("", "limitranges"): {"allow_create_on_update": True},
    ("", "namespaces"): {
        "name_validation": label_name,
        "create_hook": lifecycle.namespace_create,
        "update_hook": lifecycle.namespace_update,
        "initial_status": {"phase": "Active"},
        "companion_hook": namespace_companions,
        "subresource_fields": {"finalize": (("spec", "finalizers"),)},
    },
    ("", "nodes"): {"keeps_status_on_create": True},
    ("", "persistentvolumeclaims"): {
        "update_validator": checks_config.claim_update,
        "initial_status": {"phase": "Pending"},
        "create_hook": lifecycle.claim_create,
    },
    ("", "persistentvolumes"): {
        "update_validator": checks_config.volume_update,
        "initial_status": {"phase": "Pending"},
        "create_hook": lifecycle.volume_create,
    },
    ("", "pods"): {
        "update_validator": checks_pods.pod_update,
        **_generation(),
        "create_hook": lifecycle.pod_create,
        "update_hook": lifecycle.pod_update,
        "graceful_seconds": lifecycle.pod_grace,
        "subresource_fields": {
            "binding": (("spec", "nodeName"), ("status", "conditions"), ("metadata", "annotations"), ("metadata", "labels")),
            "ephemeralcontainers": (("spec", "ephemeralContainers"),),
            "resize": (("spec", "containers"), ("spec", "initContainers"), ("spec", "resources")),
        },
    },
    ("", "podtemplates"): _generation("template"),
    ("", "replicationcontrollers"): {**_generation(), "initial_status": {"replicas": 0}},
    ("", "resourcequotas"): {"initial_status": {}},
    ("", "secrets"): {
        "create_validator": checks_config.secret_create,
        "update_validator": checks_config.secret_update,
        "update_hook": lifecycle.secret_update,
    },
    ("", "serviceaccounts"): {},
    ("", "services"): {
        "update_validator": checks_services.service_update,
        "name_validation": label_1035_name,
        "allow_create_on_update": True,
        "initial_status": {"loadBalancer": {}},
        "create_hook": services.service_create,
        "update_hook": services.service_update,
        "companion_hook": service_companions,
    },
    ("admissionregistration.k8s.io", "mutatingadmissionpolicies"): {**_generation(), "allow_unconditional_update": False},
    ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings"): {**_generation(), "allow_unconditional_update": False},
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"): _WEBHOOKS,
    ("admissionregistration.k8s.io", "validatingadmissionpolicies"): {
        **_generation(),
        "allow_unconditional_update": False,
        "create_validator": checks_policies.policy,
        "update_validator": lambda new, old, ctx: checks_policies.policy(new, ctx),
    },
    ("admissionregistration.k8s.io", "validatingadmissionpolicybindings"): {**_generation(), "allow_unconditional_update": False},
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"): _WEBHOOKS,
    ("apiextensions.k8s.io", "customresourcedefinitions"): {**_generation(), "allow_unconditional_update": False},
    ("apiregistration.k8s.io", "apiservices"): {"create_validator": checks_admission.api_service, "name_validation": path_segment_name},
    ("apps", "controllerrevisions"): {"immutable": _immutable("data")},
    ("apps", "daemonsets"): {
        **_generation(),
        "immutable": _immutable("spec.selector"),
        "initial_status": {"currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0},
        "create_hook": lifecycle.daemon_set_create,
        "update_hook": lifecycle.daemon_set_update,
    },
    ("apps", "deployments"): {**_generation(), "immutable": _immutable("spec.selector"), "initial_status": {}},
    ("apps", "replicasets"): {**_generation(), "immutable": _immutable("spec.selector"), "initial_status": {"replicas": 0}},
    ("apps", "statefulsets"): {
        "update_validator": checks_workloads.stateful_set_update,
        **_generation(),
        "initial_status": {"replicas": 0, "availableReplicas": 0},
    },
    ("autoscaling", "horizontalpodautoscalers"): {"create_validator": checks_workloads.autoscaler_create},
    ("batch", "cronjobs"): {"create_validator": checks_workloads.cron_job_name, **_generation(), "initial_status": {}},
    ("batch", "jobs"): {
        "update_validator": checks_workloads.job_update,
        **_generation(),
        "initial_status": {},
        "create_hook": lifecycle.job_create,
        "update_hook": lifecycle.job_update,
    },
    ("certificates.k8s.io", "certificatesigningrequests"): {
        "update_validator": checks_admission.signing_request_status,
        "status_validator": checks_admission.signing_request_status,
        "create_hook": lifecycle.signing_request_create,
        "update_hook": lifecycle.signing_request_update,
        "initial_status": {},
        "subresource_fields": {"approval": (("status", "conditions"),)},
    },
    ("coordination.k8s.io", "leases"): {"allow_create_on_update": True, "allow_unconditional_update": False},
    ("discovery.k8s.io", "endpointslices"): {**_generation("endpoints", "ports"), "immutable": _immutable("addressType")},
    ("flowcontrol.apiserver.k8s.io", "flowschemas"): {**_generation(), "initial_status": {}},
    ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"): {**_generation(), "initial_status": {}},
    ("networking.k8s.io", "ingressclasses"): {**_generation(), "update_validator": checks_services.ingress_class_update},
    ("networking.k8s.io", "ingresses"): {**_generation(), "initial_status": {"loadBalancer": {}}},
    ("networking.k8s.io", "ipaddresses"): {"name_validation": checks_services.ip_address_name, "immutable": _immutable("spec.parentRef")},
    ("networking.k8s.io", "networkpolicies"): _generation(),
    ("networking.k8s.io", "servicecidrs"): {"update_validator": checks_services.service_cidr_update},
    ("node.k8s.io", "runtimeclasses"): {
        "allow_create_on_update": True,
        "allow_unconditional_update": False,
        "immutable": _immutable("handler"),
    },
    ("policy", "poddisruptionbudgets"): {
        **_generation(),
        "allow_unconditional_update": False,
        "initial_status": {"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0},
    },
    ("rbac.authorization.k8s.io", "clusterrolebindings"): {**_RBAC, "update_validator": checks_config.binding_update},
    ("rbac.authorization.k8s.io", "clusterroles"): _RBAC,
    ("rbac.authorization.k8s.io", "rolebindings"): {**_RBAC, "update_validator": checks_config.binding_update},
    ("rbac.authorization.k8s.io", "roles"): _RBAC,
    ("resource.k8s.io", "deviceclasses"): _generation(),
    ("resource.k8s.io", "resourceclaims"): {"initial_status": {}, "immutable": _immutable("spec")},
    ("resource.k8s.io", "resourceclaimtemplates"): {"immutable": _immutable("spec")},
    ("resource.k8s.io", "resourceslices"): {
        **_generation(),
        "immutable": _immutable("spec.driver", "spec.nodeName", "spec.nodeSelector", "spec.allNodes", "spec.pool.name"),
    },
    ("scheduling.k8s.io", "priorityclasses"): {
        "create_validator": checks_config.priority_class_create,
        "update_validator": checks_config.priority_class_update,
        "has_generation": True,
        "generation_fields": (),
    },
    ("storage.k8s.io", "csidrivers"): {"allow_unconditional_update": False},
    ("storage.k8s.io", "csinodes"): {"allow_unconditional_update": False},
    ("storage.k8s.io", "csistoragecapacities"): {
        "allow_unconditional_update": False,
        "immutable": _immutable("nodeTopology", "storageClassName"),
    },
    ("storage.k8s.io", "storageclasses"): {"update_validator": checks_config.storage_class_update},
    ("storage.k8s.io", "volumeattachments"): {"allow_unconditional_update": False, "immutable": _immutable("spec")},
    ("storage.k8s.io", "volumeattributesclasses"): {"update_validator": checks_config.attributes_class_update},
}
