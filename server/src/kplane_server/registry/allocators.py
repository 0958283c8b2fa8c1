# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses and node ports of Services, taken by creating an object that must be absent, in the Service's own commit.

An address is an ``IPAddress`` (KEP-1880). A port is a marker of an internal resource, served nowhere. Two writers that choose the same
one meet in the store: the second commit fails as a whole, and its write runs again, and finds the first one's object.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, Final

from kplane_server.model.errors import Cause, InternalError, Json, field_invalid, invalid
from kplane_server.model.keys import ResourceId
from kplane_server.registry.strategies.base import Companion, Document, Lookup, StrategyContext

Network = IPv4Network | IPv6Network

ADDRESSES: Final = ResourceId("ipaddresses.networking.k8s.io")
NETWORKS: Final = ResourceId("servicecidrs.networking.k8s.io")
#: Markers of taken node ports; the name is the number.
NODE_PORTS: Final = ResourceId("nodeports.internal.kplane.dev")

#: Where a control plane has no ServiceCIDR (kubeadm's default).
DEFAULT_NETWORK: Final = "10.96.0.0/12"
NODE_PORT_RANGE: Final = range(30_000, 32_768)
#: Ports below are left to those who ask for one by number (KEP-3668).
_DYNAMIC_NODE_PORTS: Final = range(30_086, 32_768)

#: Random tries before a full search.
_TRIES: Final = 32
_SEARCHED: Final = 1_000_000
HEADLESS: Final = "None"


class Full(Exception):
    """Nothing is left to give."""


# -- ranges --------------------------------------------------------------------------------------------------------------------------
def networks(lookup: Lookup) -> list[Network]:
    """The Service networks of a control plane in their order: the one named ``kubernetes`` first; its first family is the default."""
    named = {obj["metadata"].get("name", ""): obj for obj in lookup.list(NETWORKS) if not obj["metadata"].get("deletionTimestamp")}
    ordered = [named[name] for name in sorted(named, key=lambda name: (name != "kubernetes", name))]
    texts = [text for obj in ordered for text in _spec(obj).get("cidrs") or ()]
    return [ip_network(text, strict=False) for text in texts or [DEFAULT_NETWORK]]


def family(network_or_address: Any) -> str:
    return f"IPv{network_or_address.version}"


def _reserved(network: Network, number: int) -> bool:
    """The network's own address, its broadcast address, and the first one, which is the Service ``default/kubernetes``."""
    offset = number - int(network.network_address)
    return offset <= 1 or (isinstance(network, IPv4Network) and number == int(network.broadcast_address))


