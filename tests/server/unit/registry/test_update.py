# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Updates and patches through the verbs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kplane_server.model.errors import BadRequest, Conflict, Invalid, NotFound, UnsupportedMediaType
from kplane_server.registry.options import Patch

from .conftest import Bench
from .test_create import DEPLOYMENT


async def test_an_update_replaces(bench: Bench) -> None:
    made = await bench.create("configmaps", {"metadata": {"name": "a", "labels": {"x": "y"}}, "data": {"k": "v"}})
    changed = await bench.update("configmaps", {"metadata": {"name": "a"}, "data": {"other": "w"}})
    assert changed["data"] == {"other": "w"}
    assert "labels" not in changed["metadata"]
    for kept in ("uid", "creationTimestamp"):
        assert changed["metadata"][kept] == made["metadata"][kept]
    assert int(changed["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])


async def test_an_update_without_a_change_writes_nothing(bench: Bench) -> None:
    made = await bench.create("configmaps", {"metadata": {"name": "a"}, "data": {"k": "v"}})
    before = bench.store.revision
    assert await bench.update("configmaps", made) == made
    assert await bench.patch("configmaps", "a", "merge", {"data": {"k": "v"}}) == made
    assert bench.store.revision == before


async def test_revision_and_uid_are_preconditions(bench: Bench) -> None:
    made = await bench.create("configmaps", {"metadata": {"name": "a"}})
    await bench.update("configmaps", {"metadata": {"name": "a"}, "data": {"k": "v"}})
    with pytest.raises(Conflict, match="the object has been modified; please apply your changes to the latest version and try again"):
        await bench.update("configmaps", made)
    with pytest.raises(Conflict, match="Precondition failed: UID in precondition: no, UID in object meta: "):
        await bench.update("configmaps", {"metadata": {"name": "a", "uid": "no"}})
    with pytest.raises(Conflict, match="the object has been modified"):
        await bench.patch("configmaps", "a", "merge", {"metadata": {"resourceVersion": "1"}})
    with pytest.raises(Invalid, match=r"metadata\.resourceVersion"):
        await bench.update("configmaps", {"metadata": {"name": "a", "resourceVersion": "x"}})


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"name": "b"}, "does not match the name on the URL"),
        ({"name": "a", "namespace": "other"}, "does not match the namespace"),
    ],
)
async def test_an_update_is_of_the_object_that_is_addressed(bench: Bench, metadata: dict[str, str], words: str) -> None:
    await bench.create("configmaps", {"metadata": {"name": "a"}})
    with pytest.raises(BadRequest, match=words):
        await bench.update("configmaps", {"metadata": metadata}, name="a")


async def test_what_is_not_there_cannot_be_changed(bench: Bench) -> None:
    with pytest.raises(NotFound, match='configmaps "a" not found'):
        await bench.update("configmaps", {"metadata": {"name": "a"}})
    with pytest.raises(NotFound):
        await bench.patch("configmaps", "a", "merge", {})


async def test_the_generation_counts_changes_of_the_spec(bench: Bench) -> None:
    await bench.create("deployments.apps", DEPLOYMENT)
    assert (await bench.patch("deployments.apps", "d", "merge", {"metadata": {"labels": {"x": "y"}}}))["metadata"]["generation"] == 1
    assert (await bench.patch("deployments.apps", "d", "merge", {"spec": {"replicas": 3}}))["metadata"]["generation"] == 2


async def test_status_and_the_rest_are_written_apart(bench: Bench) -> None:
    await bench.create("deployments.apps", DEPLOYMENT)
    changed = await bench.patch("deployments.apps", "d", "merge", {"spec": {"replicas": 5}, "status": {"replicas": 4}})
    assert changed["spec"]["replicas"] == 5
    assert "replicas" not in changed.get("status", {})
    body = {"spec": {"replicas": 9}, "status": {"replicas": 4}}
    changed = await bench.patch("deployments.apps", "d", "merge", body, subresource="status")
    assert (changed["spec"]["replicas"], changed["status"]["replicas"]) == (5, 4)
    owners = {(e["manager"], e.get("subresource", "")) for e in changed["metadata"]["managedFields"]}
    assert owners == {("test", ""), ("test", "status")}


async def test_the_four_patches(bench: Bench) -> None:
    await bench.create("deployments.apps", DEPLOYMENT)
    operations = [{"op": "test", "path": "/spec/replicas", "value": 1}, {"op": "replace", "path": "/spec/replicas", "value": 2}]
    assert (await bench.patch("deployments.apps", "d", "json", operations))["spec"]["replicas"] == 2
    with pytest.raises(Invalid):
        await bench.patch("deployments.apps", "d", "json", operations)
    containers = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "x"}]}}}}
    changed = await bench.patch("deployments.apps", "d", "strategic", containers)
    assert {c["name"] for c in changed["spec"]["template"]["spec"]["containers"]} == {"side", "c"}
    changed = await bench.patch("deployments.apps", "d", "merge", containers)
    assert [c["name"] for c in changed["spec"]["template"]["spec"]["containers"]] == ["side"]


