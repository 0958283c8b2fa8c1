# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``serviceaccounts/<name>/token``: a new token for a service account, bound to an object if asked.

Source: https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/
"""

from __future__ import annotations

import time
from typing import Final

import orjson

from kplane_server.access.authentication import NODES, PODS, SECRETS, SERVICE_ACCOUNTS
from kplane_server.access.claims import Reference
from kplane_server.access.fields import Fields
from kplane_server.access.rbac import PlaneData
from kplane_server.access.reviews import Plane
from kplane_server.access.tokens import MAX_SECONDS, MIN_SECONDS, BoundObject
from kplane_server.model import timestamps
from kplane_server.model.errors import BadRequest, Cause, Json, conflict, field_invalid, invalid, not_found
from kplane_server.model.keys import ObjectKey, ResourceId

GROUP: Final = "authentication.k8s.io"
KIND: Final = "TokenRequest"
DEFAULT_SECONDS: Final = 3600
#: Characters of all audiences together: what a request header can carry is bounded, and they all go into the token.
MAX_AUDIENCES_LENGTH: Final = 4096

#: kind of a bound object → (its resource, whether it is in the ServiceAccount's namespace)
_BINDABLE: Final = {"Pod": (PODS, True), "Secret": (SECRETS, True), "Node": (NODES, False)}


async def create_token(plane: Plane, namespace: str, name: str, body: Json) -> dict[str, Json]:
    """Answer a TokenRequest for the ServiceAccount ``name``. Raises NotFound, Invalid, Conflict or BadRequest."""
    request = Fields(body, KIND)
    metadata, spec = request.object("metadata"), request.object("spec")
    _check_names(metadata, namespace, name)
    account = _get(plane.api, SERVICE_ACCOUNTS, namespace, name)["metadata"]
    uid = account["uid"]
    if metadata.text("uid") not in ("", uid):
        why = f"the UID in the token request ({metadata.text('uid')}) does not match the UID of the service account ({uid})"
        raise conflict(KIND, GROUP, name, why)
    audiences = spec.texts("audiences") or plane.issuer.audiences[:1]
    seconds = spec.integer("expirationSeconds", DEFAULT_SECONDS)
    if causes := _spec_causes(audiences, seconds):
        raise invalid(KIND, GROUP, "", causes)
    bound = _bound_object(plane.api, spec.object("boundObjectRef"), namespace, name) if "boundObjectRef" in spec else None
    issued = plane.issuer.issue(namespace, name, uid, audiences=audiences, expiration_seconds=seconds, bound_object=bound)
    answered = {
        **metadata.document(),
        "name": name,
        "namespace": namespace,
        "uid": uid,
        "creationTimestamp": timestamps.from_epoch(time.time()),
    }
    return {
        "kind": KIND,
        "apiVersion": f"{GROUP}/v1",
        "metadata": answered,
        "spec": {**spec.document(), "audiences": list(audiences), "expirationSeconds": seconds},
        "status": {"token": issued.token, "expirationTimestamp": issued.expiration},
    }


def _check_names(metadata: Fields, namespace: str, name: str) -> None:
    for key, expected in (("name", name), ("namespace", namespace)):
        given = metadata.text(key)
        if given and given != expected:
            why = f"must match the service account {key} if specified"
            raise invalid(KIND, GROUP, name, [field_invalid(f"metadata.{key}", given, why)])


def _spec_causes(audiences: tuple[str, ...], seconds: int) -> list[Cause]:
    causes: list[Cause] = []
    if seconds < MIN_SECONDS:
        causes.append(field_invalid("spec.expirationSeconds", seconds, "may not specify a duration less than 10 minutes"))
    if seconds > MAX_SECONDS:
        causes.append(field_invalid("spec.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds"))
    if sum(len(audience) for audience in audiences) > MAX_AUDIENCES_LENGTH:
        causes.append(Cause("FieldValueTooLong", f"Too long: may not be more than {MAX_AUDIENCES_LENGTH} bytes", "spec.audiences"))
    return causes


def _bound_object(api: PlaneData, reference: Fields, namespace: str, account: str) -> BoundObject:
    kind, name = reference.text("kind"), reference.text("name")
    api_version = reference.text("apiVersion")
    if kind not in _BINDABLE or api_version != "v1":
        group, _, version = api_version.rpartition("/")
        raise BadRequest(f"cannot bind token to object of type {group}/{version}, Kind={kind}")
    resource, namespaced = _BINDABLE[kind]
    found = _get(api, resource, namespace if namespaced else "", name)
    uid, expected = found["metadata"]["uid"], reference.text("uid")
    if expected and expected != uid:
        why = (
            f"the UID in the bound object reference ({expected}) does not match the UID in record. "
            "The object might have been deleted and then recreated"
        )
        raise conflict(kind, "", name, why)
    node: Reference | None = None
    if kind == "Pod":
        spec = found.get("spec") or {}
        if spec.get("serviceAccountName") != account:
            raise BadRequest(f'cannot bind token for serviceaccount "{account}" to pod running with different serviceaccount name.')
        node = _node(api, spec.get("nodeName") or "")
    return BoundObject(kind, name, uid, node)


def _node(api: PlaneData, name: str) -> Reference | None:
    """A Pod's node, for the token's reader; without a uid if there is no such Node object."""
    if not name:
        return None
    stored = api.store.get(ObjectKey(api.vcp.id, NODES, "", name))
    return Reference(name, orjson.loads(stored.value)["metadata"]["uid"] if stored is not None else "")


def _get(api: PlaneData, resource: ResourceId, namespace: str, name: str) -> Json:
    stored = api.store.get(ObjectKey(api.vcp.id, resource, namespace, name))
    if stored is None:
        raise not_found(resource, "", name)
    return orjson.loads(stored.value)
