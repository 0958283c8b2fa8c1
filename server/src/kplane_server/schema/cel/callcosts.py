# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one call costs at most, its arguments not counted, and how large its result can be.

Source: https://github.com/kubernetes/apiserver/blob/v0.34.2/pkg/cel/library/cost.go and, for what is not there,
https://github.com/google/cel-go/blob/v0.26.0/checker/cost.go, ext/lists.go and ext/sets.go.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from kplane_server.schema.cel.declarations import Declaration, Type
from kplane_server.schema.cel.parser import Literal, Node
from kplane_server.schema.cel.sizes import UNKNOWN, UNLIMITED, Size, exactly, plus, scaled, times

TEXT: Final = 0.1
_PATTERN: Final = 0.25
_NEW_LIST: Final = 10
_NEW_OBJECT: Final = 40
_AUTHORIZATION: Final = 350_000
_NAMED_PATTERN: Final = 128
_NAMED_FORMAT: Final = 64
_ADDRESS: Final = 16


class Operand(NamedTuple):
    """What is known of a part of an expression. ``place``: where the schema declares it; ``size`` is None when nothing tells."""

    node: Node
    type: Type
    size: Size | None
    place: Declaration | None

    @property
    def known(self) -> Size:
        return UNKNOWN if self.size is None else self.size


class Charge(NamedTuple):
    """The most that a call costs, and the size of its result where that can be told."""

    most: int
    size: Size | None = None


Estimator = Callable[[str, Operand | None, Sequence[Operand]], Charge | None]


def _fixed(cost: int) -> Estimator:
    return lambda overload, target, arguments: Charge(cost)


def _by_argument(factor: float, *, sized: bool = False) -> Estimator:
    """A walk over the first argument."""

    def estimate(overload: str, target: Operand | None, arguments: Sequence[Operand]) -> Charge | None:
        if not arguments:
            return None
        size = arguments[0].known
        return Charge(scaled(size.most, factor), size if sized else None)

    return estimate


def _by_target(overload: str, target: Operand | None, arguments: Sequence[Operand]) -> Charge | None:
    return None if target is None else Charge(scaled(target.known.most, TEXT), target.known)


def _selector(overload: str, target: Operand | None, arguments: Sequence[Operand]) -> Charge | None:
    if len(arguments) != 1:
        return None
    length = arguments[0].known.most
    requirements = scaled(scaled(length, 0.5), _NEW_LIST + _NEW_OBJECT)
    return Charge(plus(_NEW_LIST, scaled(length, TEXT), requirements))


def _each_item(overload: str, target: Operand | None, arguments: Sequence[Operand]) -> Charge | None:
    """A comparison of each item; of texts by their length."""
    if target is None:
        return None
    if not target.type.parameters:
        return Charge(scaled(target.known.most, TEXT))
    cost = 1
    if target.type.parameters[0].name in ("string", "bytes"):
        cost = plus(1, scaled(_item_size(target).most, TEXT))
    return Charge(times(target.known.most, cost))


def _item_size(items: Operand) -> Size:
    """The size of an item of a list, as its schema tells."""
    element = None if items.place is None else items.place.element
    return UNKNOWN if element is None else Size(0, element.largest)


def _replace(overload: str, target: Operand | None, arguments: Sequence[Operand]) -> Charge | None:
    if target is None or len(arguments) < 2:
        return None
    size, old, new = target.known, arguments[0].known, arguments[1].known
    if old.least == 0:
        longest = (plus(size.most, 1), size.most)
    elif new.most <= old.least:
        longest = (0, size.most)
    else:
        longest = (math.ceil(float(size.most) / float(old.least)), 0)
    if old.most == 0:
        shortest = (plus(size.least, 1), size.least)
    elif old.most <= new.least:
        shortest = (0, size.least)
    else:
        shortest = (math.ceil(float(size.least) / float(old.most)), 0)
    least = plus(times(shortest[0], new.least), shortest[1])
    most = plus(times(min(longest[0], UNLIMITED), new.most), longest[1])
    return Charge(scaled(size.most, 2 * TEXT), Size(least, most))


def _split(overload: str, target: Operand | None, arguments: Sequence[Operand]) -> Charge | None:
    if target is None:
        return None
    most = target.known.most
    if len(arguments) > 1:
        limit = _literal_int(arguments[1])
        most = most if limit is None else limit % 2**64  # no limit (-1) is the largest, as upstream takes it
    return Charge(scaled(target.known.most, 2 * TEXT), Size(0, most))


def _literal_int(operand: Operand) -> int | None:
    """The number that is written out."""
    value = operand.node.value if isinstance(operand.node, Literal) else None
    return value if type(value) is int else None


def _count(operand: Operand, otherwise: int) -> int:
    value = _literal_int(operand)
    return otherwise if value is None else max(0, value)


def _join(overload: str, target: Operand | None, arguments: Sequence[Operand]) -> Charge | None:
    if target is None:
        return None
    items = target.known
    size = items.multiply(_item_size(target)) if target.type.parameters else Size(0, 0)
    if arguments:
        size = size.add(arguments[0].known.multiply(Size(max(0, items.least - 1), max(0, items.most - 1))))
    return Charge(scaled(size.most, TEXT), size)


