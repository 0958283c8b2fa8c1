# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a store promises. ``sqlite`` keeps it on disk, ``memory`` is its twin for tests; one contract suite holds both to this page.

Rules:

- One global revision. It is given in the writer, only grows, and is never used twice, also not after a crash.
- A commit is atomic. When :meth:`Store.commit` returns it is durable and every reader of this process sees it.
- Reads are synchronous and cheap enough for the event loop. A read never sees a revision before its watchers can.
- A document is bytes with its own ``metadata.resourceVersion`` inside: a :class:`Draft` has a gap there, which the writer fills.
- What a VCP starts with is a :class:`Layer`, shared by all. A read falls through to it; a write copies up; a delete leaves a whiteout.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple, Protocol

from kplane_server.model.keys import ObjectKey, ResourceId, Scope, VcpId


class Draft(NamedTuple):
    """A document before its revision is known: the text before and after the digits of ``metadata.resourceVersion``."""

    head: bytes
    tail: bytes

    def at(self, revision: int) -> bytes:
        return b"%b%d%b" % (self.head, revision, self.tail)


class Stored(NamedTuple):
    """A document as it was committed at ``revision``."""

    key: ObjectKey
    revision: int
    value: bytes


class EventType(StrEnum):
    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


class Event(NamedTuple):
    """One committed change. ``value`` is the new document (for DELETED: the last one, at the deletion's revision).

    ``previous`` is the document that it replaced, as it was at ``previous_revision``; ``None`` and 0 for ADDED.
    """

    revision: int
    type: EventType
    key: ObjectKey
    value: bytes
    previous: bytes | None
    previous_revision: int = 0


#: ``Mutation.expected`` when the caller does not care what is there.
ANY = -1
#: ``Mutation.expected`` when nothing may be there.
ABSENT = 0
#: In a key of :meth:`Store.create_vcp`'s mutations: the VCP that is being made, whose number nobody knows yet.
NEW_VCP = VcpId(0)


@dataclass(frozen=True, slots=True)
class Mutation:
    """One change of one object. A commit may hold only one for each key.

    expected: the revision that must be current (``ANY``, ``ABSENT`` or a revision); else the commit fails as a whole.
    delete: the draft is the last document, which watchers are sent. Deleting what is not there is a RevisionMismatch (current 0).
    uid: ``metadata.uid``; on a delete, objects owned by it become garbage (see :meth:`Store.pending_garbage`).
    owners: the uids in ``metadata.ownerReferences``, indexed for garbage collection.
    terminating: ``metadata.deletionTimestamp`` is set: found again after a restart by :meth:`Store.terminating`.
    """

    key: ObjectKey
    draft: Draft
    expected: int = ANY
    delete: bool = False
    uid: str = ""
    owners: tuple[str, ...] = ()
    terminating: bool = False


class RevisionMismatch(Exception):
    """A precondition of a commit does not hold. ``current`` is the revision there is now, 0 for none."""

    def __init__(self, key: ObjectKey, expected: int, current: int) -> None:
        super().__init__(f"{key}: expected revision {expected}, found {current}")
        self.key, self.expected, self.current = key, expected, current


class Compacted(Exception):
    """The revision asked for is older than the history that is kept. ``oldest`` is the first that can be had."""

    def __init__(self, revision: int, oldest: int) -> None:
        super().__init__(f"too old resource version: {revision} ({oldest})")
        self.revision, self.oldest = revision, oldest


class FutureRevision(Exception):
    """The revision asked for has not happened yet."""

    def __init__(self, revision: int, current: int) -> None:
        super().__init__(f"Too large resource version: {revision}, current: {current}")
        self.revision, self.current = revision, current


class Usage(NamedTuple):
    """How many documents a VCP has written, and their bytes. What it has from its layer does not count, nor does its history."""

    objects: int
    bytes: int


#: The usage of a VCP that has written nothing.
NOTHING: Final = Usage(0, 0)


class Bounds(NamedTuple):
    """How far a VCP may grow: ``None`` is no bound."""

    objects: int | None = None
    bytes: int | None = None


class BoundExceeded(Exception):
    """A commit would make a VCP grow beyond a bound. Nothing of it was applied. ``what``: objects or bytes; ``growth``: by how much."""

    def __init__(self, what: str, limit: int, used: int, growth: int) -> None:
        super().__init__(f"{what}: {used} used of {limit}, {growth} more asked for")
        self.what, self.limit, self.used, self.growth = what, limit, used, growth


class StorageFull(Exception):
    """The disk took no more: nothing of the commit was kept, and reads go on."""


