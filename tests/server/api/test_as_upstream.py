# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a comparison with the real kube-apiserver (tests/upstream/test_differential.py) had found to differ, held without it."""

from __future__ import annotations

from typing import Any

import pytest
from support.client import Client
from support.objects import config_map

CM = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
LABELS = {"a": "b"}
TEMPLATE = {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


def deployment(**spec: Any) -> dict[str, Any]:
    wanted = {"selector": {"matchLabels": LABELS}, "template": TEMPLATE, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": wanted}


def test_an_applied_scale_has_an_owner(vcp: Client) -> None:
    """It conflicts with who set the replicas of the object, and the other way round."""
    vcp.apply(f"{DEPLOYMENTS}/d", deployment(replicas=3), "one").ok()
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "d"}, "spec": {"replicas": 5}}
    status = vcp.apply(f"{DEPLOYMENTS}/d/scale", scale, "scaler").fails(409, "Conflict")
    assert status["details"]["causes"][0]["message"] == 'conflict with "one"'
    assert vcp.apply(f"{DEPLOYMENTS}/d/scale", scale, "scaler", force=True).ok()["spec"]["replicas"] == 5
    entry = next(e for e in vcp.get(f"{DEPLOYMENTS}/d").ok()["metadata"]["managedFields"] if e["manager"] == "scaler")
    assert (entry["operation"], entry["subresource"], entry["fieldsV1"]) == ("Apply", "scale", {"f:spec": {"f:replicas": {}}})
    status = vcp.apply(f"{DEPLOYMENTS}/d", deployment(replicas=3), "one").fails(409, "Conflict")
    assert status["details"]["causes"][0]["message"] == 'conflict with "scaler" with subresource "scale"'
    vcp.apply(f"{DEPLOYMENTS}/d/scale", {**scale, "kind": "Deployment"}, "scaler").fails(400, "BadRequest")


def test_a_failed_request_is_warned_too(vcp: Client) -> None:
    """The mistyped field is why another is missing."""
    pod = {"spec": {"containers": [{"name": "c", "imagee": "i"}]}}
    answer = vcp.post("/api/v1/namespaces/default/pods", {"metadata": {"name": "p"}, **pod})
    answer.fails(422, "Invalid")
    assert answer.headers["warning"] == '299 - "unknown field \\"spec.containers[0].imagee\\""'


def test_what_a_secret_is_told_as_text_is_owned_as_data(vcp: Client) -> None:
    made = vcp.post("/api/v1/namespaces/default/secrets", {"metadata": {"name": "s"}, "stringData": {"a": "1"}}).ok()
    assert made["metadata"]["managedFields"][0]["fieldsV1"] == {"f:data": {".": {}, "f:a": {}}, "f:type": {}}
    vcp.post("/api/v1/namespaces/default/secrets", {"metadata": {"name": "t"}, "stringData": {"a": 1}}).fails(400, "BadRequest")


def test_finalizers_of_built_in_kinds_name_their_domain(vcp: Client) -> None:
    status = vcp.post(CM, config_map("a", finalizers=["kubernetes", "nodomain"])).fails(422, "Invalid")
    assert [cause["field"] for cause in status["details"]["causes"]] == ["metadata.finalizers[1]"]
    vcp.post(CM, config_map("a")).ok()
    vcp.patch(f"{CM}/a", {"metadata": {"finalizers": ["nodomain"]}}).fails(422, "Invalid")


def test_only_a_deletion_sets_its_time(vcp: Client) -> None:
    vcp.post(CM, config_map("a")).ok()
    status = vcp.patch(f"{CM}/a", {"metadata": {"deletionTimestamp": "2020-01-01T00:00:00Z"}}).fails(422, "Invalid")
    assert status["details"]["causes"][0]["field"] == "metadata.deletionTimestamp"


@pytest.mark.parametrize("body", [[], "text", {"kind": "Other"}])
def test_a_deletion_with_a_wrong_body_deletes_nothing(vcp: Client, body: Any) -> None:
    vcp.post(CM, config_map("a")).ok()
    vcp.delete(f"{CM}/a", body).fails(400, "BadRequest")
    vcp.get(f"{CM}/a").ok()


@pytest.mark.parametrize("plural", ["pods", "services", "serviceaccounts"])
def test_some_deletions_answer_with_the_object(vcp: Client, plural: str) -> None:
    specs: dict[str, Any] = {"pods": {"spec": TEMPLATE["spec"]}, "services": {"spec": {"ports": [{"port": 80}]}}}
    vcp.post(f"/api/v1/namespaces/default/{plural}", {"metadata": {"name": "x"}, **specs.get(plural, {})}).ok()
    shown = vcp.delete(f"/api/v1/namespaces/default/{plural}/x").ok()
    assert (shown["kind"] == "Status", shown["metadata"]["name"]) == (False, "x")
    assert ("deletionTimestamp" in shown["metadata"]) == (plural == "pods")
    vcp.get(f"/api/v1/namespaces/default/{plural}/x").fails(404, "NotFound")


