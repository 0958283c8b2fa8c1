# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a class installs into its control planes: manifests from ConfigMaps of root, applied server-side, and again when they change.

``spec.addons`` of a class names ConfigMaps in ``kplane-system``; their key ``manifests`` holds YAML documents. ``starter`` is built in: the
bootstrap objects, which every control plane has, unless there is a ConfigMap of that name. A hash of everything in ``status.seed`` tells
what is in already, so a control plane whose class has not changed costs one look. What an addon no longer names stays.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Callable, Hashable, Iterable
from typing import Any, Final, NamedTuple

import yaml

from kplane_server.controllers import documents
from kplane_server.controllers.runtime import WorkQueue
from kplane_server.model import timestamps
from kplane_server.model.errors import ApiError
from kplane_server.model.identity import CONTROLLER_USER
from kplane_server.model.keys import ROOT_VCP_ID, ResourceId, Scope
from kplane_server.model.resources import GroupVersion, GroupVersionKind
from kplane_server.registry import codec
from kplane_server.registry.options import Patch, RequestContext
from kplane_server.storage.api import Event, EventType, Stored
from kplane_server.vcp import contract
from kplane_server.vcp.controlplane import ControlPlane
from kplane_server.vcp.directory import Directory

Document = dict[str, Any]

CONFIG_MAPS: Final = ResourceId("configmaps")
BUILT_IN: Final = "starter"
MANIFESTS: Final = "manifests"
SEEDED: Final = "Seeded"
FIELD_MANAGER: Final = "kplane"
#: The most documents that the addons of a class may have together.
MAX_DOCUMENTS: Final = 1_000
#: How soon an addon that could not be applied is tried again (seconds).
RETRY_PAUSE: Final = 10.0

_APPLY: Final = "application/apply-patch+yaml"
_PAGE: Final = 200
#: What others may need goes in first.
_ORDER: Final = {"CustomResourceDefinition": 0, "Namespace": 1}
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class OfClass(NamedTuple):
    """All control planes of a class must be looked at."""

    name: str


class Seed(NamedTuple):
    """What a class installs. ``problem``: why it cannot be installed, as (reason, message)."""

    digest: str
    documents: tuple[Document, ...]
    problem: tuple[str, str] | None = None


NO_SEED: Final = Seed("", ())


