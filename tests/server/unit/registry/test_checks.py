# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Validation of built-in kinds: what is refused, where, and in which words; and that good documents pass."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import pytest

from kplane_server.model.errors import Forbidden
from kplane_server.model.identity import UserInfo
from kplane_server.model.keys import ResourceId
from kplane_server.registry.catalog import BUILTIN
from kplane_server.registry.resource import ResourceInfo
from kplane_server.registry.strategies import check_rows, typewalk
from kplane_server.registry.strategies.base import NoLookup, StrategyContext
from kplane_server.registry.strategies.check_functions import FUNCTIONS
from kplane_server.registry.strategies.cron import schedule_problem, zone_problem
from kplane_server.registry.strategies.index import strategy_for, type_name

Document = dict[str, Any]

CONTAINER: Document = {"name": "c", "image": "nginx:1"}
TEMPLATE: Document = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [CONTAINER]}}
ONCE: Document = {"spec": {"restartPolicy": "Never", "containers": [CONTAINER]}}
WORKLOAD: Document = {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}
CLAIM: Document = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
HOOK: Document = {
    "name": "a.example.com",
    "clientConfig": {"url": "https://example.com/x"},
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
    "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
}
REQUEST = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlJQgotLS0tLUVORCBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0K"


def info_of(api_version: str, kind: str) -> ResourceInfo:
    group, _, version = api_version.rpartition("/")
    return next(row for row in BUILTIN if (row.group, row.version, row.kind) == (group, version, kind))


def created(api_version: str, kind: str, *, namespace: str = "default", **body: Any) -> tuple[Document, list[tuple[str, str]]]:
    """A document as a creation would store it, and its causes as (field, message)."""
    info = info_of(api_version, kind)
    strategy, ctx = strategy_for(info), StrategyContext(info, UserInfo("u"), namespace)
    metadata = {"name": "x", "uid": "1-2-3", **({"namespace": namespace} if info.namespaced else {}), **body.pop("metadata", {})}
    document: Document = {"apiVersion": api_version, "kind": kind, "metadata": metadata, **copy.deepcopy(body)}
    strategy.default(document)
    strategy.prepare_for_create(document, ctx)
    return document, [(cause.field, cause.message) for cause in strategy.validate_create(document, ctx)]


def updated(old: Document, change: Any, subresource: str = "") -> list[tuple[str, str]]:
    """The causes of changing a stored document with a function."""
    info = info_of(old["apiVersion"], old["kind"])
    strategy, ctx = strategy_for(info), StrategyContext(info, UserInfo("u"), "default", subresource)
    new = copy.deepcopy(old)
    change(new)
    strategy.default(new)
    strategy.prepare_for_update(new, old, ctx)
    return [(cause.field, cause.message) for cause in strategy.validate_update(new, old, ctx)]


