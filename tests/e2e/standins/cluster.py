# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One cluster: a kplane-server as its API, a node, workloads that become available, and the way in by the stack's own certificates."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import ssl
import sys
import tempfile
from pathlib import Path
from typing import Any

from support.client import Client
from support.server import Server

NAMESPACE = "/api/v1/namespaces/kplane-system"
WORKLOADS = ("deployments", "statefulsets")
#: Tests write this file to keep a workload from becoming available: its name, then what its pod says.
BROKEN = "broken"
SOURCE = "controlplane.kplane.dev/source"


def available(kind: str, obj: dict[str, Any]) -> dict[str, Any]:
    """The status of a workload that serves."""
    count = obj["spec"].get("replicas", 1)
    status = {"observedGeneration": obj["metadata"]["generation"], "replicas": count, "readyReplicas": count, "availableReplicas": count}
    status["updatedReplicas"] = count
    if kind == "statefulsets":
        status.update(currentRevision="1", updateRevision="1")
    return status


def offer_authority(root: Client, directory: Path) -> None:
    """The server that plays the operator certifies by its own authority: the stack has to take over the one that it finds."""
    data = {key: base64.b64encode((directory / "server" / "pki" / key).read_bytes()).decode() for key in ("ca.crt", "ca.key")}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "kplane-cluster-signing-keys"}, "data": data}
    if root.get(NAMESPACE).code == 404:
        root.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kplane-system"}}).ok()
    if root.get(f"{NAMESPACE}/secrets/kplane-cluster-signing-keys").code == 404:
        root.post(f"{NAMESPACE}/secrets", secret).ok()


