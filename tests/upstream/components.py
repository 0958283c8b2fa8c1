# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real components of the stack as processes on the loopback address: what their Pods would mount and be told, and nothing else."""

from __future__ import annotations

import json
import os
import re
import ssl
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.client import Client
from support.machine import ROOT
from support.server import free_port

BIN = ROOT / ".cache" / "bin"
COLLECTION = ROOT / ".build" / "collections"
GOLDEN = ROOT / "tests" / "e2e" / "golden" / "kind.yaml"
NAMESPACE = "kplane-system"
SETTLE = """
import json, sys, uuid
from datetime import timedelta
from ansible_collections.kplane.core.plugins.module_utils import _stack_secrets as stack
from ansible_collections.kplane.core.plugins.module_utils._stack_held import Held, Rotation
asked = json.load(sys.stdin)
existing = {name: Held(**entry) for name, entry in asked["existing"].items()}
rotation = Rotation(uuid.uuid4().hex, tuple(asked["rotate"])) if asked["rotate"] else Rotation()
wanted = stack.Wanted(asked["namespace"], ("127.0.0.1",), rotation=rotation)
if asked["serving"] is not None:
    wanted = wanted._replace(ca_overlap=timedelta(0), settled=asked["serving"])
held = stack.settle(existing, wanted).held
print(json.dumps({name: entry._asdict() for name, entry in held.items()}))
"""
Json = dict[str, Any]
#: Of each Secret its `data` and its `annotations`.
Secrets = dict[str, dict[str, dict[str, str]]]

#: Flags of the rendered API server that kplane's has and kube-apiserver has not, each with the reason. There is none: a rendered flag that
#: kube-apiserver does not know makes it end at its start, and its words are shown.
KPLANE_FLAGS: dict[str, str] = {}
#: What a process on the loopback address is told beside the rendered arguments: where to listen, and not to publish that as an Endpoint.
LOOPBACK_FLAGS = ["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none"]


def program(name: str) -> Path:
    path = BIN / name
    if not path.exists():
        pytest.skip(f"NO {name}: `make test-upstream` builds it where there is Go")
    return path