async def test_a_patch_is_of_a_known_kind_and_shape(bench: Bench) -> None:
    await bench.create("configmaps", {"metadata": {"name": "a"}})
    with pytest.raises(UnsupportedMediaType, match="application/json-patch\\+json, application/merge-patch\\+json"):
        await bench.api.patch(bench.info("configmaps"), "default", "a", Patch("text/plain", {}), bench.context())
    for kind, body in (("merge", []), ("json", {}), ("strategic", []), ("apply", []), ("json", [{"op": "remove", "path": ""}])):
        with pytest.raises((BadRequest, Invalid)):
            await bench.patch("configmaps", "a", kind, body)
    with pytest.raises(Invalid, match=r"patch: Invalid value: .*cannot unmarshal"):
        await bench.patch("configmaps", "a", "merge", {"data": "x"})


async def test_a_strict_patch_names_unknown_fields(bench: Bench) -> None:
    await bench.create("configmaps", {"metadata": {"name": "a"}})
    with pytest.raises(Invalid, match='strict decoding error: unknown field "foo"'):
        await bench.patch("configmaps", "a", "merge", {"foo": 1}, field_validation="Strict")


async def test_a_dry_run_of_an_update(bench: Bench) -> None:
    made = await bench.create("configmaps", {"metadata": {"name": "a"}, "data": {"k": "v"}})
    shown = await bench.patch("configmaps", "a", "merge", {"data": {"k": "w"}}, dry_run=True)
    assert shown["data"] == {"k": "w"}
    assert shown["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
    assert bench.get("configmaps", "a") == made


async def test_apply_creates_owns_and_removes(bench: Bench) -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1", "y": "2"}}
    made = await bench.patch("configmaps", "a", "apply", config, field_manager="one")
    assert made["data"] == {"x": "1", "y": "2"}
    (entry,) = made["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"]) == ("one", "Apply")
    again = await bench.patch("configmaps", "a", "apply", config, field_manager="one")
    assert again == made
    fewer = {**config, "data": {"x": "1"}}
    assert (await bench.patch("configmaps", "a", "apply", fewer, field_manager="one"))["data"] == {"x": "1"}


async def test_apply_conflicts_name_managers_and_fields(bench: Bench) -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1"}}
    await bench.patch("configmaps", "a", "apply", config, field_manager="one")
    other = {**config, "data": {"x": "2"}}
    with pytest.raises(Conflict, match='conflict with "one"') as caught:
        await bench.patch("configmaps", "a", "apply", other, field_manager="two")
    assert [(c.reason, c.field) for c in caught.value.causes] == [("FieldManagerConflict", ".data.x")]
    forced = await bench.patch("configmaps", "a", "apply", other, field_manager="two", force=True)
    assert forced["data"] == {"x": "2"}
    assert {e["manager"] for e in forced["metadata"]["managedFields"] if "f:data" in e["fieldsV1"]} == {"two"}


async def test_apply_to_status(bench: Bench) -> None:
    await bench.create("deployments.apps", DEPLOYMENT)
    config = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "status": {"replicas": 3}}
    changed = await bench.patch("deployments.apps", "d", "apply", config, field_manager="ctl", subresource="status")
    assert changed["status"]["replicas"] == 3
    entry = next(e for e in changed["metadata"]["managedFields"] if e["manager"] == "ctl")
    assert (entry["subresource"], entry["operation"]) == ("status", "Apply")
    with pytest.raises(NotFound):
        await bench.patch("deployments.apps", "none", "apply", {**config, "metadata": {"name": "none"}}, subresource="status")


async def test_scale(bench: Bench) -> None:
    made = await bench.create("deployments.apps", DEPLOYMENT)
    scale = bench.get("deployments.apps", "d", subresource="scale")
    assert (scale["kind"], scale["spec"], scale["status"]["selector"]) == ("Scale", {"replicas": 1}, "a=b")
    scale["spec"]["replicas"] = 4
    assert (await bench.update("deployments.apps", scale, subresource="scale"))["spec"]["replicas"] == 4
    changed = bench.get("deployments.apps", "d")
    assert (changed["spec"]["replicas"], changed["metadata"]["generation"]) == (4, 2)
    assert changed["metadata"]["uid"] == made["metadata"]["uid"]
    with pytest.raises(Conflict):
        await bench.update("deployments.apps", scale, subresource="scale")
    assert (await bench.patch("deployments.apps", "d", "merge", {"spec": {"replicas": 2}}, subresource="scale"))["spec"]["replicas"] == 2
    operations = [{"op": "replace", "path": "/spec/replicas", "value": -1}]
    with pytest.raises(Invalid, match="greater than or equal to 0"):
        await bench.patch("deployments.apps", "d", "json", operations, subresource="scale")
    with pytest.raises(BadRequest):
        await bench.update("deployments.apps", {"metadata": {"name": "d"}, "spec": "x"}, subresource="scale")


async def test_a_sub_resource_that_is_not_served(bench: Bench) -> None:
    await bench.create("configmaps", {"metadata": {"name": "a"}})
    with pytest.raises(NotFound, match="could not find the requested resource"):
        bench.get("configmaps", "a", subresource="status")


