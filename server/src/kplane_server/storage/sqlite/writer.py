# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Group commit: requests queue on the event loop, and everything that waits goes into one transaction.

The queue is fair: each VCP has its own, and they take turns, one request each. What comes while a transaction is built is still taken
into it; while several VCPs write it is soon closed, so that one that floods neither fills it nor makes others wait for a long one.

The statements run on the loop: they touch memory only (the page cache does not spill), and each would otherwise have to win the
interpreter back from the loop. What waits for the disk (COMMIT, checkpoints) runs in the one writer thread, and while it does the next
requests gather. There is never more than one transaction open.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from kplane_server.model.keys import ROOT_VCP_ID, VcpId
from kplane_server.storage.api import StorageFull, StorageUnavailable
from kplane_server.storage.sqlite.batch import Batch
from kplane_server.storage.sqlite.connection import checkpoint_beside, failure

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

#: Bounds of one transaction: how long those in it wait for each other, and how much memory it dirties.
BATCH_REQUESTS: Final = 512
BATCH_BYTES: Final = 4 << 20

#: While several VCPs write, after how many requests a transaction is closed, if every VCP that waits has had a turn in it. And for how long
#: (seconds) after a request of another VCP there are several: the next one may come while a transaction is on its way.
SHARED_REQUESTS: Final = 8
COMPANY_SECONDS: Final = 0.25

#: How long (seconds) the statements of a transaction may hold the loop before others have their turn.
SLICE_SECONDS: Final = 0.001

#: How much may wait (bytes of documents) before callers have to wait to queue.
QUEUE_BYTES: Final = 64 << 20

#: The size of the write-ahead log at which it is moved into the database: first beside the writer, then what has come meanwhile.
CHECKPOINT_BYTES: Final = 16 << 20


class Host(Protocol):
    """What the writer needs of the store."""

    def begin(self) -> Batch: ...

    def pin(self) -> None:
        """Keep readers on the state before the commit that is about to happen."""
        ...

    def publish(self, batch: Batch | None) -> None:
        """Let readers go on; with a batch, to the state that it has made."""
        ...


@dataclass(slots=True, eq=False)
class _Request:
    operation: Callable[[Batch], Any]
    weight: int
    future: asyncio.Future[Any]


_Outcome = tuple[_Request, Any, BaseException | None]


