# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plug-in MutatingAdmissionPolicy: policies that change a write, one after the other, before mutating webhooks.

Source: https://kubernetes.io/docs/reference/access-authn-authz/mutating-admission-policy/ (KEP-3962)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from kplane_server.admission.cel_environment import authorizer, namespace_document, request_document
from kplane_server.admission.collections import Compiled
from kplane_server.admission.plugin import Plugin, forbidden
from kplane_server.admission.policies.definitions import Binding, MutatingPolicy, Mutation, compile_bindings, compile_mutating_policies
from kplane_server.admission.policies.evaluation import Expressions
from kplane_server.admission.policies.parameters import ConfigurationError, collect, param_row
from kplane_server.admission.policies.patching import MutationFailed, mutate
from kplane_server.admission.rounds import Rounds
from kplane_server.admission.surroundings import Surroundings
from kplane_server.admission.webhook_matching import EXEMPT, REVIEWS
from kplane_server.admission.webhook_versions import Shown, adopt, show, take_back
from kplane_server.model.errors import ApiError, Cause, Json
from kplane_server.model.keys import ResourceId
from kplane_server.registry.aside import judged
from kplane_server.registry.attributes import Attributes, Operation
from kplane_server.registry.generic import Registry
from kplane_server.registry.resource import ResourceInfo
from kplane_server.schema.cel.budget import Place
from kplane_server.schema.cel.values import EvaluationError
from kplane_server.schema.defaulting import copy_json
from kplane_server.schema.patch.json_patch import equal

POLICIES: Final = ResourceId("mutatingadmissionpolicies.admissionregistration.k8s.io")
BINDINGS: Final = ResourceId("mutatingadmissionpolicybindings.admissionregistration.k8s.io")
#: What carries an object to change.
_CHANGED: Final = (Operation.CREATE, Operation.UPDATE)


class Failure(NamedTuple):
    """Why a policy refuses. ``reason``: of the status, Forbidden without one."""

    policy: str
    binding: str
    message: str
    reason: str = ""

    @property
    def text(self) -> str:
        who = f"policy '{self.policy}' with binding '{self.binding}'" if self.binding else f'policy "{self.policy}"'
        return f"{who} denied request: {self.message}"


class Invocation(NamedTuple):
    """A policy to apply, with a binding and parameters. ``row``: at whose version it sees the document."""

    policy: MutatingPolicy
    binding: str
    row: ResourceInfo
    params: Json | None

    @property
    def key(self) -> tuple[str, ...]:
        metadata = {} if self.params is None else self.params["metadata"]
        return (self.policy.name, self.binding, metadata.get("namespace") or "", metadata.get("name") or "")


class MutatingPolicies(Plugin):
    """The mutator. In a control plane without policies it costs one comparison. ``reach``: finds the registry, made after its chain."""

    name = "MutatingAdmissionPolicy"

    def __init__(self, reach: Callable[[], Registry], surroundings: Surroundings) -> None:
        self._reach = reach
        self._surroundings = surroundings
        self._policies: Compiled[dict[str, MutatingPolicy]] = Compiled(POLICIES, compile_mutating_policies)
        self._bindings: Compiled[dict[str, list[Binding]]] = Compiled(BINDINGS, compile_bindings)

    def concerns(self, attributes: Attributes) -> bool:
        if attributes.object is None or attributes.operation not in _CHANGED or attributes.info.group in REVIEWS:
            return False
        if attributes.info.storage_id in EXEMPT:
            return False
        return bool(self._policies.of(attributes)) and bool(self._bindings.of(attributes))

    async def admit(self, attributes: Attributes) -> None:
        run = _Run(attributes, self._surroundings, self._reach())
        run.select(self._policies.of(attributes), self._bindings.of(attributes))
        await run.apply(attributes.notes.setdefault(self.name, Rounds()))
        if run.failures:
            raise refusal(attributes, run.failures)


