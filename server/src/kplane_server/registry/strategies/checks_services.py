# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of Services and what stands around them: Endpoints, EndpointSlices, Ingresses, NetworkPolicies, addresses."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Final

from kplane_server.model import metadata
from kplane_server.model.errors import Cause, Json, field_duplicate, field_forbidden, field_invalid, field_not_supported, field_required
from kplane_server.registry.strategies.base import Document, StrategyContext
from kplane_server.registry.strategies.checks import Object, ip_text, join, objects, section, too_many
from kplane_server.registry.strategies.checks_pods import port_or_name

_LOCAL_MULTICAST: Final = {4: ip_network("224.0.0.0/24"), 6: ip_network("ff02::/16")}
_HEADLESS: Final = "None"
_EXTERNAL: Final = ("NodePort", "LoadBalancer")
_MAX_ENDPOINTS: Final = 1000
_MAX_ADDRESSES: Final = 100
_MAX_SLICE_PORTS: Final = 20_000


# -- services ------------------------------------------------------------------------------------------------------------------------
def service_spec(obj: Object, path: str) -> Iterator[Cause]:
    kind, headless = obj.get("type"), obj.get("clusterIP") == _HEADLESS
    ports = objects(obj, "ports")
    if not ports and not headless and kind != "ExternalName":
        yield field_required(join(path, "ports"))
    yield from _ports(obj, ports, path)
    if headless and kind in _EXTERNAL:
        yield field_invalid(join(path, "clusterIPs") + "[0]", _HEADLESS, f"may not be set to 'None' for {kind} services")
    if kind == "ExternalName":
        yield from _external_name(obj, path)
    else:
        yield from _addresses(obj, path)
    yield from metadata.label_causes(obj.get("selector"), join(path, "selector"))
    external = kind in _EXTERNAL or (kind == "ClusterIP" and bool(obj.get("externalIPs")))
    if obj.get("externalTrafficPolicy") and not external:
        why = "may only be set for externally-accessible services"
        yield field_invalid(join(path, "externalTrafficPolicy"), obj["externalTrafficPolicy"], why)
    checked = kind == "LoadBalancer" and obj.get("externalTrafficPolicy") == "Local"
    if obj.get("healthCheckNodePort") and not checked:
        why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        yield field_invalid(join(path, "healthCheckNodePort"), obj["healthCheckNodePort"], why)
    for field in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
        if obj.get(field) is not None and kind != "LoadBalancer":
            yield field_forbidden(join(path, field), "may only be used when `type` is 'LoadBalancer'")
    if obj.get("loadBalancerSourceRanges") and kind != "LoadBalancer":
        yield field_forbidden(join(path, "LoadBalancerSourceRanges"), "may only be used when `type` is 'LoadBalancer'")
    for index, text in enumerate(obj.get("externalIPs") or ()):
        yield from _special(text, f"{join(path, 'externalIPs')}[{index}]")


