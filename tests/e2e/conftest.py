# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests that do what a stranger does."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.machine import Machine, copy_of_repository


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = tmp_path / "home"
    made.mkdir()
    return made


@pytest.fixture
def clone(tmp_path: Path, home: Path) -> Machine:
    return Machine(home, copy_of_repository(tmp_path / "clone"))
