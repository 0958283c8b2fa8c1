# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Contract: collections, pages of them, and exact snapshots of the past."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from contract.stores import CONFIGMAPS, ROLES, SECRETS, SERVICES, delete, key, names, new_vcp, put, scope

from kplane_server.model.keys import VcpId
from kplane_server.storage.api import Compacted, FutureRevision, Store


async def _fill(store: Store) -> None:
    await store.commit([put(key(name, namespace)) for namespace, name in [("b", "2"), ("a", "2"), ("b", "1"), ("a", "10"), ("a-b", "1")]])


async def test_a_collection_is_sorted_by_namespace_and_name(store: Store) -> None:
    await _fill(store)
    await store.commit([put(key(resource=SECRETS))])
    assert names(store, scope()) == ["a/10", "a/2", "a-b/1", "b/1", "b/2"]
    assert names(store, scope(namespace="a")) == ["a/10", "a/2"]
    assert names(store, scope(namespace="none")) == []
    page = store.page(scope())
    assert (page.revision, page.more, page.remaining) == (store.revision, False, 0)


async def test_pages_have_neither_gap_nor_double(store: Store) -> None:
    await _fill(store)
    for limit in (1, 2, 3, 4, 5, 6):
        seen: list[str] = []
        after = None
        while True:
            page = store.page(scope(), after=after, limit=limit)
            seen += [f"{s.key.namespace}/{s.key.name}" for s in page.items]
            assert len(page.items) <= limit
            if after is None:
                assert page.remaining == 5 - len(page.items)
            if not page.more:
                break
            after = (page.items[-1].key.namespace, page.items[-1].key.name)
        assert seen == ["a/10", "a/2", "a-b/1", "b/1", "b/2"]


async def test_after_may_be_outside_the_namespace(store: Store) -> None:
    await _fill(store)
    assert names(store, scope(namespace="b"), after=("a", "zzz")) == ["b/1", "b/2"]
    assert names(store, scope(namespace="a"), after=("b", "")) == []
    assert names(store, scope(namespace="b"), after=("b", "1")) == ["b/2"]


async def test_the_layer_and_rows_are_one_collection(store: Store) -> None:
    record = await new_vcp(store)
    services = scope(SERVICES, vcp=record.id)
    await store.commit([put(key(n, "default", SERVICES, record.id)) for n in ("aaa", "zzz")])
    assert names(store, services) == ["default/aaa", "default/kubernetes", "default/zzz", "kube-system/dns"]
    assert names(store, services, limit=2) == ["default/aaa", "default/kubernetes"]
    assert names(store, services, after=("default", "kubernetes"), limit=1) == ["default/zzz"]
    assert names(store, services._replace(namespace="kube-system")) == ["kube-system/dns"]
    assert store.count(services) == 4
    assert store.count(services._replace(namespace="default")) == 3
    assert store.page(services, limit=1).remaining == 3
    assert [s.revision for s in store.page(services).items][1] == record.revision


async def test_resources_in(store: Store) -> None:
    record = await new_vcp(store)
    assert store.resources_in(record.id) == [ROLES, SERVICES]
    assert store.resources_in(record.id, "kube-system") == [SERVICES]
    assert store.resources_in(record.id, "mine") == []
    await store.commit([put(key("x", "mine", CONFIGMAPS, record.id)), put(key("x", "mine", SECRETS, record.id))])
    assert store.resources_in(record.id, "mine") == [CONFIGMAPS, SECRETS]
    assert store.resources_in(record.id) == [ROLES, CONFIGMAPS, SECRETS, SERVICES]
    await store.commit([delete(key("x", "mine", CONFIGMAPS, record.id)), delete(key("dns", "kube-system", SERVICES, record.id))])
    assert store.resources_in(record.id, "mine") == [SECRETS]
    assert store.resources_in(record.id, "kube-system") == []
    assert store.resources_in(VcpId(99)) == []


async def test_an_unknown_vcp_is_empty(store: Store) -> None:
    nowhere = scope(vcp=VcpId(99))
    assert store.page(nowhere).items == []
    assert store.count(nowhere) == 0
    assert store.get(key(vcp=VcpId(99))) is None
    assert store.vcp_by_id(VcpId(99)) is None


async def test_every_past_collection_can_be_had_exactly(store: Store) -> None:
    record = await new_vcp(store)
    collection = scope(SERVICES, vcp=record.id)
    history = {store.revision: store.page(collection).items}
    steps = [
        put(key("b", "default", SERVICES, record.id), "1"),
        put(key("kubernetes", "default", SERVICES, record.id), "changed"),
        put(key("b", "default", SERVICES, record.id), "2"),
        delete(key("dns", "kube-system", SERVICES, record.id)),
        delete(key("b", "default", SERVICES, record.id)),
        put(key("dns", "kube-system", SERVICES, record.id), "back"),
        put(key("a", "default", SERVICES, record.id), "new"),
        delete(key("kubernetes", "default", SERVICES, record.id)),
        put(key("b", "default", SERVICES, record.id), "3"),
    ]
    for step in steps:
        await store.commit([step])
        await store.commit([put(key("noise"))])
        history[store.revision] = store.page(collection).items
    for revision, items in history.items():
        page = store.page(collection, revision=revision)
        assert page.items == items
        assert page.revision == revision
        for limit in (1, 2):
            first = store.page(collection, revision=revision, limit=limit)
            assert first.items == items[:limit]
            assert first.more == (len(items) > limit)
            if first.more:
                position = (first.items[-1].key.namespace, first.items[-1].key.name)
                rest = store.page(collection, revision=revision, after=position)
                assert rest.items == items[limit:]


async def test_the_future_and_the_time_before_the_vcp_are_refused(store: Store) -> None:
    await _fill(store)
    record = await new_vcp(store)
    with pytest.raises(FutureRevision):
        store.page(scope(), revision=store.revision + 1)
    with pytest.raises(Compacted) as too_old:
        store.page(scope(vcp=record.id), revision=record.revision - 1)
    assert too_old.value.oldest == record.revision


async def test_trimmed_history_is_compacted(make_store: Callable[..., Store]) -> None:
    store = make_store(history_events=5)
    for n in range(20):
        await store.commit([put(key(f"n{n}"))])
    oldest = await store.trim()
    assert oldest == store.revision - 5
    assert len(store.page(scope(), revision=oldest).items) == 15
    with pytest.raises(Compacted) as too_old:
        store.page(scope(), revision=oldest - 1)
    assert too_old.value.oldest == oldest
    with pytest.raises(Compacted):
        store.subscribe(scope(), oldest - 1)
    with pytest.raises(Compacted):
        store.subscribe_resources(None, oldest - 1)
    assert [event.key.name for event in store.subscribe(scope(), oldest).pop()] == ["n15", "n16", "n17", "n18", "n19"]
    assert len(store.page(scope()).items) == 20
