# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which control planes are at work: open watches, and what has changed since it was last reported. An idle one has no entry."""

from __future__ import annotations

from collections.abc import Callable

from kplane_server.model.keys import VcpId


class Activity:
    """Counted by the front door, read by metrics and by whoever reports usage."""

    def __init__(self) -> None:
        self.watches: dict[VcpId, int] = {}
        self._listener: Callable[[VcpId], None] | None = None

    def listen(self, listener: Callable[[VcpId], None] | None) -> None:
        """Be told of each control plane whose number of watches changes."""
        self._listener = listener

    def watch_opened(self, vcp: VcpId) -> None:
        self.watches[vcp] = self.watches.get(vcp, 0) + 1
        if self._listener is not None:
            self._listener(vcp)

    def watch_closed(self, vcp: VcpId) -> None:
        left = self.watches[vcp] - 1
        if left:
            self.watches[vcp] = left
        else:
            del self.watches[vcp]
        if self._listener is not None:
            self._listener(vcp)
