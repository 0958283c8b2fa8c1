# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The token issuer of one control plane: its keys, its issuer URL, its audience.

Every VCP has keys of its own, derived from the data directory's master secret and the VCP's uid: a token of one is noise to another,
also to one that bears the same name later. Only the two newest generations verify, so that a rotation has an overlap.
Source: https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#service-account-issuer-discovery
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from kplane_server.access import claims as token_claims
from kplane_server.access.claims import Claims, Reference
from kplane_server.access.jws import BadToken, Jws, SigningKey
from kplane_server.model import timestamps
from kplane_server.model.errors import Json
from kplane_server.model.uids import random_uid
from kplane_server.storage.api import VcpRecord

#: A shorter life cannot be asked for (upstream's bound).
MIN_SECONDS: Final = 600
#: A longer one neither.
MAX_SECONDS: Final = 1 << 32
#: What client-go asks for in a Pod's projected volume: such a token warns after an hour and ends after a year.
WARN_ONLY_SECONDS: Final = 3607
EXTENDED_SECONDS: Final = 365 * 24 * 3600


class BoundObject(NamedTuple):
    """What a token shall end with: ``kind`` is Pod, Secret or Node. A Pod's node is noted beside it."""

    kind: str
    name: str
    uid: str
    node: Reference | None = None


class IssuedToken(NamedTuple):
    """A new token, and when it ends in the words of the one who asked (RFC 3339)."""

    token: str
    expiration: str


class TokenIssuer:
    """Makes and reads the service account tokens of one control plane.

    accepted_base_urls: earlier base URLs of the server, whose tokens are still good (the port may have changed since).
    """

    def __init__(
        self,
        master_secret: bytes,
        record: VcpRecord,
        base_url: str,
        *,
        accepted_base_urls: Sequence[str] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._secret = master_secret
        self._vcp_uid = record.uid
        self._generation = record.key_generation
        self._keys: tuple[SigningKey, ...] = ()
        self._clock = clock
        self.url: Final = issuer_url(base_url, record.name)
        #: Who a token must be for to be accepted here. The first is the default of a new one.
        self.audiences: Final = (self.url, *(issuer_url(base, record.name) for base in accepted_base_urls))
        self._issuers = frozenset(self.audiences)

    def issue(
        self,
        namespace: str,
        service_account: str,
        uid: str,
        *,
        audiences: Sequence[str] = (),
        expiration_seconds: int = 3600,
        bound_object: BoundObject | None = None,
    ) -> IssuedToken:
        """A token for a ServiceAccount, for ``audiences`` (by default this control plane's own)."""
        now = int(self._clock())
        bound = {} if bound_object is None else {bound_object.kind: Reference(bound_object.name, bound_object.uid)}
        pod = bound.get("Pod")
        claims = Claims(
            namespace,
            Reference(service_account, uid),
            tuple(audiences) or self.audiences[:1],
            issued_at=now,
            expires_at=now + expiration_seconds,
            token_id=random_uid(),
            pod=pod,
            secret=bound.get("Secret"),
            node=bound_object.node if bound_object is not None and pod is not None else bound.get("Node"),
        )
        if pod is not None and expiration_seconds == WARN_ONLY_SECONDS and set(claims.audiences) <= self._issuers:
            claims = replace(claims, expires_at=now + EXTENDED_SECONDS, warn_after=now + expiration_seconds)
        token = self._signing_keys()[0].sign(claims.document(self.url))
        return IssuedToken(token, timestamps.from_epoch(now + expiration_seconds))

    def issue_legacy(self, namespace: str, service_account: str, uid: str, secret: str) -> str:
        """A token without end, good for as long as the Secret ``secret`` holds it."""
        claims = Claims(namespace, Reference(service_account, uid), ())
        return self._signing_keys()[0].sign(claims.legacy_document(secret))

    def verify(self, token: str, audiences: Sequence[str] | None = None) -> Claims:
        """What a token says, with only those of its audiences that are asked for (by default this control plane).

        Raises :class:`BadToken`. Whether its objects still exist is the authenticator's question.
        """
        jws = Jws(token)
        for key in self._signing_keys():
            if key.key_id == jws.key_id:
                claims = token_claims.read(jws.claims(key), self._issuers, self._clock())
                break
        else:
            raise BadToken("token is signed with a key that is unknown here")
        wanted = self.audiences if audiences is None else tuple(audiences)
        held = self.audiences if claims.legacy else claims.audiences
        common = tuple(audience for audience in wanted if audience in held)
        if not common:
            raise BadToken(f"token audiences {_listed(held)} is invalid for the target audiences {_listed(wanted)}")
        return replace(claims, audiences=common)

    def discovery(self) -> dict[str, Json]:
        """The OpenID Connect discovery document, ``/.well-known/openid-configuration``."""
        return {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/openid/v1/jwks",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        }

    def jwks(self) -> dict[str, Json]:
        """The public keys that verify tokens, ``/openid/v1/jwks``."""
        return {"keys": [key.jwk() for key in self._signing_keys()]}

    def _signing_keys(self) -> tuple[SigningKey, ...]:
        """The current key first, then the one before it. Derived when first needed: an idle VCP holds none."""
        if not self._keys:
            newest = self._generation
            self._keys = tuple(
                SigningKey.derive(self._secret, f"kplane.core token signing {self._vcp_uid} {generation}".encode())
                for generation in range(newest, max(newest - 2, 0), -1)
            )
        return self._keys


def issuer_url(base_url: str, vcp: str) -> str:
    """The issuer of a VCP: the URL under which it is served."""
    return f"{base_url.rstrip('/')}/clusters/{vcp}/control-plane"


def _listed(values: Sequence[str]) -> str:
    return "[" + " ".join(f'"{value}"' for value in values) + "]"
