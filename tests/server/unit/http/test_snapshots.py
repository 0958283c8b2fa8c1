# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A snapshot that cannot be finished says so, and never looks whole."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from support.world import ADMIN, World

from kplane_server.http.handlers.snapshots import Snapshots
from kplane_server.http.response import StreamResponse
from kplane_server.registry import snapshot
from kplane_server.registry.resource import ResourceInfo
from kplane_server.storage.api import Compacted, UnknownVcp


class Sink:
    def __init__(self) -> None:
        self.sent = b""

    async def send(self, data: bytes) -> None:
        self.sent += data


async def taken(names: str = "configmaps,secrets") -> bytes:
    world = World()
    call: Any = SimpleNamespace(plane=world.directory.root, query={"resource": names}, user=ADMIN)
    answer = Snapshots().get(call)
    assert isinstance(answer, StreamResponse)
    sink = Sink()
    await answer.run(sink)
    answer.close()
    return sink.sent


@pytest.mark.parametrize("read", [0, 1], ids=["before a collection", "within a collection"])
async def test_what_is_forgotten_meanwhile(monkeypatch: pytest.MonkeyPatch, read: int) -> None:
    async def pages(registry: Any, info: ResourceInfo, revision: int) -> AsyncIterator[list[bytes]]:
        if info.resource == "configmaps":
            yield [b'{"a":1}', b'{"a":2}']
            return
        for _ in range(read):
            yield [b'{"b":1}']
        raise Compacted(1, 5)

    monkeypatch.setattr(snapshot, "pages", pages)
    document = json.loads(await taken())
    assert document["complete"] is False
    assert document["error"]["reason"] == "Expired"
    assert document["liveResources"] == 1
    assert [part["items"] for part in document["resources"]] == [[{"a": 1}, {"a": 2}], *([[{"b": 1}]] * read)]
    assert all("itemCount" not in part for part in document["resources"][1:])


async def test_a_control_plane_that_goes_leaves_a_torso(monkeypatch: pytest.MonkeyPatch) -> None:
    async def pages(registry: Any, info: ResourceInfo, revision: int) -> AsyncIterator[list[bytes]]:
        yield [b'{"a":1}']
        raise UnknownVcp("gone")

    monkeypatch.setattr(snapshot, "pages", pages)
    with pytest.raises(json.JSONDecodeError):
        json.loads(await taken())


async def test_without_an_end_it_is_whole() -> None:
    document = json.loads(await taken())
    assert document["complete"] is True
