# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever is done to them, in whatever order, the store on disk and its twin answer the same."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from contract.stores import CONFIGMAPS, ROLES, SERVICES, delete, make, put
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kplane_server.model.keys import ROOT_VCP_ID, ObjectKey, ResourceId, Scope, VcpId
from kplane_server.storage.api import ABSENT, ANY, NEW_VCP, Mutation, Store, UnknownVcp, VcpRecord, VcpState
from kplane_server.storage.sqlite import SqliteStore

# Names of the layer are among them, so that copies, whiteouts and rows meet.
PLACES = st.sampled_from(
    [
        (SERVICES, "default", "kubernetes"),
        (SERVICES, "kube-system", "dns"),
        (SERVICES, "default", "a"),
        (ROLES, "", "edit"),
        (CONFIGMAPS, "default", "a"),
        (CONFIGMAPS, "default", "b"),
        (CONFIGMAPS, "zoo", "a"),
    ]
)
VCPS = st.integers(1, 5).map(VcpId)
UIDS = st.sampled_from(["U", "V", "W"])
EXPECTATIONS = st.sampled_from(["any", "absent", "current", "wrong"])
WRITES = st.tuples(PLACES, EXPECTATIONS, st.sampled_from([0, 0, 0, 1]), st.sets(UIDS), st.booleans())
SCOPES = st.tuples(st.sampled_from([SERVICES, ROLES, CONFIGMAPS]), st.sampled_from([None, None, "default", "kube-system", ""]))


