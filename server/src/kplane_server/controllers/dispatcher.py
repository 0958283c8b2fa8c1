# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All controllers of a server, over one stream of events."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from kplane_server.controllers.runtime import RESYNC_BATCH, Controller, WorkQueue
from kplane_server.model.keys import ResourceId
from kplane_server.storage.api import Compacted, Event, Store, Subscription

log: Final = logging.getLogger("kplane.controllers")

#: After a start, so many of the newest events are seen again: what a crash left unseen is among them.
REPLAYED_EVENTS: Final = 5_000
#: How long a resync waits for a queue that has enough (seconds).
RESYNC_PAUSE: Final = 0.005
#: Events handed out before other tasks of the loop get a turn.
EVENT_BATCH: Final = 500


class Dispatcher:
    """Hands each event to the controllers that listen to its resource, and their keys to their queues."""

    def __init__(self, store: Store, controllers: Sequence[Controller]) -> None:
        self._store = store
        self._members = [(c, WorkQueue(c.name, c.reconcile, c.concurrency)) for c in controllers]
        for controller, queue in self._members:
            controller.attach(queue)
        self._everything = [member for member in self._members if member[0].resources is None]
        self._by_resource: dict[ResourceId, list[tuple[Controller, WorkQueue]]] = {}
        for member in self._members:
            for resource in member[0].resources or ():
                self._by_resource.setdefault(resource, []).append(member)
        for members in self._by_resource.values():
            members += self._everything
        self._loop_task: asyncio.Task[None] | None = None
        self._resync_task: asyncio.Task[None] | None = None
        self._subscription: Subscription | None = None

    def queue(self, name: str) -> WorkQueue:
        """The queue of a controller."""
        return next(queue for controller, queue in self._members if controller.name == name)

    async def start(self) -> None:
        """Begin. Returns at once; the look at everything after the start goes on in the background."""
        loop = asyncio.get_running_loop()
        self._subscription = self._subscribe(max(0, self._store.revision - REPLAYED_EVENTS))
        self._loop_task = loop.create_task(self._listen(), name="controllers")
        self.look_again()

    async def stop(self) -> None:
        """End everything that runs."""
        tasks = [task for task in (self._loop_task, self._resync_task) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._subscription is not None:
            self._subscription.close()
        for _, queue in self._members:
            await queue.stop()

    def healthy(self) -> str | None:
        """None, or why the controllers do not work."""
        task = self._loop_task
        if task is None:
            return "the controllers have not been started"
        if not task.done():
            return None
        error = None if task.cancelled() else task.exception()
        return f"the controllers have ended: {error!r}" if error else "the controllers have been stopped"

    @property
    def idle(self) -> bool:
        """Whether every event has been seen and every queue is empty."""
        resyncing = self._resync_task is not None and not self._resync_task.done()
        seen = self._subscription is not None and self._subscription.revision >= self._store.revision
        return seen and not resyncing and all(queue.idle for _, queue in self._members)

    def statistics(self) -> dict[str, int]:
        """Figures for /metrics."""
        figures = {}
        for controller, queue in self._members:
            figures[f"{controller.name}.depth"] = queue.depth
            figures[f"{controller.name}.reconciled"] = queue.reconciled
            figures[f"{controller.name}.failures"] = queue.failures
        return figures

    # -- events

    def _subscribe(self, after: int) -> Subscription:
        """From ``after`` on, or from the oldest event that is kept, or from now."""
        for start in (after, None):
            try:
                return self._store.subscribe_resources(self._interests(), after if start is None else start)
            except Compacted as error:
                after = error.oldest
        return self._store.subscribe_resources(self._interests(), self._store.revision)

    def _interests(self) -> frozenset[ResourceId] | None:
        return None if self._everything else frozenset(self._by_resource)

    async def _listen(self) -> None:
        while True:
            assert self._subscription is not None  # set by start
            try:
                await self._subscription.wait()
                events = self._subscription.pop()
            except Compacted:
                log.warning("the controllers fell behind; looking at everything again")
                self._subscription.close()
                self._subscription = self._subscribe(self._store.revision)
                self.look_again()
                continue
            if not events and self._subscription.ended:
                return
            for start in range(0, len(events), EVENT_BATCH):
                for event in events[start : start + EVENT_BATCH]:
                    self._dispatch(event)
                await asyncio.sleep(0)

    def _dispatch(self, event: Event) -> None:
        for controller, queue in self._by_resource.get(event.key.resource, self._everything):
            try:
                for key in controller.observe(event):
                    queue.add(key)
            except Exception:
                # One document that a controller cannot read must not stop all the others.
                log.exception("%s: cannot judge the event of %s", controller.name, event.key)

    # -- everything again

    def look_again(self) -> None:
        """Let every controller look for work that no event will tell it of."""
        if self._resync_task is not None:
            self._resync_task.cancel()
        self._resync_task = asyncio.get_running_loop().create_task(self._look_at_everything(), name="controllers resync")

    async def _look_at_everything(self) -> None:
        for controller, queue in self._members:
            try:
                async for key in controller.resync():
                    queue.add(key)
                    while queue.unsettled > RESYNC_BATCH:
                        await asyncio.sleep(RESYNC_PAUSE)
            except Exception:
                log.exception("%s: cannot look at everything", controller.name)
