# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``matchConditions`` of webhooks: expressions that a request has to satisfy before the webhook is asked at all.

Source: https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#matching-requests-matchconditions
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kplane_server.model.errors import Json
from kplane_server.schema.cel.admission import compile_expression
from kplane_server.schema.cel.budget import CONDITIONS_LIMIT, Budget, Place
from kplane_server.schema.cel.program import Program
from kplane_server.schema.cel.values import CompileError, CostExceeded, EvaluationError, Value


class ConditionsFailed(Exception):
    """Conditions of a webhook that fails closed could not be judged."""


class MatchConditions:
    """The conditions of one webhook, compiled when they are first needed."""

    __slots__ = ("_conditions", "_fails_open", "_programs")

    def __init__(self, conditions: Sequence[Json], *, fails_open: bool) -> None:
        self._conditions = tuple(str(condition.get("expression") or "") for condition in conditions)
        self._fails_open = fails_open
        self._programs: list[Program | CompileError] | None = None

    def __bool__(self) -> bool:
        return bool(self._conditions)

    def match(self, variables: Mapping[str, Value], place: Place) -> bool:
        """Whether all hold. One that is false decides, whatever becomes of the others. Raises ConditionsFailed, and Elsewhere."""
        if self._programs is None:
            self._programs = [_compiled(text) for text in self._conditions]
        budget = Budget(CONDITIONS_LIMIT, place)
        problems = []
        for text, program in zip(self._conditions, self._programs, strict=True):
            try:
                if isinstance(program, CompileError):
                    raise EvaluationError(f"compilation failed: {program.message}")
                value = _evaluate(program, variables, budget)
                if value is False:
                    return False
                if value is not True:
                    raise EvaluationError("must evaluate to bool")
            except (EvaluationError, CostExceeded) as error:
                problems.append(f"expression '{text}' resulted in error: {error}")
        if not problems:
            return True
        if self._fails_open:
            return False
        raise ConditionsFailed(problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")


def _evaluate(program: Program, variables: Mapping[str, Value], budget: Budget) -> Value:
    meter = budget.open()
    try:
        return program.evaluate(variables, meter)
    finally:
        budget.close(meter)


def _compiled(text: str) -> Program | CompileError:
    try:
        return compile_expression(text)[0]
    except CompileError as error:
        return error
