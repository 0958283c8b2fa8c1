# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cache: bounded, exact, and able to forget a VCP."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kplane_server.model.keys import ObjectKey, ResourceId, VcpId
from kplane_server.storage.api import Stored
from kplane_server.storage.cache import ENTRY_OVERHEAD, Cache


def _stored(name: str, vcp: int = 1, size: int = 100, revision: int = 1) -> Stored:
    return Stored(ObjectKey(VcpId(vcp), ResourceId("configmaps"), "d", name), revision, b"x" * size)


def test_what_is_put_can_be_got_until_it_is_discarded() -> None:
    cache = Cache(1 << 20)
    cache.put(_stored("a"))
    cache.put(_stored("a", revision=2))
    assert cache.get(_stored("a").key) == _stored("a", revision=2)
    assert len(cache) == 1
    cache.discard(_stored("a").key)
    assert cache.get(_stored("a").key) is None
    assert cache.bytes == 0


def test_it_stays_within_its_bytes_and_keeps_what_is_used() -> None:
    cache = Cache(20 * (ENTRY_OVERHEAD + 100))
    for n in range(1000):
        cache.put(_stored(f"n{n}"))
        assert cache.get(_stored("n0").key) is not None
        assert cache.bytes <= 20 * (ENTRY_OVERHEAD + 100)
    assert cache.get(_stored("n500").key) is None
    assert cache.get(_stored("n999").key) is not None


def test_a_document_larger_than_the_cache_is_not_kept() -> None:
    cache = Cache(2000)
    cache.put(_stored("small"))
    cache.put(_stored("small", size=5000, revision=2))
    assert cache.get(_stored("small").key) is None


def test_a_vcp_is_forgotten_alone() -> None:
    cache = Cache(1 << 20)
    cache.put(_stored("a", vcp=1))
    cache.put(_stored("a", vcp=2))
    cache.rotate()
    cache.put(_stored("b", vcp=1))
    cache.drop(VcpId(1))
    assert len(cache) == 1
    assert cache.get(_stored("a", vcp=2).key) is not None
    cache.drop(VcpId(2))
    assert cache.bytes == 0


def test_what_nobody_asks_for_is_gone_after_two_rotations() -> None:
    cache = Cache(1 << 20)
    cache.put(_stored("idle"))
    cache.put(_stored("busy"))
    for _ in range(2):
        assert cache.get(_stored("busy").key) is not None
        cache.rotate()
    assert cache.get(_stored("idle").key) is None
    assert cache.get(_stored("busy").key) is not None


@given(st.lists(st.tuples(st.sampled_from("pgdr"), st.integers(0, 5), st.integers(1, 3), st.integers(0, 400))))
def test_it_never_answers_with_anything_but_the_last_value(steps: list[tuple[str, int, int, int]]) -> None:
    cache, truth = Cache(6 * ENTRY_OVERHEAD), {}
    for revision, (what, name, vcp, size) in enumerate(steps):
        stored = _stored(str(name), vcp, size, revision)
        if what == "p":
            cache.put(stored)
            truth[stored.key] = stored
        elif what == "d":
            cache.discard(stored.key)
            truth.pop(stored.key, None)
        elif what == "r":
            cache.drop(VcpId(vcp))
            truth = {key: value for key, value in truth.items() if key.vcp != vcp}
        else:
            found = cache.get(stored.key)
            assert found is None or found == truth[stored.key]
        held = [*cache._young.values(), *cache._old.values()]
        assert all(held)
        assert cache.bytes == sum(ENTRY_OVERHEAD + len(s.value) for bucket in held for s in bucket.values()) <= 6 * ENTRY_OVERHEAD
