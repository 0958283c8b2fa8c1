# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists: pages, continue tokens, resource versions, selectors."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kplane_server.model.errors import ApiError, BadRequest, Expired, Timeout
from kplane_server.model.keys import VcpId
from kplane_server.registry import listing
from kplane_server.registry.api import ControlPlaneApi
from kplane_server.registry.listing import ContinuePosition, decode_continue, encode_continue
from kplane_server.registry.options import DeleteOptions, ListOptions
from kplane_server.storage.api import VcpRecord, VcpState
from kplane_server.storage.memory import MemoryStore
from kplane_server.storage.overlay import NoLayer

from .conftest import Bench

RECORD = VcpRecord(VcpId(2), "demo", "0b9f", 0, 5, VcpState.ACTIVE)
NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,20}[a-z0-9])?", fullmatch=True).filter(lambda n: ".." not in n)


@given(st.integers(1, 2**62) | st.just(-1), NAMES, NAMES)
def test_a_token_says_what_was_put_in(revision: int, namespace: str, name: str) -> None:
    for position in (ContinuePosition(revision, namespace, name), ContinuePosition(revision, "", name)):
        token = encode_continue(RECORD, position)
        assert decode_continue(RECORD, token, namespaced=bool(position.namespace)) == position
        assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(NAMES)
def test_a_token_of_another_incarnation_is_refused(name: str) -> None:
    token = encode_continue(replace(RECORD, uid="other"), ContinuePosition(7, "ns", name))
    with pytest.raises(BadRequest, match="it was not issued here"):
        decode_continue(RECORD, token, namespaced=True)


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda b: base64.urlsafe_b64encode(b).decode()), st.booleans())
def test_any_text_is_refused_with_a_status(text: str, namespaced: bool) -> None:
    with pytest.raises(BadRequest, match="invalid continue token"):
        decode_continue(RECORD, text, namespaced)


def forged(**fields: Any) -> str:
    token = encode_continue(RECORD, ContinuePosition(7, "ns", "name"))
    document = orjson.loads(base64.urlsafe_b64decode(token + "=="))
    return base64.urlsafe_b64encode(orjson.dumps({**document, **fields})).decode()


@pytest.mark.parametrize(
    "fields",
    [
        {"v": "meta.k8s.io/v2"},
        {"rv": 0},
        {"rv": -2},
        {"rv": "7"},
        {"rv": True},
        {"rv": None},
        {"start": ""},
        {"start": "x"},
        {"start": 5},
        {"start": "../x\0"},
        {"start": "no-namespace\0"},
        {"start": "/x\0"},
        {"start": "a\0/b\0"},
    ],
)
def test_forged_tokens_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="invalid continue token"):
        decode_continue(RECORD, forged(**fields), namespaced=True)


async def fill(bench: Bench, count: int) -> None:
    for n in range(count):
        await bench.create("configmaps", {"metadata": {"name": f"c{n:02}", "labels": {"half": str(n % 2), "n": str(n)}}})


async def test_pages_are_of_one_moment(bench: Bench) -> None:
    await fill(bench, 10)
    info = bench.info("configmaps")
    first = bench.api.list(info, "default", ListOptions(limit=4))
    assert [i.key.name for i in first.items] == ["c00", "c01", "c02", "c03"]
    assert first.remaining == 6
    await bench.create("configmaps", {"metadata": {"name": "c05-new"}})
    await bench.api.delete(info, "default", "c06", DeleteOptions(), bench.context())
    await bench.patch("configmaps", "c07", "merge", {"data": {"new": "x"}})
    second = bench.api.list(info, "default", ListOptions(limit=4, continue_token=first.continue_token))
    third = bench.api.list(info, "default", ListOptions(limit=4, continue_token=second.continue_token))
    assert [i.key.name for i in (*second.items, *third.items)] == ["c04", "c05", "c06", "c07", "c08", "c09"]
    assert {second.revision, third.revision} == {first.revision}
    assert b"new" not in second.items[3].value
    assert third.continue_token == ""
    assert (second.remaining, third.remaining) == (2, None)


