# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deletion of CustomResourceDefinitions goes on until their objects are gone: this drives what the registry does step by step."""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable, Iterable
from typing import Final

from kplane_server.controllers.runtime import WorkQueue
from kplane_server.model.keys import ResourceId
from kplane_server.storage.api import Event, EventType
from kplane_server.vcp.directory import Directory

DEFINITIONS: Final = ResourceId("customresourcedefinitions.apiextensions.k8s.io")
#: How soon to look again while objects of a definition are held by their finalizers (seconds).
HELD_PAUSE: Final = 1.0


class CustomResourceCleaner:
    """Keys are (VCP, name of the definition)."""

    name = "customresourcedefinition"
    resources: frozenset[ResourceId] | None = frozenset({DEFINITIONS})
    concurrency = 8

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def attach(self, queue: WorkQueue) -> None:
        return None

    def observe(self, event: Event) -> Iterable[Hashable]:
        if event.type is EventType.DELETED or b'"deletionTimestamp":"' not in event.value:
            return ()
        return ((event.key.vcp, event.key.name),)

    async def resync(self) -> AsyncIterator[Hashable]:
        for key in self._directory.store.terminating():
            if key.resource == DEFINITIONS:
                yield (key.vcp, key.name)

    async def reconcile(self, key: Hashable) -> float | None:
        assert isinstance(key, tuple)  # what observe gives
        vcp, name = key
        control_plane = self._directory.get(vcp)
        if control_plane is None or await control_plane.api.finish_definition(name):
            return None
        return HELD_PAUSE
