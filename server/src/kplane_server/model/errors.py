# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every error that a client can see: an :class:`ApiError` renders as a Kubernetes ``Status``.

Source: https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#response-status-kind
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

Json = Any  # a parsed JSON document; the one place where Any stands for it


class Cause(NamedTuple):
    """One ``details.causes`` entry: ``reason`` such as ``FieldValueInvalid``, ``field`` such as ``spec.replicas``."""

    reason: str
    message: str
    field: str = ""


class ApiError(Exception):
    """A failure with its HTTP code, machine-readable reason and details.

    ``group`` and ``kind`` of the details name the resource (plural), as upstream does; ``retry_after`` is in seconds.
    """

    code: int = 500
    reason: str = "InternalError"

    def __init__(
        self,
        message: str,
        *,
        group: str = "",
        kind: str = "",
        name: str = "",
        uid: str = "",
        causes: Sequence[Cause] = (),
        retry_after: int = 0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.group = group
        self.kind = kind
        self.name = name
        self.uid = uid
        self.causes = tuple(causes)
        self.retry_after = retry_after
        self.headers = dict(headers or {})
        #: What the request is warned of beside its failure.
        self.warnings: Sequence[str] = ()

    def status(self) -> dict[str, Json]:
        """The ``meta/v1 Status`` document of this error."""
        details: dict[str, Json] = {}
        for key in ("name", "group", "kind", "uid"):
            if value := getattr(self, key):
                details[key] = value
        if self.causes:
            details["causes"] = [
                {k: v for k, v in (("reason", c.reason), ("message", c.message), ("field", c.field)) if v} for c in self.causes
            ]
        if self.retry_after:
            details["retryAfterSeconds"] = self.retry_after
        document: dict[str, Json] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }
        if details:
            document["details"] = details
        return document


class BadRequest(ApiError):
    code, reason = 400, "BadRequest"


class Unauthorized(ApiError):
    code, reason = 401, "Unauthorized"


class Forbidden(ApiError):
    code, reason = 403, "Forbidden"


class NotFound(ApiError):
    code, reason = 404, "NotFound"


class MethodNotAllowed(ApiError):
    code, reason = 405, "MethodNotAllowed"


class NotAcceptable(ApiError):
    code, reason = 406, "NotAcceptable"


class AlreadyExists(ApiError):
    code, reason = 409, "AlreadyExists"


class Conflict(ApiError):
    code, reason = 409, "Conflict"


class Expired(ApiError):
    """The requested revision, or continue token, is older than the history that is kept."""

    code, reason = 410, "Expired"


class LengthRequired(ApiError):
    code, reason = 411, "LengthRequired"


class RequestEntityTooLarge(ApiError):
    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaType(ApiError):
    code, reason = 415, "UnsupportedMediaType"


class Invalid(ApiError):
    """A document that is well-formed but breaks a rule; ``causes`` name each field."""

    code, reason = 422, "Invalid"


class TooManyRequests(ApiError):
    code, reason = 429, "TooManyRequests"


class InternalError(ApiError):
    code, reason = 500, "InternalError"


class ServiceUnavailable(ApiError):
    code, reason = 503, "ServiceUnavailable"


class Timeout(ApiError):
    code, reason = 504, "Timeout"


def not_found(resource: str, group: str, name: str) -> NotFound:
    """The 404 of an object; ``resource`` is the plural, as upstream words it."""
    qualified = f"{resource}.{group}" if group else resource
    return NotFound(f'{qualified} "{name}" not found', group=group, kind=resource, name=name)


def already_exists(resource: str, group: str, name: str) -> AlreadyExists:
    """The 409 of a create of a name that is taken."""
    qualified = f"{resource}.{group}" if group else resource
    return AlreadyExists(f'{qualified} "{name}" already exists', group=group, kind=resource, name=name)


def conflict(resource: str, group: str, name: str, why: str) -> Conflict:
    """The 409 of a precondition that no longer holds."""
    qualified = f"{resource}.{group}" if group else resource
    return Conflict(f'Operation cannot be fulfilled on {qualified} "{name}": {why}', group=group, kind=resource, name=name)


def invalid(kind: str, group: str, name: str, causes: Sequence[Cause]) -> Invalid:
    """The 422 of a document; ``kind`` is its kind (singular, capital), as upstream words it."""
    qualified = f"{kind}.{group}" if group else kind
    texts = [f"{c.field}: {c.message}" if c.field else c.message for c in causes]
    joined = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    return Invalid(f'{qualified} "{name}" is invalid: {joined}', group=group, kind=kind, name=name, causes=causes)


def field_invalid(field: str, value: Json, why: str) -> Cause:
    """A value that is of the right type but not allowed."""
    return Cause("FieldValueInvalid", f"Invalid value: {_show(value)}: {why}", field)


def field_required(field: str, why: str = "") -> Cause:
    """A value that is missing."""
    return Cause("FieldValueRequired", "Required value" + (f": {why}" if why else ""), field)


def field_forbidden(field: str, why: str) -> Cause:
    """A field that may not be set here, or not changed."""
    return Cause("FieldValueForbidden", f"Forbidden: {why}", field)


class InOrder(tuple[str, ...]):
    """Supported values that upstream lists in an order of their own."""

    __slots__ = ()


def field_not_supported(field: str, value: Json, supported: Sequence[str]) -> Cause:
    """A value outside an enumeration."""
    choices = ", ".join(f'"{s}"' for s in (supported if isinstance(supported, InOrder) else sorted(supported)))
    return Cause("FieldValueNotSupported", f"Unsupported value: {_show(value)}: supported values: {choices}", field)


def field_duplicate(field: str, value: Json) -> Cause:
    """A value that must be unique in its list and is not."""
    return Cause("FieldValueDuplicate", f"Duplicate value: {_show(value)}", field)


def _show(value: Json) -> str:
    """A value as Go's field errors quote it, cut so that an error never repeats a large body."""
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False)
    elif isinstance(value, bool):
        text = "true" if value else "false"
    elif value is None:
        text = "null"
    elif isinstance(value, (dict, list)):
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str)
    else:
        text = str(value)
    return text if len(text) <= 256 else text[:253] + "..."
