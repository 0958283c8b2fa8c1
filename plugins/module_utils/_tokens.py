# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bearer tokens: when they end, whether they still work, and how to get a new one.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
import typing as t

from ansible_collections.kplane.core.plugins.module_utils import _contract
from ansible_collections.kplane.core.plugins.module_utils._client import Client
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError, Unauthorized

#: A token is renewed when less than this part of its life is left.
RENEW_PART: t.Final = 0.2


class Lifetime(t.NamedTuple):
    """When a token was issued and when it ends, in seconds since the epoch; zero where it does not say."""

    issued: float
    expires: float

    def ends_within(self, seconds: float | None, now: float | None = None) -> bool:
        """Whether it is over in ``seconds`` (by default: when the last fifth of its life has begun)."""
        if not self.expires:
            return False
        margin = (self.expires - self.issued) * RENEW_PART if seconds is None else seconds
        return self.expires - (time.time() if now is None else now) <= margin


def lifetime(token: str) -> Lifetime:
    """What a token says of its life; nothing for one that is not a JWT. The signature is the server's business."""
    parts = token.split(".")
    if len(parts) != 3:
        return Lifetime(0, 0)
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return Lifetime(float(claims.get("iat") or 0), float(claims.get("exp") or 0))
    except (binascii.Error, ValueError, TypeError, AttributeError):
        return Lifetime(0, 0)


def timestamp(seconds: float) -> str:
    """RFC 3339, or an empty string for no time."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)) if seconds else ""


def accepted(client: Client) -> bool:
    """Whether the server knows the credential of ``client``."""
    review = {"apiVersion": _contract.SELF_SUBJECT_REVIEWS.api_version, "kind": _contract.SELF_SUBJECT_REVIEWS.kind}
    try:
        client.request("POST", _contract.SELF_SUBJECT_REVIEWS.path(), body=review)
    except Unauthorized:
        return False
    return True


def request_token(client: Client, duration: int | None) -> str:
    """A new token for the administrator of the VCP that ``client`` talks to as such."""
    path = _contract.SERVICE_ACCOUNTS.path(_contract.ADMIN_SERVICE_ACCOUNT, _contract.MANAGEMENT_NAMESPACE) + "/token"
    spec = {} if duration is None else {"expirationSeconds": duration}
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    answer = client.request("POST", path, body=body).json()
    token = (answer.get("status") or {}).get("token")
    if not token:
        raise KplaneError(f"{client.server} issued no token")
    return str(token)
