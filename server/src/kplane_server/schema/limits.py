# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The value restrictions of one schema node (lengths, bounds, patterns, enumerations, logical combinations), compiled.

Most nodes have none, so they are kept apart from the node and cost the walk one comparison.
Patterns come from tenants: RE2 matches in linear time and has the syntax that Kubernetes documents (Go's).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import re2  # type: ignore[import-untyped]

from kplane_server.model.errors import Json

if TYPE_CHECKING:
    from kplane_server.schema.structural import Schema

#: Larger programs than this are refused, so that a pattern cannot eat the memory of the server.
_PATTERN_MEMORY: Final = 4 * 1024 * 1024

_options = re2.Options()
_options.log_errors = False
_options.max_mem = _PATTERN_MEMORY


@lru_cache(maxsize=1024)
def compile_pattern(pattern: str) -> Any:
    """A searcher with RE2 syntax. Raises ``ValueError`` for a pattern that is not one."""
    try:
        return re2.compile(pattern, _options)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        raise ValueError(f"error parsing regexp: {reason.decode(errors='replace') if isinstance(reason, bytes) else reason}") from error


@lru_cache(maxsize=1024)
def _finder(pattern: str) -> Any:
    finder = re2.Set.SearchSet(_options)
    finder.Add(pattern)
    finder.Compile()
    return finder


def matches(pattern: str, text: str) -> bool:
    """Whether ``pattern``, which compiles, is found in ``text``.

    A set of one costs a sixth of a search, whose result is an object with groups. It may give up for want of memory, so a no is checked.
    """
    return _finder(pattern).Match(text) is not None or compile_pattern(pattern).search(text) is not None


@dataclass(frozen=True, slots=True)
class Limits:
    """What a value must keep to; ``None`` means no restriction."""

    max_length: int | None = None
    min_length: int | None = None
    pattern: str | None = None
    maximum: float | int | None = None
    exclusive_maximum: bool = False
    minimum: float | int | None = None
    exclusive_minimum: bool = False
    multiple_of: float | int | None = None
    max_items: int | None = None
    min_items: int | None = None
    unique_items: bool = False
    max_properties: int | None = None
    min_properties: int | None = None
    enum: tuple[Json, ...] | None = None
    format: str = ""
    all_of: tuple[Schema, ...] = ()
    any_of: tuple[Schema, ...] = ()
    one_of: tuple[Schema, ...] = ()
    negated: Schema | None = None


_KEYS: Final = {
    "maxLength": "max_length",
    "minLength": "min_length",
    "pattern": "pattern",
    "maximum": "maximum",
    "exclusiveMaximum": "exclusive_maximum",
    "minimum": "minimum",
    "exclusiveMinimum": "exclusive_minimum",
    "multipleOf": "multiple_of",
    "maxItems": "max_items",
    "minItems": "min_items",
    "uniqueItems": "unique_items",
    "maxProperties": "max_properties",
    "minProperties": "min_properties",
    "format": "format",
}


def compile_limits(document: Mapping[str, Json], child: Callable[[Mapping[str, Json]], Schema]) -> Limits | None:
    """The restrictions of a document, or ``None`` if it has none. ``child`` compiles members of allOf and the like."""
    values: dict[str, Any] = {name: document[key] for key, name in _KEYS.items() if document.get(key) is not None}
    if document.get("enum"):
        values["enum"] = tuple(document["enum"])
    for key, name in (("allOf", "all_of"), ("anyOf", "any_of"), ("oneOf", "one_of")):
        if document.get(key):
            values[name] = tuple(child(member) for member in document[key])
    if document.get("not") is not None:
        values["negated"] = child(document["not"])
    return Limits(**values) if values else None