class Writer:
    """The queue and the one task that empties it."""

    def __init__(self, connection: sqlite3.Connection, path: Path, host: Host) -> None:
        self._connection = connection
        self._path = path
        self._wal = f"{path}-wal"
        self._host = host
        self._queues: OrderedDict[VcpId, deque[_Request]] = OrderedDict()  # in the order of their turns
        self._waiting = 0
        self._last = ROOT_VCP_ID
        self._company_until = 0.0
        self._queued_bytes = 0
        self._signal = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._closing = False
        self._checkpoint_at = CHECKPOINT_BYTES
        self._vacuum_pages = 0
        self._backfill: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kplane-store")
        self.failed: StorageFull | StorageUnavailable | None = None
        self.transactions = 0
        self.requests = 0
        self._task = asyncio.get_running_loop().create_task(self._run(), name="storage-writer")

    @property
    def depth(self) -> int:
        """How many requests wait."""
        return self._waiting

    def queued(self, vcp: VcpId) -> int:
        """How many requests of a VCP wait."""
        return len(self._queues.get(vcp, ()))

    async def submit(self, operation: Callable[[Batch], _T], weight: int = 0, vcp: VcpId = ROOT_VCP_ID) -> _T:
        """Run ``operation`` in the next transaction. Returns its result when that is durable and visible.

        Raises what the operation raises, or StorageFull or StorageUnavailable when the transaction failed.
        """
        while not self._room.is_set():
            await self._room.wait()
        if self._closing:
            raise StorageUnavailable("the store is closing")
        future: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        if vcp != self._last:
            self._last = vcp
            self._company_until = time.monotonic() + COMPANY_SECONDS
        queue = self._queues.get(vcp)
        if queue is None:
            queue = self._queues[vcp] = deque()
        queue.append(_Request(operation, weight, future))
        self._waiting += 1
        self._queued_bytes += weight
        if self._queued_bytes > QUEUE_BYTES:
            self._room.clear()
        self._signal.set()
        return await future

    def vacuum(self, pages: int) -> None:
        """Give free pages at the end of the file back to the disk, when no transaction is open."""
        self._vacuum_pages = pages
        self._signal.set()

    async def _in_thread(self, function: Callable[[], _T]) -> _T:
        """Run something that waits for the disk in the writer thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    async def close(self) -> None:
        """Write what is queued, and stop. Later requests are refused."""
        self._closing = True
        self._signal.set()
        if self._backfill is not None:
            await self._backfill
        await asyncio.gather(self._task, return_exceptions=True)  # its failure has been logged, and told to those who waited
        self._thread.shutdown()

    async def _run(self) -> None:
        try:
            while self._waiting or not self._closing:
                self._signal.clear()
                if self._waiting:
                    await self._write(self._take())
                    if self._alone():
                        await asyncio.sleep(0)  # those who were answered may queue their next request for the same transaction
                await self._upkeep()
                if not self._waiting and not self._closing:
                    await self._signal.wait()
        except asyncio.CancelledError:  # the loop ends without close()
            self._abandon("the event loop has ended")
            raise
        except BaseException as error:
            _log.exception("the storage writer failed")
            self._abandon(f"the storage writer failed: {error!r}")
            raise

    async def _upkeep(self) -> None:
        """What is due between two transactions."""
        if self._vacuum_pages:
            await self._aside(self._vacuum_now)
            self._vacuum_pages = 0
        if self._backfill is None:
            if self._wal_size() > self._checkpoint_at:
                self._backfill = asyncio.create_task(self._backfill_beside(), name="storage-checkpoint")
        elif self._backfill.done():
            busy = await self._aside(self._truncate_now)
            self._checkpoint_at = CHECKPOINT_BYTES + (self._wal_size() if busy is not False else 0)
            self._backfill = None

    def _abandon(self, why: str) -> None:
        """Take no more requests, and let nobody wait for ever."""
        self.failed = StorageUnavailable(why)
        self._closing = True
        self._room.set()
        for request in (request for queue in self._queues.values() for request in queue):
            _fail(request, StorageUnavailable(why))

    def _take(self) -> Iterator[_Request]:
        """What goes into a transaction, as long as it is asked for: one request of each VCP in turn."""
        taken = size = 0
        served: set[VcpId] = set()
        while self._waiting and taken < BATCH_REQUESTS and size <= BATCH_BYTES:
            vcp, queue = next(iter(self._queues.items()))
            if taken >= SHARED_REQUESTS and vcp in served and not self._alone():
                if served.issuperset(self._queues):
                    return
                self._queues.move_to_end(vcp)
                continue
            request = queue.popleft()
            if queue:
                self._queues.move_to_end(vcp)
            else:
                del self._queues[vcp]
            self._waiting -= 1
            self._queued_bytes -= request.weight
            if self._queued_bytes <= QUEUE_BYTES:
                self._room.set()
            taken += 1
            size += request.weight
            served.add(vcp)
            yield request

    def _alone(self) -> bool:
        """Whether one VCP writes, and no other has for a while."""
        return len(self._queues) < 2 and time.monotonic() > self._company_until

    async def _write(self, source: Iterator[_Request]) -> None:
        """Commit requests together and answer them."""
        taken: list[_Request] = []
        try:
            built = await self._build(source, taken)
            if built is None:  # one of them broke in the middle: find out which, by committing them one by one
                for request in taken:
                    await self._write(iter((request,)))
                return
            batch, outcomes = built
            if batch is not None:
                await self._commit(batch)
        except sqlite3.Error as error:
            self._failed([*taken, *source], error)
            return
        except StorageUnavailable as error:
            self._roll_back()
            self.failed = error
            for request in (*taken, *source):
                _fail(request, error)
            return
        except BaseException:
            self._roll_back()
            for request in (*taken, *source):
                _fail(request, StorageUnavailable("the storage writer ended"))
            raise
        self.requests += len(outcomes)
        for request, result, refusal in outcomes:
            if request.future.done():
                continue  # its caller has gone
            if refusal is not None:
                request.future.set_exception(refusal)
            else:
                request.future.set_result(result)

    async def _build(self, source: Iterator[_Request], taken: list[_Request]) -> tuple[Batch | None, list[_Outcome]] | None:
        """Run the operations of a source in a new transaction. No batch: there is nothing to commit. ``None``: all was rolled back.

        taken: is given what was drawn from the source, whatever becomes of it.
        """
        self._connection.execute("BEGIN IMMEDIATE")
        first = self._connection.total_changes
        batch = self._host.begin()
        outcomes: list[_Outcome] = []
        turn_ends = time.monotonic() + SLICE_SECONDS
        for request in source:
            taken.append(request)
            if request.future.done():
                continue
            before = self._connection.total_changes, batch.revision
            try:
                outcomes.append((request, request.operation(batch), None))
            except sqlite3.OperationalError:
                raise
            except Exception as refusal:
                outcomes.append((request, None, refusal))
                if (self._connection.total_changes, batch.revision) != before:  # it has written something: only a bug gets here
                    self._roll_back()
                    return None if len(taken) > 1 else (None, outcomes)
            if time.monotonic() > turn_ends:
                await asyncio.sleep(0)  # nobody else touches this connection, and readers do not see what it has not committed
                turn_ends = time.monotonic() + SLICE_SECONDS
        if self._connection.total_changes == first and not batch.dirty:
            self._roll_back()
            return None, outcomes
        batch.finish()
        return batch, outcomes

    async def _commit(self, batch: Batch) -> None:
        published: Batch | None = None
        try:
            self._host.pin()
            await self._in_thread(self._commit_now)
            published = batch
        finally:
            self._host.publish(published)
        self.transactions += 1
        self.failed = None

    def _commit_now(self) -> None:
        self._connection.commit()  # unlike execute("COMMIT") it wants the interpreter back once only

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _failed(self, requests: list[_Request], error: sqlite3.Error) -> None:
        """Answer requests whose transaction the database did not take."""
        self._roll_back()
        if self.failed is None:
            _log.error("the store cannot write: %s", error)
        self.failed = failure(error)
        self.failed.__cause__ = error
        for request in requests:
            answer = failure(error)
            answer.__cause__ = error
            _fail(request, answer)

    def _wal_size(self) -> int:
        try:
            return os.stat(self._wal).st_size
        except FileNotFoundError:
            return 0

    async def _aside(self, function: Callable[[], _T]) -> _T | None:
        """Run in the thread, between transactions, what may fail without harm: it is tried again later."""
        try:
            return await self._in_thread(function)
        except sqlite3.Error as error:
            _log.warning("%s: %s", function.__name__, error)
            return None

    def _vacuum_now(self) -> None:
        # Not execute(): it would stop after the first page.
        self._connection.executescript(f"PRAGMA incremental_vacuum({self._vacuum_pages:d})")

    async def _backfill_beside(self) -> None:
        """Move most of the write-ahead log into the database while transactions go on."""
        try:
            await asyncio.to_thread(checkpoint_beside, self._path)
        except (sqlite3.Error, StorageUnavailable) as error:
            _log.warning("checkpoint: %s", error)
        self._signal.set()

    def _truncate_now(self) -> bool:
        """Move the rest, and begin the write-ahead log anew. True: a long reader (a backup) was in the way."""
        return bool(self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])


def _fail(request: _Request, error: BaseException) -> None:
    if not request.future.done():
        request.future.set_exception(error)