def _free_address(network: Network, lookup: Lookup, mine: set[str]) -> str:
    """An address that nobody has now, from the upper part of the network if there is one there (KEP-3070)."""
    size = network.num_addresses
    base = int(network.network_address)
    band = min(max(16, size // 16), 256)
    make = type(network.network_address)

    def free(number: int) -> bool:
        text = str(make(number))
        return not _reserved(network, number) and text not in mine and not lookup.exists(ADDRESSES, "", text)

    for start in (band if size > band else 0, 0):
        for _ in range(_TRIES):
            number = base + start + secrets.randbelow(min(size, 2**64) - start)
            if free(number):
                return str(make(number))
    for number in range(base, base + min(size, _SEARCHED)):
        if free(number):
            return str(make(number))
    raise Full(f"range is full: {network}")


def _free_port(lookup: Lookup, mine: set[int]) -> int:
    def free(port: int) -> bool:
        return port not in mine and not lookup.exists(NODE_PORTS, "", str(port))

    for _ in range(_TRIES):
        port: int = secrets.choice(_DYNAMIC_NODE_PORTS)
        if free(port):
            return port
    for port in (*_DYNAMIC_NODE_PORTS, *NODE_PORT_RANGE):
        if free(port):
            return port
    raise Full("provided range is full")


# -- what a Service holds ------------------------------------------------------------------------------------------------------------
def _spec(obj: Document | None) -> Document:
    spec = (obj or {}).get("spec")
    return spec if isinstance(spec, dict) else {}


def addresses_of(obj: Document | None) -> list[str]:
    """The addresses that a Service holds, in canonical form."""
    spec = _spec(obj)
    if spec.get("type") == "ExternalName":
        return []
    texts = spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else [])
    return [str(ip_address(text)) for text in texts if text and text != HEADLESS]


def node_ports_of(obj: Document | None) -> list[int]:
    """The node ports that a Service holds; one may serve several protocols."""
    spec = _spec(obj)
    ports: list[int] = [port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")]
    if spec.get("healthCheckNodePort"):
        ports.append(spec["healthCheckNodePort"])
    return list(dict.fromkeys(ports))


def needs_node_ports(spec: Document) -> bool:
    kind = spec.get("type")
    return kind == "NodePort" or (kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is not False)


def needs_health_port(spec: Document) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


# -- allocation ----------------------------------------------------------------------------------------------------------------------
def service_companions(new: Document | None, old: Document | None, ctx: StrategyContext) -> list[Companion]:
    """Take what ``new`` needs and does not have yet, fill it in, and give back what only ``old`` had."""
    if ctx.subresource:
        return []
    held_addresses, held_ports = addresses_of(old), node_ports_of(old)
    if new is None:
        return _release(held_addresses, held_ports)
    try:
        _allocate_addresses(new, ctx, set(held_addresses))
        _allocate_ports(new, ctx, set(held_ports))
    except Full as error:
        raise InternalError(f"failed to allocate for service {new['metadata'].get('name')}: {error}") from error
    addresses, ports = addresses_of(new), node_ports_of(new)
    metadata = new["metadata"]
    companions = _release([a for a in held_addresses if a not in addresses], [p for p in held_ports if p not in ports])
    companions += [_address(text, metadata) for text in addresses if text not in held_addresses]
    companions += [_port(port, metadata) for port in ports if port not in held_ports]
    return companions


def _release(addresses: Iterable[str], ports: Iterable[int]) -> list[Companion]:
    return [*(Companion(ADDRESSES, "", text) for text in addresses), *(Companion(NODE_PORTS, "", str(port)) for port in ports)]


def _address(text: str, metadata: Document) -> Companion:
    labels = {
        "ipaddress.kubernetes.io/ip-family": family(ip_address(text)),
        "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
    }
    parent = {"group": "", "resource": "services", "namespace": metadata.get("namespace", ""), "name": metadata.get("name", "")}
    document = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IPAddress",
        "metadata": {"labels": labels},
        "spec": {"parentRef": parent},
    }
    return Companion(ADDRESSES, "", text, document)


def _port(port: int, metadata: Document) -> Companion:
    spec = {"namespace": metadata.get("namespace", ""), "name": metadata.get("name", "")}
    document = {"apiVersion": "internal.kplane.dev/v1", "kind": "NodePort", "metadata": {}, "spec": spec}
    return Companion(NODE_PORTS, "", str(port), document)


def _refuse(obj: Document, *causes: Cause) -> None:
    raise invalid("Service", "", obj["metadata"].get("name", ""), causes)


def _go_list(texts: Iterable[str]) -> str:
    return "[]string{" + ", ".join(f'"{text}"' for text in texts) + "}"


def _wanted_families(obj: Document, spec: Document, available: list[str]) -> list[str]:
    """The address families of a Service. Source: https://kubernetes.io/docs/concepts/services-networking/dual-stack/."""
    policy = spec.get("ipFamilyPolicy")
    asked = list(spec.get("ipFamilies") or ())
    for index, wanted in enumerate(asked):
        if wanted not in available:
            _refuse(obj, field_invalid(f"spec.ipFamilies[{index}]", wanted, "not configured on this cluster"))
    if policy == "RequireDualStack" and len(available) < 2:
        _refuse(obj, field_invalid("spec.ipFamilyPolicy", policy, "this cluster is not configured for dual-stack services"))
    given = [family(ip_address(text)) for text in spec.get("clusterIPs") or () if text != HEADLESS]
    families = asked or given or available[:1]
    if policy in ("PreferDualStack", "RequireDualStack"):
        families += [name for name in available if name not in families]
    elif policy is None:
        spec["ipFamilyPolicy"] = "SingleStack" if len(families) == 1 else "RequireDualStack"
    return families[:2]


def _allocate_addresses(obj: Document, ctx: StrategyContext, held: set[str]) -> None:
    spec = obj["spec"]
    if spec.get("type") == "ExternalName":
        for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            spec.pop(field, None)
        return
    ranges = networks(ctx.lookup)
    families = _wanted_families(obj, spec, list(dict.fromkeys(family(network) for network in ranges)))
    spec["ipFamilies"] = families
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    if spec.get("clusterIP") == HEADLESS:
        spec["clusterIPs"] = [HEADLESS]
        return
    given = [text for text in spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else []) if text]
    for text in given:
        _take(obj, text, ranges, ctx.lookup, held)
    have = {family(ip_address(text)) for text in given}
    for wanted in families:
        if wanted not in have:
            given.append(_pick(wanted, ranges, ctx.lookup, held))
    spec["clusterIPs"], spec["clusterIP"] = given, given[0]


