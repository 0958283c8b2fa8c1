# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times as Kubernetes writes them: RFC 3339 in UTC, whole seconds (``metav1.Time``) or microseconds (``metav1.MicroTime``)."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

_RFC3339: Final = re.compile(r"(\d{4})-(\d{2})-(\d{2})T(\d{1,2}):(\d{2}):(\d{2})(?:[.,](\d{1,9})\d*)?(Z|[+-]\d{2}:\d{2})", re.ASCII)


def from_epoch(seconds: float) -> str:
    """Whole seconds since the epoch as ``2026-01-02T03:04:05Z``."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(seconds)))


def now() -> str:
    """The current time in whole seconds."""
    return from_epoch(time.time())


def micro_from_epoch(seconds: float) -> str:
    """Seconds since the epoch with six decimals: the form of Lease and Event times."""
    whole, fraction = divmod(round(seconds * 1_000_000), 1_000_000)
    return f"{from_epoch(whole)[:-1]}.{fraction:06d}Z"


def parse(text: str) -> datetime:
    """A ``datetime`` in UTC from any RFC 3339 text. Raises ``ValueError``."""
    found = _RFC3339.fullmatch(text)
    if found is None:
        raise ValueError(f'parsing time "{text[:64]}" as "2006-01-02T15:04:05Z07:00": cannot parse')
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    offset = UTC if zone == "Z" else _offset(zone)
    micros = int((fraction or "0").ljust(6, "0")[:6])
    try:
        moment = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), micros, offset)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f'parsing time "{text[:64]}": {error}') from error


def _offset(zone: str) -> timezone:
    hours, minutes = int(zone[1:3]), int(zone[4:6])
    if hours > 23 or minutes > 59:
        raise ValueError(f'parsing time zone "{zone}": out of range')
    span = timedelta(hours=hours, minutes=minutes)
    return timezone(-span if zone[0] == "-" else span)


def to_epoch(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 text. Raises ``ValueError``."""
    return parse(text).timestamp()


def canonical(text: str) -> str:
    """``text`` as the server writes a ``metav1.Time``: UTC, whole seconds."""
    return f"{parse(text).isoformat(timespec='seconds')[:19]}Z"


def canonical_micro(text: str) -> str:
    """``text`` as the server writes a ``metav1.MicroTime``: UTC, six decimals."""
    return f"{parse(text).isoformat(timespec='microseconds')[:26]}Z"


def human_duration(seconds: float) -> str:
    """A span as ``kubectl`` shows ages: ``5s``, ``3m12s``, ``10m``, ``2h5m``, ``12h``, ``3d4h``, ``12d``, ``2y30d``, ``9y``."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 0:
        return "0s"
    if whole < 60 * 2:
        return f"{whole}s"
    minutes = whole // 60
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if minutes < 60 * 3:
        return f"{minutes}m"
    hours = minutes // 60
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if hours < 24 * 8:
        return _two(days, "d", hours % 24, "h")
    if hours < 24 * 365 * 2:
        return f"{days}d"
    years = days // 365
    if hours < 24 * 365 * 8:
        return _two(years, "y", days % 365, "d")
    return f"{years}y"


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}{small}{small_unit}" if small else f"{large}{large_unit}"


def human_age(timestamp: str | None, at: float | None = None) -> str:
    """The age of ``timestamp`` at ``at`` (seconds since the epoch, default now); ``<unknown>`` when there is none."""
    if not timestamp:
        return "<unknown>"
    try:
        moment = to_epoch(timestamp)
    except ValueError:
        return "<invalid>"
    return human_duration((time.time() if at is None else at) - moment)
