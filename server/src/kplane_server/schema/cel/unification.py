# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which types go together, and what type parameters stand for.

Source: https://github.com/google/cel-go/blob/v0.26.0/checker/types.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kplane_server.schema.cel.declarations import DYN, Type

#: What a null may take the place of, beside objects.
_NULLABLE: Final = frozenset({"optional_type", "net.IP", "net.CIDR", "google.protobuf.Duration", "google.protobuf.Timestamp"})


class Bindings:
    """What type parameters are known to stand for. A try that fails leaves them as they were."""

    def __init__(self) -> None:
        self._known: dict[str, Type] = {}
        self._made = 0

    def fresh(self) -> Type:
        """A type parameter that nobody has used."""
        self._made += 1
        return Type(f"<_var{self._made}>")

    def assignable(self, given: Sequence[Type], wanted: Sequence[Type]) -> bool:
        """Whether values of the first types can stand where the others are wanted."""
        before = dict(self._known)
        if len(given) == len(wanted) and all(map(self._fits, given, wanted)):
            return True
        self._known = before
        return False

    def resolve(self, kind: Type, *, finally_dyn: bool = False) -> Type:
        """A type with what its parameters stand for."""
        if kind.is_parameter:
            known = self._known.get(kind.name)
            if known is not None:
                return self.resolve(known, finally_dyn=finally_dyn)
            return DYN if finally_dyn else kind
        if not kind.parameters:
            return kind
        parameters = tuple(self.resolve(part, finally_dyn=finally_dyn) for part in kind.parameters)
        return kind if parameters == kind.parameters else Type(kind.name, parameters)

    def _fits(self, given: Type, wanted: Type) -> bool:
        if wanted.is_parameter:
            valid, known = self._stands_for(given, wanted)
            if valid or known:
                return valid
        if given.is_parameter:
            return self._stands_for(wanted, given)[0]
        if DYN in (given, wanted):
            return True
        if given.name == "null_type" or wanted.name == "null_type":
            other = wanted if given.name == "null_type" else given
            return other.name == "null_type" or other.is_struct or other.name in _NULLABLE
        if given.name != wanted.name or given.declaration is not wanted.declaration:
            return False
        if given.name == "type":
            return True
        return len(given.parameters) == len(wanted.parameters) and all(map(self._fits, given.parameters, wanted.parameters))

    def _stands_for(self, kind: Type, parameter: Type) -> tuple[bool, bool]:
        """Whether a parameter may stand for a type, and whether it stands for something already."""
        if kind == parameter:
            return True, True
        known = self._known.get(parameter.name)
        if known is None:
            if self._free_of(parameter, kind):
                self._known[parameter.name] = kind
                return True, False
            return False, False
        if kind == known:
            return True, True
        if not self._fits(kind, known):
            return False, True
        general = kind if _no_more_specific(kind, known) else known
        if self._free_of(parameter, general):
            self._known[parameter.name] = general
        return True, True

    def _free_of(self, parameter: Type, kind: Type) -> bool:
        """Whether a parameter is no part of a type."""
        if kind == parameter:
            return False
        if kind.is_parameter:
            known = self._known.get(kind.name)
            return known is None or self._free_of(parameter, known)
        return all(self._free_of(parameter, part) for part in kind.parameters)


def most_general(one: Type, other: Type) -> Type:
    """The less specific of two types that go together."""
    return one if _no_more_specific(one, other) else other


def _no_more_specific(one: Type, other: Type) -> bool:
    if one == DYN or one.is_parameter:
        return True
    if other == DYN or other.is_parameter or one.name != other.name:
        return False
    if one.name == "type":
        return True
    if one.parameters:
        return len(one.parameters) == len(other.parameters) and all(map(_no_more_specific, one.parameters, other.parameters))
    return one == other