class StorageUnavailable(Exception):
    """The store cannot write (read-only disk, I/O error, closing); the cause is chained."""


class UnknownFormat(Exception):
    """The file is not a store of ours, or was made by a newer program."""


class UnknownVcp(Exception):
    """The incarnation does not exist, or is being wiped: it takes no more writes."""


class VcpState(StrEnum):
    ACTIVE = "active"  # served
    RETAINED = "retained"  # its ControlPlane is gone, its data is kept
    WIPING = "wiping"  # being destroyed; resumes after a crash


@dataclass(frozen=True, slots=True)
class VcpRecord:
    """The row of one incarnation. ``revision`` is that of its creation; ``created`` is in seconds since the epoch, UTC.

    settings: what those who make VCPs have settled for this one; the store does not read it.
    due: when they want to find it by :meth:`Store.due` (seconds since the epoch).
    """

    id: VcpId
    name: str
    uid: str
    created: int
    revision: int
    state: VcpState
    key_generation: int = 1  # of its token-signing key; grows with a rotation
    settings: str = ""
    due: int | None = None


class LayerObject(NamedTuple):
    """A bootstrap object of one VCP, made on the fly from the shared template."""

    key: ObjectKey
    value: bytes


class Layer(Protocol):
    """What every VCP starts with. Pure: the same record gives the same bytes. Root has a layer of its own."""

    def get(self, vcp: VcpRecord, resource: ResourceId, namespace: str, name: str) -> bytes | None: ...

    def names(self, vcp: VcpRecord, resource: ResourceId) -> Sequence[tuple[str, str]]:
        """The (namespace, name) pairs of ``resource``, sorted."""
        ...

    def resources(self, vcp: VcpRecord) -> Iterable[ResourceId]:
        """Every resource that the layer holds objects of."""
        ...


class Page(NamedTuple):
    """Part of a collection, in key order (namespace, name), at one revision."""

    items: list[Stored]
    revision: int
    more: bool  # something of the scope is left after the last item
    remaining: int | None  # how many, where it is cheap to know


class Events(list[Event]):
    """Events as they were handed out, to one reader or to several: then nobody changes them.

    notes: what a reader has made of them and others with the same wishes may take, by these wishes.
    """

    __slots__ = ("notes",)

    def __init__(self, events: Iterable[Event] = ()) -> None:
        super().__init__(events)
        self.notes: dict[Hashable, Any] = {}


class Subscription(Protocol):
    """Committed changes of a scope in commit order: no gap, no double.

    Events wait in a bounded queue. A reader that falls behind is cut: its next read raises :class:`Compacted`.
    """

    def pop(self) -> Events:
        """What has arrived, without waiting; empty if nothing has."""
        ...

    async def wait(self, timeout: float | None = None) -> bool:
        """Wait (seconds) for something to pop. False at the timeout or the end. Raises :class:`Compacted` when cut."""
        ...

    @property
    def revision(self) -> int:
        """Every event of the scope up to this revision has been popped: what a bookmark may carry."""
        ...

    @property
    def ended(self) -> bool:
        """The VCP stopped being served, or the store closes: nothing more will come."""
        ...

    def close(self) -> None: ...


