# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ResourceQuota: what is charged, what is refused, what is given back, and that no race goes over a limit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.widgets import crd, widget
from support.world import ADMIN, World

from kplane_server.admission.amounts import add, amounts, minus
from kplane_server.admission.quota.evaluators import claim_usage, device_usage, pod_usage, resource_of, service_usage
from kplane_server.admission.quota.scopes import Requirement, claim_in_scope, pod_in_scope
from kplane_server.model.errors import AlreadyExists, Forbidden
from kplane_server.registry.options import RequestContext

Document = dict[str, Any]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    await made.start()
    yield made
    await made.stop()


def quota(hard: Document, name: str = "q", namespace: str = "default", **spec: Any) -> Document:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": hard, **spec}}


def pod(name: str, **spec: Any) -> Document:
    resources = spec.pop("resources", {})
    body = {"containers": [{"name": "c", "image": "i", "resources": resources}], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": body}


def config_map(name: str) -> Document:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}}


def status(world: World, name: str = "q", vcp: str = "root") -> Document:
    found: Document = world.read("ResourceQuota", name, "default", vcp).get("status") or {}
    return found


async def test_new_quotas_count_what_is_there(world: World) -> None:
    await world.create(pod("a", resources={"requests": {"cpu": "250m", "memory": "1Gi"}}))
    await world.create(quota({"pods": "2", "requests.cpu": "1", "memory": "2Gi", "count/configmaps": "10", "configmaps": "10"}))
    await world.settle(lambda: "used" in status(world) and len(status(world)["used"]) == 5)
    assert status(world) == {
        "hard": {"pods": "2", "requests.cpu": "1", "memory": "2Gi", "count/configmaps": "10", "configmaps": "10"},
        "used": {"pods": "1", "requests.cpu": "250m", "memory": "1Gi", "count/configmaps": "1", "configmaps": "1"},
    }


async def test_beyond_the_limit_is_refused_in_upstreams_words(world: World) -> None:
    await world.create(quota({"pods": "2"}))
    for name in ("a", "b"):
        await world.create(pod(name))
    with pytest.raises(Forbidden) as caught:
        await world.create(pod("c"))
    assert caught.value.message == 'pods "c" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2'
    assert status(world)["used"] == {"pods": "2"}
    await world.delete("Pod", "a", "default")
    await world.settle(lambda: status(world)["used"] == {"pods": "1"})
    await world.create(pod("c"))


async def test_a_quota_without_room_in_one_of_several_names_only_that(world: World) -> None:
    await world.create(quota({"requests.cpu": "1", "pods": "5"}))
    with pytest.raises(Forbidden, match=r"exceeded quota: q, requested: requests\.cpu=2, used: requests\.cpu=0, limited: requests\.cpu=1$"):
        await world.create(pod("a", resources={"requests": {"cpu": "2"}}))
    with pytest.raises(Forbidden, match=r"failed quota: q: must specify requests\.cpu for: c$"):
        await world.create(pod("a"))


async def test_finished_pods_are_given_back_but_still_counted(world: World) -> None:
    await world.create(quota({"pods": "1", "count/pods": "2"}))
    await world.create(pod("a"))
    await world.settle()
    info = world.info("Pod")
    document = world.read("Pod", "a", "default") | {"status": {"phase": "Succeeded"}}
    await world.api().update(info, "default", "a", document, RequestContext(ADMIN), "status")
    await world.settle(lambda: status(world)["used"] == {"pods": "0", "count/pods": "1"})
    await world.create(pod("b"))
    with pytest.raises(Forbidden, match="exceeded quota"):
        await world.create(pod("c"))


async def test_64_creates_at_once_never_go_over(world: World) -> None:
    await world.create(quota({"configmaps": "21"}))
    results = await asyncio.gather(*(world.create(config_map(f"m{i}")) for i in range(64)), return_exceptions=True)
    made = [r for r in results if isinstance(r, dict)]
    assert len(made) == 20  # kube-root-ca.crt is one of the 21
    refused = {str(r) for r in results if not isinstance(r, dict)}
    assert {text.split(": ", 1)[1] for text in refused} == {
        "exceeded quota: q, requested: configmaps=1, used: configmaps=21, limited: configmaps=21"
    }
    assert status(world)["used"] == {"configmaps": "21"}
    await world.settle()
    assert status(world)["used"] == {"configmaps": "21"}