@pytest.mark.parametrize("selector", ["", "half in (0, 1)"])
@pytest.mark.parametrize("limit", [0, 5, 7, 9, 100])
async def test_a_long_page_is_of_one_moment(bench: Bench, monkeypatch: pytest.MonkeyPatch, limit: int, selector: str) -> None:
    """It is read in steps, and whatever is written between them, it is what one step would have given."""
    await fill(bench, 9)
    info, options = bench.info("configmaps"), ListOptions(limit=limit, label_selector=selector)
    expected = bench.api.list(info, "default", options)
    monkeypatch.setattr(listing, "_SCAN", 2)
    steps, count, result = bench.api.list_steps(info, "default", options), 0, None
    while result is None:
        try:
            next(steps)
        except StopIteration as end:
            result = end.value
        else:
            count += 1
            await bench.create("configmaps", {"metadata": {"name": f"c{count}-new", "labels": {"half": "1"}}})
            await bench.patch("configmaps", f"c0{9 - count}", "merge", {"data": {"new": "x"}})
    assert result == expected
    assert count >= (min(limit or 9, 9) - 1) // 2
    assert bench.api.list(info, "default", ListOptions()).revision > expected.revision


async def test_every_page_says_how_many_are_left(bench: Bench) -> None:
    """Also of an exact revision of the past, and of one namespace among several."""
    await fill(bench, 7)
    await bench.api.create(bench.info("namespaces"), "", {"metadata": {"name": "other"}}, bench.context())
    await bench.create("configmaps", {"metadata": {"name": "elsewhere"}}, namespace="other")
    past = bench.api.store.revision
    await bench.create("configmaps", {"metadata": {"name": "later"}})
    await bench.api.delete(bench.info("configmaps"), "default", "c03", DeleteOptions(), bench.context())

    def left(namespace: str | None, **options: Any) -> list[int | None]:
        found, token = [], ""
        while True:
            asked = ListOptions(limit=3, continue_token=token, **({} if token else options))
            page = bench.api.list(bench.info("configmaps"), namespace, asked)
            found.append(page.remaining)
            token = page.continue_token
            if not token:
                return found

    assert left("default") == [4, 1, None]
    assert left("default", resource_version=past, resource_version_match="Exact") == [4, 1, None]
    assert left("default", resource_version=past) == [4, 1, None]
    total = len(bench.api.list(bench.info("configmaps"), None).items)
    assert left(None)[:2] == [total - 3, total - 6]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
async def test_pages_with_a_selector_hold_what_is_selected(bench: Bench, limit: int) -> None:
    await fill(bench, 12)
    found, token = [], ""
    while True:
        page = bench.api.list(bench.info("configmaps"), None, ListOptions(limit=limit, label_selector="half=1", continue_token=token))
        assert len(page.items) <= limit
        assert page.remaining is None
        found += [i.key.name for i in page.items]
        token = page.continue_token
        if not token:
            break
    assert found == [f"c{n:02}" for n in range(1, 12, 2)]


async def test_an_expired_token_offers_an_inconsistent_one() -> None:
    store = MemoryStore(layer=NoLayer(), history_events=10)
    record = store.vcp("root")
    assert record is not None
    bench = Bench(ControlPlaneApi(record, store))
    await fill(bench, 6)
    first = bench.api.list(bench.info("configmaps"), None, ListOptions(limit=2))
    for n in range(40):
        await bench.create("secrets", {"metadata": {"name": f"s{n}"}})
    await store.trim()
    with pytest.raises(Expired, match="The provided continue parameter is too old") as caught:
        bench.api.list(bench.info("configmaps"), None, ListOptions(limit=2, continue_token=first.continue_token))
    status = caught.value.status()
    assert (status["code"], status["reason"]) == (410, "Expired")
    rest = bench.api.list(bench.info("configmaps"), None, ListOptions(continue_token=status["metadata"]["continue"]))
    assert [i.key.name for i in rest.items] == ["c02", "c03", "c04", "c05"]
    assert rest.revision == store.revision
    inconsistent = bench.api.list(bench.info("configmaps"), None, ListOptions(limit=1, continue_token=status["metadata"]["continue"]))
    assert inconsistent.remaining == 3
    with pytest.raises(Expired):
        bench.api.list(bench.info("configmaps"), None, ListOptions(resource_version=2, resource_version_match="Exact"))


