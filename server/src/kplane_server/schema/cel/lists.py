# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Functions over lists and maps (sizes, sums, order, sets), and optional values."""

from __future__ import annotations

from functools import cmp_to_key
from itertools import pairwise
from typing import Final

from kplane_server.schema.cel import operators
from kplane_server.schema.cel.registry import function, method, need
from kplane_server.schema.cel.values import (
    NONE,
    Duration,
    EvaluationError,
    Meter,
    Optional,
    Value,
    contains,
    equal,
    ordered,
)

_MAX_RANGE: Final = 1_000_000


def _size(value: Value) -> int:
    return len(need(value, str, bytes, list, dict))


@function("size")
def size_function(meter: Meter, value: Value) -> Value:
    return _size(value)


@method("size")
def size(meter: Meter, value: Value) -> Value:
    return _size(value)


@method("isSorted")
def is_sorted(meter: Meter, items: Value) -> Value:
    meter.charge(len(need(items, list)))
    return all(ordered(one, other) <= 0 for one, other in pairwise(items))


@method("sum")
def total(meter: Meter, items: Value) -> Value:
    meter.charge(len(need(items, list)))
    if not items:
        return 0
    result = items[0]
    if not isinstance(result, Duration):
        need(result, int, float)
    for item in items[1:]:
        result = operators.add(meter, result, item)
    return result


def _extreme(meter: Meter, items: Value, sign: int, name: str) -> Value:
    meter.charge(len(need(items, list)))
    if not items:
        raise EvaluationError(f"{name} called on empty list")
    best = items[0]
    for item in items[1:]:
        if ordered(item, best) * sign > 0:
            best = item
    return best


@method("min")
def smallest(meter: Meter, items: Value) -> Value:
    return _extreme(meter, items, -1, "min")


@method("max")
def largest(meter: Meter, items: Value) -> Value:
    return _extreme(meter, items, 1, "max")


@method("indexOf", 1, 2)
def index_of(meter: Meter, value: Value, wanted: Value, start: Value = 0) -> Value:
    """The first place of an element of a list, or of a part of a text."""
    if isinstance(value, list):
        return next((at for at, item in enumerate(value) if equal(item, wanted, meter)), -1)
    meter.text(len(need(value, str)), len(need(wanted, str)))
    if need(start, int) < 0:
        raise EvaluationError(f"index out of range: {start}")
    return -1 if start > len(value) else value.find(wanted, start)


@method("lastIndexOf", 1, 2)
def last_index_of(meter: Meter, value: Value, wanted: Value, last: Value = None) -> Value:
    """The last place of an element of a list, or of a part of a text."""
    if isinstance(value, list):
        return next((at for at in reversed(range(len(value))) if equal(value[at], wanted, meter)), -1)
    meter.text(len(need(value, str)), len(need(wanted, str)))
    if last is None:
        return value.rfind(wanted)
    if need(last, int) < 0:
        raise EvaluationError(f"index out of range: {last}")
    return -1 if last >= len(value) and wanted else value.rfind(wanted, 0, last + len(wanted))


@function("sets.contains", 2)
def sets_contains(meter: Meter, items: Value, wanted: Value) -> Value:
    need(items, list)
    return all(contains(items, item, meter) for item in need(wanted, list))


@function("sets.equivalent", 2)
def sets_equivalent(meter: Meter, left: Value, right: Value) -> Value:
    return sets_contains(meter, left, right) and sets_contains(meter, right, left)


@function("sets.intersects", 2)
def sets_intersects(meter: Meter, left: Value, right: Value) -> Value:
    need(right, list)
    return any(contains(right, item, meter) for item in need(left, list))


@method("slice", 2)
def slice_of(meter: Meter, items: Value, start: Value, end: Value) -> Value:
    if need(start, int) < 0 or need(end, int) < 0:
        raise EvaluationError("cannot slice: negative indexes not supported")
    if start > end:
        raise EvaluationError("cannot slice: start index must be less than or equal to end index")
    if end > len(need(items, list)):
        raise EvaluationError("cannot slice: list is length " + str(len(items)))
    meter.charge(end - start)
    return list(items[start:end])


@method("reverse")
def reverse(meter: Meter, items: Value) -> Value:
    meter.charge(len(need(items, list)))
    return list(reversed(items))


@method("flatten", 0, 1)
def flatten(meter: Meter, items: Value, depth: Value = 1) -> Value:
    if need(depth, int) < 0:
        raise EvaluationError("level must be non-negative")
    out: list[Value] = []
    for item in need(items, list):
        meter.charge(1)
        out.extend(flatten(meter, item, depth - 1) if isinstance(item, list) and depth > 0 else [item])
    return out


@method("distinct")
def distinct(meter: Meter, items: Value) -> Value:
    out: list[Value] = []
    for item in need(items, list):
        if not contains(out, item, meter):
            out.append(item)
    return out


@method("sort")
def sort(meter: Meter, items: Value) -> Value:
    return sort_by_keys(meter, need(items, list), need(items, list))


def sort_by_keys(meter: Meter, items: list[Value], keys: list[Value]) -> list[Value]:
    """``items`` in the order of ``keys``."""
    meter.charge(1 + len(items) * max(1, len(items).bit_length()))

    def order(one: int, other: int) -> int:
        return ordered(keys[one], keys[other])

    return [items[place] for place in sorted(range(len(items)), key=cmp_to_key(order))]


@function("lists.range")
def lists_range(meter: Meter, end: Value) -> Value:
    meter.charge(max(0, need(end, int)))
    if end > _MAX_RANGE:
        raise EvaluationError("range is too large")
    return list(range(end))


# -- optional values


@function("optional.of")
def optional_of(meter: Meter, value: Value) -> Value:
    return Optional(value, True)


@function("optional.none", 0)
def optional_none(meter: Meter) -> Value:
    return NONE


@function("optional.ofNonZeroValue")
def optional_of_non_zero(meter: Meter, value: Value) -> Value:
    zero = value is None or value is False or (isinstance(value, (int, float, str, bytes, list, dict)) and not value)
    return NONE if zero else Optional(value, True)


@method("hasValue")
def has_value(meter: Meter, value: Value) -> Value:
    return need(value, Optional).present


@method("value")
def value_of(meter: Meter, value: Value) -> Value:
    return need(value, Optional).get()


@method("first")
def first_of(meter: Meter, items: Value) -> Value:
    return Optional(items[0], True) if need(items, list) else NONE


@method("last")
def last_of(meter: Meter, items: Value) -> Value:
    return Optional(items[-1], True) if need(items, list) else NONE


@function("optional.unwrap")
@method("unwrapOpt")
def unwrapped(meter: Meter, items: Value) -> Value:
    """The values of the optionals that have one."""
    meter.charge(len(need(items, list)))
    return [item.value for item in items if need(item, Optional).present]
