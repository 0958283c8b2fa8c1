# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``matchConditions`` of webhooks: expressions that a request has to satisfy before the webhook is asked at all.

Source: https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#matching-requests-matchconditions
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from kplane_server.model.errors import Json
from kplane_server.schema.cel.admission import compile_expression
from kplane_server.schema.cel.program import CALL_LIMIT, Program
from kplane_server.schema.cel.values import CompileError, CostExceeded, EvaluationError, Meter, Value

#: What the conditions of one webhook may cost for one request.
TOTAL_LIMIT: Final = 2 * CALL_LIMIT


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

    def match(self, variables: Mapping[str, Value]) -> bool:
        """Whether all hold. One that is false decides, whatever becomes of the others. Raises ConditionsFailed."""
        if self._programs is None:
            self._programs = [_compiled(text) for text in self._conditions]
        meter = Meter(TOTAL_LIMIT)
        problems = []
        for text, program in zip(self._conditions, self._programs, strict=True):
            try:
                if isinstance(program, CompileError):
                    raise EvaluationError(f"compilation failed: {program.message}")
                value = program.evaluate(variables, meter)
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


def _compiled(text: str) -> Program | CompileError:
    try:
        return compile_expression(text)[0]
    except CompileError as error:
        return error
