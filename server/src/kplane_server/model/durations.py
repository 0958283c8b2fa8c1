# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Go's text form of durations (``1h30m0s``), which ``metav1.Duration`` uses. Source: https://pkg.go.dev/time#ParseDuration."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

_UNITS: Final = {"ns": 1, "us": 1_000, "µs": 1_000, "μs": 1_000, "ms": 1_000_000, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_PART: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_LIMIT: Final = 1 << 63


def parse(text: str) -> int:
    """Nanoseconds. Raises ``ValueError`` for a text that is no duration or does not fit 64 bits."""
    body = text[1:] if text[:1] in ("+", "-") else text
    if body == "0":
        return 0
    total, at = Decimal(0), 0
    while match := _PART.match(body, at):
        total += Decimal(match[1]) * _UNITS[match[2]]
        at = match.end()
    if not body or at != len(body) or total >= _LIMIT:
        raise ValueError(f"invalid duration {text!r}")
    return -int(total) if text[0] == "-" else int(total)


def format(nanoseconds: int) -> str:
    """As Go writes it: hours, minutes and seconds for a second and more, else the one unit that fits."""
    if nanoseconds == 0:
        return "0s"
    sign, rest = ("-" if nanoseconds < 0 else ""), abs(nanoseconds)
    if rest < 10**9:
        unit = next(name for name in ("ms", "µs", "ns") if rest >= _UNITS[name])
        return f"{sign}{_decimal(rest, _UNITS[unit])}{unit}"
    hours, rest = divmod(rest, _UNITS["h"])
    minutes, rest = divmod(rest, _UNITS["m"])
    text = f"{_decimal(rest, _UNITS['s'])}s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    return sign + (f"{hours}h{text}" if hours else text)


def _decimal(value: int, unit: int) -> str:
    whole, fraction = divmod(value, unit)
    if not fraction:
        return str(whole)
    digits = str(fraction).rjust(len(str(unit)) - 1, "0").rstrip("0")
    return f"{whole}.{digits}"
