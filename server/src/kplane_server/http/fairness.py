# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much one control plane may ask for beside the others: who is exempt, how many writes may wait, and how many a second.

That waiting writes take turns is the store's part (``storage.sqlite.writer``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from time import monotonic
from typing import Final

from kplane_server.http.call import Call
from kplane_server.model.errors import TooManyRequests
from kplane_server.model.identity import MASTERS
from kplane_server.model.keys import VcpId

#: Rates that are remembered before those of control planes at rest are dropped.
MAX_BUCKETS: Final = 4_096


def is_exempt(call: Call) -> bool:
    """The administrators of root are never kept out. In a VCP its owner can be anybody, ``system:masters`` too, so nobody is exempt."""
    return call.plane.is_root and MASTERS in call.user.groups


class Writes:
    """What a write has to pass before its body is read."""

    def __init__(self, max_queued: int, clock: Callable[[], float] = monotonic) -> None:
        self._max_queued = max_queued
        self._clock = clock
        self._buckets: dict[VcpId, tuple[float, float]] = {}  # what is left, and when that was

    def admit(self, call: Call) -> None:
        """Raises 429, with the time after which it is worth trying again."""
        if is_exempt(call):
            return
        plane = call.plane
        vcp = plane.record.id
        if plane.store.queued(vcp) >= self._max_queued:
            raise TooManyRequests("too many writes of this control plane are waiting, please try again later", retry_after=1)
        rate = plane.limits.writes_per_second
        if rate is not None:
            self._take(vcp, rate)

    def _take(self, vcp: VcpId, rate: int) -> None:
        """One from the bucket of a control plane, which holds the writes of a second and fills at its rate."""
        now = self._clock()
        left, since = self._buckets.get(vcp, (float(rate), now))
        left = min(float(rate), left + (now - since) * rate)
        if left < 1.0:
            self._buckets[vcp] = (left, now)
            text = f"this control plane is limited to {rate} writes a second, please try again later"
            raise TooManyRequests(text, retry_after=math.ceil((1.0 - left) / rate))
        self._buckets[vcp] = (left - 1.0, now)
        if len(self._buckets) > MAX_BUCKETS:
            self._buckets = {vcp: bucket for vcp, bucket in self._buckets.items() if now - bucket[1] < 1.0}
