# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every test of this folder runs on each store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from contract.stores import make

from kplane_server.storage.api import Store


@pytest.fixture(params=["memory", "sqlite"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def make_store(kind: str, tmp_path: Path) -> AsyncIterator[Callable[..., Store]]:
    """Makes a store with options of its own; it is closed at the end."""
    made: list[Store] = []

    def factory(**options: Any) -> Store:
        made.append(make(kind, tmp_path, **options))
        return made[-1]

    yield factory
    for store in made:
        await store.close()


@pytest.fixture
async def store(make_store: Callable[..., Store]) -> Store:
    return make_store()
