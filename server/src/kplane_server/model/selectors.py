# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Label and field selectors, in their text and document forms.

The grammar and the error texts are those of Kubernetes, because clients show the texts.
Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

from kplane_server.model.errors import Json
from kplane_server.model.metadata import label_value_problems, qualified_name_problems

#: A selector that is longer (characters), or has more terms, is refused before it is parsed.
MAX_SELECTOR_LENGTH: Final = 256 * 1024
MAX_REQUIREMENTS: Final = 4096

_INT64 = range(-(2**63), 2**63)


class LabelRequirement(NamedTuple):
    """One term: ``operator`` is one of ``in notin = == != exists ! gt lt``; ``values`` are sorted."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        operator = self.operator
        if operator in ("in", "=", "=="):
            return value is not None and value in self.values
        if operator in ("notin", "!="):
            return value is None or value not in self.values
        if operator == "exists":
            return value is not None
        if operator == "!":
            return value is None
        number = None if value is None else _parse_int64(value)
        if number is None:
            return False
        bound = int(self.values[0])
        return number > bound if operator == "gt" else number < bound

    def __str__(self) -> str:
        match self.operator:
            case "exists":
                return self.key
            case "!":
                return f"!{self.key}"
            case "in" | "notin":
                return f"{self.key} {self.operator} ({','.join(self.values)})"
            case "gt" | "lt":
                return f"{self.key}{'>' if self.operator == 'gt' else '<'}{self.values[0]}"
        return f"{self.key}{self.operator}{self.values[0]}"


@dataclass(frozen=True)
class LabelSelector:
    """A conjunction of requirements; ``nothing`` is the selector of a missing document, which matches no object."""

    requirements: tuple[LabelRequirement, ...] = ()
    nothing: bool = False

    @property
    def empty(self) -> bool:
        """Whether every object matches."""
        return not self.requirements and not self.nothing

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        """Whether an object with these labels is selected."""
        return not self.nothing and self._test(labels or {})

    @cached_property
    def _test(self) -> Callable[[Mapping[str, str]], bool]:
        requirements = self.requirements
        if len(requirements) == 1:
            return requirements[0].matches
        return lambda labels: all(r.matches(labels) for r in requirements)

    def __str__(self) -> str:
        return ",".join(str(r) for r in self.requirements)


EVERYTHING: Final = LabelSelector()
NOTHING: Final = LabelSelector(nothing=True)

_BINARY_OPERATORS = "in, notin, =, ==, !=, gt, lt"  # as an error lists them
_TOKEN = re.compile(r"[ \t\r\n]*(?:(?P<end>\Z)|(?P<symbol>==|!=|[=!(),<>])|(?P<word>[^ \t\r\n=!(),<>]+))")
_OPERATORS: Final = {"in": "in", "notin": "notin", "=": "=", "==": "==", "!=": "!=", ">": "gt", "<": "lt"}


class _Tokens:
    """The tokens of a label selector, with one of look-ahead. A token is its kind (``word``, ``symbol``, ``end``) and text."""

    def __init__(self, text: str) -> None:
        self._scanner = self._scan(text)
        self.kind, self.text = next(self._scanner)

    @staticmethod
    def _scan(text: str) -> Iterator[tuple[str, str]]:
        position = 0
        while True:
            found = _TOKEN.match(text, position)
            assert found is not None  # one of the three alternatives always matches
            kind = found.lastgroup or "end"
            yield kind, found[kind]
            position = found.end()
            if kind == "end":
                while True:
                    yield "end", ""

    def next(self) -> tuple[str, str]:
        taken = self.kind, self.text
        self.kind, self.text = next(self._scanner)
        return taken


def parse_label_selector(text: str) -> LabelSelector:
    """Parse the ``labelSelector`` of a query. Raises ``ValueError`` with Kubernetes' words."""
    if not text:
        return EVERYTHING
    if len(text) > MAX_SELECTOR_LENGTH:
        raise ValueError(f"selector is longer than {MAX_SELECTOR_LENGTH} characters")
    if "\0" in text:
        raise ValueError("selector contains a NUL character")
    tokens = _Tokens(text)
    requirements: list[LabelRequirement] = []
    while tokens.kind != "end":
        if tokens.kind != "word" and tokens.text != "!":
            raise ValueError(f"found '{tokens.text}', expected: !, identifier, or 'end of string'")
        try:
            requirements.append(_parse_requirement(tokens))
        except ValueError as error:
            raise ValueError(f"unable to parse requirement: {error}") from error
        if len(requirements) > MAX_REQUIREMENTS:
            raise ValueError(f"selector has more than {MAX_REQUIREMENTS} requirements")
        kind, symbol = tokens.next()
        if kind == "end":
            break
        if symbol != ",":
            raise ValueError(f"found '{symbol}', expected: ',' or 'end of string'")
        if tokens.kind != "word" and tokens.text != "!":
            raise ValueError(f"found '{tokens.text}', expected: identifier after ','")
    return LabelSelector(tuple(sorted(requirements, key=lambda r: r.key)))