def test_what_replaces_tells_its_name(vcp: Client) -> None:
    vcp.post(CM, config_map("a")).ok()
    status = vcp.put(f"{CM}/a", {"data": {}}).fails(400, "BadRequest")
    assert status["message"] == "the name of the object (a based on URL) was undeterminable: name must be provided"


def test_a_job_without_labels_has_those_of_its_pods(vcp: Client) -> None:
    spec = {"template": {"spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}}
    made = vcp.post("/apis/batch/v1/namespaces/default/jobs", {"metadata": {"name": "j"}, "spec": spec}).ok()
    assert made["metadata"]["labels"] == made["spec"]["template"]["metadata"]["labels"]
    assert made["metadata"]["labels"]["batch.kubernetes.io/job-name"] == "j"


def test_nonsense_for_a_time_limit_is_refused(vcp: Client) -> None:
    vcp.get(f"{CM}?timeoutSeconds=x").fails(400, "BadRequest")
    vcp.get("/apis/apps/v1/replicasets?fieldSelector=status.replicas%3D1").fails(400, "BadRequest")


WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "ports of the host": (
        "/api/v1/namespaces/default/pods",
        {"hostNetwork": True, "containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80, "hostPort": 81}]}]},
        "spec.containers[0].ports[0].hostPort",
    ),
    "a field that is not told": (
        "/api/v1/namespaces/default/pods",
        {"containers": [{"name": "c", "image": "i", "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.nothing"}}}]}]},
        "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath",
    ),
    "privileged and not": (
        "/api/v1/namespaces/default/pods",
        {"containers": [{"name": "c", "image": "i", "securityContext": {"privileged": True, "allowPrivilegeEscalation": False}}]},
        "spec.containers[0].securityContext",
    ),
    "a path that leaves": (
        "/api/v1/namespaces/default/pods",
        {**TEMPLATE["spec"], "volumes": [{"name": "v", "hostPath": {"path": "/a/../b"}}]},
        "spec.volumes[0].hostPath.path",
    ),
    "ranges without a balancer": (
        "/api/v1/namespaces/default/services",
        {"ports": [{"port": 80}], "loadBalancerSourceRanges": ["10.0.0.0/8"]},
        "spec.LoadBalancerSourceRanges",
    ),
    "an address of everybody": (
        "/api/v1/namespaces/default/services",
        {"ports": [{"port": 80}], "externalIPs": ["127.0.0.1"]},
        "spec.externalIPs[0]",
    ),
    "a selector of one's own that is not there": (
        "/apis/batch/v1/namespaces/default/jobs",
        {"manualSelector": True, "template": {"spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}},
        "spec.selector",
    ),
    "no group": (
        "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers",
        {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "d"}},
        "spec.scaleTargetRef.apiVersion",
    ),
    "a scope of no values": (
        "/api/v1/namespaces/default/resourcequotas",
        {"hard": {"cpu": "1"}, "scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In"}]}},
        "spec.scopeSelector.matchExpressions.values",
    ),
    "half a pod": ("/api/v1/namespaces/default/resourcequotas", {"hard": {"pods": "1.5"}}, "spec.hard[pods]"),
    "an odd limit": ("/api/v1/namespaces/default/limitranges", {"limits": [{"type": "Odd"}]}, "spec.limits[0].type"),
    "a level without an answer": (
        "/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations",
        {"type": "Limited", "limited": {}},
        "spec.limited.limitResponse.type",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_refused_as_upstream(vcp: Client, wrong: str) -> None:
    path, spec, field = WRONG[wrong]
    status = vcp.post(f"{path}?dryRun=All", {"metadata": {"name": "x"}, "spec": spec}).fails(422, "Invalid")
    assert field in [cause["field"] for cause in status["details"]["causes"]]


def test_empty_metadata_is_none(vcp: Client) -> None:
    made = vcp.post(CM, config_map("a", annotations={}, labels={"x": "y"}, finalizers=[])).ok()
    assert not {"annotations", "finalizers"} & set(made["metadata"])
    left = vcp.patch(f"{CM}/a", [{"op": "remove", "path": "/metadata/labels/x"}], "json-patch+json").ok()
    assert "labels" not in left["metadata"]


def test_names_in_sub_resources(vcp: Client) -> None:
    vcp.post(DEPLOYMENTS, deployment()).ok()
    vcp.put(f"{DEPLOYMENTS}/d/scale", {"metadata": {"name": "other"}, "spec": {"replicas": 5}}).fails(400, "BadRequest")
    status = vcp.put(f"{DEPLOYMENTS}/d/scale", {"metadata": {"name": "d"}, "spec": {"replicas": -5}}).fails(422, "Invalid")
    assert (status["details"]["group"], status["details"]["kind"]) == ("autoscaling", "Scale")
    pods = "/api/v1/namespaces/default/pods"
    vcp.post(pods, {"metadata": {"name": "p"}, "spec": TEMPLATE["spec"]}).ok()
    for name in ("", "other"):
        vcp.post(f"{pods}/p/binding", {"metadata": {"name": name}, "target": {"kind": "Node", "name": "n"}}).fails(400, "BadRequest")
    vcp.post(f"{pods}/p/binding", {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}).ok()
    assert vcp.get(f"{pods}/p").ok()["metadata"]["generation"] == 1
