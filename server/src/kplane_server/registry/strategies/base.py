# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The strategy of a kind: what the generic verbs ask before they store a document.

The verbs call, in this order (upstream: ``rest.BeforeCreate`` and ``rest.BeforeUpdate``):

create: ``default`` → ``prepare_for_create`` → (mutating admission, then ``default`` again) → ``validate_create`` → ``companions``
update: ``default`` → ``prepare_for_update`` → (mutating admission, then ``default`` again) → ``validate_update`` → ``companions``

``default``, ``prepare_for_create`` and ``prepare_for_update`` change the document that they are given. Documents are of the version in
``ctx.info``. Metadata that belongs to the server (uid, resourceVersion, managedFields, timestamps) is the verbs'; ``generation`` is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

from kplane_server.model.errors import Cause, Json, field_invalid
from kplane_server.model.identity import CONTROLLER_USER, UserInfo
from kplane_server.model.keys import ResourceId
from kplane_server.model.metadata import NameRule, subdomain_name
from kplane_server.registry.resource import ResourceInfo

Document = dict[str, Any]


class Lookup(Protocol):
    """Reads of the same control plane, as parsed documents in the stored version. What they see may be overtaken: see Companion."""

    def get(self, resource: ResourceId, namespace: str, name: str) -> Document | None: ...

    def exists(self, resource: ResourceId, namespace: str, name: str) -> bool: ...

    def list(self, resource: ResourceId, namespace: str | None = None, *, named: Callable[[str], bool] | None = None) -> Iterable[Document]:
        """All objects of a collection, or those whose name passes ``named``, which is asked before anything is parsed."""
        ...

    def count(self, resource: ResourceId, namespace: str | None = None) -> int:
        """How many objects a collection has."""
        ...

    def changed(self, resource: ResourceId) -> int:
        """Equal answers mean that nothing of a collection changed in between."""
        ...


class NoLookup:
    """A control plane with nothing in it: for tests and for pure uses."""

    def get(self, resource: ResourceId, namespace: str, name: str) -> Document | None:
        return None

    def exists(self, resource: ResourceId, namespace: str, name: str) -> bool:
        return False

    def list(self, resource: ResourceId, namespace: str | None = None, *, named: Callable[[str], bool] | None = None) -> Iterable[Document]:
        return ()

    def count(self, resource: ResourceId, namespace: str | None = None) -> int:
        return 0

    def changed(self, resource: ResourceId) -> int:
        return 0


class StrategyContext(NamedTuple):
    """One write. ``subresource`` is ``""`` for the object itself; ``now`` is RFC 3339 in seconds."""

    info: ResourceInfo
    user: UserInfo = CONTROLLER_USER
    namespace: str = ""
    subresource: str = ""
    now: str = "1970-01-01T00:00:00Z"
    dry_run: bool = False
    lookup: Lookup = NoLookup()


@dataclass(frozen=True, slots=True)
class Companion:
    """An object that is committed together with the one written.

    document: without uid, creationTimestamp and resourceVersion, which the verbs add; ``None`` deletes it if it is there.
    A companion with a document must be absent: when the commit meets one, the verbs run the whole write again (bounded), and
    the strategy finds it through ``lookup`` then. ``resource`` may be internal, that is, served nowhere.
    """

    resource: ResourceId
    namespace: str
    name: str
    document: Document | None = None


Path = tuple[str, ...]
Defaulter = Callable[[Document], None]
CreateHook = Callable[[Document, StrategyContext], None]
UpdateHook = Callable[[Document, Document, StrategyContext], None]
CreateValidator = Callable[[Document, StrategyContext], list[Cause]]
UpdateValidator = Callable[[Document, Document, StrategyContext], list[Cause]]
CompanionHook = Callable[[Document | None, Document | None, StrategyContext], list[Companion]]
WarningHook = Callable[[Document, Document | None], list[str]]
FieldsHook = Callable[[Document], dict[str, str]]

STATUS: Final = "status"


def _nothing(_: Document) -> None:
    return None


def _no_hook(_: Document, __: StrategyContext) -> None:
    return None


