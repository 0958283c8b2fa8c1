# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which strategy and which schema a row has: built-in ones by data, custom ones by their definition."""

from __future__ import annotations

from typing import Final

from kplane_server.registry.resource import ResourceInfo
from kplane_server.registry.strategies.base import Strategy

_PLAIN: Final = Strategy()


def strategy_of(info: ResourceInfo) -> Strategy:
    """The behaviour of a kind."""
    return _PLAIN
