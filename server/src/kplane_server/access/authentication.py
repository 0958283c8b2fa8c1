# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who makes a request to one control plane: bearer tokens of its service accounts, and in root the administrator's credential.

Source: https://kubernetes.io/docs/reference/access-authn-authz/authentication/
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import orjson

from kplane_server.access import bootstrap_tokens
from kplane_server.access.claims import Claims
from kplane_server.access.jws import MAX_TOKEN_LENGTH, BadToken
from kplane_server.access.rbac import PlaneData
from kplane_server.access.tokens import TokenIssuer
from kplane_server.model import timestamps
from kplane_server.model.errors import Json, Unauthorized
from kplane_server.model.identity import ANONYMOUS_USER, AUTHENTICATED, MASTERS, UserInfo
from kplane_server.model.keys import ROOT_VCP_ID, ObjectKey, ResourceId

SERVICE_ACCOUNTS: Final = ResourceId("serviceaccounts")
SECRETS: Final = ResourceId("secrets")
PODS: Final = ResourceId("pods")
NODES: Final = ResourceId("nodes")

#: The identity behind the administrator's credential; it exists in root only.
ADMINISTRATOR: Final = UserInfo("kplane-admin", "1", (MASTERS, AUTHENTICATED))

#: Tokens that one control plane remembers as good, the least recently used forgotten first.
MAX_TOKENS: Final = 1024
#: An object that is being deleted still vouches for its tokens for this many seconds (upstream's leeway).
DELETION_LEEWAY: Final = 60

_BEARER: Final = "bearer "
_NEVER: Final = float("inf")
_DAY: Final = 86_400


class Voucher(NamedTuple):
    """An object that must be there for a token to be good, and the state it was last seen in."""

    key: ObjectKey
    changed: int  # of its collection
    revision: int  # of itself


class _Known(NamedTuple):
    user: UserInfo
    expires_at: float
    vouchers: tuple[Voucher, ...]


class Identified(NamedTuple):
    """A token's identity, and which of the audiences asked for it is good for."""

    user: UserInfo
    audiences: tuple[str, ...]


