# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes ``recordings.json.xz``: random sequences of writes, and what upstream's own field manager (k8s.io/apimachinery) answers.

Run ``go mod tidy && go build -o /tmp/recorder .`` in a copy of this folder, then ``python record.py /tmp/recorder [seed [count]]``.
"""

from __future__ import annotations

import copy
import json
import lzma
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

STRING = {"type": "string"}
INTEGER = {"type": "integer"}
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def struct(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def keyed(item: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {"type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


SET = {"type": "array", "items": STRING, "x-kubernetes-list-type": "set"}
STRINGS = {"type": "object", "additionalProperties": STRING}
META = struct(
    name=STRING,
    namespace=STRING,
    labels=STRINGS,
    annotations=STRINGS,
    finalizers=SET,
    creationTimestamp={"type": "string", "format": "date-time"},
    ownerReferences=keyed({**struct(uid=STRING, name=STRING), "x-kubernetes-map-type": "atomic"}, "uid"),
    managedFields={"type": "array", "x-kubernetes-list-type": "atomic", "items": {"type": "object"}},
)
ITEM = struct(name=STRING, v=INTEGER, tags=SET, env=keyed(struct(name=STRING, value=STRING), "name"), sub=struct(x=INTEGER, y=STRING))
PORT = struct(port=INTEGER, protocol={"type": "string", "default": "TCP"}, n=STRING)
SPEC = struct(
    replicas=INTEGER,
    s=STRING,
    b={"type": "boolean"},
    al={"type": "array", "items": STRING, "x-kubernetes-list-type": "atomic"},
    plain={"type": "array", "items": INTEGER},
    set=SET,
    items=keyed(ITEM, "name"),
    ports=keyed(PORT, "port", "protocol"),
    gm=STRINGS,
    am={**STRINGS, "x-kubernetes-map-type": "atomic"},
    gmo={"type": "object", "additionalProperties": struct(x=INTEGER, y=STRING)},
    st=struct(a=INTEGER, b=STRING, deep=struct(c=INTEGER)),
    ast={**struct(a=INTEGER, b=STRING), "x-kubernetes-map-type": "atomic"},
    free={"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    ios={"x-kubernetes-int-or-string": True},
)
ROOT = struct(apiVersion=STRING, kind=STRING, metadata={"$ref": "#/components/schemas/Meta"}, spec=SPEC)
SCHEMAS = {"T": {**ROOT, "x-kubernetes-group-version-kind": [{"group": "g", "version": "v1", "kind": "T"}]}, "Meta": META}


class Generator:
    """Random objects and writes."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def maybe(self, chance: float = 0.5) -> bool:
        return self.random.random() < chance

    def some(self, **choices: Callable[[], Any]) -> dict[str, Any]:
        return {key: make() for key, make in choices.items() if self.maybe()}

    def letters(self, alphabet: str) -> list[str]:
        return self.random.sample(alphabet, self.random.randint(0, len(alphabet)))

    def number(self) -> int:
        return self.random.randint(0, 2)

    def letter(self) -> str:
        return self.random.choice("pq")

    def free(self, depth: int = 0) -> Any:
        kind = self.random.randint(0, 5 if depth < 2 else 3)
        if kind == 4:
            return [self.free(depth + 2) for _ in range(self.number())]
        if kind == 5:
            return self.some(a=lambda: self.free(depth + 1), b=lambda: self.free(depth + 1))
        return [self.letter(), self.number(), self.maybe(), None if self.maybe(0.2) else "z"][kind]

    def item(self, name: str) -> dict[str, Any]:
        env = [{"name": n, **self.some(value=self.letter)} for n in self.letters("ABC")]
        more = self.some(
            v=self.number, tags=lambda: self.letters("xyz"), env=lambda: env, sub=lambda: self.some(x=self.number, y=self.letter)
        )
        return {"name": name, **more, **({"sub": None} if self.maybe(0.05) else {})}

    def ports(self) -> list[dict[str, Any]]:
        found = {}
        for _ in range(self.random.randint(0, 3)):
            port = {
                "port": self.random.choice([80, 443, 9]),
                **self.some(protocol=lambda: self.random.choice(["TCP", "UDP"]), n=self.letter),
            }
            found[(port["port"], port.get("protocol", "TCP"))] = port
        return list(found.values())

    def spec(self) -> dict[str, Any]:
        makers: dict[str, Callable[[], Any]] = {
            "replicas": self.number,
            "s": self.letter,
            "b": self.maybe,
            "al": lambda: self.letters("xyz"),
            "plain": lambda: [self.number() for _ in range(self.number())],
            "set": lambda: self.letters("wxyz"),
            "items": lambda: [self.item(name) for name in self.letters("abcd")],
            "ports": self.ports,
            "gm": lambda: self.some(a=self.letter, b=self.letter),
            "am": lambda: self.some(a=self.letter, b=self.letter),
            "gmo": lambda: self.some(a=lambda: self.some(x=self.number), b=lambda: self.some(x=self.number, y=self.letter)),
            "st": lambda: self.some(a=self.number, b=self.letter, deep=lambda: self.some(c=self.number)),
            "ast": lambda: self.some(a=self.number, b=self.letter),
            "free": lambda: self.some(a=self.free, b=self.free, c=self.free),
            "ios": lambda: self.random.choice([1, "1", "2"]),
        }
        return {key: None if self.maybe(0.04) else make() for key, make in makers.items() if self.maybe(0.35)}

    def object(self) -> dict[str, Any]:
        metadata: dict[str, Any] = {"name": "n"}
        if self.maybe(0.4):
            metadata["labels"] = self.some(a=self.letter, b=self.letter)
        if self.maybe(0.2):
            metadata["finalizers"] = self.letters("xyz")
        if self.maybe(0.2):
            metadata["ownerReferences"] = [{"uid": uid, "name": self.letter()} for uid in self.letters("12")]
        if self.maybe(0.08):
            metadata["annotations"] = {LAST_APPLIED: json.dumps({"apiVersion": "g/v1", "kind": "T", "metadata": {}, "spec": self.spec()})}
        made = {"apiVersion": "g/v1", "kind": "T", "metadata": metadata}
        return {**made, "spec": self.spec()} if self.maybe(0.9) else made

    def writes(self) -> list[dict[str, Any]]:
        done: list[dict[str, Any]] = []
        for _ in range(self.random.randint(2, 7)):
            made = self.object()
            if done and self.maybe(0.4):  # a change of something that was written before
                made = copy.deepcopy(self.random.choice(done)["object"])
                made["spec"] = {**(made.get("spec") or {}), **{key: value for key, value in self.spec().items() if self.maybe()}}
            if self.maybe(0.55):
                done.append(
                    {"verb": "apply", "manager": self.random.choice(["a", "b", "kubectl"]), "force": self.maybe(0.4), "object": made}
                )
            else:
                done.append({"verb": "update", "manager": self.random.choice(["u", "w", "a"]), "object": self.with_duplicates(made)})
        return done

    def with_duplicates(self, made: dict[str, Any]) -> dict[str, Any]:
        spec = made.get("spec") or {}
        for key in ("set", "items"):
            if self.maybe(0.1) and spec.get(key):
                spec[key] = [*spec[key], copy.deepcopy(spec[key][0])]
        return made


def main(recorder: str, seed: int = 1, count: int = 250) -> None:
    generator = Generator(seed)
    cases = [generator.writes() for _ in range(count)]
    fed = "\n".join(json.dumps(part) for part in (SCHEMAS, *cases)) + "\n"
    answers = subprocess.run([recorder], input=fed, capture_output=True, text=True, check=True).stdout.splitlines()
    recorded = {"schemas": SCHEMAS, "cases": [{"writes": w, "answers": json.loads(a)} for w, a in zip(cases, answers, strict=True)]}
    for answer in (answer for case in recorded["cases"] for answer in case["answers"]):
        for entry in answer["live"].get("metadata", {}).get("managedFields", ()):
            entry["time"] = "T" if entry.get("time") else ""
    text = json.dumps(recorded, separators=(",", ":"), sort_keys=True).encode()
    Path(__file__).with_name("recordings.json.xz").write_bytes(lzma.compress(text, preset=9))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