async def test_creates_in_front_of_a_quota_that_is_being_made_are_counted(world: World) -> None:
    """Whatever the order of 40 creates and one quota, the books are right."""
    tasks = [asyncio.create_task(world.create(config_map(f"m{i}"))) for i in range(20)]
    tasks.append(asyncio.create_task(world.create(quota({"count/configmaps": "30"}))))
    tasks += [asyncio.create_task(world.create(config_map(f"n{i}"))) for i in range(20)]
    results = await asyncio.gather(*tasks, return_exceptions=True)
    await world.settle(lambda: (status(world).get("used") or {}).get("count/configmaps"))
    held = len(world.names("ConfigMap", "default"))
    assert status(world)["used"] == {"count/configmaps": str(held)}
    assert held == 30
    assert all(isinstance(r, dict | Forbidden) for r in results)


async def test_a_name_that_is_taken_costs_nothing(world: World) -> None:
    await world.create(quota({"configmaps": "5"}))
    await world.create(config_map("a"))
    for _ in range(3):
        with pytest.raises(AlreadyExists):
            await world.create(config_map("a"))
    assert status(world)["used"] == {"configmaps": "2"}


async def test_a_dry_run_is_judged_and_takes_nothing(world: World) -> None:
    await world.create(quota({"configmaps": "2"}))
    await world.settle(lambda: status(world).get("used"))
    dry = RequestContext(ADMIN, dry_run=True)
    await world.api().create(world.info("ConfigMap"), "default", config_map("a"), dry)
    assert status(world)["used"] == {"configmaps": "1"}
    await world.create(config_map("b"))
    with pytest.raises(Forbidden, match="exceeded quota"):
        await world.api().create(world.info("ConfigMap"), "default", config_map("c"), dry)


async def test_scopes_choose_the_pods(world: World) -> None:
    await world.create(quota({"pods": "1"}, "best-effort", scopes=["BestEffort"]))
    await world.create(quota({"pods": "1"}, "ending", scopes=["Terminating", "NotBestEffort"]))
    selector = {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]}
    await world.create(quota({"pods": "0"}, "high", scopeSelector=selector))
    classes = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "high"}, "value": 5}
    await world.create(classes)
    await world.create(pod("a"))
    with pytest.raises(Forbidden, match="exceeded quota: best-effort"):
        await world.create(pod("b"))
    wants = {"resources": {"requests": {"cpu": "1"}}}
    await world.create(pod("c", **wants))
    await world.create(pod("d", **wants, activeDeadlineSeconds=5))
    with pytest.raises(Forbidden, match="exceeded quota: ending"):
        await world.create(pod("e", **wants, activeDeadlineSeconds=5))
    with pytest.raises(Forbidden, match="exceeded quota: high"):
        await world.create(pod("f", **wants, priorityClassName="high"))
    await world.settle()
    assert [status(world, name)["used"]["pods"] for name in ("best-effort", "ending", "high")] == ["1", "1", "0"]


async def test_services_are_charged_when_their_type_changes(world: World) -> None:
    await world.create(quota({"services.nodeports": "1", "services.loadbalancers": "0", "services": "5"}))
    spec: Document = {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "default"}, "spec": spec}
    await world.create(service)
    with pytest.raises(Forbidden, match=r"requested: services\.nodeports=2, used: services\.nodeports=0"):
        await world.merge("Service", "s", {"spec": {"type": "NodePort"}}, "default")
    await world.merge("Service", "s", {"spec": {"type": "NodePort", "ports": [{"name": "a", "port": 80}]}}, "default")
    await world.settle(lambda: status(world)["used"]["services.nodeports"] == "1")
    with pytest.raises(Forbidden, match=r"services\.loadbalancers=1"):
        await world.merge("Service", "s", {"spec": {"type": "LoadBalancer"}}, "default")
    await world.merge("Service", "s", {"spec": {"type": "ClusterIP", "ports": [{"name": "a", "port": 80, "nodePort": None}]}}, "default")
    await world.settle(lambda: status(world)["used"]["services.nodeports"] == "0")


