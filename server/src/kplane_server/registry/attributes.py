# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What admission sees of a request, and what the verbs expect of an admission chain (the chain itself is the room ``admission``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol

from kplane_server.model.errors import Json
from kplane_server.model.identity import UserInfo
from kplane_server.model.keys import ObjectKey, VcpId
from kplane_server.registry.options import RequestContext
from kplane_server.registry.resource import ResourceInfo
from kplane_server.registry.strategies.base import Lookup
from kplane_server.storage.api import Mutation


class Taken(NamedTuple):
    """What a write takes from one object: the change, and the document that it makes."""

    mutation: Mutation
    document: Json


class Reservation(Protocol):
    """What a write takes from elsewhere in its own commit (from a quota). A plug-in leaves it in the attributes."""

    @property
    def lock(self) -> ObjectKey:
        """What writes queue for that take from the same place; it need not exist."""
        ...

    def take(self, pending: Mapping[ObjectKey, Json]) -> Sequence[Taken]:
        """The changes to commit with the object, for what is there now; asked again when another change came first.

        pending: what writes that go into the same commit before this one make of these objects. The answer's mutations replace theirs.
        It does not wait, and raises ``ApiError`` when there is not enough left.
        """
        ...


class Operation(StrEnum):
    CREATE = "CREATE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    CONNECT = "CONNECT"


@dataclass(slots=True)
class Attributes:
    """One write, as admission judges it. Mutating plug-ins change ``object`` in place; the others change nothing.

    object: the new document (None for a deletion); old: the stored one (None for a creation).
    mutated: a plug-in changed ``object``, so that defaults must be filled in again.
    options: the CreateOptions, UpdateOptions or DeleteOptions, as a document.
    reservation: set by a judge that takes something for this write in the same commit.
    reinvoke: set by a mutator that changed ``object`` and wants those before it to see that: the chain runs a second round (``round`` 1).
    notes: what plug-ins keep for the second round, under their names.
    """

    operation: Operation
    vcp: VcpId
    info: ResourceInfo
    namespace: str
    name: str
    object: Json | None
    old: Json | None
    context: RequestContext
    lookup: Lookup
    subresource: str = ""
    options: Json | None = None
    mutated: bool = False
    reservation: Reservation | None = None
    reinvoke: bool = False
    round: int = 0
    notes: dict[str, Json] = field(default_factory=dict)

    @property
    def user(self) -> UserInfo:
        return self.context.user

    @property
    def dry_run(self) -> bool:
        return self.context.dry_run


class Admission(Protocol):
    """An ordered chain. Raises ``ApiError`` to refuse."""

    def mutates(self, attributes: Attributes) -> bool:
        """Whether :meth:`admit` has anything to do: lets a write skip what follows a mutation."""
        ...

    def minds_deletions(self, attributes: Attributes) -> bool:
        """Whether anybody wants a say in some deletions of this control plane; where not, its controllers may delete in bulk."""
        ...

    async def admit(self, attributes: Attributes) -> None: ...

    async def validate(self, attributes: Attributes) -> None: ...


class AdmitAll:
    """The chain without plug-ins."""

    plugins: Sequence[object] = ()

    def mutates(self, attributes: Attributes) -> bool:
        return False

    def minds_deletions(self, attributes: Attributes) -> bool:
        return False

    async def admit(self, attributes: Attributes) -> None:
        return None

    async def validate(self, attributes: Attributes) -> None:
        return None
