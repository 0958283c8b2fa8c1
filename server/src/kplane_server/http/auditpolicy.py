# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is audited, and how much of it: a policy file of ``audit.k8s.io/v1``. Pure.

The first rule that matches a request counts; a request without one is not audited.

Source: https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/#audit-policy
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final, NamedTuple

from kplane_server.http.routing import ApiRequest
from kplane_server.model.identity import UserInfo


class Level(IntEnum):
    """How much is told of a request; each tells what the one before does."""

    NONE = 0
    METADATA = 1
    REQUEST = 2
    REQUEST_RESPONSE = 3

    @property
    def text(self) -> str:
        return _LEVEL_TEXTS[self]


_LEVEL_TEXTS: Final = {Level.NONE: "None", Level.METADATA: "Metadata", Level.REQUEST: "Request", Level.REQUEST_RESPONSE: "RequestResponse"}
_LEVELS: Final = {text: level for level, text in _LEVEL_TEXTS.items()}
STAGES: Final = frozenset({"RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"})

#: Whose bodies are secrets: (group, resource, sub-resource or ``*``). They are never told above Metadata, whatever the policy says.
_SENSITIVE: Final = frozenset({("", "secrets", "*"), ("", "serviceaccounts", "token"), ("authentication.k8s.io", "tokenreviews", "*")})


class Verdict(NamedTuple):
    """What becomes of one request."""

    level: Level
    omit_stages: frozenset[str] = frozenset()
    omit_managed_fields: bool = False


NOT_AUDITED: Final = Verdict(Level.NONE)


class Resources(NamedTuple):
    """Some resources of one group. Empty: all of them."""

    group: str
    resources: frozenset[str]
    names: frozenset[str]

    def matches(self, request: ApiRequest) -> bool:
        if self.group != request.group or (self.names and request.name not in self.names):
            return False
        if not self.resources or "*" in self.resources:
            return True
        if not request.subresource:
            return request.resource in self.resources
        paths = (f"{request.resource}/{request.subresource}", f"{request.resource}/*", f"*/{request.subresource}")
        return any(path in self.resources for path in paths)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; what is empty in it matches everything."""

    verdict: Verdict
    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    verbs: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()
    resources: tuple[Resources, ...] = ()
    urls: tuple[str, ...] = ()

    def matches(self, user: UserInfo | None, request: ApiRequest) -> bool:
        if self.users and (user is None or user.name not in self.users):
            return False
        if self.groups and (user is None or self.groups.isdisjoint(user.groups)):
            return False
        if self.verbs and request.verb not in self.verbs:
            return False
        if self.namespaces or self.resources:
            if not request.resource or (self.namespaces and request.namespace not in self.namespaces):
                return False
            return not self.resources or any(some.matches(request) for some in self.resources)
        if self.urls:
            return not request.resource and any(_matches_url(pattern, request.path) for pattern in self.urls)
        return True


@dataclass(frozen=True, slots=True)
class AuditPolicy:
    """Rules in order."""

    rules: tuple[Rule, ...] = field(default=(Rule(Verdict(Level.METADATA, frozenset({"RequestReceived"}))),))

    def judge(self, user: UserInfo | None, request: ApiRequest) -> Verdict:
        """What becomes of a request of somebody; ``user`` is None if nobody knows who it is."""
        verdict = next((rule.verdict for rule in self.rules if rule.matches(user, request)), NOT_AUDITED)
        if verdict.level > Level.METADATA and is_sensitive(request):
            return verdict._replace(level=Level.METADATA)
        return verdict


def is_sensitive(request: ApiRequest) -> bool:
    """Whether the bodies of a request are secrets."""
    return any((request.group, request.resource, sub) in _SENSITIVE for sub in ("*", request.subresource))


def parse_policy(document: Any) -> AuditPolicy:
    """The policy in a document. Raises ValueError that says where it is wrong."""
    fields = _object(document, "the policy", {"apiVersion", "kind", "metadata", "rules", "omitStages", "omitManagedFields"})
    if (fields.get("apiVersion"), fields.get("kind")) != ("audit.k8s.io/v1", "Policy"):
        raise ValueError("the policy must have apiVersion audit.k8s.io/v1 and kind Policy")
    rules = fields.get("rules")
    if not isinstance(rules, list) or not rules:
        raise ValueError("rules: there must be at least one")
    omit, managed = _stages(fields, ""), _flag(fields, "omitManagedFields", "")
    return AuditPolicy(tuple(_rule(rule, f"rules[{number}]", omit, bool(managed)) for number, rule in enumerate(rules)))


_RULE_FIELDS: Final = frozenset(
    {"level", "users", "userGroups", "verbs", "namespaces", "resources", "nonResourceURLs", "omitStages", "omitManagedFields"}
)


def _rule(document: Any, where: str, omit: frozenset[str], managed: bool) -> Rule:
    fields = _object(document, where, _RULE_FIELDS)
    level = _LEVELS.get(fields.get("level", ""))
    if level is None:
        raise ValueError(f"{where}.level: must be one of {', '.join(_LEVELS)}")
    urls = _texts(fields, "nonResourceURLs", where)
    if urls and (fields.get("resources") or fields.get("namespaces")):
        raise ValueError(f"{where}: has nonResourceURLs beside resources or namespaces")
    for url in urls:
        if url != "*" and (not url.startswith("/") or "*" in url[:-1]):
            raise ValueError(f"{where}.nonResourceURLs: {url!r} must begin with / and may have * at its end alone")
    own = _flag(fields, "omitManagedFields", where)
    return Rule(
        Verdict(level, omit | _stages(fields, f"{where}."), managed if own is None else own),
        frozenset(_texts(fields, "users", where)),
        frozenset(_texts(fields, "userGroups", where)),
        frozenset(_texts(fields, "verbs", where)),
        frozenset(_texts(fields, "namespaces", where)),
        tuple(_resources(some, f"{where}.resources[{number}]") for number, some in enumerate(fields.get("resources") or ())),
        tuple(urls),
    )


def _resources(document: Any, where: str) -> Resources:
    fields = _object(document, where, frozenset({"group", "resources", "resourceNames"}))
    group = fields.get("group", "")
    if not isinstance(group, str) or "/" in group:
        raise ValueError(f"{where}.group: must be the name of a group, without a version")
    names = frozenset(_texts(fields, "resourceNames", where))
    resources = frozenset(_texts(fields, "resources", where))
    if names and not resources:
        raise ValueError(f"{where}: has resourceNames without resources")
    return Resources(group, resources, names)


def _object(document: Any, where: str, known: Iterable[str]) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise ValueError(f"{where}: must be an object")
    if unknown := sorted(map(str, set(document) - set(known))):
        raise ValueError(f"{where}: unknown field {unknown[0]!r}")
    return document


def _texts(fields: dict[str, Any], name: str, where: str) -> list[str]:
    value = fields.get(name) or []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{where}.{name}: must be a list of texts")
    return value


def _stages(fields: dict[str, Any], where: str) -> frozenset[str]:
    stages = frozenset(_texts(fields, "omitStages", where.rstrip(".")))
    if unknown := sorted(stages - STAGES):
        raise ValueError(f"{where}omitStages: {unknown[0]!r} is not one of {', '.join(sorted(STAGES))}")
    return stages


def _flag(fields: dict[str, Any], name: str, where: str) -> bool | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, bool):
        raise ValueError(f"{where}.{name}: must be true or false")
    return value


def _matches_url(pattern: str, path: str) -> bool:
    return path.startswith(pattern[:-1]) if pattern.endswith("*") else path == pattern
