# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may do what, sub-resources, discovery, and the protocol itself."""

from __future__ import annotations

from scenario import JSON_PATCH, STRATEGIC, TABLE, Case, Step, delete, get, patch, post, put

from parity.documents import CM, DEPLOYMENTS, NS, PODS, Json, config_map, deployment, named, pod

RBAC = "/apis/rbac.authorization.k8s.io/v1"
AUTHORIZATION = "/apis/authorization.k8s.io/v1"
USER = {"Impersonate-User": "<<id>>"}
ROLE = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}
RULES = [
    {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]},
    {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["*"], "verbs": ["*"]},
]


def as_user(method: str, path: str, body: Json | None = None, **more: str) -> Step:
    return Step(method, path, body, headers={**USER, **{name.replace("_", "-"): value for name, value in more.items()}})


def review(**attributes: str) -> Step:
    return post(
        f"{AUTHORIZATION}/subjectaccessreviews", {"spec": {"user": "<<id>>", "resourceAttributes": {"namespace": "<<ns>>", **attributes}}}
    )


CASES = [
    Case(
        "access/refusals",
        (
            as_user("GET", f"{CM}/x"),
            as_user("GET", CM),
            as_user("GET", "/api/v1/configmaps"),
            as_user("POST", CM, config_map("x")),
            as_user("PATCH", f"{CM}/x", {}),
            as_user("DELETE", CM),
            as_user("GET", "/api/v1/nodes"),
            as_user("GET", f"{PODS}/x/log"),
            as_user("GET", "/metrics"),
            as_user("GET", f"{CM}?watch=true"),
            as_user("GET", "/apis/none.example.com/v1/namespaces/<<ns>>/things"),
            as_user("GET", f"{NS}/secrets", Impersonate_Group="system:masters"),
            as_user("GET", f"{CM}?labelSelector=x", Impersonate_Group="system:masters", Impersonate_Extra_scopes="a"),
            Step("GET", CM, headers={"Impersonate-Group": "x"}),
            Step("GET", CM, headers={"Impersonate-User": "system:serviceaccount:<<ns>>:default"}),
        ),
    ),
    Case(
        "access/grants",
        (
            post(f"{RBAC}/namespaces/<<ns>>/roles", {"metadata": {"name": "r"}, "rules": RULES}),
            post(
                f"{RBAC}/namespaces/<<ns>>/rolebindings",
                {
                    "metadata": {"name": "b"},
                    "roleRef": ROLE,
                    "subjects": [{"kind": "User", "name": "<<id>>", "apiGroup": "rbac.authorization.k8s.io"}],
                },
            ),
            Step("SETTLE", f"{CM}?labelSelector=none", ("kind", "ConfigMapList")),
            review(verb="get", resource="configmaps"),
            review(verb="delete", resource="configmaps"),
            review(verb="get", resource="secrets"),
            post(
                f"{AUTHORIZATION}/subjectaccessreviews",
                {"spec": {"user": "<<id>>", "nonResourceAttributes": {"path": "/healthz", "verb": "get"}}},
            ),
            post(f"{AUTHORIZATION}/subjectaccessreviews", {"spec": {}}),
            post(f"{AUTHORIZATION}/subjectaccessreviews", {"spec": {"user": "x", "resourceAttributes": {}, "nonResourceAttributes": {}}}),
            post(
                f"{AUTHORIZATION}/namespaces/<<ns>>/localsubjectaccessreviews",
                {"spec": {"user": "x", "resourceAttributes": {"namespace": "other"}}},
            ),
            as_user(
                "POST", f"{AUTHORIZATION}/selfsubjectaccessreviews", {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}
            ),
            as_user("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {}),
            as_user(
                "POST",
                f"{RBAC}/namespaces/<<ns>>/roles",
                {"metadata": {"name": "more"}, "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]},
            ),
            as_user(
                "POST",
                f"{RBAC}/namespaces/<<ns>>/rolebindings",
                {"metadata": {"name": "up"}, "roleRef": {**ROLE, "kind": "ClusterRole", "name": "cluster-admin"}, "subjects": []},
            ),
            post("/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": "nonsense"}}),
            post("/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {}}),
        ),
    ),
    Case(
        "sub-resources/scale and status",
        (
            post(DEPLOYMENTS, deployment("d")),
            get(f"{DEPLOYMENTS}/d/scale"),
            get(f"{DEPLOYMENTS}/d/scale", Accept=TABLE),
            patch(f"{DEPLOYMENTS}/d/scale", {"spec": {"replicas": 4}}),
            put(f"{DEPLOYMENTS}/d/scale", {"metadata": {"name": "d"}, "spec": {"replicas": 5}}),
            put(f"{DEPLOYMENTS}/d/scale", {"metadata": {"name": "e"}, "spec": {"replicas": 5}}),
            put(f"{DEPLOYMENTS}/d/scale", {"metadata": {"name": "d"}, "spec": {"replicas": -5}}),
            patch(f"{DEPLOYMENTS}/d/scale", [{"op": "replace", "path": "/spec/replicas", "value": 2}], JSON_PATCH),
            get(f"{DEPLOYMENTS}/d"),
            patch(
                f"{DEPLOYMENTS}/d/status",
                {"status": {"replicas": 2, "conditions": [{"type": "A", "status": "True"}]}, "spec": {"replicas": 9}},
                STRATEGIC,
            ),
            put(f"{DEPLOYMENTS}/d/status", {**deployment("d"), "status": {"replicas": -1}}),
            get(f"{DEPLOYMENTS}/d/status"),
            get(f"{DEPLOYMENTS}/none/scale"),
            get(f"{DEPLOYMENTS}/d/nonsense"),
            delete(f"{DEPLOYMENTS}/d/scale"),
            post(f"{DEPLOYMENTS}/d/scale", {}),
        ),
    ),
    Case(
        "sub-resources/pods and accounts",
        (
            post(PODS, pod("p")),
            post(f"{PODS}/p/binding", {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}),
            post(f"{PODS}/p/binding", {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "m"}}),
            post(f"{PODS}/p/binding", {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": ""}}),
            post(f"{PODS}/p/binding", {"target": {"kind": "Node", "name": "n"}}),
            patch(f"{PODS}/p/status", {"status": {"phase": "Running"}}),
            patch(
                f"{PODS}/p/ephemeralcontainers",
                {"spec": {"ephemeralContainers": [{"name": "e", "image": "i", "terminationMessagePolicy": "File"}]}},
                STRATEGIC,
            ),
            post(f"{PODS}/p/eviction", {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}),
            post(f"{PODS}/none/eviction", {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "none"}}),
            post(f"{NS}/serviceaccounts/none/token", {"spec": {}}),
            post(f"{NS}/serviceaccounts/default/token", {"spec": {"expirationSeconds": 5}}),
            post(f"{NS}/serviceaccounts/default/token", {"spec": {"boundObjectRef": {"kind": "Odd", "name": "x"}}}),
            post(
                f"{NS}/serviceaccounts/default/token", {"spec": {"boundObjectRef": {"kind": "Secret", "apiVersion": "v1", "name": "none"}}}
            ),
            post(f"{NS}/bindings", {"metadata": {"name": "none"}, "target": {"kind": "Node", "name": "n"}}),
        ),
    ),
    Case(
        "protocol/methods and paths",
        (
            Step("PUT", CM, {}),
            Step("POST", f"{CM}/x", config_map("x")),
            Step("DELETE", "/api/v1"),
            Step("POST", "/apis", {}),
            get("/api/v1/nonsense"),
            get("/api/v9/pods"),
            get("/apis/apps/v9/deployments"),
            get("/apis/nonsense.example.com"),
            get("/apis/nonsense.example.com/v1"),
            get("/nonsense"),
            get(f"{NS}/configmaps/x/y/z"),
            get("/api/v1/namespaces//configmaps/x"),
            get(CM, Accept="application/xml"),
            get(CM, Accept="text/html"),
            get(f"{CM}?labelSelector=none", Accept="*/*"),
            get(f"{CM}?labelSelector=none", Accept="application/*"),
            get(f"{CM}?labelSelector=none", Accept="text/html,application/json;q=0.5"),
            get(f"{CM}?labelSelector=none", Accept="application/json;stream=watch"),
            get("/livez"),
            get("/readyz"),
            get("/healthz/ping"),
            get("/livez/nonsense"),
            post("/apis/coordination.k8s.io/v1/namespaces/<<ns>>/leases", named("l", {"holderIdentity": "x"})),
            put("/apis/coordination.k8s.io/v1/namespaces/<<ns>>/leases/made", named("made", {})),
            put(f"{NS}/services/made", named("made", {"ports": [{"port": 80}]})),
        ),
    ),
    Case(
        "protocol/discovery",
        (
            get("/api/v1"),
            get("/apis/apps"),
            get("/apis/apps/v1"),
            get("/apis/batch/v1"),
            get("/apis/autoscaling"),
            get("/apis/autoscaling/v2"),
            get("/apis/policy/v1"),
            get("/apis/rbac.authorization.k8s.io/v1"),
            get("/apis/networking.k8s.io/v1"),
            get("/apis/storage.k8s.io/v1"),
            get("/apis/apiextensions.k8s.io/v1"),
            get("/apis/authentication.k8s.io/v1"),
            get("/apis/authorization.k8s.io/v1"),
            get("/apis/certificates.k8s.io/v1"),
            get("/apis/coordination.k8s.io/v1"),
            get("/apis/discovery.k8s.io/v1"),
            get("/apis/events.k8s.io/v1"),
            get("/apis/flowcontrol.apiserver.k8s.io/v1"),
            get("/apis/node.k8s.io/v1"),
            get("/apis/scheduling.k8s.io/v1"),
            get("/apis/resource.k8s.io/v1"),
            get("/apis/apiregistration.k8s.io/v1"),
        ),
    ),
]