def _special(text: str, path: str) -> Iterator[Cause]:
    """Addresses that mean another machine to everybody, or none. Those that are no addresses are refused elsewhere."""
    try:
        address = ip_address(text)
    except ValueError:
        return
    if address.is_unspecified:
        yield field_invalid(path, text, f"may not be unspecified ({text})")
    if address.is_loopback:
        yield field_invalid(path, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)")
    if address.is_link_local:
        yield field_invalid(path, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    if address in _LOCAL_MULTICAST[address.version]:
        yield field_invalid(path, text, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")


def _ports(obj: Object, ports: list[Object], path: str) -> Iterator[Cause]:
    seen: set[tuple[Json, Json]] = set()
    nodes: set[tuple[Json, Json]] = set()
    for index, port in enumerate(ports):
        at = f"{join(path, 'ports')}[{index}]"
        if len(ports) > 1 and not port.get("name"):
            yield field_required(join(at, "name"))
        if port.get("targetPort") is not None:
            yield from port_or_name(port["targetPort"], join(at, "targetPort"))
        if port.get("port") is None:
            yield field_invalid(join(at, "port"), 0, "must be between 1 and 65535, inclusive")
        key = (port.get("protocol"), port.get("port"))
        if key in seen:
            yield field_duplicate(at, {"port": key[1], "protocol": key[0]})
        seen.add(key)
        number = port.get("nodePort")
        if not number:
            continue
        if obj.get("type") == "ClusterIP":
            yield field_forbidden(join(at, "nodePort"), "may not be used when `type` is 'ClusterIP'")
        elif obj.get("type") == "ExternalName":
            yield field_forbidden(join(at, "nodePort"), "may not be used when `type` is 'ExternalName'")
        if (number, key[0]) in nodes:
            yield field_duplicate(join(at, "nodePort"), number)
        nodes.add((number, key[0]))


def _external_name(obj: Object, path: str) -> Iterator[Cause]:
    for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        if obj.get(field):
            yield field_forbidden(join(path, field), "may not be set for ExternalName services")
    name = str(obj.get("externalName") or "").removesuffix(".")
    if not name:
        yield field_required(join(path, "externalName"))
    yield from (field_invalid(join(path, "externalName"), name, p) for p in metadata.dns1123_subdomain_problems(name) if name)


def _addresses(obj: Object, path: str) -> Iterator[Cause]:
    many, one = obj.get("clusterIPs") or [], obj.get("clusterIP") or ""
    if many and not one:
        yield field_invalid(join(path, "clusterIPs"), many, "must be empty when `clusterIP` is not specified")
    elif many and many[0] != one:
        yield field_invalid(join(path, "clusterIPs"), many, "first value must match `clusterIP`")
    if len(many) > 2:
        yield field_invalid(join(path, "clusterIPs"), many, "may only hold up to 2 values")
    if _HEADLESS in many and len(many) > 1:
        yield field_invalid(join(path, "clusterIPs"), many, "'None' must be the first and only value")
    for index, text in enumerate(many):
        if text != _HEADLESS:
            yield from (field_invalid(f"{join(path, 'clusterIPs')}[{index}]", text, problem) for problem in ip_text(text))
    families = obj.get("ipFamilies") or []
    if len(families) > 2:
        yield field_invalid(join(path, "ipFamilies"), families, "may only hold up to 2 values")
    if len(set(families)) < len(families):
        yield field_duplicate(join(path, "ipFamilies") + "[1]", families[1])
    if obj.get("ipFamilyPolicy") == "SingleStack" and len(families) > 1:
        why = "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified"
        yield field_invalid(join(path, "ipFamilyPolicy"), "SingleStack", why)


def service_update(new: Document, old: Document, ctx: StrategyContext) -> list[Cause]:
    """Addresses stay for as long as the Service has any."""
    spec, before = section(new, "spec"), section(old, "spec")
    if spec.get("type") == "ExternalName" or before.get("type") == "ExternalName":
        return []
    causes = []
    known = before.get("clusterIPs") or []
    wanted = spec.get("clusterIPs") or []
    if known and wanted and known[0] != wanted[0]:
        causes.append(field_invalid("spec.clusterIPs[0]", wanted, "may not change once set"))
    elif len(known) > 1 and len(wanted) > 1 and known[1] != wanted[1]:
        causes.append(field_invalid("spec.clusterIPs[1]", wanted, "may not change once set"))
    families, previous = spec.get("ipFamilies") or [], before.get("ipFamilies") or []
    if families and previous and families[0] != previous[0]:
        causes.append(field_invalid("spec.ipFamilies[0]", families, "may not change once set"))
    balanced = before.get("type") == "LoadBalancer" == spec.get("type")
    if balanced and before.get("loadBalancerClass") and spec.get("loadBalancerClass") != before["loadBalancerClass"]:
        causes.append(field_invalid("spec.loadBalancerClass", spec.get("loadBalancerClass"), "may not change once set"))
    return causes


# -- endpoints -----------------------------------------------------------------------------------------------------------------------
def endpoint_subset(obj: Object, path: str) -> Iterator[Cause]:
    if not objects(obj, "addresses") and not objects(obj, "notReadyAddresses"):
        yield field_required(path, "must specify `addresses` or `notReadyAddresses`")
    for field in ("addresses", "notReadyAddresses"):
        for index, address in enumerate(objects(obj, field)):
            yield from _special(address.get("ip") or "", f"{join(path, field)}[{index}].ip")
    if len(objects(obj, "ports")) > 1:
        for index, port in enumerate(objects(obj, "ports")):
            if not port.get("name"):
                yield field_required(f"{join(path, 'ports')}[{index}].name")


def endpoint_slice(obj: Object, path: str) -> Iterator[Cause]:
    endpoints, ports = objects(obj, "endpoints"), objects(obj, "ports")
    if len(endpoints) > _MAX_ENDPOINTS:
        yield too_many(join(path, "endpoints"), len(endpoints), _MAX_ENDPOINTS)
        return
    if len(ports) > _MAX_SLICE_PORTS:
        yield too_many(join(path, "ports"), len(ports), _MAX_SLICE_PORTS)
    for index, endpoint in enumerate(endpoints):
        at = f"{join(path, 'endpoints')}[{index}].addresses"
        addresses = endpoint.get("addresses") or []
        if not addresses:
            yield field_required(at, "must contain at least 1 address")
        elif len(addresses) > _MAX_ADDRESSES:
            yield too_many(at, len(addresses), _MAX_ADDRESSES)
        for number, text in enumerate(addresses):
            yield from _slice_address(text, obj.get("addressType"), f"{at}[{number}]")


def _slice_address(text: str, kind: Json, path: str) -> Iterator[Cause]:
    if kind == "FQDN":
        yield from (field_invalid(path, text, problem) for problem in metadata.dns1123_subdomain_problems(text))
        return
    problems = ip_text(text)
    yield from (field_invalid(path, text, problem) for problem in problems)
    if not problems and kind in ("IPv4", "IPv6") and f"IPv{ip_address(text).version}" != kind:
        yield field_invalid(path, text, f"must be an {kind} address")


# -- ingresses -----------------------------------------------------------------------------------------------------------------------
def ingress_spec(obj: Object, path: str) -> Iterator[Cause]:
    if not objects(obj, "rules") and not section(obj, "defaultBackend"):
        why = "either `defaultBackend` or `rules` must be specified"
        yield field_invalid(path, obj.get("rules") or [], why)
    for index, rule in enumerate(objects(obj, "rules")):
        host = rule.get("host")
        if not host:
            continue
        at = f"{join(path, 'rules')}[{index}].host"
        if ip_text(host) == []:
            yield field_invalid(at, host, "must be a DNS name, not an IP address")
        else:
            name = host.removeprefix("*.")
            yield from (field_invalid(at, host, problem) for problem in metadata.dns1123_subdomain_problems(name))


def ingress_backend(obj: Object, path: str) -> Iterator[Cause]:
    service, resource = obj.get("service"), obj.get("resource")
    if service is not None and resource is not None:
        yield field_invalid(path, "", "cannot set both resource and service backends")
    elif service is None and resource is None:
        yield field_required(path, "resource or service backend is required")
    if isinstance(service, dict):
        port = section(service, "port")
        if port.get("name") and port.get("number"):
            yield field_invalid(join(path, "service", "port"), "", "cannot set both port name & port number")
        elif not port.get("name") and not port.get("number"):
            yield field_required(join(path, "service", "port"), "port name or number is required")


def ingress_path(obj: Object, path: str) -> Iterator[Cause]:
    kind, text = obj.get("pathType"), obj.get("path") or ""
    if kind is None:
        yield field_required(join(path, "pathType"), "pathType must be specified")
    elif kind in ("Exact", "Prefix"):
        if not text.startswith("/"):
            yield field_invalid(join(path, "path"), text, "must be an absolute path")
        for part in ("//", "/./", "/../", "%2f", "%2F"):
            if part in text:
                yield field_invalid(join(path, "path"), text, f"must not contain '{part}'")
        for end in ("/..", "/."):
            if text.endswith(end):
                yield field_invalid(join(path, "path"), text, f"cannot end with '{end}'")
    elif kind == "ImplementationSpecific" and text and not text.startswith("/"):
        yield field_invalid(join(path, "path"), text, "must be an absolute path")


def http_rule(obj: Object, path: str) -> Iterator[Cause]:
    if not objects(obj, "paths"):
        yield field_required(join(path, "paths"))


def ingress_class_update(new: Document, old: Document, ctx: StrategyContext) -> list[Cause]:
    controller = section(new, "spec").get("controller")
    if controller == section(old, "spec").get("controller"):
        return []
    return [field_invalid("spec.controller", controller, "field is immutable")]


# -- network policies ----------------------------------------------------------------------------------------------------------------
def network_policy_port(obj: Object, path: str) -> Iterator[Cause]:
    port, end = obj.get("port"), obj.get("endPort")
    if port is not None:
        yield from port_or_name(port, join(path, "port"))
    if end is None:
        return
    if isinstance(port, str):
        yield field_invalid(join(path, "endPort"), end, "may not be specified when `port` is non-numeric")
    elif port is None:
        yield field_invalid(join(path, "endPort"), end, "may not be specified when `port` is not specified")
    elif end < port:
        yield field_invalid(join(path, "endPort"), end, "must be greater than or equal to `port`")
    elif end > 65535:
        yield field_invalid(join(path, "endPort"), end, "must be between 1 and 65535, inclusive")


def network_policy_peer(obj: Object, path: str) -> Iterator[Cause]:
    selectors = obj.get("podSelector") is not None or obj.get("namespaceSelector") is not None
    if obj.get("ipBlock") is None and not selectors:
        yield field_required(path, "must specify a peer")
    elif obj.get("ipBlock") is not None and selectors:
        yield field_forbidden(path, "may not specify both ipBlock and another peer")


def ip_block(obj: Object, path: str) -> Iterator[Cause]:
    try:
        network = ip_network(obj.get("cidr") or "", strict=False)
    except ValueError:
        return  # the row of ``cidr`` says so
    for index, text in enumerate(obj.get("except") or ()):
        try:
            inner = ip_network(text, strict=False)
        except ValueError:
            continue
        inside = inner.version == network.version and inner.prefixlen > network.prefixlen and inner.network_address in network
        if not inside:
            yield field_invalid(f"{join(path, 'except')}[{index}]", text, f"must be a strict subset of `cidr` ({obj['cidr']})")


def network_policy_spec(obj: Object, path: str) -> Iterator[Cause]:
    if len(obj.get("policyTypes") or ()) > 2:
        yield field_invalid(join(path, "policyTypes"), obj["policyTypes"], "may not specify more than two policyTypes")


# -- addresses -----------------------------------------------------------------------------------------------------------------------
def ip_address_name(name: str, prefix: bool = False) -> list[str]:
    """An IPAddress is named as its address, in the one form that it has."""
    del prefix  # an address cannot be generated from one
    try:
        canonical = str(ip_address(name))
    except ValueError:
        return ["must be a valid IP address"]
    return [] if canonical == name else [f"must be in canonical form ({canonical})"]


def service_cidr_spec(obj: Object, path: str) -> Iterator[Cause]:
    cidrs = obj.get("cidrs") or []
    if len(cidrs) > 2:
        yield field_invalid(join(path, "cidrs"), cidrs, "may only hold up to 2 values")
    versions = set()
    for text in cidrs:
        try:
            versions.add(ip_network(text, strict=False).version)
        except ValueError:
            return  # the row of ``cidrs`` says so
    if len(cidrs) == 2 and len(versions) == 1:
        why = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        yield field_invalid(join(path, "cidrs"), cidrs, why)


def service_cidr_update(new: Document, old: Document, ctx: StrategyContext) -> list[Cause]:
    cidrs, before = section(new, "spec").get("cidrs") or [], section(old, "spec").get("cidrs") or []
    if cidrs[: len(before)] == before:
        return []  # a second family may be added
    return [field_invalid("spec.cidrs", cidrs, "field is immutable")]


def parent_reference(obj: Object, path: str) -> Iterator[Cause]:
    """What an address belongs to; only Services have some."""
    if obj.get("resource") and (obj.get("group") or "", obj["resource"]) != ("", "services"):
        yield field_not_supported(join(path, "resource"), obj["resource"], ["services"])
