# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSONPath as kubectl and printer columns write it.

``.spec.ports[0].name``, ``['a.b']``, ``[*]``, ``[1:3]``, ``..x`` and ``[?(@.type=="Ready")]``.
Source: https://kubernetes.io/docs/reference/kubectl/jsonpath/. Paths come from tenants: their length and their results are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import chain, islice
from typing import Final

from kplane_server.model.errors import Json

MAX_LENGTH: Final = 2048
#: A path gives at most this many results; the rest is not looked for.
MAX_RESULTS: Final = 1000

Step = Callable[[Json], Iterator[Json]]

_TOKEN = re.compile(
    r"""
      \.\.(?P<deep>[A-Za-z0-9_$-]+|\*)
    | \.(?P<name>(?:\\.|[^.\[\]\s(){}\\])+)
    | \[\s*(?P<index>-?\d{1,9})\s*\]
    | \[\s*(?P<slice>(?:-?\d{1,9})?\s*:\s*(?:-?\d{1,9})?(?:\s*:\s*(?:\d{1,9})?)?)\s*\]
    | \[\s*\*\s*\](?P<all>)
    | \[\s*(?P<quoted>'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")\s*\]
    | \[\?\(\s*(?P<filter>(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[^()'"])*)\)\s*\]
    """,
    re.VERBOSE,
)
_COMPARISON = re.compile(r"""^(?P<left>@[^=<>!]*?)\s*(?:(?P<operator>==|!=|<=|>=|<|>)\s*(?P<right>.+?))?\s*$""", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


class JsonPath:
    """A compiled path."""

    __slots__ = ("_steps", "text")

    def __init__(self, text: str, steps: tuple[Step, ...]) -> None:
        self.text = text
        self._steps = steps

    def find(self, obj: Json) -> list[Json]:
        """The values that the path leads to, in document order; empty when it leads nowhere."""
        found = [obj]
        for step in self._steps:
            found = list(islice(chain.from_iterable(map(step, found)), MAX_RESULTS))
        return found


@lru_cache(maxsize=1024)
def compile_path(text: str) -> JsonPath:
    """Compile a path, with or without ``{}`` and ``$``. Raises ``ValueError``."""
    if len(text) > MAX_LENGTH:
        raise ValueError(f"a JSONPath may not be longer than {MAX_LENGTH} characters")
    inner = text.strip()
    if inner.startswith("{") and inner.endswith("}"):
        inner = inner[1:-1].strip()
    inner = inner.removeprefix("$")
    if inner in ("", "."):
        return JsonPath(text, ())
    if inner[0] not in ".[":
        inner = "." + inner
    steps: list[Step] = []
    position = 0
    while position < len(inner):
        match = _TOKEN.match(inner, position)
        if match is None or match.end() == position:
            raise ValueError(f"unrecognized JSONPath {inner[position : position + 64]!r}")
        steps.append(_step(match))
        position = match.end()
    return JsonPath(text, tuple(steps))


def _step(match: re.Match[str]) -> Step:
    kind = match.lastgroup
    if kind == "deep":
        return _descend(match["deep"])
    if kind == "name":
        name = _ESCAPE.sub(r"\1", match["name"])
        return _every if name == "*" else _member(name)
    if kind == "index":
        return _element(int(match["index"]))
    if kind == "slice":
        return _part(match["slice"])
    if kind == "quoted":
        return _member(_ESCAPE.sub(r"\1", match["quoted"][1:-1]))
    if kind == "filter":
        return _filter(match["filter"])
    return _every


def _member(name: str) -> Step:
    def step(value: Json) -> Iterator[Json]:
        if isinstance(value, dict) and name in value:
            yield value[name]

    return step


def _element(index: int) -> Step:
    def step(value: Json) -> Iterator[Json]:
        if isinstance(value, list) and -len(value) <= index < len(value):
            yield value[index]

    return step


def _part(text: str) -> Step:
    numbers = [int(number) if number.strip() else None for number in text.split(":")]
    if len(numbers) == 3 and numbers[2] == 0:
        raise ValueError("the step of a slice may not be 0")
    window = slice(*numbers)

    def step(value: Json) -> Iterator[Json]:
        if isinstance(value, list):
            yield from value[window]

    return step


def _every(value: Json) -> Iterator[Json]:
    if isinstance(value, list):
        yield from value
    elif isinstance(value, dict):
        yield from value.values()


def _descend(name: str) -> Step:
    def step(value: Json) -> Iterator[Json]:
        waiting = [value]
        while waiting:
            current = waiting.pop()
            below: list[Json] = []
            if isinstance(current, dict):
                if name == "*":
                    yield from current.values()
                elif name in current:
                    yield current[name]
                below = list(current.values())
            elif isinstance(current, list):
                below = current
            waiting.extend(reversed(below))

    return step


_COMPARE: Final[dict[str, Callable[[Json, Json], bool]]] = {
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


def _literal(text: str) -> Json:
    if len(text) >= 2 and text[0] in "'\"" and text[-1] == text[0]:
        return _ESCAPE.sub(r"\1", text[1:-1])
    if text in ("true", "false"):
        return text == "true"
    try:
        return int(text) if re.fullmatch(r"-?\d{1,18}", text) else float(text)
    except ValueError as error:
        raise ValueError(f"unrecognized value {text[:64]!r} in a JSONPath filter") from error


def _filter(text: str) -> Step:
    match = _COMPARISON.match(text.strip())
    if match is None:
        raise ValueError(f"unrecognized JSONPath filter {text[:64]!r}")
    path = compile_path(match["left"].removeprefix("@").strip() or ".")
    if match["operator"] is None:
        return lambda value: (item for item in _every(value) if path.find(item))
    compare = _COMPARE[match["operator"]]
    wanted = _literal(match["right"].strip())

    def holds(item: Json) -> bool:
        for found in path.find(item):
            if isinstance(found, bool) != isinstance(wanted, bool) or isinstance(found, str) != isinstance(wanted, str):
                continue
            if isinstance(found, (str, int, float)) and compare(found, wanted):
                return True
        return False

    return lambda value: (item for item in _every(value) if holds(item))
