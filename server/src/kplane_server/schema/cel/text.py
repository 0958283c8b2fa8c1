# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Functions over text: the core ones, the string extension, regular expressions (RE2, as in Go)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import orjson

from kplane_server.schema.cel.conversions import double_text, duration_text, timestamp_text
from kplane_server.schema.cel.registry import function, method, need
from kplane_server.schema.cel.values import Duration, EvaluationError, Meter, Timestamp, TypeValue, Uint, Value
from kplane_server.schema.limits import compile_pattern

_SPACES: Final = " \t\n\v\f\r\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
_UPPER: Final = {code: code - 32 for code in range(97, 123)}
_LOWER: Final = {code: code + 32 for code in range(65, 91)}
_MAX_PRECISION: Final = 100


@method("contains", 1)
def contains(meter: Meter, value: Value, part: Value) -> Value:
    meter.text(len(need(value, str)) + len(need(part, str)))
    return part in value


@method("startsWith", 1)
def starts_with(meter: Meter, value: Value, part: Value) -> Value:
    meter.text(len(need(part, str)))
    return need(value, str).startswith(part)


@method("endsWith", 1)
def ends_with(meter: Meter, value: Value, part: Value) -> Value:
    meter.text(len(need(part, str)))
    return need(value, str).endswith(part)


