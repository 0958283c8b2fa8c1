# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests on behalf of control planes: names that resolve to what is refused, names that change, bounds."""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.webhook import WebhookServer, admission

from kplane_server.admission import outbound as module
from kplane_server.admission.outbound import Outbound, Target, address_is_own, status_text, tls_context
from kplane_server.model.keys import VcpId
from kplane_server.registry.hooks import HookFailure
from kplane_server.settings import OutboundSettings

A, B = VcpId(7), VcpId(8)
REVIEW = b'{"apiVersion":"admission.k8s.io/v1","request":{"uid":"1"}}'


@pytest.fixture
def hooks(tmp_path: Path) -> Iterator[WebhookServer]:
    made = WebhookServer(tmp_path, ["hook.example.com", "hook.tools.svc"])
    made.at("/x", admission)
    yield made
    made.close()


@pytest.fixture
async def allowing() -> AsyncIterator[Outbound]:
    made = Outbound(OutboundSettings(allow=("loopback",)), 1)
    yield made
    await made.close()


def world(host: str, port: int) -> Sequence[tuple[str, int]] | None:
    return None


def target(hooks: WebhookServer, host: str = "127.0.0.1", port: int = 0) -> Target:
    return Target(f"https://{host}:{port or hooks.port}/x", base64.b64decode(hooks.ca_bundle))


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Makes look-ups answer these, one after the other; returns the names that were asked for."""
    asked: list[str] = []
    left = list(answers)

    def addresses(name: str) -> list[str]:
        asked.append(name)
        return left.pop(0) if len(left) > 1 else left[0]

    monkeypatch.setattr(module, "_addresses", addresses)
    return asked


async def test_a_name_is_resolved_and_its_certificate_checked(
    allowing: Outbound, hooks: WebhookServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, ["127.0.0.1"])
    assert b'"allowed": true' in await allowing.post(A, target(hooks, "hook.example.com"), REVIEW, 5, world)
    with pytest.raises(HookFailure, match="tls: failed to verify certificate: x509"):
        await allowing.post(A, target(hooks, "other.example.com"), REVIEW, 5, world)


async def test_a_name_of_a_refused_address_is_refused(hooks: WebhookServer, monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, ["127.0.0.1", "::1"])
    strict = Outbound(OutboundSettings(), 1)
    with pytest.raises(HookFailure, match="not allowed by the server's outbound policy"):
        await strict.post(A, target(hooks, "hook.example.com"), REVIEW, 5, world)
    await strict.close()
    assert hooks.connections == 0


async def test_the_socket_is_the_last_gate(hooks: WebhookServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should ever an address come past the resolver, no socket is made for it."""
    strict = Outbound(OutboundSettings(), 1)

    async def careless(pool: Any, host: str, port: int) -> list[tuple[str, int]]:
        return [("127.0.0.1", port)]

    monkeypatch.setattr(strict, "resolve", careless)
    with pytest.raises(HookFailure, match="not allowed"):
        await strict.post(A, target(hooks, "hook.example.com"), REVIEW, 5, world)
    await strict.close()
    assert hooks.connections == 0