async def test_resource_versions_of_lists(bench: Bench) -> None:
    await fill(bench, 2)
    then = bench.store.revision
    await bench.create("configmaps", {"metadata": {"name": "c99"}})
    now = bench.store.revision
    assert len(bench.names("configmaps", resource_version=0)) == 3
    assert len(bench.names("configmaps", resource_version=then)) == 3
    assert len(bench.names("configmaps", resource_version=then, resource_version_match="NotOlderThan")) == 3
    assert len(bench.names("configmaps", resource_version=then, resource_version_match="Exact")) == 2
    assert len(bench.names("configmaps", resource_version=then, limit=5)) == 2  # the legacy rule: a limit makes it exact
    with pytest.raises(Timeout) as caught:
        bench.names("configmaps", resource_version=now + 1)
    status = caught.value.status()
    assert status["message"] == f"Timeout: Too large resource version: {now + 1}, current: {now}"
    assert status["details"] == {
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1,
    }


async def test_a_list_waits_for_a_revision_within_a_bound(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kplane_server.registry.listing.FRESHNESS_TIMEOUT", 0.01)
    await bench.api.settle(None)
    await bench.api.settle(bench.store.revision)
    with pytest.raises(Timeout):
        await bench.api.settle(bench.store.revision + 5)


@pytest.mark.parametrize(
    ("selectors", "names"),
    [
        ({"label_selector": "n=3"}, ["c03"]),
        ({"label_selector": "n in (1,2)"}, ["c01", "c02"]),
        ({"label_selector": "n notin (0,1,2,3)"}, ["c04"]),
        ({"label_selector": "!n"}, []),
        ({"label_selector": "n,half=0"}, ["c00", "c02", "c04"]),
        ({"field_selector": "metadata.name=c01"}, ["c01"]),
        ({"field_selector": "metadata.name!=c01"}, ["c00", "c02", "c03", "c04"]),
        ({"field_selector": "metadata.namespace=other"}, []),
        ({"field_selector": "metadata.name=c01", "label_selector": "n=2"}, []),
    ],
)
async def test_selectors(bench: Bench, selectors: dict[str, str], names: list[str]) -> None:
    await fill(bench, 5)
    assert bench.names("configmaps", None, **selectors) == names
    assert bench.names("configmaps", "default", **selectors) == names


@pytest.mark.parametrize(
    ("selectors", "words"),
    [
        ({"field_selector": "spec.x=1"}, '"spec.x" is not a known field selector: only "metadata.name", "metadata.namespace"'),
        ({"field_selector": "spec"}, "invalid selector"),
        ({"label_selector": "a b"}, "unable to parse requirement"),
        ({"label_selector": "a in"}, "unable to parse requirement"),
    ],
)
async def test_selectors_that_are_refused(bench: Bench, selectors: dict[str, str], words: str) -> None:
    with pytest.raises(BadRequest) as caught:
        bench.names("configmaps", None, **selectors)
    assert words in str(caught.value)


async def test_a_kind_with_fields_of_its_own(bench: Bench) -> None:
    await bench.create("secrets", {"metadata": {"name": "a"}, "type": "x/y"})
    await bench.create("secrets", {"metadata": {"name": "b"}})
    assert bench.names("secrets", field_selector="type=x/y") == ["a"]
    with pytest.raises(BadRequest, match=r"field label not supported: spec\.z"):
        bench.names("secrets", field_selector="spec.z=1")


async def test_a_token_of_a_revision_that_never_was(bench: Bench) -> None:
    await fill(bench, 2)
    token = encode_continue(bench.api.vcp, ContinuePosition(10**9, "default", "c00"))
    with pytest.raises(ApiError, match="was never issued") as caught:
        bench.names("configmaps", continue_token=token)
    assert caught.value.code == 400