GOOD: list[tuple[str, str, Document]] = [
    ("v1", "Pod", {"spec": {"containers": [CONTAINER]}}),
    ("v1", "Service", {"spec": {"ports": [{"port": 80, "targetPort": "http"}]}}),
    ("v1", "Service", {"spec": {"type": "ExternalName", "externalName": "example.com"}}),
    ("v1", "Service", {"spec": {"clusterIP": "None"}}),
    ("v1", "ConfigMap", {"data": {"a.b": "c"}, "binaryData": {"d": "AA=="}}),
    ("v1", "Secret", {"stringData": {"a": "b"}}),
    ("v1", "Secret", {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "e30="}}),
    ("v1", "Namespace", {}),
    ("v1", "Node", {}),
    ("v1", "ServiceAccount", {}),
    ("v1", "PersistentVolumeClaim", {"spec": CLAIM}),
    (
        "v1",
        "PersistentVolume",
        {"spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}},
    ),
    ("v1", "ResourceQuota", {"spec": {"hard": {"pods": 10, "requests.cpu": "1"}}}),
    ("v1", "LimitRange", {"spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}}]}}),
    ("v1", "Event", {"involvedObject": {"kind": "Pod", "namespace": "default", "name": "p"}, "reason": "R", "message": "m"}),
    ("v1", "Endpoints", {"subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]}),
    ("v1", "ReplicationController", {"spec": {"template": TEMPLATE}}),
    ("v1", "PodTemplate", {"template": TEMPLATE}),
    ("apps/v1", "Deployment", {"spec": WORKLOAD}),
    ("apps/v1", "ReplicaSet", {"spec": WORKLOAD}),
    ("apps/v1", "DaemonSet", {"spec": WORKLOAD}),
    (
        "apps/v1",
        "StatefulSet",
        {"spec": {**WORKLOAD, "serviceName": "s", "volumeClaimTemplates": [{"metadata": {"name": "d"}, "spec": CLAIM}]}},
    ),
    ("apps/v1", "ControllerRevision", {"data": {"spec": {}}, "revision": 1}),
    ("batch/v1", "Job", {"spec": {"template": ONCE}}),
    ("batch/v1", "CronJob", {"spec": {"schedule": "*/5 * * * mon-fri", "jobTemplate": {"spec": {"template": ONCE}}}}),
    (
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        {"spec": {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}}},
    ),
    (
        "autoscaling/v1",
        "HorizontalPodAutoscaler",
        {"spec": {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}}},
    ),
    ("policy/v1", "PodDisruptionBudget", {"spec": {"minAvailable": "50%", "selector": {"matchLabels": {"a": "b"}}}}),
    (
        "networking.k8s.io/v1",
        "Ingress",
        {
            "spec": {
                "rules": [
                    {
                        "host": "*.a.b",
                        "http": {
                            "paths": [{"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "s", "port": {"number": 80}}}}]
                        },
                    }
                ]
            }
        },
    ),
    ("networking.k8s.io/v1", "IngressClass", {"spec": {"controller": "example.com/x"}}),
    (
        "networking.k8s.io/v1",
        "NetworkPolicy",
        {"spec": {"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}]}]}},
    ),
    ("networking.k8s.io/v1", "ServiceCIDR", {"spec": {"cidrs": ["10.0.0.0/16"]}}),
    ("networking.k8s.io/v1", "IPAddress", {"spec": {"parentRef": {"resource": "services", "name": "s", "namespace": "n"}}}),
    ("discovery.k8s.io/v1", "EndpointSlice", {"addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}], "ports": [{"port": 80}]}),
    ("rbac.authorization.k8s.io/v1", "Role", {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}),
    ("rbac.authorization.k8s.io/v1", "ClusterRole", {"rules": [{"nonResourceURLs": ["/x"], "verbs": ["get"]}]}),
    (
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        {"roleRef": {"kind": "Role", "name": "r"}, "subjects": [{"kind": "User", "name": "u"}]},
    ),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", {"roleRef": {"kind": "ClusterRole", "name": "system:x"}}),
    ("storage.k8s.io/v1", "StorageClass", {"provisioner": "example.com/x"}),
    ("storage.k8s.io/v1", "CSIDriver", {"spec": {}}),
    ("storage.k8s.io/v1", "CSINode", {"spec": {"drivers": []}}),
    ("scheduling.k8s.io/v1", "PriorityClass", {"value": 1000}),
    ("coordination.k8s.io/v1", "Lease", {"spec": {"holderIdentity": "h", "leaseDurationSeconds": 15}}),
    ("node.k8s.io/v1", "RuntimeClass", {"handler": "runc"}),
    ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", {"webhooks": [HOOK]}),
    ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", {"webhooks": [HOOK]}),
    (
        "admissionregistration.k8s.io/v1",
        "ValidatingAdmissionPolicy",
        {"spec": {"matchConstraints": {"resourceRules": HOOK["rules"]}, "validations": [{"expression": "true"}]}},
    ),
    (
        "admissionregistration.k8s.io/v1beta1",
        "MutatingAdmissionPolicy",
        {
            "spec": {
                "matchConstraints": {"resourceRules": [{**HOOK["rules"][0], "operations": ["*"]}]},
                "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object{}"}}],
                "reinvocationPolicy": "Never",
            }
        },
    ),
    ("admissionregistration.k8s.io/v1beta1", "MutatingAdmissionPolicyBinding", {"spec": {"policyName": "p"}}),
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding", {"spec": {"policyName": "p", "validationActions": ["Deny"]}}),
    (
        "certificates.k8s.io/v1",
        "CertificateSigningRequest",
        {"spec": {"request": REQUEST, "signerName": "example.com/s", "usages": ["client auth"]}},
    ),
    ("flowcontrol.apiserver.k8s.io/v1", "FlowSchema", {"spec": {"priorityLevelConfiguration": {"name": "exempt"}}}),
    (
        "flowcontrol.apiserver.k8s.io/v1",
        "PriorityLevelConfiguration",
        {"spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}},
    ),
]


@pytest.mark.parametrize(("api_version", "kind", "body"), GOOD, ids=[f"{kind}-{i}" for i, (_, kind, _) in enumerate(GOOD)])
def test_good_documents_pass_and_stay_good(api_version: str, kind: str, body: Document) -> None:
    document, causes = created(api_version, kind, **body)
    assert causes == []
    assert updated(document, lambda new: new["metadata"].update(labels={"l": "1"})) == []


def test_a_stateful_set_mounts_its_claims() -> None:
    claims = [{"metadata": {"name": "d"}, "spec": CLAIM}]
    pod = {"containers": [{**CONTAINER, "volumeMounts": [{"name": "d", "mountPath": "/d"}]}]}
    spec = {**WORKLOAD, "template": {**TEMPLATE, "spec": pod}}
    assert created("apps/v1", "StatefulSet", spec={**spec, "volumeClaimTemplates": claims})[1] == []
    for kind in ("StatefulSet", "Deployment"):
        causes = created("apps/v1", kind, spec=spec)[1]
        assert ("spec.template.spec.containers[0].volumeMounts[0].name", 'Not found: "d"') in causes


def without(document: Document, *path: str) -> Document:
    trimmed = copy.deepcopy(document)
    parent = trimmed
    for step in path[:-1]:
        parent = parent[step]
    del parent[path[-1]]
    return trimmed


BAD: list[tuple[str, str, Document, str, str]] = [
    ("v1", "Pod", {"spec": {}}, "spec.containers", "Required value"),
    ("v1", "Pod", {"spec": {"containers": [{"name": "c"}]}}, "spec.containers[0].image", "Required value"),
    ("v1", "Pod", {"spec": {"containers": [CONTAINER, CONTAINER]}}, "spec.containers[1].name", 'Duplicate value: "c"'),
    ("v1", "Pod", {"spec": {"containers": [{**CONTAINER, "name": "C"}]}}, "spec.containers[0].name", "lowercase RFC 1123 label"),
    (
        "v1",
        "Pod",
        {"spec": {"containers": [{**CONTAINER, "ports": [{"containerPort": 70000}]}]}},
        "spec.containers[0].ports[0].containerPort",
        "Invalid value: 70000: must be between 1 and 65535, inclusive",
    ),
    (
        "v1",
        "Pod",
        {"spec": {"containers": [{**CONTAINER, "imagePullPolicy": "Sometimes"}]}},
        "spec.containers[0].imagePullPolicy",
        "Unsupported value",
    ),
    (
        "v1",
        "Pod",
        {"spec": {"containers": [{**CONTAINER, "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]}},
        "spec.containers[0].volumeMounts[0].name",
        'Not found: "v"',
    ),
    (
        "v1",
        "Pod",
        {"spec": {"containers": [{**CONTAINER, "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}}]}},
        "spec.containers[0].resources.requests",
        "must be less than or equal to cpu limit of 1",
    ),
    (
        "v1",
        "Pod",
        {"spec": {"containers": [CONTAINER], "tolerations": [{"operator": "Equal"}]}},
        "spec.tolerations[0].operator",
        "must be Exists",
    ),
    ("v1", "Pod", {"spec": {"containers": [CONTAINER], "nodeSelector": {"a b": "c"}}}, "spec.nodeSelector", "name part must consist of"),
    ("v1", "Service", {"spec": {}}, "spec.ports", "Required value"),
    ("v1", "Service", {"spec": {"ports": [{"port": 99999}]}}, "spec.ports[0].port", "must be between 1 and 65535, inclusive"),
    ("v1", "Service", {"spec": {"ports": [{"port": 1}, {"port": 2}]}}, "spec.ports[1].name", "Required value"),
    (
        "v1",
        "Service",
        {"spec": {"ports": [{"port": 1, "nodePort": 30000}]}},
        "spec.ports[0].nodePort",
        "may not be used when `type` is 'ClusterIP'",
    ),
    ("v1", "Service", {"spec": {"type": "ExternalName"}}, "spec.externalName", "Required value"),
    ("v1", "Service", {"spec": {"type": "Wrong", "ports": [{"port": 1}]}}, "spec.type", 'Unsupported value: "Wrong"'),
    ("v1", "ConfigMap", {"data": {"a b": "c"}}, "data[a b]", "a valid config key must consist of"),
    ("v1", "ConfigMap", {"data": {"a": "x" * (1 << 20) + "y"}}, "", "Too long: may not be more than 1048576 bytes"),
    ("v1", "Secret", {"type": "kubernetes.io/tls"}, "data[tls.crt]", "Required value"),
    ("v1", "Secret", {"type": "kubernetes.io/basic-auth"}, "data[username]", "Required value"),
    (
        "v1",
        "Secret",
        {"type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": "{"}},
        "data[.dockerconfigjson]",
        "redacted",
    ),
    ("v1", "PersistentVolumeClaim", {"spec": without(CLAIM, "accessModes")}, "spec.accessModes", "Required value"),
    ("v1", "PersistentVolumeClaim", {"spec": without(CLAIM, "resources")}, "spec.resources[storage]", "Required value"),
    (
        "v1",
        "PersistentVolume",
        {"spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}},
        "spec",
        "must specify a volume type",
    ),
    ("v1", "ResourceQuota", {"spec": {"hard": {"pods": "many"}}}, "spec.hard[pods]", "quantities must match"),
    ("v1", "Event", {"involvedObject": {"namespace": "other"}}, "involvedObject.namespace", "does not match event.namespace"),
    ("apps/v1", "Deployment", {"spec": without(WORKLOAD, "selector")}, "spec.selector", "Required value"),
    (
        "apps/v1",
        "Deployment",
        {"spec": {**WORKLOAD, "selector": {"matchLabels": {"a": "c"}}}},
        "spec.template.metadata.labels",
        '{"a":"b"}: `selector` does not match template `labels`',
    ),
    ("apps/v1", "Deployment", {"spec": {**WORKLOAD, "selector": {}}}, "spec.selector", "empty selector is invalid for deployment"),
    ("apps/v1", "Deployment", {"spec": {**WORKLOAD, "replicas": -1}}, "spec.replicas", "must be greater than or equal to 0"),
    (
        "apps/v1",
        "Deployment",
        {"spec": {**WORKLOAD, "template": {**TEMPLATE, **ONCE}}},
        "spec.template.spec.restartPolicy",
        'supported values: "Always"',
    ),
    (
        "apps/v1",
        "Deployment",
        {"spec": {**WORKLOAD, "strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}}},
        "spec.strategy.rollingUpdate.maxUnavailable",
        "may not be 0 when `maxSurge` is 0",
    ),
    ("batch/v1", "Job", {"spec": {"template": TEMPLATE}}, "spec.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"'),
    (
        "batch/v1",
        "Job",
        {"spec": {"template": ONCE, "completionMode": "Indexed", "parallelism": 1}},
        "spec.completions",
        "when completion mode is Indexed",
    ),
    (
        "batch/v1",
        "CronJob",
        {"spec": {"schedule": "* * *", "jobTemplate": {"spec": {"template": ONCE}}}},
        "spec.schedule",
        "expected exactly 5 fields",
    ),
    (
        "batch/v1",
        "CronJob",
        {"metadata": {"name": "x" * 53}, "spec": {"schedule": "@daily", "jobTemplate": {"spec": {"template": ONCE}}}},
        "metadata.name",
        "must be no more than 52 characters",
    ),
    (
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        {"spec": {"scaleTargetRef": {"kind": "D", "name": "d"}}},
        "spec.maxReplicas",
        "must be greater than 0",
    ),
    ("policy/v1", "PodDisruptionBudget", {"spec": {"minAvailable": 1, "maxUnavailable": 1}}, "spec", "cannot be both set"),
    ("networking.k8s.io/v1", "Ingress", {"spec": {}}, "spec", "either `defaultBackend` or `rules` must be specified"),
    ("networking.k8s.io/v1", "ServiceCIDR", {"spec": {"cidrs": ["10.0.0.0/99"]}}, "spec.cidrs[0]", "must be a valid CIDR value"),
    ("networking.k8s.io/v1", "NetworkPolicy", {"spec": {"ingress": [{"from": [{}]}]}}, "spec.ingress[0].from[0]", "must specify a peer"),
    (
        "rbac.authorization.k8s.io/v1",
        "Role",
        {"rules": [{"apiGroups": [""], "resources": ["pods"]}]},
        "rules[0].verbs",
        "at least one value",
    ),
    ("rbac.authorization.k8s.io/v1", "RoleBinding", {"roleRef": {"kind": "User", "name": "r"}}, "roleRef.kind", "Unsupported value"),
    (
        "scheduling.k8s.io/v1",
        "PriorityClass",
        {"value": 2_000_000_000},
        "value",
        "Forbidden: maximum allowed value of a user defined priority",
    ),
    ("coordination.k8s.io/v1", "Lease", {"spec": {"leaseDurationSeconds": 0}}, "spec.leaseDurationSeconds", "must be greater than 0"),
    (
        "admissionregistration.k8s.io/v1",
        "ValidatingWebhookConfiguration",
        {"webhooks": [{**HOOK, "name": "a.b"}]},
        "webhooks[0].name",
        "three segments",
    ),
    (
        "admissionregistration.k8s.io/v1",
        "ValidatingWebhookConfiguration",
        {"webhooks": [{**HOOK, "clientConfig": {}}]},
        "webhooks[0].clientConfig",
        "exactly one",
    ),
    (
        "certificates.k8s.io/v1",
        "CertificateSigningRequest",
        {"spec": {"request": REQUEST, "usages": ["client auth"]}},
        "spec.signerName",
        "Required value",
    ),
    (
        "discovery.k8s.io/v1",
        "EndpointSlice",
        {"addressType": "IPv4", "endpoints": [{"addresses": ["::1"]}]},
        "endpoints[0].addresses[0]",
        "must be an IPv4",
    ),
    (
        "apiregistration.k8s.io/v1",
        "APIService",
        {"spec": {"version": "v1", "group": "g", "groupPriorityMinimum": 1, "versionPriority": 1}},
        "metadata.name",
        "v1.g",
    ),
]


@pytest.mark.parametrize(
    ("api_version", "kind", "body", "field", "words"), BAD, ids=[f"{row[1]}-{row[3]}-{i}" for i, row in enumerate(BAD)]
)
def test_bad_documents_are_refused_where_they_are_wrong(api_version: str, kind: str, body: Document, field: str, words: str) -> None:
    _, causes = created(api_version, kind, **body)
    assert any(at == field and words in message for at, message in causes), causes


def put(path: str, value: Any) -> Any:
    def change(document: Document) -> None:
        *parents, last = path.split(".")
        parent: Any = document
        for step in parents:
            parent = parent[int(step)] if step.isdigit() else parent.setdefault(step, {})
        parent[int(last) if last.isdigit() else last] = value

    return change


CHANGES: list[tuple[str, str, Document, str, Any, str, str]] = [
    (
        "apps/v1",
        "Deployment",
        {"spec": WORKLOAD},
        "spec.selector",
        {"matchLabels": {"a": "b", "c": "d"}},
        "spec.selector",
        "field is immutable",
    ),
    (
        "apps/v1",
        "StatefulSet",
        {"spec": WORKLOAD},
        "spec.serviceName",
        "other",
        "spec",
        "updates to statefulset spec for fields other than",
    ),
    (
        "batch/v1",
        "Job",
        {"spec": {"template": ONCE}},
        "spec.template.spec.containers.0.image",
        "other",
        "spec.template",
        "field is immutable",
    ),
    ("batch/v1", "Job", {"spec": {"template": ONCE}}, "spec.completions", 5, "spec.completions", "field is immutable"),
    (
        "v1",
        "Pod",
        {"spec": {"containers": [CONTAINER]}},
        "spec.restartPolicy",
        "Never",
        "spec",
        "pod updates may not change fields other than",
    ),
    ("v1", "Secret", {"immutable": True, "stringData": {"a": "b"}}, "data", {"a": "AA=="}, "data", "immutable when `immutable` is set"),
    ("v1", "Secret", {"immutable": True}, "immutable", False, "immutable", "immutable when `immutable` is set"),
    ("v1", "Secret", {}, "type", "other", "type", "field is immutable"),
    ("v1", "ConfigMap", {"immutable": True, "data": {"a": "b"}}, "data", {}, "data", "immutable when `immutable` is set"),
    ("v1", "PersistentVolumeClaim", {"spec": CLAIM}, "spec.resources.requests.storage", "2Gi", "spec", "immutable after creation except"),
    (
        "v1",
        "Service",
        {"spec": {"clusterIP": "10.96.0.9", "ports": [{"port": 1}]}},
        "spec.clusterIP",
        "10.96.0.8",
        "spec.clusterIPs[0]",
        "may not change once set",
    ),
    (
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        {"roleRef": {"kind": "Role", "name": "r"}},
        "roleRef.name",
        "other",
        "roleRef",
        "cannot change roleRef",
    ),
    ("scheduling.k8s.io/v1", "PriorityClass", {"value": 1}, "value", 2, "value", "may not be changed in an update."),
    ("storage.k8s.io/v1", "StorageClass", {"provisioner": "p"}, "provisioner", "q", "provisioner", "updates to provisioner are forbidden."),
    (
        "networking.k8s.io/v1",
        "IngressClass",
        {"spec": {"controller": "a.b/c"}},
        "spec.controller",
        "a.b/d",
        "spec.controller",
        "field is immutable",
    ),
    (
        "networking.k8s.io/v1",
        "ServiceCIDR",
        {"spec": {"cidrs": ["10.0.0.0/16"]}},
        "spec.cidrs",
        ["10.1.0.0/16"],
        "spec.cidrs",
        "field is immutable",
    ),
]


@pytest.mark.parametrize(
    ("api_version", "kind", "body", "path", "value", "field", "words"), CHANGES, ids=[f"{row[1]}-{row[3]}" for row in CHANGES]
)
def test_what_is_settled_stays(api_version: str, kind: str, body: Document, path: str, value: Any, field: str, words: str) -> None:
    old, causes = created(api_version, kind, **body)
    assert causes == []
    found = updated(old, put(path, value))
    assert any(at == field and words in message for at, message in found), found


ALLOWED: list[tuple[str, str, Document, str, Any]] = [
    ("apps/v1", "Deployment", {"spec": WORKLOAD}, "spec.template.spec.containers.0.image", "other:2"),
    ("apps/v1", "StatefulSet", {"spec": WORKLOAD}, "spec.replicas", 3),
    ("batch/v1", "Job", {"spec": {"template": ONCE}}, "spec.parallelism", 3),
    ("v1", "Pod", {"spec": {"containers": [CONTAINER]}}, "spec.containers.0.image", "other:2"),
    ("v1", "Pod", {"spec": {"containers": [CONTAINER]}}, "spec.tolerations", [{"operator": "Exists"}]),
    ("v1", "ConfigMap", {"data": {"a": "b"}}, "data", {"c": "d"}),
    ("v1", "PersistentVolumeClaim", {"spec": CLAIM}, "spec.volumeName", "pv"),
]


@pytest.mark.parametrize(("api_version", "kind", "body", "path", "value"), ALLOWED, ids=[f"{row[1]}-{row[3]}" for row in ALLOWED])
def test_what_may_change_may(api_version: str, kind: str, body: Document, path: str, value: Any) -> None:
    old, causes = created(api_version, kind, **body)
    assert causes == []
    assert updated(old, put(path, value)) == []


def test_a_job_selects_its_own_pods() -> None:
    job, causes = created("batch/v1", "Job", spec={"template": ONCE})
    assert causes == []
    labels = {"batch.kubernetes.io/controller-uid": "1-2-3"}
    assert job["spec"]["selector"]["matchLabels"] == labels
    assert labels.items() <= job["spec"]["template"]["metadata"]["labels"].items()

    def resend(new: Document) -> None:
        new["spec"] = {"template": copy.deepcopy(ONCE)}

    assert updated(job, resend) == []


def test_generation_counts_the_desired_state_only() -> None:
    info = info_of("apps/v1", "Deployment")
    strategy, ctx = strategy_for(info), StrategyContext(info)
    old, _ = created("apps/v1", "Deployment", spec=WORKLOAD)
    assert old["metadata"]["generation"] == 1
    scaled = copy.deepcopy(old)
    scaled["spec"]["replicas"] = 5
    strategy.prepare_for_update(scaled, old, ctx)
    assert scaled["metadata"]["generation"] == 2
    labelled = copy.deepcopy(old)
    labelled["metadata"]["labels"] = {"a": "b"}
    strategy.prepare_for_update(labelled, old, ctx)
    assert labelled["metadata"]["generation"] == 1


def test_status_is_written_through_its_own_door() -> None:
    info = info_of("apps/v1", "Deployment")
    strategy = strategy_for(info)
    old, _ = created("apps/v1", "Deployment", spec=WORKLOAD, status={"replicas": 9})
    assert old["status"] == {}
    through_spec = copy.deepcopy(old)
    through_spec["status"] = {"replicas": 1}
    strategy.prepare_for_update(through_spec, old, StrategyContext(info))
    assert through_spec["status"] == {}
    through_status = copy.deepcopy(old)
    through_status["status"], through_status["spec"]["replicas"] = {"replicas": 1}, 7
    strategy.prepare_for_update(through_status, old, StrategyContext(info, subresource="status"))
    assert through_status["status"] == {"replicas": 1}
    assert through_status["spec"] == old["spec"]


def test_one_priority_class_is_the_default() -> None:
    class One(NoLookup):
        def list(self, resource: ResourceId, namespace: str | None = None, **_: Any) -> Iterable[Document]:
            return [{"metadata": {"name": "first"}, "globalDefault": True}]

    info = info_of("scheduling.k8s.io/v1", "PriorityClass")
    strategy, ctx = strategy_for(info), StrategyContext(info, lookup=One())
    body: Document = {"metadata": {"name": "second"}, "value": 1, "globalDefault": True, "preemptionPolicy": "Never"}
    with pytest.raises(Forbidden, match="first is already marked as default"):
        strategy.validate_create(body, ctx)
    assert strategy.validate_create({**body, "metadata": {"name": "first"}}, ctx) == []


def test_who_asks_for_a_certificate_is_who_the_server_saw() -> None:
    spec = {"request": REQUEST, "signerName": "example.com/s", "usages": ["client auth"], "username": "admin", "groups": ["system:masters"]}
    document, causes = created("certificates.k8s.io/v1", "CertificateSigningRequest", spec=spec)
    assert causes == []
    assert document["spec"]["username"] == "u"
    assert "groups" not in document["spec"]


def test_approval_is_decided_once() -> None:
    spec = {"request": REQUEST, "signerName": "example.com/s", "usages": ["client auth"]}
    old, _ = created("certificates.k8s.io/v1", "CertificateSigningRequest", spec=spec)
    approve = put("status.conditions", [{"type": "Approved", "status": "True"}])
    assert updated(old, approve, "approval") == []
    assert any("may not add a condition" in message for _, message in updated(old, approve, "status"))
    old["status"] = {"conditions": [{"type": "Approved", "status": "True"}]}
    assert any("may not remove" in message for _, message in updated(old, put("status.conditions", []), "approval"))


def test_every_rule_is_of_a_type_that_something_contains() -> None:
    graph = typewalk._graph()
    reached: set[str] = set()
    waiting = [type_name(info.group, info.version, info.kind) for info in BUILTIN] + ["authentication.v1.TokenRequest"]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += [target for _, target in graph.get(name, {}).get("links", {}).values()]
    for table in (check_rows.REQUIRED, check_rows.BOUNDS, check_rows.TEXTS, check_rows.UNIQUE, FUNCTIONS):
        assert set(table) <= reached


@pytest.mark.parametrize("text", ["* * * * *", "*/5 0-4 1,15 jan-mar MON", "@hourly", "@every 1h30m", "0 0 ? * 6"])
def test_schedules(text: str) -> None:
    assert schedule_problem(text) == ""


@pytest.mark.parametrize(
    "text",
    ["", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "5-1 * * * *", "*/0 * * * *", "TZ=UTC * * * * *", "@often", "a * * * *"],
)
def test_what_is_no_schedule(text: str) -> None:
    assert schedule_problem(text)


def test_time_zones() -> None:
    assert zone_problem("")
    assert zone_problem("Local")
