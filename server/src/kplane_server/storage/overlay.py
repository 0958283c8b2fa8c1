# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VCP as an overlay on its layer: how rows, whiteouts and the layer's objects make one sorted collection. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from kplane_server.model.keys import ObjectKey, ResourceId, Scope
from kplane_server.storage.api import Layer, Stored, VcpRecord

#: Where an object is in its collection: (namespace, name).
Position = tuple[str, str]

#: A row as it is kept: namespace, name, revision, and the document, which is ``None`` for a whiteout.
Row = tuple[str, str, int, bytes | None]

#: What a store is given: one layer for all VCPs, or a function that chooses one by the record.
LayerSource = Layer | Callable[[VcpRecord], Layer]


class NoLayer:
    """The layer of VCPs that begin empty."""

    def get(self, vcp: VcpRecord, resource: ResourceId, namespace: str, name: str) -> bytes | None:
        return None

    def names(self, vcp: VcpRecord, resource: ResourceId) -> Sequence[Position]:
        return ()

    def resources(self, vcp: VcpRecord) -> Iterable[ResourceId]:
        return ()


class Overlay:
    """The layers of all VCPs, asked by record.

    ``changed``: the revision at which the layer became what it is. A layer object is as old as its VCP, or as that.
    """

    def __init__(self, source: LayerSource, changed: int = 0) -> None:
        self._source = source
        self._changed = changed

    def layer(self, record: VcpRecord) -> Layer:
        source = self._source
        return source(record) if callable(source) else source

    def get(self, record: VcpRecord, key: ObjectKey) -> Stored | None:
        """The layer's object of a key, at the revision of the VCP's making or of the layer's last change."""
        if record.revision < self._changed:
            record = replace(record, revision=self._changed)
        value = self.layer(record).get(record, key.resource, key.namespace, key.name)
        return None if value is None else Stored(key, record.revision, value)

    def names(self, record: VcpRecord, scope: Scope, after: Position | None = None) -> Sequence[Position]:
        """The layer's positions in a scope, after ``after``, sorted."""
        names = self.layer(record).names(record, scope.resource)
        if not names:
            return ()
        start, end = 0, len(names)
        if scope.namespace is not None:
            start = bisect_left(names, (scope.namespace, ""))
            end = bisect_left(names, (scope.namespace + "\0", ""))
        if after is not None:
            start = max(start, bisect_right(names, after))
        return names[start:end]


def merge(scope: Scope, rows: Iterable[Row], names: Sequence[Position], base: Callable[[ObjectKey], Stored | None]) -> Iterator[Stored]:
    """Rows over layer objects, in key order. ``rows`` and ``names`` are sorted; a row hides the layer object of its place."""
    vcp, resource, _ = scope
    remaining = iter(names)
    pending = next(remaining, None)
    for namespace, name, revision, value in rows:
        position = (namespace, name)
        while pending is not None and pending < position:
            if (stored := base(ObjectKey(vcp, resource, *pending))) is not None:
                yield stored
            pending = next(remaining, None)
        if pending == position:
            pending = next(remaining, None)
        if value is not None:
            yield Stored(ObjectKey(vcp, resource, namespace, name), revision, value)
    while pending is not None:
        if (stored := base(ObjectKey(vcp, resource, *pending))) is not None:
            yield stored
        pending = next(remaining, None)


def rewind(current: Iterable[Stored], past: Mapping[Position, Stored | None], after: Position | None) -> Iterator[Stored]:
    """The collection as it was: ``past`` says for every position that has changed since what was there, or ``None``."""
    older = sorted(s for p, s in past.items() if s is not None and (after is None or p > after))
    remaining = iter(older)
    pending = next(remaining, None)
    for stored in current:
        position = (stored.key.namespace, stored.key.name)
        if position in past:
            continue
        while pending is not None and (pending.key.namespace, pending.key.name) < position:
            yield pending
            pending = next(remaining, None)
        yield stored
    while pending is not None:
        yield pending
        pending = next(remaining, None)
