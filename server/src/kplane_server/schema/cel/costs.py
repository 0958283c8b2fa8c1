# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The most that an expression can cost, whatever the documents are: reckoned when the expression is written.

Units and rules are cel-go's, to the unit: which definitions a server takes must not differ from one to the next.
Source: https://github.com/google/cel-go/blob/v0.26.0/checker/cost.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from kplane_server.schema.cel.callcosts import Operand, charge
from kplane_server.schema.cel.declarations import KEY, Declaration, Type
from kplane_server.schema.cel.parser import Bind, Call, Ident, ListOf, Literal, Loop, MapOf, Node, Presence, Select, StructOf, dotted
from kplane_server.schema.cel.sizes import ONE, UNKNOWN, UNLIMITED, Size, exactly, plus, times
from kplane_server.schema.cel.types import Checked

_SCALARS: Final = frozenset({"bool", "double", "int", "uint", "google.protobuf.Duration", "google.protobuf.Timestamp"})
_NOWHERE: Final = Declaration("nothing", 0, 0)
_NEW_LIST: Final = 10
_NEW_MAP: Final = 30
_NEW_OBJECT: Final = 40


class _Entries(NamedTuple):
    """The sizes of the keys (or indexes) and of the values of a container that the expression itself makes."""

    of_list: bool
    key: Size
    value: Size

    def union(self, other: _Entries | None) -> _Entries | None:
        return None if other is None else _Entries(self.of_list, self.key.union(other.key), self.value.union(other.value))


@dataclass(frozen=True, slots=True)
class _Cost:
    """What is known of a node. ``place``: where the schema declares its value, ``_NOWHERE`` if nowhere, None if nobody says where."""

    most: int
    size: Size | None = None
    place: Declaration | None = None
    entries: _Entries | None = None

    @property
    def known(self) -> Size:
        return UNKNOWN if self.size is None else self.size


def worst_cost(checked: Checked, root: Declaration) -> int:
    """The most that an expression costs for documents of a declaration, at most 2**64 - 1."""
    return _Coster(checked, root).cost(checked.root, {}).most


Variables = dict[str, _Cost]


