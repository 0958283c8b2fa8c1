# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""AdmissionReviews: what a webhook is asked, and what its answer must be. Pure.

Source: https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#webhook-request-and-response
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Final, NamedTuple

import orjson

from kplane_server.admission.webhook_matching import request_namespace
from kplane_server.model.errors import ApiError, Json
from kplane_server.model.resources import GroupVersionKind
from kplane_server.registry.attributes import Attributes, Operation
from kplane_server.registry.hooks import HookFailure
from kplane_server.registry.resource import ResourceInfo

_GROUP: Final = "admission.k8s.io"
_KIND: Final = "AdmissionReview"
_VERSIONS: Final = ("v1", "v1beta1")
#: How much of what a webhook says is told to clients (characters).
_MAX_MESSAGE: Final = 64 * 1024
_MAX_REASON: Final = 256
_DETAILS: Final = {"name": str, "group": str, "kind": str, "uid": str, "causes": list, "retryAfterSeconds": int}


class Verdict(NamedTuple):
    """What a webhook says. ``patch``: the operations of a JSON patch, None without one."""

    allowed: bool
    result: dict[str, Json]
    patch: Json
    warnings: Sequence[str]
    annotations: dict[str, str]


class Denied(ApiError):
    """A webhook's no, with the status that it wants the client to see."""

    def __init__(self, webhook: str, result: dict[str, Json]) -> None:
        told = result.get("message") or result.get("reason") or ""
        said = f'admission webhook "{webhook}" denied the request'
        details = result.get("details") or {}
        super().__init__(f"{said}: {told}" if told else f"{said} without explanation", retry_after=details.get("retryAfterSeconds") or 0)
        code = result.get("code") or 0
        self.code = code if 400 <= code <= 599 else 400
        self.reason = result.get("reason") or ""
        self._details = details

    def status(self) -> dict[str, Json]:
        document = super().status()
        document.pop("details", None)
        if not self.reason:
            del document["reason"]
        return {**document, "details": self._details} if self._details else document


def review_version(webhook_versions: Sequence[str]) -> str:
    """The first version that both sides speak. Raises HookFailure."""
    for version in webhook_versions:
        if version in _VERSIONS:
            return version
    raise HookFailure("webhook does not accept known AdmissionReview versions (v1, v1beta1)")


def kind_of(row: ResourceInfo, subresource: str) -> GroupVersionKind:
    """The kind of what a request carries."""
    found = row.subresources.get(subresource) if subresource else None
    return found.kind if found is not None else row.gvk


def request_of(attributes: Attributes, row: ResourceInfo, uid: str, kind: GroupVersionKind) -> dict[str, Json]:
    """``request`` of a review without its documents; ``row``: at whose version they are shown."""
    info, user, subresource = attributes.info, attributes.user, attributes.subresource
    request: dict[str, Json] = {
        "uid": uid,
        "kind": _kind(kind),
        "resource": _resource(row),
        **({"subResource": subresource} if subresource else {}),
        "requestKind": _kind(kind_of(info, subresource)),
        "requestResource": _resource(info),
        **({"requestSubResource": subresource} if subresource else {}),
    }
    if attributes.name:
        request["name"] = attributes.name
    if namespace := request_namespace(attributes):
        request["namespace"] = namespace
    request["operation"] = str(attributes.operation)
    request["userInfo"] = {
        **({"username": user.name} if user.name else {}),
        **({"uid": user.uid} if user.uid else {}),
        **({"groups": list(user.groups)} if user.groups else {}),
        **({"extra": {key: list(values) for key, values in user.extra.items()}} if user.extra else {}),
    }
    request["dryRun"] = attributes.dry_run
    request["options"] = options_of(attributes)
    return request


def review_of(request: dict[str, Json], version: str, obj: Json | None, old: Json | None) -> dict[str, Json]:
    """The document to send."""
    shown = {**request, "object": obj, "oldObject": old}
    return {"kind": _KIND, "apiVersion": f"{_GROUP}/{version}", "request": shown}


