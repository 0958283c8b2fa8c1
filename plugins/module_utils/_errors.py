# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors of the collection: each says what failed and carries what is known about it.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import typing as t


class KplaneError(Exception):
    """Anything that the collection can explain; ``details`` go into the result of the module."""

    def __init__(self, message: str, **details: t.Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class KubeconfigError(KplaneError):
    """A kubeconfig that cannot be read, is malformed, or lacks what was asked of it."""


class ConfigError(KplaneError):
    """A kplane configuration file that cannot be read or is malformed."""


class LockTimeout(KplaneError):
    """The lock of a file was held by another process for too long."""


class ProviderError(KplaneError):
    """A provider of management planes that cannot do what was asked."""


class ProviderMissing(ProviderError):
    """A provider whose programs are not installed."""


class ConnectionFailed(KplaneError):
    """The API server could not be reached, or its certificate could not be verified."""


class Untrusted(ConnectionFailed):
    """The certificate of the API server could not be verified, so whoever answers there is not asked anything."""


class WaitTimeout(KplaneError):
    """What was waited for did not come in time; the message says what was seen last."""


class WaitFailed(KplaneError):
    """What was waited for cannot come any more."""


class ApiError(KplaneError):
    """An answer of the API server that is not a success."""

    def __init__(self, message: str, *, code: int, reason: str = "", status: dict[str, t.Any] | None = None, **details: t.Any) -> None:
        super().__init__(message, http_status=code, reason=reason, **details)
        self.code = code
        self.reason = reason
        self.status = status or {}


class Unauthorized(ApiError):
    """401: the credential is unknown or has expired."""


class Forbidden(ApiError):
    """403: the credential may not do this."""


class NotFound(ApiError):
    """404: there is no such object or resource."""


class AlreadyExists(ApiError):
    """409: an object of that name is there already."""


class Conflict(ApiError):
    """409: the object changed meanwhile, or a field belongs to another manager."""


class Expired(ApiError):
    """410: the resource version or continue token is too old."""


class Invalid(ApiError):
    """400 or 422: the request or the object is not acceptable."""


class Unavailable(ApiError):
    """429 or 5xx: the server cannot answer now."""


_BY_CODE: t.Final[dict[int, type[ApiError]]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Expired,
    415: Invalid,
    422: Invalid,
    429: Unavailable,
    500: Unavailable,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def from_status(code: int, status: dict[str, t.Any] | None, fallback: str, **details: t.Any) -> ApiError:
    """The typed error for a Kubernetes ``Status``, or for an answer that carries none."""
    status = status or {}
    reason = str(status.get("reason") or "")
    message = str(status.get("message") or fallback)
    kind: type[ApiError] = AlreadyExists if reason == "AlreadyExists" else _BY_CODE.get(code, ApiError)
    return kind(message, code=code, reason=reason, status=status, **details)
