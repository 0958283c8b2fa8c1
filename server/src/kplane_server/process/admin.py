# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The administrator's credential for the root control plane: a random token in a kubeconfig that only the owner can read.

The file is the token's only home; the server keeps its digest in memory. Removing the file and restarting makes another token.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from kplane_server.process import files
from kplane_server.process.failures import ProcessError

FILE: Final = "admin.kubeconfig"
_TOKEN_BYTES: Final = 32
_MIN_TOKEN_LENGTH: Final = 32


class AdminCredential(NamedTuple):
    """Where the kubeconfig is, and the SHA-256 of the token in it."""

    path: Path
    digest: bytes


def ensure_admin_credential(path: Path, cluster_name: str, url: str, ca_pem: bytes) -> AdminCredential:
    """Make the kubeconfig, or bring its address and CA up to date; the token in it stays.

    Raises :class:`~kplane_server.process.failures.ProcessError` (CredentialUnusable), also for a file that is not ours.
    """
    context = context_name(cluster_name)
    try:
        present = _read(path)
        token = _token(present, path, context) if present is not None else secrets.token_urlsafe(_TOKEN_BYTES)
        document = kubeconfig(context, url, ca_pem, token)
        if present != document:
            files.write(path, yaml.safe_dump(document, sort_keys=False).encode())
        files.tighten(path)
    except OSError as error:
        raise ProcessError("CredentialUnusable", f"the administrator's kubeconfig {path} cannot be used: {error}") from error
    return AdminCredential(path, hashlib.sha256(token.encode()).digest())


def context_name(cluster_name: str) -> str:
    """The name of the management plane's context, cluster and user in kubeconfig files."""
    return f"embedded-{cluster_name}"


def kubeconfig(context: str, url: str, ca_pem: bytes, token: str) -> dict[str, Any]:
    """A kubeconfig document with one context."""
    cluster = {"server": url, "certificate-authority-data": base64.b64encode(ca_pem).decode()}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": context, "cluster": cluster}],
        "users": [{"name": context, "user": {"token": token}}],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
        "current-context": context,
    }


def _read(path: Path) -> Any:
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise _foreign(path, "is not YAML") from error
    if document is None:
        raise _foreign(path, "is empty")
    return document


def _token(document: Any, path: Path, context: str) -> str:
    """The token that the file holds. A file of another shape is somebody's, and is not overwritten."""
    try:
        (user,) = document["users"]
        name, token = user["name"], user["user"]["token"]
    except (KeyError, TypeError, ValueError) as error:
        raise _foreign(path, "is not the kubeconfig that kplane-server writes") from error
    if not isinstance(name, str) or not name.startswith(context_name("")):
        raise _foreign(path, f"does not hold the user {context}")
    if not isinstance(token, str) or len(token) < _MIN_TOKEN_LENGTH:
        raise _foreign(path, "holds no token, or one that is too short to be a secret")
    return token


def _foreign(path: Path, why: str) -> ProcessError:
    message = f"{path} {why}; it is left as it is. Move it away, and the next start makes a new administrator's credential"
    return ProcessError("CredentialUnusable", message)