def options_of(attributes: Attributes) -> Json:
    """The options of the request as a document."""
    if attributes.options is not None:
        return attributes.options
    if attributes.operation is Operation.CONNECT:
        return None
    kind = "CreateOptions" if attributes.operation is Operation.CREATE else "UpdateOptions"
    document: dict[str, Json] = {"kind": kind, "apiVersion": "meta.k8s.io/v1"}
    context = attributes.context
    if context.dry_run:
        document["dryRun"] = ["All"]
    if context.field_manager:
        document["fieldManager"] = context.field_manager
    if context.field_validation:
        document["fieldValidation"] = context.field_validation
    return document


def _kind(kind: GroupVersionKind) -> Json:
    return {"group": kind.group, "version": kind.version, "kind": kind.kind}


def _resource(row: ResourceInfo) -> Json:
    return {"group": row.group, "version": row.version, "resource": row.resource}


def verdict_of(answer: Json, version: str, uid: str, *, mutating: bool) -> Verdict:
    """The answer to a review, checked. Raises HookFailure."""
    response = answer.get("response")
    if response is None:
        raise HookFailure("received invalid webhook response: webhook response was absent")
    if not isinstance(response, dict):
        raise HookFailure("failed to call webhook: json: cannot unmarshal response into Go struct field AdmissionReview.response")
    if version == "v1":
        if response.get("uid") != uid:
            raise HookFailure(
                f'received invalid webhook response: expected response.uid="{uid}", got "{str(response.get("uid") or "")[:64]}"'
            )
        given = f"{answer.get('apiVersion') or ''}, Kind={answer.get('kind') or ''}"
        if given != f"{_GROUP}/v1, Kind={_KIND}":
            wanted = f"{_GROUP}/v1, Kind={_KIND}"
            raise HookFailure(f"received invalid webhook response: expected webhook response of {wanted}, got {given[:256]}")
    patch = _patch(response, version) if mutating else None
    return Verdict(
        allowed=_typed(response, "allowed", bool) or False,
        result=_result(_typed(response, "status", dict) or {}),
        patch=patch,
        warnings=_strings(_typed(response, "warnings", list) or []),
        annotations=_string_map(_typed(response, "auditAnnotations", dict) or {}),
    )


def _patch(response: dict[str, Json], version: str) -> Json:
    patch, kind = _typed(response, "patch", str) or "", _typed(response, "patchType", str)
    if version == "v1":
        if patch and kind is None:
            raise HookFailure("received invalid webhook response: webhook returned response.patch but not response.patchType")
        if not patch and kind is not None:
            raise HookFailure("received invalid webhook response: webhook returned response.patchType but not response.patch")
    if not patch:
        return None
    if kind not in (None, "JSONPatch"):
        raise HookFailure(f'unsupported patch type "{kind[:64]}"' if kind else "unsupported patch type")
    try:
        return orjson.loads(base64.b64decode(patch, validate=True))
    except (binascii.Error, orjson.JSONDecodeError) as error:
        raise HookFailure(f"received invalid webhook response: response.patch: {error}") from error


def _result(result: dict[str, Json]) -> dict[str, Json]:
    """The part of a Status that a client gets to see."""
    details = _typed(result, "details", dict) or {}
    kept = {key: value for key, kind in _DETAILS.items() if (value := _typed(details, key, kind))}
    if "causes" in kept:
        kept["causes"] = [_string_map(cause) for cause in kept["causes"] if isinstance(cause, dict)]
    return {
        "code": _typed(result, "code", int) or 0,
        "reason": (_typed(result, "reason", str) or "")[:_MAX_REASON],
        "message": (_typed(result, "message", str) or "")[:_MAX_MESSAGE],
        "details": kept,
    }


def _typed(document: dict[str, Json], key: str, kind: type) -> Json:
    """A field of a type; None where it is null or missing. Raises HookFailure."""
    value = document.get(key)
    if value is None or (isinstance(value, kind) and (kind is bool or not isinstance(value, bool))):
        return value
    raise HookFailure(f"failed to call webhook: json: cannot unmarshal {type(value).__name__} into Go struct field .response.{key}")


def _strings(values: list[Json]) -> list[str]:
    return [value for value in values if isinstance(value, str)]


def _string_map(values: dict[str, Json]) -> dict[str, str]:
    return {key: value for key, value in values.items() if isinstance(value, str)}