class _Coster:
    def __init__(self, checked: Checked, root: Declaration) -> None:
        self._checked = checked
        self._root = root

    def cost(self, node: Node, local: Variables) -> _Cost:
        match node:
            case Literal():
                return _Cost(0, exactly(len(node.value)) if isinstance(node.value, (str, bytes)) else ONE)
            case Ident():
                return self._variable(node, local)
            case Select():
                return self._select(node, local)
            case Presence():
                return _Cost(self.cost(node.operand, local).most, ONE)
            case ListOf():
                return self._list(node, local)
            case MapOf():
                return self._map(node, local)
            case StructOf():
                return _Cost(plus(_NEW_OBJECT, *(self.cost(value, local).most for _, value, _ in node.fields)))
            case Loop():
                return self._loop(node, local)
            case Bind():
                value = self.cost(node.value, local)
                inner = self.cost(node.inner, {**local, node.name: value})
                return _Cost(plus(_NEW_LIST, value.most, inner.most), inner.size, None, inner.entries)
        assert isinstance(node, Call)  # the rest of the nodes that an expansion leaves
        return self._call(node, local)

    def _type(self, node: Node) -> Type:
        return self._checked.types[id(node)]

    def _sized(self, node: Node, most: int, place: Declaration | None, entries: _Entries | None = None, last: Size | None = None) -> _Cost:
        """A size by the schema, or else by the type, or else ``last``."""
        size = None if place is None or place is _NOWHERE else Size(0, place.largest)
        if size is None:
            size = ONE if _is_scalar(self._type(node)) else last
        return _Cost(most, size, place, entries)

    def _variable(self, node: Ident, local: Variables) -> _Cost:
        known = local.get(node.name)
        if known is None:
            return self._sized(node, 1, self._root)
        return self._sized(node, 1, known.place, known.entries, known.size)

    def _select(self, node: Select, local: Variables) -> _Cost:
        if id(node.operand) not in self._checked.types:  # a name with dots
            return self._sized(node, 1, self._root)
        operand = self.cost(node.operand, local)
        kind = self._type(node.operand)
        own = 1 if kind.name == "map" or kind.is_struct else 0
        place = self._root if operand.place is None else operand.place.fields.get(node.field, _NOWHERE)
        return self._sized(node, plus(operand.most, own), place)

    def _inside(self, place: Declaration | None) -> Declaration:
        """Where the items or values of a container are declared. Of one that the expression made, upstream takes the whole document."""
        if place is None:
            return self._root
        return _NOWHERE if place.element is None else place.element

    def _list(self, node: ListOf, local: Variables) -> _Cost:
        costs = [self.cost(item, local) for item, _ in node.items]
        entries = _Entries(True, ONE, _span(costs))
        return _Cost(plus(_NEW_LIST, *(cost.most for cost in costs)), exactly(len(costs)), None, entries)

    def _map(self, node: MapOf, local: Variables) -> _Cost:
        keys = [self.cost(key, local) for key, _, _ in node.entries]
        values = [self.cost(value, local) for _, value, _ in node.entries]
        entries = _Entries(False, _span(keys), _span(values))
        return _Cost(plus(_NEW_MAP, *(cost.most for cost in (*keys, *values))), exactly(len(keys)), None, entries)

    def _loop(self, node: Loop, local: Variables) -> _Cost:
        over, start = self.cost(node.over, local), self.cost(node.start, local)
        outer = {**local, node.result: start}
        inner = {**outer, **dict(zip(node.names, self._turn(node, over), strict=True))}
        turn = plus(self.cost(node.condition, inner).most, (step := self.cost(node.step, inner)).most)
        end = self.cost(node.end, outer)
        most = plus(over.most, start.most, end.most, times(over.known.most, turn))
        if isinstance(node.start, Literal):
            return _Cost(most, start.size)
        return _Cost(most, over.known, None, step.entries)

    def _turn(self, node: Loop, over: _Cost) -> list[_Cost]:
        """The variables of one turn: index or key, and value."""
        is_list = over.entries.of_list if over.entries is not None else self._type(node.over).name == "list"
        key = self._root if over.place is None else KEY if over.place.kind == "map" and not is_list else _NOWHERE
        first = _Cost(0, None if over.entries is None else over.entries.key, key)
        second = _Cost(0, None if over.entries is None else over.entries.value, self._inside(over.place))
        if len(node.names) == 2:
            return [first, second]
        return [second if is_list else first]

    def _call(self, node: Call, local: Variables) -> _Cost:
        arguments = [self.cost(argument, local) for argument in node.arguments]
        if node.function == "dyn":
            return replace(arguments[0], most=plus(arguments[0].most, 1), place=None)
        spent = plus(*(cost.most for cost in arguments))
        operands = [self._operand(part, cost) for part, cost in zip(node.arguments, arguments, strict=True)]
        function, target = node.function, None
        if node.target is not None:
            if id(node.target) in self._checked.types:
                found = self.cost(node.target, local)
                spent, target = plus(spent, found.most), self._operand(node.target, found)
            else:
                function = f"{dotted(node.target)}.{function}"
        if function in ("_&&_", "_||_"):
            return _Cost(spent, ONE)
        if function == "_?_:_":
            return _choice(arguments)
        return self._overloads(node, function, target, operands, arguments, spent)

    def _operand(self, node: Node, cost: _Cost) -> Operand:
        return Operand(node, self._type(node), cost.size, cost.place)

    def _overloads(
        self, node: Call, function: str, target: Operand | None, operands: Sequence[Operand], arguments: Sequence[_Cost], spent: int
    ) -> _Cost:
        """The dearest of the overloads that a call may turn out to be."""
        most, size, place = 0, None, None
        for overload in self._checked.overloads[id(node)]:
            found = charge(function, overload, target, operands)
            most = max(most, found.most)
            if found.size is not None:
                size = found.size if size is None else size.union(found.size)
            if overload in ("index_list", "index_map"):
                size = None if arguments[0].entries is None else arguments[0].entries.value
                place = self._inside(arguments[0].place)
            if size is None:
                size = self._sized(node, 0, place).size
        entries = None
        if function == "_+_" and arguments[0].entries is not None:
            entries = arguments[0].entries.union(arguments[1].entries)
        return _Cost(plus(spent, most), size, place, entries)


def _choice(arguments: Sequence[_Cost]) -> _Cost:
    """``a ? b : c``."""
    test, yes, no = arguments
    entries = None if yes.entries is None else yes.entries.union(no.entries)
    return _Cost(plus(test.most, max(yes.most, no.most)), yes.known.union(no.known), None, entries)


def _span(costs: Sequence[_Cost]) -> Size:
    """The least and the largest of some sizes."""
    span = Size(UNLIMITED, 0) if costs else Size(0, 0)
    for cost in costs:
        span = span.union(cost.known)
    return span


def _is_scalar(kind: Type) -> bool:
    return kind.name in _SCALARS or (kind.name == "optional_type" and _is_scalar(kind.element))
