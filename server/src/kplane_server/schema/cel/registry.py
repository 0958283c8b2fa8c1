# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table that functions are found in, and the checks of arguments that they share.

A function takes the meter, then (for a method) the value it is called on, then its arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from kplane_server.schema.cel.values import EvaluationError, Value

Implementation = Callable[..., Value]


class Function(NamedTuple):
    """An implementation and how many arguments it takes (a receiver not counted)."""

    run: Implementation
    least: int
    most: int


#: Functions by name, ``optional.of`` and the like included.
FUNCTIONS: Final[dict[str, Function]] = {}
#: Functions called on a value.
METHODS: Final[dict[str, Function]] = {}


def function(name: str, least: int = 1, most: int | None = None) -> Callable[[Implementation], Implementation]:
    """Register a global function."""

    def register(run: Implementation) -> Implementation:
        FUNCTIONS[name] = Function(run, least, least if most is None else most)
        return run

    return register


def method(name: str, least: int = 0, most: int | None = None) -> Callable[[Implementation], Implementation]:
    """Register a function that is called on a value."""

    def register(run: Implementation) -> Implementation:
        METHODS[name] = Function(run, least, least if most is None else most)
        return run

    return register


def need(value: Value, *types: type) -> Any:
    """``value`` if it is of one of the types (a bool is no int here). Raises :class:`EvaluationError`."""
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        raise EvaluationError("no such overload")
    return value
