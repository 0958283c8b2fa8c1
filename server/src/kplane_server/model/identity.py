# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who makes a request. Source: https://kubernetes.io/docs/reference/access-authn-authz/authentication/."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

ANONYMOUS: Final = "system:anonymous"
UNAUTHENTICATED: Final = "system:unauthenticated"
AUTHENTICATED: Final = "system:authenticated"
MASTERS: Final = "system:masters"
SERVICE_ACCOUNTS: Final = "system:serviceaccounts"


@dataclass(frozen=True, slots=True)
class UserInfo:
    """An authenticated (or anonymous) identity inside exactly one control plane."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)


#: The identity of a request without credentials.
ANONYMOUS_USER: Final = UserInfo(ANONYMOUS, groups=(UNAUTHENTICATED,))

#: The identity that the server's own controllers act under.
CONTROLLER_USER: Final = UserInfo("system:kube-controller-manager", groups=(MASTERS, AUTHENTICATED))


def controller_user(name: str) -> UserInfo:
    """The ServiceAccount that one of Kubernetes' own controllers acts under, where that can be seen (by webhooks, by policies)."""
    return service_account_user("kube-system", name)


def service_account_user(namespace: str, name: str, uid: str = "", extra: Mapping[str, tuple[str, ...]] | None = None) -> UserInfo:
    """The identity of a ServiceAccount."""
    groups = (SERVICE_ACCOUNTS, f"{SERVICE_ACCOUNTS}:{namespace}", AUTHENTICATED)
    return UserInfo(f"system:serviceaccount:{namespace}:{name}", uid, groups, extra or {})
