# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a ControlPlane settles: limits are only ever lowered, what a record keeps is what was said, the earliest end counts."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kplane_server.model import timestamps
from kplane_server.vcp import standing
from kplane_server.vcp.standing import LIMIT_FIELDS, Limits, Standing, parse_lifetime, parse_limits, span, standing_of

numbers = st.none() | st.integers(1, standing.MAX_LIMIT)
limits = st.builds(Limits, numbers, numbers, numbers, numbers)
BORN = 1_700_000_000


@given(limits, limits)
def test_limits_are_only_lowered(one: Limits, other: Limits) -> None:
    both = one.lowered(other)
    assert both == other.lowered(one)
    assert both.lowered(one) == both
    for mine, theirs, least in zip(one, other, both, strict=True):
        assert (least is None) == (mine is None and theirs is None)
        assert least is None or least == min(value for value in (mine, theirs) if value is not None)


@given(st.builds(Standing, st.text("abc", max_size=3), st.text("abc", max_size=3), st.booleans(), st.booleans(), limits))
def test_a_record_keeps_what_was_said(one: Standing) -> None:
    assert standing.decode(one.encode()) == one


@given(limits)
def test_the_annotation_is_read_as_it_is_written(one: Limits) -> None:
    text = orjson.dumps({name: value for name, value in zip(LIMIT_FIELDS, one, strict=True) if value is not None}).decode()
    assert parse_limits(text) == one


@pytest.mark.parametrize(
    ("text", "seconds"), [("72h", 259_200), ("30m", 1_800), ("7d", 604_800), ("1d12h", 129_600), ("90s", 90), ("1h30m", 5_400)]
)
def test_lifetimes(text: str, seconds: int) -> None:
    assert parse_lifetime(text) == seconds


@pytest.mark.parametrize("text", ["", "0s", "-1h", "5", "d", "1w", "12h1d", "1d-2h", "999999d", "1e3s", " 1h", "100ms"])
def test_what_is_no_lifetime(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_lifetime(text)


def plane(**annotations: str) -> dict[str, Any]:
    marked = {f"controlplane.kplane.dev/{key}": value for key, value in annotations.items()}
    return {"metadata": {"name": "demo", "creationTimestamp": timestamps.from_epoch(BORN), "annotations": marked}, "spec": {}}


@pytest.mark.parametrize(
    ("annotations", "rules", "life"),
    [
        ({}, {}, None),
        ({"ttl": "1h"}, {}, 3600),
        ({"expires": timestamps.from_epoch(BORN + 50)}, {}, 50),
        ({"ttl": "1h", "expires": timestamps.from_epoch(BORN + 50)}, {}, 50),
        ({"ttl": "10s", "expires": timestamps.from_epoch(BORN + 50)}, {}, 10),
        ({}, {"ttl": "2h"}, 7200),
        ({"ttl": "3h"}, {"ttl": "2h"}, 10_800),
        ({"ttl": "3h"}, {"ttl": "2h", "maxTTL": "1h"}, 3600),
        ({}, {"maxTTL": "1h"}, 3600),
        ({"ttl": "nonsense"}, {}, None),
        ({"expires": timestamps.from_epoch(BORN - 50)}, {}, -50),
    ],
)
def test_the_earliest_end_counts(annotations: dict[str, str], rules: dict[str, str], life: int | None) -> None:
    found = span(plane(**annotations), rules)
    assert (None if found is None else found.ends - BORN) == life
    assert found is None or found.warning <= found.ends


def test_a_warning_comes_a_tenth_before_the_end_within_bounds() -> None:
    for text, ahead in (("100d", 86_400), ("10h", 3_600), ("5m", 60), ("40s", 20)):
        found = span(plane(ttl=text), {})
        assert found is not None
        assert found.ends - found.warning == ahead


def test_only_a_paused_control_plane_waits_for_a_request() -> None:
    assert standing_of(plane(resumeOnRequest="true")) == Standing()
    assert standing_of(plane(state="paused", resumeOnRequest="true")) == Standing(paused=True, resume=True)
    other = plane(state="paused")
    other["spec"] = {"classRef": {"name": "small"}, "virtual": {"clusterPath": "elsewhere"}}
    assert standing_of(other) == Standing("small", "demo", paused=True)
