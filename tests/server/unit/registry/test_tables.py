# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables: every resource has as many cells as columns, the words people know, and columns of custom resources by JSONPath."""

from __future__ import annotations

import time
from typing import Any

import pytest

from kplane_server.model import timestamps
from kplane_server.model.keys import ResourceId
from kplane_server.model.resources import GroupVersion
from kplane_server.registry.catalog import BUILTIN
from kplane_server.registry.resource import Column, ResourceInfo
from kplane_server.registry.strategies.index import strategy_for
from kplane_server.registry.tables import cell, to_table

Document = dict[str, Any]


def info_of(resource: str, group: str = "", version: str = "v1") -> ResourceInfo:
    info = BUILTIN.find(group, version, resource)
    assert info is not None
    return info


def row(resource: str, group: str = "", version: str = "v1", **body: Any) -> dict[str, Any]:
    """Column → cell."""
    body.setdefault("metadata", {})
    body["metadata"] = {"name": "x", "creationTimestamp": timestamps.from_epoch(time.time() - 7230), **body["metadata"]}
    table = to_table(info_of(resource, group, version), [body])
    names = [column["name"] for column in table["columnDefinitions"]]
    return dict(zip(names, table["rows"][0]["cells"], strict=True))


@pytest.mark.parametrize("info", list(BUILTIN), ids=lambda info: f"{info.resource}.{info.version}.{info.group}")
def test_every_resource_has_as_many_cells_as_columns(info: ResourceInfo) -> None:
    bare: Document = {"metadata": {"name": "x"}}
    full: Document = {"metadata": {"name": "x", "creationTimestamp": "2026-01-01T00:00:00Z"}}
    strategy_for(info).default(full)
    table = to_table(info, [bare, full])
    assert {len(entry["cells"]) for entry in table["rows"]} == {len(table["columnDefinitions"])}
    assert all(column["description"] or column["name"] in ("Subobject", "Handler") for column in table["columnDefinitions"])


def test_the_object_of_a_row() -> None:
    info, item = info_of("configmaps"), {"metadata": {"name": "x"}, "data": {"a": "b"}}
    assert "object" not in to_table(info, [item], "None")["rows"][0]
    assert to_table(info, [item], "Object")["rows"][0]["object"] == item
    partial = to_table(info, [item], "Metadata")["rows"][0]["object"]
    assert partial == {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": "x"}}


def test_services() -> None:
    spec = {
        "type": "NodePort",
        "clusterIPs": ["10.0.0.1"],
        "ports": [{"port": 80, "nodePort": 30000, "protocol": "TCP"}],
        "selector": {"a": "b"},
    }
    cells = row("services", spec=spec)
    assert (cells["Type"], cells["Cluster-IP"], cells["External-IP"]) == ("NodePort", "10.0.0.1", "<none>")
    assert (cells["Port(s)"], cells["Selector"], cells["Age"]) == ("80:30000/TCP", "a=b", "120m")
    assert row("services", spec={"type": "LoadBalancer"})["External-IP"] == "<pending>"
    status = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}
    assert row("services", spec={"type": "LoadBalancer"}, status=status)["External-IP"] == "192.0.2.1"


