# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Control planes on the in-memory store: root, and two VCPs."""

from __future__ import annotations

import pytest
from support.planes import Clock, Plane

from kplane_server.storage.memory import MemoryStore
from kplane_server.storage.overlay import NoLayer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(layer=NoLayer())


@pytest.fixture
def root(store: MemoryStore, clock: Clock) -> Plane:
    record = store.vcp("root")
    assert record is not None
    return Plane(store, record, clock)


@pytest.fixture
async def plane(store: MemoryStore, clock: Clock) -> Plane:
    return Plane(store, await store.create_vcp("alpha", "uid-alpha", created=0), clock)


@pytest.fixture
async def other(store: MemoryStore, clock: Clock) -> Plane:
    return Plane(store, await store.create_vcp("beta", "uid-beta", created=0), clock)