def _find(overload: str, target: Operand | None, arguments: Sequence[Operand]) -> Charge | None:
    if target is None or not arguments:
        return None
    return Charge(_pattern_cost(target, arguments[0]), Size(0, target.known.most))


def _pattern_cost(text: Operand, pattern: Operand) -> int:
    return times(scaled(plus(text.known.most, 1), TEXT), scaled(pattern.known.most, _PATTERN))


def _ip(overload: str, target: Operand | None, arguments: Sequence[Operand]) -> Charge | None:
    return Charge(1) if overload == "cidr_ip" else _by_argument(TEXT)(overload, target, arguments)


def _contains_address(overload: str, target: Operand | None, arguments: Sequence[Operand]) -> Charge | None:
    if not arguments:
        return None
    parsed = scaled(arguments[0].known.most, TEXT) if overload.endswith("_string") else 0
    return Charge(plus(scaled(2 * _ADDRESS, TEXT), parsed))


def _contains_range(overload: str, target: Operand | None, arguments: Sequence[Operand]) -> Charge | None:
    found = _contains_address(overload, target, arguments)
    return None if found is None else Charge(plus(found.most, scaled(_ADDRESS, TEXT), 1))


def _validate(overload: str, target: Operand | None, arguments: Sequence[Operand]) -> Charge | None:
    return None if not arguments else Charge(scaled(scaled(arguments[0].known.most, TEXT), _NAMED_PATTERN * _PATTERN))


_CHEAP: Final = frozenset({"net.IP", "net.CIDR", "kubernetes.Quantity", "kubernetes.Semver"}) | {
    f"kubernetes.authorization.{name}" for name in ("Authorizer", "PathCheck", "GroupCheck", "ResourceCheck", "Decision")
}


def _equality_of_libraries(overload: str, target: Operand | None, arguments: Sequence[Operand]) -> Charge | None:
    """Values of Kubernetes' libraries have a size of their own."""
    left, right = arguments
    if left.type != right.type:
        return None
    if left.type.name in _CHEAP:
        return Charge(1)
    if left.type.name == "kubernetes.NamedFormat":
        return Charge(scaled(_NAMED_FORMAT, TEXT))
    if left.type.name == "kubernetes.URL":
        return Charge(scaled(1 if right.size is None else right.size.most, TEXT))
    return None


#: By the name of the function, as Kubernetes reckons.
_BY_FUNCTION: Final[dict[str, Estimator]] = {
    "check": _fixed(_AUTHORIZATION),
    **dict.fromkeys(("serviceAccount", "path", "group", "resource", "subresource", "namespace", "name"), _fixed(1)),
    **dict.fromkeys(("allowed", "reason", "error", "errored", "format.named"), _fixed(1)),
    **dict.fromkeys(("masked", "prefixLength", "family", "isUnspecified", "isLoopback", "isLinkLocalMulticast"), _fixed(1)),
    **dict.fromkeys(("isLinkLocalUnicast", "isGlobalUnicast", "sign", "asInteger", "isInteger", "asApproximateFloat"), _fixed(1)),
    **dict.fromkeys(("isGreaterThan", "isLessThan", "compareTo", "add", "sub", "major", "minor", "patch"), _fixed(1)),
    **dict.fromkeys(("getScheme", "getHostname", "getHost", "getPort", "getEscapedPath", "getQuery"), _fixed(1)),
    **dict.fromkeys(("fieldSelector", "labelSelector"), _selector),
    **dict.fromkeys(("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"), _each_item),
    **dict.fromkeys(("url", "jsonpatch.escapeKey"), _by_argument(TEXT, sized=True)),
    **dict.fromkeys(("lowerAscii", "upperAscii", "substring", "trim"), _by_target),
    **dict.fromkeys(("find", "findAll"), _find),
    **dict.fromkeys(("cidr", "isIP", "isCIDR", "quantity", "isQuantity", "semver", "isSemver"), _by_argument(TEXT)),
    "replace": _replace,
    "split": _split,
    "join": _join,
    "ip": _ip,
    "ip.isCanonical": _by_argument(2 * TEXT),
    "containsIP": _contains_address,
    "containsCIDR": _contains_range,
    "validate": _validate,
    "_==_": _equality_of_libraries,
}


def _pairs(factor: float) -> Estimator:
    """Each item of one list with each of the other."""

    def estimate(overload: str, target: Operand | None, arguments: Sequence[Operand]) -> Charge | None:
        one, other = arguments
        return Charge(plus(1, scaled(one.known.multiply(other.known).most, factor)))

    return estimate


def _new_list(size: Size, factor: float = 1.0) -> Charge:
    return Charge(plus(scaled(size.most, factor), 1, _NEW_LIST), size)


def _slice(overload: str, target: Operand | None, arguments: Sequence[Operand]) -> Charge | None:
    most = UNLIMITED if target is None else target.known.most
    return _new_list(exactly((_count(arguments[1], most) - _count(arguments[0], 0)) % 2**64))