def test_workloads() -> None:
    spec = {"replicas": 3, "selector": {"matchLabels": {"a": "b"}}, "template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}
    cells = row("deployments", "apps", spec=spec, status={"readyReplicas": 2, "updatedReplicas": 1})
    assert (cells["Ready"], cells["Up-to-date"], cells["Available"]) == ("2/3", 1, 0)
    assert (cells["Containers"], cells["Images"], cells["Selector"]) == ("c", "i", "a=b")
    job = row("jobs", "batch", spec={"completions": 2}, status={"succeeded": 1, "conditions": [{"type": "Failed", "status": "True"}]})
    assert (job["Status"], job["Completions"]) == ("Failed", "1/2")
    cron = row("cronjobs", "batch", spec={"schedule": "@daily", "suspend": True})
    assert (cron["Schedule"], cron["Suspend"], cron["Last Schedule"]) == ("@daily", "True", "<none>")


POD_SPEC = {"containers": [{"name": "a"}, {"name": "b"}]}


@pytest.mark.parametrize(
    ("status", "metadata", "ready", "word"),
    [
        ({"phase": "Pending"}, {}, "0/2", "Pending"),
        (
            {"phase": "Running", "containerStatuses": [{"name": "a", "ready": True, "state": {"running": {}}}]},
            {},
            "1/2",
            "Running",
        ),
        (
            {"phase": "Running", "containerStatuses": [{"name": "a", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]},
            {},
            "0/2",
            "CrashLoopBackOff",
        ),
        ({"phase": "Failed", "containerStatuses": [{"name": "a", "state": {"terminated": {"exitCode": 3}}}]}, {}, "0/2", "ExitCode:3"),
        ({"phase": "Running"}, {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "0/2", "Terminating"),
        ({"phase": "Pending", "conditions": [{"type": "PodScheduled", "reason": "SchedulingGated"}]}, {}, "0/2", "SchedulingGated"),
    ],
)
def test_pods(status: Document, metadata: Document, ready: str, word: str) -> None:
    cells = row("pods", spec=POD_SPEC, status=status, metadata=metadata)
    assert (cells["Ready"], cells["Status"]) == (ready, word)


def test_a_pod_that_initializes() -> None:
    spec = {**POD_SPEC, "initContainers": [{"name": "i"}, {"name": "j"}]}
    statuses = [{"name": "i", "state": {"terminated": {"exitCode": 0}}}, {"name": "j", "state": {"waiting": {"reason": "PodInitializing"}}}]
    assert row("pods", spec=spec, status={"phase": "Pending", "initContainerStatuses": statuses})["Status"] == "Init:1/2"


def test_a_completed_pod_says_so_in_its_row() -> None:
    table = to_table(info_of("pods"), [{"metadata": {"name": "x"}, "status": {"phase": "Succeeded"}}])
    assert table["rows"][0]["conditions"][0]["type"] == "Completed"


def test_access_and_networks() -> None:
    subjects = [{"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "namespace": "n", "name": "s"}]
    binding = row("rolebindings", "rbac.authorization.k8s.io", roleRef={"kind": "Role", "name": "r"}, subjects=subjects)
    assert (binding["Role"], binding["Users"], binding["ServiceAccounts"]) == ("Role/r", "u", "n/s")
    assert list(row("roles", "rbac.authorization.k8s.io")) == ["Name", "Created At"]
    ingress = row("ingresses", "networking.k8s.io", spec={"rules": [{"host": h} for h in ("a", "b", "c", "d")], "tls": [{}]})
    assert (ingress["Hosts"], ingress["Ports"], ingress["Class"]) == ("a,b,c + 1 more...", "80, 443", "<none>")
    policy = row("networkpolicies", "networking.k8s.io", spec={"podSelector": {"matchExpressions": [{"key": "k", "operator": "Exists"}]}})
    assert policy["Pod-Selector"] == "k"
    addresses = [{"addresses": [f"10.0.0.{n}"]} for n in range(5)]
    slices = row("endpointslices", "discovery.k8s.io", endpoints=addresses, ports=[{"port": 80}], addressType="IPv4")
    assert (slices["Endpoints"], slices["Ports"]) == ("10.0.0.0,10.0.0.1,10.0.0.2 + 2 more...", "80")


def test_events_of_both_groups_show_the_same() -> None:
    core = row("events", involvedObject={"kind": "Pod", "name": "p"}, message=" m ", count=3, type="Normal", reason="R")
    new = row("events", "events.k8s.io", regarding={"kind": "Pod", "name": "p"}, note="m", deprecatedCount=3, type="Normal", reason="R")
    assert core == new
    assert (core["Object"], core["Message"], core["Count"], core["Last Seen"]) == ("pod/p", "m", "3", "<unknown>")


def widgets(*columns: Column) -> ResourceInfo:
    return ResourceInfo(
        group="example.com",
        version="v1",
        resource="widgets",
        kind="Widget",
        singular="widget",
        namespaced=True,
        verbs=("get",),
        storage_id=ResourceId("widgets.example.com"),
        storage_version=GroupVersion("example.com", "v1"),
        columns=columns,
        builtin=False,
    )


def test_custom_columns() -> None:
    info = widgets(
        Column("Size", "integer", ".spec.size"),
        Column("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', priority=1),
        Column("Made", "date", ".metadata.creationTimestamp"),
        Column("Broken", "string", ".spec["),
    )
    item = {
        "metadata": {"name": "w", "creationTimestamp": timestamps.from_epoch(time.time() - 5)},
        "spec": {"size": 3},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }
    table = to_table(info, [item, {"metadata": {"name": "empty"}}])
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Size", "Ready", "Made", "Broken"]
    assert table["columnDefinitions"][2]["priority"] == 1
    name, size, ready, made, broken = table["rows"][0]["cells"]
    assert (name, size, ready, broken) == ("w", 3, "True", None)
    assert made in ("5s", "6s", "7s")
    assert table["rows"][1]["cells"] == ["empty", None, None, None, None]


def test_a_custom_resource_without_columns_shows_its_age() -> None:
    table = to_table(widgets(), [{"metadata": {"name": "w"}}])
    assert table["rows"][0]["cells"] == ["w", "<unknown>"]


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        ("integer", 3.0, 3),
        ("integer", "3", None),
        ("integer", True, None),
        ("integer", float("inf"), None),
        ("number", 1.5, 1.5),
        ("boolean", False, False),
        ("boolean", "true", None),
        ("string", {"a": 1}, '{"a":1}'),
        ("string", True, "true"),
        ("date", "yesterday", "<invalid>"),
        ("date", 7, None),
        ("string", None, None),
    ],
)
def test_cells_by_type(kind: str, value: Any, shown: Any) -> None:
    assert cell(kind, value) == shown
