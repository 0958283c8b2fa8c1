# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kplane.core.plugins.module_utils._config import apply_patch
from ansible_collections.kplane.core.plugins.module_utils._diff import Differences, patch_for, select

LEAVES = st.text("ab", max_size=2) | st.integers(0, 2) | st.booleans() | st.lists(st.integers(0, 2), max_size=2)
OBJECTS = st.recursive(
    st.dictionaries(st.sampled_from("xyz"), LEAVES, max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("xyz"), inner | LEAVES, max_size=3),
)
DECLARED = st.recursive(
    st.dictionaries(st.sampled_from("xyz"), LEAVES | st.none(), max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("xyz"), inner | LEAVES | st.none(), max_size=3),
)


@given(OBJECTS, DECLARED)
def test_the_patch_makes_it_so_and_then_nothing_is_left_to_do(live, declared):
    assert patch_for(apply_patch(live, patch_for(live, declared)), declared) == {}


@given(OBJECTS)
def test_what_is_so_needs_no_patch(live):
    assert patch_for(live, live) == {}


@given(OBJECTS, DECLARED)
def test_what_was_not_declared_is_not_touched(live, declared):
    after = apply_patch(live, patch_for(live, declared))
    for key, value in live.items():
        if key not in declared:
            assert after[key] == value


def test_a_selection_shows_what_a_patch_replaces():
    live = {"spec": {"a": 1, "b": 2}, "metadata": {"name": "x"}}
    patch = patch_for(live, {"spec": {"a": 3, "c": 4}})
    assert patch == {"spec": {"a": 3, "c": 4}}
    assert select(live, patch) == {"spec": {"a": 1}}


def test_differences_leave_out_what_was_absent():
    differences = Differences()
    differences.add("new", None, {"x": 1})
    differences.add("old", {"x": 1}, None)
    assert differences.as_result() == {"before": {"old": {"x": 1}}, "after": {"new": {"x": 1}}}
