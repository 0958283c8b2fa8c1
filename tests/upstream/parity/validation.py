# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What validation says of wrong documents of the built-in kinds."""

from __future__ import annotations

from typing import Any

from scenario import Case, Step, patch, post

from parity.defaults import BACKEND, CLAIM, HOOK, JOB, SELECTOR, WORKLOAD, at
from parity.documents import Json, deployment, named, pod, template


def container(**more: Any) -> Json:
    return pod("p", containers=[{"name": "c", "image": "i", **more}])


def volume(**source: Any) -> Json:
    return pod("p", volumes=[{"name": "v", **source}])


def service(**spec: Any) -> Json:
    return named("s", {"ports": [{"port": 80}], **spec})


def ingress(path: Json, **spec: Any) -> Json:
    return named("i", {"rules": [{"host": "example.com", "http": {"paths": [path]}}], **spec})


#: Path → wrong bodies.
WRONG: dict[str, list[Json]] = {
    at("", "pods"): [
        pod("p", containers=[]),
        pod("p", containers=[{"name": "Bad_Name", "image": "i"}]),
        pod("p", containers=[{"name": "c", "image": ""}, {"name": "c", "image": "i"}]),
        pod("p", restartPolicy="Sometimes", dnsPolicy="Maybe"),
        pod("p", terminationGracePeriodSeconds=-1, activeDeadlineSeconds=0),
        pod("p", nodeSelector={"bad key": "x"}),
        pod("p", hostNetwork=True, containers=[{"name": "c", "image": "i", "ports": [{"containerPort": 80, "hostPort": 81}]}]),
        pod("p", serviceAccountName="none-such"),
        pod("p", priorityClassName="none-such"),
        pod("p", tolerations=[{"operator": "Exists", "value": "x"}, {"key": "k", "operator": "Odd"}]),
        pod("p", affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}),
        pod("p", topologySpreadConstraints=[{"maxSkew": 0, "topologyKey": "", "whenUnsatisfiable": "x"}]),
        pod("p", initContainers=[{"name": "c", "image": "i"}]),
        pod("p", securityContext={"runAsUser": -1, "sysctls": [{"name": "a b", "value": ""}]}),
        container(
            ports=[{"containerPort": 0}, {"containerPort": 70000, "protocol": "X"}, {"name": "TOO_LONG_A_NAME_HERE", "containerPort": 1}]
        ),
        container(env=[{"name": "", "value": "x"}, {"name": "1=2"}, {"name": "A", "value": "x", "valueFrom": {}}]),
        container(env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.nothing"}}}]),
        container(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}),
        container(resources={"requests": {"cpu": "-1", "bad resource": "1"}}),
        container(resources={"requests": {"cpu": "nonsense"}}),
        container(livenessProbe={"httpGet": {"port": 0}, "tcpSocket": {"port": 1}}),
        container(livenessProbe={"periodSeconds": -1}),
        container(livenessProbe={"tcpSocket": {"port": 1}, "successThreshold": 2}),
        container(volumeMounts=[{"name": "absent", "mountPath": "/x"}]),
        container(imagePullPolicy="Perhaps", terminationMessagePolicy="Odd"),
        container(securityContext={"privileged": True, "allowPrivilegeEscalation": False}),
        container(lifecycle={"preStop": {}}),
        volume(emptyDir={}, hostPath={"path": "/x"}),
        volume(),
        volume(hostPath={"path": "../x"}),
        volume(secret={}),
        volume(configMap={"name": "c", "items": [{"key": "", "path": "../x"}]}),
        volume(projected={"sources": [{}]}),
        {"metadata": {"name": "p"}},
    ],
    at("", "services"): [
        service(ports=[]),
        service(ports=[{"port": 80}, {"port": 81}]),
        service(ports=[{"name": "a", "port": 80}, {"name": "a", "port": 81}]),
        service(ports=[{"port": 0, "targetPort": 70000, "protocol": "X"}]),
        service(type="Odd"),
        service(clusterIP="nonsense"),
        service(clusterIP="1.2.3.4"),
        service(type="NodePort", ports=[{"port": 80, "nodePort": 5}]),
        service(type="ExternalName"),
        service(type="ExternalName", externalName="bad name"),
        service(sessionAffinity="Odd"),
        service(externalIPs=["127.0.0.1", "x"]),
        service(loadBalancerSourceRanges=["10.0.0.0/8"]),
        service(externalTrafficPolicy="Local"),
        service(type="LoadBalancer", externalTrafficPolicy="Odd"),
        service(ipFamilies=["IPv6", "IPv5"], ipFamilyPolicy="Odd"),
        service(selector={"bad key": "v"}),
        {**service(), "metadata": {"name": "1-digit"}},
    ],
    at("apps/v1", "deployments"): [
        named("d"),
        named("d", {}),
        deployment("d", replicas=-1),
        deployment("d", selector={"matchLabels": {"other": "x"}}),
        deployment("d", selector={}),
        deployment("d", selector={"matchExpressions": [{"key": "a", "operator": "Odd"}]}),
        deployment("d", strategy={"type": "Odd"}),
        deployment("d", strategy={"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}),
        deployment("d", strategy={"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}),
        deployment("d", strategy={"rollingUpdate": {"maxSurge": "x%"}}),
        deployment("d", minReadySeconds=700, progressDeadlineSeconds=600),
        deployment("d", revisionHistoryLimit=-1),
        deployment("d", {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}),
    ],
    at("apps/v1", "statefulsets"): [
        named("s", {}),
        named("s", {**WORKLOAD, "podManagementPolicy": "Odd", "updateStrategy": {"type": "Odd"}}),
        named("s", {**WORKLOAD, "updateStrategy": {"type": "OnDelete", "rollingUpdate": {"partition": -1}}}),
        named("s", {**WORKLOAD, "ordinals": {"start": -1}, "minReadySeconds": -1}),
    ],
    at("apps/v1", "daemonsets"): [named("d", {}), named("d", {**WORKLOAD, "updateStrategy": {"type": "Odd"}})],
    at("apps/v1", "replicasets"): [named("r", {}), named("r", {**WORKLOAD, "replicas": -1})],
    at("batch/v1", "jobs"): [
        named("j", {}),
        named("j", {"template": template()}),
        named("j", {**JOB, "parallelism": -1, "backoffLimit": -1, "ttlSecondsAfterFinished": -1}),
        named("j", {**JOB, "completionMode": "Indexed"}),
        named("j", {**JOB, "selector": SELECTOR}),
        named("j", {**JOB, "manualSelector": True}),
    ],
    at("batch/v1", "cronjobs"): [
        named("c", {"schedule": "nonsense", "jobTemplate": {"spec": JOB}}),
        named("c", {"schedule": "", "jobTemplate": {"spec": JOB}}),
        named("c", {"schedule": "* * * * *", "concurrencyPolicy": "Odd", "jobTemplate": {"spec": JOB}, "timeZone": "Nowhere/Land"}),
        named("c" * 53, {"schedule": "* * * * *", "jobTemplate": {"spec": JOB}}),
    ],
    at("", "secrets"): [
        {"metadata": {"name": "s"}, "type": "kubernetes.io/tls"},
        {"metadata": {"name": "s"}, "type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": "x"}},
        {"metadata": {"name": "s"}, "type": "kubernetes.io/basic-auth"},
        {"metadata": {"name": "s"}, "type": "kubernetes.io/ssh-auth"},
        {"metadata": {"name": "s"}, "type": "kubernetes.io/service-account-token"},
        {"metadata": {"name": "s"}, "stringData": {"bad key": "x"}},
        {"metadata": {"name": "s"}, "data": {"a": "not base64!"}},
    ],
    at("", "persistentvolumeclaims"): [
        named("c", {}),
        named("c", {**CLAIM, "accessModes": ["Odd"], "volumeMode": "Odd"}),
        named("c", {**CLAIM, "resources": {"requests": {"storage": "-1"}}}),
        named("c", {**CLAIM, "dataSource": {"kind": "", "name": ""}}),
    ],
    at("", "limitranges"): [
        named("l", {"limits": [{"type": "Container", "max": {"cpu": "1"}, "min": {"cpu": "2"}}]}),
        named("l", {"limits": [{"type": "Pod", "default": {"cpu": "1"}}, {"type": "Odd"}]}),
        named("l", {"limits": [{"type": "Container", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "2"}}]}),
    ],
    at("", "resourcequotas"): [
        named("q", {"hard": {"bad key": "1", "pods": "-1"}}),
        named("q", {"hard": {"pods": "1.5"}, "scopes": ["Odd", "Terminating", "NotTerminating"]}),
        named("q", {"hard": {"cpu": "1"}, "scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In"}]}}),
    ],
    at("", "endpoints"): [
        named("e", subsets=[{"addresses": [{"ip": "x"}], "ports": [{"port": 0}]}]),
        named("e", subsets=[{"ports": [{"port": 1}]}]),
        named("e", subsets=[{"addresses": [{"ip": "127.0.0.1"}], "ports": [{"port": 1, "name": "A"}, {"port": 2}]}]),
    ],
    at("discovery.k8s.io/v1", "endpointslices"): [
        {"metadata": {"name": "e"}, "addressType": "Odd", "endpoints": [], "ports": []},
        {"metadata": {"name": "e"}, "addressType": "IPv4", "endpoints": [{"addresses": ["x", "::1"]}], "ports": [{"name": "A b"}]},
        {"metadata": {"name": "e"}, "addressType": "IPv4", "endpoints": [{"addresses": []}]},
    ],
    at("networking.k8s.io/v1", "ingresses"): [
        named("i", {}),
        ingress({"path": "x", "pathType": "Prefix", "backend": BACKEND}),
        ingress({"path": "/x", "pathType": "Odd", "backend": BACKEND}),
        ingress({"path": "/x", "backend": BACKEND}),
        ingress({"path": "/x", "pathType": "Exact", "backend": {}}),
        ingress({"path": "/x", "pathType": "Exact", "backend": {"service": {"name": "S_", "port": {}}}}),
        ingress({"path": "/x//y/../z", "pathType": "Prefix", "backend": BACKEND}),
        named("i", {"rules": [{"host": "1.2.3.4"}, {"host": "*.*.x"}, {"host": "Bad_"}], "defaultBackend": BACKEND}),
        named("i", {"defaultBackend": BACKEND, "ingressClassName": "Bad_"}),
    ],
    at("networking.k8s.io/v1", "networkpolicies"): [
        named("n", {"podSelector": {}, "ingress": [{"from": [{}]}]}),
        named("n", {"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": "x"}, "podSelector": {}}]}]}),
        named("n", {"podSelector": {}, "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/8"]}}]}]}),
        named("n", {"podSelector": {}, "policyTypes": ["Odd"], "ingress": [{"ports": [{"port": 0, "protocol": "X"}, {"endPort": 5}]}]}),
    ],
    at("policy/v1", "poddisruptionbudgets"): [
        named("b", {"minAvailable": 1, "maxUnavailable": 1}),
        named("b", {"minAvailable": -1}),
        named("b", {"maxUnavailable": "x"}),
        named("b", {"maxUnavailable": "200%", "unhealthyPodEvictionPolicy": "Odd"}),
    ],
    at("autoscaling/v2", "horizontalpodautoscalers"): [
        named("h", {}),
        named("h", {"minReplicas": 5, "maxReplicas": 3, "scaleTargetRef": {"kind": "K", "name": "n", "apiVersion": "a/v1"}}),
        named("h", {"maxReplicas": 0, "scaleTargetRef": {"kind": "", "name": "", "apiVersion": "a/v1"}}),
        named("h", {"maxReplicas": 1, "scaleTargetRef": {"kind": "K", "name": "n", "apiVersion": "a/v1"}, "metrics": [{"type": "Odd"}]}),
        named(
            "h", {"maxReplicas": 1, "scaleTargetRef": {"kind": "K", "name": "n", "apiVersion": "a/v1"}, "metrics": [{"type": "Resource"}]}
        ),
    ],
    at("rbac.authorization.k8s.io/v1", "roles"): [
        {"metadata": {"name": "r"}, "rules": [{"verbs": ["get"]}, {"verbs": [], "resources": ["x"], "apiGroups": [""]}]},
        {"metadata": {"name": "r"}, "rules": [{"verbs": ["get"], "nonResourceURLs": ["/x"]}]},
        {"metadata": {"name": "a/b"}, "rules": []},
    ],
    at("rbac.authorization.k8s.io/v1", "rolebindings"): [
        {"metadata": {"name": "b"}, "roleRef": {"kind": "Odd", "name": "", "apiGroup": "x"}},
        {
            "metadata": {"name": "b"},
            "roleRef": {"kind": "Role", "name": "r", "apiGroup": "rbac.authorization.k8s.io"},
            "subjects": [{"kind": "Odd", "name": "x"}, {"kind": "ServiceAccount", "name": "x"}, {"kind": "User", "name": ""}],
        },
    ],
    at("coordination.k8s.io/v1", "leases"): [
        named("l", {"leaseDurationSeconds": 0, "leaseTransitions": -1}),
        named("l", {"leaseDurationSeconds": 1, "renewTime": "nonsense"}),
    ],
    at("scheduling.k8s.io/v1", "priorityclasses", False): [
        {"metadata": {"name": "<<id>>"}, "value": 2000000000},
        {"metadata": {"name": "system-x"}, "value": 5},
        {"metadata": {"name": "<<id>>"}, "value": 5, "preemptionPolicy": "Odd"},
    ],
    at("storage.k8s.io/v1", "storageclasses", False): [
        {"metadata": {"name": "<<id>>"}},
        {"metadata": {"name": "<<id>>"}, "provisioner": "Bad Name/x", "reclaimPolicy": "Odd", "volumeBindingMode": "Odd"},
    ],
    at("admissionregistration.k8s.io/v1", "validatingwebhookconfigurations", False): [
        {"metadata": {"name": "<<id>>"}, "webhooks": [{"name": "short"}]},
        {"metadata": {"name": "<<id>>"}, "webhooks": [{**HOOK, "clientConfig": {"url": "http://x"}}]},
        {"metadata": {"name": "<<id>>"}, "webhooks": [{**HOOK, "clientConfig": {}}]},
        {"metadata": {"name": "<<id>>"}, "webhooks": [HOOK, HOOK]},
        {"metadata": {"name": "<<id>>"}, "webhooks": [{**HOOK, "timeoutSeconds": 31, "failurePolicy": "Odd", "matchPolicy": "Odd"}]},
        {
            "metadata": {"name": "<<id>>"},
            "webhooks": [{**HOOK, "rules": [{"operations": ["Odd"], "apiGroups": [], "resources": ["a/b/c"]}]}],
        },
        {"metadata": {"name": "<<id>>"}, "webhooks": [{**HOOK, "sideEffects": "Unknown", "admissionReviewVersions": ["v9"]}]},
        {"metadata": {"name": "<<id>>"}, "webhooks": [{**HOOK, "matchConditions": [{"name": "a b", "expression": "1 +"}]}]},
    ],
    at("admissionregistration.k8s.io/v1", "validatingadmissionpolicies", False): [
        named("<<id>>", {}),
        named("<<id>>", {"validations": [{"expression": "1 +"}]}),
        named("<<id>>", {"validations": [{"expression": "'text'"}]}),
        named("<<id>>", {"validations": [{"expression": "true", "messageExpression": "1"}], "failurePolicy": "Odd"}),
        named("<<id>>", {"validations": [{"expression": "variables.x"}], "variables": [{"name": "1x", "expression": "1"}]}),
    ],
    at("apiregistration.k8s.io/v1", "apiservices", False): [
        {"metadata": {"name": "x"}, "spec": {}},
        {"metadata": {"name": "v1.x.y"}, "spec": {"group": "x.y", "version": "v1", "groupPriorityMinimum": 0, "versionPriority": 0}},
    ],
    at("certificates.k8s.io/v1", "certificatesigningrequests", False): [
        named("<<id>>", {}),
        named("<<id>>", {"request": "bm9uc2Vuc2U=", "signerName": "x.y/z", "usages": ["client auth"]}),
    ],
    at("node.k8s.io/v1", "runtimeclasses", False): [{"metadata": {"name": "<<id>>"}, "handler": "Bad_"}],
    at("events.k8s.io/v1", "events"): [
        {"metadata": {"name": "e"}},
        {"metadata": {"name": "e"}, "eventTime": "2024-01-01T00:00:00.0Z", "type": "Odd"},
    ],
    at("", "events"): [{"metadata": {"name": "e"}, "involvedObject": {"namespace": "elsewhere"}}],
}


