# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the server keeps, and drops, when a Service is made or changed; what it allocates is in ``registry.allocators``."""

from __future__ import annotations

from typing import Final

from kplane_server.registry.strategies.base import Document, StrategyContext

_ADDRESS_FIELDS: Final = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")


def _spec(obj: Document) -> Document:
    spec = obj.get("spec")
    if not isinstance(spec, dict):
        spec = obj["spec"] = {}
    return spec


def _ports(spec: Document) -> list[Document]:
    ports = spec.get("ports")
    return [port for port in ports if isinstance(port, dict)] if isinstance(ports, list) else []


def _align_addresses(spec: Document) -> None:
    """``clusterIP`` is the first of ``clusterIPs``; whoever knows only the old field sets both."""
    if spec.get("clusterIP") and not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]


def service_create(obj: Document, ctx: StrategyContext) -> None:
    _align_addresses(_spec(obj))


def service_update(new: Document, old: Document, ctx: StrategyContext) -> None:
    """A replacement that leaves allocated values out keeps them; what only the old type needed goes, unless the client changed it."""
    if ctx.subresource:
        return
    spec, before = _spec(new), old.get("spec") or {}
    if spec.get("clusterIP") != before.get("clusterIP") and spec.get("clusterIPs") == before.get("clusterIPs"):
        spec.pop("clusterIPs", None)  # whoever changes the old field alone means both
    if spec.get("type") != "ExternalName" and before.get("type") != "ExternalName":
        _keep_addresses(spec, before)
    _drop_what_the_type_left_behind(spec, before)
    if _has_node_ports(spec) and _has_node_ports(before):
        _keep_node_ports(spec, before)
    _align_addresses(spec)


def _has_node_ports(spec: Document) -> bool:
    return spec.get("type") in ("NodePort", "LoadBalancer")


def _keep_addresses(spec: Document, before: Document) -> None:
    if not spec.get("clusterIP") and not spec.get("clusterIPs"):
        for field in ("clusterIP", "clusterIPs"):
            if field in before:
                spec[field] = before[field]
    elif spec.get("clusterIP") == before.get("clusterIP") and not spec.get("clusterIPs"):
        spec["clusterIPs"] = list(before.get("clusterIPs") or ())
    for field in ("ipFamilies", "ipFamilyPolicy"):
        if not spec.get(field) and before.get(field):
            spec[field] = before[field]


def _keep_node_ports(spec: Document, before: Document) -> None:
    known = {(port.get("protocol"), port.get("port")): port["nodePort"] for port in _ports(before) if port.get("nodePort")}
    used = {port.get("nodePort") for port in _ports(spec)}
    for port in _ports(spec):
        kept = known.get((port.get("protocol"), port.get("port")))
        if kept and not port.get("nodePort") and kept not in used:
            port["nodePort"] = kept
    if spec.get("externalTrafficPolicy") == "Local" and not spec.get("healthCheckNodePort") and before.get("healthCheckNodePort"):
        spec["healthCheckNodePort"] = before["healthCheckNodePort"]


def _drop_what_the_type_left_behind(spec: Document, before: Document) -> None:
    if spec.get("type") == "ExternalName" and before.get("type") != "ExternalName":
        for field in (*_ADDRESS_FIELDS, "internalTrafficPolicy"):
            if spec.get(field) == before.get(field):
                spec.pop(field, None)
    if _has_node_ports(before) and not _has_node_ports(spec):
        numbers = {(port.get("name"), port.get("nodePort")) for port in _ports(before)}
        for port in _ports(spec):
            if (port.get("name"), port.get("nodePort")) in numbers:
                port.pop("nodePort", None)
        if not spec.get("externalIPs") and spec.get("externalTrafficPolicy") == before.get("externalTrafficPolicy"):
            spec.pop("externalTrafficPolicy", None)
    if before.get("type") == "LoadBalancer" and spec.get("type") != "LoadBalancer":
        for field in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
            if spec.get(field) == before.get(field):
                spec.pop(field, None)
    checked = spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"
    if not checked and spec.get("healthCheckNodePort") == before.get("healthCheckNodePort"):
        spec.pop("healthCheckNodePort", None)
