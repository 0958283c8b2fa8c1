# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Schemas with rules, to be judged by upstream and by us: one with many expressions, and many at the edge of what is accepted.

``python rule_cases.py | recorder > answers.jsonl``, where the recorder is tests/server/unit/schema/cel/upstream/costs/main.go, built in
a module that requires what it says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Schema = dict[str, Any]
_UPSTREAM = Path(__file__).parents[1] / "unit" / "schema" / "cel" / "upstream"
STRING: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
BOOLEAN: Schema = {"type": "boolean"}


def struct(*required: str, **properties: Schema) -> Schema:
    made: Schema = {"type": "object", "properties": properties}
    return {**made, "required": list(required)} if required else made


def array(items: Schema, most: int | None = None, **more: Any) -> Schema:
    made: Schema = {"type": "array", "items": items, **more}
    return made if most is None else {**made, "maxItems": most}


def mapping(values: Schema, most: int | None = None) -> Schema:
    made: Schema = {"type": "object", "additionalProperties": values}
    return made if most is None else {**made, "maxProperties": most}


def ruled(schema: Schema, *rules: str, **more: Any) -> Schema:
    return {**schema, "x-kubernetes-validations": [{"rule": rule, **more} for rule in rules]}


def root(spec: Schema, *rules: str) -> Schema:
    made = struct(spec=spec)
    return ruled(made, *rules) if rules else made


ITEM = struct("name", name={**STRING, "maxLength": 63}, port=INTEGER, tags=array({**STRING, "maxLength": 20}, 8), weight={"type": "number"})
PROPERTIES: dict[str, Schema] = {
    "a": INTEGER,
    "b": BOOLEAN,
    "d": {"type": "number"},
    "s": STRING,
    "short": {**STRING, "maxLength": 20},
    "choice": {**STRING, "enum": ["small", "medium", "large"]},
    "raw": {**STRING, "format": "byte", "maxLength": 100},
    "at": {**STRING, "format": "date-time"},
    "day": {**STRING, "format": "date"},
    "span": {**STRING, "format": "duration"},
    "port": {"x-kubernetes-int-or-string": True},
    "percent": {"x-kubernetes-int-or-string": True, "maxLength": 4},
    "nothing": {**STRING, "nullable": True},
    "l": array(INTEGER),
    "ints": array(INTEGER, 10),
    "strings": array({**STRING, "maxLength": 32}, 16),
    "open": array(STRING),
    "items": array(ITEM, 10),
    "keyed": array(ITEM, 12, **{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}),
    "nested": array(array(array({**STRING, "maxLength": 5}, 4), 5), 6),
    "m": mapping(STRING),
    "few": mapping({**STRING, "maxLength": 10}, 5),
    "structs": mapping(ITEM, 7),
    "deep": struct(inner=struct(leaf={**STRING, "maxLength": 9}, other=array(struct(p=STRING, q={**STRING, "maxLength": 3}), 3))),
    "kept": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    "whatever": {"x-kubernetes-preserve-unknown-fields": True},
    "embedded": {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True},
    "a-b": STRING,
    "c.d": {**STRING, "maxLength": 6},
    "e__f": STRING,
    "namespace": {**STRING, "maxLength": 63},
    "in": INTEGER,
    "$odd": STRING,
}


def _expressions() -> Iterator[dict[str, str]]:
    """What rules of people look like, one rule of each function, the expressions that the language is tested with, and messages."""
    costs = _UPSTREAM / "costs"
    recorded = json.loads((_UPSTREAM / "answers.json").read_text(encoding="utf-8"))
    yield from ({"rule": text} for text in (costs / "expressions.txt").read_text(encoding="utf-8").splitlines())
    yield from ({"rule": f"[{row[0]}].size() == 1", "message": "several lines"} for row in recorded)
    messages = (costs / "messages.txt").read_text(encoding="utf-8").splitlines()
    yield from ({"rule": "self.b", "message": "no", "messageExpression": text} for text in messages)


