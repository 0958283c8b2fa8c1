# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real etcd and kube-apiserver, started once for all tests of the lane."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from components import Etcd, KubeApiServer, Secrets, program, settled


@pytest.fixture(scope="session")
def stack_secrets() -> Secrets:
    return settled()


@pytest.fixture(scope="session")
def etcd(tmp_path_factory: pytest.TempPathFactory, stack_secrets: Secrets) -> Iterator[Etcd]:
    program("etcd")
    made = Etcd(tmp_path_factory.mktemp("etcd"), stack_secrets)
    try:
        made.wait()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="session")
def kube(tmp_path_factory: pytest.TempPathFactory, stack_secrets: Secrets, etcd: Etcd) -> Iterator[KubeApiServer]:
    program("kube-apiserver")
    made = KubeApiServer(tmp_path_factory.mktemp("kube"), stack_secrets, etcd)
    try:
        made.wait()
        yield made
    finally:
        made.stop()
