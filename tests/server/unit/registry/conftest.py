# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A control plane over the in-memory store, with the admission chain that every control plane has."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from kplane_server.admission.chain import default_chain
from kplane_server.model.identity import CONTROLLER_USER
from kplane_server.registry.api import ControlPlaneApi
from kplane_server.registry.options import ListOptions, Patch, RequestContext, WatchOptions
from kplane_server.registry.resource import ResourceInfo
from kplane_server.storage.api import Stored
from kplane_server.storage.memory import MemoryStore
from kplane_server.storage.overlay import NoLayer


class Bench:
    """The verbs with short names: resources as ``"configmaps"`` or ``"deployments.apps"``, documents in and out as dicts."""

    def __init__(self, api: ControlPlaneApi) -> None:
        self.api = api
        self.store = api.store

    def info(self, resource: str, version: str = "v1") -> ResourceInfo:
        name, _, group = resource.partition(".")
        found = self.api.resources.find(group, version, name)
        assert found is not None, f"{resource} {version} is not served"
        return found

    @staticmethod
    def context(**fields: Any) -> RequestContext:
        return RequestContext(CONTROLLER_USER, **{"field_manager": "test", **fields})

    async def create(self, resource: str, body: Any, namespace: str = "default", version: str = "v1", **fields: Any) -> Any:
        copy = orjson.loads(orjson.dumps(body))
        return document(await self.api.create(self.info(resource, version), namespace, copy, self.context(**fields)))

    async def update(self, resource: str, body: Any, namespace: str = "default", subresource: str = "", **fields: Any) -> Any:
        copy, version = orjson.loads(orjson.dumps(body)), fields.pop("version", "v1")
        name = fields.pop("name", None) or body["metadata"]["name"]
        written = await self.api.update(self.info(resource, version), namespace, name, copy, self.context(**fields), subresource)
        return document(written.stored)

    async def patch(self, resource: str, name: str, kind: str, body: Any, namespace: str = "default", **fields: Any) -> Any:
        subresource, version, force = fields.pop("subresource", ""), fields.pop("version", "v1"), fields.pop("force", False)
        media = {
            "json": "application/json-patch+json",
            "merge": "application/merge-patch+json",
            "strategic": "application/strategic-merge-patch+json",
            "apply": "application/apply-patch+yaml",
        }[kind]
        copy = orjson.loads(orjson.dumps(body))
        patch = Patch(media, copy, force)
        written = await self.api.patch(self.info(resource, version), namespace, name, patch, self.context(**fields), subresource)
        return document(written.stored)

    def get(self, resource: str, name: str, namespace: str = "default", version: str = "v1", subresource: str = "") -> Any:
        return document(self.api.get(self.info(resource, version), namespace, name, subresource))

    def names(self, resource: str, namespace: str | None = None, **options: Any) -> list[str]:
        return [item.key.name for item in self.api.list(self.info(resource), namespace, ListOptions(**options)).items]

    def watch(self, resource: str, namespace: str | None = None, **options: Any) -> Any:
        return self.api.watch(self.info(resource), namespace, WatchOptions(**options))


def document(stored: Stored) -> Any:
    return orjson.loads(stored.value)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """Root of a fresh store, with namespace ``default``."""
    store = MemoryStore(layer=NoLayer())
    record = store.vcp("root")
    assert record is not None
    made = Bench(ControlPlaneApi(record, store, admission=default_chain()))
    await made.create("namespaces", {"metadata": {"name": "default"}}, "")
    yield made
    await store.close()
