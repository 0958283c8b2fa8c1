# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One VCP for each test, as a kubeconfig, on a server that the tests of this worker share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.client import Client
from support.kubectl import write_kubeconfig
from support.server import Server, unique


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("server") / "data")
    try:
        yield running.start()
    finally:
        running.stop()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    name = unique()
    yield server.create_vcp(name, deletionPolicy="Destroy")
    server.delete_vcp(name)


@pytest.fixture
def kubeconfig(client: Client, tmp_path: Path) -> Path:
    return write_kubeconfig(client, tmp_path)
