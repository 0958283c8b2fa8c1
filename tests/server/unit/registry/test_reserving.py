# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commits that take from one place go together, and each still gets its own answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from kplane_server.model.errors import Conflict, Forbidden, ServiceUnavailable
from kplane_server.model.keys import ObjectKey, ResourceId, VcpId
from kplane_server.registry.attributes import Taken
from kplane_server.registry.reserving import ReservedCommits
from kplane_server.storage.api import ABSENT, Draft, Mutation, RevisionMismatch

QUOTA = ObjectKey(VcpId(1), ResourceId("quotas"), "ns", "q")
LOCK = ObjectKey(VcpId(1), ResourceId("quotas"), "ns", "")


def key(name: str) -> ObjectKey:
    return ObjectKey(VcpId(1), ResourceId("things"), "ns", name)


def thing(name: str) -> Mutation:
    return Mutation(key(name), Draft(b"", b""), ABSENT)


class Books:
    """A store with one quota, slow enough for others to queue."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used, self.revision = 0, 1
        self.objects: set[ObjectKey] = set()
        self.commits: list[int] = []
        self.disturb = 0
        self.broken: set[ObjectKey] = set()

    @asynccontextmanager
    async def hold(self, lock: ObjectKey) -> AsyncIterator[None]:
        yield

    async def commit(self, mutations: Sequence[Mutation]) -> list[int]:
        assert len({m.key for m in mutations}) == len(mutations)
        await asyncio.sleep(0.001)
        if self.disturb:
            self.disturb -= 1
            self.revision += 1
        for mutation in mutations:
            if mutation.key in self.broken:
                raise ServiceUnavailable("broken")
            current = self.revision if mutation.key == QUOTA else int(mutation.key in self.objects)
            if mutation.expected != current:
                raise RevisionMismatch(mutation.key, mutation.expected, current)
        for mutation in mutations:
            self.revision += 1
            if mutation.key == QUOTA:
                self.used = int(mutation.draft.head)
            else:
                self.objects.add(mutation.key)
        self.commits.append(len(mutations))
        return list(range(self.revision - len(mutations) + 1, self.revision + 1))


class One:
    """Takes one of the quota."""

    lock = LOCK

    def __init__(self, books: Books) -> None:
        self.books = books

    def take(self, pending: Mapping[ObjectKey, Any]) -> list[Taken]:
        used = pending.get(QUOTA, self.books.used) + 1
        if used > self.books.limit:
            raise Forbidden("exceeded")
        return [Taken(Mutation(QUOTA, Draft(b"%d" % used, b""), self.books.revision), used)]


async def run(books: Books, *names: str) -> list[Any]:
    reserved = ReservedCommits(books.commit, books.hold)
    writes = [reserved.commit([thing(name)], One(books), None) for name in names]
    return await asyncio.wait_for(asyncio.gather(*writes, return_exceptions=True), 10)


async def test_many_writes_are_few_commits_and_the_books_are_exact() -> None:
    books = Books(100)
    answers = await run(books, *(f"n{i}" for i in range(200)))
    assert sum(isinstance(answer, list) for answer in answers) == 100
    assert sum(isinstance(answer, Forbidden) for answer in answers) == 100
    assert books.used == len(books.objects) == 100
    assert len(books.commits) < 10
    revisions = [answer[0] for answer in answers if isinstance(answer, list)]
    assert revisions == sorted(set(revisions))


async def test_a_name_that_is_taken_hurts_nobody_else() -> None:
    books = Books(10)
    books.objects.add(key("b"))
    answers = await run(books, "a", "b", "c")
    assert [type(answer) for answer in answers] == [list, RevisionMismatch, list]
    assert books.used == 2


async def test_one_name_twice_at_once() -> None:
    books = Books(10)
    answers = await run(books, "a", "a", "a")
    assert sorted(type(answer).__name__ for answer in answers) == ["RevisionMismatch", "RevisionMismatch", "list"]
    assert books.used == 1


async def test_a_quota_that_somebody_else_changes_is_read_again() -> None:
    books = Books(10)
    books.disturb = 3
    assert [type(answer) for answer in await run(books, "a", "b")] == [list, list]
    assert books.used == 2


async def test_a_quota_that_never_stands_still_is_a_conflict() -> None:
    books = Books(10)
    books.disturb = 1000
    answers = await run(books, "a", "b")
    assert all(isinstance(answer, Conflict) for answer in answers)
    assert books.used == 0


async def test_the_one_that_cannot_be_stored_is_told_and_the_others_are() -> None:
    books = Books(10)
    books.broken.add(key("b"))
    answers = await run(books, "a", "b", "c")
    assert [type(answer) for answer in answers] == [list, ServiceUnavailable, list]
    assert books.used == 2


async def test_who_goes_away_does_not_stop_the_others() -> None:
    books = Books(10)
    reserved = ReservedCommits(books.commit, books.hold)
    first = asyncio.create_task(reserved.commit([thing("a")], One(books), None))
    others = [asyncio.create_task(reserved.commit([thing(name)], One(books), None)) for name in "bc"]
    await asyncio.sleep(0)
    first.cancel()
    answers = await asyncio.wait_for(asyncio.gather(*others), 5)
    assert all(isinstance(answer, list) for answer in answers)
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_check_that_fails_takes_nothing() -> None:
    books = Books(10)
    reserved = ReservedCommits(books.commit, books.hold)

    def no() -> None:
        raise Forbidden("closed")

    with pytest.raises(Forbidden, match="closed"):
        await reserved.commit([thing("a")], One(books), no)
    assert await reserved.commit([thing("b")], One(books), None)
    assert books.used == 1
