# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Durations as Go writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kplane_server.model import durations


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_round_trip(nanoseconds: int) -> None:
    assert durations.parse(durations.format(nanoseconds)) == nanoseconds


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [("1h30m0s", 5400 * 10**9), ("1.5s", 1_500_000_000), ("100ms", 100_000_000), ("0", 0), ("-2m", -120 * 10**9), ("1µs", 1000)],
)
def test_parse(text: str, nanoseconds: int) -> None:
    assert durations.parse(text) == nanoseconds


@pytest.mark.parametrize("text", ["", "1", "s", "1x", "1s2", "--1s", "9999999h"])
def test_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="invalid duration"):
        durations.parse(text)


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [(0, "0s"), (5400 * 10**9, "1h30m0s"), (1500, "1.5µs"), (90 * 10**9, "1m30s"), (7, "7ns")],
)
def test_format(nanoseconds: int, text: str) -> None:
    assert durations.format(nanoseconds) == text
