# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Definitions of custom resources that people use, as their projects publish them, are taken and served."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from support.client import Client
from support.published import DEFINITIONS, PATIENCE_SECONDS, definitions

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def documents(module: str) -> list[dict[str, Any]]:
    """The definitions of a module."""
    files = definitions(module)
    if files is None:
        pytest.skip(f"NO GO: the definitions of {module} are not tried")
    found = [document for file in files for document in yaml.load_all(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)]
    return [document for document in found if document and document["kind"] == "CustomResourceDefinition"]


@pytest.mark.timeout(PATIENCE_SECONDS)
@pytest.mark.parametrize("module", DEFINITIONS)
def test_definitions_are_taken(module: str, client: Client) -> None:
    published = documents(module)
    assert len(published) > 4
    for document in published:
        made = client.post(CRDS, document).ok()
        states = {condition["type"]: condition["status"] for condition in made["status"]["conditions"]}
        assert states["Established"] == "True", made["metadata"]["name"]
        spec = document["spec"]
        for version in spec["versions"]:
            if version["served"]:
                listed = client.get(f"/apis/{spec['group']}/{version['name']}/{spec['names']['plural']}").ok()
                assert listed["items"] == []
