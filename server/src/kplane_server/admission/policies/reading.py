# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may write policies with parameters: those who may read the parameters themselves, or a policy would read for them.

Source: https://github.com/kubernetes/kubernetes/blob/v1.34.2/pkg/registry/admissionregistration/validatingadmissionpolicy/authz.go and
.../validatingadmissionpolicybinding/authz.go; policies that mutate have the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kplane_server.admission.plugin import Plugin
from kplane_server.admission.policies import mutating, plugin
from kplane_server.admission.surroundings import Surroundings, parse_api_version
from kplane_server.model.errors import Json, field_forbidden, invalid
from kplane_server.model.identity import MASTERS
from kplane_server.model.keys import ResourceId
from kplane_server.model.resources import GroupVersionKind
from kplane_server.registry.attributes import Attributes, Operation
from kplane_server.schema.cel.authorizer import Question

_POLICIES: Final = frozenset({plugin.POLICIES, mutating.POLICIES})
#: The policies of each kind of binding.
_BINDINGS: Final[Mapping[ResourceId, ResourceId]] = {plugin.BINDINGS: plugin.POLICIES, mutating.BINDINGS: mutating.POLICIES}
_ALL: Final = "all groups, versions and resources"


class ParameterReaders(Plugin):
    """The check of every write of a policy or a binding that has to do with parameters."""

    name = "PolicyParameters"

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings

    def concerns(self, attributes: Attributes) -> bool:
        known = attributes.info.storage_id in _POLICIES or attributes.info.storage_id in _BINDINGS
        return known and attributes.operation in (Operation.CREATE, Operation.UPDATE) and not attributes.subresource

    def validate(self, attributes: Attributes) -> None:
        if MASTERS in attributes.user.groups:
            return
        spec, before = _spec(attributes.object), _spec(attributes.old)
        if attributes.info.storage_id in _POLICIES:
            field, why = "spec.paramKind", self._policy(attributes, spec, before)
        else:
            field, why = "spec.paramRef", self._binding(attributes, spec, before)
        if why:
            raise invalid(attributes.info.kind, attributes.info.group, attributes.name, [field_forbidden(field, why)])

    def _policy(self, attributes: Attributes, spec: Json, before: Json) -> str:
        """Why a policy may not be written: its parameters may be any object of their kind."""
        kind = spec.get("paramKind")
        if kind is None or kind == before.get("paramKind"):
            return ""
        group, resource = self._resource(kind)
        if self._may(attributes, Question("get", group, resource, namespace="*", name="*")):
            return ""
        shown = f"kind={kind.get('kind')}, apiVersion={kind.get('apiVersion')}"
        return f'user {attributes.user.name} must have "get" permission on all objects of the referenced paramKind ({shown})'

    def _binding(self, attributes: Attributes, spec: Json, before: Json) -> str:
        """Why a binding may not be written: it names one object, or all of a namespace, or all there are."""
        reference, policy = spec.get("paramRef"), spec.get("policyName") or ""
        if reference is None or (reference == before.get("paramRef") and policy == before.get("policyName")):
            return ""
        verb = "get" if reference.get("name") else "list"
        found = attributes.lookup.get(_BINDINGS[attributes.info.storage_id], "", policy)
        kind = _spec(found).get("paramKind")
        group, resource = ("*", "*") if kind is None else self._resource(kind)
        question = Question(verb, group, resource, namespace=reference.get("namespace") or "", name=reference.get("name") or "")
        if self._may(attributes, question):
            return ""
        user = attributes.user.name
        if found is None:
            unknown = f"unable to get policy {policy} to determine minimum required permissions"
            return f'{unknown} and user {user} does not have "{verb}" permission for {_ALL}'
        if kind is not None and resource == "*":
            unknown = f"unable to resolve paramKind {kind.get('apiVersion')}/{kind.get('kind')} to determine minimum required permissions"
            return f'{unknown} and user {user} does not have "{verb}" permission for {_ALL}'
        return f'user {user} does not have "{verb}" permission on the object referenced by paramRef'

    def _resource(self, kind: Json) -> tuple[str, str]:
        """Group and resource of a kind of parameters; of one that nobody serves, every resource of its group."""
        group, version = parse_api_version(kind.get("apiVersion") or "")
        row = self._surroundings.resources().kind(GroupVersionKind(group, version, kind.get("kind") or ""))
        return group, "*" if row is None else row.resource

    def _may(self, attributes: Attributes, question: Question) -> bool:
        return self._surroundings.authorize(attributes.user, question).allowed


def _spec(document: Json | None) -> Json:
    return (document or {}).get("spec") or {}
