# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a kubeconfig context to a connection: address, TLS context and credential.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import ssl
import subprocess
import tempfile
import typing as t
from urllib.parse import SplitResult, urlsplit

from ansible_collections.kplane.core.plugins.module_utils import _kubeconfig
from ansible_collections.kplane.core.plugins.module_utils._errors import KubeconfigError

_EXEC_TIMEOUT = 60.0
_EXEC_API_GROUP = "client.authentication.k8s.io/"


class Connection(t.NamedTuple):
    """All that a client needs to talk to one API server as one user."""

    server: str
    ssl_context: ssl.SSLContext | None
    headers: dict[str, str]
    server_name: str = ""
    proxy: str = ""
    context: str = ""
    ca_certificate: str = ""

    @property
    def url(self) -> SplitResult:
        """The address of the server, in its parts."""
        return urlsplit(self.server)


def decode(data: str, what: str) -> bytes:
    """The bytes behind a ``*-data`` field of a kubeconfig."""
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise KubeconfigError(f"{what} is not valid base64") from exc


def _read(path: str, base: str, what: str) -> bytes:
    path = os.path.join(base, os.path.expanduser(path))
    try:
        with open(path, "rb") as handle:
            return handle.read()
    except OSError as exc:
        raise KubeconfigError(f"Cannot read {path}, the {what} that the kubeconfig names: {exc.strerror or exc}") from exc


def _content(entry: _kubeconfig.Document, key: str, base: str, what: str) -> bytes | None:
    """The content that ``<key>-data`` holds or that the file ``<key>`` does; data wins, as in client-go."""
    if entry.get(key + "-data"):
        return decode(str(entry[key + "-data"]), key + "-data")
    if entry.get(key):
        return _read(str(entry[key]), base, what)
    return None