def _take(obj: Document, text: str, ranges: list[Network], lookup: Lookup, held: set[str]) -> None:
    """An address that was asked for must be free and in a network."""
    address = ip_address(text)
    if str(address) in held:
        return
    network = next((n for n in ranges if address in n), None)
    why = ""
    if network is None:
        known = " or ".join(str(n) for n in ranges)
        why = f"the provided IP ({text}) is not in the valid range. The range of valid IPs is {known}"
    elif _reserved(network, int(address)) or lookup.exists(ADDRESSES, "", str(address)):
        why = "provided IP is already allocated"
    if why:
        message = f"Invalid value: {_go_list([text])}: failed to allocate IP {text}: {why}"
        _refuse(obj, Cause("FieldValueInvalid", message, "spec.clusterIPs"))


def _pick(wanted: str, ranges: list[Network], lookup: Lookup, held: set[str]) -> str:
    problem: Full | None = None
    for network in ranges:
        if family(network) == wanted:
            try:
                return _free_address(network, lookup, held)
            except Full as error:
                problem = error
    raise problem or Full(f"no network of family {wanted}")


def _allocate_ports(obj: Document, ctx: StrategyContext, held: set[int]) -> None:
    spec = obj["spec"]
    mine: dict[int, set[Json]] = {}
    ports = spec.get("ports") or ()
    for index, port in enumerate(ports):
        if number := port.get("nodePort"):
            _take_port(obj, number, f"spec.ports[{index}].nodePort", ctx.lookup, held | set(mine))
            mine.setdefault(number, set()).add(port.get("protocol"))
    if needs_node_ports(spec):
        for port in ports:
            if not port.get("nodePort"):
                number = _shared_port(port, ports) or _free_port(ctx.lookup, set(mine) | held)
                port["nodePort"] = number
                mine.setdefault(number, set()).add(port.get("protocol"))
    if needs_health_port(spec):
        if number := spec.get("healthCheckNodePort"):
            _take_port(obj, number, "spec.healthCheckNodePort", ctx.lookup, held)
        else:
            spec["healthCheckNodePort"] = _free_port(ctx.lookup, set(mine) | held)


def _shared_port(port: Document, ports: Iterable[Document]) -> int | None:
    """The same port number of another protocol shares its node port."""
    for other in ports:
        if other is not port and other.get("port") == port.get("port") and other.get("protocol") != port.get("protocol"):
            number = other.get("nodePort")
            if isinstance(number, int) and number:
                return number
    return None


def _take_port(obj: Document, number: int, field: str, lookup: Lookup, held: set[int]) -> None:
    if number in held:
        return
    if number not in NODE_PORT_RANGE:
        last = NODE_PORT_RANGE.stop - 1
        why = f"provided port is not in the valid range. The range of valid ports is {NODE_PORT_RANGE.start}-{last}"
        _refuse(obj, field_invalid(field, number, why))
    if lookup.exists(NODE_PORTS, "", str(number)):
        _refuse(obj, field_invalid(field, number, "provided port is already allocated"))
