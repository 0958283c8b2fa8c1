# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which addresses the outbound policy refuses."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kplane_server.model.addresses import AddressPolicy, check_allowed, check_denied, plain

DEFAULT = AddressPolicy()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.255.0.1", "::1", "0.0.0.0", "0.1.2.3", "::", "169.254.169.254", "fe80::1", "fe80::1%eth0", "224.0.0.1",
        "255.255.255.255", "240.0.0.1", "ff02::1", "192.0.2.1", "198.18.0.1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
        "64:ff9b::7f00:1", "2002:7f00:1::",
    ],
)  # fmt: skip
def test_refused_by_default(address: str) -> None:
    assert DEFAULT.refuses(address, own=False)


@pytest.mark.parametrize("address", ["10.0.0.1", "192.168.1.1", "8.8.8.8", "2606:4700::1111", "fd00::1", "64:ff9b::808:808"])
def test_allowed_by_default(address: str) -> None:
    assert not DEFAULT.refuses(address, own=False)
    assert DEFAULT.refuses(address, own=True)


def test_private_addresses_can_be_refused_with_exceptions() -> None:
    policy = AddressPolicy(allow=["10.1.0.0/16"], deny=["private"])
    assert policy.refuses("10.0.0.1", own=False)
    assert policy.refuses("fd00::1", own=False)
    assert policy.refuses("::ffff:192.168.0.1", own=False)
    assert not policy.refuses("10.1.2.3", own=False)
    assert not policy.refuses("8.8.8.8", own=False)


def test_everything_can_be_refused_with_exceptions() -> None:
    policy = AddressPolicy(allow=["192.0.2.7"], deny=["0.0.0.0/0", "::/0"])
    assert policy.refuses("8.8.8.8", own=False)
    assert policy.refuses("2606:4700::1111", own=False)
    assert not policy.refuses("192.0.2.7", own=False)


def test_groups_can_be_allowed() -> None:
    policy = AddressPolicy(allow=["loopback", "own"])
    assert not policy.refuses("127.0.0.1", own=True)
    assert not policy.refuses("::1", own=True)
    assert not policy.refuses("10.0.0.1", own=True)
    assert policy.refuses("169.254.169.254", own=False)
    assert AddressPolicy(allow=["127.0.0.0/8"]).refuses("10.0.0.1", own=True)


def test_domains() -> None:
    policy = AddressPolicy(deny=["corp.example.com"])
    assert policy.refuses_name("corp.example.com")
    assert policy.refuses_name("a.B.Corp.example.com.")
    assert not policy.refuses_name("notcorp.example.com")
    assert not policy.refuses_name("example.com")


@pytest.mark.parametrize("text", ["", "10.0.0.1/8", "nowhere land", "1.2.3", "private ", "a..b"])
def test_settings_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="is no address"):
        check_allowed(text)
    with pytest.raises(ValueError, match="is no address"):
        check_denied(text)


def test_a_name_is_no_exception() -> None:
    with pytest.raises(ValueError, match="is no address"):
        check_allowed("corp.example.com")


@given(st.integers(0, 2**32 - 1))
def test_an_address_is_the_same_in_every_wrapping(number: int) -> None:
    """Nothing is gained by writing an IPv4 address as an IPv6 one."""
    inner = IPv4Address(number)
    wrappings = [
        IPv6Address((0xFFFF << 32) | number),
        IPv6Address((0x0064FF9B << 96) | number),
        IPv6Address((0x2002 << 112) | (number << 80)),
    ]
    for policy in (DEFAULT, AddressPolicy(deny=["private"]), AddressPolicy(allow=["loopback"])):
        expected = policy.refuses(str(inner), own=False)
        for wrapped in wrappings:
            assert plain(wrapped) == inner
            assert policy.refuses(str(wrapped), own=False) == expected