def _parse_requirement(tokens: _Tokens) -> LabelRequirement:
    kind, key = tokens.next()
    negated = key == "!" and kind == "symbol"
    if negated:
        kind, key = tokens.next()
    if kind != "word":
        raise ValueError(f"found '{key}', expected: identifier")
    if problems := qualified_name_problems(key):
        raise ValueError(f'<nil>: Invalid value: "{key}": ' + "; ".join(problems))
    if negated:
        return LabelRequirement(key, "!")
    if tokens.kind == "end" or tokens.text == ",":
        return LabelRequirement(key, "exists")
    _, sign = tokens.next()
    operator = _OPERATORS.get(sign)
    if operator is None:
        raise ValueError(f"found '{sign}', expected: {_BINARY_OPERATORS}")
    values = _parse_values(tokens) if operator in ("in", "notin") else _parse_exact_value(tokens)
    return label_requirement(key, operator, values)


def _parse_values(tokens: _Tokens) -> set[str]:
    """``(a,b)``; an empty place between commas or brackets is the empty value."""
    _, opening = tokens.next()
    if opening != "(":
        raise ValueError(f"found '{opening}' expected: '('")
    if tokens.kind != "word" and tokens.text not in (",", ")"):
        raise ValueError(f"found '{tokens.text}', expected: ',', ')' or identifier")
    values: set[str] = set()
    while True:
        if tokens.kind == "word":
            values.add(tokens.next()[1])
            if tokens.text not in (",", ")"):
                raise ValueError(f"found '{tokens.text}', expected: ',' or ')'")
        elif tokens.text in (",", ")"):
            values.add("")
        else:
            raise ValueError(f"found '{tokens.text}', expected: ',', or identifier")
        if tokens.next()[1] == ")":
            return values


def _parse_exact_value(tokens: _Tokens) -> set[str]:
    if tokens.kind == "end" or tokens.text == ",":
        return {""}
    kind, value = tokens.next()
    if kind != "word":
        raise ValueError(f"found '{value}', expected: identifier")
    return {value}


def label_requirement(key: str, operator: str, values: Sequence[str] | set[str]) -> LabelRequirement:
    """A checked requirement. Raises ``ValueError`` that names every problem."""
    ordered = tuple(sorted(set(values)))
    shown = "[" + ", ".join(f'"{v}"' for v in ordered) + "]"
    problems = [f'key: Invalid value: "{key}": ' + "; ".join(found)] if (found := qualified_name_problems(key)) else []
    if operator in ("in", "notin") and not ordered:
        problems.append(f"values: Invalid value: {shown}: for 'in', 'notin' operators, values set can't be empty")
    if operator in ("exists", "!") and ordered:
        problems.append(f"values: Invalid value: {shown}: values set must be empty for exists and does not exist")
    if operator in ("=", "==", "!=") and len(ordered) != 1:
        problems.append(f"values: Invalid value: {shown}: exact-match compatibility requires one single value")
    if operator in ("gt", "lt"):
        if len(ordered) != 1:
            problems.append(f"values: Invalid value: {shown}: for 'Gt', 'Lt' operators, exactly one value is required")
        for index, value in enumerate(ordered):
            if _parse_int64(value) is None:
                problems.append(f"values[{index}]: Invalid value: \"{value}\": for 'Gt', 'Lt' operators, the value must be an integer")
    for index, value in enumerate(ordered):
        if found := label_value_problems(value):
            problems.append(f'values[{index}][{key}]: Invalid value: "{value}": ' + "; ".join(found))
    if problems:
        raise ValueError(problems[0] if len(problems) == 1 else "[" + ", ".join(problems) + "]")
    return LabelRequirement(key, operator, ordered)


