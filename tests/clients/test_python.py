# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kopf, kr8s and lightkube against a virtual control plane."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import kr8s
import lightkube
import pytest
from lightkube.core.exceptions import ApiError
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap
from support.client import Client, eventually
from support.objects import crd, widget

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"
OPERATOR = Path(__file__).parent / "operator_with_kopf.py"


def test_an_operator_with_kopf(client: Client, kubeconfig: Path) -> None:
    client.post(CRDS, crd(spec={"size": {"type": "integer"}, "seen": {"type": "integer"}})).ok()
    eventually(lambda: client.get("/apis/example.com/v1").code == 200)
    command = [sys.executable, "-m", "kopf", "run", "--standalone", "--namespace=default", str(OPERATOR)]
    log = (kubeconfig.parent / "kopf.log").open("wb")
    with subprocess.Popen(
        command, env={"KUBECONFIG": str(kubeconfig), "HOME": str(kubeconfig.parent), "PATH": ""}, stdout=log, stderr=log
    ) as operator:
        try:
            client.post(WIDGETS, widget("w", {"size": 1})).ok()
            path = f"{WIDGETS}/w"

            def annotated(key: str) -> bool:
                return key in client.get(path).ok()["metadata"].get("annotations", {})

            eventually(lambda: annotated("example.com/created"), 30, "the create handler")
            assert "example.com/finalizer" in client.get(path).ok()["metadata"]["finalizers"]
            client.patch(path, {"spec": {"size": 2}}).ok()
            eventually(lambda: client.get(path).ok()["metadata"]["annotations"].get("example.com/size") == "2", 30, "the update handler")
            eventually(lambda: annotated("example.com/tick"), 30, "the timer")
            eventually(lambda: any(e["reason"] == "Created" for e in client.get("/api/v1/namespaces/default/events").ok()["items"]), 30)
            client.delete(path).ok()
            eventually(lambda: client.get(path).code == 404, 30, "the finalizer")
            assert client.get("/api/v1/namespaces/default/configmaps/deleted-w").code == 200
        finally:
            operator.terminate()
            operator.wait(20)
            log.close()


def test_kr8s(kubeconfig: Path) -> None:
    api = kr8s.api(kubeconfig=str(kubeconfig))
    made = kr8s.objects.ConfigMap({"metadata": {"name": "kr8s", "namespace": "default"}, "data": {"a": "1"}}, api=api)
    made.create()
    made.patch({"data": {"b": "2"}})
    made.refresh()
    assert dict(made.data) == {"a": "1", "b": "2"}
    made.label({"team": "x"})
    assert [item.name for item in api.get("configmaps", namespace="default", label_selector="team=x")] == ["kr8s"]
    assert "default" in [item.name for item in api.get("namespaces")]
    made.delete()
    eventually(lambda: not made.exists())


def test_lightkube(kubeconfig: Path) -> None:
    api = lightkube.Client(config=lightkube.KubeConfig.from_file(str(kubeconfig)), field_manager="suite")
    body = ConfigMap(metadata=ObjectMeta(name="lightkube", namespace="default"), data={"a": "1"})
    api.create(body)
    with pytest.raises(ApiError) as taken:
        api.create(body)
    assert taken.value.status.code == 409
    body.data = {"a": "2"}
    body.apiVersion, body.kind = "v1", "ConfigMap"
    assert api.apply(body, force=True).data == {"a": "2"}
    events = api.watch(ConfigMap, namespace="default", fields={"metadata.name": "lightkube"})
    kind, found = next(iter(events))
    assert (kind, found.data) == ("ADDED", {"a": "2"})
    assert "lightkube" in [item.metadata.name for item in api.list(ConfigMap, namespace="default", chunk_size=1)]
    api.delete(ConfigMap, "lightkube", namespace="default")
    time.sleep(0)
    with pytest.raises(ApiError) as gone:
        api.get(ConfigMap, "lightkube", namespace="default")
    assert gone.value.status.code == 404
