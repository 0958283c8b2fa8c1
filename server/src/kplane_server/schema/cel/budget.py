# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What evaluations may cost together: upstream's limits, and where the work may be done.

A unit is about one step, as cel-go counts it; but what takes longer here, such as the comparison of large structures, costs more.
Source: https://github.com/kubernetes/apiserver/blob/v0.34.2/pkg/apis/cel/config.go.
"""

from __future__ import annotations

from typing import Final, Protocol

from kplane_server.schema.cel.values import Meter

#: One evaluation.
CALL_LIMIT: Final = 1_000_000
#: All rules of a document, or all validations of a policy with one binding and one set of parameters.
TOTAL_LIMIT: Final = 10_000_000
#: All match conditions of a policy or a webhook.
CONDITIONS_LIMIT: Final = 2_500_000
#: What is done on the event loop at once (some hundredths of a second).
HERE_LIMIT: Final = 50_000


class Elsewhere(Exception):
    """More work than may be done where others wait. Nothing was decided: it is to be done again, aside."""


class Place(Protocol):
    """Where evaluations are made."""

    def meter(self, granted: int) -> Meter:
        """A meter for so many units, or for fewer. Raises Elsewhere."""
        ...

    def settle(self, spent: int) -> None:
        """So much was done."""
        ...


class Here:
    """The event loop."""

    __slots__ = ("left",)

    def __init__(self, limit: int = HERE_LIMIT) -> None:
        self.left = limit

    def meter(self, granted: int) -> Meter:
        if self.left <= 0:
            raise Elsewhere
        return Meter(min(granted, self.left))

    def settle(self, spent: int) -> None:
        self.left -= spent


class Anywhere:
    """A place where nobody waits."""

    __slots__ = ()

    def meter(self, granted: int) -> Meter:
        return Meter(granted)

    def settle(self, spent: int) -> None:
        return None


class Budget:
    """What is left of a limit. Each evaluation opens a meter and closes it again."""

    __slots__ = ("_granted", "_place", "left")

    def __init__(self, limit: int = TOTAL_LIMIT, place: Place | None = None) -> None:
        self.left = limit
        self._place = place or Anywhere()
        self._granted = 0

    def open(self, limit: int = CALL_LIMIT) -> Meter:
        """A meter for one evaluation. Raises Elsewhere."""
        self._granted = min(limit, max(0, self.left))
        return self._place.meter(self._granted)

    def close(self, meter: Meter) -> None:
        """Take off what an evaluation has cost. Raises Elsewhere if it was stopped by the place, not by its limit."""
        spent = meter.granted - max(0, meter.left)
        self.left -= spent
        self._place.settle(spent)
        if meter.left < 0 and meter.granted < self._granted:
            raise Elsewhere
