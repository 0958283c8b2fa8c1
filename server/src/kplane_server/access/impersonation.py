# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Acting as somebody else in the same control plane, if RBAC there allows it.

The result is an identity of this control plane only: ``system:masters`` of a VCP is nobody outside of it (kcp GHSA-c7xh-gjv4-4jgv).
Source: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol
from urllib.parse import unquote

from kplane_server.access.attributes import Attributes, Decision, forbidden
from kplane_server.model.errors import BadRequest
from kplane_server.model.identity import ANONYMOUS, AUTHENTICATED, SERVICE_ACCOUNTS, UNAUTHENTICATED, UserInfo

PREFIX: Final = "impersonate-"
_EXTRA: Final = "impersonate-extra-"
_SERVICE_ACCOUNT: Final = "system:serviceaccount:"
_AUTHENTICATION_GROUP: Final = "authentication.k8s.io"

#: Impersonation headers in one request: each is one authorization.
MAX_HEADERS: Final = 256


class Authorizer(Protocol):
    def authorize(self, user: UserInfo, attributes: Attributes) -> Decision: ...


def impersonate(user: UserInfo, headers: Iterable[tuple[str, str]], authorizer: Authorizer) -> UserInfo:
    """Who the request acts as: ``user`` itself without ``Impersonate-*`` headers.

    Raises :class:`~kplane_server.model.errors.Forbidden` if ``user`` may not, and BadRequest for headers that make no sense.
    """
    asked = [(name.lower(), value) for name, value in headers if name[:12].lower() == PREFIX]
    if not asked:
        return user
    if len(asked) > MAX_HEADERS:
        raise BadRequest(f"more than {MAX_HEADERS} impersonation headers")
    name, uid, groups, extra = _wanted(asked)
    for attributes in _questions(name, uid, groups, extra):
        decision = authorizer.authorize(user, attributes)
        if not decision.allowed:
            raise forbidden(user, attributes, decision.reason)
    return UserInfo(name, uid, _all_groups(name, groups), {key: tuple(values) for key, values in extra.items()})


def _wanted(headers: list[tuple[str, str]]) -> tuple[str, str, list[str], dict[str, list[str]]]:
    name = uid = ""
    groups: list[str] = []
    extra: dict[str, list[str]] = {}
    for header, value in headers:
        if header == "impersonate-user":
            if name and name != value:
                raise BadRequest("more than one Impersonate-User header")
            name = value
        elif header == "impersonate-uid":
            if uid and uid != value:
                raise BadRequest("more than one Impersonate-Uid header")
            uid = value
        elif header == "impersonate-group":
            groups.append(value)
        elif header.startswith(_EXTRA) and len(header) > len(_EXTRA):
            # Keys are percent-encoded, because a header's name may hold few characters and loses its case.
            extra.setdefault(unquote(header[len(_EXTRA) :]).lower(), []).append(value)
        else:
            raise BadRequest(f"unknown impersonation header {header!r}")
    if not name:
        raise BadRequest("requested impersonation of groups, a uid or extra fields without impersonating a user name")
    return name, uid, groups, extra


def _questions(name: str, uid: str, groups: list[str], extra: dict[str, list[str]]) -> Iterable[Attributes]:
    """What must all be allowed, as upstream asks it."""
    account = service_account(name)
    if account is not None:
        yield Attributes("impersonate", version="v1", resource="serviceaccounts", namespace=account[0], name=account[1])
    else:
        yield Attributes("impersonate", version="v1", resource="users", name=name)
    for group in groups:
        yield Attributes("impersonate", version="v1", resource="groups", name=group)
    for key, values in extra.items():
        for value in values:
            yield Attributes("impersonate", _AUTHENTICATION_GROUP, "v1", "userextras", key, name=value)
    if uid:
        yield Attributes("impersonate", _AUTHENTICATION_GROUP, "v1", "uids", name=uid)


def _all_groups(name: str, groups: list[str]) -> tuple[str, ...]:
    """The groups asked for, and those that the identity has anyway. A service account's own come only if none were asked for."""
    account = service_account(name)
    found = list(groups)
    if account is not None and not found:
        found = [SERVICE_ACCOUNTS, f"{SERVICE_ACCOUNTS}:{account[0]}"]
    implied = UNAUTHENTICATED if name == ANONYMOUS else AUTHENTICATED
    if implied not in found and UNAUTHENTICATED not in found:
        found.append(implied)
    return tuple(dict.fromkeys(found))


def service_account(name: str) -> tuple[str, str] | None:
    """Namespace and name, if a user name is that of a service account."""
    if not name.startswith(_SERVICE_ACCOUNT):
        return None
    namespace, _, account = name[len(_SERVICE_ACCOUNT) :].partition(":")
    if not namespace or not account or ":" in account:
        return None
    return namespace, account