def _range(overload: str, target: Operand | None, arguments: Sequence[Operand]) -> Charge | None:
    return _new_list(exactly(_count(arguments[0], UNLIMITED)))


def _reverse(overload: str, target: Operand | None, arguments: Sequence[Operand]) -> Charge | None:
    return None if target is None else _new_list(target.known)


def _flatten(overload: str, target: Operand | None, arguments: Sequence[Operand]) -> Charge | None:
    depth = _count(arguments[0], UNLIMITED) if arguments else 1
    return None if target is None else _new_list(target.known, float(depth))


def _distinct(overload: str, target: Operand | None, arguments: Sequence[Operand]) -> Charge | None:
    return None if target is None else _new_list(target.known.multiply(target.known), 2.0)


def _sort(overload: str, target: Operand | None, arguments: Sequence[Operand]) -> Charge | None:
    """By the list itself, or by the keys that are given."""
    keys = arguments[0] if arguments else target
    factor = 2.0 + (TEXT if overload.startswith(("list_string_", "list_bytes_")) else 0.0)
    return None if keys is None else _new_list(keys.known.multiply(keys.known), factor)


#: By the name of the overload: the extension libraries of cel-go.
_BY_OVERLOAD: Final[dict[str, Estimator]] = {
    "list_sets_contains_list": _pairs(1.0),
    "list_sets_intersects_list": _pairs(1.0),
    "list_sets_equivalent_list": _pairs(2.0),
    "list_slice": _slice,
    "lists_range": _range,
    "list_reverse": _reverse,
    **dict.fromkeys(("list_flatten", "list_flatten_int"), _flatten),
    "list_distinct": _distinct,
}


def _comparison(overload: str, target: Operand | None, arguments: Sequence[Operand]) -> Charge | None:
    return Charge(scaled(min(arguments[0].known.most, arguments[1].known.most), TEXT))


def _concatenation(overload: str, target: Operand | None, arguments: Sequence[Operand]) -> Charge | None:
    size = arguments[0].known.add(arguments[1].known)
    return Charge(1 if overload == "add_list" else scaled(size.most, TEXT), size)


def _membership(overload: str, target: Operand | None, arguments: Sequence[Operand]) -> Charge | None:
    return Charge(arguments[1].known.most)


def _matches(overload: str, target: Operand | None, arguments: Sequence[Operand]) -> Charge | None:
    return None if target is None else Charge(_pattern_cost(target, arguments[0]))


def _contains(overload: str, target: Operand | None, arguments: Sequence[Operand]) -> Charge | None:
    if target is None:
        return None
    return Charge(times(scaled(target.known.most, TEXT), scaled(arguments[0].known.most, TEXT)))


def _to_bytes(overload: str, target: Operand | None, arguments: Sequence[Operand]) -> Charge | None:
    size = arguments[0].known
    return Charge(scaled(size.most, TEXT), Size(size.least, size.most * 4 % 2**64))


def _from_bytes(overload: str, target: Operand | None, arguments: Sequence[Operand]) -> Charge | None:
    size = arguments[0].known
    return Charge(scaled(size.most, TEXT), Size(size.least // 4, size.most))


def _quote(overload: str, target: Operand | None, arguments: Sequence[Operand]) -> Charge | None:
    size = arguments[0].known
    return Charge(scaled(size.most, TEXT), Size((size.least + 2) % 2**64, (size.most * 2 + 2) % 2**64))


def _format(overload: str, target: Operand | None, arguments: Sequence[Operand]) -> Charge | None:
    return None if target is None else Charge(scaled(target.known.most, TEXT))


_ORDERS: Final = ("less", "less_equals", "greater", "greater_equals")
#: By the name of the overload: the language itself.
_BUILT_IN: Final[dict[str, Estimator]] = {
    **dict.fromkeys((f"{order}_{kind}" for order in _ORDERS for kind in ("string", "bytes")), _comparison),
    **dict.fromkeys(("equals", "not_equals"), _comparison),
    **dict.fromkeys(("add_string", "add_bytes", "add_list"), _concatenation),
    **dict.fromkeys(("starts_with_string", "ends_with_string"), _by_argument(TEXT)),
    "in_list": _membership,
    "matches_string": _matches,
    "contains_string": _contains,
    "string_to_bytes": _to_bytes,
    "bytes_to_string": _from_bytes,
    "strings_quote": _quote,
    "string_format": _format,
}


def charge(function: str, overload: str, target: Operand | None, arguments: Sequence[Operand]) -> Charge:
    """The most that a call of an overload costs."""
    for estimator in (_BY_OVERLOAD.get(overload), _sort if overload.endswith(("_sort", "_sortByAssociatedKeys")) else None):
        if estimator is not None and (found := estimator(overload, target, arguments)) is not None:
            return found
    for table, key in ((_BY_FUNCTION, function), (_BUILT_IN, overload)):
        estimator = table.get(key)
        if estimator is not None and (found := estimator(overload, target, arguments)) is not None:
            return found
    return Charge(1)
