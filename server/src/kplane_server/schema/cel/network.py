# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses: ``ip``, ``cidr`` and ``url``.

Source: https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-ip-address-library and the sections after it.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Final
from urllib.parse import quote, unquote_plus, unquote_to_bytes

from kplane_server.schema.cel.registry import function, method, need
from kplane_server.schema.cel.values import EvaluationError, Meter, Opaque, Value

_IP: Final = "net.IP"
_CIDR: Final = "net.CIDR"
_URL: Final = "kubernetes.URL"
_MAX_LENGTH: Final = 64 * 1024
_UNRESERVED: Final = "$&+,/:;=@-_.~!*'()"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def parse_ip(text: str) -> Address:
    """An address without a zone that is not IPv4 in disguise. Raises :class:`EvaluationError`."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise EvaluationError(f'IP Address "{text[:64]}" parse error during conversion from string: {error}') from error
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            raise EvaluationError(f'IPv4-mapped IPv6 address "{text[:64]}" is not allowed')
        if address.scope_id is not None:
            raise EvaluationError(f'IP address "{text[:64]}" with zone value is not allowed')
    return address


def parse_cidr(text: str) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface:
    """An address with a prefix length. Raises :class:`EvaluationError`."""
    address, slash, prefix = text.partition("/")
    if not slash or not re.fullmatch("0|[1-9][0-9]{0,2}", prefix):
        raise EvaluationError(f'network address parse error during conversion from string: "{text[:64]}"')
    parsed = parse_ip(address)
    if int(prefix) > parsed.max_prefixlen:
        raise EvaluationError("network address parse error during conversion from string: prefix length out of range")
    return ipaddress.ip_interface((parsed, int(prefix)))


def _opaque(value: Value, kind: str) -> Any:
    if isinstance(value, Opaque) and value.kind == kind:
        return value.content
    raise EvaluationError("no such overload")


@function("ip")
def to_ip(meter: Meter, value: Value) -> Value:
    meter.text(len(need(value, str)))
    return Opaque(_IP, parse_ip(value))


@function("isIP")
def is_ip(meter: Meter, value: Value) -> Value:
    meter.text(len(need(value, str)))
    try:
        parse_ip(value)
    except EvaluationError:
        return False
    return True


@function("ip.isCanonical")
def ip_is_canonical(meter: Meter, value: Value) -> Value:
    meter.text(len(need(value, str)))
    return str(parse_ip(value)) == value


@method("family")
def family(meter: Meter, value: Value) -> Value:
    return _opaque(value, _IP).version


@method("isUnspecified")
def is_unspecified(meter: Meter, value: Value) -> Value:
    return _opaque(value, _IP).is_unspecified


@method("isLoopback")
def is_loopback(meter: Meter, value: Value) -> Value:
    return _opaque(value, _IP).is_loopback


_LINK_LOCAL_MULTICAST_4: Final = ipaddress.ip_network("224.0.0.0/24")
_BROADCAST: Final = ipaddress.ip_address("255.255.255.255")


@method("isLinkLocalMulticast")
def is_link_local_multicast(meter: Meter, value: Value) -> Value:
    address: Address = _opaque(value, _IP)
    if isinstance(address, ipaddress.IPv4Address):
        return address in _LINK_LOCAL_MULTICAST_4
    return address.packed[0] == 0xFF and address.packed[1] & 0x0F == 2


@method("isLinkLocalUnicast")
def is_link_local_unicast(meter: Meter, value: Value) -> Value:
    return _opaque(value, _IP).is_link_local


@method("isGlobalUnicast")
def is_global_unicast(meter: Meter, value: Value) -> Value:
    address: Address = _opaque(value, _IP)
    special = address.is_unspecified or address.is_loopback or address.is_multicast or address.is_link_local
    return not special and address != _BROADCAST


@function("cidr")
def to_cidr(meter: Meter, value: Value) -> Value:
    meter.text(len(need(value, str)))
    return Opaque(_CIDR, parse_cidr(value))


@function("isCIDR")
def is_cidr(meter: Meter, value: Value) -> Value:
    meter.text(len(need(value, str)))
    try:
        parse_cidr(value)
    except EvaluationError:
        return False
    return True


@method("containsIP", 1)
def contains_ip(meter: Meter, value: Value, address: Value) -> Value:
    network = _opaque(value, _CIDR).network
    wanted = parse_ip(address) if isinstance(address, str) else _opaque(address, _IP)
    return wanted in network


@method("containsCIDR", 1)
def contains_cidr(meter: Meter, value: Value, other: Value) -> Value:
    network = _opaque(value, _CIDR).network
    inner = (parse_cidr(other) if isinstance(other, str) else _opaque(other, _CIDR)).network
    return network.version == inner.version and inner.subnet_of(network)


@method("ip")
def ip_of(meter: Meter, value: Value) -> Value:
    return Opaque(_IP, _opaque(value, _CIDR).ip)


@method("masked")
def masked(meter: Meter, value: Value) -> Value:
    network = _opaque(value, _CIDR).network
    return Opaque(_CIDR, ipaddress.ip_interface((network.network_address, network.prefixlen)))


@method("prefixLength")
def prefix_length(meter: Meter, value: Value) -> Value:
    return _opaque(value, _CIDR).network.prefixlen


# -- URLs

_URL_TEXT = re.compile(r"(?:([a-zA-Z][a-zA-Z0-9+.-]*):)?(?://([^/?]*))?([^?]*)(?:\?(.*))?", re.DOTALL)
_HOST = re.compile(r"(?:(\[[0-9A-Fa-f:.%]+\])|([^:\[\]]*))(?::([0-9]*))?")
_BAD_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")


def parse_url(text: str) -> tuple[str, str, str, str, str, str]:
    """An absolute URI, or an absolute path: (scheme, host and port, host, port, path, query). Raises :class:`EvaluationError`."""
    found = _URL_TEXT.fullmatch(text.partition("#")[0])
    bad = not text or len(text) > _MAX_LENGTH or found is None or any(c < " " or c == "\x7f" for c in text)
    if bad or found is None:
        raise EvaluationError(f'URL parse error during conversion from string: parse "{text[:64]}": invalid URI for request')
    scheme, authority, path, query = found[1] or "", found[2], found[3] or "", found[4] or ""
    if not scheme and not text.startswith("/"):
        raise EvaluationError(f'URL parse error during conversion from string: parse "{text[:64]}": invalid URI for request')
    if scheme and authority is None and not path.startswith("/"):
        return scheme.lower(), "", "", "", "", query  # opaque, such as mailto:a@b.c
    if not scheme and authority is not None:
        authority, path = None, text.partition("#")[0].partition("?")[0]
    host_port = (authority or "").rpartition("@")[2]
    host = _HOST.fullmatch(host_port)
    if host is None or " " in host_port or _BAD_ESCAPE.search(path):
        raise EvaluationError(f'URL parse error during conversion from string: parse "{text[:64]}": invalid host or path')
    name = host[1][1:-1] if host[1] else host[2] or ""
    return scheme.lower(), host_port, name, host[3] or "", path, query


@function("url")
def to_url(meter: Meter, value: Value) -> Value:
    meter.text(len(need(value, str)))
    return Opaque(_URL, parse_url(value))


@function("isURL")
def is_url(meter: Meter, value: Value) -> Value:
    meter.text(len(need(value, str)))
    try:
        parse_url(value)
    except EvaluationError:
        return False
    return True


@method("getScheme")
def get_scheme(meter: Meter, value: Value) -> Value:
    return _opaque(value, _URL)[0]


@method("getHost")
def get_host(meter: Meter, value: Value) -> Value:
    return _opaque(value, _URL)[1]


@method("getHostname")
def get_hostname(meter: Meter, value: Value) -> Value:
    return _opaque(value, _URL)[2]


@method("getPort")
def get_port(meter: Meter, value: Value) -> Value:
    return _opaque(value, _URL)[3]


@method("getEscapedPath")
def get_escaped_path(meter: Meter, value: Value) -> Value:
    path = _opaque(value, _URL)[4]
    if re.fullmatch(r"[A-Za-z0-9%\[\]" + re.escape(_UNRESERVED) + "]*", path):
        return path
    return quote(unquote_to_bytes(path), safe=_UNRESERVED)


@method("getQuery")
def get_query(meter: Meter, value: Value) -> Value:
    out: dict[str, list[str]] = {}
    query = _opaque(value, _URL)[5]
    meter.text(len(query))
    for pair in query.split("&"):
        key, _, item = pair.partition("=")
        if pair and ";" not in pair and not _BAD_ESCAPE.search(pair):
            out.setdefault(unquote_plus(key), []).append(unquote_plus(item))
    return out
