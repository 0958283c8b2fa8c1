# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Admission in root for the kplane kinds: what a schema cannot say, because it is about names and about other objects.

Names are labels and not reserved (kplane defect O6), paths are unique and never change (O4), endpoints are plain https URLs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from kplane_server.model import timestamps
from kplane_server.model.errors import Cause, Json, field_duplicate, field_invalid, invalid
from kplane_server.model.identity import CONTROLLER_USER
from kplane_server.model.names import RESERVED_VCP_NAMES, VCP_NAME_RULE, is_dns_label
from kplane_server.registry.attributes import Admission, Attributes, Operation
from kplane_server.storage.api import Store
from kplane_server.vcp import contract, standing

if TYPE_CHECKING:
    from kplane_server.vcp.controlplane import AdmissionFactory, ControlPlane

_URL_FIELDS: Final = ("endpoint", "externalEndpoint", "joinEndpoint")


class GuardedAdmission:
    """A chain, and behind it the rules of the kplane kinds. ``reserved``: names that no control plane may have."""

    def __init__(self, chain: Admission, store: Store, reserved: frozenset[str]) -> None:
        self._chain = chain
        self._store = store
        self._reserved = reserved

    def mutates(self, attributes: Attributes) -> bool:
        return self._chain.mutates(attributes) or _creates_control_plane(attributes)

    def minds_deletions(self, attributes: Attributes) -> bool:
        return self._chain.minds_deletions(attributes)

    async def admit(self, attributes: Attributes) -> None:
        if self._chain.mutates(attributes):
            await self._chain.admit(attributes)
        if attributes.object is not None and _creates_control_plane(attributes):
            # From its first moment, so that no deletion can overtake the operator.
            metadata = attributes.object["metadata"]
            finalizers = metadata.get("finalizers") or []
            if contract.FINALIZER not in finalizers:
                metadata["finalizers"] = [*finalizers, contract.FINALIZER]

    async def validate(self, attributes: Attributes) -> None:
        await self._chain.validate(attributes)
        if attributes.info.group != contract.GROUP or attributes.object is None or attributes.subresource:
            return
        rules = _RULES.get(attributes.info.resource)
        causes = rules(attributes, self._store, self._reserved) if rules is not None else []
        if causes:
            raise invalid(attributes.info.kind, contract.GROUP, attributes.name, causes)


def guarded(factory: AdmissionFactory, root_name: str) -> AdmissionFactory:
    """``factory`` with the rules of the kplane kinds added in root (also called ``root_name``), the only control plane that has them."""
    reserved = RESERVED_VCP_NAMES | {root_name}

    def make(control_plane: ControlPlane) -> Admission:
        chain = factory(control_plane)
        return GuardedAdmission(chain, control_plane.store, reserved) if control_plane.is_root else chain

    return make


def _creates_control_plane(attributes: Attributes) -> bool:
    return (
        attributes.operation is Operation.CREATE
        and attributes.info.resource == "controlplanes"
        and attributes.info.group == contract.GROUP
        and not attributes.subresource
    )


def _control_plane_causes(attributes: Attributes, store: Store, reserved: frozenset[str]) -> list[Cause]:
    obj = attributes.object
    assert obj is not None  # the caller's condition
    causes = _incarnation_causes(attributes, obj) + _annotation_causes(attributes, obj)
    spec, virtual = obj.get("spec") or {}, (obj.get("spec") or {}).get("virtual") or {}
    if attributes.old is not None:
        old = attributes.old
        if contract.cluster_path(obj) != contract.cluster_path(old):
            causes.append(field_invalid("spec.virtual.clusterPath", virtual.get("clusterPath"), "field is immutable"))
        if spec.get("mode", "Virtual") != (old.get("spec") or {}).get("mode", "Virtual"):
            causes.append(field_invalid("spec.mode", spec.get("mode"), "field is immutable"))
        return causes
    name, path = attributes.name, contract.cluster_path(obj)
    fields = {"metadata.name": name}
    if virtual.get("clusterPath"):
        fields["spec.virtual.clusterPath"] = path
    for field, value in fields.items():
        if value in reserved:
            causes.append(field_invalid(field, value, "the name is reserved"))
        elif not is_dns_label(value):
            causes.append(field_invalid(field, value, VCP_NAME_RULE))
    # The same name again is AlreadyExists, which the commit finds.
    if not causes and store.vcp(path) is not None and not attributes.lookup.exists(contract.CONTROL_PLANES, "", name):
        causes.append(field_duplicate(next(reversed(fields)), path))
    return causes


