# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arithmetic, indexing and membership."""

from __future__ import annotations

import math

from kplane_server.schema.cel.values import (
    NONE,
    Duration,
    EvaluationError,
    MapList,
    Meter,
    Optional,
    SetList,
    Timestamp,
    Uint,
    Value,
    checked_int,
    checked_uint,
    contains,
    item_key,
)

_NANOS_MAX = 2**63 - 1
_TIMESTAMP_MIN, _TIMESTAMP_MAX = -62135596800 * 10**9, 253402300799999999999


def checked_duration(nanos: int) -> Duration:
    """A duration in range. Raises for an overflow."""
    if abs(nanos) > _NANOS_MAX:
        raise EvaluationError("integer overflow")
    return Duration(nanos)


def checked_timestamp(nanos: int, offset: int = 0) -> Timestamp:
    """A timestamp in range. Raises for an overflow."""
    if not _TIMESTAMP_MIN <= nanos <= _TIMESTAMP_MAX:
        raise EvaluationError("timestamp overflow")
    return Timestamp(nanos, offset)


def _kinds(left: Value, right: Value) -> type | None:
    """The numeric type of both operands, or ``None``."""
    kind = type(left)
    return kind if kind is type(right) and kind in (int, Uint, float) else None


def add(meter: Meter, left: Value, right: Value) -> Value:
    kind = _kinds(left, right)
    if kind is int:
        return checked_int(left + right)
    if kind is float:
        return left + right
    if kind is Uint:
        return checked_uint(left + right)
    if isinstance(left, str) and isinstance(right, str):
        meter.text(len(left), len(right))
        return left + right
    if isinstance(left, bytes) and isinstance(right, bytes):
        meter.text(len(left), len(right))
        return left + right
    if isinstance(left, list) and isinstance(right, list):
        meter.charge(1 + (len(left) + len(right)) // 10)
        return _join(left, right, meter)
    if isinstance(left, Duration) and isinstance(right, Duration):
        return checked_duration(left.nanos + right.nanos)
    if isinstance(left, Timestamp) and isinstance(right, Duration):
        return checked_timestamp(left.nanos + right.nanos)
    if isinstance(left, Duration) and isinstance(right, Timestamp):
        return checked_timestamp(left.nanos + right.nanos)
    raise EvaluationError("no such overload")


def _join(left: list[Value], right: list[Value], meter: Meter) -> list[Value]:
    """Concatenation; of lists that are sets, or have keys, union: an item of the right side takes the place of its equal."""
    if isinstance(left, MapList):
        joined = MapList(left)
        joined.keys = left.keys
        places = {item_key(item, left.keys): index for index, item in enumerate(joined)}
        for item in right:
            key = item_key(item, left.keys)
            if key in places:
                joined[places[key]] = item
            else:
                places[key] = len(joined)
                joined.append(item)
        return joined
    if isinstance(left, SetList):
        union = SetList(left)
        union.extend(item for item in right if not contains(left, item, meter))
        return union
    return [*left, *right]


def subtract(meter: Meter, left: Value, right: Value) -> Value:
    kind = _kinds(left, right)
    if kind is int:
        return checked_int(left - right)
    if kind is float:
        return left - right
    if kind is Uint:
        return checked_uint(left - right)
    if isinstance(left, Duration) and isinstance(right, Duration):
        return checked_duration(left.nanos - right.nanos)
    if isinstance(left, Timestamp) and isinstance(right, Duration):
        return checked_timestamp(left.nanos - right.nanos)
    if isinstance(left, Timestamp) and isinstance(right, Timestamp):
        return checked_duration(left.nanos - right.nanos)
    raise EvaluationError("no such overload")


def multiply(meter: Meter, left: Value, right: Value) -> Value:
    kind = _kinds(left, right)
    if kind is int:
        return checked_int(left * right)
    if kind is Uint:
        return checked_uint(left * right)
    if kind is float:
        return left * right
    raise EvaluationError("no such overload")


def divide(meter: Meter, left: Value, right: Value) -> Value:
    kind = _kinds(left, right)
    if kind is float:
        return _divide_floats(left, right)
    if kind is None:
        raise EvaluationError("no such overload")
    if right == 0:
        raise EvaluationError("division by zero")
    quotient = abs(left) // abs(right)  # towards zero, as Go divides
    signed = -quotient if (left < 0) != (right < 0) else quotient
    return checked_int(signed) if kind is int else checked_uint(signed)


def _divide_floats(left: float, right: float) -> float:
    if right:
        return left / right
    if not left or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1, right)


def modulo(meter: Meter, left: Value, right: Value) -> Value:
    kind = _kinds(left, right)
    if kind not in (int, Uint):
        raise EvaluationError("no such overload")
    if right == 0:
        raise EvaluationError("modulus by zero")
    remainder = abs(left) % abs(right)
    return (-remainder if left < 0 else remainder) if kind is int else Uint(remainder)


def negate(meter: Meter, value: Value) -> Value:
    if type(value) is int:
        return checked_int(-value)
    if type(value) is float:
        return -value
    if isinstance(value, Duration):
        return checked_duration(-value.nanos)
    raise EvaluationError("no such overload")


def whole(value: Value) -> int | None:
    """The integer that a number stands for, or ``None``."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if isinstance(value, int) or value.is_integer() else None


def member(meter: Meter, left: Value, right: Value) -> bool:
    """``left in right``."""
    if isinstance(right, list):
        return contains(right, left, meter)
    if isinstance(right, dict):
        key = map_key(left)
        return key is not None and key in right
    raise EvaluationError("no such overload")


def map_key(value: Value) -> Value:
    """A value as the key of a map (2.0 finds 2), or ``None`` if it cannot be one."""
    if isinstance(value, (str, bool)):
        return value
    return whole(value)


def index(container: Value, key: Value) -> Value:
    """``container[key]``. Raises :class:`EvaluationError` if there is no such element."""
    found = find(container, key)
    if found.present:
        return found.value
    raise EvaluationError(f"index out of bounds: {key}" if isinstance(container, list) else f"no such key: {key}")


def find(container: Value, key: Value) -> Optional:
    """``container[?key]``."""
    if isinstance(container, Optional):
        return find(container.value, key) if container.present else NONE
    if isinstance(container, list):
        at = whole(key)
        if at is None:
            raise EvaluationError("no such overload")
        return Optional(container[at], True) if 0 <= at < len(container) else NONE
    if isinstance(container, dict):
        name = map_key(key)
        return Optional(container[name], True) if name is not None and name in container else NONE
    raise EvaluationError("no such overload")
