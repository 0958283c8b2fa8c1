# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scale sub-resource as a view of an object."""

from __future__ import annotations

from typing import Any

import pytest

from kplane_server.registry.catalog import BUILTIN
from kplane_server.registry.strategies.scale import ScalePaths, paths_of, scale_causes, scale_of, selector_text, with_scale

DEPLOYMENTS = BUILTIN.find("apps", "v1", "deployments")


def test_a_scale_shows_the_object_and_changes_its_replicas_only() -> None:
    assert DEPLOYMENTS is not None
    obj: dict[str, Any] = {
        "metadata": {"name": "d", "namespace": "n", "uid": "u", "resourceVersion": "7", "labels": {"a": "b"}},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"b": "2", "a": "1"}}},
        "status": {"replicas": 1},
    }
    scale = scale_of(DEPLOYMENTS, obj)
    assert scale["metadata"] == {"name": "d", "namespace": "n", "uid": "u", "resourceVersion": "7"}
    assert (scale["spec"], scale["status"]) == ({"replicas": 2}, {"replicas": 1, "selector": "a=1,b=2"})
    scale["spec"]["replicas"] = 5
    changed = with_scale(obj, scale)
    assert changed["spec"]["replicas"] == 5
    assert obj["spec"]["replicas"] == 2
    assert {**changed, "spec": obj["spec"]} == obj


def test_custom_paths_are_made_where_they_are_missing() -> None:
    paths = ScalePaths(paths_of(".spec.size.wanted"), paths_of(".status.size"), paths_of(".status.selector"))
    assert with_scale({"metadata": {}}, {"spec": {"replicas": 3}}, paths)["spec"] == {"size": {"wanted": 3}}


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        (None, ""),
        ("a=b", "a=b"),
        ({"b": "2", "a": "1"}, "a=1,b=2"),
        ({"matchLabels": {}}, ""),
        (
            {
                "matchLabels": {"z": "1"},
                "matchExpressions": [
                    {"key": "k", "operator": "In", "values": ["b", "a"]},
                    {"key": "l", "operator": "NotIn", "values": ["c"]},
                    {"key": "m", "operator": "Exists"},
                    {"key": "n", "operator": "DoesNotExist"},
                ],
            },
            "k in (a,b),l notin (c),m,!n,z=1",
        ),
    ],
)
def test_selectors_as_text(selector: Any, text: str) -> None:
    assert selector_text(selector) == text


@pytest.mark.parametrize("replicas", [-1, "3", True, None])
def test_what_is_no_number_of_replicas(replicas: Any) -> None:
    assert scale_causes({"spec": {"replicas": replicas}})


def test_a_good_scale() -> None:
    assert scale_causes({"spec": {"replicas": 0}}) == scale_causes({"spec": {}}) == []
