# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of types, applied wherever a type occurs: a rule of ``core.v1.Container`` holds in a Pod and in a CronJob alike.

The graph of types (who contains whom) is generated data. A plan is that graph cut down to the types that lead to a rule, so that a
walk visits nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Final, Generic, TypeVar

import orjson

from kplane_server.model.errors import Json
from kplane_server.registry.catalog import DATA

R = TypeVar("R")

#: Deeper documents have no rules below this; no built-in type that has one is nested as deep.
_MAX_DEPTH: Final = 40


@lru_cache(maxsize=1)
def _graph() -> dict[str, dict[str, Any]]:
    graph: dict[str, dict[str, Any]] = orjson.loads((DATA / "types.json").read_bytes())
    return graph


def enumerations(type_name: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """property → (``one`` or ``list``, allowed values) of a type."""
    enums = _graph().get(type_name, {}).get("enums", {})
    return {prop: (how, tuple(values)) for prop, (how, values) in enums.items()}


#: Types of the graph that are texts with a form of their own.
QUANTITY: Final = "api.resource.Quantity"
TIME: Final = "meta.v1.Time"
MICRO_TIME: Final = "meta.v1.MicroTime"


def properties_of(type_name: str, target: str) -> tuple[tuple[str, str], ...]:
    """(property, ``one`` or ``map``) of the properties of a type that are of the type ``target``."""
    links = _graph().get(type_name, {}).get("links", {})
    return tuple((prop, how) for prop, (how, linked) in links.items() if linked == target)


class Plan(Generic[R]):
    """What to do with a value of one type: its own rule, and the properties that lead to more."""

    __slots__ = ("children", "rule")

    def __init__(self, rule: R | None) -> None:
        self.rule = rule
        self.children: list[tuple[str, str, Plan[R]]] = []


class Planner(Generic[R]):
    """Makes plans from a function that tells the rule of a type. A plan of a type is made once, and shared."""

    def __init__(self, rule_of: Callable[[str], R | None]) -> None:
        self._rule_of = rule_of
        self._plans: dict[str, Plan[R] | None] = {}
        self._open: set[str] = set()

    def plan(self, type_name: str) -> Plan[R] | None:
        """The plan of a type, or None when nothing in it has a rule. A type inside itself is walked once (no rule is below such a type)."""
        if type_name in self._plans:
            return self._plans[type_name]
        if type_name in self._open:
            return None
        self._open.add(type_name)
        plan = Plan(self._rule_of(type_name))
        for prop, (how, target) in _graph().get(type_name, {}).get("links", {}).items():
            child = self.plan(target)
            if child is not None:
                plan.children.append((prop, how, child))
        self._open.discard(type_name)
        found = plan if plan.rule is not None or plan.children else None
        self._plans[type_name] = found
        return found


def visit(plan: Plan[R] | None, value: Json, act: Callable[[R, dict[str, Json]], None], depth: int = 0) -> None:
    """Call ``act`` with every rule and the object it applies to, the outer ones first. Values of another shape are passed over."""
    if plan is None or not isinstance(value, dict) or depth > _MAX_DEPTH:
        return
    if plan.rule is not None:
        act(plan.rule, value)
    for prop, how, child in plan.children:
        below = value.get(prop)
        if how == "one":
            visit(child, below, act, depth + 1)
        elif how == "list" and isinstance(below, list):
            for item in below:
                visit(child, item, act, depth + 1)
        elif how == "map" and isinstance(below, dict):
            for item in below.values():
                visit(child, item, act, depth + 1)


def walk(plan: Plan[R] | None, value: Json, path: str = "", depth: int = 0) -> Iterator[tuple[R, dict[str, Json], str]]:
    """Every rule with its object and the object's path (``spec.template.spec.containers[0]``), the outer ones first."""
    if plan is None or not isinstance(value, dict) or depth > _MAX_DEPTH:
        return
    if plan.rule is not None:
        yield plan.rule, value, path
    for prop, how, child in plan.children:
        below = value.get(prop)
        at = f"{path}.{prop}" if path else prop
        if how == "one":
            yield from walk(child, below, at, depth + 1)
        elif how == "list" and isinstance(below, list):
            for index, item in enumerate(below):
                yield from walk(child, item, f"{at}[{index}]", depth + 1)
        elif how == "map" and isinstance(below, dict):
            for key, item in below.items():
                yield from walk(child, item, f"{at}[{key}]", depth + 1)
