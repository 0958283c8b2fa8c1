# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/conformance.md says what the server serves, and says nothing twice."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from kplane_server.registry.catalog import BUILTIN

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_conformance", ROOT / "server" / "tools" / "generate_conformance.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_page_is_current(tool: ModuleType) -> None:
    text = tool.PAGE.read_text()
    assert tool.BEGIN in text
    assert text == tool.page(text), "run server/tools/generate_conformance.py"


def test_every_note_is_about_something_that_is_served(tool: ModuleType) -> None:
    served = {(row.group, row.resource) for row in BUILTIN}
    assert set(tool.NOTES) <= served
    assert set(tool.SUBRESOURCES) <= {name for row in BUILTIN for name in row.subresources}


def test_whatever_is_less_than_supported_says_why(tool: ModuleType) -> None:
    for state, note in (*tool.NOTES.values(), *tool.SUBRESOURCES.values()):
        assert state in (tool.WHOLE, tool.PARTLY, tool.NOT)
        assert note or state == tool.WHOLE


def test_the_tests_that_it_names_are_there(tool: ModuleType) -> None:
    named = re.findall(r"`(tests/[\w/.-]+)::(\w+)`", tool.PAGE.read_text())
    assert len(named) > 50
    for path, name in named:
        keyword = "func" if path.endswith(".go") else "def"
        assert re.search(rf"\b{keyword} {name}\(", (ROOT / path).read_text()), f"{path}::{name}"
