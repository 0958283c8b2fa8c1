# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times: the two written forms, parsing of any RFC 3339 text, ages as kubectl shows them."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kplane_server.model import timestamps


@pytest.mark.parametrize(
    ("text", "seconds", "micros"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000Z"),
        ("2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.123456Z"),
        ("2026-01-02T03:04:05.1+02:00", "2026-01-02T01:04:05Z", "2026-01-02T01:04:05.100000Z"),
        ("2025-12-31T23:59:59-01:30", "2026-01-01T01:29:59Z", "2026-01-01T01:29:59.000000Z"),
        ("1969-12-31T23:59:58.5Z", "1969-12-31T23:59:58Z", "1969-12-31T23:59:58.500000Z"),
        ("0999-01-01T00:00:00Z", "0999-01-01T00:00:00Z", "0999-01-01T00:00:00.000000Z"),
    ],
)
def test_canonical(text: str, seconds: str, micros: str) -> None:
    assert timestamps.canonical(text) == seconds
    assert timestamps.canonical_micro(text) == micros


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-01-02", "2026-01-02T03:04:05", "2026-13-02T03:04:05Z", "2026-01-02T24:00:00Z", "2026-01-02T03:04:05+25:00"],
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="pars"):
        timestamps.parse(text)


@given(st.integers(0, 4_000_000_000_000_000))
def test_round_trips(micros: int) -> None:
    text = timestamps.micro_from_epoch(micros / 1_000_000)
    assert timestamps.canonical_micro(text) == text
    whole = timestamps.from_epoch(micros // 1_000_000)
    assert timestamps.to_epoch(whole) == micros // 1_000_000


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)), st.integers(-1439, 1439), st.integers(0, 9))
def test_a_time_is_the_same_wherever_it_was_written(moment: datetime, minutes: int, places: int) -> None:
    there = moment.replace(tzinfo=timezone(timedelta(minutes=minutes))).isoformat(timespec="microseconds")
    fraction = f"{there[19:26]}000"[: places + 1] if places else ""
    text = there[:19] + fraction + there[26:]
    exact = (moment - timedelta(minutes=minutes)).replace(microsecond=int(fraction[1:7].ljust(6, "0")), tzinfo=UTC)
    assert timestamps.parse(text) == timestamps.parse(timestamps.canonical_micro(text)) == exact
    assert timestamps.parse(timestamps.canonical(text)) == exact.replace(microsecond=0)


@given(st.text(alphabet="0123456789-:.TZ+ tz", max_size=30))
def test_any_text_is_a_time_or_is_refused(text: str) -> None:
    try:
        moment = timestamps.parse(text)
    except ValueError:
        return
    assert timestamps.parse(timestamps.canonical_micro(text)) == moment


def test_now_is_now() -> None:
    before = int(time.time())
    assert before <= timestamps.to_epoch(timestamps.now()) <= time.time()


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-2, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (599, "9m59s"),
        (600, "10m"),
        (179 * 60, "179m"),
        (3 * 3600, "3h"),
        (3 * 3600 + 300, "3h5m"),
        (8 * 3600, "8h"),
        (47 * 3600, "47h"),
        (48 * 3600, "2d"),
        (50 * 3600, "2d2h"),
        (8 * 86400, "8d"),
        (729 * 86400, "729d"),
        (730 * 86400, "2y"),
        (735 * 86400, "2y5d"),
        (8 * 365 * 86400, "8y"),
    ],
)
def test_human_duration(seconds: int, shown: str) -> None:
    assert timestamps.human_duration(seconds) == shown


def test_human_age() -> None:
    assert timestamps.human_age(None) == "<unknown>"
    assert timestamps.human_age("nonsense") == "<invalid>"
    assert timestamps.human_age("2026-01-02T03:04:05Z", at=timestamps.to_epoch("2026-01-02T03:05:05Z")) == "60s"