class Twins(RuleBasedStateMachine):
    """Does everything to both stores and compares the answers, errors included."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="twins-")
        self.runner = asyncio.Runner()
        self.watches: list[tuple[Any, Any]] = []

    @initialize()
    def open(self) -> None:
        self.runner.run(self._open())

    async def _open(self) -> None:
        self.disk, self.twin = make("sqlite", Path(self.folder.name), clock=lambda: 1.0), make("memory", Path())

    def teardown(self) -> None:
        if hasattr(self, "disk"):
            self.runner.run(self.disk.close())
            self.runner.run(self.twin.close())
        self.runner.close()
        self.folder.cleanup()

    def both(self, action: Callable[[Store], Awaitable[Any]]) -> Any:
        answers = [self.runner.run(_outcome(action, store)) for store in (self.disk, self.twin)]
        assert answers[0] == answers[1]
        return answers[0]

    def _mutations(self, vcp: VcpId, writes: list[Any]) -> list[Mutation]:
        found = {}
        for (resource, namespace, name), kind, deletes, owners, terminating in writes:
            where = ObjectKey(vcp, resource, namespace, name)
            stored = None if vcp == NEW_VCP else self.twin.get(where)
            current = 0 if stored is None else stored.revision
            expected = {"any": ANY, "absent": ABSENT, "current": current, "wrong": current + 1000}[kind]
            make_one = delete if deletes else put
            found[where] = make_one(where, expected=expected, uid=name.upper(), owners=tuple(sorted(owners)), terminating=terminating)
        return list(found.values())

    @rule(vcp=VCPS, writes=st.lists(WRITES, min_size=1, max_size=4))
    def commit(self, vcp: VcpId, writes: list[Any]) -> None:
        mutations = self._mutations(vcp, writes)
        self.both(lambda store: store.commit(mutations))

    @rule(vcp=VCPS, writes=st.lists(WRITES, min_size=2, max_size=8))
    def commit_at_once(self, vcp: VcpId, writes: list[Any]) -> None:
        requests = self._mutations(vcp, writes)

        async def together(store: Store) -> list[Any]:
            results = await asyncio.gather(*(store.commit([one]) for one in requests), return_exceptions=True)
            return [_plain(result) for result in results]

        self.both(together)

    @rule(name=st.sampled_from(["one", "two"]), writes=st.lists(WRITES, max_size=2))
    def create_vcp(self, name: str, writes: list[Any]) -> None:
        mutations = self._mutations(NEW_VCP, writes)
        self.both(lambda store: store.create_vcp(name, f"uid-{name}", created=5, mutations=mutations))

    @rule(vcp=VCPS, state=st.sampled_from(VcpState), writes=st.lists(WRITES, max_size=1))
    def set_state(self, vcp: VcpId, state: VcpState, writes: list[Any]) -> None:
        mutations = self._mutations(ROOT_VCP_ID, writes)
        self.both(lambda store: store.set_vcp_state(vcp, state, mutations))

    @rule(vcp=VCPS)
    def wipe(self, vcp: VcpId) -> None:
        self.both(lambda store: store.wipe_vcp(vcp, batch=2))

    @rule(vcp=VCPS)
    def rotate(self, vcp: VcpId) -> None:
        self.both(lambda store: store.rotate_vcp_key(vcp))

    @rule(vcp=VCPS, uid=UIDS)
    def garbage(self, vcp: VcpId, uid: str) -> None:
        self.both(lambda store: store.garbage_done(vcp, uid))

    @rule(vcp=VCPS, where=SCOPES, back=st.integers(0, 12))
    def subscribe(self, vcp: VcpId, where: tuple[ResourceId, str | None], back: int) -> None:
        after, scope = self.twin.revision - back, Scope(vcp, *where)
        watches: list[Any] = []

        async def watch(store: Store) -> None:
            watches.append(store.subscribe(scope, after))

        self.both(watch)  # both refuse in the same way, or neither does
        if watches:
            self.watches.append((watches[0], watches[1]))

    @rule(vcp=VCPS, where=SCOPES, back=st.integers(-1, 30), limit=st.one_of(st.none(), st.integers(1, 4)), place=st.none() | PLACES)
    def page(self, vcp: VcpId, where: tuple[ResourceId, str | None], back: int, limit: int | None, place: Any) -> None:
        revision = None if back == 0 else max(0, self.twin.revision - back)
        after = None if place is None else (place[1], place[2])
        self.both(lambda store: _now(lambda: store.page(Scope(vcp, *where), after=after, limit=limit, revision=revision)))

    @precondition(lambda self: isinstance(self.disk, SqliteStore))
    @rule()
    def restart(self) -> None:
        """The disk store is closed and opened again: the log has to answer for what memory held."""

        async def again() -> None:
            await self.disk.close()
            self.disk = make("sqlite", Path(self.folder.name), clock=lambda: 1.0)

        self.runner.run(again())
        self.watches.clear()

    @invariant()
    def the_same_world(self) -> None:
        if not hasattr(self, "disk"):
            return
        assert self.disk.revision == self.twin.revision
        assert [_public(r) for r in self.disk.vcps()] == [_public(r) for r in self.twin.vcps()]
        assert list(self.disk.terminating()) == list(self.twin.terminating())
        assert self.disk.pending_garbage() == self.twin.pending_garbage()
        for mine, theirs in self.watches:
            assert mine.pop() == theirs.pop()
            assert (mine.ended, mine.revision) == (theirs.ended, theirs.revision)
        for vcp in map(VcpId, range(1, 6)):
            assert self.disk.resources_in(vcp) == self.twin.resources_in(vcp)
            assert self.disk.resources_in(vcp, "default") == self.twin.resources_in(vcp, "default")
            for uid in "UVW":
                assert self.disk.dependents(vcp, uid) == self.twin.dependents(vcp, uid)
            for resource in (SERVICES, ROLES, CONFIGMAPS):
                scope = Scope(vcp, resource)
                assert self.disk.page(scope) == self.twin.page(scope)
                assert self.disk.count(scope) == self.twin.count(scope)
                assert self.disk.count(scope._replace(namespace="default")) == self.twin.count(scope._replace(namespace="default"))


async def _now(read: Callable[[], Any]) -> Any:
    return read()


async def _outcome(action: Callable[[Store], Awaitable[Any]], store: Store) -> Any:
    try:
        return _plain(await action(store))
    except Exception as error:
        return _plain(error)


def _plain(answer: Any) -> Any:
    """An answer in a form that compares: errors by type and figures (their prose may differ)."""
    if isinstance(answer, UnknownVcp | ValueError):
        return type(answer)
    if isinstance(answer, BaseException):
        return type(answer), vars(answer)
    if isinstance(answer, VcpRecord):
        return _public(answer)
    return answer


def _public(record: Any) -> tuple[Any, ...]:
    """A record without what differs by birth: root's uid and time."""
    return (record.id, record.name, record.revision, record.state, record.key_generation)


Twins.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
TestTwins = Twins.TestCase
