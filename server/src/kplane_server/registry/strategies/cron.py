# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cron schedules and time zones: are they ones?

Source: https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-syntax
"""

from __future__ import annotations

import re
import zoneinfo
from functools import lru_cache
from typing import Final

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")

#: (name, lowest, highest, names of the values from the lowest on).
_FIELDS: Final = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 6, _DAYS),
)
_DESCRIPTORS: Final = frozenset({"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"})
_DURATION: Final = re.compile(r"@every ([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+")
_MAX_LENGTH: Final = 256


def schedule_problem(text: str) -> str:
    """Why a text is not a schedule; empty when it is."""
    if len(text) > _MAX_LENGTH:
        return f"must be no more than {_MAX_LENGTH} characters"
    if "TZ" in text:
        return "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
    if text.startswith("@"):
        known = text in _DESCRIPTORS or _DURATION.fullmatch(text) is not None
        return "" if known else f"unrecognized descriptor: {text}"
    fields = text.split()
    if len(fields) != len(_FIELDS):
        return f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]"
    for field, (_, low, high, names) in zip(fields, _FIELDS, strict=True):
        for part in field.split(","):
            if problem := _part_problem(part, low, high, names):
                return problem
    return ""


def _number(text: str, low: int, names: tuple[str, ...]) -> int | None:
    if text.lower() in names:
        return names.index(text.lower()) + low
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else None


def _part_problem(part: str, low: int, high: int, names: tuple[str, ...]) -> str:
    """One entry of a field: ``*``, ``5``, ``1-5``, ``*/10``, ``mon``."""
    span, slash, step = part.partition("/")
    if slash and (not step.isascii() or not step.isdigit() or len(step) > 8):
        return f"failed to parse int from {step}: invalid syntax"
    if slash and int(step) == 0:
        return f"step of range should be a positive number: {part}"
    if span in ("*", "?"):
        return ""
    first, dash, last = span.partition("-")
    begin, end = _number(first, low, names), _number(last if dash else first, low, names)
    if begin is None or end is None:
        return f"failed to parse int from {first if begin is None else last}: invalid syntax"
    if begin < low:
        return f"beginning of range ({begin}) below minimum ({low}): {part}"
    if end > high:
        return f"end of range ({end}) above maximum ({high}): {part}"
    if begin > end:
        return f"beginning of range ({begin}) beyond end of range ({end}): {part}"
    return ""


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def zone_problem(text: str) -> str:
    """Why a text is not the name of a time zone; empty when it is. Where the system knows no zones at all, only the form counts."""
    if not text:
        return "timeZone must be nil or non-empty string"
    if text.lower() == "local":
        return "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
    known = _zones()
    if known and text not in known:
        return f"unknown time zone {text}"
    return ""
