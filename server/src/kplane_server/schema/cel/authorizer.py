# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The authorizer library: expressions of admission ask whether somebody may do something.

Source: https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-authorizer-library
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from kplane_server.schema.cel.registry import method, need
from kplane_server.schema.cel.values import EvaluationError, Meter

#: What one check costs: it may evaluate many rules.
_CHECK_COST: Final = 350


class Question(NamedTuple):
    """May they do this? ``path`` is set for what is no resource."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""


class Verdict(NamedTuple):
    """The answer to a question; ``error`` when there is none."""

    allowed: bool
    reason: str = ""
    error: str = ""


#: Answers questions about one user; the account of the arguments (namespace, name) is asked about instead, if there is one.
Decide = Callable[[Question, tuple[str, str] | None], Verdict]


class AuthorizerValue(dict[str, Any]):
    """``authorizer``. Its one field is ``requestResource``."""

    def __init__(self, decide: Decide, account: tuple[str, str] | None = None) -> None:
        super().__init__()
        self.decide = decide
        self.account = account

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__  # type: ignore[assignment]  # a dict has none; this one is compared by identity


@dataclass(frozen=True, slots=True)
class PathCheck:
    """``authorizer.path('/healthz')``."""

    authorizer: AuthorizerValue
    path: str


@dataclass(frozen=True, slots=True)
class GroupCheck:
    """``authorizer.group('apps')``."""

    authorizer: AuthorizerValue
    group: str


@dataclass(frozen=True, slots=True)
class ResourceCheck:
    """``authorizer.group('apps').resource('deployments')``, and what narrows it."""

    authorizer: AuthorizerValue
    question: Question


@dataclass(frozen=True, slots=True)
class DecisionValue:
    """``….check('create')``."""

    verdict: Verdict


@method("path", 1)
def _path(meter: Meter, authorizer: Any, path: Any) -> PathCheck:
    return PathCheck(need(authorizer, AuthorizerValue), need(path, str))


@method("group", 1)
def _group(meter: Meter, authorizer: Any, group: Any) -> GroupCheck:
    return GroupCheck(need(authorizer, AuthorizerValue), need(group, str))


@method("serviceAccount", 2)
def _service_account(meter: Meter, authorizer: Any, namespace: Any, name: Any) -> AuthorizerValue:
    if not need(namespace, str) or not need(name, str):
        raise EvaluationError("Invalid service account namespace or name")
    return AuthorizerValue(need(authorizer, AuthorizerValue).decide, (namespace, name))


@method("resource", 1)
def _resource(meter: Meter, group: Any, resource: Any) -> ResourceCheck:
    checked = need(group, GroupCheck)
    return ResourceCheck(checked.authorizer, Question("", checked.group, need(resource, str)))


@method("subresource", 1)
def _subresource(meter: Meter, check: Any, subresource: Any) -> ResourceCheck:
    return _narrowed(check, subresource=need(subresource, str))


@method("namespace", 1)
def _namespace(meter: Meter, check: Any, namespace: Any) -> ResourceCheck:
    return _narrowed(check, namespace=need(namespace, str))


@method("name", 1)
def _name(meter: Meter, check: Any, name: Any) -> ResourceCheck:
    return _narrowed(check, name=need(name, str))


@method("fieldSelector", 1)
def _field_selector(meter: Meter, check: Any, selector: Any) -> ResourceCheck:
    """RBAC knows no selectors: a narrower question has the same answer."""
    need(selector, str)
    return _narrowed(check)


@method("labelSelector", 1)
def _label_selector(meter: Meter, check: Any, selector: Any) -> ResourceCheck:
    """RBAC knows no selectors: a narrower question has the same answer."""
    need(selector, str)
    return _narrowed(check)


def _narrowed(check: Any, **fields: str) -> ResourceCheck:
    checked: ResourceCheck = need(check, ResourceCheck)
    return replace(checked, question=checked.question._replace(**fields))


@method("check", 1)
def _check(meter: Meter, check: Any, verb: Any) -> DecisionValue:
    meter.charge(_CHECK_COST)
    question = Question(need(verb, str))
    if isinstance(check, PathCheck):
        question = question._replace(path=check.path)
    else:
        question = need(check, ResourceCheck).question._replace(verb=verb)
    return DecisionValue(check.authorizer.decide(question, check.authorizer.account))


@method("allowed")
def _allowed(meter: Meter, decision: Any) -> bool:
    verdict: Verdict = need(decision, DecisionValue).verdict
    return verdict.allowed


@method("reason")
def _reason(meter: Meter, decision: Any) -> str:
    verdict: Verdict = need(decision, DecisionValue).verdict
    return verdict.reason


@method("errored")
def _errored(meter: Meter, decision: Any) -> bool:
    return bool(need(decision, DecisionValue).verdict.error)


@method("error")
def _error(meter: Meter, decision: Any) -> str:
    verdict: Verdict = need(decision, DecisionValue).verdict
    return verdict.error