class Cluster:
    """What a kubelet, the controllers and a node port do, as far as the playbooks can see it."""

    def __init__(self, directory: Path, api_port: int, port: int) -> None:
        self.directory = directory
        self.port = port
        self.server = Server(directory / "server", api_port)

    def prepare(self, labels: dict[str, str]) -> None:
        root = self.server.root
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "control-plane", "labels": labels}}
        if root.get("/api/v1/nodes/control-plane").code == 404:
            root.post("/api/v1/nodes", node).ok()
        offer_authority(root, self.directory)

    def tend(self, root: Client) -> None:
        """One round of everything that controllers would do."""
        broken = json.loads((self.directory / BROKEN).read_text()) if (self.directory / BROKEN).exists() else {}
        for kind in WORKLOADS:
            for obj in root.get(f"/apis/apps/v1/{kind}").ok()["items"]:
                name, namespace = obj["metadata"]["name"], obj["metadata"]["namespace"]
                path = f"/apis/apps/v1/namespaces/{namespace}/{kind}/{name}"
                if name in broken:
                    self._stuck(root, obj, broken[name])
                    continue
                status = available(kind, obj)
                if any((obj.get("status") or {}).get(key) != value for key, value in status.items()):
                    root.patch(path + "/status", {"status": status})
        self._follow_authority(root)

    def _follow_authority(self, root: Client) -> None:
        """What the operator of the stack does: kubeconfigs of control planes trust what the Secret of the authority has."""
        answer = root.get(f"{NAMESPACE}/secrets/kplane-cluster-signing-keys")
        if answer.code != 200:
            return
        trusted = answer.json["data"]["ca.crt"]
        for secret in root.get("/api/v1/secrets?labelSelector=controlplane.kplane.dev/name").ok()["items"]:
            outer = base64.b64decode(secret["data"]["kubeconfig-external"]).decode()
            said = outer.partition("certificate-authority-data: ")[2].split()[0]
            if said != trusted:
                outer = base64.b64encode(outer.replace(said, trusted).encode()).decode()
                # The server that plays the operator takes the Secret for its own work by this digest of it.
                source = secret["metadata"]["annotations"][SOURCE].partition(".")[0]
                digest = hashlib.sha256(f"{secret['data']['kubeconfig']}\n{outer}".encode()).hexdigest()[:24]
                metadata, data = {"annotations": {SOURCE: f"{source}.{digest}"}}, {"kubeconfig-external": outer}
                root.patch(
                    f"/api/v1/namespaces/{secret['metadata']['namespace']}/secrets/{secret['metadata']['name']}",
                    {"metadata": metadata, "data": data},
                )

    def _stuck(self, root: Client, obj: dict[str, Any], words: str) -> None:
        template = obj["spec"]["template"]
        pods = f"/api/v1/namespaces/{obj['metadata']['namespace']}/pods"
        name = obj["metadata"]["name"] + "-0"
        if root.get(f"{pods}/{name}").code == 404:
            spec = {"containers": [{"name": "main", "image": template["spec"]["containers"][0]["image"]}]}
            metadata = {"name": name, "labels": template["metadata"]["labels"]}
            root.post(pods, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
            state = {"waiting": {"reason": "ImagePullBackOff", "message": words}}
            status = {"name": "main", "ready": False, "restartCount": 0, "image": "", "imageID": "", "state": state}
            root.patch(f"{pods}/{name}/status", {"status": {"phase": "Pending", "containerStatuses": [status]}})
            about = {"kind": "Pod", "namespace": obj["metadata"]["namespace"], "name": name}
            event = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": f"{name}.failed"}, "involvedObject": about}
            event |= {"type": "Warning", "reason": "Failed", "message": f"Failed to pull: {words}", "source": {"component": "kubelet"}}
            root.post(pods.replace("/pods", "/events"), event).ok()

    async def serve(self) -> None:
        """Tend the cluster, and let clients in as soon as the stack's API server is there; new certificates count for new connections."""
        root, shown = self.server.root, b""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        while True:
            with contextlib.suppress(OSError):
                await asyncio.to_thread(self.tend, root)
                pair = await asyncio.to_thread(self._certificate)
                if pair and pair != shown:
                    with tempfile.NamedTemporaryFile() as file:
                        file.write(pair)
                        file.flush()
                        context.load_cert_chain(file.name)
                    if not shown:
                        await asyncio.start_server(self._accept, "127.0.0.1", self.port, ssl=context)
                    shown = pair
            await asyncio.sleep(0.2)

    def _certificate(self) -> bytes:
        """The certificate and key of the stack's API server, once that is there with its way in."""
        answer = self.server.root.get(f"{NAMESPACE}/secrets/kplane-apiserver-tls")
        workload = self.server.root.get("/apis/apps/v1/namespaces/kplane-system/deployments/kplane-apiserver")
        service = self.server.root.get(f"{NAMESPACE}/services/kplane-apiserver-external")
        if {answer.code, workload.code, service.code} != {200} or not workload.json.get("status", {}).get("availableReplicas"):
            return b""
        data = answer.json["data"]
        return base64.b64decode(data["tls.crt"]) + base64.b64decode(data["tls.key"])

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        trust = ssl.create_default_context(cafile=str(self.directory / "server" / "pki" / "ca.crt"))
        try:
            inner, outer = await asyncio.open_connection("127.0.0.1", self.server.port, ssl=trust, server_hostname="127.0.0.1")
            await asyncio.gather(_pipe(reader, outer), _pipe(inner, writer))
        except (OSError, ssl.SSLError):
            writer.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, ssl.SSLError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    writer.close()


async def _watch_parent(parent: int) -> None:
    while Path(f"/proc/{parent}").exists():
        await asyncio.sleep(0.5)


async def main() -> None:
    directory, api_port, port, parent, labels = sys.argv[1:]
    cluster = Cluster(Path(directory), int(api_port), int(port))
    cluster.server.start()
    try:
        cluster.prepare(json.loads(labels))
        serving = asyncio.ensure_future(cluster.serve())
        await asyncio.sleep(0.05)
        (Path(directory) / "ready").touch()
        await asyncio.wait([serving, asyncio.ensure_future(_watch_parent(int(parent)))], return_when=asyncio.FIRST_COMPLETED)
    finally:
        cluster.server.stop()


if __name__ == "__main__":
    asyncio.run(main())
