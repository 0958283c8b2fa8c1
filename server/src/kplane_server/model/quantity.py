# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Quantities: ``100m``, ``1.5Gi``, ``2e3``. Values are exact decimals; the canonical text is the one that a server answers with.

Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/.
"""

from __future__ import annotations

import re
from decimal import ROUND_UP, Context, Decimal, InvalidOperation
from functools import lru_cache
from typing import Final

PATTERN: Final = "^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"
PROBLEM: Final = f"quantities must match the regular expression '{PATTERN}'"

#: No value is larger, and none more precise than a billionth; both are cut silently, as upstream does.
MAXIMUM: Final = Decimal(2**63 - 1)
_FINEST: Final = Decimal("1e-9")
_MAX_LENGTH: Final = 64

_TEXT = re.compile(r"(?P<sign>[+-]?)(?P<number>\d+\.?\d*|\.\d+)(?P<suffix>[numkMGTPE]|[KMGTPE]i|[eE][+-]?\d{1,4})?")

_BINARY: Final = ("Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BY_EXPONENT: Final = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_CONTEXT: Final = Context(prec=60, rounding=ROUND_UP)


def _split(text: str) -> tuple[Decimal, str]:
    """(value, suffix). Raises ``ValueError``."""
    match = _TEXT.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    if match is None:
        raise ValueError(PROBLEM)
    suffix = match["suffix"] or ""
    try:
        number = Decimal(match["sign"] + match["number"])
        if suffix in _BINARY:
            number = _CONTEXT.multiply(number, Decimal(1024) ** (_BINARY.index(suffix) + 1))
        elif suffix[:1] in ("e", "E") and suffix != "E":
            number = _CONTEXT.scaleb(number, max(-99, min(99, int(suffix[1:]))))
        else:
            number = _CONTEXT.scaleb(number, _DECIMAL[suffix])
    except InvalidOperation as error:
        raise ValueError(PROBLEM) from error
    return _bounded(number), suffix


def _bounded(number: Decimal) -> Decimal:
    if abs(number) >= MAXIMUM:
        return MAXIMUM.copy_sign(number)
    return number if _CONTEXT.remainder(number, _FINEST) == 0 else number.quantize(_FINEST, rounding=ROUND_UP, context=_CONTEXT)


@lru_cache(maxsize=2048)
def parse_quantity(value: str | int | float) -> Decimal:
    """The exact value. Raises ``ValueError``."""
    return _split(_as_text(value))[0]


def _as_text(value: str | int | float) -> str:
    if isinstance(value, bool):
        raise ValueError(PROBLEM)
    return value if isinstance(value, str) else format(Decimal(str(value)), "f")


@lru_cache(maxsize=2048)
def canonical(value: str | int | float) -> str:
    """The text with the largest suffix that needs no fraction, in the same system (binary, decimal or exponent). Raises ``ValueError``."""
    number, suffix = _split(_as_text(value))
    if number == 0:
        return "0"
    if suffix in _BINARY:
        if abs(number) >= 1024 or number == number.to_integral_value():
            return _binary(number)
        return _decimal(number)
    if suffix[:1] in ("e", "E") and suffix != "E":
        mantissa, exponent = _scaled(number)
        return f"{mantissa}e{exponent}" if exponent else str(mantissa)
    return _decimal(number)


def _binary(number: Decimal) -> str:
    """Fractions of a byte are rounded up."""
    whole = int(number.to_integral_value(rounding=ROUND_UP))
    suffix = ""
    for name in _BINARY:
        if whole % 1024:
            break
        whole //= 1024
        suffix = name
    return f"{whole}{suffix}"


def _scaled(number: Decimal) -> tuple[int, int]:
    """(integer, exponent that is a multiple of 3)."""
    exponent = -9
    mantissa = int(_CONTEXT.scaleb(number, 9))
    while exponent < 18 and mantissa % 1000 == 0:
        mantissa //= 1000
        exponent += 3
    return mantissa, exponent


def _decimal(number: Decimal) -> str:
    mantissa, exponent = _scaled(number)
    return f"{mantissa}{_BY_EXPONENT[exponent]}"