async def test_a_name_that_changes_is_judged_anew(hooks: WebhookServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: what is connected to is what was judged."""
    asked = resolving(monkeypatch, ["127.0.0.2"], ["127.0.0.1"])
    policy = Outbound(OutboundSettings(allow=("127.0.0.2",)), 1)
    with pytest.raises(HookFailure, match="connection refused"):
        await policy.post(A, target(hooks, "hook.example.com"), REVIEW, 5, world)
    with pytest.raises(HookFailure, match="not allowed"):
        await policy.post(A, target(hooks, "hook.example.com"), REVIEW, 5, world)
    await policy.close()
    assert asked == ["hook.example.com"] * 2
    assert hooks.connections == 0


async def test_names_of_the_own_network(allowing: Outbound, hooks: WebhookServer, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = resolving(monkeypatch, ["127.0.0.1"])
    with pytest.raises(HookFailure, match="not allowed"):
        await allowing.post(A, target(hooks, "vault"), REVIEW, 5, world)
    denying = Outbound(OutboundSettings(allow=("loopback",), deny=("corp.example.com",)), 1)
    with pytest.raises(HookFailure, match="not allowed"):
        await denying.post(A, target(hooks, "vault.corp.example.com"), REVIEW, 5, world)
    await denying.close()
    assert asked == []


async def test_look_ups_are_of_absolute_names(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def getaddrinfo(name: str, port: Any, **kwargs: Any) -> list[Any]:
        asked.append(name)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert module._addresses("a.b") == ["192.0.2.1"]
    assert asked == ["a.b."]


async def test_the_servers_own_port_is_refused_whatever_is_allowed(hooks: WebhookServer) -> None:
    policy = Outbound(OutboundSettings(allow=("loopback", "own", "0.0.0.0/0")), hooks.port)
    with pytest.raises(HookFailure, match="not allowed"):
        await policy.post(A, target(hooks), REVIEW, 5, world)
    await policy.close()


async def test_what_is_inside_is_judged_too_and_its_port_is_used(hooks: WebhookServer) -> None:
    places = {"hook.tools.svc": [("127.0.0.1", hooks.port)]}
    policy = Outbound(OutboundSettings(allow=("loopback",)), 1)
    service = target(hooks, "hook.tools.svc", 443)
    assert b"allowed" in await policy.post(A, service, REVIEW, 5, lambda host, port: places.get(host))
    await policy.close()
    strict = Outbound(OutboundSettings(), 1)
    with pytest.raises(HookFailure, match="not allowed"):
        await strict.post(A, service, REVIEW, 5, lambda host, port: places.get(host))
    await strict.close()


async def test_connections_are_not_shared_between_control_planes(allowing: Outbound, hooks: WebhookServer) -> None:
    for _ in range(3):
        await allowing.post(A, target(hooks), REVIEW, 5, world)
    assert hooks.connections == 1
    await allowing.post(B, target(hooks), REVIEW, 5, world)
    assert hooks.connections == 2


async def test_calls_of_one_control_plane_are_bounded(hooks: WebhookServer) -> None:
    policy = Outbound(OutboundSettings(allow=("loopback",), max_connections_per_vcp=2), 1)
    await asyncio.gather(*(policy.post(A, target(hooks), REVIEW, 5, world) for _ in range(8)))
    assert hooks.connections <= 2
    assert policy.statistics() == {"pools": 1, "calls_in_flight": 0}
    await policy.close()


async def test_pools_are_bounded(allowing: Outbound, hooks: WebhookServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_POOLS", 2)
    for number in range(5):
        await allowing.post(VcpId(number), target(hooks), REVIEW, 5, world)
    assert allowing.statistics()["pools"] == 2


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "https:///x", "ftp://a.b/", "https://[::1/", "https://a.b:99999/"])
async def test_urls_that_are_none(allowing: Outbound, url: str) -> None:
    with pytest.raises(HookFailure):
        await allowing.post(A, Target(url), REVIEW, 5, world)


async def test_a_bundle_that_is_none(allowing: Outbound) -> None:
    with pytest.raises(HookFailure, match="unable to load root certificates"):
        await allowing.post(A, Target("https://127.0.0.1:2/", b"nonsense"), REVIEW, 5, world)


def test_own_addresses() -> None:
    assert address_is_own("127.0.0.1")
    assert not address_is_own("192.0.2.1")


def test_blank_bundles_mean_the_systems_trust() -> None:
    assert tls_context(b" \n").check_hostname


@pytest.mark.parametrize(
    ("status", "text"), [(500, 'an error on the server ("no") has'), (418, "status code 418"), (503, "unable to handle")]
)
def test_answers_in_words(status: int, text: str) -> None:
    assert text in status_text(status, b"no")