async def test_custom_resources_are_counted_by_their_name(world: World) -> None:
    await world.create(crd())
    await world.create(quota({"count/widgets.example.com": "1"}))
    await world.create(widget("a", "default"))
    with pytest.raises(Forbidden, match=r"exceeded quota: q, requested: count/widgets\.example\.com=1"):
        await world.create(widget("b", "default"))
    await world.delete("Widget", "a", "default")
    await world.settle(lambda: status(world)["used"] == {"count/widgets.example.com": "0"})


async def test_limits_that_change_are_counted_anew(world: World) -> None:
    await world.create(quota({"configmaps": "2"}))
    await world.create(config_map("a"))
    await world.merge("ResourceQuota", "q", {"spec": {"hard": {"configmaps": "3", "secrets": "0"}}}, "default")
    await world.settle(lambda: len(status(world)["used"]) == 2)
    assert status(world) == {"hard": {"configmaps": "3", "secrets": "0"}, "used": {"configmaps": "2", "secrets": "0"}}
    await world.merge("ResourceQuota", "q", {"spec": {"hard": {"configmaps": None, "secrets": "0"}}}, "default")
    await world.settle(lambda: status(world) == {"hard": {"secrets": "0"}, "used": {"secrets": "0"}})
    for name in "bcd":
        await world.create(config_map(name))


async def test_quotas_of_one_name_in_two_control_planes(world: World) -> None:
    for name, limit in (("a", "2"), ("b", "3")):
        await world.control_plane(name)
        await world.create(quota({"configmaps": limit}), name)
    for name, room in (("a", 1), ("b", 2), ("root", 4)):
        for i in range(room):
            await world.create(config_map(f"m{i}"), name)
    for name in "ab":
        with pytest.raises(Forbidden, match="exceeded quota"):
            await world.create(config_map("more"), name)
    await world.delete("ConfigMap", "m0", "default", "a")
    await world.settle(lambda: status(world, vcp="a")["used"] == {"configmaps": "1"})
    assert status(world, vcp="b")["used"] == {"configmaps": "3"}


async def test_what_went_while_nobody_counted_is_found_after_a_restart(world: World) -> None:
    await world.create(quota({"configmaps": "9"}))
    for name in "abc":
        await world.create(config_map(name))
    await world.controllers.stop()
    await world.delete("ConfigMap", "a", "default")
    assert status(world)["used"] == {"configmaps": "4"}
    await world.restart()
    await world.settle(lambda: status(world)["used"] == {"configmaps": "3"})


def test_what_pods_take() -> None:
    container = {
        "name": "c",
        "resources": {"requests": {"cpu": "1", "example.com/gpu": "2", "hugepages-2Mi": "4Mi"}, "limits": {"cpu": "2"}},
    }
    usage = pod_usage({"metadata": {}, "spec": {"containers": [container], "overhead": {"cpu": "100m", "memory": "1Mi"}}}, 0)
    assert {name: str(value) for name, value in usage.items()} == {
        "count/pods": "1",
        "pods": "1",
        "cpu": "1100m",
        "requests.cpu": "1100m",
        "memory": "1Mi",
        "requests.memory": "1Mi",
        "limits.cpu": "2100m",
        "requests.example.com/gpu": "2",
        "hugepages-2Mi": "4Mi",
        "requests.hugepages-2Mi": "4Mi",
    }
    gone = {"metadata": {"deletionTimestamp": "1970-01-01T00:00:10Z", "deletionGracePeriodSeconds": 5}, "spec": {"containers": [container]}}
    assert len(pod_usage(gone, 15)) > 1
    assert list(pod_usage(gone, 16)) == ["count/pods"]
    asked = {"name": "c", "resources": {"requests": {"cpu": "1"}}}
    running = {"name": "c", "resources": {"requests": {"cpu": "3"}}}
    resizing = {"metadata": {}, "spec": {"containers": [asked]}, "status": {"containerStatuses": [running]}}
    assert str(pod_usage(resizing, 0)["requests.cpu"]) == "3"


