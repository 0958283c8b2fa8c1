# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A compiled expression."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from kplane_server.schema.cel import authorizer, conversions, kinds, lists, macros, network, patches, text
from kplane_server.schema.cel.budget import CALL_LIMIT
from kplane_server.schema.cel.compiler import Compiler, Frame
from kplane_server.schema.cel.parser import parse
from kplane_server.schema.cel.values import CompileError, Meter, Value

#: The libraries: importing them fills the tables of functions and macros that the compiler looks into.
LIBRARIES: Final = (authorizer, conversions, kinds, lists, macros, network, patches, text)


class Program:
    """A compiled expression. It keeps no state, so one program serves everybody."""

    __slots__ = ("_run", "source", "variables")

    def __init__(self, source: str, declared: Iterable[str], *, patches: bool = False) -> None:
        compiler = Compiler(frozenset(declared), patches=patches)
        self.source = source
        try:
            self._run = compiler.compile(parse(source))
        except CompileError as error:
            raise CompileError(describe(error, source), error.position) from error
        #: The declared variables that the expression uses.
        self.variables = frozenset(compiler.used)

    def evaluate(self, variables: Mapping[str, Value], meter: Meter | None = None) -> Value:
        """The value for some variables. Raises EvaluationError or CostExceeded."""
        return self._run(Frame(dict(variables), meter if meter is not None else Meter(CALL_LIMIT)))


def describe(error: CompileError, source: str) -> str:
    """An error with its place in the text, as cel-go shows it."""
    line = source.count("\n", 0, error.position) + 1
    start = source.rfind("\n", 0, error.position) + 1
    end = source.find("\n", error.position)
    column = error.position - start
    shown = source[start : end if end >= 0 else len(source)][:200]
    return f"ERROR: <input>:{line}:{column + 1}: {error.message}\n | {shown}\n | {'.' * min(column, 200)}^"
