# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSONPath: what printer columns and kubectl write, and bounds on what tenants write."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kplane_server.model.jsonpath import MAX_RESULTS, compile_path

DOCUMENT: dict[str, Any] = {
    "spec": {"ports": [{"name": "a", "port": 1}, {"name": "b", "port": 2}], "flag": True, "size": 0},
    "metadata": {"annotations": {"example.com/key": "v", "it's": "w"}},
    "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}]},
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".spec.size", [0]),
        ("{.spec.flag}", [True]),
        ("$.spec.flag", [True]),
        ("spec.flag", [True]),
        (".spec.ports[0].name", ["a"]),
        (".spec.ports[-1].name", ["b"]),
        (".spec.ports[7].name", []),
        (".spec.ports[*].port", [1, 2]),
        (".spec.ports[0:1].port", [1]),
        (".spec.ports[:].port", [1, 2]),
        (".metadata.annotations['example.com/key']", ["v"]),
        (".metadata.annotations.example\\.com/key", ["v"]),
        ('.metadata.annotations["it\'s"]', ["w"]),
        ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
        (".status.conditions[?(@.type=='Nope')].status", []),
        (".status.conditions[?(@.type != 'Ready')].type", ["Other"]),
        (".spec.ports[?(@.port>1)].name", ["b"]),
        (".spec.ports[?(@.port)].name", ["a", "b"]),
        ("..port", [1, 2]),
        (".spec.missing.deeper", []),
        (".spec.size.deeper", []),
        (".", [DOCUMENT]),
        ("", [DOCUMENT]),
    ],
)
def test_paths(path: str, found: list[Any]) -> None:
    assert compile_path(path).find(DOCUMENT) == found


@pytest.mark.parametrize("path", [".spec[", ".a[?(@.b==c)]", ".a[::0]", ".a b", "." * 3000, ".a[?(b)]", ".a[1:2:3:4]"])
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(ValueError, match=r"JSONPath|slice"):
        compile_path(path)


def test_results_are_bounded() -> None:
    assert len(compile_path("[*][*]").find([[0] * 100] * 100)) == MAX_RESULTS


@given(st.text(alphabet=".[]*'\"?@()=<>:0aé\\-", max_size=20))
def test_a_path_compiles_or_is_refused_in_words(text: str) -> None:
    try:
        path = compile_path(text)
    except ValueError:
        return
    assert isinstance(path.find(DOCUMENT), list)
