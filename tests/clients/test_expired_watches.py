# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Informers whose revision is no longer kept: client-go, the Python client and kopf list again, and none of them hangs.

A server under another name makes its own objects anew, so after such a restart no watch can go on from before it. The port stays.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes import client as kubernetes
from kubernetes import config
from kubernetes.informer import SharedInformer
from support.client import Client, eventually
from support.kubectl import write_kubeconfig
from support.objects import config_map, crd, widget
from support.published import program
from support.server import Server

MAPS = "/api/v1/namespaces/default/configmaps"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"
OPERATOR = Path(__file__).parent / "operator_with_kopf.py"


class Restarting:
    """A server with one VCP, and the restart."""

    def __init__(self, home: Path) -> None:
        self.server = Server(home / "data").start()
        self.client: Client = self.server.create_vcp("restarting")
        self.kubeconfig = write_kubeconfig(self.client, home)

    def restart(self) -> None:
        """What was watched up to here is too old afterwards."""
        old = self.client.get(MAPS).ok()["metadata"]["resourceVersion"]
        self.server.kill()
        self.server.options = ("--advertise-address", "localhost")
        self.server.start()
        (event,) = list(self.client.watch(f"{MAPS}?watch=1&resourceVersion={old}"))
        assert (event["type"], event["object"]["code"]) == ("ERROR", 410)


@pytest.fixture
def restarting(tmp_path: Path) -> Iterator[Restarting]:
    made = Restarting(tmp_path)
    try:
        yield made
    finally:
        made.server.kill()


def test_client_go(restarting: Restarting) -> None:
    suite = program("clients.test")
    if suite is None:
        pytest.skip("NO GO: the informers of client-go are not run")
    restarting.client.post(MAPS, config_map("before")).ok()
    environment = {"KUBECONFIG": str(restarting.kubeconfig), "HOME": str(restarting.kubeconfig.parent), "PATH": ""}
    command = [str(suite), "-test.run", "^TestAcrossARestart$", "-test.v", "-test.timeout", "120s"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as informer:
        try:
            assert informer.stdout is not None
            said = []
            for line in informer.stdout:
                said.append(line)
                if line == "SYNCED\n":
                    restarting.restart()
                    restarting.client.post(MAPS, config_map("after")).ok()
                    restarting.client.delete(f"{MAPS}/before").ok()
            assert informer.wait(20) == 0, "".join(said)
            assert any(line.startswith("--- PASS: TestAcrossARestart") for line in said), "".join(said)
        finally:
            informer.kill()


def test_the_python_client(restarting: Restarting) -> None:
    restarting.client.post(MAPS, config_map("before")).ok()
    config.load_kube_config(str(restarting.kubeconfig))
    api = kubernetes.CoreV1Api()
    informer = SharedInformer(api.list_namespaced_config_map, namespace="default")
    informer.start()
    try:
        names = eventually(lambda: known(informer), 10, "the informer has its list")
        assert "before" in names
        restarting.restart()
        restarting.client.post(MAPS, config_map("after")).ok()
        restarting.client.delete(f"{MAPS}/before").ok()
        eventually(lambda: "after" in known(informer) and "before" not in known(informer), 30, "the informer follows")
    finally:
        informer.stop()


def known(informer: SharedInformer) -> set[str]:
    return {item.metadata.name for item in informer.cache.list()}


def test_kopf(restarting: Restarting) -> None:
    client = restarting.client
    client.post(CRDS, crd(spec={"size": {"type": "integer"}, "seen": {"type": "integer"}})).ok()
    eventually(lambda: client.get("/apis/example.com/v1").code == 200)
    home = restarting.kubeconfig.parent
    environment = {"KUBECONFIG": str(restarting.kubeconfig), "HOME": str(home), "PATH": ""}
    command = [sys.executable, "-m", "kopf", "run", "--standalone", "--verbose", "--namespace=default", str(OPERATOR)]
    log = home / "kopf.log"
    with log.open("wb") as out, subprocess.Popen(command, env=environment, stdout=out, stderr=out) as operator:
        try:

            def annotated(name: str, key: str = "example.com/created") -> bool:
                return key in client.get(f"{WIDGETS}/{name}").ok()["metadata"].get("annotations", {})

            client.post(WIDGETS, widget("before", {"size": 1})).ok()
            eventually(lambda: annotated("before"), 30, "the create handler")
            restarting.restart()
            client.post(WIDGETS, widget("after", {"size": 1})).ok()
            eventually(lambda: annotated("after"), 60, "the create handler after the restart")
            assert operator.poll() is None
        finally:
            operator.terminate()
            operator.wait(20)
