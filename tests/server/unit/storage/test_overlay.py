# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The overlay: merging rows with a layer, and turning a collection back."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from kplane_server.model.keys import ObjectKey, ResourceId, Scope, VcpId
from kplane_server.storage.api import Stored, VcpRecord, VcpState
from kplane_server.storage.overlay import NoLayer, Overlay, merge, rewind

SCOPE = Scope(VcpId(2), ResourceId("services"))
POSITIONS = st.tuples(st.sampled_from(["", "a", "a-b", "b", "é"]), st.sampled_from(["a", "b", "b.c", "z"]))


def _key(position: tuple[str, str]) -> ObjectKey:
    return ObjectKey(SCOPE.vcp, SCOPE.resource, *position)


@given(st.dictionaries(POSITIONS, st.none() | st.binary(max_size=3)), st.sets(POSITIONS))
def test_rows_hide_the_layer_and_whiteouts_hide_both(rows: Mapping[tuple[str, str], bytes | None], names: set[tuple[str, str]]) -> None:
    expected = {position: Stored(_key(position), 5, b"layer") for position in names}
    for position, value in rows.items():
        expected.pop(position, None)
        if value is not None:
            expected[position] = Stored(_key(position), 9, value)
    merged = list(merge(SCOPE, ((*p, 9, v) for p, v in sorted(rows.items())), sorted(names), lambda key: Stored(key, 5, b"layer")))
    assert merged == [expected[position] for position in sorted(expected)]


@given(
    st.dictionaries(POSITIONS, st.binary(max_size=2)), st.dictionaries(POSITIONS, st.none() | st.binary(max_size=2)), st.none() | POSITIONS
)
def test_a_collection_turned_back(
    now: Mapping[tuple[str, str], bytes], past: Mapping[tuple[str, str], bytes | None], after: tuple[str, str] | None
) -> None:
    expected = {**now, **past}
    current = [Stored(_key(p), 9, v) for p, v in sorted(now.items()) if after is None or p > after]
    older = {p: None if v is None else Stored(_key(p), 3, v) for p, v in past.items()}
    turned = {(s.key.namespace, s.key.name): s.value for s in rewind(current, older, after)}
    assert turned == {p: v for p, v in expected.items() if v is not None and (after is None or p > after)}
    assert list(turned) == sorted(turned)


class _Layer(NoLayer):
    NAMES = (("", "x"), ("a", "1"), ("a", "2"), ("a-b", "1"), ("b", "1"))

    def names(self, vcp: VcpRecord, resource: ResourceId) -> tuple[tuple[str, str], ...]:
        return self.NAMES


def test_the_part_of_a_layer_that_a_scope_has() -> None:
    record = VcpRecord(VcpId(2), "n", "u", 0, 4, VcpState.ACTIVE)
    overlay = Overlay(_Layer())
    assert overlay.names(record, SCOPE) == _Layer.NAMES
    assert overlay.names(record, SCOPE._replace(namespace="a")) == (("a", "1"), ("a", "2"))
    assert overlay.names(record, SCOPE._replace(namespace="")) == (("", "x"),)
    assert overlay.names(record, SCOPE._replace(namespace="zz")) == ()
    assert overlay.names(record, SCOPE, ("a", "1")) == (("a", "2"), ("a-b", "1"), ("b", "1"))
    assert overlay.names(record, SCOPE._replace(namespace="a"), ("b", "1")) == ()
    assert Overlay(lambda record: NoLayer()).names(record, SCOPE) == ()
    assert Overlay(NoLayer()).get(record, _key(("a", "1"))) is None
