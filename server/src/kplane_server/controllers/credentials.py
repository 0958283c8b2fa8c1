# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kubeconfig Secret of a ControlPlane: what is in it, and whether it must be written again."""

from __future__ import annotations

import base64
import hashlib
from typing import Any, Final, NamedTuple

from kplane_server.model import timestamps
from kplane_server.model.errors import Json
from kplane_server.model.keys import ObjectKey, ResourceId
from kplane_server.storage.api import VcpRecord
from kplane_server.vcp import contract
from kplane_server.vcp.controlplane import token_issuer
from kplane_server.vcp.plane import ManagementPlane

Document = dict[str, Any]

SECRETS: Final = ResourceId("secrets")
#: What the Secret was made from, and what was made: it is written again only when either is no longer so (kplane defect O2).
SOURCE_ANNOTATION: Final = f"{contract.GROUP}/source"

_KUBECONFIG: Final = """\
apiVersion: v1
kind: Config
clusters:
- name: kplane-{name}
  cluster:
    server: "{server}"
    certificate-authority-data: {ca}
contexts:
- name: kplane-{name}
  context:
    cluster: kplane-{name}
    user: kplane-{name}
current-context: kplane-{name}
preferences: {{}}
users:
- name: kplane-{name}
  user:
    token: {token}
"""


def kubeconfig(name: str, server: str, ca: str, token: str) -> str:
    """A kubeconfig whose context, cluster and user are all ``kplane-<name>``. ``server`` was checked to hold no quotes."""
    return _KUBECONFIG.format(name=name, server=server, ca=ca, token=token)


def secret_key(name: str) -> ObjectKey:
    """Where the Secret of ControlPlane ``name`` is."""
    return contract.root_key(SECRETS, contract.kubeconfig_secret(name), contract.management_namespace(name))


class SecretContent(NamedTuple):
    """What differs from one Secret to the next; the files are in base64."""

    kubeconfig: str
    external: str
    expires: str
    source: str

    def document(self, name: str) -> Document:
        """The Secret of ControlPlane ``name``."""
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "labels": {"app.kubernetes.io/managed-by": "kplane-server", contract.NAME_LABEL: name},
                "annotations": {contract.EXPIRY_ANNOTATION: self.expires, SOURCE_ANNOTATION: self.source},
            },
            "data": {"kubeconfig": self.kubeconfig, "kubeconfig-external": self.external},
            "type": "Opaque",
        }


def secret_content(
    plane: ManagementPlane, name: str, record: VcpRecord, account_uid: str, internal: str, external: str, now: float
) -> SecretContent:
    """Fresh content, with a new token for the owner's ServiceAccount."""
    issuer = token_issuer(plane, record, lambda: now)
    lifetime = plane.admin_token_lifetime
    issued = issuer.issue(contract.SYSTEM_NAMESPACE, contract.ADMIN_ACCOUNT, account_uid, expiration_seconds=lifetime)
    first = _file(name, internal, plane, issued.token)
    second = first if external == internal else _file(name, external, plane, issued.token)
    source = f"{_source(plane, record, account_uid, internal, external)}.{_content(first, second)}"
    return SecretContent(first, second, issued.expiration, source)


def is_current(secret: Json, plane: ManagementPlane, record: VcpRecord, account_uid: str, internal: str, external: str, now: float) -> bool:
    """Whether a Secret still holds what :func:`secret_content` would make, and far from its end."""
    annotations = secret["metadata"].get("annotations") or {}
    data = secret.get("data") or {}
    content = _content(data.get("kubeconfig", ""), data.get("kubeconfig-external", ""))
    wanted = f"{_source(plane, record, account_uid, internal, external)}.{content}"
    return annotations.get(SOURCE_ANNOTATION) == wanted and not near_end(annotations, plane, now)


def near_end(annotations: Json, plane: ManagementPlane, now: float) -> bool:
    """Whether less than a third of a token's life is left."""
    try:
        left = timestamps.to_epoch(annotations.get(contract.EXPIRY_ANNOTATION) or "") - now
    except ValueError:
        return True
    return left < plane.admin_token_lifetime / 3


def _source(plane: ManagementPlane, record: VcpRecord, account_uid: str, internal: str, external: str) -> str:
    parts = (record.name, record.uid, str(record.key_generation), account_uid, internal, external, plane.base_url, plane.ca_base64)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]


def _content(kubeconfig_: str, external: str) -> str:
    return hashlib.sha256(f"{kubeconfig_}\n{external}".encode()).hexdigest()[:24]


def _file(name: str, server: str, plane: ManagementPlane, token: str) -> str:
    return base64.b64encode(kubeconfig(name, server, plane.ca_base64, token).encode()).decode()
