# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RBAC rules and their meaning. Pure: no store, no cache, no clock.

Source: https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-resources
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from kplane_server.access.attributes import Attributes, quoted
from kplane_server.model.errors import Json

ALL: Final = "*"
#: Characters of a rule that is shared between control planes; longer ones are rare, and live with their own.
_MAX_INTERNED: Final = 1024


class PolicyRule(NamedTuple):
    """One ``rules`` entry of a Role or ClusterRole."""

    verbs: tuple[str, ...]
    api_groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    resource_names: tuple[str, ...] = ()
    non_resource_urls: tuple[str, ...] = ()

    def document(self) -> dict[str, Json]:
        """The rule as the API shows it."""
        pairs = (
            ("verbs", self.verbs),
            ("apiGroups", self.api_groups),
            ("resources", self.resources),
            ("resourceNames", self.resource_names),
            ("nonResourceURLs", self.non_resource_urls),
        )
        return {key: list(values) for key, values in pairs if values or key == "verbs"}


#: What only a cluster administrator holds.
FULL_AUTHORITY: Final = (
    PolicyRule((ALL,), api_groups=(ALL,), resources=(ALL,)),
    PolicyRule((ALL,), non_resource_urls=(ALL,)),
)


@lru_cache(maxsize=4096)
def _interned(rule: PolicyRule) -> PolicyRule:
    """One copy of a rule for all VCPs: the default roles are the same in each of them."""
    return rule


def parse_rules(rules: Json) -> tuple[PolicyRule, ...]:
    """The rules of a stored role. What is not a list of objects of lists of strings grants nothing."""
    if not isinstance(rules, list):
        return ()
    return tuple(_parse_rule(rule) for rule in rules if isinstance(rule, dict))


def _parse_rule(document: dict[str, Json]) -> PolicyRule:
    rule = PolicyRule(
        _strings(document.get("verbs")),
        _strings(document.get("apiGroups")),
        _strings(document.get("resources")),
        _strings(document.get("resourceNames")),
        _strings(document.get("nonResourceURLs")),
    )
    return _interned(rule) if sum(len(text) for texts in rule for text in texts) <= _MAX_INTERNED else rule


def _strings(value: Json) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def allows(rule: PolicyRule, attributes: Attributes) -> bool:
    """Whether ``rule`` alone allows the request."""
    if attributes.verb not in rule.verbs and ALL not in rule.verbs:
        return False
    if not attributes.resource_request:
        return any(url_matches(pattern, attributes.path) for pattern in rule.non_resource_urls)
    if attributes.group not in rule.api_groups and ALL not in rule.api_groups:
        return False
    if rule.resource_names and attributes.name not in rule.resource_names:
        return False
    return _resource_matches(rule.resources, attributes.resource, attributes.subresource)


def _resource_matches(resources: Sequence[str], resource: str, subresource: str) -> bool:
    """``*`` is everything with its subresources, ``*/scale`` that subresource of everything; ``pods/*`` has no meaning upstream."""
    if ALL in resources:
        return True
    if not subresource:
        return resource in resources
    return f"{resource}/{subresource}" in resources or f"*/{subresource}" in resources


def url_matches(pattern: str, path: str) -> bool:
    """Whether a ``nonResourceURLs`` entry covers a path: equal, or a prefix that ends in ``*``."""
    return pattern == path or (pattern.endswith(ALL) and path.startswith(pattern.rstrip(ALL)))


def break_down(rule: PolicyRule) -> list[PolicyRule]:
    """The rule as single grants: one verb on one resource (with one name), or one verb on one URL."""
    single: list[PolicyRule] = []
    for group in rule.api_groups:
        for resource in rule.resources:
            for verb in rule.verbs:
                if rule.resource_names:
                    single += [PolicyRule((verb,), (group,), (resource,), (name,)) for name in rule.resource_names]
                else:
                    single.append(PolicyRule((verb,), (group,), (resource,)))
    single += [PolicyRule((verb,), non_resource_urls=(url,)) for url in rule.non_resource_urls for verb in rule.verbs]
    return single


def covers(owner: PolicyRule, single: PolicyRule) -> bool:
    """Whether one rule contains a single grant (see :func:`break_down`) entirely."""
    if ALL not in owner.verbs and not set(single.verbs) <= set(owner.verbs):
        return False
    if single.non_resource_urls:
        return all(any(url_matches(pattern, url) for pattern in owner.non_resource_urls) for url in single.non_resource_urls)
    if ALL not in owner.api_groups and not set(single.api_groups) <= set(owner.api_groups):
        return False
    if owner.resource_names and not (single.resource_names and set(single.resource_names) <= set(owner.resource_names)):
        return False
    return all(_grants_resource(owner.resources, resource) for resource in single.resources)


def _grants_resource(resources: Sequence[str], resource: str) -> bool:
    if ALL in resources or resource in resources:
        return True
    _, slash, subresource = resource.partition("/")
    return bool(slash) and f"*/{subresource}" in resources


def uncovered(owner: Sequence[PolicyRule], rules: Iterable[PolicyRule]) -> list[PolicyRule]:
    """The single grants in ``rules`` that no rule of ``owner`` contains."""
    return [single for rule in rules for single in break_down(rule) if not any(covers(held, single) for held in owner)]


def compact(rules: Iterable[PolicyRule]) -> list[PolicyRule]:
    """Single grants put together again for a message: those on one resource become one rule with all its verbs."""
    verbs: dict[PolicyRule, dict[str, None]] = {}
    for rule in rules:
        verbs.setdefault(rule._replace(verbs=()), {}).update(dict.fromkeys(rule.verbs))
    return [target._replace(verbs=tuple(names)) for target, names in verbs.items()]


def describe(rule: PolicyRule) -> str:
    """A rule in one line, as upstream prints it in a refusal."""
    pairs = (
        ("APIGroups", rule.api_groups),
        ("Resources", rule.resources),
        ("NonResourceURLs", rule.non_resource_urls),
        ("ResourceNames", rule.resource_names),
        ("Verbs", rule.verbs),
    )
    return "{" + ", ".join(f"{key}:{quoted_list(values)}" for key, values in pairs if values) + "}"


def quoted_list(values: Iterable[str]) -> str:
    """Strings as Go's ``%q`` shows a slice of them."""
    return "[" + " ".join(quoted(value) for value in values) + "]"
