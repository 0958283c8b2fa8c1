# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ServiceAccount: a pod runs as an account that exists, with a token of it at the well-known path.

Source: https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#serviceaccount-admission-controller
"""

from __future__ import annotations

import secrets
from typing import Final

from kplane_server.admission.plugin import Plugin, forbidden, is_pod_creation
from kplane_server.model.errors import Json
from kplane_server.model.keys import ResourceId
from kplane_server.registry.attributes import Attributes

_ACCOUNTS: Final = ResourceId("serviceaccounts")
_MIRROR: Final = "kubernetes.io/config.mirror"
_MOUNT_PATH: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
_VOLUME_PREFIX: Final = "kube-api-access-"
_TOKEN_SECONDS: Final = 3607  # upstream's odd number tells a projected token from one that a user asked for
_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"


class ServiceAccountAdmission(Plugin):
    name = "ServiceAccount"

    def concerns(self, attributes: Attributes) -> bool:
        return is_pod_creation(attributes)

    def admit(self, attributes: Attributes) -> None:
        pod = attributes.object
        assert pod is not None  # a creation has a document
        spec = pod.get("spec")
        if not isinstance(spec, dict) or _MIRROR in (pod["metadata"].get("annotations") or {}):
            return
        attributes.mutated = True
        name = spec.get("serviceAccountName") or "default"
        spec["serviceAccountName"] = spec["serviceAccount"] = name
        account = attributes.lookup.get(_ACCOUNTS, attributes.namespace, name)
        if account is None:
            why = f'error looking up service account {attributes.namespace}/{name}: serviceaccount "{name}" not found'
            raise forbidden(attributes, why)
        if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
            spec["imagePullSecrets"] = [dict(reference) for reference in account["imagePullSecrets"]]
        if _mounts_token(spec, account):
            _mount_token(spec)

    def validate(self, attributes: Attributes) -> None:
        pod = attributes.object
        assert pod is not None  # a creation has a document
        if _MIRROR in (pod["metadata"].get("annotations") or {}) and (pod.get("spec") or {}).get("serviceAccountName"):
            raise forbidden(attributes, "a mirror pod may not reference service accounts")


def _mounts_token(spec: Json, account: Json) -> bool:
    asked = spec.get("automountServiceAccountToken")
    if asked is None:
        asked = account.get("automountServiceAccountToken")
    return asked is not False


def _mount_token(spec: Json) -> None:
    """Add the projected volume, and mount it in each container that has nothing at that path."""
    bare = [
        container
        for kind in ("initContainers", "containers")
        for container in spec.get(kind) or ()
        if isinstance(container, dict) and not any(m.get("mountPath") == _MOUNT_PATH for m in _mounts(container))
    ]
    if not bare:
        return
    name = _VOLUME_PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(5))
    for container in bare:
        container["volumeMounts"] = [*_mounts(container), {"name": name, "readOnly": True, "mountPath": _MOUNT_PATH}]
    spec["volumes"] = [*(spec.get("volumes") or ()), {"name": name, "projected": {"defaultMode": 0o644, "sources": _sources()}}]


def _mounts(container: Json) -> list[Json]:
    return [m for m in container.get("volumeMounts") or () if isinstance(m, dict)]


def _sources() -> list[Json]:
    return [
        {"serviceAccountToken": {"expirationSeconds": _TOKEN_SECONDS, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
    ]
