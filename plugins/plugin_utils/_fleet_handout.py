# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Credentials of VCPs handed out: to private files of one directory, or to Secrets of the management plane.

What is there already is compared without asking the VCP: whose it is, where it leads, and when it ends.
PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import typing as t

from ansible_collections.kplane.core.plugins.module_utils import _contract, _credentials, _io, _kubeconfig, _tokens, _yaml
from ansible_collections.kplane.core.plugins.module_utils._client import APPLY_PATCH, Client, Json
from ansible_collections.kplane.core.plugins.module_utils._contract import SECRETS
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError, NotFound
from ansible_collections.kplane.core.plugins.plugin_utils._fleet_spec import FLEET_LABEL, Handout, SecretTarget

VCP_LABEL: t.Final = "kplane.core/vcp"
_KEY = "kubeconfig"
_PRIVATE = 0o600
_MARK = b"# kplane.core "


class Stamp(t.NamedTuple):
    """What the first line of a kubeconfig of ours says: for which incarnation of a VCP it is, where it leads, until when."""

    vcp: str
    uid: str
    server: str
    issued: float
    expires: float

    def good(self, uid: str, server: str) -> bool:
        """Whether it is for this incarnation at this address, and does not end soon."""
        return (
            self.uid == uid and (not server or self.server == server) and not _tokens.Lifetime(self.issued, self.expires).ends_within(None)
        )


def render(offer: _credentials.Offer, name: str, plane: str, uid: str) -> bytes:
    """A kubeconfig that leads to one VCP, under a line that says whose it is and what identifies its content."""
    entries = _kubeconfig.EntrySet(_contract.vcp_context(name), offer.cluster, offer.user, plane, name)
    made = _kubeconfig.set_current(_kubeconfig.merge(_kubeconfig.empty(), entries), entries.name)
    # Plain text: names may carry the marks of Ansible, which YAML cannot write.
    body = _yaml.dump(json.loads(json.dumps(made)))
    life = _tokens.lifetime(offer.token)
    stamp = Stamp(name, uid, str(offer.cluster.get("server") or "").rstrip("/"), life.issued, life.expires)
    fields = {**stamp._asdict(), "sha256": hashlib.sha256(body).hexdigest()}
    return _MARK + json.dumps(fields).encode() + b"\n" + body


def stamp_of(content: bytes | None) -> Stamp | None:
    """The stamp of a kubeconfig, if it is ours and still as it was written."""
    line, _newline, body = (content or b"").partition(b"\n")
    if not line.startswith(_MARK):
        return None
    try:
        fields = json.loads(line[len(_MARK) :])
        if fields.pop("sha256") != hashlib.sha256(body).hexdigest():
            return None
        return Stamp(**fields)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def ours(content: bytes | None, name: str) -> bool:
    """Whether a file was written by this collection for the VCP ``name``, even if somebody changed it since."""
    line = (content or b"").partition(b"\n")[0]
    try:
        return line.startswith(_MARK) and json.loads(line[len(_MARK) :]).get("vcp") == name
    except (ValueError, AttributeError):
        return False


def path_of(directory: str, name: str) -> str:
    """The file of a VCP in the directory of credentials."""
    return os.path.join(_io.expand(directory), name + ".kubeconfig")


def fleet_secrets(client: Client, fleet: str) -> dict[SecretTarget, Json]:
    """The Secrets that this fleet handed out."""
    found, _version = client.list_all(SECRETS, label_selector=f"{FLEET_LABEL}={fleet}")
    return {SecretTarget(str(obj["metadata"]["namespace"]), str(obj["metadata"]["name"])): obj for obj in found}


def secret_content(obj: Json | None) -> bytes | None:
    """The kubeconfig in a Secret."""
    encoded = ((obj or {}).get("data") or {}).get(_KEY)
    return base64.b64decode(encoded) if encoded else None


def _is_good(content: bytes | None, uid: str, server: str) -> bool:
    stamp = stamp_of(content)
    return stamp is not None and stamp.good(uid, server)


def missing(handout: Handout, name: str, uid: str, server: str, secrets: t.Mapping[SecretTarget, Json]) -> list[str]:
    """The places whose credential has to be written: ``directory``, ``secret`` or both."""
    places = []
    if handout.directory:
        path = path_of(handout.directory, name)
        mode = _io.mode_of(path)
        if mode is None or mode & 0o077 or not _is_good(_io.read_bytes(path), uid, server):
            places.append("directory")
    if handout.secret and not _is_good(secret_content(secrets.get(handout.secret)), uid, server):
        places.append("secret")
    return places


def write(plane: Client, handout: Handout, places: t.Sequence[str], content: bytes, name: str, fleet: str) -> None:
    """Write the kubeconfig of a VCP to the places that lack it."""
    if "directory" in places:
        path = path_of(handout.directory, name)
        before = _io.read_bytes(path)
        if before is not None and not ours(before, name):
            raise KplaneError(f"{path} was not replaced: it was not written by kplane.core for {name!r}", path=path)
        _io.write_atomic(path, content, _PRIVATE)
    if "secret" in places and handout.secret is not None:
        labels = {FLEET_LABEL: fleet, VCP_LABEL: name, _contract.MANAGED_BY_LABEL: _contract.FIELD_MANAGER}
        body: Json = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": handout.secret.name, "namespace": handout.secret.namespace, "labels": labels},
            "type": "Opaque",
            "data": {_KEY: base64.b64encode(content).decode()},
        }
        plane.patch(SECRETS, handout.secret.name, body, handout.secret.namespace, APPLY_PATCH)


def take_back(plane: Client, directory: str, name: str, secrets: t.Iterable[tuple[SecretTarget, Json]]) -> None:
    """Remove what was handed out for a VCP that is gone: only files and Secrets that this collection wrote for it."""
    if directory:
        path = path_of(directory, name)
        if ours(_io.read_bytes(path), name):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
    for target, obj in secrets:
        if ((obj.get("metadata") or {}).get("labels") or {}).get(VCP_LABEL) == name:
            with contextlib.suppress(NotFound):
                plane.delete(SECRETS, target.name, target.namespace)
