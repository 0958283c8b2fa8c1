# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conversions between types, and times."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from kplane_server.schema.cel.operators import checked_duration, checked_timestamp
from kplane_server.schema.cel.registry import function, method, need
from kplane_server.schema.cel.values import (
    INT64,
    Duration,
    EvaluationError,
    Meter,
    Opaque,
    QuantityValue,
    Timestamp,
    TypeValue,
    Uint,
    Value,
    checked_int,
    checked_uint,
    type_name,
)

_UNITS: Final = {"h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6, "us": 10**3, "µs": 10**3, "μs": 10**3, "ns": 1}
_DURATION = re.compile(r"([-+]?)((?:(?:\d+\.?\d*|\.\d+)(?:h|ms|m|s|us|µs|μs|ns))+|0)", re.ASCII)
_DURATION_PART = re.compile(r"(\d*)\.?(\d*)(h|ms|m|s|us|µs|μs|ns)", re.ASCII)
_TIMESTAMP = re.compile(r"(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9})\d*)?(Z|[+-]\d{2}:\d{2})", re.ASCII)
_OFFSET = re.compile(r"([+-]?)(\d{1,2}):(\d{2})", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def parse_duration(text: str) -> Duration:
    """A duration as Go writes it. Raises :class:`EvaluationError`."""
    found = _DURATION.fullmatch(text) if len(text) < 256 else None
    if found is None:
        raise EvaluationError(f'time: invalid duration "{text[:64]}"')
    nanos = 0
    for whole, fraction, unit in _DURATION_PART.findall(found[2]):
        scale = _UNITS[unit]
        nanos += int(whole or "0") * scale
        if fraction:
            nanos += int(fraction) * scale // 10 ** len(fraction)
    return checked_duration(-nanos if found[1] == "-" else nanos)


def parse_timestamp(text: str) -> Timestamp:
    """An RFC 3339 time. Raises :class:`EvaluationError`."""
    found = _TIMESTAMP.fullmatch(text) if len(text) < 64 else None
    if found is None:
        raise EvaluationError(f'parsing time "{text[:64]}" as "2006-01-02T15:04:05Z07:00": cannot parse')
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    try:
        moment = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), tzinfo=_zone(zone))
        delta = moment - _EPOCH
    except (ValueError, OverflowError) as error:
        raise EvaluationError(f'parsing time "{text}": {error}') from error
    offset = moment.utcoffset() or timedelta()
    nanos = (delta.days * 86400 + delta.seconds) * 10**9 + int((fraction or "0").ljust(9, "0"))
    return checked_timestamp(nanos, int(offset.total_seconds()))


@lru_cache(maxsize=256)
def _zone(name: str) -> tzinfo:
    if name in ("Z", "UTC", ""):
        return UTC
    found = _OFFSET.fullmatch(name)
    try:
        if found is None:
            return ZoneInfo(name)
        span = timedelta(hours=int(found[2]), minutes=int(found[3]))
        return timezone(-span if found[1] == "-" else span)
    except (ValueError, OSError, LookupError) as error:
        raise EvaluationError(f"unknown time zone {name[:64]}") from error