def test_what_services_and_claims_take() -> None:
    ports = [{"port": 1, "nodePort": 30001}, {"port": 2}]
    balanced = {"spec": {"type": "LoadBalancer", "ports": ports}}
    assert str(service_usage(balanced, 0)["services.nodeports"]) == "2"
    balanced["spec"]["allocateLoadBalancerNodePorts"] = False
    assert str(service_usage(balanced, 0)["services.nodeports"]) == "1"
    spec = {"storageClassName": "gold", "resources": {"requests": {"storage": "1.5"}}}
    usage = claim_usage({"metadata": {}, "spec": spec, "status": {"allocatedResources": {"storage": "1"}}}, 0)
    assert {name: str(value) for name, value in usage.items()} == {
        "persistentvolumeclaims": "1",
        "count/persistentvolumeclaims": "1",
        "requests.storage": "2",
        "gold.storageclass.storage.k8s.io/persistentvolumeclaims": "1",
        "gold.storageclass.storage.k8s.io/requests.storage": "2",
    }
    requests: list[Document] = [
        {"exactly": {"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 2}},
        {
            "firstAvailable": [
                {"deviceClassName": "gpu", "allocationMode": "All"},
                {"deviceClassName": "fpga", "allocationMode": "ExactCount", "count": 1},
            ]
        },
    ]
    devices = device_usage({"metadata": {}, "spec": {"devices": {"requests": requests}}}, 0)
    assert str(devices["gpu.deviceclass.resource.k8s.io/devices"]) == "34"
    assert str(devices["fpga.deviceclass.resource.k8s.io/devices"]) == "1"


def test_names_of_hard_belong_to_resources() -> None:
    names = {
        "count/deployments.apps": "deployments.apps",
        "secrets": "secrets",
        "limits.cpu": "pods",
        "requests.nvidia.com/gpu": "pods",
        "requests.storage": "persistentvolumeclaims",
        "gold.storageclass.storage.k8s.io/requests.storage": "persistentvolumeclaims",
        "services.nodeports": "services",
        "gpu.deviceclass.resource.k8s.io/devices": "resourceclaims.resource.k8s.io",
        "count/events": None,
        "nonsense": None,
    }
    assert {name: resource_of(name) for name in names} == names


def test_scopes() -> None:
    far: Document = {"spec": {"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"namespaces": ["x"]}]}}}}
    assert pod_in_scope(Requirement("CrossNamespacePodAffinity"), far)
    assert not pod_in_scope(Requirement("CrossNamespacePodAffinity"), {"spec": {}})
    assert pod_in_scope(Requirement("PriorityClass", "NotIn", ("low",)), {"spec": {}})
    assert pod_in_scope(Requirement("PriorityClass", "DoesNotExist"), {"spec": {}})
    assert not pod_in_scope(Requirement("Nonsense"), {"spec": {}})
    changing = {"spec": {"volumeAttributesClassName": "a"}, "status": {"currentVolumeAttributesClassName": "b"}}
    assert claim_in_scope(Requirement("VolumeAttributesClass", "In", ("b",)), changing)
    assert not claim_in_scope(Requirement("VolumeAttributesClass"), {"spec": {}})


lists = st.dictionaries(st.sampled_from(["cpu", "memory", "pods"]), st.integers(0, 10**12).map(str))


@given(lists, lists)
def test_taking_and_giving_back_comes_to_nothing(first: dict[str, str], second: dict[str, str]) -> None:
    total = amounts(first)
    add(total, amounts(second))
    back = minus(total, amounts(second))
    assert {k: v.value for k, v in back.items() if v.value} == {k: v.value for k, v in amounts(first).items() if v.value}
