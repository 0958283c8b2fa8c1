# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Worst costs of expressions, and which schemas are refused for them, against the verdicts of Kubernetes 1.34 itself.

``upstream/costs`` has the schemas, the program that asked upstream, and its answers.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.rule_cases import cases

from kplane_server.schema.cel.costs import worst_cost
from kplane_server.schema.cel.declarations import Declaration, declare, escape, optional_type
from kplane_server.schema.cel.rulechecks import check_rules
from kplane_server.schema.cel.sizes import UNLIMITED, Size, plus, scaled, times
from kplane_server.schema.cel.types import check
from kplane_server.schema.cel.values import CompileError
from kplane_server.schema.crdschema import check_structural
from kplane_server.schema.structural import Schema, compile_resource_schema

CASES = dict(cases())
_RECORDED = (Path(__file__).parent / "upstream" / "costs" / "answers.jsonl").read_text(encoding="utf-8")
ANSWERS: dict[str, dict[str, Any]] = {answer["name"]: answer for answer in map(json.loads, _RECORDED.splitlines())}
AT = "spec.validation.openAPIV3Schema"
#: The list functions that came with 1.34: upstream takes them in stored rules only, for one release; we take them in new ones, too.
NEW = re.compile(r"\b(lists\.range|distinct|flatten|reverse|slice|sort|sortBy)\(")
#: Verdicts that are the same in other words: types without the name that upstream invents for them, one error of several, ...
WORDED_APART = ("[self.items, self.keyed]", "self.deep == {", "self.l.all(x)]", "[1 +]")


def nodes(schema: Schema, document: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Declaration, list[dict[str, Any]]]]:
    """The parts of a schema that have rules."""
    rules = document.get("x-kubernetes-validations")
    if rules:
        declared = declare(schema, root=not path or schema.embedded)
        assert declared is not None
        yield path, declared, rules
    for name, child in (document.get("properties") or {}).items():
        yield from nodes(schema.properties[name], child, f"{path}.{name}")
    for key, below in (("items", schema.items), ("additionalProperties", schema.additional)):
        if isinstance(document.get(key), dict) and below is not None:
            yield from nodes(below, document[key], f"{path}.{key}")


def cost(text: str, declared: Declaration, *, optional: bool = False, result: str = "bool") -> int:
    """The worst cost of an expression, or 0 for one that is no rule."""
    own = declared.type
    try:
        checked = check(text, {"self": own, "oldSelf": optional_type(own) if optional else own})
    except CompileError:
        return 0
    return worst_cost(checked, declared) if checked.type.name == result else 0


def test_there_is_an_answer_for_each_case() -> None:
    assert set(CASES) == set(ANSWERS)
    assert len(CASES) > 50
    refused = [name for name, answer in ANSWERS.items() if answer["causes"]]
    assert 25 < len(refused) < len(CASES) - 15


@pytest.mark.parametrize("name", CASES)
def test_worst_costs(name: str) -> None:
    document = CASES[name]
    recorded = ANSWERS[name]["costs"]
    seen = 0
    for path, declared, rules in nodes(compile_resource_schema(document), document):
        for index, rule in enumerate(rules):
            found = cost(rule["rule"], declared, optional=bool(rule.get("optionalOldSelf")))
            wanted = recorded.get(f"{path}[{index}]", [0, 0])
            assert found == wanted[0], rule["rule"]
            message = rule.get("messageExpression", "")
            assert cost(message, declared, result="string") == wanted[1], message
            seen += 1
    assert seen >= len(recorded) > 0


def _rule_of(document: Mapping[str, Any], field: str) -> str:
    """The text of the rule that a verdict is about."""
    node: Any = document
    for name, index in re.findall(r"([\w-]+)(?:\[([^\]]+)\])?", field.removeprefix(AT).lstrip(".")):
        node = node[name] if not index else node[name][int(index) if index.isdigit() else index]
    return node if isinstance(node, str) else ""


@pytest.mark.parametrize("name", CASES)
def test_verdicts(name: str) -> None:
    document = CASES[name]
    found = Counter[tuple[str, str, str]]()
    for cause in check_structural(document, at=AT):
        found[cause.reason, f"{AT}.{cause.field}" if cause.field else AT, cause.message] += 1
    for reason, field, detail in ANSWERS[name]["causes"]:
        rule = _rule_of(document, field)
        if reason == "FieldValueInvalid" and NEW.search(rule):
            continue
        apart = reason == "FieldValueInvalid" and any(part in rule for part in WORDED_APART)
        same = [key for key in found if key[:2] == (reason, field) and (apart or key[2].endswith(detail))]
        assert same, (reason, field, detail, rule)
        found -= Counter([same[0]])
    assert not found


def test_a_schema_that_was_accepted_before_is_judged_as_a_whole_only() -> None:
    document = CASES["patterns-5000"]
    assert [cause.message.split(" exceeds")[0] for cause in check_rules(document)] == ["Forbidden: estimated rule cost"]
    assert check_rules(document, unchanged=True) == []
    assert check_rules(CASES["pairs-60000"], unchanged=True) != []


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        ("plain", "plain"),
        ("a-b.c/d__e", "a__dash__b__dot__c__slash__d__underscores__e"),
        ("namespace", "__namespace__"),
        ("in", "__in__"),
        ("inside", "inside"),
        ("9lives", ""),
        ("$ref", ""),
        ("", ""),
    ],
)
def test_names_of_fields(name: str, escaped: str) -> None:
    assert escape(name) == escaped


def test_sizes_stop_at_the_largest() -> None:
    assert plus(UNLIMITED, 1) == times(UNLIMITED, 2) == scaled(UNLIMITED, 1.5) == UNLIMITED
    assert scaled(11, 0.1) == 2
    assert Size(1, UNLIMITED).multiply(Size(3, 5)) == Size(3, UNLIMITED)
