# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Least documents of the built-in kinds: what defaulting makes of them; their tables; and what validation says of wrong ones."""

from __future__ import annotations

from scenario import PARTIAL, PARTIAL_LIST, TABLE, Case, get, post

from parity.documents import NS, Json, deployment, named, pod, template

SELECTOR = {"matchLabels": {"app": "x"}}
WORKLOAD = {"selector": SELECTOR, "template": template()}
JOB = {"template": {"spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}}}
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
ROLE = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}
HOOK = {
    "name": "hook.example.com",
    "clientConfig": {"url": "https://hook.example.com/x"},
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
    "failurePolicy": "Ignore",
    "namespaceSelector": {"matchLabels": {"none": "such"}},
}
BACKEND = {"service": {"name": "s", "port": {"number": 80}}}
METRIC = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}


def at(group: str, resource: str, namespaced: bool = True) -> str:
    base = f"/apis/{group}" if "/" in group else "/api/v1"
    return f"{base}/namespaces/<<ns>>/{resource}" if namespaced else f"{base}/{resource}"


#: Path → the least body that is taken.
LEAST: dict[str, Json] = {
    at("", "configmaps"): named("m"),
    at("", "secrets"): named("m"),
    at("", "serviceaccounts"): named("m"),
    at("", "services"): named("m", {"ports": [{"port": 80}]}),
    at("", "pods"): pod("m"),
    at("", "replicationcontrollers"): named("m", {"selector": {"app": "x"}, "template": template()}),
    at("", "endpoints"): named("m", subsets=[{"addresses": [{"ip": "10.1.2.3"}], "ports": [{"port": 80}]}]),
    at("", "limitranges"): named("m", {"limits": [{"type": "Container", "default": {"cpu": "1"}}]}),
    at("", "resourcequotas"): named("m", {"hard": {"count/x.example.com": "1"}}),
    at("", "persistentvolumeclaims"): named("m", CLAIM),
    at("", "podtemplates"): {"metadata": {"name": "m"}, "template": template()},
    at("", "events"): {
        "metadata": {"name": "m"},
        "involvedObject": {"kind": "Pod", "namespace": "<<ns>>", "name": "p"},
        "reason": "R",
        "message": "M",
        "type": "Normal",
    },
    at("", "persistentvolumes", False): named(
        "<<id>>", {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}
    ),
    at("", "nodes", False): named("<<id>>"),
    at("apps/v1", "deployments"): deployment("m"),
    at("apps/v1", "statefulsets"): named("m", {**WORKLOAD, "serviceName": "s", "volumeClaimTemplates": [named("v", CLAIM)]}),
    at("apps/v1", "daemonsets"): named("m", WORKLOAD),
    at("apps/v1", "replicasets"): named("m", WORKLOAD),
    at("apps/v1", "controllerrevisions"): {"metadata": {"name": "m"}, "revision": 1, "data": {"a": "b"}},
    at("batch/v1", "jobs"): named("m", JOB),
    at("batch/v1", "cronjobs"): named("m", {"schedule": "0 0 * * *", "jobTemplate": {"spec": JOB}}),
    at("autoscaling/v2", "horizontalpodautoscalers"): named(
        "m", {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}, "metrics": [METRIC]}
    ),
    at("policy/v1", "poddisruptionbudgets"): named("m", {"maxUnavailable": "25%", "selector": SELECTOR}),
    at("networking.k8s.io/v1", "ingresses"): named("m", {"defaultBackend": BACKEND}),
    at("networking.k8s.io/v1", "networkpolicies"): named("m", {"podSelector": {}, "ingress": [{"ports": [{"port": 80}]}]}),
    at("networking.k8s.io/v1", "ingressclasses", False): named("<<id>>", {"controller": "example.com/x"}),
    at("rbac.authorization.k8s.io/v1", "roles"): {"metadata": {"name": "m"}, "rules": []},
    at("rbac.authorization.k8s.io/v1", "rolebindings"): {
        "metadata": {"name": "m"},
        "roleRef": ROLE,
        "subjects": [{"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "name": "s", "namespace": "n"}],
    },
    at("rbac.authorization.k8s.io/v1", "clusterroles", False): {"metadata": {"name": "<<id>>"}, "rules": []},
    at("coordination.k8s.io/v1", "leases"): named("m", {}),
    at("discovery.k8s.io/v1", "endpointslices"): {
        "metadata": {"name": "m"},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.1.2.3"]}],
        "ports": [{"port": 80}],
    },
    at("events.k8s.io/v1", "events"): {
        "metadata": {"name": "n"},
        "eventTime": "2024-01-01T00:00:00.000000Z",
        "reportingController": "x.y/z",
        "reportingInstance": "i",
        "action": "A",
        "reason": "R",
        "type": "Normal",
        "regarding": {"kind": "Pod", "namespace": "<<ns>>", "name": "p"},
    },
    at("storage.k8s.io/v1", "storageclasses", False): {"metadata": {"name": "<<id>>"}, "provisioner": "example.com/x"},
    at("storage.k8s.io/v1", "csidrivers", False): named("<<id>>", {}),
    at("storage.k8s.io/v1", "csistoragecapacities"): {"metadata": {"name": "m"}, "storageClassName": "s"},
    at("storage.k8s.io/v1", "volumeattachments", False): named(
        "<<id>>", {"attacher": "x.y", "nodeName": "n", "source": {"persistentVolumeName": "v"}}
    ),
    at("scheduling.k8s.io/v1", "priorityclasses", False): {"metadata": {"name": "<<id>>"}, "value": 5},
    at("node.k8s.io/v1", "runtimeclasses", False): {"metadata": {"name": "<<id>>"}, "handler": "h"},
    at("admissionregistration.k8s.io/v1", "validatingwebhookconfigurations", False): {"metadata": {"name": "<<id>>"}, "webhooks": [HOOK]},
    at("admissionregistration.k8s.io/v1", "mutatingwebhookconfigurations", False): {"metadata": {"name": "<<id>>"}, "webhooks": [HOOK]},
    at("admissionregistration.k8s.io/v1", "validatingadmissionpolicies", False): named("<<id>>", {"validations": [{"expression": "true"}]}),
    at("admissionregistration.k8s.io/v1", "validatingadmissionpolicybindings", False): named(
        "<<id>>", {"policyName": "none", "validationActions": ["Deny"]}
    ),
    at("apiregistration.k8s.io/v1", "apiservices", False): {
        "metadata": {"name": "v1.<<id>>.example.com"},
        "spec": {
            "group": "<<id>>.example.com",
            "version": "v1",
            "groupPriorityMinimum": 10,
            "versionPriority": 5,
            "service": {"name": "s", "namespace": "n"},
        },
    },
    at("flowcontrol.apiserver.k8s.io/v1", "prioritylevelconfigurations", False): named("<<id>>", {"type": "Limited", "limited": {}}),
    at("flowcontrol.apiserver.k8s.io/v1", "flowschemas", False): named("<<id>>", {"priorityLevelConfiguration": {"name": "exempt"}}),
    at("resource.k8s.io/v1", "deviceclasses", False): named("<<id>>", {}),
    at("resource.k8s.io/v1", "resourceclaims"): named("m", {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c"}}]}}),
    at("networking.k8s.io/v1", "ipaddresses", False): named(
        "10.96.7.7", {"parentRef": {"resource": "services", "name": "s", "namespace": "n"}}
    ),
}

#: The same kinds in more detail: defaults that depend on what else is said.
RICH: dict[str, Json] = {
    at("", "pods"): pod(
        "rich",
        initContainers=[{"name": "i", "image": "x:1", "restartPolicy": "Always"}],
        containers=[
            {
                "name": "c",
                "image": "x:latest",
                "ports": [{"containerPort": 80, "hostPort": 80}],
                "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                "livenessProbe": {"httpGet": {"port": 80}},
                "readinessProbe": {"tcpSocket": {"port": "web"}},
                "startupProbe": {"grpc": {"port": 9}},
                "lifecycle": {"preStop": {"httpGet": {"port": 1}}},
                "resources": {"limits": {"cpu": "1000m", "memory": "1024Mi"}},
                "securityContext": {"capabilities": {"add": ["NET_ADMIN"]}},
            }
        ],
        volumes=[
            {"name": "a", "secret": {"secretName": "s"}},
            {
                "name": "b",
                "projected": {
                    "sources": [
                        {"serviceAccountToken": {"path": "t"}},
                        {"downwardAPI": {"items": [{"path": "p", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
                    ]
                },
            },
            {"name": "d", "hostPath": {"path": "/x"}},
            {"name": "e", "downwardAPI": {"items": [{"path": "p", "fieldRef": {"fieldPath": "metadata.name"}}]}},
            {"name": "f", "iscsi": {"targetPortal": "t", "iqn": "iqn.2024-01.com.example:x", "lun": 0}},
            {"name": "g", "emptyDir": {"sizeLimit": "1.5Gi"}},
            {"name": "h", "ephemeral": {"volumeClaimTemplate": {"spec": CLAIM}}},
        ],
        hostNetwork=True,
        topologySpreadConstraints=[{"maxSkew": 1, "topologyKey": "k", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": SELECTOR}],
        tolerations=[{"key": "a", "operator": "Exists", "tolerationSeconds": 5, "effect": "NoExecute"}],
    ),
    at("", "services"): named(
        "rich",
        {
            "type": "LoadBalancer",
            "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 53, "protocol": "UDP"}],
            "sessionAffinity": "ClientIP",
        },
    ),
    at("apps/v1", "deployments"): deployment(
        "rich", strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}, minReadySeconds=3, paused=True
    ),
    at("apps/v1", "statefulsets"): named(
        "rich", {**WORKLOAD, "updateStrategy": {"type": "OnDelete"}, "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"}}
    ),
    at("batch/v1", "jobs"): named(
        "rich",
        {
            **JOB,
            "completions": 3,
            "completionMode": "Indexed",
            "podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "X"}]}]},
        },
    ),
    at("networking.k8s.io/v1", "ingresses"): named(
        "rich",
        {"rules": [{"host": "*.example.com", "http": {"paths": [{"path": "/x", "pathType": "Prefix", "backend": BACKEND}]}}], "tls": [{}]},
    ),
    at("networking.k8s.io/v1", "networkpolicies"): named(
        "rich",
        {
            "podSelector": SELECTOR,
            "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}], "ports": [{"port": 1, "endPort": 5}]}],
        },
    ),
    at("autoscaling/v2", "horizontalpodautoscalers"): named(
        "rich",
        {
            "minReplicas": 2,
            "maxReplicas": 3,
            "scaleTargetRef": {"kind": "Deployment", "name": "d"},
            "behavior": {"scaleDown": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 15}]}},
        },
    ),
    at("", "secrets"): {"metadata": {"name": "rich"}, "data": {"a": "YQ=="}, "stringData": {"b": "c"}},
    at("", "persistentvolumeclaims"): named(
        "rich", {**CLAIM, "volumeMode": "Block", "dataSource": {"kind": "PersistentVolumeClaim", "name": "x"}}
    ),
}


#: Controllers write their status at a time of their own, so what is there a moment later is not compared.
BUSY = frozenset({"resourcequotas", "flowschemas", "apiservices"})

CASES = [
    *(
        Case(
            f"defaults/{path.rsplit('/', 1)[1]}{' of events.k8s.io' if 'events.k8s.io' in path else ''}",
            (post(path, body), *((get(f"{path}/{body['metadata']['name']}", Accept=TABLE),) if path.rsplit("/", 1)[1] not in BUSY else ())),
        )
        for path, body in LEAST.items()
    ),
    *(
        Case(f"defaults in detail/{path.rsplit('/', 1)[1]}", (post(path, body), get(f"{path}/rich", Accept=TABLE)))
        for path, body in RICH.items()
    ),
    Case(
        "tables/ways to ask",
        (
            post(f"{NS}/configmaps", {"metadata": {"name": "a", "labels": {"x": "y"}}, "data": {"k": "v"}}),
            *(
                get(f"{NS}/configmaps{query}", Accept=accept)
                for accept in (TABLE, PARTIAL_LIST)
                for query in (
                    "?labelSelector=x",
                    "?labelSelector=x&includeObject=None",
                    "?labelSelector=x&includeObject=Object",
                    "?labelSelector=x&includeObject=Other",
                    "?labelSelector=x&limit=1",
                )
            ),
            *(get(f"{NS}/configmaps/a", Accept=accept) for accept in (TABLE, PARTIAL, PARTIAL_LIST)),
            get(f"{NS}/configmaps/none", Accept=TABLE),
            get(f"{NS}/configmaps", Accept="application/json;as=Table;v=v1beta1;g=meta.k8s.io"),
            get(f"{NS}/configmaps", Accept="application/json;as=Nonsense;v=v1;g=meta.k8s.io"),
            get(f"{NS}/configmaps?labelSelector=x", Accept=f"{TABLE},application/json"),
            get(f"{NS}/configmaps?labelSelector=x", Accept="application/json;as=Nonsense;v=v1;g=meta.k8s.io,application/json"),
            post(f"{NS}/configmaps", {"metadata": {"name": "posted"}}, Accept=TABLE),
            post(f"{NS}/configmaps", {"metadata": {"name": "partial"}}, Accept=PARTIAL),
        ),
    ),
]
