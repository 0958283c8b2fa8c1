# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conversion between versions of built-in kinds: nothing is lost on the way there and back."""

from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kplane_server.model.resources import GroupVersion
from kplane_server.registry.strategies.conversion import convert

CORE, EVENTS = GroupVersion("", "v1"), GroupVersion("events.k8s.io", "v1")
V1, V2 = GroupVersion("autoscaling", "v1"), GroupVersion("autoscaling", "v2")


def test_events_have_two_vocabularies() -> None:
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "e"},
        "involvedObject": {"name": "p"},
        "message": "m",
        "count": 3,
        "firstTimestamp": "2026-01-01T00:00:00Z",
        "source": {"component": "c"},
        "reportingComponent": "r",
        "type": "Normal",
    }
    there = convert(copy.deepcopy(event), CORE, EVENTS)
    assert there["apiVersion"] == "events.k8s.io/v1"
    assert (there["regarding"], there["note"], there["deprecatedCount"]) == ({"name": "p"}, "m", 3)
    assert there["reportingController"] == "r"
    assert convert(there, EVENTS, CORE) == event


def autoscaler(metrics: list[Any], **spec: Any) -> dict[str, Any]:
    target = {"kind": "Deployment", "name": "d"}
    body = {"scaleTargetRef": target, "maxReplicas": 3, **({"metrics": metrics} if metrics else {}), **spec}
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"}, "spec": body}


CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}}
MEMORY = {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}}
PODS = {"type": "Pods", "pods": {"metric": {"name": "qps"}, "target": {"type": "AverageValue", "averageValue": "10"}}}
OBJECT = {
    "type": "Object",
    "object": {"describedObject": {"kind": "Service", "name": "s"}, "metric": {"name": "m"}, "target": {"type": "Value", "value": "5"}},
}
EXTERNAL = {"type": "External", "external": {"metric": {"name": "q"}, "target": {"type": "Value", "value": "5"}}}
SIDECAR = {
    "type": "ContainerResource",
    "containerResource": {"name": "cpu", "container": "c", "target": {"type": "Utilization", "averageUtilization": 5}},
}


def test_the_old_autoscaler_shows_the_cpu_percentage() -> None:
    old = convert(autoscaler([CPU]), V2, V1)
    assert old["spec"]["targetCPUUtilizationPercentage"] == 60
    assert "annotations" not in old["metadata"]
    new = convert({**old, "apiVersion": "autoscaling/v1"}, V1, V2)
    assert new["spec"]["metrics"] == [CPU]
    assert "targetCPUUtilizationPercentage" not in new["spec"]


def test_other_metrics_travel_in_an_annotation() -> None:
    old = convert(autoscaler([MEMORY]), V2, V1)
    flat = orjson.loads(old["metadata"]["annotations"]["autoscaling.alpha.kubernetes.io/metrics"])
    assert flat == [{"type": "Resource", "resource": {"name": "memory", "targetAverageValue": "1Gi"}}]


@given(
    st.lists(st.sampled_from([MEMORY, PODS, OBJECT, EXTERNAL, SIDECAR]), max_size=4, unique_by=lambda metric: str(metric)),
    st.booleans(),
    st.booleans(),
)
def test_nothing_is_lost_on_the_way_there_and_back(others: list[Any], with_cpu: bool, with_behavior: bool) -> None:
    behavior = {"behavior": {"scaleDown": {"selectPolicy": "Min"}}} if with_behavior else {}
    document = autoscaler([*others, *([CPU] if with_cpu else [])], **behavior)
    document["metadata"]["annotations"] = {"mine": "kept"}
    document["status"] = {"currentReplicas": 1, "conditions": [{"type": "AbleToScale", "status": "True"}]}
    before = copy.deepcopy(document)
    assert convert(convert(document, V2, V1), V1, V2) == before
    assert document == before


@pytest.mark.parametrize("text", ["{", "7", "null", '["x"]'])
def test_an_annotation_that_is_no_metric_list_is_passed_over(text: str) -> None:
    old = {
        "apiVersion": "autoscaling/v1",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"annotations": {"autoscaling.alpha.kubernetes.io/metrics": text}},
        "spec": {"maxReplicas": 1},
    }
    assert "metrics" not in convert(old, V1, V2)["spec"]


def test_the_same_version_is_the_same_document() -> None:
    document = autoscaler([CPU])
    assert convert(document, V2, V2) is document