class Store(Protocol):
    # -- revisions and reads
    @property
    def revision(self) -> int:
        """The latest revision that readers and watchers of this process can see."""
        ...

    def get(self, key: ObjectKey) -> Stored | None:
        """The current document. Nothing is found in a VCP that is unknown or being wiped; a retained one can be read."""
        ...

    def page(
        self,
        scope: Scope,
        *,
        after: tuple[str, str] | None = None,
        limit: int | None = None,
        revision: int | None = None,
    ) -> Page:
        """Objects of a scope after the (namespace, name) pair ``after``.

        ``revision``: exactly that snapshot (for a continue token), from the history. Raises Compacted or FutureRevision.
        """
        ...

    def count(self, scope: Scope) -> int: ...

    def changed(self, vcp: VcpId, resource: ResourceId) -> int:
        """The revision of the last change of a collection, or a bound above it: equal answers mean nothing changed.

        This is what caches built from a collection (RBAC, CRDs, tokens) compare. Costs one look-up.
        """
        ...

    async def wait_for(self, revision: int, timeout: float) -> None:
        """Until ``revision`` is visible; raises FutureRevision after ``timeout`` seconds."""
        ...

    # -- writes
    async def commit(self, mutations: Sequence[Mutation], bounds: Bounds | None = None) -> list[int]:
        """Apply all or none; one revision for each mutation, in order.

        bounds: of the VCP whose objects these are; a commit that would make it grow beyond one raises BoundExceeded.
        Raises RevisionMismatch, UnknownVcp, StorageFull, StorageUnavailable, and ValueError for two mutations of one key.
        A caller that is cancelled while it waits may still have its commit applied.
        """
        ...

    # -- watches
    def subscribe(self, scope: Scope, after: int, *, buffer: int = 10_000) -> Subscription:
        """Changes with a revision greater than ``after``. Raises Compacted, FutureRevision, or UnknownVcp if it is not active.

        A revision from before the VCP was made is Compacted: what it began with (the layer) came without events.
        """
        ...

    def subscribe_resources(self, resources: frozenset[ResourceId] | None, after: int, *, buffer: int = 100_000) -> Subscription:
        """The same over all VCPs, for controllers; ``None`` means every resource."""
        ...

    # -- usage
    def usage(self, vcp: VcpId) -> Usage:
        """What a VCP has written. Costs one look-up."""
        ...

    def queued(self, vcp: VcpId) -> int:
        """How many commits of a VCP wait for their transaction."""
        ...

    # -- VCPs
    def vcp(self, name: str) -> VcpRecord | None:
        """The active incarnation of a name."""
        ...

    def vcp_by_id(self, vcp: VcpId) -> VcpRecord | None: ...

    def vcps(self, state: VcpState | None = None) -> list[VcpRecord]: ...

    def due(self, limit: int = 100) -> list[VcpRecord]:
        """The active incarnations that have ``due`` set, the earliest first. Costs what it returns."""
        ...

    async def create_vcp(
        self, name: str, uid: str, *, created: int, mutations: Sequence[Mutation] = (), settings: str = "", due: int | None = None
    ) -> VcpRecord:
        """Make a new incarnation, with ``mutations`` (of any VCP) in the same commit.

        Mutations of the new VCP itself name it as ``NEW_VCP``.
        Raises RevisionMismatch as commit does, and ValueError if the name has an active incarnation.
        """
        ...

    async def set_vcp_state(self, vcp: VcpId, state: VcpState, mutations: Sequence[Mutation] = ()) -> VcpRecord:
        """Move an incarnation to another state; leaving ACTIVE ends its subscriptions, refuses its writes and clears ``due``.

        The mutations are applied after the move. Raises ValueError for a move out of WIPING, of root, or to ACTIVE while the
        name has another active incarnation.
        """
        ...

    async def settle_vcp(self, vcp: VcpId, settings: str, due: int | None, mutations: Sequence[Mutation] = ()) -> VcpRecord:
        """Set ``settings`` and ``due`` of an active incarnation, with ``mutations`` in the same commit. Raises as commit does."""
        ...

    def quiesce(self, vcp: VcpId) -> None:
        """End the subscriptions to scopes of a VCP, and forget what is remembered of it, as if it were no longer served."""
        ...

    async def rotate_vcp_key(self, vcp: VcpId, mutations: Sequence[Mutation] = ()) -> VcpRecord:
        """Count the key generation of an incarnation up, with ``mutations`` in the same commit."""
        ...

    async def wipe_vcp(self, vcp: VcpId, *, batch: int = 2_000) -> int:
        """Delete every row of an incarnation in state WIPING, then its record. Resumable; nothing is left to do for an unknown one.

        Returns how many written objects went (what came from the layer is not counted).
        """
        ...

    def resources_in(self, vcp: VcpId, namespace: str | None = None) -> list[ResourceId]:
        """Which resources have objects there (rows and layer)."""
        ...

    # -- unfinished work that must survive a restart
    def terminating(self) -> Iterable[ObjectKey]:
        """Objects of all active VCPs whose last mutation said ``terminating``."""
        ...

    def pending_garbage(self) -> list[tuple[VcpId, str]]:
        """(VCP, uid) of deleted objects that others named as owner when they went, until :meth:`garbage_done`."""
        ...

    def dependents(self, vcp: VcpId, owner_uid: str) -> list[ObjectKey]: ...

    async def garbage_done(self, vcp: VcpId, owner_uid: str) -> None: ...

    # -- the store's own life
    async def trim(self) -> int:
        """Drop history beyond its bounds now (it is done in small steps anyway). Returns the oldest revision that can be had."""
        ...

    def statistics(self) -> dict[str, int | float]:
        """Figures for /metrics: objects, bytes, log rows, queue depth, commits, cache hits, subscriptions…"""
        ...

    def healthy(self) -> str | None:
        """None, or why writes fail."""
        ...

    async def close(self) -> None:
        """Drain the queue, end subscriptions, checkpoint."""
        ...
