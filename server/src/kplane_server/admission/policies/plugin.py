# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ValidatingAdmissionPolicy: every policy whose bindings are about a write judges it.

Source: https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final, NamedTuple

import orjson

from kplane_server.admission.cel_environment import bindings as cel_bindings
from kplane_server.admission.collections import Compiled
from kplane_server.admission.plugin import Plugin, forbidden
from kplane_server.admission.policies.definitions import Binding, Policy, compile_bindings, compile_policies
from kplane_server.admission.policies.evaluation import Decision, Evaluation, Outcome
from kplane_server.admission.policies.parameters import ConfigurationError, collect, param_row
from kplane_server.admission.surroundings import Surroundings
from kplane_server.admission.webhook_matching import EXEMPT, REVIEWS
from kplane_server.model.errors import ApiError, Cause, Json
from kplane_server.model.keys import ResourceId
from kplane_server.registry.aside import judged
from kplane_server.registry.attributes import Attributes, Operation
from kplane_server.registry.resource import ResourceInfo
from kplane_server.schema.cel.budget import Place

POLICIES: Final = ResourceId("validatingadmissionpolicies.admissionregistration.k8s.io")
BINDINGS: Final = ResourceId("validatingadmissionpolicybindings.admissionregistration.k8s.io")

#: HTTP codes of the reasons that a policy may give.
_CODES: Final[Mapping[str, int]] = {"Unauthorized": 401, "Forbidden": 403, "RequestEntityTooLarge": 413}
_INVALID: Final = 422
_FAILURE_KEY: Final = "validation.policy.admission.k8s.io/validation_failure"


class Denial(NamedTuple):
    """A reason to refuse."""

    policy: str
    binding: str
    message: str
    reason: str = ""

    @property
    def text(self) -> str:
        where = f" with binding '{self.binding}'" if self.binding else ""
        return f"ValidatingAdmissionPolicy '{self.policy}'{where} denied request: {self.message}"


class ValidatingPolicies(Plugin):
    """The judge. In a control plane without policies it costs two comparisons."""

    name = "ValidatingAdmissionPolicy"

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._policies: Compiled[dict[str, Policy]] = Compiled(POLICIES, compile_policies)
        self._bindings: Compiled[dict[str, list[Binding]]] = Compiled(BINDINGS, compile_bindings)

    def concerns(self, attributes: Attributes) -> bool:
        return attributes.info.storage_id not in EXEMPT and attributes.info.group not in REVIEWS

    def minds_deletions(self, attributes: Attributes) -> bool:
        policies = self._policies.of(attributes)
        bound = self._bindings.of(attributes) if policies else {}
        return any(name in bound and policy.constraints.are_about(Operation.DELETE) for name, policy in policies.items())

    async def validate(self, attributes: Attributes) -> None:
        policies = self._policies.of(attributes)
        if not policies:
            return
        bound = self._bindings.of(attributes)
        run = _Run(attributes, self._surroundings)
        for name, policy in policies.items():
            if bindings := bound.get(name):
                await run.judge(policy, bindings)
        if run.denials:
            raise refusal(attributes, run.denials[0])


def _evaluated(policy: Policy, shown: Mapping[str, Json], params: Json | None, place: Place) -> Outcome:
    return Evaluation(policy, shown, params, place).run()


class _Run:
    """The policies of one write."""

    def __init__(self, attributes: Attributes, surroundings: Surroundings) -> None:
        self.attributes = attributes
        self.denials: list[Denial] = []
        self._surroundings = surroundings
        self._shown: dict[str, dict[str, Json]] = {}

    async def judge(self, policy: Policy, bindings: list[Binding]) -> None:
        """One policy with its bindings."""
        table = self._surroundings.resources()
        try:
            row = policy.constraints.find(self.attributes, table)
            if row is None:
                return
            kind = None if policy.param_kind is None else param_row(policy.param_kind, table)
        except (ConfigurationError, ApiError) as error:
            self._misconfigured(policy, "", f"failed to configure policy: {error}")
            return
        notes: dict[str, list[str]] = {}
        for binding in bindings:
            try:
                if binding.constraints is not None and binding.constraints.find(self.attributes, table) is None:
                    continue
                params = collect(kind, binding.param_ref, self.attributes)
            except (ConfigurationError, ApiError) as error:
                self._misconfigured(policy, binding.name, f"failed to configure binding: {error}")
                continue
            for one in params:
                shown = self._bindings(row)
                outcome = await judged(self.attributes.vcp, partial(_evaluated, policy, shown, one))
                self._take(policy, binding, outcome)
                for key, value in outcome.annotations.items():
                    if value not in notes.setdefault(key, []):
                        notes[key].append(value)
        for key, values in notes.items():
            self.attributes.context.annotate(f"{policy.name}/{key}", ", ".join(values))

    def _bindings(self, row: ResourceInfo) -> dict[str, Json]:
        """The variables, made once for each version that a policy asks for."""
        found = self._shown.get(row.version + "/" + row.group)
        if found is None:
            found = self._shown[row.version + "/" + row.group] = cel_bindings(self.attributes, row, self._surroundings)
        return found

    def _misconfigured(self, policy: Policy, binding: str, message: str) -> None:
        if not policy.ignores_failures:
            self.denials.append(Denial(policy.name, binding, message))

    def _take(self, policy: Policy, binding: Binding, outcome: Outcome) -> None:
        """Do with a failure what the binding says."""
        for decision in outcome.decisions:
            for action in binding.actions:
                if action == "Deny":
                    self.denials.append(Denial(policy.name, binding.name, decision.message, decision.reason))
                elif action == "Warn":
                    head = f"Validation failed for ValidatingAdmissionPolicy '{policy.name}' with binding '{binding.name}'"
                    self.attributes.context.warn(f"{head}: {decision.message}")
                elif action == "Audit":
                    self.attributes.context.annotate(_FAILURE_KEY, _failure(policy, binding, decision))
        self.denials += [Denial(policy.name, binding.name, error) for error in outcome.annotation_errors]


def _failure(policy: Policy, binding: Binding, decision: Decision) -> str:
    """The audit annotation of a failure."""
    value = {
        "message": decision.message,
        "policy": policy.name,
        "binding": binding.name,
        "expressionIndex": decision.position,
        "validationActions": list(binding.actions),
    }
    return orjson.dumps([value]).decode()


def refusal(attributes: Attributes, denial: Denial) -> ApiError:
    """The error of a denial: its reason is the policy's, with the code that belongs to it."""
    error = forbidden(attributes, denial.text)
    reason = denial.reason or "Invalid"
    error.reason, error.code = reason, _CODES.get(reason, _INVALID)
    error.causes = (*error.causes, Cause("", denial.text))
    return error
