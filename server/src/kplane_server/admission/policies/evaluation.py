# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One policy applied to one write, with one set of parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from kplane_server.admission.policies.definitions import Expression, Policy, Scope, Validation
from kplane_server.model.errors import Json
from kplane_server.schema.cel.admission import Variables
from kplane_server.schema.cel.budget import CALL_LIMIT, CONDITIONS_LIMIT, Budget, Place
from kplane_server.schema.cel.patches import to_json
from kplane_server.schema.cel.values import CostExceeded, EvaluationError, Meter, Value, type_name

#: The longest message that an expression may make, and the longest value of an audit annotation (bytes).
MAX_MESSAGE: Final = 5 * 1024
MAX_ANNOTATION: Final = 10 * 1024


class Decision(NamedTuple):
    """A validation that failed: its place in the policy, and why. ``failed``: the rule was broken, not the rule's evaluation."""

    position: int
    message: str
    reason: str
    failed: bool


class Outcome(NamedTuple):
    """What a policy has to say. ``annotation_errors`` deny, whatever the binding's actions are."""

    decisions: list[Decision]
    annotations: dict[str, str]
    annotation_errors: list[str]


class Expressions:
    """The expressions of a policy over one write."""

    def __init__(self, policy: Scope, bindings: Mapping[str, Value], params: Any, place: Place) -> None:
        self._conditions = policy.conditions
        self._place = place
        self._budget = Budget(place=place)
        self._meter = Meter(0)
        self._known = dict(bindings)
        if policy.param_kind is not None:
            self._known["params"] = params
        steps = {name: self._step(expression) for name, expression in policy.variables.items()}
        self._with_variables = {**self._known, "variables": Variables(steps)}

    def meant(self) -> bool:
        """Whether all match conditions hold. One that does not decides, even if another one fails."""
        errors = []
        budget = Budget(CONDITIONS_LIMIT, self._place)
        for condition in self._conditions:
            try:
                if self._run(condition, self._known, budget) is not True:
                    return False
            except EvaluationError as error:
                errors.append(str(error))
        if errors:
            raise EvaluationError(errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]")
        return True

    def value(self, expression: Expression) -> Value:
        """The value of one that knows the variables. Raises EvaluationError, or Elsewhere, as all that evaluates here."""
        return self._run(expression, self._with_variables, self._budget)

    def json(self, value: Value) -> Json:
        """A value as JSON, at a cost by its size: values may share parts, documents cannot. Raises EvaluationError."""
        meter = self._budget.open()
        try:
            return to_json(value, meter)
        except CostExceeded as error:
            raise EvaluationError(str(error)) from error
        finally:
            self._budget.close(meter)

    def _step(self, expression: Expression) -> Callable[[], Value]:
        """A variable: evaluated at the cost of the expression that uses it first."""

        def evaluate() -> Value:
            if expression.program is None:
                raise EvaluationError(expression.error)
            return expression.program.evaluate(self._with_variables, self._meter)

        return evaluate

    def _run(self, expression: Expression, variables: Mapping[str, Value], budget: Budget) -> Value:
        """The value of an expression. Every failure is an EvaluationError with upstream's words."""
        if expression.program is None:
            raise EvaluationError(expression.error)
        left = budget.left
        self._meter = budget.open()
        try:
            return expression.program.evaluate(variables, self._meter)
        except CostExceeded as error:
            if left < CALL_LIMIT:
                raise EvaluationError(
                    "validation failed due to running out of cost budget, no further validation rules will be run"
                ) from error
            raise EvaluationError(f"expression '{expression.text}' resulted in error: {error}") from error
        except EvaluationError as error:
            raise EvaluationError(f"expression '{expression.text}' resulted in error: {error}") from error
        finally:
            budget.close(self._meter)


class Evaluation(Expressions):
    """A validating policy over one write."""

    def __init__(self, policy: Policy, bindings: Mapping[str, Value], params: Any, place: Place) -> None:
        super().__init__(policy, bindings, params, place)
        self._policy = policy

    def run(self) -> Outcome:
        """Conditions, then validations, then audit annotations."""
        try:
            if not self.meant():
                return Outcome([], {}, [])
        except EvaluationError as error:
            return Outcome([] if self._policy.ignores_failures else [Decision(0, str(error), "", False)], {}, [])
        decisions = []
        for index, validation in enumerate(self._policy.validations):
            decision = self._judge(index, validation)
            if decision is not None:
                decisions.append(decision)
        self._budget = Budget(place=self._place)  # audit annotations have one of their own
        annotations, errors = self._annotations()
        return Outcome(decisions, annotations, errors)

    def _judge(self, index: int, validation: Validation) -> Decision | None:
        try:
            if self.value(validation.expression) is True:
                return None
        except EvaluationError as error:
            return None if self._policy.ignores_failures else Decision(index, str(error), "", False)
        return Decision(index, self._message(validation), validation.reason, True)

    def _message(self, validation: Validation) -> str:
        """What the policy says itself, or else the rule."""
        if validation.message_expression is not None:
            try:
                text = self.value(validation.message_expression)
            except EvaluationError:
                text = None  # upstream, too, falls back to the fixed message
            if isinstance(text, str) and (text := text.strip()) and "\n" not in text and len(text.encode()) <= MAX_MESSAGE:
                return text
        return validation.message or f"failed expression: {validation.expression.text.strip()}"

    def _annotations(self) -> tuple[dict[str, str], list[str]]:
        found: dict[str, str] = {}
        errors: list[str] = []
        for key, expression in self._policy.audit_annotations:
            try:
                value = self.value(expression)
                if value is not None and not isinstance(value, str):
                    why = f"valueExpression '{expression.text}' resulted in unsupported return type: {type_name(value)}. "
                    raise EvaluationError(why + "Return type must be either string or null.")
            except EvaluationError as error:
                if not self._policy.ignores_failures:
                    errors.append(str(error))
                continue
            if value is not None and (text := value.strip()):
                found[key] = text[:MAX_ANNOTATION]
        return found, errors