class Authenticator:
    """The authenticator of one control plane.

    admin_digest: SHA-256 of the administrator's token. Only root may have one: it is a stranger in every VCP.
    on_legacy_use: told of the Secret when a token from it is used, at least once a day.
    """

    def __init__(
        self,
        api: PlaneData,
        issuer: TokenIssuer,
        *,
        admin_digest: bytes | None = None,
        clock: Callable[[], float] = time.time,
        on_legacy_use: Callable[[ObjectKey], None] | None = None,
    ) -> None:
        if admin_digest is not None and api.vcp.id != ROOT_VCP_ID:
            raise ValueError("the administrator's credential belongs to root alone")
        self._store = api.store
        self._vcp = api.vcp.id
        self._issuer = issuer
        self._admin_digest = admin_digest
        self._clock = clock
        self._on_legacy_use = on_legacy_use
        self._known: OrderedDict[bytes, _Known] = OrderedDict()

    def authenticate(self, authorization: str | None) -> UserInfo:
        """The identity behind an ``Authorization`` header. Another scheme than Bearer, as upstream, is no credential at all.

        Raises :class:`~kplane_server.model.errors.Unauthorized` for a bearer token that is not good.
        """
        if authorization is None or authorization[:7].lower() != _BEARER:
            return ANONYMOUS_USER
        if len(authorization) > MAX_TOKEN_LENGTH + len(_BEARER):
            raise Unauthorized("Unauthorized")
        try:
            digest = hashlib.blake2b(authorization.encode()).digest()  # the fastest here; no token is kept in memory
        except UnicodeEncodeError as error:
            raise Unauthorized("Unauthorized") from error
        known = self._known.get(digest)
        if known is not None and self._still_good(digest, known):
            self._known.move_to_end(digest)
            return known.user
        token = authorization[7:].strip()
        if not token:
            return ANONYMOUS_USER
        if self._is_administrator(token):
            self._remember(digest, _Known(ADMINISTRATOR, _NEVER, ()))
            return ADMINISTRATOR
        try:
            if (short := bootstrap_tokens.parse(token)) is not None:
                return self._bootstrap(short)
            claims = self._issuer.verify(token)
            user, vouchers = claims.user(), self._vouch(claims, token)
        except BadToken as error:
            raise Unauthorized("Unauthorized") from error  # what was wrong with it is for the log alone
        expires = _NEVER if claims.expires_at is None else claims.expires_at
        if claims.legacy:
            expires = min(expires, self._note_use(claims))
        if vouchers is not None:  # else good for a few seconds more only
            self._remember(digest, _Known(user, expires, vouchers))
        return user

    def review(self, token: str, audiences: Sequence[str]) -> Identified:
        """The identity that a token proves to ``audiences`` (none: this control plane). Raises :class:`BadToken`."""
        own = self._issuer.audiences
        if self._is_administrator(token):
            common = tuple(audience for audience in audiences or own[:1] if audience in own)
            if not common:
                raise BadToken("token is not for the target audiences")
            return Identified(ADMINISTRATOR, common)
        if (short := bootstrap_tokens.parse(token)) is not None:
            common = tuple(audience for audience in audiences or own[:1] if audience in own)
            if not common:
                raise BadToken("token is not for the target audiences")
            return Identified(self._bootstrap(short), common)
        claims = self._issuer.verify(token, audiences or own)
        self._vouch(claims, token)
        return Identified(claims.user(), claims.audiences)

    def _bootstrap(self, token: bootstrap_tokens.BootstrapToken) -> UserInfo:
        """Who a bootstrap token is. They are rare, and one Secret tells: nothing is remembered. Raises :class:`BadToken`."""
        key = ObjectKey(self._vcp, SECRETS, bootstrap_tokens.NAMESPACE, bootstrap_tokens.PREFIX + token.id)
        stored = self._store.get(key)
        return bootstrap_tokens.identify(token, None if stored is None else orjson.loads(stored.value), self._clock())

    def _note_use(self, claims: Claims) -> float:
        """Tell that a token from a Secret is in use. The answer: when that is to be told again, the end of the day (UTC)."""
        if self._on_legacy_use is not None and claims.secret is not None:
            self._on_legacy_use(ObjectKey(self._vcp, SECRETS, claims.namespace, claims.secret.name))
        return (self._clock() // _DAY + 1) * _DAY

    def forget(self) -> None:
        """Drop what is remembered, when the control plane goes idle or its keys change."""
        self._known.clear()

    def _is_administrator(self, token: str) -> bool:
        if self._admin_digest is None:
            return False
        digest = hashlib.sha256(token.encode(errors="surrogatepass")).digest()
        return hmac.compare_digest(digest, self._admin_digest)

    def _remember(self, digest: bytes, known: _Known) -> None:
        self._known[digest] = known
        if len(self._known) > MAX_TOKENS:
            self._known.popitem(last=False)

    def _still_good(self, digest: bytes, known: _Known) -> bool:
        """Whether a remembered token is good now: nothing changed, or none of its own objects did."""
        if self._clock() >= known.expires_at:
            del self._known[digest]
            return False
        changed, vcp = self._store.changed, self._vcp
        for voucher in known.vouchers:
            if changed(vcp, voucher.key.resource) != voucher.changed:
                break
        else:
            return True
        renewed: list[Voucher] = []
        for voucher in known.vouchers:
            stamp = changed(vcp, voucher.key.resource)
            stored = self._store.get(voucher.key)
            if stored is None or stored.revision != voucher.revision:
                del self._known[digest]
                return False
            renewed.append(voucher._replace(changed=stamp))
        self._known[digest] = known._replace(vouchers=tuple(renewed))
        return True

    def _vouch(self, claims: Claims, token: str) -> tuple[Voucher, ...] | None:
        """The objects that the token depends on; None if one of them is on its way out. Raises :class:`BadToken`."""
        needed = [(SERVICE_ACCOUNTS, claims.namespace, claims.service_account.name, claims.service_account.uid)]
        if claims.secret is not None:
            needed.append((SECRETS, claims.namespace, claims.secret.name, claims.secret.uid))
        if claims.pod is not None:
            needed.append((PODS, claims.namespace, claims.pod.name, claims.pod.uid))
        elif claims.node is not None:  # beside a pod the node is information, not a bond
            needed.append((NODES, "", claims.node.name, claims.node.uid))
        vouchers: list[Voucher] = []
        leaving = False
        for resource, namespace, name, uid in needed:
            key = ObjectKey(self._vcp, resource, namespace, name)
            stamp = self._store.changed(self._vcp, resource)
            stored = self._store.get(key)
            if stored is None:
                raise BadToken(f"{resource} of the token is gone")
            document = orjson.loads(stored.value)
            metadata = document["metadata"]
            if claims.legacy and resource == SECRETS:
                _check_secret(document, token)
            elif metadata["uid"] != uid:
                raise BadToken(f"{resource} of the token was made again since")
            if deleted := metadata.get("deletionTimestamp"):
                if claims.legacy or self._clock() - timestamps.to_epoch(deleted) > DELETION_LEEWAY:
                    raise BadToken(f"{resource} of the token has been deleted")
                leaving = True
            vouchers.append(Voucher(key, stamp, stored.revision))
        return None if leaving else tuple(vouchers)


def _check_secret(secret: Json, token: str) -> None:
    """A token from a Secret is good only while the Secret holds exactly it."""
    held = (secret.get("data") or {}).get("token", "")
    given = base64.b64encode(token.encode())
    if not hmac.compare_digest(held.encode(), given):
        raise BadToken("token does not match the server's copy")
    if (secret["metadata"].get("labels") or {}).get("kubernetes.io/legacy-token-invalid-since"):
        raise BadToken("token has been marked invalid")
