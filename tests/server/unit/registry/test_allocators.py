# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Service addresses and node ports: given once, given back, and never twice, also not to writers that race."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterable, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from kplane_server.model.errors import InternalError, Invalid
from kplane_server.model.keys import ResourceId
from kplane_server.registry import allocators
from kplane_server.registry.catalog import BUILTIN
from kplane_server.registry.strategies.base import Companion, NoLookup, StrategyContext
from kplane_server.registry.strategies.index import strategy_for

Document = dict[str, Any]
SERVICES = BUILTIN.find("", "v1", "services")
assert SERVICES is not None
STRATEGY = strategy_for(SERVICES)


class World(NoLookup):
    """What is there: companions of earlier writes, and ServiceCIDRs."""

    def __init__(self, *cidrs: str) -> None:
        self.taken: dict[tuple[ResourceId, str], Document] = {}
        self.cidrs = cidrs

    def get(self, resource: ResourceId, namespace: str, name: str) -> Document | None:
        return self.taken.get((resource, name))

    def exists(self, resource: ResourceId, namespace: str, name: str) -> bool:
        return (resource, name) in self.taken

    def list(self, resource: ResourceId, namespace: str | None = None, **_: Any) -> Iterable[Document]:
        if resource == allocators.NETWORKS and self.cidrs:
            yield {"metadata": {"name": "kubernetes"}, "spec": {"cidrs": list(self.cidrs)}}

    def commit(self, companions: Sequence[Companion]) -> None:
        for companion in companions:
            if companion.document is None:
                del self.taken[companion.resource, companion.name]
            else:
                assert (companion.resource, companion.name) not in self.taken
                self.taken[companion.resource, companion.name] = companion.document

    def names(self, resource: ResourceId) -> set[str]:
        return {name for kind, name in self.taken if kind == resource}


def service(**spec: Any) -> Document:
    return {"metadata": {"name": "s", "namespace": "n"}, "spec": {"ports": [{"port": 80}], **spec}}


def context(world: World) -> StrategyContext:
    assert SERVICES is not None
    return StrategyContext(SERVICES, namespace="n", lookup=world)


def create(world: World, obj: Document) -> Document:
    STRATEGY.default(obj)
    STRATEGY.prepare_for_create(obj, context(world))
    assert STRATEGY.validate_create(obj, context(world)) == []
    world.commit(STRATEGY.companions(obj, None, context(world)))
    return obj


def update(world: World, old: Document, new: Document) -> Document:
    STRATEGY.default(new)
    STRATEGY.prepare_for_update(new, old, context(world))
    assert STRATEGY.validate_update(new, old, context(world)) == []
    world.commit(STRATEGY.companions(new, old, context(world)))
    return new


def test_a_service_gets_an_address_of_the_network_and_gives_it_back() -> None:
    world = World("10.7.0.0/16")
    made = create(world, service())
    address = made["spec"]["clusterIP"]
    assert ip_address(address) in ip_network("10.7.0.0/16")
    assert made["spec"]["clusterIPs"] == [address]
    assert (made["spec"]["ipFamilies"], made["spec"]["ipFamilyPolicy"]) == (["IPv4"], "SingleStack")
    document = world.taken[allocators.ADDRESSES, address]
    assert document["spec"]["parentRef"] == {"group": "", "resource": "services", "namespace": "n", "name": "s"}
    world.commit(STRATEGY.companions(None, made, context(world)))
    assert not world.taken


def test_an_address_can_be_asked_for_once() -> None:
    world = World()
    assert create(world, service(clusterIP="10.96.0.10"))["spec"]["clusterIPs"] == ["10.96.0.10"]
    with pytest.raises(Invalid, match="provided IP is already allocated"):
        create(world, service(clusterIP="10.96.0.10"))


@pytest.mark.parametrize("address", ["192.0.2.1", "10.96.0.0", "10.96.0.1", "10.111.255.255"])
def test_addresses_that_nobody_gets(address: str) -> None:
    with pytest.raises(Invalid, match="failed to allocate IP"):
        create(World(), service(clusterIP=address))


def test_a_headless_service_has_none() -> None:
    world = World()
    assert create(world, service(clusterIP="None"))["spec"]["clusterIPs"] == ["None"]
    assert not world.taken