class AddonController:
    """Keys are names of ControlPlanes, and :class:`OfClass`."""

    name = "addon"
    resources: frozenset[ResourceId] | None = frozenset({contract.CONTROL_PLANES, contract.CLASSES, CONFIG_MAPS})
    concurrency = 8

    def __init__(self, directory: Directory, clock: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._store = directory.store
        self._clock = clock
        self._queue: WorkQueue | None = None
        self._classes: tuple[int, dict[str, tuple[str, ...]]] = (-1, {})
        self._seeds: dict[str, tuple[object, Seed]] = {}
        self._some: bool | None = None  # whether there is anything to install; None: somebody has to look

    def attach(self, queue: WorkQueue) -> None:
        self._queue = queue

    def observe(self, event: Event) -> Iterable[Hashable]:
        key = event.key
        if key.vcp != ROOT_VCP_ID:
            return ()
        if key.resource == contract.CLASSES:
            self._some = None
            return (OfClass(key.name),)
        if key.resource == CONFIG_MAPS:
            if key.namespace != contract.SYSTEM_NAMESPACE:
                return ()
            self._some = None
            return [OfClass(name) for name, addons in self._addons().items() if key.name in addons]
        return (key.name,) if event.type is not EventType.DELETED and self._any() else ()

    async def resync(self) -> AsyncIterator[Hashable]:
        self._some = None
        if self._any():
            async for name in self._walk(None):
                yield name

    async def reconcile(self, key: Hashable) -> float | None:
        if isinstance(key, OfClass):
            if any(self._is_real(addon) for addon in self._addons().get(key.name, ())):
                async for name in self._walk(key.name):
                    if self._queue is not None:
                        self._queue.add(name)
            return None
        assert isinstance(key, str)  # what observe gives
        stored = self._store.get(contract.root_key(contract.CONTROL_PLANES, key))
        if stored is None:
            return None
        document: Document = codec.decode(stored.value)
        programmed = documents.find_condition(document, "Programmed")
        if "deletionTimestamp" in document["metadata"] or programmed is None or programmed["status"] != "True":
            return None  # its next change leads back here
        plane = self._directory.find(contract.cluster_path(document))
        seed = self._seed(((document.get("spec") or {}).get("classRef") or {}).get("name") or "")
        if seed is NO_SEED or plane is None or plane.is_root or plane.standing.paused:
            return None
        return await self._install(stored, document, plane, seed)

    # -- what is to be there

    def _addons(self) -> dict[str, tuple[str, ...]]:
        """The addons of each class that has some; read again when a class has changed."""
        changed = self._store.changed(ROOT_VCP_ID, contract.CLASSES)
        if self._classes[0] != changed:
            found = {}
            for item in self._store.page(Scope(ROOT_VCP_ID, contract.CLASSES)).items:
                addons = (codec.decode(item.value).get("spec") or {}).get("addons")
                if addons:
                    found[item.key.name] = tuple(addons)
            self._classes = (changed, found)
            self._seeds = {name: seed for name, seed in self._seeds.items() if name in found}
        return self._classes[1]

    def _is_real(self, addon: str) -> bool:
        return addon != BUILT_IN or self._config_map(addon) is not None

    def _any(self) -> bool:
        """Whether there is anything to install anywhere: else no ControlPlane is looked at."""
        if self._some is None:
            self._some = any({self._is_real(addon) for addons in self._addons().values() for addon in addons})
        return self._some

    def _config_map(self, addon: str) -> Stored | None:
        return self._store.get(contract.root_key(CONFIG_MAPS, addon, contract.SYSTEM_NAMESPACE))

    def _seed(self, klass: str) -> Seed:
        """What a class installs; made again when its ConfigMaps have changed."""
        addons = [addon for addon in self._addons().get(klass, ()) if self._is_real(addon)]
        if not addons:
            return NO_SEED
        found = [(addon, self._config_map(addon)) for addon in addons]
        signature = tuple((addon, stored.revision if stored is not None else 0) for addon, stored in found)
        known = self._seeds.get(klass)
        if known is None or known[0] != signature:
            known = self._seeds[klass] = (signature, _made(found))
        return known[1]

    # -- putting it there

    async def _install(self, stored: Stored, document: Document, plane: ControlPlane, seed: Seed) -> float | None:
        status = document.get("status") or {}
        before = documents.find_condition(document, SEEDED)
        if before is not None and before["status"] == "True" and status.get("seed") == seed.digest:
            return None
        problem = seed.problem or await _apply(plane, seed.documents)
        if problem is not None:
            verdict = documents.condition(SEEDED, False, problem[0], problem[1][:1024])
        else:
            message = f"{len(seed.documents)} objects of the addons of the class are applied"
            verdict = documents.condition(SEEDED, True, "Applied", message)
            status = {**status, "seed": seed.digest}
        now, generation = timestamps.from_epoch(self._clock()), document["metadata"].get("generation", 1)
        status = {**status, "conditions": documents.with_conditions(status.get("conditions"), [verdict], generation, now)}
        if status != document.get("status"):
            mutations = [documents.change(stored, {**document, "status": status})]
            if before is None or (before["reason"], before["message"]) != (verdict["reason"], verdict["message"]):
                told = "Seeded" if problem is None else verdict["reason"]
                mutations.append(documents.event(ROOT_VCP_ID, document, told, verdict["message"], now, warning=problem is not None))
            await self._store.commit(mutations)
        return RETRY_PAUSE if problem is not None and seed.problem is None else None

    async def _walk(self, klass: str | None) -> AsyncIterator[str]:
        """The names of the ControlPlanes of a class, or of all that have one with addons."""
        wanted = {klass} if klass is not None else set(self._addons())
        after: tuple[str, str] | None = None
        while True:
            page = self._store.page(Scope(ROOT_VCP_ID, contract.CONTROL_PLANES), after=after, limit=_PAGE)
            for item in page.items:
                if ((codec.decode(item.value).get("spec") or {}).get("classRef") or {}).get("name") in wanted:
                    yield item.key.name
            if not page.more:
                return
            after = ("", page.items[-1].key.name)


def _made(found: list[tuple[str, Stored | None]]) -> Seed:
    """The seed in ConfigMaps."""
    digest, read = hashlib.sha256(), []
    for addon, stored in found:
        where = f'ConfigMap "{contract.SYSTEM_NAMESPACE}/{addon}"'
        if stored is None:
            return Seed("", (), ("AddonNotFound", f"{where} does not exist"))
        text = (codec.decode(stored.value).get("data") or {}).get(MANIFESTS)
        if text is None:
            return Seed("", (), ("AddonInvalid", f"{where} has no key {MANIFESTS}"))
        digest.update(f"{addon}\n{len(text)}\n{text}".encode())
        try:
            read += [document for document in yaml.load_all(text, Loader=_LOADER) if document is not None]
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            return Seed("", (), ("AddonInvalid", f"{where}: {error}"))
    if len(read) > MAX_DOCUMENTS:
        return Seed("", (), ("AddonInvalid", f"the addons have {len(read)} documents; {MAX_DOCUMENTS} are the most"))
    for document in read:
        metadata = document.get("metadata") if isinstance(document, dict) else None
        if (
            not isinstance(metadata, dict)
            or not all(isinstance(document.get(f), str) for f in ("apiVersion", "kind"))
            or "name" not in metadata
        ):
            return Seed("", (), ("AddonInvalid", "every document must be an object with apiVersion, kind and metadata.name"))
    ordered = sorted(read, key=lambda document: _ORDER.get(document["kind"], 2))
    return Seed(f"sha256:{digest.hexdigest()}", tuple(ordered))


async def _apply(plane: ControlPlane, wanted: Iterable[Document]) -> tuple[str, str] | None:
    """Apply documents inside a control plane, within its limits. The answer: why not, as (reason, message)."""
    for document in wanted:
        metadata = document["metadata"]
        what = f"{document['kind']} {metadata['name']}"
        version = GroupVersion.parse(document["apiVersion"])
        info = plane.api.resources.kind(GroupVersionKind(version.group, version.version, document["kind"]))
        if info is None:
            return "SeedFailed", f'{what}: there is no kind "{document["kind"]}" in version "{document["apiVersion"]}"'
        namespace = str(metadata.get("namespace") or "default") if info.namespaced else ""
        patch = Patch(_APPLY, codec.decode(codec.encode_without_revision(document)), force=True)
        try:
            await plane.api.patch(
                info, namespace, str(metadata["name"]), patch, RequestContext(CONTROLLER_USER, field_manager=FIELD_MANAGER)
            )
        except ApiError as error:
            return "SeedFailed", f"{what}: {error}"
    return None
