# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What expressions of admission see of a write: object, oldObject, request, namespaceObject and authorizer.

Source: https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/#validation-expression
"""

from __future__ import annotations

from typing import Any, Final

from kplane_server.admission.surroundings import Surroundings
from kplane_server.admission.webhook_review import kind_of, options_of
from kplane_server.model.errors import Json
from kplane_server.model.identity import UserInfo, service_account_user
from kplane_server.model.keys import ResourceId
from kplane_server.registry.aside import on_loop
from kplane_server.registry.attributes import Attributes
from kplane_server.registry.custom_rows import CustomResourceInfo
from kplane_server.registry.resource import ResourceInfo
from kplane_server.registry.strategies.conversion import convert
from kplane_server.registry.strategies.scale import scale_of
from kplane_server.schema.cel.authorizer import AuthorizerValue, Question, ResourceCheck, Verdict

_NAMESPACES: Final = ResourceId("namespaces")
#: What of a namespace is shown; the rest is nobody's business (upstream: ``CreateNamespaceObject``).
_NAMESPACE_METADATA: Final = (
    *("name", "generateName", "namespace", "labels", "annotations", "uid", "creationTimestamp"),
    *("deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion", "generation", "finalizers"),
)


def bindings(attributes: Attributes, row: ResourceInfo, surroundings: Surroundings) -> dict[str, Any]:
    """The variables of an expression for a write that is shown at the version of ``row``."""
    return {
        "object": _shown(attributes, attributes.object, row),
        "oldObject": _shown(attributes, attributes.old, row),
        "request": request_document(attributes, row),
        "namespaceObject": namespace_document(attributes),
        "authorizer": authorizer(attributes, surroundings),
    }


def _shown(attributes: Attributes, obj: Json | None, row: ResourceInfo) -> Json | None:
    """A document of the request: of its sub-resource, if that has documents of its own."""
    found = at_version(obj, attributes.info, row)
    if found is None or attributes.subresource != "scale":
        return found
    return scale_of(row, found, row.scale if isinstance(row, CustomResourceInfo) else None)


def at_version(obj: Json | None, info: ResourceInfo, row: ResourceInfo) -> Json | None:
    """A document at the version that a policy asked for."""
    if obj is None or info.group_version == row.group_version:
        return obj
    if info.builtin:
        return convert(obj, info.group_version, row.group_version)
    return {**obj, "apiVersion": str(row.group_version)}


def request_document(attributes: Attributes, row: ResourceInfo) -> dict[str, Any]:
    """``request``: the AdmissionRequest without the objects; what is empty is left out, as in its JSON."""
    info, user = attributes.info, attributes.user
    who: dict[str, Any] = {"username": user.name}
    if user.uid:
        who["uid"] = user.uid
    if user.groups:
        who["groups"] = list(user.groups)
    if user.extra:
        who["extra"] = {key: list(values) for key, values in user.extra.items()}
    request: dict[str, Any] = {
        "uid": "",
        "kind": kind_of(row, attributes.subresource)._asdict(),
        "resource": _resource(row),
        "requestKind": kind_of(info, attributes.subresource)._asdict(),
        "requestResource": _resource(info),
        "operation": str(attributes.operation),
        "userInfo": who,
        "dryRun": attributes.dry_run,
        "options": options_of(attributes),
    }
    if attributes.subresource:
        request["subResource"] = request["requestSubResource"] = attributes.subresource
    if attributes.name:
        request["name"] = attributes.name
    if namespace := attributes.name if info.storage_id == _NAMESPACES else attributes.namespace:
        request["namespace"] = namespace
    return request


def _resource(row: ResourceInfo) -> dict[str, str]:
    return {"group": row.group, "version": row.version, "resource": row.resource}


def namespace_document(attributes: Attributes) -> Json | None:
    """``namespaceObject``: null for what is in no namespace, a Namespace included."""
    if not attributes.namespace or attributes.info.storage_id == _NAMESPACES:
        return None
    found = attributes.lookup.get(_NAMESPACES, "", attributes.namespace)
    if found is None:
        return None
    metadata = {key: value for key, value in found["metadata"].items() if key in _NAMESPACE_METADATA}
    return {**found, "metadata": metadata}


def authorizer(attributes: Attributes, surroundings: Surroundings) -> AuthorizerValue:
    """``authorizer``, for the user who makes the request; ``authorizer.requestResource`` is the resource of the request."""

    def decide(question: Question, account: tuple[str, str] | None) -> Verdict:
        user: UserInfo = attributes.user if account is None else service_account_user(*account)
        return on_loop(lambda: surroundings.authorize(user, question))

    value = AuthorizerValue(decide)
    info = attributes.info
    question = Question("", info.group, info.resource, attributes.subresource, attributes.namespace, attributes.name)
    value["requestResource"] = ResourceCheck(value, question)
    return value
