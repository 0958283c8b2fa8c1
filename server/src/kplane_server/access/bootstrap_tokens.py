# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bootstrap tokens: short secrets, of the form ``abcdef.0123456789abcdef``, that a new machine joins with.

They are Secrets in ``kube-system`` of the control plane that they are for, and good in that one alone.
Source: https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/
"""

from __future__ import annotations

import binascii
import hmac
import re
from base64 import b64decode
from typing import Final, NamedTuple

from kplane_server.access.jws import BadToken
from kplane_server.model import timestamps
from kplane_server.model.errors import Json
from kplane_server.model.identity import AUTHENTICATED, UserInfo

NAMESPACE: Final = "kube-system"
SECRET_TYPE: Final = "bootstrap.kubernetes.io/token"
PREFIX: Final = "bootstrap-token-"

_TOKEN: Final = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})", re.ASCII)
_GROUP: Final = "system:bootstrappers"
_EXTRA_GROUP: Final = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]", re.ASCII)
_USER_PREFIX: Final = "system:bootstrap:"
#: What only an administrator's mistake could make longer.
_MAX_GROUPS: Final = 64


class BootstrapToken(NamedTuple):
    """The two halves: the one that everybody may know, and the secret."""

    id: str
    secret: str


def parse(token: str) -> BootstrapToken | None:
    """A token of this form, or None."""
    found = _TOKEN.fullmatch(token)
    return None if found is None else BootstrapToken(found[1], found[2])


def ends_at(secret: Json) -> float | None:
    """When a token Secret expires (seconds since the epoch); None for never. One that cannot be read has expired."""
    text = field(secret, "expiration")
    if not text:
        return None
    try:
        return timestamps.to_epoch(text)
    except ValueError:
        return 0.0


def identify(token: BootstrapToken, secret: Json | None, now: float) -> UserInfo:
    """Who the token is, by its Secret. Raises :class:`BadToken`."""
    if secret is None or secret.get("type") != SECRET_TYPE or "deletionTimestamp" in secret["metadata"]:
        raise BadToken("there is no such bootstrap token")
    if not hmac.compare_digest(field(secret, "token-secret").encode(), token.secret.encode()) or field(secret, "token-id") != token.id:
        raise BadToken("the bootstrap token does not match its Secret")
    ends = ends_at(secret)
    if ends is not None and ends <= now:
        raise BadToken("the bootstrap token has expired")
    if field(secret, "usage-bootstrap-authentication") != "true":
        raise BadToken("the bootstrap token is not for authentication")
    extra = [group for group in field(secret, "auth-extra-groups").split(",") if group]
    if len(extra) > _MAX_GROUPS or not all(_EXTRA_GROUP.fullmatch(group) for group in extra):
        raise BadToken("the bootstrap token has groups that it may not have")
    return UserInfo(_USER_PREFIX + token.id, groups=(*sorted({_GROUP, *extra}), AUTHENTICATED))


def field(secret: Json, name: str) -> str:
    """A field of a Secret's data, as text; empty if it is not there or no text."""
    try:
        return b64decode((secret.get("data") or {}).get(name) or "", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