def test_both_families() -> None:
    world = World("10.7.0.0/16", "fd00::/108")
    spec = create(world, service(ipFamilyPolicy="PreferDualStack"))["spec"]
    assert spec["ipFamilies"] == ["IPv4", "IPv6"]
    assert [ip_address(text).version for text in spec["clusterIPs"]] == [4, 6]
    with pytest.raises(Invalid, match="not configured for dual-stack"):
        create(World(), service(ipFamilyPolicy="RequireDualStack"))


def test_a_full_network_says_so() -> None:
    world = World("10.7.0.0/29")  # 10.7.0.2 to 10.7.0.6
    given = {create(world, service())["spec"]["clusterIP"] for _ in range(5)}
    assert given == {f"10.7.0.{n}" for n in range(2, 7)}
    with pytest.raises(InternalError, match="range is full"):
        create(world, service())


def test_node_ports_come_and_go_with_the_type() -> None:
    world = World()
    old = create(world, service(type="NodePort"))
    port = old["spec"]["ports"][0]["nodePort"]
    assert port in allocators.NODE_PORT_RANGE
    assert world.names(allocators.NODE_PORTS) == {str(port)}
    same = update(world, old, service(type="NodePort"))
    assert same["spec"]["ports"][0]["nodePort"] == port
    assert same["spec"]["clusterIP"] == old["spec"]["clusterIP"]
    plain = update(world, same, service())
    assert "nodePort" not in plain["spec"]["ports"][0]
    assert "externalTrafficPolicy" not in plain["spec"]
    assert world.names(allocators.NODE_PORTS) == set()
    assert world.names(allocators.ADDRESSES) == {plain["spec"]["clusterIP"]}


def test_a_node_port_can_be_asked_for_once() -> None:
    world = World()
    ports = [
        {"name": "a", "port": 53, "protocol": "TCP", "nodePort": 30053},
        {"name": "b", "port": 53, "protocol": "UDP", "nodePort": 30053},
    ]
    create(world, service(type="NodePort", ports=copy.deepcopy(ports)))
    with pytest.raises(Invalid, match="provided port is already allocated"):
        create(world, service(type="NodePort", ports=copy.deepcopy(ports)))
    with pytest.raises(Invalid, match="not in the valid range"):
        create(world, service(type="NodePort", ports=[{"port": 1, "nodePort": 80}]))


def test_protocols_of_one_port_share_their_node_port() -> None:
    ports = [{"name": "a", "port": 53, "protocol": "TCP"}, {"name": "b", "port": 53, "protocol": "UDP"}]
    spec = create(World(), service(type="LoadBalancer", ports=ports))["spec"]
    assert spec["ports"][0]["nodePort"] == spec["ports"][1]["nodePort"]


def test_a_local_balancer_has_a_health_port() -> None:
    world = World()
    old = create(world, service(type="LoadBalancer", externalTrafficPolicy="Local"))
    health = old["spec"]["healthCheckNodePort"]
    assert str(health) in world.names(allocators.NODE_PORTS)
    world.commit(STRATEGY.companions(None, old, context(world)))
    assert not world.taken


def test_leaving_for_an_external_name_gives_everything_back() -> None:
    world = World()
    old = create(world, service(type="NodePort"))
    new = update(world, old, service(type="ExternalName", externalName="example.com"))
    assert "clusterIP" not in new["spec"]
    assert not world.taken


async def test_writers_that_race_never_share(bench: Any) -> None:
    """Through the verbs and the store: thirty Services in a network with twenty-nine addresses, at once."""
    await bench.create("servicecidrs.networking.k8s.io", {"metadata": {"name": "kubernetes"}, "spec": {"cidrs": ["10.7.0.0/27"]}}, "")
    await bench.create("namespaces", {"metadata": {"name": "n"}}, "")
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"generateName": "s"}, "spec": {"ports": [{"port": 80}]}}
    results = await asyncio.gather(*(bench.create("services", body, "n") for _ in range(30)), return_exceptions=True)
    made = [result["spec"]["clusterIP"] for result in results if isinstance(result, dict)]
    refused = [result for result in results if isinstance(result, BaseException)]
    assert len(made) == len(set(made)) == 29
    assert [type(error) for error in refused] == [InternalError]
