# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Expressions that take long: the event loop goes on meanwhile, and who does not wait any more stops them."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import Any

import pytest

from kplane_server.model.errors import Invalid
from kplane_server.model.keys import ROOT_VCP_ID, VcpId
from kplane_server.registry.aside import judged, on_loop
from kplane_server.schema.cel.budget import CALL_LIMIT, HERE_LIMIT, Budget, Place
from kplane_server.schema.cel.program import Program
from kplane_server.schema.cel.values import CostExceeded, Value

from .conftest import Bench

PAIRS = Program("self.all(x, self.all(y, x + y >= 0))", ("self",))
LONG = list(range(300))


def pairs(place: Place, items: list[int]) -> tuple[str, Value]:
    """Where an expression was evaluated, and its value."""
    budget = Budget(place=place)
    meter = budget.open()
    try:
        return threading.current_thread().name, PAIRS.evaluate({"self": items}, meter)
    finally:
        budget.close(meter)


async def test_short_work_is_done_at_once() -> None:
    assert await judged(ROOT_VCP_ID, lambda place: pairs(place, [1, 2])) == (threading.current_thread().name, True)


async def test_the_loop_goes_on_while_long_work_is_done() -> None:
    working = asyncio.ensure_future(judged(ROOT_VCP_ID, lambda place: pairs(place, LONG)))
    turns = 0
    while not working.done():
        await asyncio.sleep(0)
        turns += 1
    name, value = working.result()
    assert name.startswith("expressions")
    assert value is True
    assert turns > 10


async def test_work_that_nobody_waits_for_ends() -> None:
    ended = threading.Event()

    def work(place: Place) -> None:
        try:
            while True:
                pairs(place, LONG)
        except CostExceeded as error:
            if "interrupted" in str(error):
                ended.set()
            raise

    working = asyncio.ensure_future(judged(ROOT_VCP_ID, work))
    for _ in range(20):
        await asyncio.sleep(0.001)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert await asyncio.to_thread(ended.wait, 30)


async def test_control_planes_take_turns() -> None:
    order: list[int] = []

    def work(vcp: int, place: Place) -> None:
        pairs(place, LONG[:100])
        order.append(vcp)

    async def ask(vcp: int) -> None:
        await judged(VcpId(vcp), partial(work, vcp))

    asked = [asyncio.ensure_future(ask(vcp)) for vcp in (2, 2, 2, 2, 3, 3, 4)]
    await asyncio.sleep(0)
    asked[3].cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    assert order == [2, 2, 3, 4, 2, 3]
    assert await judged(VcpId(5), lambda place: pairs(place, LONG[:100])) == ("expressions_0", True)


async def test_questions_are_asked_on_the_loop() -> None:
    def ask() -> str:
        return threading.current_thread().name

    def fail() -> str:
        raise ValueError("no")

    def work(place: Place) -> tuple[str, str]:
        pairs(place, LONG)
        with pytest.raises(ValueError, match="no"):
            on_loop(fail)
        return threading.current_thread().name, on_loop(ask)

    assert await judged(ROOT_VCP_ID, work) == ("expressions_0", threading.current_thread().name)
    assert on_loop(ask) == threading.current_thread().name


CRDS = "customresourcedefinitions.apiextensions.k8s.io"


def crd() -> dict[str, Any]:
    rule = {"rule": "self.all(x, self.all(y, x + y >= 0))", "message": "negative"}
    items = {"type": "array", "maxItems": 900, "items": {"type": "integer"}, "x-kubernetes-validations": [rule]}
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"l": items}}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    spec = {"group": "example.com", "scope": "Namespaced", "names": {"plural": "lists", "kind": "Many"}, "versions": [version]}
    head = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    return {**head, "metadata": {"name": "lists.example.com"}, "spec": spec}


async def test_a_dear_document_is_taken_or_refused_as_upstream_does(bench: Bench) -> None:
    await bench.create(CRDS, crd(), "")
    head = {"apiVersion": "example.com/v1", "kind": "Many"}
    for name, size in (("small", 5), ("large", 250)):  # 450,000 units
        made = await bench.create("lists.example.com", {**head, "metadata": {"name": name}, "spec": {"l": list(range(size))}})
        assert made["spec"]["l"][-1] == size - 1
    changed = await bench.patch("lists.example.com", "large", "merge", {"spec": {"l": list(range(260))}})
    assert len(changed["spec"]["l"]) == 260
    with pytest.raises(Invalid, match="negative"):
        await bench.patch("lists.example.com", "large", "merge", {"spec": {"l": [*range(250), -600]}})
    with pytest.raises(Invalid, match="call cost exceeds limit for rule: negative"):
        await bench.create("lists.example.com", {**head, "metadata": {"name": "huge"}, "spec": {"l": list(range(800))}})
    assert HERE_LIMIT < CALL_LIMIT
