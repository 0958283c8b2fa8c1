# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Strategic merge patch on the schemas of built-in kinds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kplane_server.model.errors import BadRequest
from kplane_server.model.resources import GroupVersionKind
from kplane_server.registry.builtin_schemas import schema_for
from kplane_server.schema.patch import strategic

DEPLOYMENT = schema_for(GroupVersionKind("apps", "v1", "Deployment"))
POD = schema_for(GroupVersionKind("", "v1", "Pod"))
SERVICE = schema_for(GroupVersionKind("", "v1", "Service"))


def pod(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"spec": {"containers": list(containers), **spec}}


def container(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, **more}


CASES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "merges a list by its key": (
        pod(container("a", image="1"), container("b", image="2")),
        pod(container("b", image="3"), container("c", image="4")),
        pod(container("a", image="1"), container("b", image="3"), container("c", image="4")),
    ),
    "merges deep lists": (
        pod(container("a", env=[{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}])),
        pod(container("a", env=[{"name": "Y", "value": "3"}])),
        pod(container("a", env=[{"name": "X", "value": "1"}, {"name": "Y", "value": "3"}])),
    ),
    "deletes an element": (
        pod(container("a"), container("b")),
        pod({"name": "a", "$patch": "delete"}),
        pod(container("b")),
    ),
    "replaces a list": (
        pod(container("a"), container("b")),
        pod({"$patch": "replace"}, container("c")),
        pod(container("c")),
    ),
    "replaces a map": (
        {"metadata": {"labels": {"a": "1", "b": "2"}}},
        {"metadata": {"labels": {"$patch": "replace", "c": "3"}}},
        {"metadata": {"labels": {"c": "3"}}},
    ),
    "empties a map": (
        {"metadata": {"labels": {"a": "1"}, "name": "x"}},
        {"metadata": {"labels": {"$patch": "delete"}}},
        {"metadata": {"labels": {}, "name": "x"}},
    ),
    "null deletes": (
        {"metadata": {"labels": {"a": "1", "b": "2"}}},
        {"metadata": {"labels": {"a": None}}},
        {"metadata": {"labels": {"b": "2"}}},
    ),
    "new values lose their nulls and directives": (
        {},
        pod(container("a", env=None, resources={"limits": {"cpu": None}}), {"name": "b", "$patch": "delete"}),
        pod(container("a", resources={"limits": {}})),
    ),
    "an atomic list is replaced": (
        pod(container("a", command=["x", "y"])),
        pod(container("a", command=["z"])),
        pod(container("a", command=["z"])),
    ),
    "a primitive list is merged": (
        {"metadata": {"finalizers": ["a", "b"]}},
        {"metadata": {"finalizers": ["c", "a"]}},
        {"metadata": {"finalizers": ["c", "a", "b"]}},
    ),
    "elements of a primitive list are deleted": (
        {"metadata": {"finalizers": ["a", "b", "c"]}},
        {"metadata": {"$deleteFromPrimitiveList/finalizers": ["b"]}},
        {"metadata": {"finalizers": ["a", "c"]}},
    ),
    "the order is set": (
        pod(container("a"), container("b"), container("server")),
        {"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}},
        pod(container("b"), container("a"), container("server")),
    ),
    "the order is set together with a change": (
        pod(container("a"), container("b")),
        {
            "spec": {
                "$setElementOrder/containers": [{"name": "c"}, {"name": "b"}, {"name": "a"}],
                "containers": [container("c", image="1"), container("a", image="2")],
            }
        },
        pod(container("c", image="1"), container("b"), container("a", image="2")),
    ),
    "only retained keys stay": (
        {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}},
        {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}},
        {"spec": {"strategy": {"type": "Recreate"}}},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_case(name: str) -> None:
    document, patch, expected = CASES[name]
    before = repr((document, patch))
    schema = DEPLOYMENT if "retained" in name else POD
    assert strategic.apply(document, patch, schema) == expected
    assert repr((document, patch)) == before


REFUSED: list[dict[str, Any]] = [
    {"metadata": {"$patch": "explode"}},
    pod({"$patch": "merge", "name": "a"}),
    pod({"image": "no key"}),
    pod({"$patch": "delete"}),
    {"spec": {"containers": [["x"]]}},
    {"spec": {"containers": ["x", {"name": "a"}]}},
    {"spec": {"$setElementOrder/containers": "a"}},
    {"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}], "containers": [{"name": "a"}, {"name": "b"}]}},
    {"spec": {"$setElementOrder/containers": [{"image": "x"}], "containers": [{"name": "a"}]}},
    {"metadata": {"$deleteFromPrimitiveList/finalizers": "x"}},
    {"metadata": {"$deleteFromPrimitiveList/finalizers": [{"x": 1}]}},
    {"spec": {"$retainKeys": "x"}},
    {"spec": {"$retainKeys": ["a"], "b": 1}},
]


@pytest.mark.parametrize("patch", REFUSED)
def test_patches_against_the_format_are_refused(patch: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        strategic.apply({"metadata": {"finalizers": ["a"]}, "spec": {"containers": [{"name": "a"}]}}, patch, POD)


def test_a_patch_must_be_an_object() -> None:
    with pytest.raises(BadRequest):
        strategic.apply({}, [], SERVICE)


items = st.lists(st.sampled_from("abcde"), unique=True, max_size=5)


@given(items, items)
def test_merging_a_keyed_list_keeps_all_and_the_order_of_the_patch(live: list[str], patch: list[str]) -> None:
    result = strategic.apply(pod(*map(container, live)), pod(*(container(n, image="new") for n in patch)), POD)
    names = [item["name"] for item in result["spec"]["containers"]]
    assert sorted(names) == sorted({*live, *patch})
    assert [name for name in names if name in patch] == patch
    assert [name for name in names if name not in patch] == [name for name in live if name not in patch]
    assert strategic.apply(result, pod(*(container(n, image="new") for n in patch)), POD) == result