def changes(path: str, body: Json, *patches: Json) -> tuple[Step, ...]:
    return (post(path, body), *(patch(f"{path}/{body['metadata']['name']}", change) for change in patches))


CASES = [
    *(
        Case(
            f"validation/{path.split('/')[-1]} of {path.split('/')[2]}",
            tuple(post(f"{path}?dryRun=All", body) for body in bodies),
            words=False,
        )
        for path, bodies in WRONG.items()
    ),
    Case(
        "validation/changes",
        (
            *changes(
                at("", "pods"),
                pod("p"),
                {"spec": {"containers": [{"name": "c", "image": "j", "args": ["x"]}]}},
                {"spec": {"restartPolicy": "Never"}},
            ),
            *changes(
                at("", "services"),
                service(),
                {"spec": {"clusterIP": "None"}},
                {"spec": {"clusterIP": ""}},
                {"spec": {"ipFamilies": ["IPv6"]}},
            ),
            *changes(at("apps/v1", "statefulsets"), named("s", WORKLOAD), {"spec": {"serviceName": "x"}}, {"spec": {"replicas": 2}}),
            *changes(at("apps/v1", "daemonsets"), named("d", WORKLOAD), {"spec": {"selector": {"matchLabels": {"x": "y"}}}}),
            *changes(
                at("batch/v1", "jobs"), named("j", JOB), {"spec": {"completions": 9}}, {"spec": {"template": {"spec": {"hostname": "h"}}}}
            ),
            *changes(
                at("", "persistentvolumeclaims"),
                named("c", CLAIM),
                {"spec": {"accessModes": ["ReadOnlyMany"]}},
                {"spec": {"volumeName": "v"}},
            ),
            *changes(
                at("rbac.authorization.k8s.io/v1", "rolebindings"),
                {"metadata": {"name": "b"}, "roleRef": {"kind": "Role", "name": "r", "apiGroup": "rbac.authorization.k8s.io"}},
                {"roleRef": {"name": "other"}},
            ),
            *changes(
                at("apps/v1", "controllerrevisions"),
                {"metadata": {"name": "m"}, "revision": 1, "data": {"a": "b"}},
                {"data": {"a": "c"}},
                {"revision": 2},
            ),
            *changes(
                at("storage.k8s.io/v1", "storageclasses", False),
                {"metadata": {"name": "<<id>>"}, "provisioner": "x.y/z"},
                {"provisioner": "a.b/c"},
                {"parameters": {"a": "b"}},
            ),
        ),
        words=False,
    ),
]
