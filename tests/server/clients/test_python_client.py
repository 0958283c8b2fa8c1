# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The official Python client, typed and dynamic, unchanged, against a virtual control plane."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client as k8s
from kubernetes import dynamic, watch
from support.client import Client
from support.objects import crd


@pytest.fixture
def api(vcp: Client) -> Iterator[k8s.ApiClient]:
    with tempfile.NamedTemporaryFile("w", suffix=".crt") as ca:
        ca.write(vcp.ca)
        ca.flush()
        configuration = k8s.Configuration(host=vcp.base)
        configuration.ssl_ca_cert = ca.name
        configuration.api_key = {"authorization": f"Bearer {vcp.token}"}
        with k8s.ApiClient(configuration) as made:
            yield made


def test_typed_objects(api: k8s.ApiClient) -> None:
    core, apps = k8s.CoreV1Api(api), k8s.AppsV1Api(api)
    assert "default" in [item.metadata.name for item in core.list_namespace().items]
    core.create_namespace(k8s.V1Namespace(metadata=k8s.V1ObjectMeta(name="team")))
    core.create_namespaced_config_map("team", k8s.V1ConfigMap(metadata=k8s.V1ObjectMeta(name="c"), data={"a": "1"}))
    core.patch_namespaced_config_map("c", "team", {"data": {"b": "2"}})
    assert core.read_namespaced_config_map("c", "team").data == {"a": "1", "b": "2"}
    template = k8s.V1PodTemplateSpec(
        metadata=k8s.V1ObjectMeta(labels={"a": "b"}), spec=k8s.V1PodSpec(containers=[k8s.V1Container(name="c", image="i")])
    )
    spec = k8s.V1DeploymentSpec(selector=k8s.V1LabelSelector(match_labels={"a": "b"}), template=template)
    apps.create_namespaced_deployment("team", k8s.V1Deployment(metadata=k8s.V1ObjectMeta(name="d"), spec=spec))
    assert apps.read_namespaced_deployment_scale("d", "team").spec.replicas == 1
    apps.patch_namespaced_deployment_scale("d", "team", {"spec": {"replicas": 3}})
    assert apps.read_namespaced_deployment("d", "team").spec.replicas == 3
    core.delete_collection_namespaced_config_map("team", label_selector="!keep")
    core.delete_namespace("team")


def test_errors_are_typed(api: k8s.ApiClient) -> None:
    core = k8s.CoreV1Api(api)
    with pytest.raises(k8s.ApiException) as missing:
        core.read_namespaced_secret("nothing", "default")
    assert missing.value.status == 404
    core.create_namespaced_secret("default", k8s.V1Secret(metadata=k8s.V1ObjectMeta(name="s"), string_data={"k": "v"}))
    assert core.read_namespaced_secret("s", "default").data == {"k": "dg=="}
    with pytest.raises(k8s.ApiException) as taken:
        core.create_namespaced_secret("default", k8s.V1Secret(metadata=k8s.V1ObjectMeta(name="s")))
    assert taken.value.status == 409


def test_paging(api: k8s.ApiClient) -> None:
    core = k8s.CoreV1Api(api)
    for number in range(7):
        core.create_namespaced_config_map("default", k8s.V1ConfigMap(metadata=k8s.V1ObjectMeta(name=f"p{number}", labels={"p": "1"})))
    names: list[str] = []
    token = None
    while True:
        page = core.list_namespaced_config_map("default", limit=3, label_selector="p=1", _continue=token)
        names += [item.metadata.name for item in page.items]
        token = page.metadata._continue
        if not token:
            break
    assert names == [f"p{number}" for number in range(7)]


def test_watch(api: k8s.ApiClient) -> None:
    core = k8s.CoreV1Api(api)
    since = core.list_namespaced_config_map("default").metadata.resource_version
    timer = threading.Timer(
        0.3, lambda: core.create_namespaced_config_map("default", k8s.V1ConfigMap(metadata=k8s.V1ObjectMeta(name="seen")))
    )
    timer.start()
    stream = watch.Watch()
    events = []
    for event in stream.stream(core.list_namespaced_config_map, "default", resource_version=since, timeout_seconds=10):
        events.append((event["type"], event["object"].metadata.name))
        stream.stop()
    timer.join()
    assert events == [("ADDED", "seen")]


def test_dynamic_client(api: k8s.ApiClient, tmp_path: Any) -> None:
    client = dynamic.DynamicClient(api, cache_file=str(tmp_path / "discovery.json"))
    definitions = client.resources.get(api_version="apiextensions.k8s.io/v1", kind="CustomResourceDefinition")
    definitions.create(body=crd())
    client.resources.invalidate_cache()
    widgets = client.resources.get(api_version="example.com/v1", kind="Widget")
    body = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": "s"}}
    widgets.create(body=body, namespace="default")
    widgets.server_side_apply(
        body=body | {"spec": {"size": "m"}}, name="w", namespace="default", field_manager="tests", force_conflicts=True
    )
    assert widgets.get(name="w", namespace="default").spec.size == "m"
    widgets.patch(body={"spec": {"size": "l"}}, name="w", namespace="default", content_type="application/merge-patch+json")
    assert [item.spec.size for item in widgets.get(namespace="default").items] == ["l"]
    widgets.delete(name="w", namespace="default")
    assert widgets.get(namespace="default").items == []