class _Run:
    """The policies of one write in one round."""

    def __init__(self, attributes: Attributes, surroundings: Surroundings, registry: Registry) -> None:
        self.failures: list[Failure] = []
        self._attributes = attributes
        self._surroundings = surroundings
        self._registry = registry
        self._invocations: list[Invocation] = []
        self._shown: Shown | None = None

    def select(self, policies: dict[str, MutatingPolicy], bound: dict[str, list[Binding]]) -> None:
        """What is to be applied, decided before anything is changed."""
        table = self._surroundings.resources()
        for name, policy in policies.items():
            bindings = bound.get(name)
            if not bindings:
                continue
            try:
                row = policy.constraints.find(self._attributes, table)
                if row is None:
                    continue
                kind = None if policy.param_kind is None else param_row(policy.param_kind, table)
            except (ConfigurationError, ApiError) as error:
                self._fail(policy, Failure(name, "", f"failed to configure policy: {error}"))
                continue
            for binding in bindings:
                try:
                    if binding.constraints is not None and binding.constraints.find(self._attributes, table) is None:
                        continue
                    found = collect(kind, binding.param_ref, self._attributes)
                except (ConfigurationError, ApiError) as error:
                    self._fail(policy, Failure(name, binding.name, f"failed to configure binding: {error}"))
                    continue
                self._invocations += [Invocation(policy, binding.name, row, params) for params in found]

    async def apply(self, rounds: Rounds) -> None:
        """One after the other; each sees what those before it made of the document."""
        attributes = self._attributes
        if attributes.round and not equal(rounds.output, attributes.object):
            rounds.call_again()
        for invocation in self._invocations:
            if attributes.round and invocation.key not in rounds.again:
                continue
            shown = await self._show(invocation.row)
            if await self._meant(invocation, shown):
                await self._invoke(invocation, shown, rounds)
        if self._shown is not None and self._shown.dirty:
            rounds.call_again()
            attributes.reinvoke = True
            await take_back(self._registry, attributes, self._shown)
        rounds.output = copy_json(attributes.object)

    async def _show(self, row: ResourceInfo) -> Shown:
        shown = self._shown
        if shown is None or shown.row is not row:
            if shown is not None and shown.dirty:
                await take_back(self._registry, self._attributes, shown)
                self._attributes.reinvoke = True
            shown = self._shown = await show(self._registry, self._attributes, row)
        return shown

    def _expressions(self, invocation: Invocation, shown: Shown, place: Place) -> Expressions:
        """The expressions of a policy over the document as it is now."""
        variables = {
            "object": shown.object,
            "oldObject": shown.old,
            "request": request_document(self._attributes, shown.row),
            "namespaceObject": namespace_document(self._attributes),
            "authorizer": authorizer(self._attributes, self._surroundings),
        }
        return Expressions(invocation.policy, variables, invocation.params, place)

    async def _meant(self, invocation: Invocation, shown: Shown) -> bool:
        if not invocation.policy.conditions:
            return True
        try:
            return await judged(self._attributes.vcp, lambda place: self._expressions(invocation, shown, place).meant())
        except EvaluationError as error:
            self._fail(invocation.policy, Failure(invocation.policy.name, invocation.binding, str(error), "Invalid"))
            return False

    async def _invoke(self, invocation: Invocation, shown: Shown, rounds: Rounds) -> None:
        """The mutations of a policy, in order; one that fails does not keep the others from their work."""
        policy = invocation.policy
        changed = False
        for mutation in policy.mutations:
            try:
                document = await judged(self._attributes.vcp, partial(self._mutated, mutation, invocation, shown))
            except MutationFailed as error:
                self._fail(policy, Failure(policy.name, invocation.binding, str(error), "Invalid"))
                continue
            changed |= adopt(shown, document, strict=mutation.is_patch)
        if changed:
            rounds.call_again()
            self._attributes.reinvoke = True
        if policy.reinvoked:
            rounds.invoked.add(invocation.key)

    def _mutated(self, mutation: Mutation, invocation: Invocation, shown: Shown, place: Place) -> Json:
        return mutate(mutation, self._expressions(invocation, shown, place), shown)

    def _fail(self, policy: MutatingPolicy, failure: Failure) -> None:
        if not policy.ignores_failures:
            self.failures.append(failure)


def refusal(attributes: Attributes, failures: list[Failure]) -> ApiError:
    """The error of policies that could not be applied: the first one's words, all as causes."""
    error = forbidden(attributes, "admission request denied by policy")
    error.message = failures[0].text
    error.args = (error.message,)
    if failures[0].reason:
        error.reason = failures[0].reason
    error.causes = (*error.causes, *(Cause("", failure.text) for failure in failures))
    return error
