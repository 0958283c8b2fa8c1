# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes that are known within bounds, and costs by size: unsigned numbers of 64 bits that stop at the largest."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

UNLIMITED: Final = 2**64 - 1


def plus(*numbers: int) -> int:
    return min(UNLIMITED, sum(numbers))


def times(one: int, other: int) -> int:
    return min(UNLIMITED, one * other)


def scaled(number: int, factor: float) -> int:
    """A number times a factor, rounded up."""
    value = float(number) * factor
    return UNLIMITED if value >= 2.0**64 else math.ceil(value)


class Size(NamedTuple):
    """The least and the most elements (or characters) that something can have."""

    least: int
    most: int

    def add(self, other: Size) -> Size:
        return Size(plus(self.least, other.least), plus(self.most, other.most))

    def multiply(self, other: Size) -> Size:
        return Size(times(self.least, other.least), times(self.most, other.most))

    def union(self, other: Size) -> Size:
        return Size(min(self.least, other.least), max(self.most, other.most))


UNKNOWN: Final = Size(0, UNLIMITED)
ONE: Final = Size(1, 1)


def exactly(number: int) -> Size:
    return Size(number, number)