def timestamp_text(value: Timestamp) -> str:
    seconds, nanos = divmod(value.nanos, 10**9)
    text = (_EPOCH + timedelta(seconds=seconds + value.offset)).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    hours, minutes = divmod(abs(value.offset) // 60, 60)
    zone = f"{'-' if value.offset < 0 else '+'}{hours:02d}:{minutes:02d}" if value.offset else "Z"
    return f"{text}.{str(nanos).rjust(9, '0').rstrip('0')}{zone}" if nanos else f"{text}{zone}"


def duration_text(value: Duration) -> str:
    seconds, nanos = divmod(abs(value.nanos), 10**9)
    sign = "-" if value.nanos < 0 else ""
    return f"{sign}{seconds}.{str(nanos).rjust(9, '0').rstrip('0')}s" if nanos else f"{sign}{seconds}s"


def double_text(value: float) -> str:
    """A double as Go's ``%g`` writes it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = repr(value)
    mantissa, _, exponent = text.partition("e")
    if exponent:
        number = int(exponent)
        if -5 < number < 21:
            return f"{value:.0f}" if number > 0 else text
        return f"{mantissa.removesuffix('.0')}e{'-' if number < 0 else '+'}{abs(number):02d}"
    return mantissa.removesuffix(".0")


@function("int")
def to_int(meter: Meter, value: Value) -> Value:
    if isinstance(value, float):
        if math.isnan(value) or not -(2.0**63) < value < 2.0**63:
            raise EvaluationError("integer overflow")
        return int(value)
    if isinstance(value, str):
        meter.text(len(value))
        if not re.fullmatch(r"[+-]?[0-9]{1,19}", value):
            raise EvaluationError(f'strconv.ParseInt: parsing "{value[:64]}": invalid syntax')
        return checked_int(int(value))
    if isinstance(value, Timestamp):
        return value.nanos // 10**9
    if isinstance(value, Duration):
        return value.nanos
    return checked_int(int(need(value, int)))


@function("uint")
def to_uint(meter: Meter, value: Value) -> Value:
    if isinstance(value, float):
        if math.isnan(value) or not 0 <= value < 2.0**64:
            raise EvaluationError("unsigned integer overflow")
        return Uint(int(value))
    if isinstance(value, str):
        if not re.fullmatch(r"[0-9]{1,20}", value):
            raise EvaluationError(f'strconv.ParseUint: parsing "{value[:64]}": invalid syntax')
        return checked_uint(int(value))
    return checked_uint(need(value, int))


@function("double")
def to_double(meter: Meter, value: Value) -> Value:
    if isinstance(value, str):
        try:
            if "_" in value or value.strip() != value:
                raise ValueError
            return float(value)
        except ValueError as error:
            raise EvaluationError(f'strconv.ParseFloat: parsing "{value[:64]}": invalid syntax') from error
    return float(need(value, int, float))


@function("string")
def to_string(meter: Meter, value: Value) -> Value:
    if isinstance(value, (str, bytes)):
        meter.text(len(value))
        return value if isinstance(value, str) else _decode(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return double_text(value)
    if isinstance(value, Timestamp):
        return timestamp_text(value)
    if isinstance(value, Duration):
        return duration_text(value)
    if isinstance(value, QuantityValue):
        return value.text
    if isinstance(value, Opaque) and value.kind in ("net.IP", "net.CIDR"):
        return str(value.content)
    return str(int(need(value, int)))


def _decode(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise EvaluationError("invalid UTF-8 in bytes, cannot convert to string") from error


@function("bytes")
def to_bytes(meter: Meter, value: Value) -> Value:
    meter.text(len(need(value, str, bytes)))
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value


@function("bool")
def to_bool(meter: Meter, value: Value) -> Value:
    if isinstance(value, str):
        if value in ("1", "t", "T", "true", "TRUE", "True"):
            return True
        if value in ("0", "f", "F", "false", "FALSE", "False"):
            return False
        raise EvaluationError(f"type conversion error from 'string' to 'bool': {value[:64]}")
    return need(value, bool)


@function("dyn")
def to_dyn(meter: Meter, value: Value) -> Value:
    return value


@function("type")
def type_of(meter: Meter, value: Value) -> Value:
    return TypeValue(type_name(value))


@function("duration")
def to_duration(meter: Meter, value: Value) -> Value:
    if isinstance(value, Duration):
        return value
    if type(value) is int:
        return checked_duration(value)
    return parse_duration(need(value, str))


@function("timestamp")
def to_timestamp(meter: Meter, value: Value) -> Value:
    if isinstance(value, Timestamp):
        return value
    if type(value) is int and INT64[0] <= value <= INT64[1]:
        return checked_timestamp(value * 10**9)
    return parse_timestamp(need(value, str))


def _local(value: Value, zone: Value) -> datetime:
    nanos = need(value, Timestamp).nanos
    moment = _EPOCH + timedelta(seconds=nanos // 10**9)
    return moment.astimezone(_zone(need(zone, str))) if zone is not None else moment


@method("getFullYear", 0, 1)
def get_full_year(meter: Meter, value: Value, zone: Value = None) -> Value:
    return _local(value, zone).year


@method("getMonth", 0, 1)
def get_month(meter: Meter, value: Value, zone: Value = None) -> Value:
    return _local(value, zone).month - 1


@method("getDate", 0, 1)
def get_date(meter: Meter, value: Value, zone: Value = None) -> Value:
    return _local(value, zone).day


@method("getDayOfMonth", 0, 1)
def get_day_of_month(meter: Meter, value: Value, zone: Value = None) -> Value:
    return _local(value, zone).day - 1


@method("getDayOfWeek", 0, 1)
def get_day_of_week(meter: Meter, value: Value, zone: Value = None) -> Value:
    return _local(value, zone).isoweekday() % 7


@method("getDayOfYear", 0, 1)
def get_day_of_year(meter: Meter, value: Value, zone: Value = None) -> Value:
    return _local(value, zone).timetuple().tm_yday - 1


def _towards_zero(nanos: int, unit: int) -> int:
    return nanos // unit if nanos >= 0 else -(-nanos // unit)


@method("getHours", 0, 1)
def get_hours(meter: Meter, value: Value, zone: Value = None) -> Value:
    return _towards_zero(value.nanos, 3600 * 10**9) if isinstance(value, Duration) else _local(value, zone).hour


@method("getMinutes", 0, 1)
def get_minutes(meter: Meter, value: Value, zone: Value = None) -> Value:
    return _towards_zero(value.nanos, 60 * 10**9) if isinstance(value, Duration) else _local(value, zone).minute


@method("getSeconds", 0, 1)
def get_seconds(meter: Meter, value: Value, zone: Value = None) -> Value:
    return _towards_zero(value.nanos, 10**9) if isinstance(value, Duration) else _local(value, zone).second


@method("getMilliseconds", 0, 1)
def get_milliseconds(meter: Meter, value: Value, zone: Value = None) -> Value:
    if isinstance(value, Duration):
        return _towards_zero(value.nanos, 10**6)
    return need(value, Timestamp).nanos % 10**9 // 10**6