def load_client_certificate(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Let ``context`` show a client certificate, given as PEM."""
    # The ssl module takes client certificates from files only: a private one, gone as soon as it is loaded.
    handle, path = tempfile.mkstemp(prefix="kplane-client-")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(certificate + b"\n" + key)
        context.load_cert_chain(path)
    except ssl.SSLError as exc:
        raise KubeconfigError(f"The client certificate and key of the kubeconfig do not belong together or are malformed: {exc}") from exc
    finally:
        os.unlink(path)


def exec_credential(spec: _kubeconfig.Document, cluster: _kubeconfig.Document, base: str) -> _kubeconfig.Document:
    """Run a credential plugin (https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins)."""
    command = str(spec.get("command") or "")
    if not command:
        raise KubeconfigError("The exec section of the kubeconfig user names no command")
    if os.sep in command and not os.path.isabs(command):
        command = os.path.join(base, command)
    api_version = str(spec.get("apiVersion") or _EXEC_API_GROUP + "v1")
    info: _kubeconfig.Document = {"apiVersion": api_version, "kind": "ExecCredential", "spec": {"interactive": False}}
    if spec.get("provideClusterInfo"):
        info["spec"]["cluster"] = {
            key: cluster[key] for key in ("server", "certificate-authority-data", "tls-server-name") if key in cluster
        }
    environment = dict(os.environ, KUBERNETES_EXEC_INFO=json.dumps(info))
    environment.update({str(item["name"]): str(item.get("value", "")) for item in spec.get("env") or []})
    argv = [command] + [str(argument) for argument in spec.get("args") or []]
    hint = f" {spec['installHint']}" if spec.get("installHint") else ""
    try:
        done = subprocess.run(argv, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=_EXEC_TIMEOUT, check=False)
    except FileNotFoundError as exc:
        raise KubeconfigError(f"The credential plugin {command!r} of the kubeconfig is not installed.{hint}") from exc
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise KubeconfigError(f"The credential plugin {command!r} of the kubeconfig failed: {exc}") from exc
    if done.returncode != 0:
        stderr = done.stderr.decode(errors="replace").strip()
        raise KubeconfigError(f"The credential plugin {command!r} of the kubeconfig ended with code {done.returncode}: {stderr}{hint}")
    try:
        status = json.loads(done.stdout)["status"]
    except (ValueError, KeyError, TypeError) as exc:
        raise KubeconfigError(f"The credential plugin {command!r} of the kubeconfig printed no ExecCredential with a status") from exc
    if not isinstance(status, dict) or not (status.get("token") or status.get("clientCertificateData")):
        raise KubeconfigError(f"The credential plugin {command!r} of the kubeconfig gave neither a token nor a client certificate")
    return status


def _credential(user: _kubeconfig.Document, cluster: _kubeconfig.Document, base: str) -> tuple[str, bytes | None, bytes | None]:
    """The Authorization header, client certificate and key of a kubeconfig user; precedence as in client-go."""
    certificate = _content(user, "client-certificate", base, "client certificate")
    key = _content(user, "client-key", base, "client key")
    if user.get("tokenFile"):
        return "Bearer " + _read(str(user["tokenFile"]), base, "token file").decode().strip(), certificate, key
    if user.get("token"):
        return "Bearer " + str(user["token"]), certificate, key
    if user.get("username") or user.get("password"):
        pair = f"{user.get('username', '')}:{user.get('password', '')}".encode()
        return "Basic " + base64.b64encode(pair).decode(), certificate, key
    if user.get("exec"):
        status = exec_credential(user["exec"], cluster, base)
        if status.get("clientCertificateData"):
            certificate = str(status["clientCertificateData"]).encode()
            key = str(status.get("clientKeyData") or "").encode()
        return ("Bearer " + str(status["token"]) if status.get("token") else ""), certificate, key
    if user.get("auth-provider"):
        raise KubeconfigError(
            "The kubeconfig user has an auth-provider section, which Kubernetes clients dropped in 1.26; use a credential plugin (exec)"
        )
    return "", certificate, key


def connection(document: _kubeconfig.Document, context_name: str | None, base: str, source: str) -> Connection:
    """The connection of a context of ``document`` (the current one if none is named).

    ``base`` is the directory that relative paths start at; ``source`` names the document in errors.
    """
    name = context_name or _kubeconfig.current_context(document)
    if not name:
        raise KubeconfigError(f"{source} has no current context, and none was asked for; it has: {_known(document)}")
    context = _kubeconfig.find(document, "contexts", name)
    if context is None:
        raise KubeconfigError(f"{source} has no context {name!r}; it has: {_known(document)}")
    cluster = _kubeconfig.find(document, "clusters", str(context.get("cluster") or ""))
    if cluster is None or not cluster.get("server"):
        raise KubeconfigError(f"The context {name!r} of {source} names no cluster with a server")
    user = _kubeconfig.find(document, "users", str(context.get("user") or "")) or {}
    return entry_connection(cluster, user, base, name)


def entry_connection(cluster: _kubeconfig.Document, user: _kubeconfig.Document, base: str = "", name: str = "") -> Connection:
    """The connection that a cluster entry and a user entry describe."""
    server = str(cluster["server"]).rstrip("/")
    url = urlsplit(server)
    if url.scheme not in ("https", "http") or not url.hostname:
        raise KubeconfigError(f"The server {server!r} of the context {name!r} is not an http or https URL")
    authorization, certificate, key = _credential(user, cluster, base)
    ca_certificate = (_content(cluster, "certificate-authority", base, "certificate authority") or b"").decode(errors="replace")
    ssl_context = None
    if url.scheme == "https":
        if cluster.get("insecure-skip-tls-verify"):
            raise KubeconfigError(
                f"The context {name!r} switches the verification of the server's certificate off (insecure-skip-tls-verify). "
                "This collection never sends a credential to a server that it cannot verify: give the certificate authority instead."
            )
        try:
            ssl_context = ssl.create_default_context(cadata=ca_certificate or None)
        except ssl.SSLError as exc:
            raise KubeconfigError(f"The certificate authority of the context {name!r} is not a valid PEM certificate: {exc}") from exc
        if certificate and key:
            load_client_certificate(ssl_context, certificate, key)
    headers = {"Authorization": authorization} if authorization else {}
    return Connection(
        server=server,
        ssl_context=ssl_context,
        headers=headers,
        server_name=str(cluster.get("tls-server-name") or ""),
        proxy=str(cluster.get("proxy-url") or ""),
        context=name,
        ca_certificate=ca_certificate,
    )


def _known(document: _kubeconfig.Document) -> str:
    return ", ".join(_kubeconfig.names(document)) or "no contexts"
