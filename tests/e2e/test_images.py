# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook images: it lists every image that is used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stack_cases import CASES, listed_images, render
from standins import k3d, kind
from support.machine import ROOT

Json = dict[str, Any]
OWN = {
    "kplane_etcd_image": "registry.example:5000/etcd:v3.5.13",
    "kplane_apiserver_image": "registry.example:5000/kplane/apiserver@sha256:" + "a" * 64,
    "kplane_operator_image": "registry.example:5000/kplane/operator:v0.0.15",
    "kplane_image_pull_secrets": ["pull"],
    "kplane_image_pull_policy": "Always",
}
KIND_CONFIG = {"nodes": [{"role": "control-plane"}, {"role": "worker", "image": "registry.example:5000/node:2"}]}
K3D_CONFIG = {
    "apiVersion": "k3d.io/v1alpha5",
    "kind": "Simple",
    "image": "registry.example:5000/k3s:2",
    "registries": {"create": {"name": "local"}},
}
#: Ways to say which images programs take, besides those of the stack.
PROGRAMS: dict[str, tuple[str, Json]] = {
    "kind-nodes": ("kind", {"kplane_provider": "kind", "kplane_node_image": "registry.example:5000/node:1"}),
    "kind-config": ("kind", {"kplane_provider": "kind", "kplane_provider_config": KIND_CONFIG}),
    "k3d-alias": ("k3s", {"kplane_provider": "k3d"}),
    "k3s-config": ("k3s", {"kplane_provider": "k3s", "kplane_provider_config": K3D_CONFIG, **OWN}),
}
STANDIN_IMAGES = {"kind": [kind.NODE_IMAGE], "k3s": [k3d.NODE_IMAGE, "ghcr.io/k3d-io/k3d-proxy:5.8.3"]}


def images_in(value: Any) -> Iterator[str]:
    """Every value of a field ``image``, at any depth."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "image" and isinstance(item, str):
                yield item
            else:
                yield from images_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from images_in(item)


def test_the_list_is_complete(tmp_path: Path) -> None:
    """Over the whole matrix of variables: nothing is used that is not listed, and of the stack nothing is listed that is not used."""
    cases = {**CASES, **PROGRAMS}
    rendered = render(tmp_path, cases)
    for case, (provider, variables) in cases.items():
        listed = listed_images(tmp_path, case)
        used = set(images_in(rendered[case]))
        assert len(used) == 3, (case, used)
        assert used <= set(listed), case
        assert set(images_in(variables.get("kplane_provider_config"))) <= set(listed), case
        if case in PROGRAMS:
            # What the program takes by itself, as the stand-ins do it; held against the real ones below.
            taken = [variables["kplane_node_image"]] if "kplane_node_image" in variables else STANDIN_IMAGES[provider]
            assert {re.sub(r"^docker\.io/", "", image) for image in taken} <= {re.sub(r"^docker\.io/", "", image) for image in listed}, case
    assert "docker.io/library/registry:2" in listed_images(tmp_path, "k3s-config")


def test_the_image_of_nodes_is_the_one_that_kind_takes() -> None:
    program = ROOT / ".cache" / "bin" / "kind"
    if not program.exists():
        pytest.skip("NO kind: `make e2e` builds it where there is Go")
    assert kind.NODE_IMAGE.encode() in program.read_bytes()
