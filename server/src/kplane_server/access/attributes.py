# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a request asks for, the answer, and the words of a refusal.

Source: https://kubernetes.io/docs/reference/access-authn-authz/authorization/#request-attributes-used-in-authorization
"""

from __future__ import annotations

import json
from typing import NamedTuple

from kplane_server.model.errors import Forbidden
from kplane_server.model.identity import UserInfo
from kplane_server.model.resources import GroupResource


class Attributes(NamedTuple):
    """One question to an authorizer. A request for a path that is no resource has ``resource_request=False`` and its ``path``."""

    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    resource_request: bool = True


class Decision(NamedTuple):
    """The answer; ``reason`` says which binding allowed it, or which roles could not be found."""

    allowed: bool
    reason: str = ""


def for_path(verb: str, path: str) -> Attributes:
    """The attributes of a request that addresses no resource, such as ``/metrics``."""
    return Attributes(verb, path=path, resource_request=False)


def forbidden(user: UserInfo, attributes: Attributes, reason: str = "") -> Forbidden:
    """The 403 of a denied request, as upstream words it."""
    why = _denial(user, attributes)
    if reason:
        why = f"{why}: {reason}"
    if not attributes.resource_request:
        return Forbidden(f"forbidden: {why}")
    return forbidden_object(attributes.group, attributes.resource, attributes.name, why)


def forbidden_object(group: str, resource: str, name: str, why: str) -> Forbidden:
    """The 403 that is about an object, or (without a name) about its collection."""
    qualified = str(GroupResource(group, resource))
    if not qualified:
        return Forbidden(f"forbidden: {why}", name=name)
    subject = f'{qualified} "{name}"' if name else qualified
    return Forbidden(f"{subject} is forbidden: {why}", group=group, kind=resource, name=name)


def quoted(value: str) -> str:
    """A string as Go's ``%q`` shows it, near enough for a message: double quotes, control characters escaped."""
    return json.dumps(value, ensure_ascii=False)


def _denial(user: UserInfo, attributes: Attributes) -> str:
    who = f"User {quoted(user.name)} cannot {attributes.verb}"
    if not attributes.resource_request:
        return f"{who} path {quoted(attributes.path)}"
    resource = f"{attributes.resource}/{attributes.subresource}" if attributes.subresource else attributes.resource
    what = f"{who} resource {quoted(resource)} in API group {quoted(attributes.group)}"
    if attributes.namespace:
        return f"{what} in the namespace {quoted(attributes.namespace)}"
    return f"{what} at the cluster scope"