def _pattern(meter: Meter, value: Value, pattern: Value) -> Any:
    """A compiled pattern; matching costs by the product of both sizes, as upstream reckons."""
    meter.charge((1 + len(need(value, str)) // 10) * (1 + len(need(pattern, str)) // 4))
    try:
        return compile_pattern(pattern)
    except ValueError as error:
        raise EvaluationError(str(error)) from error


@method("matches", 1)
def matches(meter: Meter, value: Value, pattern: Value) -> Value:
    return _pattern(meter, value, pattern).search(value) is not None


@function("matches", 2)
def matches_function(meter: Meter, value: Value, pattern: Value) -> Value:
    return matches(meter, value, pattern)


@method("find", 1)
def find(meter: Meter, value: Value, pattern: Value) -> Value:
    found = _pattern(meter, value, pattern).search(value)
    return "" if found is None else found[0]


@method("findAll", 1, 2)
def find_all(meter: Meter, value: Value, pattern: Value, limit: Value = -1) -> Value:
    out: list[str] = []
    for found in _pattern(meter, value, pattern).finditer(value):
        if 0 <= need(limit, int) <= len(out):
            break
        out.append(found[0])
    return out


@method("charAt", 1)
def char_at(meter: Meter, value: Value, at: Value) -> Value:
    meter.text(len(need(value, str)))
    if not 0 <= need(at, int) <= len(value):
        raise EvaluationError(f"index out of range: {at}")
    return value[at : at + 1]


@method("lowerAscii")
def lower_ascii(meter: Meter, value: Value) -> Value:
    meter.text(len(need(value, str)))
    return value.translate(_LOWER)


@method("upperAscii")
def upper_ascii(meter: Meter, value: Value) -> Value:
    meter.text(len(need(value, str)))
    return value.translate(_UPPER)


@method("trim")
def trim(meter: Meter, value: Value) -> Value:
    meter.text(len(need(value, str)))
    return value.strip(_SPACES)


@method("replace", 2, 3)
def replace(meter: Meter, value: Value, old: Value, new: Value, limit: Value = -1) -> Value:
    count = need(limit, int)
    size = len(need(value, str))
    times = (size + 1 if not need(old, str) else value.count(old)) if count < 0 else min(count, size + 1)
    meter.text(size, times * len(need(new, str)))
    return value.replace(old, new, count if count >= 0 else -1)


@method("split", 1, 2)
def split(meter: Meter, value: Value, separator: Value, limit: Value = -1) -> Value:
    meter.text(len(need(value, str)))
    count = need(limit, int)
    if count == 0:
        return []
    if not need(separator, str):
        parts = list(value)
        return parts if count < 0 or count >= len(parts) else [*parts[: count - 1], "".join(parts[count - 1 :])]
    return value.split(separator, count - 1 if count > 0 else -1)


@method("substring", 1, 2)
def substring(meter: Meter, value: Value, start: Value, end: Value = None) -> Value:
    meter.text(len(need(value, str)))
    stop = len(value) if end is None else need(end, int)
    if not 0 <= need(start, int) <= len(value):
        raise EvaluationError(f"index out of range: {start}")
    if not 0 <= stop <= len(value):
        raise EvaluationError(f"index out of range: {stop}")
    if start > stop:
        raise EvaluationError(f"invalid substring range. start: {start}, end: {stop}")
    return value[start:stop]


@method("join", 0, 1)
def join(meter: Meter, items: Value, separator: Value = "") -> Value:
    parts = [need(item, str) for item in need(items, list)]
    meter.text(sum(map(len, parts)), len(need(separator, str)) * len(parts))
    return separator.join(parts)


@function("strings.quote")
def quote(meter: Meter, value: Value) -> Value:
    meter.text(len(need(value, str)))
    escapes = {7: "\\a", 8: "\\b", 12: "\\f", 10: "\\n", 13: "\\r", 9: "\\t", 11: "\\v", 92: "\\\\", 34: '\\"'}
    return '"' + value.translate(escapes) + '"'


@method("format", 1)
def format_text(meter: Meter, pattern: Value, arguments: Value) -> Value:
    """``'%s is %d'.format([a, b])``."""
    out: list[str] = []
    rest = iter(need(arguments, list))
    text = need(pattern, str)
    at = 0
    while at < len(text):
        step = text.find("%", at)
        if step < 0:
            out.append(text[at:])
            break
        out.append(text[at:step])
        at, piece = _clause(text, step + 1, rest)
        out.append(piece)
        meter.text(len(piece))
    meter.text(len(text))
    return "".join(out)


def _clause(text: str, at: int, arguments: Any) -> tuple[int, str]:
    """One clause after its percent sign: where it ends, and what takes its place."""
    if text[at : at + 1] == "%":
        return at + 1, "%"
    precision = None
    if text[at : at + 1] == ".":
        end = at + 1
        while text[end : end + 1].isdigit():
            end += 1
        precision = int(text[at + 1 : end][:4] or "0")
        at = end
        if precision > _MAX_PRECISION:
            raise EvaluationError("precision is too large")
    kind = text[at : at + 1]
    if kind not in _CLAUSES:
        raise EvaluationError(f'could not parse formatting clause: unrecognized formatting clause "{kind}"')
    try:
        argument = next(arguments)
    except StopIteration:
        raise EvaluationError("index out of range") from None
    return at + 1, _CLAUSES[kind](argument, precision)


def _show(value: Value, precision: int | None = None) -> str:
    """``%s``."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return _inside(value, double_text)


def _inside(value: Value, show_double: Callable[[float], str]) -> str:
    """A value as ``%s`` shows it inside of a list or a map."""
    if isinstance(value, str):
        return orjson.dumps(value).decode()
    if isinstance(value, list):
        return "[" + ", ".join(_inside(item, _six_places) for item in value) + "]"
    if isinstance(value, dict):
        pairs = sorted(f"{_inside(key, _six_places)}:{_inside(item, _six_places)}" for key, item in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, bytes):
        return orjson.dumps(value.decode("utf-8", "replace")).decode()
    if value is None or isinstance(value, bool):
        return orjson.dumps(value).decode()
    if isinstance(value, float):
        return show_double(value)
    if isinstance(value, Timestamp):
        return timestamp_text(value)
    if isinstance(value, Duration):
        return duration_text(value)
    if isinstance(value, TypeValue):
        return value.name
    if isinstance(value, int):
        return str(int(value))
    raise EvaluationError("error during formatting: string clause can only be used on strings, bools, bytes, ints, doubles, maps and lists")


def _six_places(value: float) -> str:
    return f"{value:.6f}"


def _decimal(value: Value, precision: int | None) -> str:
    if isinstance(value, float) and not value.is_integer():
        raise EvaluationError("error during formatting: decimal clause can only be used on integers")
    return str(int(need(value, int, float)))


def _fixed(value: Value, precision: int | None) -> str:
    return f"{need(value, int, float):.{6 if precision is None else precision}f}"


_SUPERSCRIPT: Final = str.maketrans("0123456789+-", "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207a\u207b")


def _scientific(value: Value, precision: int | None) -> str:
    """``%e``, typeset as cel-go does."""
    mantissa, _, exponent = f"{need(value, int, float):.{6 if precision is None else precision}e}".partition("e")
    return f"{mantissa}\u00d710{exponent.removeprefix('+').translate(_SUPERSCRIPT)}"


def _binary(value: Value, precision: int | None) -> str:
    return f"{int(need(value, bool, int)):b}"


def _hexadecimal(value: Value, precision: int | None) -> str:
    if isinstance(value, str):
        return value.encode().hex()
    return value.hex() if isinstance(value, bytes) else f"{need(value, int, Uint):x}"


def _octal(value: Value, precision: int | None) -> str:
    return f"{need(value, int, Uint):o}"


_CLAUSES: Final = {
    "s": _show,
    "d": _decimal,
    "f": _fixed,
    "e": _scientific,
    "b": _binary,
    "x": _hexadecimal,
    "X": lambda value, precision: _hexadecimal(value, precision).upper(),
    "o": _octal,
}
