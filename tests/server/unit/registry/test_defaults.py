# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Defaults: what an empty document gets, and two laws for every kind: applying twice is applying once, and no input makes it fail."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kplane_server.registry.catalog import BUILTIN
from kplane_server.registry.resource import ResourceInfo
from kplane_server.registry.strategies import defaults, typewalk
from kplane_server.registry.strategies.default_functions import DEFAULTS, image_tag
from kplane_server.registry.strategies.index import strategy_for, type_name

Document = dict[str, Any]


def defaulted(api_version: str, kind: str, **body: Any) -> Document:
    group, _, version = api_version.rpartition("/")
    document = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}, **body}
    DEFAULTS.apply(type_name(group, version, kind), document)
    return document


POD: Document = {"containers": [{"name": "c", "image": "nginx:1.2", "ports": [{"containerPort": 80}]}]}


def test_a_deployment_gets_what_upstream_gives_it() -> None:
    spec = defaulted("apps/v1", "Deployment", spec={"template": {"spec": copy.deepcopy(POD)}})["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}}
    assert (spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (10, 600)
    pod = spec["template"]["spec"]
    assert pod["containers"] == [
        {
            "name": "c",
            "image": "nginx:1.2",
            "ports": [{"containerPort": 80, "protocol": "TCP"}],
            "imagePullPolicy": "IfNotPresent",
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            "resources": {},
        }
    ]
    assert {key: pod[key] for key in pod if key != "containers"} == {
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
        "schedulerName": "default-scheduler",
    }


def test_what_is_set_stays() -> None:
    given = {"replicas": 0, "strategy": {"type": "Recreate"}, "template": {"spec": {"restartPolicy": "Never", "containers": []}}}
    spec = defaulted("apps/v1", "Deployment", spec=copy.deepcopy(given))["spec"]
    assert (spec["replicas"], spec["strategy"], spec["template"]["spec"]["restartPolicy"]) == (0, {"type": "Recreate"}, "Never")


def test_a_pod_requests_what_it_is_limited_to() -> None:
    resources = {"limits": {"cpu": "1000m", "memory": "1024Mi"}, "requests": {"cpu": "0.5"}}
    pod = defaulted("v1", "Pod", spec={"containers": [{"name": "c", "image": "i", "resources": resources}]})
    assert pod["spec"]["containers"][0]["resources"] == {
        "limits": {"cpu": "1", "memory": "1Gi"},
        "requests": {"cpu": "500m", "memory": "1Gi"},
    }
    assert pod["spec"]["enableServiceLinks"] is True


def test_times_in_the_form_of_the_server() -> None:
    """UTC; whole seconds for a Time, six decimals for a MicroTime."""
    lease = defaulted("coordination.k8s.io/v1", "Lease", spec={"renewTime": "2026-01-02T03:04:05.5+01:00", "acquireTime": "tomorrow"})
    assert lease["spec"] == {"renewTime": "2026-01-02T02:04:05.500000Z", "acquireTime": "tomorrow"}  # what is none is left for validation
    condition = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-02T03:04:05.5+01:00", "lastProbeTime": None}
    pod = defaulted("v1", "Pod", spec={"containers": []}, status={"conditions": [condition]})
    assert pod["status"]["conditions"] == [condition | {"lastTransitionTime": "2026-01-02T02:04:05Z"}]


def test_probes_volumes_and_environment_anywhere() -> None:
    container = {
        "name": "c",
        "image": "i",
        "livenessProbe": {"httpGet": {"port": 80}},
        "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
    }
    volumes = [{"name": "a"}, {"name": "b", "secret": {"secretName": "s"}}, {"name": "c", "hostPath": {"path": "/x"}}]
    template = {"spec": {"containers": [container], "volumes": volumes}}
    pod = defaulted("batch/v1", "CronJob", spec={"jobTemplate": {"spec": {"template": template}}})["spec"]["jobTemplate"]["spec"][
        "template"
    ]["spec"]
    assert pod["containers"][0]["livenessProbe"] == {
        "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    assert pod["containers"][0]["env"][0]["valueFrom"]["fieldRef"]["apiVersion"] == "v1"
    assert pod["volumes"][0] == {"name": "a", "emptyDir": {}}
    assert pod["volumes"][1]["secret"]["defaultMode"] == 0o644
    assert pod["volumes"][2]["hostPath"]["type"] == ""


@pytest.mark.parametrize(
    ("image", "tag"),
    [
        ("nginx", "latest"),
        ("nginx:latest", "latest"),
        ("nginx:1", "1"),
        ("registry:5000/nginx", "latest"),
        ("registry:5000/nginx:2", "2"),
        ("nginx@sha256:0", ""),
        ("nginx:3@sha256:0", "3"),
        (None, ""),
    ],
)
def test_image_tags(image: str | None, tag: str) -> None:
    assert image_tag(image) == tag


def test_services() -> None:
    spec = defaulted("v1", "Service", spec={"type": "LoadBalancer", "sessionAffinity": "ClientIP", "ports": [{"port": 80}]})["spec"]
    assert spec["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert spec["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}
    assert (spec["externalTrafficPolicy"], spec["internalTrafficPolicy"]) == ("Cluster", "Cluster")
    assert spec["allocateLoadBalancerNodePorts"] is True
    assert "internalTrafficPolicy" not in defaulted("v1", "Service", spec={"type": "ExternalName", "externalName": "x.y"})["spec"]


def test_the_rest_of_the_catalog() -> None:
    job = defaulted("batch/v1", "Job", spec={"template": {"metadata": {"labels": {"a": "b"}}}})
    assert (job["spec"]["completions"], job["spec"]["parallelism"], job["spec"]["backoffLimit"]) == (1, 1, 6)
    assert job["metadata"]["labels"] == {"a": "b"}
    assert "completions" not in defaulted("batch/v1", "Job", spec={"parallelism": 2})["spec"]
    assert defaulted("v1", "Namespace")["metadata"]["labels"] == {"kubernetes.io/metadata.name": "x"}
    assert defaulted("v1", "Secret")["type"] == "Opaque"
    policy = defaulted("networking.k8s.io/v1", "NetworkPolicy", spec={"egress": [{"ports": [{"port": 1}]}]})["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["egress"][0]["ports"][0]["protocol"] == "TCP"
    binding = defaulted("rbac.authorization.k8s.io/v1", "RoleBinding", roleRef={"kind": "Role", "name": "r"}, subjects=[{"kind": "User"}])
    assert binding["roleRef"]["apiGroup"] == binding["subjects"][0]["apiGroup"] == "rbac.authorization.k8s.io"
    hpa = defaulted("autoscaling/v2", "HorizontalPodAutoscaler", spec={"behavior": {"scaleDown": {"selectPolicy": "Min"}}})["spec"]
    assert hpa["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 80}
    assert hpa["behavior"]["scaleDown"]["selectPolicy"] == "Min"
    assert len(hpa["behavior"]["scaleUp"]["policies"]) == 2
    limits = defaulted("v1", "LimitRange", spec={"limits": [{"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1Mi"}}]})
    assert limits["spec"]["limits"][0]["default"] == {"cpu": "2"}
    assert limits["spec"]["limits"][0]["defaultRequest"] == {"cpu": "2", "memory": "1Mi"}
    hook = defaulted("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", webhooks=[{"rules": [{}]}])["webhooks"][0]
    assert (hook["failurePolicy"], hook["timeoutSeconds"], hook["rules"][0]["scope"]) == ("Fail", 10, "*")


def test_every_rule_is_of_a_type_that_something_contains() -> None:
    reached: set[str] = set()
    waiting = [type_name(info.group, info.version, info.kind) for info in BUILTIN] + ["authentication.v1.TokenRequest"]
    graph = typewalk._graph()
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += [target for _, target in graph.get(name, {}).get("links", {}).values()]
    for table in (defaults.DEFAULTS, defaults.ZERO_DEFAULTS, defaults.PRESENT):
        assert set(table) <= reached


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 70000)
    | st.text(max_size=4)
    | st.sampled_from(["ClientIP", "LoadBalancer", "RollingUpdate"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def documents(draw: st.DrawFn, name: str, depth: int = 0) -> Any:
    """Something like a document of a type: known fields, mostly of the right shape, some not."""
    graph = typewalk._graph()
    if depth > 6 or draw(st.integers(0, 9)) == 0:
        return draw(JSON)
    links = graph.get(name, {}).get("links", {})
    result: dict[str, Any] = draw(st.dictionaries(st.sampled_from(["type", "name", "port", "kind", "replicas"]), JSON, max_size=2))
    for prop in draw(st.lists(st.sampled_from(sorted(links)), max_size=3, unique=True)) if links else []:
        how, target = links[prop]
        below = documents(target, depth + 1)
        if how == "list":
            result[prop] = draw(st.lists(below, max_size=2))
        elif how == "map":
            result[prop] = draw(st.dictionaries(st.text(max_size=3), below, max_size=2))
        else:
            result[prop] = draw(below)
    return result


@pytest.mark.parametrize("info", list(BUILTIN), ids=lambda info: f"{info.resource}.{info.version}.{info.group}")
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_defaulting_is_idempotent_and_total(info: ResourceInfo, data: st.DataObject) -> None:
    document = data.draw(documents(type_name(info.group, info.version, info.kind)))
    if not isinstance(document, dict):
        document = {"metadata": {}}
    strategy = strategy_for(info)
    strategy.default(document)
    once = copy.deepcopy(document)
    strategy.default(document)
    assert document == once
