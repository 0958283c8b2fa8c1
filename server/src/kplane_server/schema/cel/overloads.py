# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The functions of the language with the types of their arguments: ``data/overloads.json``, which lists Kubernetes 1.34's.

tests/server/unit/schema/cel/upstream/signatures makes that file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

import orjson

from kplane_server.schema.cel.declarations import Type


class Overload(NamedTuple):
    """One way to call a function. ``member``: on a value, whose type is the first argument's."""

    name: str
    member: bool
    arguments: tuple[Type, ...]
    result: Type


@cache
def overloads() -> Mapping[str, tuple[Overload, ...]]:
    """The overloads of each function, in the order in which they are tried."""
    table = orjson.loads(files("kplane_server.schema.cel").joinpath("data/overloads.json").read_bytes())
    return {function: tuple(_overload(row) for row in rows) for function, rows in table.items()}


def _overload(row: tuple[str, str, list[str], str]) -> Overload:
    name, style, arguments, result = row
    return Overload(name, style == "member", tuple(_type(text) for text in arguments), _type(result))


_PART: Final = re.compile(r"[^(),\s]+|[(),]")


def _type(text: str) -> Type:
    """``map(string, <V>)`` as a type."""
    parts = _PART.findall(text)
    parts.reverse()
    return _read(parts)


def _read(parts: list[str]) -> Type:
    name = parts.pop()
    parameters: list[Type] = []
    if parts and parts[-1] == "(":
        while parts.pop() in "(,":
            parameters.append(_read(parts))
    return Type(name, tuple(parameters))
