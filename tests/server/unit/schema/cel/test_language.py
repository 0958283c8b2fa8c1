# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The expression language against answers of cel-go in the environment of Kubernetes 1.34, its bounds, and its parser."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kplane_server.model import durations, timestamps
from kplane_server.schema.cel.conversions import duration_text, parse_duration, parse_timestamp, timestamp_text
from kplane_server.schema.cel.declarations import DYN
from kplane_server.schema.cel.parser import MAX_DEPTH, parse
from kplane_server.schema.cel.program import Program
from kplane_server.schema.cel.types import check
from kplane_server.schema.cel.values import CompileError, CostExceeded, Duration, EvaluationError, Meter, TypeValue, type_name

ANSWERS: list[tuple[str, str, str, str, int]] = [
    tuple(row) for row in json.loads((Path(__file__).parent / "upstream" / "answers.json").read_text(encoding="utf-8"))
]
SELF = {"a": 5, "l": [1, 2, 3], "m": {"k": "v"}, "s": "abc", "n": None}
ANYTHING = {"self": DYN, "oldSelf": DYN}
#: One error of two, and a syntax error without all that could have been there.
WORDED_APART = {"self.l.all(x)", "1 +"}


def evaluate(text: str, **variables: Any) -> tuple[str, Any]:
    """How an expression ends: ``compile``, ``error`` or ``ok``, with its value."""
    try:
        check(text, ANYTHING)
        program = Program(text, ("self", "oldSelf"))
        return "ok", program.evaluate({"self": SELF, **variables})
    except CompileError as error:
        return "compile", str(error)
    except EvaluationError as error:
        return "error", str(error)


@pytest.mark.parametrize(("text", "outcome", "kind", "shown"), [row[:4] for row in ANSWERS], ids=[row[0] for row in ANSWERS])
def test_answer(text: str, outcome: str, kind: str, shown: str) -> None:
    found, value = evaluate(text)
    assert found == outcome, value
    if found == "compile" and text not in WORDED_APART:
        assert value == shown or (not shown.startswith("ERROR") and shown in value.splitlines()[0])
    if found != "ok":
        return
    assert type_name(value) == kind.partition("(")[0]
    if kind == "bool":
        assert shown == ("true" if value else "false")
    elif kind in ("int", "uint", "string"):
        assert str(value) == shown
    elif kind == "double":
        assert value == float(shown)
    elif kind == "type":
        assert isinstance(value, TypeValue)
        assert value.name == shown


def test_there_are_enough_answers() -> None:
    assert len(ANSWERS) > 250


def test_errors_show_their_place() -> None:
    assert (
        evaluate("self.a ==\n  foo(1)")[1] == "ERROR: <input>:2:6: undeclared reference to 'foo' (in container '')\n |   foo(1)\n | .....^"
    )


@pytest.mark.parametrize(
    "text",
    [
        "self.l.all(a, self.l.all(b, self.l.all(c, self.l.all(d, self.l.all(e, true)))))",
        "self.l.map(a, self.l.map(b, a)).flatten().size() > 0",
        "lists.range(900000).size() > 0",
        "[1].map(x, self.s + self.s + self.s + self.s).exists(x, (x + x + x + x).matches('^(a|b)*$'))",
        "self.l.map(x, self.l.sort()).size() > 0",
        "self.l.distinct().size() > 0",
    ],
)
def test_costly_expressions_are_stopped(text: str) -> None:
    variables = {"self": {"l": [float(i) for i in range(400)], "s": "ab" * 100_000}}
    program = Program(text, ("self",))
    with pytest.raises(CostExceeded):
        program.evaluate(variables, Meter(20_000))


def test_errors_of_cost_cannot_be_caught() -> None:
    program = Program("true || self.l.all(x, x > 0)", ("self",))
    assert program.evaluate({"self": {"l": [1]}}, Meter(20)) is True
    program = Program("self.l.all(x, x > 0) || true", ("self",))
    with pytest.raises(CostExceeded):
        program.evaluate({"self": {"l": list(range(1, 100))}}, Meter(50))


@pytest.mark.parametrize(
    "text",
    [
        "(" * (MAX_DEPTH + 5) + "1" + ")" * (MAX_DEPTH + 5),
        "a" + ".b" * 5000,
        "1" + " + 1" * 5000,
        "[" * 500,
        "x" * 100_000,
    ],
)
def test_the_parser_is_bounded(text: str) -> None:
    with pytest.raises(CompileError):
        parse(text)


@given(st.text(alphabet="selfa.()[]{}'\"?:&|!<>=+-*/%0123456789 ,urb\\\n", max_size=40))
def test_any_text_compiles_or_is_refused(text: str) -> None:
    evaluate(text)


@given(st.text(max_size=12))
def test_quoted_text_is_the_text(text: str) -> None:
    escaped = "".join(f"\\U{ord(c):08x}" for c in text if not 0xD800 <= ord(c) < 0xE000)
    assert evaluate(f"'{escaped}'") == ("ok", "".join(c for c in text if not 0xD800 <= ord(c) < 0xE000))


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1), st.sampled_from("+-*/%"))
def test_integers_have_64_bits(left: int, right: int, sign: str) -> None:
    program = Program(f"self {sign} oldSelf", ("self", "oldSelf"))
    exact = {"+": left + right, "-": left - right, "*": left * right}.get(sign, 0)
    if not -(2**63) <= exact < 2**63 or (sign in "/%" and right == 0) or (left == -(2**63) and right == -1 and sign == "/"):
        with pytest.raises(EvaluationError, match=r"overflow|by zero"):
            program.evaluate({"self": left, "oldSelf": right})
        return
    result = program.evaluate({"self": left, "oldSelf": right})
    if sign in "+-*":
        assert result == exact
    else:
        quotient = abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)
        assert result == (quotient if sign == "/" else left - quotient * right)
    assert -(2**63) <= result < 2**63


def test_a_long_chain_of_conditions_is_no_deep_tree() -> None:
    assert evaluate(" && ".join(["self.a == 5"] * 500)) == ("ok", True)
    assert evaluate(" || ".join(["self.a == 6"] * 500)) == ("ok", False)
    assert evaluate("[" * 40 + "1" + "]" * 40)[0] == "ok"


def test_a_loop_does_not_touch_the_variables_around_it() -> None:
    assert evaluate("self.l.map(self, self * 2) == [2, 4, 6] && self.a == 5")[1] is True
    assert evaluate("[1, 0].exists(x, 1 / x == 7 || self.l.all(x, x > 0))")[1] is True


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)), st.integers(-(2**62), 2**62))
def test_times_are_those_of_the_rest_of_the_server(moment: datetime, nanos: int) -> None:
    text = f"{moment.isoformat(timespec='microseconds')}Z"
    assert parse_timestamp(text).nanos // 1000 == (timestamps.parse(text) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert parse_timestamp(timestamp_text(parse_timestamp(text))) == parse_timestamp(text)
    assert parse_duration(durations.format(nanos)).nanos == nanos == durations.parse(duration_text(Duration(nanos)))