def _incarnation_causes(attributes: Attributes, obj: Json) -> list[Cause]:
    """The annotation that says whose data a ControlPlane owns is the operator's alone: it would be a key to any VCP (O5)."""
    if attributes.user == CONTROLLER_USER:
        return []
    new, old = (((o or {}).get("metadata") or {}).get("annotations") or {} for o in (obj, attributes.old))
    if new.get(contract.INCARNATION_ANNOTATION) == old.get(contract.INCARNATION_ANNOTATION):
        return []
    field = f"metadata.annotations[{contract.INCARNATION_ANNOTATION}]"
    return [Cause("FieldValueForbidden", "Forbidden: only the operator may set or change it", field)]


def _annotation_causes(attributes: Attributes, obj: Json) -> list[Cause]:
    """What is said in annotations must mean something; one that does not change is left alone."""
    new, old = (((o or {}).get("metadata") or {}).get("annotations") or {} for o in (obj, attributes.old))
    causes = []
    for name, check in _ANNOTATIONS.items():
        value = new.get(name)
        if value is None or value == old.get(name):
            continue
        try:
            check(value)
        except ValueError as error:
            causes.append(field_invalid(f"metadata.annotations[{name}]", value, str(error)))
    return causes


def _check_state(value: str) -> None:
    if value != contract.PAUSED:
        raise ValueError(f'must be "{contract.PAUSED}", or not be there')


def _check_flag(value: str) -> None:
    if value not in ("true", "false"):
        raise ValueError('must be "true" or "false"')


def _class_causes(attributes: Attributes, *_: object) -> list[Cause]:
    spec = (attributes.object or {}).get("spec") or {}
    causes = []
    for field in ("ttl", "maxTTL"):
        try:
            if field in spec:
                standing.parse_lifetime(spec[field])
        except ValueError as error:
            causes.append(field_invalid(f"spec.{field}", spec[field], str(error)))
    return causes


def _endpoint_causes(attributes: Attributes, *_: object) -> list[Cause]:
    spec = (attributes.object or {}).get("spec") or {}
    causes = []
    for field in _URL_FIELDS:
        if (value := spec.get(field)) and (problem := url_problem(value)):
            causes.append(field_invalid(f"spec.{field}", value, problem))
    return causes


def url_problem(url: str) -> str | None:
    """Why ``url`` cannot be the base URL of a control plane, or ``None``."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return f"is not a URL: {error}"
    if parts.scheme != "https":
        return "must begin with https://"
    if not parts.hostname or port == 0:
        return "must name a host, and a port other than 0"
    if parts.username is not None or parts.query or parts.fragment or "?" in url or "#" in url:
        return "must have no user, query or fragment"
    if any(c.isspace() or not c.isprintable() or c in '"\\' for c in url):
        return "must have no spaces, quotes or control characters"
    return None


_ANNOTATIONS: Final[dict[str, Callable[[str], object]]] = {
    contract.TTL_ANNOTATION: standing.parse_lifetime,
    contract.EXPIRES_ANNOTATION: timestamps.to_epoch,
    contract.STATE_ANNOTATION: _check_state,
    contract.RESUME_ANNOTATION: _check_flag,
    contract.LIMITS_ANNOTATION: standing.parse_limits,
}

_RULES: Final[dict[str, Callable[[Attributes, Store, frozenset[str]], list[Cause]]]] = {
    "controlplanes": _control_plane_causes,
    "controlplaneclasses": _class_causes,
    "controlplaneendpoints": _endpoint_causes,
}
