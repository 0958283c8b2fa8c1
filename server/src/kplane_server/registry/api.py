# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs of one control plane, as the HTTP handlers and the controllers call them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Generator
from typing import Final, NoReturn

from kplane_server.model.errors import Json
from kplane_server.model.identity import CONTROLLER_USER
from kplane_server.registry import codec, conversion, create, custom_cleanup, deletion, listing, patching, subresources, unstored, watching
from kplane_server.registry import update as updating
from kplane_server.registry.attributes import Admission, AdmitAll, Operation
from kplane_server.registry.catalog import BUILTIN, Catalog
from kplane_server.registry.custom_rows import CustomResourceInfo
from kplane_server.registry.generic import Clock, Registry
from kplane_server.registry.hooks import HookCaller
from kplane_server.registry.options import DeleteOptions, ListOptions, Patch, RequestContext, WatchOptions
from kplane_server.registry.resource import ResourceInfo
from kplane_server.registry.table import ResourceTable
from kplane_server.storage.api import Store, Stored, VcpRecord

_LIST: Final = ListOptions()
_WATCH: Final = WatchOptions()


class ControlPlaneApi:
    """Reads are synchronous and return bytes at the row's version; writes take over the documents they are given.

    Every method raises ``model.errors.ApiError`` and nothing else that a client should not see.
    """

    __slots__ = ("registry",)

    def __init__(
        self,
        vcp: VcpRecord,
        store: Store,
        catalog: Catalog = BUILTIN,
        admission: Admission | None = None,
        clock: Clock = time.time,
        hooks: HookCaller | None = None,
    ) -> None:
        self.registry = Registry(vcp, store, ResourceTable(vcp.id, store, catalog), admission or AdmitAll(), clock, hooks)

    @property
    def resources(self) -> ResourceTable:
        """The rows: ``find(group, version, resource)``, ``kind(gvk)``, ``all()``, ``groups()``."""
        return self.registry.resources

    @property
    def store(self) -> Store:
        return self.registry.store

    @property
    def vcp(self) -> VcpRecord:
        return self.registry.vcp

    async def settle(self, revision: int | None) -> None:
        """Before a get, list or watch that names a revision: wait (bounded) until it is visible, else 504."""
        await listing.settle(self.registry, revision)

    def get(self, info: ResourceInfo, namespace: str, name: str, subresource: str = "") -> Stored:
        """One object, or the document of one of its sub-resources. Raises NotFound."""
        if subresource:
            return subresources.get(self.registry, info, namespace, name, subresource)
        return conversion.read(self.registry.require(info, namespace, name), info)

    async def get_converted(self, info: CustomResourceInfo, namespace: str, name: str, subresource: str = "") -> Stored:
        """The same for a row ``by_webhook``."""
        stored = await self.registry.see(info, self.registry.require(info, namespace, name))
        return subresources.shown(info, name, subresource, stored) if subresource else stored

    def find(self, info: ResourceInfo, namespace: str, name: str) -> Stored | None:
        """One object, or None."""
        stored = self.registry.find(info, namespace, name)
        return None if stored is None else conversion.read(stored, info)

    def document(self, info: ResourceInfo, namespace: str, name: str) -> Json | None:
        """One object, parsed, or None. Where only a webhook converts, it is in the version that it is stored in: good for metadata."""
        if isinstance(info, CustomResourceInfo) and info.by_webhook:
            stored = self.registry.find(info, namespace, name)
        else:
            stored = self.find(info, namespace, name)
        return None if stored is None else codec.decode(stored.value)

    def list(self, info: ResourceInfo, namespace: str | None = None, options: ListOptions = _LIST) -> listing.ListResult:
        """One page of a collection."""
        return listing.list_objects(self.registry, info, namespace, options)

    def list_steps(
        self, info: ResourceInfo, namespace: str | None = None, options: ListOptions = _LIST
    ) -> Generator[None, None, listing.ListResult]:
        """The same in steps: it yields between them, and returns the page."""
        return listing.list_steps(self.registry, info, namespace, options)

    async def list_converted(
        self, info: CustomResourceInfo, namespace: str | None = None, options: ListOptions = _LIST
    ) -> listing.ListResult:
        """The same for a row ``by_webhook``."""
        return await listing.list_converted(self.registry, info, namespace, options)

    def watch(self, info: ResourceInfo, namespace: str | None = None, options: WatchOptions = _WATCH) -> watching.Watch:
        """Begin a watch."""
        return watching.watch(self.registry, info, namespace, options)

    async def create(
        self, info: ResourceInfo, namespace: str, body: Json, ctx: RequestContext, *, name: str = "", subresource: str = ""
    ) -> Stored:
        """Create an object, or post to a sub-resource (``binding``, ``eviction``)."""
        if subresource:
            return await subresources.create(self.registry, info, namespace, name, subresource, body, ctx)
        if info.resource == "bindings" and not info.group:  # the old way to post to pods/binding
            return await subresources.create_binding(self.registry, info, namespace, body, ctx)
        return await create.create(self.registry, info, namespace, body, ctx, name)

    async def answer(
        self,
        info: ResourceInfo,
        namespace: str,
        body: Json,
        ctx: RequestContext,
        make: Callable[[Json], Awaitable[dict[str, Json]]],
        *,
        name: str = "",
        subresource: str = "",
    ) -> dict[str, Json]:
        """What ``make`` makes of a document that is posted and not stored, if admission has nothing against it."""
        return await unstored.answer(self.registry, info, namespace, body, ctx, make, name=name, subresource=subresource)

    async def connect(
        self, info: ResourceInfo, namespace: str, name: str, subresource: str, options: Json, ctx: RequestContext
    ) -> NoReturn:
        """Open a connection through an object, which ends in the error that says why there is none."""
        await unstored.connect(self.registry, info, namespace, name, subresource, options, ctx)

    async def update(
        self, info: ResourceInfo, namespace: str, name: str, body: Json, ctx: RequestContext, subresource: str = ""
    ) -> updating.Written:
        """Replace an object, or one of its sub-resources: (stored, created)."""
        if subresource:
            return await subresources.update(self.registry, info, namespace, name, subresource, body, ctx)
        return await updating.update(self.registry, info, namespace, name, body, ctx)

    async def patch(
        self, info: ResourceInfo, namespace: str, name: str, patch: Patch, ctx: RequestContext, subresource: str = ""
    ) -> updating.Written:
        """Patch an object, or one of its sub-resources: (stored, created)."""
        if subresource:
            return await subresources.patch(self.registry, info, namespace, name, subresource, patch, ctx)
        return await patching.patch_object(self.registry, info, namespace, name, patch, ctx)

    async def delete(self, info: ResourceInfo, namespace: str, name: str, options: DeleteOptions, ctx: RequestContext) -> deletion.Deletion:
        """Delete an object: (stored, finished)."""
        return await deletion.delete(self.registry, info, namespace, name, options, ctx)

    def deletions_are_judged(self) -> bool:
        """Whether a webhook or a policy may want a say in deletions. Where none does, controllers may take away in bulk."""
        info = self.resources.find("", "v1", "namespaces")
        assert info is not None  # a built-in resource
        key, ctx = self.registry.key(info, "", ""), RequestContext(CONTROLLER_USER)
        attributes = self.registry.attributes(Operation.DELETE, info, key, ctx, new=None)
        return self.registry.admission.minds_deletions(attributes)

    async def delete_collection(
        self, info: ResourceInfo, namespace: str | None, options: ListOptions, delete_options: DeleteOptions, ctx: RequestContext
    ) -> listing.ListResult:
        """Delete what a list selects; the answer is that list."""
        return await deletion.delete_collection(self.registry, info, namespace, options, delete_options, ctx)

    async def finish_definition(self, name: str) -> bool:
        """Go on with the deletion of a CustomResourceDefinition (see ``custom_cleanup``). True when nothing is left to do."""
        return await custom_cleanup.finish_definition(self.registry, name)
