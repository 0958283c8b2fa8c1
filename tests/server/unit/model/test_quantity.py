# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Quantities: parsing, canonical form, comparison. The table holds what upstream's own library answers."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kplane_server.model import quantity

CANONICAL = {
    "0": "0",
    "-0": "0",
    "0Ki": "0",
    "1.5": "1500m",
    "1.5Gi": "1536Mi",
    "1536Mi": "1536Mi",
    "0.1m": "100u",
    "1e3": "1e3",
    "12e6": "12e6",
    "1e-3": "1e-3",
    "1000m": "1",
    "1024": "1024",
    "1024Ki": "1Mi",
    "1000k": "1M",
    "1023Ki": "1023Ki",
    "0.5Mi": "512Ki",
    ".5": "500m",
    "5.": "5",
    "+5": "5",
    "-1.5Gi": "-1536Mi",
    "0.0000000001": "1n",
    "-0.0000000001": "-1n",
    "10Ei": "9223372036854775807",
    "1E": "1E",
    "1024.5": "1024500m",
    "0.3Gi": "322122547200m",
}


@pytest.mark.parametrize(("text", "expected"), CANONICAL.items())
def test_canonical_form(text: str, expected: str) -> None:
    assert quantity.canonical(text) == expected


@pytest.mark.parametrize("text", ["", "abc", "1.2.3", "--1", "1 Gi", "1gi", "Ki", "1e3Gi", "." * 300, "1" * 300, "1\n", "\u0661"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="quantities must match"):
        quantity.parse(text)


@pytest.mark.parametrize("text", ["1K", "1mm", "1ki5", "1Em", "1e"])
def test_unknown_suffixes_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"unable to parse quantity's suffix|quantities must match"):
        quantity.parse(text)


def test_numbers_and_huge_exponents() -> None:
    assert quantity.parse_quantity(5) == 5
    assert quantity.parse_quantity(0.25) == Decimal("0.25")
    assert quantity.parse_quantity("1e999999999") > 10**200
    with pytest.raises(ValueError, match="quantities must match"):
        quantity.parse_quantity(True)


def test_comparison() -> None:
    assert quantity.compare("1Gi", "1024Mi") == 0
    assert quantity.compare("1G", "1Gi") == -1
    assert quantity.compare("1", "999m") == 1


texts = st.builds(
    lambda sign, whole, fraction, suffix: f"{sign}{whole}{fraction}{suffix}",
    st.sampled_from(["", "-", "+"]),
    st.integers(0, 10**15),
    st.one_of(st.just(""), st.from_regex(r"\.[0-9]{1,6}", fullmatch=True)),
    st.sampled_from(["", "n", "u", "m", "k", "M", "G", "T", "Ki", "Mi", "Gi", "e3", "E-3"]),
)


@given(texts)
def test_canonical_form_keeps_the_value_and_is_stable(text: str) -> None:
    once = quantity.canonical(text)
    assert quantity.canonical(once) == once
    assert quantity.parse_quantity(once) == quantity.parse_quantity(text)


SCALES = {"n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000), "": Fraction(1), "k": Fraction(1000)}
SCALES |= {suffix: Fraction(1000**power) for power, suffix in enumerate("MGTPE", 2)}
SCALES |= {f"{suffix}i": Fraction(1024**power) for power, suffix in enumerate("KMGTPE", 1)}


@given(st.integers(-(10**6), 10**6), st.integers(0, 9), st.sampled_from(sorted(SCALES)))
def test_a_text_means_its_number_times_its_scale(number: int, places: int, suffix: str) -> None:
    digits = str(abs(number)).rjust(places + 1, "0")
    text = f"{'-' if number < 0 else ''}{digits[: len(digits) - places]}.{digits[len(digits) - places :]}{suffix}"
    exact = Fraction(number, 10**places) * SCALES[suffix]
    nanos = exact * 10**9
    rounded = Fraction(ceil(nanos) if nanos > 0 else floor(nanos), 10**9)  # what is smaller than a nano is one, as upstream has it
    assert (
        Fraction(quantity.parse_quantity(text)) == max(-Fraction(2**63 - 1), min(rounded, Fraction(2**63 - 1))) or abs(exact) >= 2**63 - 1
    )


@given(texts, texts, texts)
def test_comparison_is_a_total_order_of_the_numbers(one: str, two: str, three: str) -> None:
    first, second, third = (quantity.parse_quantity(text) for text in (one, two, three))
    assert quantity.compare(one, two) == (first > second) - (first < second) == -quantity.compare(two, one)
    if quantity.compare(one, two) <= 0 and quantity.compare(two, three) <= 0:
        assert quantity.compare(one, three) <= 0
        assert first <= third


@given(st.text(alphabet="0123456789.+-eEnumkKMGTPi ", max_size=12))
def test_any_text_is_a_quantity_or_is_refused(text: str) -> None:
    try:
        value = quantity.parse_quantity(text)
    except ValueError:
        return
    assert quantity.parse_quantity(quantity.canonical(text)) == value
