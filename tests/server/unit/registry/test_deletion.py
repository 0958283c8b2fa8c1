# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deletion through the verbs."""

from __future__ import annotations

from typing import Any

import pytest

from kplane_server.model.errors import BadRequest, Conflict, Forbidden, Invalid, MethodNotAllowed, NotFound, TooManyRequests
from kplane_server.registry.deletion import Deletion
from kplane_server.registry.options import DeleteOptions, ListOptions, Preconditions

from .conftest import Bench, document
from .test_create import DEPLOYMENT


async def delete(bench: Bench, resource: str, name: str, namespace: str = "default", **options: Any) -> Deletion:
    dry_run = options.pop("dry_run", False)
    return await bench.api.delete(bench.info(resource), namespace, name, DeleteOptions(**options), bench.context(dry_run=dry_run))


async def test_without_finalizers_it_is_gone_at_once(bench: Bench) -> None:
    made = await bench.create("configmaps", {"metadata": {"name": "a"}})
    result = await delete(bench, "configmaps", "a")
    assert result.finished
    assert document(result.stored)["metadata"]["uid"] == made["metadata"]["uid"]
    with pytest.raises(NotFound, match='configmaps "a" not found'):
        await delete(bench, "configmaps", "a")


async def test_finalizers_hold(bench: Bench) -> None:
    await bench.create("configmaps", {"metadata": {"name": "a", "finalizers": ["x.io/y"]}})
    result = await delete(bench, "configmaps", "a")
    assert not result.finished
    held = bench.get("configmaps", "a")
    assert held["metadata"]["deletionTimestamp"]
    assert held["metadata"]["deletionGracePeriodSeconds"] == 0
    before = bench.store.revision
    assert not (await delete(bench, "configmaps", "a")).finished
    assert bench.store.revision == before
    assert [key.name for key in bench.store.terminating()] == ["a"]
    with pytest.raises(Invalid, match="no new finalizers can be added if the object is being deleted"):
        await bench.patch("configmaps", "a", "merge", {"metadata": {"finalizers": ["x.io/y", "x.io/z"]}})
    changed = await bench.patch("configmaps", "a", "merge", {"metadata": {"deletionTimestamp": None}, "data": {"k": "v"}})
    assert changed["metadata"]["deletionTimestamp"]
    await bench.patch("configmaps", "a", "merge", {"metadata": {"finalizers": None}})
    with pytest.raises(NotFound):
        bench.get("configmaps", "a")
    assert list(bench.store.terminating()) == []


async def test_a_deletion_of_the_desired_state_counts_as_a_generation(bench: Bench) -> None:
    body = {**DEPLOYMENT, "metadata": {"name": "d", "finalizers": ["x.io/y"]}}
    await bench.create("deployments.apps", body)
    await delete(bench, "deployments.apps", "d")
    assert bench.get("deployments.apps", "d")["metadata"]["generation"] == 2


@pytest.mark.parametrize(
    ("policy", "finalizers"), [("Foreground", ["foregroundDeletion"]), ("Orphan", ["orphan"]), ("Background", None), ("", None)]
)
async def test_propagation(bench: Bench, policy: str, finalizers: list[str] | None) -> None:
    await bench.create("configmaps", {"metadata": {"name": "a"}})
    result = await delete(bench, "configmaps", "a", propagation_policy=policy)
    assert result.finished == (finalizers is None)
    if finalizers:
        assert bench.get("configmaps", "a")["metadata"]["finalizers"] == finalizers


async def test_another_policy_replaces_the_first(bench: Bench) -> None:
    await bench.create("configmaps", {"metadata": {"name": "a", "finalizers": ["x.io/y"]}})
    await delete(bench, "configmaps", "a", propagation_policy="Foreground")
    await delete(bench, "configmaps", "a", propagation_policy="Orphan")
    assert bench.get("configmaps", "a")["metadata"]["finalizers"] == ["x.io/y", "orphan"]
    await delete(bench, "configmaps", "a", propagation_policy="Background")
    assert bench.get("configmaps", "a")["metadata"]["finalizers"] == ["x.io/y"]


async def test_preconditions(bench: Bench) -> None:
    made = await bench.create("configmaps", {"metadata": {"name": "a"}})
    uid, revision = made["metadata"]["uid"], made["metadata"]["resourceVersion"]
    with pytest.raises(Conflict, match=rf"on ConfigMap .*the UID in the precondition \(no\) does not match the UID in record \({uid}\)"):
        await delete(bench, "configmaps", "a", preconditions=Preconditions(uid="no"))
    with pytest.raises(Conflict, match=r"the ResourceVersion in the precondition \(1\) does not match the ResourceVersion in record"):
        await delete(bench, "configmaps", "a", preconditions=Preconditions(resource_version="1"))
    assert (await delete(bench, "configmaps", "a", preconditions=Preconditions(uid, revision))).finished


async def test_a_dry_run_deletes_nothing(bench: Bench) -> None:
    await bench.create("configmaps", {"metadata": {"name": "a"}})
    await bench.create("configmaps", {"metadata": {"name": "b", "finalizers": ["x.io/y"]}})
    assert (await delete(bench, "configmaps", "a", dry_run=True)).finished
    shown = await delete(bench, "configmaps", "b", dry_run=True)
    assert document(shown.stored)["metadata"]["deletionTimestamp"]
    assert bench.names("configmaps") == ["a", "b"]
    assert "deletionTimestamp" not in bench.get("configmaps", "b")["metadata"]


