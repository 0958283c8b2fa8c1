# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Policies and bindings as they are applied: parsed and compiled once, whenever one of them changes.

An expression that does not compile (an older server may have let it in) is an error of every request that it is for.
Source: https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from kplane_server.admission.surroundings import parse_api_version
from kplane_server.admission.webhook_matching import Rule, equivalents, namespace_labels, selects
from kplane_server.model.errors import Json
from kplane_server.model.resources import GroupVersionResource
from kplane_server.model.selectors import LabelSelector, label_selector_from_document
from kplane_server.registry.attributes import Attributes, Operation
from kplane_server.registry.resource import ResourceInfo
from kplane_server.registry.table import ResourceTable
from kplane_server.schema.cel.admission import CONFIGURATION, PATCH_LIST, compile_expression
from kplane_server.schema.cel.declarations import Type
from kplane_server.schema.cel.program import Program
from kplane_server.schema.cel.values import CompileError


class NamedRule(NamedTuple):
    """A rule, perhaps for some names only."""

    rule: Rule
    names: frozenset[str]

    def matches(self, attributes: Attributes, resource: GroupVersionResource) -> bool:
        return self.rule.matches(attributes, resource) and (not self.names or attributes.name in self.names)


@dataclass(frozen=True, slots=True)
class Constraints:
    """``matchConstraints`` of a policy, ``matchResources`` of a binding."""

    rules: tuple[NamedRule, ...]
    excluded: tuple[NamedRule, ...]
    namespaces: LabelSelector
    objects: LabelSelector
    equivalent: bool

    @classmethod
    def of(cls, document: Json) -> Constraints:
        return cls(
            _rules(document.get("resourceRules")),
            _rules(document.get("excludeResourceRules")),
            label_selector_from_document(document.get("namespaceSelector") or {}),
            label_selector_from_document(document.get("objectSelector") or {}),
            (document.get("matchPolicy") or "Equivalent") == "Equivalent",
        )

    def are_about(self, operation: Operation) -> bool:
        """Whether writes of a kind can be meant at all."""
        return not self.rules or any(rule.rule.is_about(operation) for rule in self.rules)

    def find(self, attributes: Attributes, table: ResourceTable) -> ResourceInfo | None:
        """The row at whose version a write is judged; None when it is not meant."""
        row = self._row(self.rules, attributes, table) if self.rules else attributes.info
        if row is None or self._row(self.excluded, attributes, table) is not None:
            return None
        if not self.objects.empty and not selects(self.objects, attributes):
            return None
        if not self.namespaces.empty:
            labels = namespace_labels(attributes)
            if labels is not None and not self.namespaces.matches(labels):
                return None
        return row

    def _row(self, rules: Sequence[NamedRule], attributes: Attributes, table: ResourceTable) -> ResourceInfo | None:
        if not rules:
            return None
        info = attributes.info
        if any(rule.matches(attributes, info.gvr) for rule in rules):
            return info
        if not self.equivalent:
            return None
        others = list(equivalents(info, table))
        return next((row for rule in rules for row in others if rule.matches(attributes, row.gvr)), None)


def _rules(documents: Iterable[Json] | None) -> tuple[NamedRule, ...]:
    return tuple(NamedRule(Rule.of(document), frozenset(document.get("resourceNames") or ())) for document in documents or ())


class Expression(NamedTuple):
    """A compiled expression, or why it is none."""

    text: str
    program: Program | None
    error: str = ""


class Validation(NamedTuple):
    """One of ``validations``."""

    expression: Expression
    message: str
    message_expression: Expression | None
    reason: str


class ParamKind(NamedTuple):
    """What kind parameters are of."""

    api_version: str
    kind: str

    @property
    def group_version(self) -> tuple[str, str]:
        return parse_api_version(self.api_version)


class Mutation(NamedTuple):
    """One of ``mutations``: a JSON patch, or else a configuration to merge."""

    expression: Expression
    is_patch: bool


@dataclass(frozen=True, slots=True)
class Scope:
    """What both kinds of policies have: which writes they are about, and what their expressions know."""

    name: str
    constraints: Constraints
    param_kind: ParamKind | None
    conditions: tuple[Expression, ...]
    variables: Mapping[str, Expression]
    ignores_failures: bool


@dataclass(frozen=True, slots=True)
class Policy(Scope):
    """A ValidatingAdmissionPolicy."""

    validations: tuple[Validation, ...]
    audit_annotations: tuple[tuple[str, Expression], ...]


@dataclass(frozen=True, slots=True)
class MutatingPolicy(Scope):
    """A MutatingAdmissionPolicy. ``reinvoked``: also in the second round, when something changed behind it."""

    mutations: tuple[Mutation, ...]
    reinvoked: bool


@dataclass(frozen=True, slots=True)
class ParamRef:
    """Which parameters a binding takes."""

    name: str
    namespace: str
    selector: LabelSelector | None
    must_exist: bool


@dataclass(frozen=True, slots=True)
class Binding:
    """A ValidatingAdmissionPolicyBinding, or a MutatingAdmissionPolicyBinding, which has no actions."""

    name: str
    policy: str
    constraints: Constraints | None
    param_ref: ParamRef | None
    actions: tuple[str, ...]