def _no_update_hook(_: Document, __: Document, ___: StrategyContext) -> None:
    return None


def _valid(_: Document, __: StrategyContext) -> list[Cause]:
    return []


def _valid_update(_: Document, __: Document, ___: StrategyContext) -> list[Cause]:
    return []


def _no_companions(_: Document | None, __: Document | None, ___: StrategyContext) -> list[Companion]:
    return []


def _no_warnings(_: Document, __: Document | None) -> list[str]:
    return []


def _no_fields(_: Document) -> dict[str, str]:
    return {}


def _at_once(_: Document, __: int | None) -> int:
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """The behaviour of one kind; every field is data or a pure function.

    has_status: ``/status`` is served; a write of the object keeps ``status``, a write of ``/status`` keeps all but ``status`` and metadata.
    has_generation: ``metadata.generation`` is 1 at creation and grows when a field of ``generation_fields`` changes.
    subresource_fields: for other sub-resources that take the whole document (``approval``, ``resize``…): the paths that it may change.
    immutable: (path, message) pairs; a change of the path after creation is a FieldValueInvalid.
    keeps_status_on_create: a status that is sent along with a new object stays (nodes register themselves that way).
    graceful_seconds: how long a deletion without ``gracePeriodSeconds`` may take, for the objects that know one (pods).
    """

    namespaced: bool = True
    name_validation: NameRule = subdomain_name
    has_status: bool = False
    has_generation: bool = False
    generation_fields: tuple[Path, ...] = (("spec",),)
    allow_create_on_update: bool = False
    allow_unconditional_update: bool = True
    initial_status: Json = None
    keeps_status_on_create: bool = False
    subresource_fields: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    immutable: Sequence[tuple[Path, str]] = ()
    defaulter: Defaulter = _nothing
    create_hook: CreateHook = _no_hook
    update_hook: UpdateHook = _no_update_hook
    create_validator: CreateValidator = _valid
    update_validator: UpdateValidator = _valid_update
    status_validator: UpdateValidator = _valid_update
    delete_validator: CreateValidator = _valid
    companion_hook: CompanionHook = _no_companions
    warning_hook: WarningHook = _no_warnings
    fields_hook: FieldsHook = _no_fields
    graceful_seconds: Callable[[Document, int | None], int] = _at_once

    @property
    def graceful(self) -> bool:
        """Whether a deletion is told by its grace period, even one of nothing."""
        return self.graceful_seconds is not _at_once

    # -- what the verbs call ---------------------------------------------------------------------------------------------------------
    def default(self, obj: Document) -> None:
        """Fill in what is left out. Idempotent."""
        self.defaulter(obj)

    def prepare_for_create(self, obj: Document, ctx: StrategyContext) -> None:
        """Drop what a client may not set, and set what the server sets."""
        if self.has_status and not self.keeps_status_on_create:
            obj.pop(STATUS, None)
            if self.initial_status is not None:
                obj[STATUS] = _copy(self.initial_status)
        if self.has_generation:
            obj.setdefault("metadata", {})["generation"] = 1
        else:
            obj.setdefault("metadata", {}).pop("generation", None)
        self.create_hook(obj, ctx)

    def prepare_for_update(self, new: Document, old: Document, ctx: StrategyContext) -> None:
        """Keep what this (sub-)resource may not change, and count the generation."""
        if ctx.subresource:
            allowed = ((STATUS,),) if ctx.subresource == STATUS else self.subresource_fields.get(ctx.subresource, ())
            _keep_all_but(new, old, allowed)
        elif self.has_status:
            _restore(new, old, (STATUS,))
        self.update_hook(new, old, ctx)
        metadata = new.setdefault("metadata", {})
        generation = old.get("metadata", {}).get("generation", 0)
        bound = ctx.subresource == "binding"  # where a pod runs is no change of what was asked for
        if self.has_generation and not bound and self.generation_changed(new, old):
            metadata["generation"] = generation + 1
        elif generation:
            metadata["generation"] = generation
        else:
            metadata.pop("generation", None)

    def validate_create(self, obj: Document, ctx: StrategyContext) -> list[Cause]:
        """Rules beyond the schema and beyond metadata (see ``model.metadata``)."""
        return self.create_validator(obj, ctx)

    def validate_update(self, new: Document, old: Document, ctx: StrategyContext) -> list[Cause]:
        """Rules of a change, the immutable fields among them."""
        if ctx.subresource == STATUS:
            return self.status_validator(new, old, ctx)
        causes = self.update_validator(new, old, ctx)
        return causes + [
            field_invalid(".".join(path), read(new, path), why) for path, why in self.immutable if read(new, path) != read(old, path)
        ]

    def validate_delete(self, obj: Document, ctx: StrategyContext) -> list[Cause]:
        """Why this object may not be deleted; the verbs answer 403 with the first message."""
        return self.delete_validator(obj, ctx)

    def companions(self, new: Document | None, old: Document | None, ctx: StrategyContext) -> list[Companion]:
        """What must be committed with this write (``new`` is None on a deletion). May fill in allocated values of ``new``.

        Raises ``model.errors.Invalid`` when a value that was asked for is taken.
        """
        return self.companion_hook(new, old, ctx)

    def warnings(self, new: Document, old: Document | None = None) -> list[str]:
        """Texts for ``Warning`` headers."""
        return self.warning_hook(new, old)

    def selectable_fields(self, obj: Document) -> dict[str, str]:
        """The fields that a ``fieldSelector`` may name, with their values in this object."""
        metadata = obj.get("metadata") or {}
        fields = {"metadata.name": metadata.get("name", "")}
        if self.namespaced:
            fields["metadata.namespace"] = metadata.get("namespace", "")
        fields.update(self.fields_hook(obj))
        return fields

    def reset_fields(self, subresource: str = "") -> tuple[Path, ...]:
        """Paths that a server-side apply to this (sub-)resource never owns."""
        if subresource == STATUS:
            return (("spec",), ("metadata", "labels"), ("metadata", "annotations")) if self.has_status else (("spec",),)
        return ((STATUS,),) if self.has_status else ()

    def generation_changed(self, new: Document, old: Document) -> bool:
        """Whether the desired state differs."""
        if _deleting(new) and not _deleting(old):
            return True  # upstream counts the graceful deletion as a change of the desired state
        return any(read(new, path) != read(old, path) for path in self.generation_fields)


