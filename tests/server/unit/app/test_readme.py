# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page about the server says everything that can be set."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from kplane_server.__main__ import parser
from kplane_server.settings import LimitSettings

PAGE = (Path(__file__).resolve().parents[4] / "server" / "README.md").read_text()


def test_every_flag_is_documented() -> None:
    commands = next(action for action in parser({})._actions if isinstance(action, argparse._SubParsersAction))
    for name, command in commands.choices.items():
        assert name in PAGE
        for action in command._actions:
            for flag in action.option_strings:
                assert flag in ("-h", "--help") or f"`{flag}" in PAGE, f"{name} {flag}"


def test_every_limit_is_documented_with_its_default() -> None:
    for name, default in dataclasses.asdict(LimitSettings()).items():
        shown = f"{default:g}" if isinstance(default, float) else f"{default:,}"
        assert f"| `{name}` | {shown} |" in PAGE
