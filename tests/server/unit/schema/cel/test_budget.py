# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What evaluations cost, in cel-go's units, and where they are stopped."""

from __future__ import annotations

import pytest

from kplane_server.schema.cel.budget import CALL_LIMIT, HERE_LIMIT, TOTAL_LIMIT, Budget, Elsewhere, Here
from kplane_server.schema.cel.program import Program
from kplane_server.schema.cel.rules import validate_rules
from kplane_server.schema.cel.values import CostExceeded, Meter, Value
from kplane_server.schema.structural import compile_resource_schema

SELF: Value = {
    "n": list(range(120)),
    "s": [f"item-{i}" for i in range(120)],
    "o": [{"name": f"n{i}", "port": i, "tags": ["a", "b"]} for i in range(80)],
    "m": {f"k{i}": f"v{i}" for i in range(100)},
    "t": "ab" * 5000,
}
#: Expressions with the costs that cel-go told, in the environment of Kubernetes 1.34 (upstream/main.go).
COSTS = [
    ("self.n.all(x, self.n.all(y, x + y >= 0))", 101523),
    ("self.s.all(x, self.s.exists_one(y, x == y))", 44283),
    ("self.o.all(x, self.o.exists_one(y, x.name == y.name))", 32723),
    ("self.o.all(x, x.tags.all(t, t.matches('^[a-z]+$')) && x.port >= 0)", 1683),
    ("self.s.map(x, x + x).all(y, y.size() > 3)", 2524),
    ("self.s.filter(x, x.startsWith('item')).size() == 120", 1805),
    ("self.m.all(k, self.m[k].startsWith('v'))", 703),
    ("self.t.matches('^(a|b)*$')", 2004),
    ("self.s.map(x, x.upperAscii().replace('I', 'JJ')).join(',').size() > 5", 2143),
    ("sets.contains(self.s, self.s)", 14405),
    ("self.s.all(x, x.split('-').size() == 2)", 963),
    ("self.n.sum() > 0 && self.n.max() == 119", 246),
    ("self.s.all(x, x.contains('item'))", 603),
    ("self.o.map(x, {'n': x.name, 'p': x.port}).all(y, has(y.n))", 4004),
    ("self.n.all(x, x > 50 ? x < 500 : x >= 0)", 843),
    ("self.o.exists(x, x.name == 'n79' || x.port == 500)", 800),
    ("self.n.all(i, v, i == v)", 723),
    ("self.m.transformMap(k, v, v + '!').size() == 100", 505),
]


@pytest.mark.parametrize(("text", "cost"), COSTS)
def test_costs_are_about_those_of_upstream(text: str, cost: int) -> None:
    meter = Meter(CALL_LIMIT)
    assert Program(text, ("self",)).evaluate({"self": SELF}, meter) is True
    assert cost / 2 <= CALL_LIMIT - meter.left <= cost * 3 / 2


def test_what_is_written_out_costs_nothing() -> None:
    meter = Meter(0)
    assert Program("['a', 'b', ['c']]", ()).evaluate({}, meter) == ["a", "b", ["c"]]
    assert Program("{'a': {'b': 1}}", ()).evaluate({}, meter) == {"a": {"b": 1}}
    with pytest.raises(CostExceeded):
        Program("[self]", ("self",)).evaluate({"self": 1}, meter)


def test_comparisons_cost_what_they_take() -> None:
    large = {"a": [{"b": i} for i in range(5000)]}
    meter = Meter(CALL_LIMIT)
    assert Program("self == oldSelf", ("self", "oldSelf")).evaluate({"self": large, "oldSelf": {"a": [*large["a"]]}}, meter) is True
    assert CALL_LIMIT - meter.left > 5000  # upstream: 1


def test_the_limits_are_those_of_upstream() -> None:
    assert (CALL_LIMIT, TOTAL_LIMIT) == (1_000_000, 10_000_000)
    pairs = {"rule": "self.all(x, self.all(y, x + y >= 0))"}
    items = {"type": "array", "items": {"type": "integer"}, "x-kubernetes-validations": [pairs]}
    schema = compile_resource_schema({"type": "object", "properties": {"l": items}})
    assert validate_rules({"l": list(range(350))}, schema) == []
    causes = validate_rules({"l": list(range(400))}, schema)
    assert ["no further validation rules will be run due to call cost exceeds limit for rule" in cause.message for cause in causes] == [
        True
    ]


def test_long_work_is_done_elsewhere() -> None:
    program = Program("self.n.all(x, self.n.all(y, x + y >= 0))", ("self",))

    def run(budget: Budget) -> Value:
        meter = budget.open()
        try:
            return program.evaluate({"self": SELF}, meter)
        finally:
            budget.close(meter)

    here = Here()
    with pytest.raises(Elsewhere):
        run(Budget(place=here))
    with pytest.raises(Elsewhere):
        Budget(place=here).open()  # nothing is left here for others, either
    with pytest.raises(CostExceeded):
        run(Budget(HERE_LIMIT // 2, Here()))  # its own limit comes first
    budget = Budget()
    assert run(budget) is True
    assert TOTAL_LIMIT - budget.left > HERE_LIMIT
