# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Admission of the kplane kinds in root: names, paths, the operator's annotation, URLs; and the words of the contract."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.world import KPLANE, World

from kplane_server.model.errors import AlreadyExists, Invalid
from kplane_server.model.names import is_dns_label
from kplane_server.vcp import contract
from kplane_server.vcp.policy import url_problem


@pytest.fixture
def world() -> World:
    return World()


async def make(world: World, name: str, spec: dict[str, Any] | None = None, kind: str = "ControlPlane", **metadata: Any) -> dict[str, Any]:
    return await world.create({"apiVersion": KPLANE, "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec or {}})


@pytest.mark.parametrize("name", ["root", "clusters", "a.b", "x" * 64])
async def test_names_that_cannot_be_in_a_url_are_refused(world: World, name: str) -> None:
    with pytest.raises(Invalid, match=r"metadata\.name"):
        await make(world, name)


@pytest.mark.parametrize("path", ["root", "clusters", "A", "a/b", "..", "x" * 64])
async def test_paths_too(world: World, path: str) -> None:
    with pytest.raises(Invalid, match=r"spec\.virtual\.clusterPath"):
        await make(world, "a", {"virtual": {"clusterPath": path}})


async def test_the_finalizer_is_there_from_the_first_moment(world: World) -> None:
    made = await make(world, "a", finalizers=["example.com/other"])
    assert made["metadata"]["finalizers"] == ["example.com/other", contract.FINALIZER]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"virtual": {"clusterPath": "b"}}),
        ({"virtual": {"clusterPath": "b"}}, {"virtual": {"clusterPath": "c"}}),
        ({"virtual": {"clusterPath": "b"}}, {"virtual": None}),
    ],
)
async def test_the_path_never_changes(world: World, before: dict[str, Any], after: dict[str, Any]) -> None:
    await make(world, "a", before)
    with pytest.raises(Invalid, match="immutable"):
        await world.merge("ControlPlane", "a", {"spec": after})


async def test_the_mode_never_changes(world: World) -> None:
    await make(world, "a")
    with pytest.raises(Invalid, match="immutable"):
        await world.merge("ControlPlane", "a", {"spec": {"mode": "Dedicated"}})


async def test_the_same_name_again_is_already_exists(world: World) -> None:
    made = await make(world, "a")
    await world.directory.create("a", made["metadata"]["uid"])
    with pytest.raises(AlreadyExists):
        await make(world, "a")


async def test_nobody_but_the_operator_says_whose_data_it_is(world: World) -> None:
    stolen = {contract.INCARNATION_ANNOTATION: "uid-of-another"}
    with pytest.raises(Invalid, match="only the operator"):
        await make(world, "a", annotations=stolen)
    await make(world, "a")
    with pytest.raises(Invalid, match="only the operator"):
        await world.merge("ControlPlane", "a", {"metadata": {"annotations": stolen}})


@pytest.mark.parametrize(
    "url",
    [
        "http://a",
        "https://",
        "https://u:p@a",
        "https://a?x=1",
        "https://a#f",
        "https://a:0",
        "https://a:99999",
        "ftp://a",
        "a",
        'https://a/"b',
    ],
)
async def test_urls_that_are_none_are_refused(world: World, url: str) -> None:
    for field in ("endpoint", "externalEndpoint", "joinEndpoint"):
        with pytest.raises(Invalid, match=rf"spec\.{field}"):
            await make(world, "e", {field: url}, "ControlPlaneEndpoint")


@pytest.mark.parametrize("url", ["https://a", "https://a.b:6443/x/y", "https://[::1]:8443/", "https://127.0.0.1:8443"])
async def test_urls_that_are_fine_are_taken(world: World, url: str) -> None:
    await make(world, "e", {"endpoint": url}, "ControlPlaneEndpoint")


@given(st.text(max_size=40))
def test_no_text_breaks_the_judge_of_urls(text: str) -> None:
    assert url_problem(text) is None or isinstance(url_problem(text), str)
    assert url_problem(f"https://host/{text}\n") is not None


async def test_enumerations_and_patterns_of_the_schemas_hold(world: World) -> None:
    specs: list[dict[str, Any]] = [{"mode": "Other"}, {"deletionPolicy": "Keep"}, {"endpointRef": {}}]
    for spec in specs:
        with pytest.raises(Invalid):
            await make(world, "a", spec)


@given(st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True))
def test_management_namespaces_are_labels_and_no_two_share_one(name: str) -> None:
    namespace = contract.management_namespace(name)
    assert is_dns_label(namespace)
    assert namespace.startswith("kplane-cp-")
    assert contract.management_namespace(name + "x") != namespace
