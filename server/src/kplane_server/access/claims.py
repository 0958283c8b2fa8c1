# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The claims of service account tokens: what they say, and when that may be believed. Pure; time is an argument.

Source: https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-tokens
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from kplane_server.access.jws import BadToken
from kplane_server.model.errors import Json
from kplane_server.model.identity import UserInfo, service_account_user

#: ``iss`` of tokens that live in Secrets of type ``kubernetes.io/service-account-token``.
LEGACY_ISSUER: Final = "kubernetes/serviceaccount"

_PRIVATE: Final = "kubernetes.io"
_LEGACY: Final = "kubernetes.io/serviceaccount/"
_EXTRA: Final = "authentication.kubernetes.io/"
_BINDABLE: Final = ("pod", "secret", "node")


class Reference(NamedTuple):
    """An object that a token is bound to."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says. Times are seconds since the epoch; a token from a Secret has no end of its own."""

    namespace: str
    service_account: Reference
    audiences: tuple[str, ...]
    issued_at: int = 0
    expires_at: int | None = None
    token_id: str = ""
    pod: Reference | None = None
    secret: Reference | None = None
    node: Reference | None = None
    warn_after: int | None = None
    legacy: bool = False

    def user(self) -> UserInfo:
        """The identity that the token proves, once its objects are known to exist."""
        extra: dict[str, tuple[str, ...]] = {}
        if self.token_id:
            extra[_EXTRA + "credential-id"] = (f"JTI={self.token_id}",)
        for kind, reference in (("node", self.node), ("pod", self.pod)):
            if reference is not None:
                extra[f"{_EXTRA}{kind}-name"] = (reference.name,)
                if reference.uid:
                    extra[f"{_EXTRA}{kind}-uid"] = (reference.uid,)
        return service_account_user(self.namespace, self.service_account.name, self.service_account.uid, extra)

    def document(self, issuer: str) -> dict[str, Json]:
        """The claims as a bound token carries them."""
        bound: dict[str, Json] = {"namespace": self.namespace}
        for kind in _BINDABLE:
            reference: Reference | None = getattr(self, kind)
            if reference is not None:
                bound[kind] = {key: value for key, value in reference._asdict().items() if value}
        bound["serviceaccount"] = self.service_account._asdict()
        if self.warn_after is not None:
            bound["warnafter"] = self.warn_after
        return {
            "aud": list(self.audiences),
            "exp": self.expires_at,
            "iat": self.issued_at,
            "iss": issuer,
            "jti": self.token_id,
            _PRIVATE: bound,
            "nbf": self.issued_at,
            "sub": _subject(self.namespace, self.service_account.name),
        }

    def legacy_document(self, secret: str) -> dict[str, Json]:
        """The claims as a token in the Secret ``secret`` carries them."""
        return {
            "iss": LEGACY_ISSUER,
            "sub": _subject(self.namespace, self.service_account.name),
            _LEGACY + "namespace": self.namespace,
            _LEGACY + "secret.name": secret,
            _LEGACY + "service-account.name": self.service_account.name,
            _LEGACY + "service-account.uid": self.service_account.uid,
        }


def read(document: Mapping[str, Json], issuers: frozenset[str], now: float) -> Claims:
    """The claims of a token whose signature is good. Raises :class:`BadToken` for another issuer or another time.

    Audiences are not looked at here: a reader compares them with its own.
    """
    issuer = document.get("iss")
    if issuer == LEGACY_ISSUER:
        claims = _read_legacy(document)
    elif isinstance(issuer, str) and issuer in issuers:
        claims = _read_bound(document)
        _check_time(document, now)
    else:
        raise BadToken("token has another issuer")
    if document.get("sub") != _subject(claims.namespace, claims.service_account.name):
        raise BadToken("sub claim is invalid")
    return claims


def _read_bound(document: Mapping[str, Json]) -> Claims:
    private = document.get(_PRIVATE)
    if not isinstance(private, dict):
        raise BadToken("kubernetes.io claim is missing")
    audiences = document.get("aud")
    if isinstance(audiences, str):
        audiences = [audiences]
    if not isinstance(audiences, list) or not all(isinstance(audience, str) for audience in audiences):
        raise BadToken("aud claim is invalid")
    account = _reference(private, "serviceaccount")
    if account is None:
        raise BadToken("serviceaccount claim is missing")
    return Claims(
        namespace=_text(private, "namespace"),
        service_account=account,
        audiences=tuple(audiences),
        issued_at=_time(document, "iat"),
        expires_at=_time(document, "exp"),
        token_id=_text(document, "jti"),
        pod=_reference(private, "pod"),
        secret=_reference(private, "secret"),
        node=_reference(private, "node"),
        warn_after=_time(private, "warnafter") if "warnafter" in private else None,
    )


def _read_legacy(document: Mapping[str, Json]) -> Claims:
    return Claims(
        namespace=_text(document, _LEGACY + "namespace"),
        service_account=Reference(_text(document, _LEGACY + "service-account.name"), _text(document, _LEGACY + "service-account.uid")),
        audiences=(),
        secret=Reference(_text(document, _LEGACY + "secret.name"), ""),
        legacy=True,
    )


def _check_time(document: Mapping[str, Json], now: float) -> None:
    if now >= _time(document, "exp"):
        raise BadToken("service account token has expired")
    # One process gives and reads tokens, so that only a step of its clock could put the beginning into the future.
    if now + _LEEWAY < _time(document, "nbf"):
        raise BadToken("service account token is not valid yet")
    if now + _LEEWAY < _time(document, "iat"):
        raise BadToken("service account token is issued in the future")


_LEEWAY: Final = 60


def _time(document: Mapping[str, Json], key: str) -> int:
    value = document.get(key)
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadToken(f"{key} claim is invalid")
    return value


def _text(document: Mapping[str, Json], key: str) -> str:
    value = document.get(key)
    if not isinstance(value, str) or not value:
        raise BadToken(f"{key.removeprefix(_LEGACY)} claim is missing")
    return value


def _reference(private: Mapping[str, Json], key: str) -> Reference | None:
    value = private.get(key)
    if value is None:
        return None
    if not isinstance(value, dict):
        raise BadToken(f"{key} claim is invalid")
    uid = value.get("uid", "")
    if not isinstance(uid, str):
        raise BadToken(f"{key} claim is invalid")
    return Reference(_text(value, "name"), uid)


def _subject(namespace: str, name: str) -> str:
    return f"system:serviceaccount:{namespace}:{name}"