async def test_a_namespace_goes_when_its_finalizers_go(bench: Bench) -> None:
    await bench.create("namespaces", {"metadata": {"name": "n"}}, "")
    result = await delete(bench, "namespaces", "n", "")
    assert not result.finished
    held = bench.get("namespaces", "n", "")
    assert held["status"]["phase"] == "Terminating"
    held["spec"]["finalizers"] = []
    await bench.update("namespaces", held, "")
    assert bench.get("namespaces", "n", "")["spec"]["finalizers"] == ["kubernetes"]
    held = bench.get("namespaces", "n", "")
    held["spec"]["finalizers"] = []
    await bench.update("namespaces", held, "", "finalize")
    with pytest.raises(NotFound):
        bench.get("namespaces", "n", "")


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
async def test_some_namespaces_stay(bench: Bench, name: str) -> None:
    if name != "default":
        await bench.create("namespaces", {"metadata": {"name": name}}, "")
    with pytest.raises(Forbidden, match="this namespace may not be deleted"):
        await delete(bench, "namespaces", name, "")


async def test_a_collection(bench: Bench) -> None:
    for n in range(5):
        await bench.create("configmaps", {"metadata": {"name": f"c{n}", "labels": {"odd": str(n % 2)}}})
    info = bench.info("configmaps")
    options = ListOptions(label_selector="odd=1")
    result = await bench.api.delete_collection(info, "default", options, DeleteOptions(), bench.context())
    assert [item.key.name for item in result.items] == ["c1", "c3"]
    assert bench.names("configmaps") == ["c0", "c2", "c4"]
    await bench.api.delete_collection(info, "default", ListOptions(), DeleteOptions(), bench.context(dry_run=True))
    assert bench.names("configmaps") == ["c0", "c2", "c4"]
    with pytest.raises(MethodNotAllowed):
        await bench.api.delete_collection(bench.info("namespaces"), None, ListOptions(), DeleteOptions(), bench.context())


POD = {"metadata": {"name": "p", "labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}}


async def pod(bench: Bench, **status: Any) -> Any:
    made = await bench.create("pods", POD)
    return await bench.patch("pods", "p", "merge", {"status": status}, subresource="status") if status else made


async def post(bench: Bench, subresource: str, body: Any) -> Any:
    return document(await bench.api.create(bench.info("pods"), "default", body, bench.context(), name="p", subresource=subresource))


async def test_binding(bench: Bench) -> None:
    await pod(bench)
    body = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n1"}}
    assert (await post(bench, "binding", body))["status"] == "Success"
    bound = bench.get("pods", "p")
    assert bound["spec"]["nodeName"] == "n1"
    assert [(c["type"], c["status"]) for c in bound["status"]["conditions"]] == [("PodScheduled", "True")]
    with pytest.raises(Conflict, match='pod p is already assigned to node "n1"'):
        await post(bench, "binding", body)
    with pytest.raises(Invalid, match=r"target\.name: Required value"):
        await post(bench, "binding", {"metadata": {"name": "p"}})


async def test_eviction_asks_the_budget(bench: Bench) -> None:
    await pod(bench, phase="Running")
    budget = {"metadata": {"name": "b"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}}}
    await bench.create("poddisruptionbudgets.policy", budget)
    eviction = {"metadata": {"name": "p"}}
    with pytest.raises(TooManyRequests, match="Cannot evict pod as it would violate the pod's disruption budget") as caught:
        await post(bench, "eviction", eviction)
    assert caught.value.causes[0].reason == "DisruptionBudget"
    status = {"status": {"disruptionsAllowed": 1, "observedGeneration": 1, "currentHealthy": 2, "desiredHealthy": 1, "expectedPods": 2}}
    await bench.patch("poddisruptionbudgets.policy", "b", "merge", status, subresource="status")
    assert (await post(bench, "eviction", eviction))["status"] == "Success"
    after = bench.get("poddisruptionbudgets.policy", "b")["status"]
    assert after["disruptionsAllowed"] == 0
    assert "p" in after["disruptedPods"]
    assert bench.names("pods") == []


async def test_what_only_a_node_could_answer(bench: Bench) -> None:
    await pod(bench)
    with pytest.raises(BadRequest, match="pod p does not have a host assigned"):
        bench.get("pods", "p", subresource="log")
    with pytest.raises(BadRequest, match="pod p does not have a host assigned"):
        await bench.api.connect(bench.info("pods"), "default", "p", "exec", {"kind": "PodExecOptions"}, bench.context())


async def test_the_old_way_to_bind(bench: Bench) -> None:
    await pod(bench)
    info, ctx = bench.info("bindings"), bench.context()
    body = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n1"}}
    assert document(await bench.api.create(info, "default", body, ctx))["status"] == "Success"
    assert bench.get("pods", "p")["spec"]["nodeName"] == "n1"
    with pytest.raises(BadRequest, match="must name a pod"):
        await bench.api.create(info, "default", {"metadata": {}}, ctx)


async def test_a_pod_on_a_node_has_time_to_end(bench: Bench) -> None:
    await pod(bench)
    await post(bench, "binding", {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n1"}})
    generation = bench.get("pods", "p")["metadata"]["generation"]
    assert not (await delete(bench, "pods", "p")).finished
    metadata = bench.get("pods", "p")["metadata"]
    assert (metadata["deletionGracePeriodSeconds"], metadata["generation"]) == (30, generation + 1)
    first = metadata["deletionTimestamp"]
    await bench.patch("pods", "p", "merge", {"metadata": {"labels": {"x": "y"}}})
    assert not (await delete(bench, "pods", "p", grace_period_seconds=60)).finished
    assert bench.get("pods", "p")["metadata"]["deletionTimestamp"] == first  # it can only be shortened
    assert not (await delete(bench, "pods", "p", grace_period_seconds=5)).finished
    assert bench.get("pods", "p")["metadata"]["deletionTimestamp"] < first
    assert (await delete(bench, "pods", "p", grace_period_seconds=0)).finished
    assert bench.names("pods") == []
