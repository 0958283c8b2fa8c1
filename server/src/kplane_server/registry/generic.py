# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all verbs of one control plane share: its store, resources, admission and clock, and the steps that every write takes."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Final, NamedTuple, TypeVar

from kplane_server.model import timestamps
from kplane_server.model.errors import (
    BadRequest,
    Cause,
    Forbidden,
    InternalError,
    Json,
    NotFound,
    ServiceUnavailable,
    invalid,
    not_found,
)
from kplane_server.model.keys import ObjectKey, ResourceId, Scope
from kplane_server.model.resources import GroupVersion
from kplane_server.model.uids import random_uid
from kplane_server.registry import codec, conversion
from kplane_server.registry.attributes import Admission, Attributes, Operation, Reservation
from kplane_server.registry.conversion_webhook import Converter
from kplane_server.registry.custom_rows import CustomResourceInfo
from kplane_server.registry.hooks import HookCaller, NoHooks
from kplane_server.registry.options import RequestContext
from kplane_server.registry.reserving import ReservedCommits
from kplane_server.registry.resource import ResourceInfo
from kplane_server.registry.strategies.base import Companion, Document, StrategyContext
from kplane_server.registry.table import ResourceTable
from kplane_server.storage.api import (
    ABSENT,
    BoundExceeded,
    Bounds,
    Mutation,
    StorageFull,
    StorageUnavailable,
    Store,
    Stored,
    UnknownVcp,
    VcpRecord,
)

#: How often a write without a resourceVersion is tried again when another one came first.
WRITE_ATTEMPTS: Final = 16
#: How long a write waits for another write of the same object before it goes ahead and lets the store decide, in seconds.
LOCK_PATIENCE: Final = 0.5
#: The same for writes that take from one quota: its holder waits for nothing but the store.
RESERVATION_PATIENCE: Final = 10.0

_SUFFIX_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIX_LENGTH: Final = 5
_GENERATED_NAME_MAX_LENGTH: Final = 63

Clock = Callable[[], float]


class Ceiling(NamedTuple):
    """How far a control plane may grow. ``sources``: who says so, of objects and of bytes."""

    bounds: Bounds
    sources: tuple[str, ...]


#: Commits a new object (document, change) in one go with what comes into being through it, and says how it is stored.
#: None: it is an object like others. A controller may leave one with the registry for a resource of its own.
Birth = Callable[[Json, Mutation], Awaitable[Stored] | None]

T = TypeVar("T")


class StoreLookup:
    """Reads of one control plane for strategies and admission: parsed documents in the stored version."""

    __slots__ = ("_registry",)

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def get(self, resource: ResourceId, namespace: str, name: str) -> Document | None:
        found = self._registry.store.get(ObjectKey(self._registry.vcp.id, resource, namespace, name))
        if found is None:
            return None
        document: Document = codec.decode(found.value)
        return document

    def exists(self, resource: ResourceId, namespace: str, name: str) -> bool:
        return self._registry.store.get(ObjectKey(self._registry.vcp.id, resource, namespace, name)) is not None

    def list(self, resource: ResourceId, namespace: str | None = None, *, named: Callable[[str], bool] | None = None) -> Iterable[Document]:
        page = self._registry.store.page(Scope(self._registry.vcp.id, resource, namespace))
        return (codec.decode(item.value) for item in page.items if named is None or named(item.key.name))

    def count(self, resource: ResourceId, namespace: str | None = None) -> int:
        return self._registry.store.count(Scope(self._registry.vcp.id, resource, namespace))

    def changed(self, resource: ResourceId) -> int:
        return self._registry.store.changed(self._registry.vcp.id, resource)