def _edges() -> Iterator[tuple[str, Schema]]:
    """Schemas that grow until they are refused."""
    for most in (3, 60, 600, 1200, 2500, 5000, 60_000):
        yield (
            f"pairs-{most}",
            root(struct(l=ruled(array({**STRING, "maxLength": 10}, most), "self.all(x, self.all(y, x == y || x != ''))"))),
        )
        inner = ruled({**STRING, "maxLength": most}, "self.matches('^[a-z]+([-.][a-z0-9]+)*$') && self.contains('abcdefghijklmnop')")
        yield f"patterns-{most}", root(struct(l=array(inner, 1000)))
        yield f"repeats-{most}", root(struct(m=mapping(array(ruled(INTEGER, "self > 1 && self < 100 || self in [1000, 2000]"), 100), most)))
        item = ruled(struct("name", name=STRING, n=INTEGER), "self.n > 0", "self.name.size() > 1 && self.name != 'x'")
        yield f"struct-{most}", root(struct(l=array(array(item, 20), most)))
        counted = ruled(array(struct(k={**STRING, "maxLength": 64}), most), "self.map(x, x.k).all(k, k.startsWith('abcdefghijkl'))")
        yield f"mapped-{most}", root(struct(l=counted))
    for count in (1, 4, 11, 12, 30):
        rules = [f"self.l.all(x, self.l.all(y, x + y != {number}))" for number in range(count)]
        yield f"total-{count}", root(ruled(struct(l=array(INTEGER, 1100)), *rules))
    unbounded = {
        "list": array(ruled(INTEGER, "self > 1")),
        "list-of-lists": array(array(ruled(STRING, "self != ''"))),
        "map": mapping(ruled(struct("aaaa", aaaa=STRING), "self.aaaa.size() > 3")),
        "pairs": ruled(array(INTEGER), "self.all(x, self.all(y, x == y))"),
        "text": ruled(STRING, "self.matches('^(a|b)*c+[0-9]{2,5}$')"),
        "required": array(
            ruled(struct("nnnnnnnnnnnnnnnnnnnnn", nnnnnnnnnnnnnnnnnnnnn=STRING, o={**STRING, "default": "x"}), "self.o > 'abc'")
        ),
        "booleans": array(ruled(BOOLEAN, "self || !self && self")),
        "optional-old": ruled(struct(s=STRING), "oldSelf.orValue(self).s == self.s", optionalOldSelf=True),
        "old-in-list": array(ruled(INTEGER, "self == oldSelf"), 5),
        "old-in-atomic-map": {**struct(a=ruled(INTEGER, "self == oldSelf")), "x-kubernetes-map-type": "atomic"},
        "unused-old": ruled(struct(s=STRING), "self.s == ''", optionalOldSelf=True),
        "message": ruled(array(STRING, 9), "true", messageExpression="self.map(x, self.map(y, x + y).join()).join()"),
        "dear-message": ruled(array(array(STRING)), "true", messageExpression="'a'.matches(self.map(x, x.join()).join())?'a':'b'"),
        "untyped": ruled({"x-kubernetes-int-or-string": True}, "self == 5 || self == '50%' || self.size() > 2"),
        "embedded": ruled(PROPERTIES["embedded"], "self.metadata.name != '' && self.kind.startsWith('P')"),
    }
    for name, schema in unbounded.items():
        yield f"unbounded-{name}", root(struct(part=schema))
    yield (
        "root",
        root(
            struct(a=INTEGER),
            "self.metadata.name.startsWith('a')",
            "self.spec.a > 1",
            "self.kind == 'X'",
            "self.metadata.labels.size() > 1",
        ),
    )


def _defaults() -> Iterator[tuple[str, Schema]]:
    """Defaults of parts that have rules."""
    positive = ruled(INTEGER, "self > 0")
    span = struct(low=INTEGER, high=INTEGER)
    cases: dict[str, Schema] = {
        "good": {**positive, "default": 1},
        "bad": {**positive, "default": 0},
        "of-object": {**ruled(span, "self.low <= self.high", message="upside down"), "default": {"low": 3, "high": 1}},
        "below": {**struct(a=positive, b=array(positive)), "default": {"a": -1, "b": [1, 0]}},
        "of-another-type": {**positive, "default": "x"},
        "transition": {**ruled(INTEGER, "self > oldSelf"), "default": 1},
        "kept": {**ruled(INTEGER, "self >= oldSelf"), "default": 1},
        "first": {**ruled(INTEGER, "oldSelf.hasValue()", optionalOldSelf=True), "default": 1},
        "fails": {**ruled(INTEGER, "10 / self > 1"), "default": 0},
        "placed": {**ruled(span, "self.low > 3", fieldPath=".low", reason="FieldValueForbidden"), "default": {"low": 1}},
        "pruned": {**ruled(span, "self.low > 3"), "default": {"low": 1, "odd": 5}},
        "in-items": array(struct(n={**positive, "default": -5})),
        "of-list": {**ruled(array(INTEGER), "self.size() > 2"), "default": [1, 2]},
        "dear": {**ruled(array(INTEGER), "self.all(x, self.all(y, self.all(z, x + y > z)))"), "default": list(range(120))},
    }
    for name, schema in cases.items():
        yield f"default-{name}", root(struct(part=schema))
    yield "default-above", root({**struct(part=positive), "default": {"part": 0}})


def cases() -> Iterator[tuple[str, Schema]]:
    """Names and schemas."""
    yield "expressions", root({**struct(**PROPERTIES), "x-kubernetes-validations": list(_expressions())})
    yield from _edges()
    yield from _defaults()


if __name__ == "__main__":
    for case, document in cases():
        print(json.dumps({"name": case, "schema": document}))