def _parse_int64(text: str) -> int | None:
    if not re.fullmatch(r"[+-]?[0-9]{1,19}", text):
        return None
    number = int(text)
    return number if number in _INT64 else None


_DOCUMENT_OPERATORS: Final = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}


def label_selector_from_document(document: Json | None) -> LabelSelector:
    """The selector of a ``metav1.LabelSelector``: missing selects nothing, empty selects everything."""
    if document is None:
        return NOTHING
    requirements = [label_requirement(key, "=", [value]) for key, value in (document.get("matchLabels") or {}).items()]
    for expression in document.get("matchExpressions") or ():
        name = expression.get("operator") or ""
        operator = _DOCUMENT_OPERATORS.get(name)
        if operator is None:
            raise ValueError(f'"{name}" is not a valid label selector operator')
        requirements.append(label_requirement(expression.get("key") or "", operator, expression.get("values") or ()))
    return LabelSelector(tuple(sorted(requirements, key=lambda r: r.key)))


class FieldRequirement(NamedTuple):
    """One term of a field selector; ``operator`` is ``=`` or ``!=``."""

    field: str
    operator: str
    value: str


@dataclass(frozen=True)
class FieldSelector:
    """A conjunction of field requirements. A field that is missing has the empty value."""

    requirements: tuple[FieldRequirement, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether every object matches."""
        return not self.requirements

    def matches(self, fields: Mapping[str, str]) -> bool:
        """Whether an object with these selectable fields is selected."""
        return all((fields.get(field, "") == value) == (operator == "=") for field, operator, value in self.requirements)

    def exact(self, field: str) -> str | None:
        """The value that ``field`` must have, if one term demands it (``metadata.name=x`` is a look-up of one object)."""
        return next((r.value for r in self.requirements if r.field == field and r.operator == "="), None)

    def __str__(self) -> str:
        return ",".join(f"{field}{operator}{escape_field_value(value)}" for field, operator, value in self.requirements)


ALL_FIELDS: Final = FieldSelector()
_TERM = re.compile(r"(?:[^\\,]|\\.?)*", re.DOTALL)
_FIELD_OPERATOR = re.compile("!=|==|=")


def escape_field_value(value: str) -> str:
    """``value`` as it is written in a field selector."""
    return value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")


def _unescape_field_value(text: str) -> str:
    if not any(c in text for c in "\\,="):
        return text
    out: list[str] = []
    characters = iter(text)
    for character in characters:
        if character == "\\":
            escaped = next(characters, "")
            if escaped not in ("\\", ",", "="):
                raise ValueError(f"invalid field selector: invalid escape sequence: \\{escaped}")
            out.append(escaped)
        elif character in ",=":
            raise ValueError(f"invalid field selector: unescaped character in value: {ord(character)}")
        else:
            out.append(character)
    return "".join(out)


def parse_field_selector(text: str) -> FieldSelector:
    """Parse the ``fieldSelector`` of a query. Raises ``ValueError`` with Kubernetes' words."""
    if not text:
        return ALL_FIELDS
    if len(text) > MAX_SELECTOR_LENGTH:
        raise ValueError(f"selector is longer than {MAX_SELECTOR_LENGTH} characters")
    requirements: list[FieldRequirement] = []
    for term in sorted(_split_terms(text)):
        if not term:
            continue
        found = _FIELD_OPERATOR.search(term)
        if found is None:
            raise ValueError(f"invalid selector: '{text}'; can't understand '{term}'")
        value = _unescape_field_value(term[found.end() :])
        requirements.append(FieldRequirement(term[: found.start()], "!=" if found[0] == "!=" else "=", value))
        if len(requirements) > MAX_REQUIREMENTS:
            raise ValueError(f"selector has more than {MAX_REQUIREMENTS} requirements")
    return FieldSelector(tuple(requirements))


def _split_terms(text: str) -> Iterator[str]:
    """The terms between commas that are not escaped."""
    position = 0
    while position <= len(text):
        found = _TERM.match(text, position)
        assert found is not None  # the pattern matches the empty string
        yield found[0]
        position = found.end() + 1
