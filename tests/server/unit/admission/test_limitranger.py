# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""LimitRanger: defaults, bounds and their texts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.world import ADMIN, World

from kplane_server.model.errors import Forbidden
from kplane_server.registry.options import RequestContext

Document = dict[str, Any]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    await made.start()
    yield made
    await made.stop()


def limit_range(*limits: Document, name: str = "limits") -> Document:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "LimitRange", "metadata": metadata, "spec": {"limits": list(limits)}}


def pod(name: str = "p", *, init: list[Document] | None = None, **containers: Document) -> Document:
    made = [{"name": n, "image": "i", **({"resources": r} if r else {})} for n, r in containers.items()]
    spec: Document = {"containers": made, **({"initContainers": init} if init else {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": spec}


def claim(storage: str | None, name: str = "c") -> Document:
    requests = {"requests": {"storage": storage}} if storage else {}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": requests}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name, "namespace": "default"}, "spec": spec}


async def refusal(world: World, document: Document) -> str:
    with pytest.raises(Forbidden) as caught:
        await world.create(document)
    return caught.value.message


async def test_containers_get_what_they_do_not_say(world: World) -> None:
    await world.create(limit_range({"type": "Container", "default": {"cpu": "500m", "memory": "1Gi"}, "defaultRequest": {"cpu": "100m"}}))
    sidecar = {"name": "i", "image": "i"}
    made = await world.create(pod(init=[sidecar], a={}, b={"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}))
    a, b = made["spec"]["containers"]
    assert a["resources"] == {"limits": {"cpu": "500m", "memory": "1Gi"}, "requests": {"cpu": "100m", "memory": "1Gi"}}
    assert b["resources"]["requests"] == {"cpu": "1", "memory": "1Gi"}
    assert b["resources"]["limits"] == {"cpu": "2", "memory": "1Gi"}
    assert made["spec"]["initContainers"][0]["resources"]["requests"]["cpu"] == "100m"
    assert made["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == (
        "LimitRanger plugin set: cpu, memory request for container a; cpu, memory limit for container a; "
        "memory request for container b; memory limit for container b; "
        "cpu, memory request for init container i; cpu, memory limit for init container i"
    )


@pytest.mark.parametrize(
    ("limit", "resources", "why"),
    [
        ({"min": {"cpu": "100m"}}, {"requests": {"cpu": "50m"}}, "minimum cpu usage per Container is 100m, but request is 50m"),
        ({"min": {"memory": "1Gi"}}, {"requests": {"cpu": "1"}}, "minimum memory usage per Pod is 1Gi.  No request is specified"),
        (
            {"max": {"cpu": "1"}},
            {"requests": {"cpu": "1"}, "limits": {"cpu": "1500m"}},
            "maximum cpu usage per Container is 1, but limit is 1500m",
        ),
        (
            {"maxLimitRequestRatio": {"cpu": "2"}},
            {"requests": {"cpu": "100m"}, "limits": {"cpu": "300m"}},
            "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000",
        ),
        (
            {"maxLimitRequestRatio": {"cpu": "2"}},
            {"requests": {"cpu": "1"}},
            "cpu max limit to request ratio per Container is 2, but no limit is specified or limit is 0",
        ),
    ],
)
async def test_containers_outside_the_bounds_are_refused(world: World, limit: Document, resources: Document, why: str) -> None:
    await world.create(limit_range({"type": "Pod" if "per Pod" in why else "Container", **limit}))
    assert await refusal(world, pod(a=resources)) == f'pods "p" is forbidden: {why}'


async def test_several_problems_are_listed_together(world: World) -> None:
    await world.create(limit_range({"type": "Pod", "max": {"cpu": "1", "memory": "1Gi"}}))
    text = await refusal(world, pod(a={"limits": {"cpu": "700m", "memory": "1Gi"}}, b={"limits": {"cpu": "700m", "memory": "1Mi"}}))
    assert text == (
        'pods "p" is forbidden: [maximum cpu usage per Pod is 1, but limit is 1400m, maximum memory usage per Pod is 1Gi, '
        "but limit is 1025Mi]"
    )


async def test_a_pod_needs_what_its_start_needs(world: World) -> None:
    await world.create(limit_range({"type": "Pod", "max": {"cpu": "1"}}))
    starter = {"name": "i", "image": "i", "resources": {"limits": {"cpu": "2"}}}
    assert "but limit is 2" in await refusal(world, pod(init=[starter], a={"limits": {"cpu": "500m"}}))
    smaller = {"name": "i", "image": "i", "resources": {"limits": {"cpu": "1"}}}
    await world.create(pod("q", init=[smaller], a={"limits": {"cpu": "500m"}}))


async def test_claims_have_bounds_too(world: World) -> None:
    await world.create(limit_range({"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "10Gi"}}))
    why = 'persistentvolumeclaims "c" is forbidden: '
    assert await refusal(world, claim("500Mi")) == why + "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 500Mi"
    assert await refusal(world, claim("11Gi")) == why + "maximum storage usage per PersistentVolumeClaim is 10Gi, but request is 11Gi"
    bound = await world.create(claim("10Gi"))
    info = world.info("PersistentVolumeClaim")
    await world.api().update(info, "default", "c", bound | {"status": {"phase": "Bound"}}, RequestContext(ADMIN), "status")
    with pytest.raises(Forbidden, match="maximum storage usage per PersistentVolumeClaim is 10Gi, but request is 12Gi"):
        await world.merge("PersistentVolumeClaim", "c", {"spec": {"resources": {"requests": {"storage": "12Gi"}}}}, "default")


async def test_limits_of_one_control_plane_bind_no_other(world: World) -> None:
    await world.control_plane("a")
    await world.control_plane("b")
    await world.create(limit_range({"type": "Container", "max": {"cpu": "1"}}), "a")
    await world.create(limit_range({"type": "Container", "max": {"cpu": "3"}}), "b")
    for _ in range(2):
        with pytest.raises(Forbidden, match="maximum cpu usage per Container is 1, but limit is 2"):
            await world.create(pod(a={"limits": {"cpu": "2"}}), "a")
        assert (await world.create(pod(a={"limits": {"cpu": "2"}}) | {}, "b"))["kind"] == "Pod"
        await world.delete("Pod", "p", "default", "b")
        await world.create(pod(a={"limits": {"cpu": "5"}}))
        await world.delete("Pod", "p", "default")
