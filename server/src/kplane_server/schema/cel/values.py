# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of the language: how they are represented, their types, equality and order.

null, bool, int, double, string, bytes, list and map are Python's own; the rest are the classes here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from functools import total_ordering
from typing import Any, Final

Value = Any
INT64: Final = (-(2**63), 2**63 - 1)


class CompileError(ValueError):
    """An expression that is not one."""

    def __init__(self, message: str, position: int = 0) -> None:
        super().__init__(message)
        self.message, self.position = message, position


class InstantiationError(CompileError):
    """An expression that is one, but has a part that never has a value: ``int('abc')``."""


class EvaluationError(Exception):
    """An expression that has no value for the given input: a missing key, an overflow, a wrong type."""


class CostExceeded(Exception):
    """An evaluation that takes more than it may. Nothing in the language can catch it."""


class Meter:
    """What an evaluation may still cost. One unit is about one step; functions over text and lists cost by their size."""

    __slots__ = ("granted", "left")

    def __init__(self, limit: int) -> None:
        self.granted = self.left = limit

    def charge(self, units: int) -> None:
        self.left -= units
        if self.left < 0:
            raise CostExceeded("operation cancelled: actual cost limit exceeded")

    def text(self, *sizes: int) -> None:
        """A walk over so many characters, at a tenth of a unit each."""
        self.charge(sum(sizes) // 10)


class Uint(int):
    """An unsigned 64-bit integer, which no arithmetic mixes with a signed one."""


@total_ordering
@dataclass(frozen=True, slots=True)
class Duration:
    """Nanoseconds."""

    nanos: int

    def __lt__(self, other: Duration) -> bool:
        return self.nanos < other.nanos


@total_ordering
@dataclass(frozen=True, slots=True)
class Timestamp:
    """Nanoseconds since the epoch. ``offset`` (seconds east) only says how it was written."""

    nanos: int
    offset: int = field(default=0, compare=False)

    def __lt__(self, other: Timestamp) -> bool:
        return self.nanos < other.nanos


@dataclass(frozen=True, slots=True)
class Optional:
    """A value that may be missing."""

    value: Value = None
    present: bool = False

    def get(self) -> Value:
        if not self.present:
            raise EvaluationError("optional.none() dereference")
        return self.value


NONE: Final = Optional()


@dataclass(frozen=True, slots=True)
class TypeValue:
    """A type as a value: ``type(1) == int``."""

    name: str


@dataclass(frozen=True, slots=True)
class QuantityValue:
    """A Kubernetes quantity."""

    number: Decimal
    text: str


@dataclass(frozen=True, slots=True)
class Opaque:
    """A value that only its own functions can look into: ``net.IP``, ``net.CIDR``, ``kubernetes.URL``, ``kubernetes.Semver``, ..."""

    kind: str
    content: Any


class SetList(list[Value]):
    """A list of a field with list type ``set``: order is of no account, and ``+`` is union."""


class ObjectValue(dict[str, Value]):
    """An object that an expression made of a named type: ``Object.spec{replicas: 1}``, ``JSONPatch{op: "remove", path: "/a"}``."""

    __slots__ = ("name",)

    def __init__(self, name: str, fields: dict[str, Value]) -> None:
        super().__init__(fields)
        self.name = name


class MapList(list[Value]):
    """A list of a field with list type ``map``: items are told apart by ``keys``."""

    keys: tuple[str, ...] = ()


def type_name(value: Value) -> str:
    """The name of a value's type."""
    if isinstance(value, ObjectValue):
        return value.name
    for cls, name in _NAMES:
        if isinstance(value, cls):
            return name
    if isinstance(value, Opaque):
        return value.kind
    return "null_type" if value is None else type(value).__name__


_NAMES: Final[tuple[tuple[type, str], ...]] = (
    (bool, "bool"),
    (Uint, "uint"),
    (int, "int"),
    (float, "double"),
    (str, "string"),
    (bytes, "bytes"),
    (list, "list"),
    (dict, "map"),
    (Duration, "google.protobuf.Duration"),
    (Timestamp, "google.protobuf.Timestamp"),
    (Optional, "optional_type"),
    (TypeValue, "type"),
    (QuantityValue, "kubernetes.Quantity"),
)


def is_number(value: Value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def equal(left: Value, right: Value, meter: Meter) -> bool:
    """Equality: numbers by value whatever their type; anything else of different types is unequal."""
    meter.charge(1)
    if is_number(left) and is_number(right):
        return bool(left == right)
    if isinstance(left, list) and isinstance(right, list):
        return _equal_lists(left, right, meter)
    if isinstance(left, dict) and isinstance(right, dict):
        if getattr(left, "name", "") != getattr(right, "name", "") or len(left) != len(right):
            return False
        return all(key in right and equal(value, right[key], meter) for key, value in left.items())
    if isinstance(left, Optional) and isinstance(right, Optional):
        return left.present == right.present and (not left.present or equal(left.value, right.value, meter))
    if isinstance(left, (str, bytes)) and isinstance(right, (str, bytes)):
        meter.text(min(len(left), len(right)))
        return left == right
    if isinstance(left, QuantityValue) and isinstance(right, QuantityValue):
        return left.number == right.number
    if type(left) is not type(right):
        return False
    return bool(left == right)


def _equal_lists(left: list[Value], right: list[Value], meter: Meter) -> bool:
    if len(left) != len(right):
        return False
    if isinstance(left, MapList) and isinstance(right, list):
        keyed = {item_key(item, left.keys): item for item in right}
        return all((key := item_key(item, left.keys)) in keyed and equal(item, keyed[key], meter) for item in left)
    if isinstance(left, SetList) or isinstance(right, SetList):
        return all(contains(right, item, meter) for item in left)
    return all(equal(one, other, meter) for one, other in zip(left, right, strict=True))


def item_key(item: Value, keys: tuple[str, ...]) -> tuple[Any, ...]:
    """The identity of an item of a keyed list."""
    return tuple((type(item.get(key)), item.get(key)) for key in keys) if isinstance(item, dict) else (id(item),)


def contains(items: list[Value], wanted: Value, meter: Meter) -> bool:
    """Whether a list has an element."""
    return any(equal(item, wanted, meter) for item in items)


def ordered(left: Value, right: Value) -> int:
    """-1, 0 or 1. Raises :class:`EvaluationError` for values that have no order between them."""
    comparable = (is_number(left) and is_number(right)) or (
        type(left) is type(right) and isinstance(left, (str, bytes, bool, Duration, Timestamp))
    )
    if not comparable:
        raise EvaluationError("no such overload")
    if isinstance(left, str):
        left, right = left.encode("utf-8", "surrogatepass"), right.encode("utf-8", "surrogatepass")
    return int(left > right) - int(left < right)


def checked_int(number: int) -> int:
    """A signed 64-bit result. Raises for an overflow."""
    if not INT64[0] <= number <= INT64[1]:
        raise EvaluationError("integer overflow")
    return number


def checked_uint(number: int) -> Uint:
    """An unsigned 64-bit result. Raises for an overflow."""
    if not 0 <= number < 2**64:
        raise EvaluationError("unsigned integer overflow")
    return Uint(number)
