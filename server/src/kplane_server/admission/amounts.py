# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of amounts (``cpu: 500m``) and their arithmetic, as LimitRanges and ResourceQuotas need it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Final

from kplane_server.model.errors import Json
from kplane_server.model.quantity import Quantity, parse

#: A resource list: what each name amounts to.
Amounts = dict[str, Quantity]

ONE: Final = Quantity(Decimal(1), "decimal")
ZERO: Final = Quantity(Decimal(0), "decimal")


def amounts(document: Json) -> Amounts:
    """A resource list of a document that was validated; what is no quantity is left out."""
    found: Amounts = {}
    for name, value in (document or {}).items():
        quantity = amount(value)
        if quantity is not None:
            found[name] = quantity
    return found


def amount(value: Json) -> Quantity | None:
    """A quantity of a document, or None if it is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        return parse(value if isinstance(value, str) else repr(value))
    except ValueError:
        return None


def whole(number: int) -> Quantity:
    """A count."""
    return Quantity(Decimal(number), "decimal")


def plus(left: Quantity, right: Quantity) -> Quantity:
    """The sum, written as ``left`` is, unless that is zero."""
    return Quantity(left.value + right.value, left.form if left.value else right.form)


def add(total: Amounts, more: Mapping[str, Quantity]) -> None:
    """Add to ``total``, in place."""
    for name, value in more.items():
        total[name] = plus(total[name], value) if name in total else value


def at_least(total: Amounts, others: Mapping[str, Quantity]) -> None:
    """Raise each amount of ``total`` to that of ``others``, in place."""
    for name, value in others.items():
        if name not in total or value.value > total[name].value:
            total[name] = value


def minus(left: Mapping[str, Quantity], right: Mapping[str, Quantity]) -> Amounts:
    """The difference; a name that only ``right`` has is negative."""
    result = dict(left)
    for name, value in right.items():
        if name in result:
            result[name] = plus(result[name], Quantity(-value.value, value.form))
        else:
            result[name] = Quantity(-value.value, value.form)
    return result


def only(given: Mapping[str, Quantity], names: Collection[str]) -> Amounts:
    """The amounts of some names."""
    return {name: value for name, value in given.items() if name in names}


def rounded_up(value: Quantity) -> Quantity:
    """The next whole number."""
    return Quantity(value.value.to_integral_value(ROUND_CEILING), value.form)


def written(given: Mapping[str, Quantity]) -> dict[str, str]:
    """The amounts as a document holds them."""
    return {name: str(value) for name, value in sorted(given.items())}


def shown(given: Mapping[str, Quantity]) -> str:
    """The amounts as error texts show them."""
    return ",".join(f"{name}={value}" for name, value in sorted(given.items()))


def listed(names: Iterable[str]) -> str:
    """Names as error texts show them."""
    return ",".join(sorted(names))
