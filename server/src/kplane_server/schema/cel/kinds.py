# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Quantities, semantic versions and named formats.

Source: https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-quantity-library and the sections after it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from kplane_server.model import metadata, quantity
from kplane_server.schema.cel.network import parse_url
from kplane_server.schema.cel.registry import function, method, need
from kplane_server.schema.cel.values import (
    INT64,
    NONE,
    EvaluationError,
    Meter,
    Opaque,
    Optional,
    QuantityValue,
    Value,
)
from kplane_server.schema.formats import has_format

_SEMVER: Final = "kubernetes.Semver"
_FORMAT: Final = "kubernetes.NamedFormat"
_VERSION = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
    r"(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?",
    re.ASCII,
)


def _parse_quantity(text: str) -> QuantityValue:
    try:
        return QuantityValue(quantity.parse_quantity(text), text)
    except (ValueError, InvalidOperation) as error:
        raise EvaluationError(str(error)) from error


@function("quantity")
def to_quantity(meter: Meter, value: Value) -> Value:
    meter.text(len(need(value, str)))
    return _parse_quantity(value)


@function("isQuantity")
def is_quantity(meter: Meter, value: Value) -> Value:
    meter.text(len(need(value, str)))
    try:
        _parse_quantity(value)
    except EvaluationError:
        return False
    return True


@function("sign")
def sign(meter: Meter, value: Value) -> Value:
    number = need(value, QuantityValue).number
    return int(number > 0) - int(number < 0)


def _as_integer(value: Value) -> int | None:
    number = need(value, QuantityValue).number
    if number != number.to_integral_value() or not INT64[0] <= number <= INT64[1]:
        return None
    return int(number)


@method("isInteger")
def is_integer(meter: Meter, value: Value) -> Value:
    return _as_integer(value) is not None


@method("asInteger")
def as_integer(meter: Meter, value: Value) -> Value:
    number = _as_integer(value)
    if number is None:
        raise EvaluationError("cannot convert value to integer")
    return number


@method("asApproximateFloat")
def as_approximate_float(meter: Meter, value: Value) -> Value:
    return float(need(value, QuantityValue).number)


def _number(value: Value) -> Decimal:
    if isinstance(value, QuantityValue):
        return value.number
    return Decimal(int(need(value, int)))


def _made(number: Decimal) -> QuantityValue:
    return QuantityValue(number, str(quantity.Quantity(number, "decimal")))


@method("add", 1)
def add(meter: Meter, value: Value, other: Value) -> Value:
    return _made(need(value, QuantityValue).number + _number(other))


@method("sub", 1)
def sub(meter: Meter, value: Value, other: Value) -> Value:
    return _made(need(value, QuantityValue).number - _number(other))


def _order(left: Value, right: Value) -> int:
    """The order of two quantities or of two versions."""
    if isinstance(left, QuantityValue):
        one, other = left.number, need(right, QuantityValue).number
        return int(one > other) - int(one < other)
    mine, theirs = _version_order(left), _version_order(right)
    return int(mine > theirs) - int(mine < theirs)


@method("isGreaterThan", 1)
def is_greater_than(meter: Meter, left: Value, right: Value) -> Value:
    return _order(left, right) > 0


@method("isLessThan", 1)
def is_less_than(meter: Meter, left: Value, right: Value) -> Value:
    return _order(left, right) < 0


@method("compareTo", 1)
def compare_to(meter: Meter, left: Value, right: Value) -> Value:
    return _order(left, right)


# -- semantic versions


def _parse_version(text: str, normalize: bool) -> tuple[int, int, int, tuple[str, ...]]:
    if normalize:
        core, mark, rest = text.removeprefix("v"), "", ""
        found = re.search(r"[-+]", core)
        if found:
            core, mark, rest = core[: found.start()], found[0], core[found.end() :]
        parts = [part.lstrip("0") or "0" if part.isdigit() else part for part in core.split(".")]
        text = ".".join([*parts, "0", "0"][: max(3, len(parts))]) + mark + rest
    version = _VERSION.fullmatch(text) if len(text) <= 256 else None
    if version is None or any(int(version[part]) >= 2**64 for part in (1, 2, 3)):
        raise EvaluationError(f"Invalid character(s) found in version {text[:64]!r}")
    return int(version[1]), int(version[2]), int(version[3]), tuple((version[4] or "").split(".")) if version[4] else ()


@function("semver", 1, 2)
def to_semver(meter: Meter, value: Value, normalize: Value = False) -> Value:
    meter.text(len(need(value, str)))
    return Opaque(_SEMVER, _parse_version(value, need(normalize, bool)))


@function("isSemver", 1, 2)
def is_semver(meter: Meter, value: Value, normalize: Value = False) -> Value:
    meter.text(len(need(value, str)))
    try:
        _parse_version(value, need(normalize, bool))
    except EvaluationError:
        return False
    return True


def _version(value: Value) -> tuple[int, int, int, tuple[str, ...]]:
    if isinstance(value, Opaque) and value.kind == _SEMVER:
        found: tuple[int, int, int, tuple[str, ...]] = value.content
        return found
    raise EvaluationError("no such overload")


def _version_order(value: Value) -> tuple[Any, ...]:
    """Precedence by semver.org, item 11: a pre-release comes before its release, numbers before words."""
    major, minor, patch, pre = _version(value)
    identifiers = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in pre)
    return (major, minor, patch, not pre, identifiers)


@method("major")
def major_of(meter: Meter, value: Value) -> Value:
    return _version(value)[0]


@method("minor")
def minor_of(meter: Meter, value: Value) -> Value:
    return _version(value)[1]


@method("patch")
def patch_of(meter: Meter, value: Value) -> Value:
    return _version(value)[2]


# -- named formats


def _uri_problems(text: str) -> list[str]:
    try:
        parse_url(text)
    except EvaluationError as error:
        return [str(error)]
    return []


def _by_format(name: str, problem: str) -> Callable[[str], list[str]]:
    return lambda text: [] if has_format(text, name) else [problem]


_FORMATS: Final[dict[str, Callable[[str], list[str]]]] = {
    "dns1123Label": metadata.label_name,
    "dns1123Subdomain": metadata.subdomain_name,
    "dns1035Label": metadata.label_1035_name,
    "qualifiedName": metadata.qualified_name_problems,
    "dns1123LabelPrefix": lambda text: metadata.label_name(text, True),
    "dns1123SubdomainPrefix": lambda text: metadata.subdomain_name(text, True),
    "dns1035LabelPrefix": lambda text: metadata.label_1035_name(text, True),
    "labelValue": metadata.label_value_problems,
    "uri": _uri_problems,
    "uuid": _by_format("uuid", "does not match the UUID format"),
    "byte": _by_format("byte", "invalid base64"),
    "date": _by_format("date", "invalid date"),
    "datetime": _by_format("datetime", "invalid datetime"),
}


@function("format.named")
def format_named(meter: Meter, name: Value) -> Value:
    return Optional(Opaque(_FORMAT, name), True) if need(name, str) in _FORMATS else NONE


def _register(name: str) -> None:
    @function(f"format.{name}", 0)
    def named(meter: Meter) -> Value:
        return Opaque(_FORMAT, name)


for _name in _FORMATS:
    _register(_name)


@method("validate", 1)
def validate(meter: Meter, value: Value, text: Value) -> Value:
    if not isinstance(value, Opaque) or value.kind != _FORMAT:
        raise EvaluationError("no such overload")
    meter.text(len(need(text, str)) * 4)
    problems = _FORMATS[value.content](text)
    return Optional(problems, True) if problems else NONE
