# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bounds on what is being worked on at once, for the server and for each control plane, so that a noisy one leaves room for the others."""

from __future__ import annotations

from kplane_server.model.errors import TooManyRequests


class InFlight:
    """Counts what has begun and not ended, by control plane. Holds nothing for a control plane that is idle."""

    def __init__(self, total: int, per_plane: int, what: str) -> None:
        self._limit = total
        self._limit_per_plane = per_plane
        self._what = what
        self._total = 0
        self._planes: dict[int, int] = {}

    @property
    def total(self) -> int:
        return self._total

    def enter(self, plane: int, limit: int | None = None, *, exempt: bool = False) -> None:
        """Take a place. Raises 429 when there is none; the caller must :meth:`leave` otherwise.

        limit: of this control plane alone, where it is lower. exempt: counted, and never refused.
        """
        mine = self._planes.get(plane, 0)
        if exempt:
            pass
        elif mine >= self._limit_per_plane or (limit is not None and mine >= limit):
            raise TooManyRequests(f"too many {self._what} of this control plane, please try again later", retry_after=1)
        elif self._total >= self._limit:
            raise TooManyRequests(f"too many {self._what}, please try again later", retry_after=1)
        self._planes[plane] = mine + 1
        self._total += 1

    def leave(self, plane: int) -> None:
        """Give the place back."""
        self._total -= 1
        left = self._planes[plane] - 1
        if left:
            self._planes[plane] = left
        else:
            del self._planes[plane]
