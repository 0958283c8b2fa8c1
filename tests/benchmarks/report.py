# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One row of the table that the benchmarks print."""

from __future__ import annotations

from typing import NamedTuple


class Figure(NamedTuple):
    """``aim`` is the design's; empty where it names none."""

    name: str
    aim: str
    measured: str
