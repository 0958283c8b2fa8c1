# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the controllers' tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from support.world import World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """A management plane whose controllers run."""
    made = World()
    await made.start()
    yield made
    await made.stop()