class KeyLocks:
    """One read-modify-write at a time for each object, so that writers queue instead of losing races to each other.

    Waiting is bounded: a holder may be in a slow webhook, or wait for a write that this very webhook makes. Correctness never rests on
    these locks; the store compares revisions.
    """

    __slots__ = ("_locks",)

    def __init__(self) -> None:
        self._locks: dict[ObjectKey, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def hold(self, key: ObjectKey, patience: float = LOCK_PATIENCE) -> AsyncIterator[None]:
        lock, users = self._locks.get(key) or (asyncio.Lock(), 0)
        self._locks[key] = (lock, users + 1)
        held = False
        try:
            if not lock.locked():
                held = await lock.acquire()
            else:
                try:
                    async with asyncio.timeout(patience):
                        held = await lock.acquire()
                except TimeoutError:
                    held = False
            yield
        finally:
            if held:
                lock.release()
            lock, users = self._locks[key]
            if users > 1:
                self._locks[key] = (lock, users - 1)
            else:
                del self._locks[key]


class Registry:
    """The state behind the verbs of one control plane. It holds no objects: an idle one costs only itself."""

    __slots__ = (
        "_reserved",
        "_second",
        "_stamp",
        "admission",
        "births",
        "ceiling",
        "clock",
        "converter",
        "locks",
        "lookup",
        "resources",
        "store",
        "vcp",
    )

    def __init__(
        self,
        vcp: VcpRecord,
        store: Store,
        resources: ResourceTable,
        admission: Admission,
        clock: Clock = time.time,
        hooks: HookCaller | None = None,
    ) -> None:
        self.vcp = vcp
        self.store = store
        self.resources = resources
        self.admission = admission
        self.clock = clock
        self.locks = KeyLocks()
        self._reserved = ReservedCommits(self._commit_within, lambda key: self.locks.hold(key, RESERVATION_PATIENCE))
        self.births: dict[ResourceId, Birth] = {}
        self.ceiling: Callable[[], Ceiling | None] = lambda: None
        self.converter = Converter(hooks or NoHooks())
        self.lookup = StoreLookup(self)
        self._second = -1
        self._stamp = ""

    def now(self) -> str:
        """The current time as ``metav1.Time``; formatted once a second."""
        second = int(self.clock())
        if second != self._second:
            self._second, self._stamp = second, timestamps.from_epoch(second)
        return self._stamp

    def key(self, info: ResourceInfo, namespace: str, name: str) -> ObjectKey:
        return ObjectKey(self.vcp.id, info.storage_id, namespace if info.namespaced else "", name)

    def find(self, info: ResourceInfo, namespace: str, name: str) -> Stored | None:
        """The object as it is stored, in its storage version."""
        return self.store.get(ObjectKey(self.vcp.id, info.storage_id, namespace if info.namespaced else "", name))

    def require(self, info: ResourceInfo, namespace: str, name: str) -> Stored:
        found = self.find(info, namespace, name)
        if found is None:
            raise not_found(info.resource, info.group, name)
        return found

    def strategy_context(self, info: ResourceInfo, namespace: str, ctx: RequestContext, subresource: str = "") -> StrategyContext:
        return StrategyContext(info, ctx.user, namespace, subresource, self.now(), ctx.dry_run, self.lookup)

    def attributes(
        self,
        operation: Operation,
        info: ResourceInfo,
        key: ObjectKey,
        ctx: RequestContext,
        *,
        new: Json | None,
        old: Json | None = None,
        subresource: str = "",
        options: Json | None = None,
    ) -> Attributes:
        return Attributes(operation, self.vcp.id, info, key.namespace, key.name, new, old, ctx, self.lookup, subresource, options)

    def mutation(self, info: ResourceInfo, key: ObjectKey, obj: Json, expected: int, *, delete: bool = False) -> Mutation:
        """The change that stores ``obj`` (which is at ``info``'s version)."""
        metadata = obj["metadata"]
        references = metadata.get("ownerReferences")
        return Mutation(
            key,
            codec.encode(conversion.to_storage(obj, info)),
            expected,
            delete,
            metadata.get("uid", ""),
            tuple(r["uid"] for r in references) if references else (),
            "deletionTimestamp" in metadata,
        )

    def removal(self, stored: Stored) -> Mutation:
        """The change that deletes an object as it is stored."""
        metadata = codec.decode(stored.value)["metadata"]
        return Mutation(stored.key, codec.draft_of(stored.value), stored.revision, True, metadata.get("uid", ""))

    def companion_mutations(self, companions: Sequence[Companion], ctx: RequestContext) -> list[Mutation]:
        """The changes of what is committed together with a write."""
        mutations = []
        for companion in companions:
            key = ObjectKey(self.vcp.id, companion.resource, companion.namespace, companion.name)
            document = companion.document
            if document is None:
                if (found := self.store.get(key)) is not None:
                    mutations.append(self.removal(found))
                continue
            metadata = document["metadata"] = {
                "name": companion.name,
                **({"namespace": companion.namespace} if companion.namespace else {}),
                "uid": random_uid(),
                "creationTimestamp": self.now(),
                **{k: v for k, v in (document.get("metadata") or {}).items() if k not in ("name", "namespace", "uid", "creationTimestamp")},
            }
            mutations.append(Mutation(key, codec.encode(document), ABSENT, uid=metadata["uid"]))
        return mutations

    async def commit(self, mutations: Sequence[Mutation]) -> list[int]:
        """Store all or none. Raises RevisionMismatch for the caller to judge, and ApiErrors for what no caller can mend."""
        return await self.stored(self.store.commit(mutations))

    async def stored(self, writing: Awaitable[T]) -> T:
        """The result of a write, its failures as ApiErrors."""
        try:
            return await writing
        except StorageFull as error:
            raise InternalError(f"the store is full, nothing was changed: {error}") from error
        except StorageUnavailable as error:
            raise ServiceUnavailable(f"the store takes no writes now: {error}", retry_after=1) from error
        except UnknownVcp as error:
            raise NotFound(f'control plane "{self.vcp.name}" not found', kind="controlplanes", name=self.vcp.name) from error

    async def commit_reserved(
        self, mutations: Sequence[Mutation], reservation: Reservation | None, check: Callable[[], None] | None = None
    ) -> list[int]:
        """Store all or none, together with what admission reserved (see ``reserving``).

        check: raises if the commit may not go on; nothing is awaited between it and the commit's queue.
        """
        if reservation is None:
            if check is not None:
                check()
            return await self._commit_within(mutations)
        return await self._reserved.commit(mutations, reservation, check)

    async def see(self, info: ResourceInfo, stored: Stored) -> Stored:
        """A stored object as a client of ``info``'s version sees it, also where only a webhook can tell."""
        if isinstance(info, CustomResourceInfo) and info.by_webhook:
            (stored,) = await self.converter.read([stored], info)
        return conversion.read(stored, info)

    async def storable(self, info: ResourceInfo, obj: Json) -> Json:
        """A document as :meth:`mutation` takes it: in the storage version if only a webhook can make that of it, else as it is."""
        if isinstance(info, CustomResourceInfo) and info.by_webhook:
            return await self.converter.to_storage(obj, info)
        return obj

    async def _commit_within(self, mutations: Sequence[Mutation]) -> list[int]:
        """Store what a client writes, within what the control plane may hold. What deletes never comes here."""
        ceiling = self.ceiling()
        if ceiling is None:
            return await self.commit(mutations)
        try:
            return await self.stored(self.store.commit(mutations, ceiling.bounds))
        except BoundExceeded as error:
            key, source = mutations[0].key, ceiling.sources[error.what == "bytes"]
            why = f"{error.growth} {error.what} more asked for, {error.used} used, limited to {error.limit} by {source}"
            text = f'{key.resource} "{key.name}" is forbidden: exceeded the limits of control plane "{self.vcp.name}": {why}'
            resource, _, group = key.resource.partition(".")
            raise Forbidden(text, group=group, kind=resource, name=key.name) from error

    async def answer(self, info: ResourceInfo, mutation: Mutation, revision: int) -> Stored:
        """What the client sees of a mutation that was committed."""
        return await self.see(info, Stored(mutation.key, revision, mutation.draft.at(revision)))


def generate_name(prefix: str) -> str:
    """A name from ``metadata.generateName``: the prefix, cut to leave room, and five random characters."""
    suffix = "".join(secrets.choice(_SUFFIX_ALPHABET) for _ in range(_SUFFIX_LENGTH))
    return prefix[: _GENERATED_NAME_MAX_LENGTH - _SUFFIX_LENGTH] + suffix


def check_type(info: ResourceInfo, obj: Json, gvk: tuple[str, str, str] | None = None) -> None:
    """The document must be of the type that the request addresses; a missing apiVersion or kind is filled in, as typed decoding does."""
    if not isinstance(obj, dict):
        raise BadRequest(f"the object provided is unrecognized (must be of type {info.kind}): couldn't get version/kind; json parse error")
    group, version, kind = gvk or (info.group, info.version, info.kind)
    wanted = f"{group}/{version}" if group else version
    given_version, given_kind = obj.get("apiVersion") or wanted, obj.get("kind") or kind
    if given_version != wanted:
        raise BadRequest(f"the API version in the data ({given_version}) does not match the expected API version ({wanted})")
    if given_kind != kind:
        raise BadRequest(f"the kind in the data ({given_kind}) does not match the expected kind ({kind})")
    obj["apiVersion"], obj["kind"] = wanted, kind
    if not isinstance(obj.get("metadata"), dict):
        if obj.get("metadata") is not None:
            raise BadRequest(decode_error(info, "cannot unmarshal into Go struct field .metadata of type v1.ObjectMeta"))
        obj["metadata"] = {}
    check_metadata_types(info, obj["metadata"])


def check_name(metadata: Json, name: str) -> None:
    """What replaces an object, or is applied to it, tells the name that its URL tells."""
    given = metadata.get("name")
    if not given:
        raise BadRequest(f"the name of the object ({name} based on URL) was undeterminable: name must be provided")
    if given != name:
        raise BadRequest(f"the name of the object ({given[:253]}) does not match the name on the URL ({name})")


def decode_error(info: ResourceInfo, why: str) -> str:
    """The text of a document that does not fit its Go type."""
    group_version = GroupVersion(info.group, info.version)
    return f'{info.kind} in version "{group_version.version}" cannot be handled as a {info.kind}: json: {why}'


_STRINGS: Final = ("name", "generateName", "namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "selfLink")
_MAPS: Final = ("labels", "annotations")
_EMPTY_IS_UNSET: Final = frozenset((*_MAPS, "finalizers", "ownerReferences"))
_METADATA_FIELDS: Final = frozenset(
    (*_STRINGS, *_MAPS, "generation", "deletionGracePeriodSeconds", "finalizers", "ownerReferences", "managedFields")
)


def check_metadata_types(info: ResourceInfo, metadata: dict[str, Json]) -> None:
    """ObjectMeta has one shape for all kinds; nulls mean unset, and so do maps and lists without an entry."""
    for key in [k for k, v in metadata.items() if v is None or (k in _EMPTY_IS_UNSET and v in ({}, []))]:
        del metadata[key]
    for key, value in metadata.items():
        if key in _STRINGS:
            good = isinstance(value, str)
        elif key in _MAPS:
            good = isinstance(value, dict) and all(isinstance(v, str) for v in value.values())
        elif key == "finalizers":
            good = isinstance(value, list) and all(isinstance(v, str) for v in value)
        elif key in ("ownerReferences", "managedFields"):
            good = isinstance(value, list) and all(isinstance(v, dict) for v in value)
        elif key in ("generation", "deletionGracePeriodSeconds"):
            good = isinstance(value, int) and not isinstance(value, bool)
        else:
            continue
        if not good:
            raise BadRequest(decode_error(info, f"cannot unmarshal into Go struct field ObjectMeta.metadata.{key}"))
    for reference in metadata.get("ownerReferences", ()):
        for key in ("apiVersion", "kind", "name", "uid"):
            if not isinstance(reference.get(key, ""), str):
                raise BadRequest(decode_error(info, f"cannot unmarshal into Go struct field OwnerReference.metadata.ownerReferences.{key}"))


def check_namespace(info: ResourceInfo, obj: Json, namespace: str) -> None:
    """The namespace of the document must be the one of the request; an empty one is filled in, one without meaning is dropped."""
    metadata = obj["metadata"]
    given = metadata.get("namespace") or ""
    if not info.namespaced:
        metadata.pop("namespace", None)
        return
    if given and given != namespace:
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
    metadata["namespace"] = namespace


def dedup_owner_references(obj: Json, ctx: RequestContext) -> None:
    """An owner is named once; a client that names one twice is told, as upstream does since 1.20."""
    references = obj["metadata"].get("ownerReferences")
    if not references or len(references) < 2:
        return
    unique: list[Json] = []
    repeated: list[str] = []
    for reference in references:
        if reference in unique:
            repeated.append(str(reference.get("uid")))
        else:
            unique.append(reference)
    if repeated:
        obj["metadata"]["ownerReferences"] = unique
        ctx.warn(
            ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may reject such "
            f"requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {', '.join(repeated)}"
        )


def reject(info: ResourceInfo, name: str, causes: Sequence[Cause]) -> None:
    """Raise the 422 of a document, if there is anything wrong with it."""
    if causes:
        raise invalid(info.kind, info.group, name, causes)