async def test_writers_that_name_a_revision_lose_no_update(bench: Bench) -> None:
    """64 tasks count to 64 together: each reads, adds one, and tries again when another was first."""
    await bench.create("configmaps", {"metadata": {"name": "counter"}, "data": {"n": "0"}})
    conflicts = 0

    async def add_one() -> None:
        nonlocal conflicts
        while True:
            seen = bench.get("configmaps", "counter")
            await asyncio.sleep(0)
            seen["data"]["n"] = str(int(seen["data"]["n"]) + 1)
            try:
                await bench.update("configmaps", seen)
                return
            except Conflict:
                conflicts += 1

    await asyncio.gather(*(add_one() for _ in range(64)))
    assert bench.get("configmaps", "counter")["data"] == {"n": "64"}
    assert conflicts > 0


async def test_patches_without_a_revision_all_arrive(bench: Bench) -> None:
    await bench.create("configmaps", {"metadata": {"name": "a"}, "data": {}})
    await asyncio.gather(*(bench.patch("configmaps", "a", "merge", {"data": {f"k{n}": "v"}}) for n in range(64)))
    assert len(bench.get("configmaps", "a")["data"]) == 64


async def test_appliers_at_the_same_time_own_their_own(bench: Bench) -> None:
    def config(n: int) -> Any:
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {f"k{n}": "v"}}

    await asyncio.gather(*(bench.patch("configmaps", "a", "apply", config(n), field_manager=f"m{n}") for n in range(16)))
    made = bench.get("configmaps", "a")
    assert len(made["data"]) == 16
    assert {e["manager"] for e in made["metadata"]["managedFields"]} == {f"m{n}" for n in range(16)}


async def test_an_apply_may_name_the_revision_and_uid_it_is_for(bench: Bench) -> None:
    made = await bench.create("configmaps", {"metadata": {"name": "a"}})
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1"}}

    def named(**metadata: str) -> Any:
        return {**config, "metadata": {"name": "a", **metadata}}

    with pytest.raises(Conflict, match="the object has been modified"):
        await bench.patch("configmaps", "a", "apply", named(resourceVersion="1"))
    with pytest.raises(Conflict, match="Precondition failed: UID"):
        await bench.patch("configmaps", "a", "apply", named(uid="other"))
    right = named(resourceVersion=made["metadata"]["resourceVersion"], uid=made["metadata"]["uid"])
    assert (await bench.patch("configmaps", "a", "apply", right))["data"] == {"x": "1"}
    made = await bench.patch("configmaps", "new", "apply", {**config, "metadata": {"name": "new", "resourceVersion": "5"}})
    assert made["metadata"]["name"] == "new"  # as upstream: a revision counts for what is there
    for bare in ({"metadata": {"name": "a"}}, {**config, "kind": "Secret"}, {**config, "apiVersion": "v2"}):
        with pytest.raises(BadRequest, match="invalid object type: "):
            await bench.patch("configmaps", "a", "apply", bare)
    with pytest.raises(BadRequest, match="name must be provided"):
        await bench.patch("configmaps", "a", "apply", {**config, "metadata": {}})
    with pytest.raises(BadRequest, match=r"field not declared in schema"):
        await bench.patch("configmaps", "a", "apply", {**config, "foo": 1})
    with pytest.raises(BadRequest, match="managedFields must be nil"):
        await bench.patch("configmaps", "a", "apply", {**config, "metadata": {"name": "a", "managedFields": [{"manager": "x"}]}})


async def test_versions_of_different_shape(bench: Bench) -> None:
    autoscalers = "horizontalpodautoscalers.autoscaling"
    spec = {"scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}, "maxReplicas": 3}
    await bench.create(autoscalers, {"metadata": {"name": "h"}, "spec": {**spec, "targetCPUUtilizationPercentage": 50}})
    metric = bench.get(autoscalers, "h", version="v2")["spec"]["metrics"][0]
    assert metric["resource"] == {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}
    changed = await bench.patch(autoscalers, "h", "merge", {"spec": {"targetCPUUtilizationPercentage": 60}})
    assert (changed["apiVersion"], changed["spec"]["targetCPUUtilizationPercentage"]) == ("autoscaling/v1", 60)
    metric = bench.get(autoscalers, "h", version="v2")["spec"]["metrics"][0]
    assert metric["resource"]["target"]["averageUtilization"] == 60


async def test_events_of_both_groups_are_the_same_objects(bench: Bench) -> None:
    body = {"metadata": {"name": "e"}, "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"}, "message": "m"}
    await bench.create("events", body)
    seen = bench.get("events.events.k8s.io", "e")
    assert (seen["apiVersion"], seen["note"], seen["regarding"]["name"]) == ("events.k8s.io/v1", "m", "p")
    watch = bench.watch("events.events.k8s.io")
    (event,) = await watch.next(0)
    assert b'"note":"m"' in event.object.value
    watch.close()
    assert bench.names("events", field_selector="involvedObject.name=p") == ["e"]
    assert bench.names("events", field_selector="involvedObject.name=q") == []
