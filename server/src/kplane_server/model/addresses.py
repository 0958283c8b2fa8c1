# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which addresses the server may connect to because somebody in a control plane asks it to. Pure: nothing is looked up here.

Registries of special addresses: https://www.iana.org/assignments/iana-ipv4-special-registry and …/iana-ipv6-special-registry.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: The word for every address of this machine.
OWN: Final = "own"


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ip_network(text) for text in texts)


#: Groups of addresses that a setting can name.
GROUPS: Final[dict[str, tuple[Network, ...]]] = {
    "loopback": _networks("127.0.0.0/8", "::1/128"),
    "link-local": _networks("169.254.0.0/16", "fe80::/10"),
    "private": _networks("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7", "fec0::/10"),
}
#: Where nobody can serve anything, or where nobody knows who does.
_NOWHERE: Final = _networks(
    "0.0.0.0/8", "192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    "::/128", "100::/64", "2001:db8::/32", "ff00::/8",
)  # fmt: skip
_NAT64: Final = ip_network("64:ff9b::/96")
_ALLOWED_WORDS: Final = frozenset((*GROUPS, OWN))
_DENIED_WORDS: Final = frozenset(GROUPS)


def check_allowed(text: str) -> None:
    """Raises ValueError for what cannot be excepted: anything but an address, a network or a group."""
    if text not in _ALLOWED_WORDS:
        _parse_network(text, f"no address, network, or one of {', '.join(sorted(_ALLOWED_WORDS))}")


def check_denied(text: str) -> None:
    """Raises ValueError for what cannot be refused: anything but an address, a network, a group or a domain name."""
    if text not in _DENIED_WORDS and not _is_domain(text):
        _parse_network(text, f"no address, network, domain name, or one of {', '.join(sorted(_DENIED_WORDS))}")


def _parse_network(text: str, why: str) -> Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is {why}: {error}") from error


def _is_domain(text: str) -> bool:
    labels = text.strip(".").split(".")
    if len(text) > 253 or labels[-1].isdigit():
        return False
    return all(0 < len(label) <= 63 and label.isascii() and label.replace("-", "").replace("_", "").isalnum() for label in labels)


def plain(address: Address) -> Address:
    """The address that a packet really goes to, where an IPv6 address only wraps an IPv4 one."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address.teredo is not None:
            inner = address.teredo[1]
        if inner is None and address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return inner
    return address


class AddressPolicy:
    """What is refused, and the exceptions from it. An exception counts more than a refusal, whichever is narrower."""

    __slots__ = ("_allowed", "_allows_own", "_denied", "_domains")

    def __init__(self, allow: Sequence[str] = (), deny: Sequence[str] = ()) -> None:
        for text in allow:
            check_allowed(text)
        for text in deny:
            check_denied(text)
        self._allows_own = OWN in allow
        self._allowed = _expand(text for text in allow if text != OWN)
        self._domains = tuple(text.strip(".").lower() for text in deny if text not in _DENIED_WORDS and _is_domain(text))
        words = [text for text in deny if text in _DENIED_WORDS or not _is_domain(text)]
        self._denied = (*GROUPS["loopback"], *GROUPS["link-local"], *_NOWHERE, *_expand(words))

    def refuses_name(self, name: str) -> bool:
        """Whether a domain name is refused before it is looked up."""
        text = name.rstrip(".").lower()
        return any(text == domain or text.endswith("." + domain) for domain in self._domains)

    def refuses(self, address: str, *, own: bool) -> bool:
        """Whether an address is refused. ``own``: it is one of this machine."""
        found = plain(ip_address(address.partition("%")[0]))
        if any(found in network for network in self._allowed):
            return False
        return (own and not self._allows_own) or any(found in network for network in self._denied)


def _expand(texts: Iterable[str]) -> tuple[Network, ...]:
    networks: list[Network] = []
    for text in texts:
        networks.extend(GROUPS[text] if text in GROUPS else (ip_network(text),))
    return tuple(networks)
