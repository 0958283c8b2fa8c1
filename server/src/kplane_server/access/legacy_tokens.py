# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets of type ``kubernetes.io/service-account-token``: filled with a token that is good while the Secret and its account last.

Source: https://kubernetes.io/docs/concepts/configuration/secret/#serviceaccount-token-secrets
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

from kplane_server.access.jws import BadToken
from kplane_server.access.tokens import TokenIssuer
from kplane_server.model.errors import Json

SECRET_TYPE: Final = "kubernetes.io/service-account-token"
NAME_ANNOTATION: Final = "kubernetes.io/service-account.name"
UID_ANNOTATION: Final = "kubernetes.io/service-account.uid"


def account_name(secret: Json) -> str | None:
    """The ServiceAccount that a Secret is for; None if the Secret is of another type or names none."""
    if secret.get("type") != SECRET_TYPE:
        return None
    return (secret["metadata"].get("annotations") or {}).get(NAME_ANNOTATION) or None


def belongs(secret: Json, account: Json) -> bool:
    """Whether a Secret is for this very ServiceAccount. One that names another uid is for a deleted account, and is to be deleted."""
    uid = (secret["metadata"].get("annotations") or {}).get(UID_ANNOTATION)
    return account_name(secret) == account["metadata"]["name"] and uid in (None, "", account["metadata"]["uid"])


def filled(secret: Json, account: Json, issuer: TokenIssuer, ca: bytes) -> Json | None:
    """The Secret with token, CA, namespace and uid; None if it has them already."""
    metadata, data = secret["metadata"], dict(secret.get("data") or {})
    namespace, uid = metadata["namespace"], account["metadata"]["uid"]
    annotations = {**(metadata.get("annotations") or {}), UID_ANNOTATION: uid}
    data["ca.crt"], data["namespace"] = _encode(ca), _encode(namespace.encode())
    if not _good(data.get("token"), issuer, metadata["name"], uid):
        data["token"] = _encode(issuer.issue_legacy(namespace, account["metadata"]["name"], uid, metadata["name"]).encode())
    if data == secret.get("data") and annotations == metadata.get("annotations"):
        return None
    return {**secret, "metadata": {**metadata, "annotations": annotations}, "data": data}


def _good(encoded: Json, issuer: TokenIssuer, secret: str, uid: str) -> bool:
    """Whether the Secret's token verifies with today's keys and is about this account and Secret."""
    if not isinstance(encoded, str) or not encoded:
        return False
    try:
        claims = issuer.verify(base64.b64decode(encoded, validate=True).decode())
    except (BadToken, binascii.Error, ValueError):
        return False  # of another key generation, or not ours: it is replaced
    return claims.legacy and claims.secret is not None and claims.secret.name == secret and claims.service_account.uid == uid


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()
