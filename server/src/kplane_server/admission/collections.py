# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What plug-ins make of a whole collection, kept until the collection changes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final, Generic, TypeVar

from kplane_server.model.errors import Json
from kplane_server.model.keys import ResourceId, VcpId
from kplane_server.registry.attributes import Attributes

T = TypeVar("T")

#: For how many control planes one plug-in keeps something (mostly each has plug-ins of its own).
MAX_KEPT: Final = 64


class Compiled(Generic[T]):
    """``compile(all objects of a collection)``, for each control plane, made again when one of the collections named changed.

    Without a change this costs one look-up for each collection. Nothing of one control plane is ever seen by another.
    """

    def __init__(self, resource: ResourceId, compile: Callable[[Iterable[Json]], T]) -> None:
        self._resource = resource
        self._compile = compile
        self._kept: OrderedDict[VcpId, tuple[int, T]] = OrderedDict()

    def of(self, attributes: Attributes) -> T:
        """What was made of the collection as it is now, in the control plane of a write."""
        changed = attributes.lookup.changed(self._resource)
        kept = self._kept.get(attributes.vcp)
        if kept is not None and kept[0] == changed:
            return kept[1]
        made = self._compile(attributes.lookup.list(self._resource))
        self._kept[attributes.vcp] = (changed, made)
        self._kept.move_to_end(attributes.vcp)
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return made
