# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cache of current documents, bounded in bytes, that can drop a whole VCP at once.

It keeps two generations. What is asked for moves to (or stays in) the young one; when that holds half of the bytes it becomes the
old one, and what was old and not asked for is gone. That is nearly least-recently-used, and a hit costs two look-ups and no writes.
"""

from __future__ import annotations

from typing import Final

from kplane_server.model.keys import ObjectKey, VcpId
from kplane_server.storage.api import Stored

#: What an entry costs beside its document, roughly: two tuples, the name, slots in dictionaries.
ENTRY_OVERHEAD: Final = 400

_Generation = dict[VcpId, dict[ObjectKey, Stored]]


class Cache:
    """Current documents by key."""

    def __init__(self, limit: int) -> None:
        self._half = limit // 2
        self._young: _Generation = {}
        self._old: _Generation = {}
        self._young_bytes = 0
        self._old_bytes = 0

    def get(self, key: ObjectKey) -> Stored | None:
        bucket = self._young.get(key[0])
        if bucket is not None and (stored := bucket.get(key)) is not None:
            return stored
        bucket = self._old.get(key[0])
        if bucket is None or (stored := bucket.pop(key, None)) is None:
            return None
        if not bucket:
            del self._old[key[0]]
        self._old_bytes -= ENTRY_OVERHEAD + len(stored.value)
        self._insert(stored)
        return stored

    def put(self, stored: Stored) -> None:
        """Remember the current document of a key."""
        self.discard(stored.key)
        self._insert(stored)

    def discard(self, key: ObjectKey) -> None:
        """Forget a key."""
        self._young_bytes -= _take(self._young, key)
        self._old_bytes -= _take(self._old, key)

    def drop(self, vcp: VcpId) -> None:
        """Forget everything of one VCP."""
        for stored in self._young.pop(vcp, {}).values():
            self._young_bytes -= ENTRY_OVERHEAD + len(stored.value)
        for stored in self._old.pop(vcp, {}).values():
            self._old_bytes -= ENTRY_OVERHEAD + len(stored.value)

    def rotate(self) -> None:
        """Let what was not asked for since the last rotation go."""
        self._old, self._old_bytes = self._young, self._young_bytes
        self._young, self._young_bytes = {}, 0

    @property
    def bytes(self) -> int:
        """What the entries cost, roughly."""
        return self._young_bytes + self._old_bytes

    def __len__(self) -> int:
        return sum(map(len, self._young.values())) + sum(map(len, self._old.values()))

    def _insert(self, stored: Stored) -> None:
        weight = ENTRY_OVERHEAD + len(stored.value)
        if weight > self._half:
            return
        if self._young_bytes + weight > self._half:
            self.rotate()
        bucket = self._young.get(stored.key[0])
        if bucket is None:
            bucket = self._young[stored.key[0]] = {}
        bucket[stored.key] = stored
        self._young_bytes += weight


def _take(generation: _Generation, key: ObjectKey) -> int:
    """Remove a key from a generation; returns the bytes that it cost there."""
    bucket = generation.get(key[0])
    if bucket is None or (stored := bucket.pop(key, None)) is None:
        return 0
    if not bucket:
        del generation[key[0]]
    return ENTRY_OVERHEAD + len(stored.value)
