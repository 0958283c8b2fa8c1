# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A schema with rules of all kinds, and documents with what they were before, to be judged by upstream and by us.

``python rule_documents.py | recorder > answers.jsonl``, where the recorder is tests/server/unit/schema/cel/upstream/documents/main.go,
built in a module that requires what it says.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

Document = dict[str, Any]
STRING: Document = {"type": "string"}
INTEGER: Document = {"type": "integer"}


def _rules(*rules: Any) -> Document:
    return {"x-kubernetes-validations": [{"rule": rule} if isinstance(rule, str) else rule for rule in rules]}


def _struct(*rules: Any, **properties: Document) -> Document:
    return {"type": "object", "properties": properties, **(_rules(*rules) if rules else {})}


_ITEM = _struct(
    "self.v >= 0",
    {"rule": "self.v >= oldSelf.v", "message": "goes down"},
    {"rule": "oldSelf.orValue(self).n == self.n", "optionalOldSelf": True},
    n=STRING,
    v=INTEGER,
    tags={"type": "array", "items": {**STRING, **_rules("self != 'bad'")}, "x-kubernetes-list-type": "set"},
)
_SPEC = _struct(
    "!has(self.low) || !has(self.high) || self.low <= self.high",
    {"rule": "!has(self.low) || self.low > 0", "message": "too low", "fieldPath": ".low", "reason": "FieldValueForbidden"},
    {"rule": "!has(self.s) || self.s.size() < 4", "messageExpression": "'long: ' + self.s", "fieldPath": ".s"},
    {"rule": "!has(self.s) || self.s != 'dup'", "reason": "FieldValueDuplicate", "fieldPath": ".s"},
    {"rule": "has(self.s) || !has(self.low)", "reason": "FieldValueRequired", "message": "s is needed", "fieldPath": ".s"},
    {"rule": "!has(self.high) || 100 / self.high > 1", "messageExpression": "string(1 / 0)"},
    {"rule": "!has(self.fixed) || self.fixed == oldSelf.fixed", "message": "fixed"},
    {"rule": "!oldSelf.hasValue() || !has(oldSelf.value().fixed) || has(self.fixed)", "optionalOldSelf": True, "message": "stays"},
    "!has(self.port) || (type(self.port) == int ? self.port > 10 : self.port == 'http')",
    "!has(self.set) || !has(oldSelf.set) || oldSelf.set.all(x, x in self.set)",
    "!has(self.set) || !has(self.other) || self.set == self.other",
    "!has(self.set) || !has(self.other) || sets.intersects(self.set, self.other)",
    "!has(self.items) || self.items.map(i, i.n).isSorted()",
    "!has(self.m) || self.m.all(k, k.startsWith('k') && self.m[k] != '')",
    "!has(self.ratio) || self.ratio * 2.0 < 10.0",
    "!has(self.at) || !has(self.span) || self.at + self.span > timestamp('2026-01-01T00:00:00Z')",
    "!has(self.raw) || self.raw.size() < 4",
    "!has(self.nothing) || self.nothing != 'x'",
    "!has(self.m) || self.m['key'] != 'no'",
    "!has(self.m) || self.?m.key.orValue('') != 'never'",
    low=INTEGER,
    high=INTEGER,
    s=STRING,
    fixed=STRING,
    port={"x-kubernetes-int-or-string": True},
    set={"type": "array", "items": STRING, "x-kubernetes-list-type": "set"},
    other={"type": "array", "items": STRING, "x-kubernetes-list-type": "set"},
    items={"type": "array", "items": {**_ITEM, "required": ["n"]}, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"]},
    plain={"type": "array", "items": {**INTEGER, **_rules("self < 5")}},
    m={"type": "object", "additionalProperties": {**STRING, **_rules("self.size() < 5", "self != oldSelf || self == 'v'")}},
    ratio={"type": "number"},
    at={**STRING, "format": "date-time"},
    span={**STRING, "format": "duration"},
    raw={**STRING, "format": "byte"},
    nothing={**STRING, "nullable": True},
)
SCHEMA: Document = {
    **_struct(spec=_SPEC, status=_struct("self.n > 0", n=INTEGER)),
    **_rules("!has(self.spec) || self.metadata.name != 'wrong'", "self.apiVersion.endsWith('v1')", "has(self.status) || has(self.spec)"),
}
_ITEMS: list[Any] = [{"n": "a", "v": 1}, {"n": "b", "v": -1, "tags": ["x", "bad"]}, {"n": "c", "v": 3}]
_VALUES: dict[str, list[Any]] = {
    "low": [0, 1, 7],
    "high": [0, 1, 60, 9],
    "s": ["", "abc", "abcdef", "dup"],
    "fixed": ["a", "b"],
    "port": [5, 80, "http", "x"],
    "set": [[], ["a"], ["b", "a"], ["a", "b"]],
    "other": [["a", "b"], ["c"], []],
    "items": [_ITEMS, _ITEMS[::-1], _ITEMS[:1], [{"n": "a", "v": 0}], [{"n": "a"}], [{"n": "a", "v": 5}, {"n": "b", "v": 2}]],
    "plain": [[], [1, 7], [7, 7]],
    "m": [{}, {"key": "v"}, {"key": "no", "k2": ""}, {"x": "longer"}, {"key": "never"}, {"key": "v", "k2": "w"}],
    "ratio": [1, 1.5, 5, 7.25],
    "at": ["2026-01-02T03:04:05Z", "2020-01-01T00:00:00+02:00"],
    "span": ["1h", "90000h"],
    "raw": ["aGk=", "aGVsbG8="],
    "nothing": [None, "x", "y"],
}


def _document(chance: random.Random) -> Document:
    spec = {name: chance.choice(values) for name, values in _VALUES.items() if chance.random() < 0.3}
    made: Document = {"apiVersion": chance.choice(["e.com/v1"] * 5 + ["e.com/v2"]), "kind": "W"}
    made["metadata"] = {"name": chance.choice(["x"] * 5 + ["wrong"])}
    if chance.random() < 0.95:
        made["spec"] = spec
    if chance.random() < 0.3:
        made["status"] = {"n": chance.choice([0, 1])}
    return copy.deepcopy(made)


def _changed(old: Document, chance: random.Random) -> Document:
    """A document with a few fields set anew, or left out."""
    new = copy.deepcopy(old)
    spec = new.setdefault("spec", {})
    for name in chance.sample(sorted(_VALUES), chance.choice([0, 1, 2, 4])):
        if name in spec and chance.random() < 0.3:
            del spec[name]
        else:
            spec[name] = copy.deepcopy(chance.choice(_VALUES[name]))
    return new


def pairs() -> Iterator[tuple[Document, Document | None]]:
    """Documents, and what they were before."""
    chance = random.Random(7)
    for _ in range(150):
        made = _document(chance)
        yield made, None
        yield _changed(made, chance), made


if __name__ == "__main__":
    print(json.dumps(SCHEMA))
    for document, before in pairs():
        print(json.dumps({"new": document, "old": before}))