def settled(existing: Secrets | None = None, rotate: tuple[str, ...] = (), serving: bool | None = None) -> Secrets:
    """The Secrets of the stack, by the code that makes, keeps and rotates them.

    ``serving`` is for authorities that are replaced without an overlap: whether everything serves with the Secrets that there are.
    """
    asked = json.dumps({"existing": existing or {}, "rotate": list(rotate), "namespace": NAMESPACE, "serving": serving})
    environment = dict(os.environ, PYTHONPATH=str(COLLECTION))
    done = subprocess.run([sys.executable, "-c", SETTLE], input=asked, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: Secrets = json.loads(done.stdout)
    return found


def rendered(kind: str, name: str) -> Json:
    """One manifest of the golden file, which a test of the role holds equal to what the role renders."""
    found: Json = next(
        entry for entry in yaml.safe_load_all(GOLDEN.read_text()) if (entry["kind"], entry["metadata"]["name"]) == (kind, name)
    )
    return found


def mount(pod: Json, secrets: Secrets, folder: Path) -> dict[str, str]:
    """The volumes of a Pod as folders; which path of the container is which folder."""
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    places = {}
    for entry in pod["containers"][0]["volumeMounts"]:
        place = folder / entry["name"]
        place.mkdir(mode=0o700)
        places[entry["mountPath"]] = str(place)
        volume = volumes.get(entry["name"], {"emptyDir": {}})  # a claim of a StatefulSet is empty as well
        if "secret" in volume:
            data = secrets[volume["secret"]["secretName"]]["data"]
            items = volume["secret"].get("items") or [{"key": key, "path": key} for key in data]
            files = {item["path"]: data[item["key"]] for item in items}
        elif "configMap" in volume:
            files = rendered("ConfigMap", volume["configMap"]["name"])["data"]
        else:
            files = {}
        for path, text in files.items():
            (place / path).write_text(text)
    return places


class Component:
    """One process; its log is a file that a failure shows."""

    def __init__(self, name: str, arguments: list[str], folder: Path) -> None:
        self.folder = folder
        self.log_file = folder / "log"
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen([program(name), *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def answers(self) -> bool:
        raise NotImplementedError

    def wait(self, seconds: float = 180.0) -> None:
        """Until it serves; the processor may be shared with much else."""
        deadline = time.monotonic() + seconds
        while not self._answers():
            assert self.process.poll() is None, self.log[-4000:]
            assert time.monotonic() < deadline, self.log[-4000:]
            time.sleep(0.2)

    def _answers(self) -> bool:
        try:
            return self.answers()
        except OSError:
            return False

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def replaced(argument: str, here: dict[str, str]) -> str:
    """In one pass, for what is put in may look like what is replaced."""
    found = "|".join(re.escape(text) for text in sorted(here, key=len, reverse=True))
    return re.sub(found, lambda match: here[match[0]], argument)


class Etcd(Component):
    """The only member of the rendered StatefulSet."""

    def __init__(self, folder: Path, secrets: Secrets) -> None:
        pod = rendered("StatefulSet", "kplane-etcd")["spec"]["template"]["spec"]
        self.secrets = secrets
        self.ports = {str(port["containerPort"]): str(free_port()) for port in pod["containers"][0]["ports"]}
        here = {
            "$(POD_NAME)": "kplane-etcd-0",
            **{f"{name}.kplane-etcd-peers.{NAMESPACE}.svc.cluster.local": "127.0.0.1" for name in ("kplane-etcd-0", "$(POD_NAME)")},
            "0.0.0.0": "127.0.0.1",
            **mount(pod, secrets, folder),
            **{f":{port}": f":{new}" for port, new in self.ports.items()},
        }
        super().__init__("etcd", [replaced(argument, here) for argument in pod["containers"][0]["args"]], folder)

    def url(self, port: str, scheme: str = "https") -> str:
        return f"{scheme}://127.0.0.1:{self.ports[port]}"

    def get(self, url: str, client: bool = False) -> str:
        context = None
        if url.startswith("https"):
            pair = self.secrets["kplane-etcd-client"]["data"]
            context = ssl.create_default_context(cadata=pair["ca.crt"])
            if client:
                tls = self.folder / "client.pem"
                tls.write_text(pair["tls.crt"] + pair["tls.key"])
                context.load_cert_chain(str(tls))
        with urllib.request.urlopen(url, context=context, timeout=5) as answer:
            text: str = answer.read().decode()
            return text

    def answers(self) -> bool:
        return "true" in self.get(f"{self.url('2381', 'http')}/health")


class KubeApiServer(Component):
    """The real kube-apiserver in the place of the shared API server, which is derived from it and takes its flags."""

    def __init__(self, folder: Path, secrets: Secrets, etcd: Etcd, extra: tuple[str, ...] = ()) -> None:
        pod = rendered("Deployment", "kplane-apiserver")["spec"]["template"]["spec"]
        self.secrets = secrets
        self.port = str(free_port())
        here = {
            f"https://kplane-etcd.{NAMESPACE}.svc.cluster.local:2379": etcd.url("2379"),
            "--secure-port=6443": f"--secure-port={self.port}",
            **mount(pod, secrets, folder),
        }
        self.rendered_arguments: list[str] = pod["containers"][0]["args"]
        arguments = [replaced(argument, here) for argument in self.rendered_arguments if argument.split("=")[0] not in KPLANE_FLAGS]
        super().__init__("kube-apiserver", [*arguments, *LOOPBACK_FLAGS, *extra], folder)

    @property
    def anonymous(self) -> Client:
        return Client(f"https://127.0.0.1:{self.port}", self.secrets["kplane-cluster-signing-keys"]["data"]["ca.crt"])

    @property
    def admin(self) -> Client:
        """By the administrator's token of our Secret, at a server whose certificate our authority verifies."""
        return self.anonymous.as_user(self.secrets["apiserver-token-auth"]["data"]["token.csv"].split(",")[0])

    def answers(self) -> bool:
        """As the readiness probe asks: without a credential."""
        return self.anonymous.get("/readyz").code == 200