def read(obj: Json, path: Path) -> Json:
    """The value at ``path``, or None."""
    for step in path:
        if not isinstance(obj, dict):
            return None
        obj = obj.get(step)
    return obj


def _deleting(obj: Document) -> bool:
    return bool((obj.get("metadata") or {}).get("deletionTimestamp"))


def _restore(new: Document, old: Document, path: Path) -> None:
    """Make ``path`` in ``new`` what it is in ``old``."""
    parent_new, parent_old = new, old
    for step in path[:-1]:
        following_old = parent_old.get(step)
        if not isinstance(following_old, dict):
            following = parent_new.get(step)
            if isinstance(following, dict):
                following.pop(path[-1], None)
            return
        parent_old = following_old
        following_new = parent_new.get(step)
        if not isinstance(following_new, dict):
            following_new = parent_new[step] = {}
        parent_new = following_new
    if path[-1] in parent_old:
        parent_new[path[-1]] = parent_old[path[-1]]
    else:
        parent_new.pop(path[-1], None)


def _keep_all_but(new: Document, old: Document, allowed: Sequence[Path]) -> None:
    """Make ``new`` equal to ``old`` except for the paths ``allowed`` and for the bookkeeping in its metadata."""
    changed = dict(new)
    new.clear()
    new.update(_copy(old))
    metadata, asked = new.setdefault("metadata", {}), changed.get("metadata") or {}
    for key in ("resourceVersion", "managedFields", "uid"):  # preconditions and bookkeeping stay the caller's
        if key in asked:
            metadata[key] = asked[key]
        elif key == "managedFields":
            metadata.pop(key, None)
    for path in allowed:
        _restore(new, changed, path)


def _copy(value: Json) -> Json:
    if isinstance(value, dict):
        return {k: _copy(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_copy(v) for v in value]
    return value