def compile_policies(documents: Iterable[Json]) -> dict[str, Policy]:
    """Policies by name."""
    return {document["metadata"]["name"]: compile_policy(document) for document in documents}


def compile_policy(document: Json) -> Policy:
    """One policy."""
    spec = document.get("spec") or {}
    scope, known = _scope(document)
    params = scope.param_kind is not None
    annotations = []
    for entry in spec.get("auditAnnotations") or ():
        text = entry.get("valueExpression") or ""
        expression, _ = _compiled(text, results=("string", "null_type"), params=params, variables=known)
        annotations.append((entry["key"], expression))
    return Policy(
        **_fields(scope),
        validations=tuple(_validation(entry, params, known) for entry in spec.get("validations") or ()),
        audit_annotations=tuple(annotations),
    )


def compile_mutating_policies(documents: Iterable[Json]) -> dict[str, MutatingPolicy]:
    """Mutating policies by name, in the order of their names."""
    made = (compile_mutating_policy(document) for document in documents)
    return {policy.name: policy for policy in sorted(made, key=lambda policy: policy.name)}


def compile_mutating_policy(document: Json) -> MutatingPolicy:
    """One mutating policy."""
    spec = document.get("spec") or {}
    scope, known = _scope(document)
    params = scope.param_kind is not None
    return MutatingPolicy(
        **_fields(scope),
        mutations=tuple(_mutation(entry, params, known) for entry in spec.get("mutations") or ()),
        reinvoked=spec.get("reinvocationPolicy") == "IfNeeded",
    )


def _mutation(entry: Json, params: bool, known: Mapping[str, Type]) -> Mutation:
    is_patch = entry.get("patchType") == "JSONPatch"
    text = ((entry.get("jsonPatch" if is_patch else "applyConfiguration") or {}).get("expression") or "").strip()
    results = (PATCH_LIST,) if is_patch else (CONFIGURATION,)
    return Mutation(_compiled(text, results=results, params=params, variables=known, patches=True)[0], is_patch)


def _scope(document: Json) -> tuple[Scope, dict[str, Type]]:
    """What both kinds have, and the types of the variables."""
    spec = document.get("spec") or {}
    kind = spec.get("paramKind")
    params = kind is not None
    known: dict[str, Type] = {}
    variables: dict[str, Expression] = {}
    for entry in spec.get("variables") or ():
        expression, found = _compiled(entry.get("expression") or "", results=(), params=params, variables=dict(known))
        variables[entry["name"]] = expression
        known[entry["name"]] = found
    conditions = [_compiled(entry.get("expression") or "", params=params)[0] for entry in spec.get("matchConditions") or ()]
    scope = Scope(
        name=document["metadata"]["name"],
        constraints=Constraints.of(spec.get("matchConstraints") or {}),
        param_kind=None if kind is None else ParamKind(kind.get("apiVersion") or "", kind.get("kind") or ""),
        conditions=tuple(conditions),
        variables=variables,
        ignores_failures=spec.get("failurePolicy") == "Ignore",
    )
    return scope, known


def _fields(scope: Scope) -> dict[str, Any]:
    return {field.name: getattr(scope, field.name) for field in fields(Scope)}


def _validation(entry: Json, params: bool, known: Mapping[str, Type]) -> Validation:
    text = entry.get("messageExpression") or ""
    message = _compiled(text, results=("string",), params=params, authorizer=False, variables=known)[0] if text else None
    return Validation(
        _compiled(entry.get("expression") or "", params=params, variables=known)[0],
        (entry.get("message") or "").strip(),
        message,
        entry.get("reason") or "Invalid",
    )


def _compiled(
    text: str,
    *,
    results: tuple[str, ...] = ("bool",),
    params: bool,
    authorizer: bool = True,
    variables: Mapping[str, Type] | None = None,
    patches: bool = False,
) -> tuple[Expression, Type]:
    try:
        program, found = compile_expression(
            text, results=results, params=params, authorizer=authorizer, variables=variables, patches=patches
        )
    except CompileError as error:
        return Expression(text, None, f"compilation error: compilation failed: {error.message}"), Type("dyn")
    return Expression(text, program), found


def compile_bindings(documents: Iterable[Json]) -> dict[str, list[Binding]]:
    """Bindings by the name of their policy."""
    found: dict[str, list[Binding]] = {}
    for document in documents:
        spec = document.get("spec") or {}
        resources, reference = spec.get("matchResources"), spec.get("paramRef")
        binding = Binding(
            document["metadata"]["name"],
            spec.get("policyName") or "",
            None if resources is None else Constraints.of(resources),
            None if reference is None else _param_ref(reference),
            tuple(spec.get("validationActions") or ()),
        )
        found.setdefault(binding.policy, []).append(binding)
    return found


def _param_ref(reference: Json) -> ParamRef:
    selector = reference.get("selector")
    return ParamRef(
        reference.get("name") or "",
        reference.get("namespace") or "",
        None if selector is None else label_selector_from_document(selector),
        reference.get("parameterNotFoundAction") == "Deny",
    )
