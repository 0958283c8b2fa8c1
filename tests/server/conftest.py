# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the front-door tests: one server for a test session (each worker has its own), VCPs of a test's own on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.client import Client
from support.kubectl import Kubectl, kubectl_for
from support.server import Server, unique


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that the tests of this worker share. Tests that stop, fill or reconfigure one use ``make_server``."""
    running = Server(tmp_path_factory.mktemp("server") / "data")
    try:
        yield running.start()
    finally:
        running.stop()


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Servers of a test's own, not started yet."""
    made: list[Server] = []

    def make(name: str = "data", *options: str) -> Server:
        made.append(Server(tmp_path / name, options=options))
        return made[-1]

    yield make
    for one in made:
        one.kill()


@pytest.fixture
def root(server: Server) -> Client:
    """The administrator of the root control plane."""
    return server.root


@pytest.fixture
def vcp_name(server: Server) -> Iterator[str]:
    """A ready VCP of this test's own, destroyed after it."""
    name = unique()
    server.create_vcp(name, deletionPolicy="Destroy")
    yield name
    server.delete_vcp(name)


@pytest.fixture
def vcp(server: Server, vcp_name: str) -> Client:
    return server.vcp(vcp_name)


@pytest.fixture
def two_vcps(server: Server) -> Iterator[tuple[Client, Client]]:
    """Two ready VCPs of this test's own."""
    names = (unique("a"), unique("b"))
    yield (server.create_vcp(names[0], deletionPolicy="Destroy"), server.create_vcp(names[1], deletionPolicy="Destroy"))
    for name in names:
        server.delete_vcp(name)


@pytest.fixture
def kubectl(vcp: Client, tmp_path: Path) -> Kubectl:
    """kubectl as the administrator of a fresh VCP. Skipped, loudly, where no kubectl can be had."""
    return kubectl_for(vcp, tmp_path)
