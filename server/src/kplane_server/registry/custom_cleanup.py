# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a CustomResourceDefinition: its instances go first, then its finalizer, then the names it held are free for others.

Every step can be repeated: whoever drives it (a controller, after a restart too) calls :func:`finish_definition` until it says True.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from kplane_server.model.errors import Json, ServiceUnavailable
from kplane_server.model.keys import ObjectKey, ResourceId, Scope
from kplane_server.registry import codec
from kplane_server.registry.custom_definition import CLEANUP, DEFINITIONS, is_deleting_instances, judge_names, mark_deleting_instances
from kplane_server.registry.generic import Registry
from kplane_server.storage.api import Mutation, RevisionMismatch, Stored

#: How many instances are deleted in one commit.
_BATCH: Final = 500
_ATTEMPTS: Final = 16


async def finish_definition(registry: Registry, name: str) -> bool:
    """Go on with the deletion of a definition. False: instances are left that wait for their own finalizers; call again when one goes."""
    key = ObjectKey(registry.vcp.id, DEFINITIONS, "", name)
    stored = registry.store.get(key)
    if stored is None:
        return True
    crd = codec.decode(stored.value)
    if not crd["metadata"].get("deletionTimestamp"):
        return True
    plural, group = crd["spec"]["names"]["plural"], crd["spec"]["group"]
    if CLEANUP in (crd["metadata"].get("finalizers") or ()):
        if not is_deleting_instances(crd):
            await _announce(registry, key)
        if not await _delete_instances(registry, ResourceId(f"{plural}.{group}")):
            return False
        await _drop_finalizer(registry, key)
    await settle_names(registry, group)
    return True


async def _announce(registry: Registry, key: ObjectKey) -> None:
    """Say so in the status. A create that was queued before the definition was seen to be terminating is in the store after this commit,
    because commits keep their order; later ones are refused."""

    def change(crd: Json) -> bool:
        mark_deleting_instances(crd, registry.now())
        return True

    await _rewrite(registry, key, change)


async def _delete_instances(registry: Registry, resource: ResourceId) -> bool:
    """Delete every instance. False when some are held by finalizers."""
    scope = Scope(registry.vcp.id, resource)
    for _ in range(_ATTEMPTS):
        held, raced = False, False
        after: tuple[str, str] | None = None
        while True:
            page = registry.store.page(scope, after=after, limit=_BATCH)
            mutations = []
            for item in page.items:
                mutation, holds = _deletion(registry, item)
                held = held or holds
                if mutation is not None:
                    mutations.append(mutation)
            if mutations:
                try:
                    await registry.commit(mutations)
                except RevisionMismatch:
                    raced = True  # somebody wrote one of them: go over it all again
            if not page.more:
                break
            after = (page.items[-1].key.namespace, page.items[-1].key.name)
        if not raced:
            return not held
    return False


def _deletion(registry: Registry, item: Stored) -> tuple[Mutation | None, bool]:
    """(what to commit for an instance, whether it stays for now)."""
    document = codec.decode(item.value)
    metadata = document["metadata"]
    if not metadata.get("finalizers"):
        return registry.removal(item), False
    if metadata.get("deletionTimestamp"):
        return None, True
    metadata["deletionTimestamp"] = registry.now()
    metadata["deletionGracePeriodSeconds"] = 0
    metadata["generation"] = metadata.get("generation", 0) + 1
    return _change(item.key, document, item.revision), True


async def _drop_finalizer(registry: Registry, key: ObjectKey) -> None:
    def change(crd: Json) -> bool:
        metadata = crd["metadata"]
        metadata["finalizers"] = [f for f in metadata.get("finalizers") or () if f != CLEANUP]
        if not metadata["finalizers"]:
            del metadata["finalizers"]
        return "finalizers" in metadata

    await _rewrite(registry, key, change)


def _change(key: ObjectKey, document: Json, revision: int, *, delete: bool = False) -> Mutation:
    """Store (or delete) a document as it is, with what is indexed of it."""
    metadata = document["metadata"]
    owners = tuple(reference["uid"] for reference in metadata.get("ownerReferences") or ())
    terminating = not delete and "deletionTimestamp" in metadata
    return Mutation(key, codec.encode(document), revision, delete, metadata.get("uid", ""), owners, terminating)


async def _rewrite(registry: Registry, key: ObjectKey, change: Callable[[Json], bool]) -> None:
    """Change a terminating definition; ``change`` says whether it stays."""
    for _ in range(_ATTEMPTS):
        stored = registry.store.get(key)
        if stored is None:
            return
        crd = codec.decode(stored.value)
        stays = change(crd)
        mutation = _change(key, crd, stored.revision, delete=not stays)
        try:
            await registry.commit([mutation])
        except RevisionMismatch:
            continue
        return
    raise ServiceUnavailable(f"definition {key.name} kept changing while it was being deleted", retry_after=1)


async def settle_names(registry: Registry, group: str) -> None:
    """Names that a deleted definition held may now be accepted for another one of its group."""
    for _ in range(_ATTEMPTS):
        items = registry.store.page(Scope(registry.vcp.id, DEFINITIONS)).items
        documents: list[tuple[Stored, Json]] = [(item, codec.decode(item.value)) for item in items if item.key.name.endswith(f".{group}")]
        siblings = [(item, crd) for item, crd in documents if crd["spec"]["group"] == group]
        try:
            for item, crd in siblings:
                others = [other for _, other in siblings if other is not crd]
                if judge_names(crd, others, registry.now()):
                    await registry.commit([_change(item.key, crd, item.revision)])
        except RevisionMismatch:
            continue
        return
