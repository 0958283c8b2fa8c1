# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The front of a kplane-server that plays the management cluster: the pods' portforward by the kubelet's code, the rest handed on."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import yaml
from components import COLLECTION, program
from support.server import Server

if str(COLLECTION) not in sys.path:
    sys.path.append(str(COLLECTION))

from ansible_collections.kplane.core.plugins.module_utils import _auth
from ansible_collections.kplane.core.plugins.module_utils._client import Client


class Front:
    """One process, on a port of its own, with the certificate of the server behind it."""

    def __init__(self, server: Server, targets: dict[str, str]) -> None:
        self.document: dict[str, Any] = yaml.safe_load(server.kubeconfig.read_text())
        pki = server.data_dir / "pki"
        token = server.data_dir.parent / "front.token"
        token.write_text(self.document["users"][0]["user"]["token"])
        argv = [program("portforward"), "-cert", pki / "server.crt", "-key", pki / "server.key", "-ca", pki / "ca.crt"]
        argv += ["-backend", server.url, "-token-file", token, "-targets", json.dumps(targets)]
        with (server.data_dir.parent / "front.log").open("ab") as log:
            self.process = subprocess.Popen([str(part) for part in argv], stdout=subprocess.PIPE, stderr=log, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.document["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{self.port}"

    def client(self, token: str = "") -> Client:
        """The collection's own client, as the administrator or with another token."""
        user = {"token": token or self.document["users"][0]["user"]["token"]}
        return Client(_auth.entry_connection(self.document["clusters"][0]["cluster"], user))

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
