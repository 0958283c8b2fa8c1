# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Quantities: numbers with a unit suffix, such as ``100m``, ``1.5Gi`` or ``12e6``.

Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/. A quantity has at most nine decimal
places (more are rounded away from zero); one with a binary suffix is capped where 64 bits end.
"""

from __future__ import annotations

import re
from decimal import MAX_EMAX, MIN_EMIN, ROUND_UP, Context, Decimal
from functools import lru_cache
from typing import Final, NamedTuple

#: Longer texts are refused before they are parsed.
MAX_LENGTH: Final = 256

_BINARY: Final = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY_NAMES: Final = {power: name for name, power in _BINARY.items()}
_DECIMAL_NAMES: Final = {exponent: name for name, exponent in _DECIMAL.items()}
_TEXT = re.compile(r"(?P<sign>[+-]?)(?P<digits>[0-9]*)(?P<dot>\.?)(?P<fraction>[0-9]*)(?P<suffix>[eEinumkKMGTP]*[-+]?[0-9]*)", re.ASCII)
_EXPONENT = re.compile(r"[eE][+-]?[0-9]{1,18}")
_CONTEXT = Context(prec=700, rounding=ROUND_UP, Emax=MAX_EMAX, Emin=MIN_EMIN)
_MAX: Final = Decimal(2**63 - 1)
_NANO: Final = Decimal("1e-9")
_MAX_EXPONENT: Final = 300

_FORMAT_PROBLEM: Final = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
_SUFFIX_PROBLEM: Final = "unable to parse quantity's suffix"


class Quantity(NamedTuple):
    """A parsed quantity. ``form`` says how it is written again: ``binary``, ``decimal`` or ``exponent``."""

    value: Decimal
    form: str

    def __str__(self) -> str:
        """The canonical form: no fraction, the largest suffix that loses nothing."""
        return _canonical(self.value, self.form)


@lru_cache(maxsize=2048)
def parse(text: str) -> Quantity:
    """Parse a quantity. Raises ``ValueError`` with Kubernetes' words."""
    found = _TEXT.fullmatch(text) if len(text) <= MAX_LENGTH else None
    if found is None or not (found["digits"] or found["fraction"]):
        raise ValueError(_FORMAT_PROBLEM)
    suffix = found["suffix"]
    number = Decimal(f"{found['sign']}{found['digits'] or '0'}.{found['fraction'] or '0'}")
    if suffix in _BINARY:
        value, form = _CONTEXT.multiply(number, Decimal(1024 ** _BINARY[suffix])), "binary"
        value = min(max(value, -_MAX), _MAX)  # only these are capped upstream
        if -1 < value < 1:
            form = "decimal"
    elif suffix in _DECIMAL:
        value, form = _CONTEXT.scaleb(number, _DECIMAL[suffix]), "decimal"
    elif _EXPONENT.fullmatch(suffix):
        exponent = max(-_MAX_EXPONENT, min(_MAX_EXPONENT, int(suffix[1:])))
        value, form = _CONTEXT.scaleb(number, exponent), "exponent"
    else:
        raise ValueError(_SUFFIX_PROBLEM)
    places = value.as_tuple().exponent
    return Quantity(_CONTEXT.quantize(value, _NANO) if isinstance(places, int) and places < -9 else value, form)


def parse_quantity(text: str | int | float) -> Decimal:
    """The value of a quantity, which JSON may also hold as a number. Raises ``ValueError``."""
    return parse(text if isinstance(text, str) else _number_text(text)).value


def canonical(text: str | int | float) -> str:
    """A quantity as the server writes it. Raises ``ValueError``."""
    return str(parse(text if isinstance(text, str) else _number_text(text)))


def _number_text(number: int | float) -> str:
    if isinstance(number, bool):
        raise ValueError(_FORMAT_PROBLEM)
    return repr(number)


def compare(left: str, right: str) -> int:
    """-1, 0 or 1, as ``left`` is less than, equal to or greater than ``right``."""
    first, second = parse_quantity(left), parse_quantity(right)
    return (first > second) - (first < second)


def _canonical(value: Decimal, form: str) -> str:
    if not value:
        return "0"
    if form == "binary" and -1024 < value < 1024:
        form = "decimal"  # as upstream: too small to be worth a binary suffix
    if form == "binary" and value == value.to_integral_value():
        return _binary(int(value))
    return _thousands(value, "exponent" if form == "exponent" else "decimal")


def _binary(number: int) -> str:
    power = 0
    while power < 6 and number % 1024 == 0:
        number //= 1024
        power += 1
    return f"{number}{_BINARY_NAMES.get(power, '')}"


def _thousands(value: Decimal, form: str) -> str:
    """An integer with the largest power of a thousand taken out; a fraction becomes milli, micro or nano."""
    sign, digits, exponent = value.normalize(_CONTEXT).as_tuple()
    assert isinstance(exponent, int)  # never infinite: parse caps it
    mantissa = int("".join(map(str, digits)))
    shift = exponent % 3
    mantissa, exponent = mantissa * 10**shift, exponent - shift
    text = f"{'-' if sign else ''}{mantissa}"
    if form == "exponent":
        return text if exponent == 0 else f"{text}e{exponent}"
    if exponent > 18:
        return f"{text}{'0' * (exponent - 18)}E"
    return f"{text}{_DECIMAL_NAMES[exponent]}"
