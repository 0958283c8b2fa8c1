# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of built-in types: rows of data for what one field must be, functions for what fields mean together.

A check applies wherever its type occurs, with the path of that place, in the words of upstream's field errors. Documents have the types
of their schema here: what does not was refused as undecodable before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address, ip_network
from typing import Any, Final

from kplane_server.model import metadata
from kplane_server.model.errors import Cause, Json, field_duplicate, field_invalid, field_not_supported, field_required
from kplane_server.model.quantity import parse_quantity
from kplane_server.registry.strategies.typewalk import QUANTITY, Planner, enumerations, properties_of, walk

Object = dict[str, Any]
Check = Callable[[Object, str], Iterable[Cause]]
#: What is wrong with a text; empty when nothing is.
TextRule = Callable[[str], list[str]]

#: More causes than this help nobody.
MAX_CAUSES: Final = 100
MAX_INT32: Final = 2**31 - 1

#: (lowest, highest) of a number, with Go's words for them.
Bounds = tuple[int, int | None]
NOT_NEGATIVE: Final[Bounds] = (0, None)
POSITIVE: Final[Bounds] = (1, None)
PORT: Final[Bounds] = (1, 65535)


def join(path: str, *fields: str) -> str:
    """A path below another; an empty one is the document itself."""
    return ".".join(part for part in (path, *fields) if part)


def section(obj: Json, *path: str) -> Object:
    """A nested object, or an empty one."""
    for step in path:
        obj = obj.get(step) if isinstance(obj, dict) else None
    return obj if isinstance(obj, dict) else {}


def objects(obj: Object, field: str) -> list[Object]:
    value = obj.get(field)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def invalid(path: str, value: Json, why: str) -> Cause:
    return field_invalid(path, value, why)


def too_many(path: str, count: int, most: int) -> Cause:
    return Cause("FieldValueTooMany", f"Too many: {count}: must have at most {most} item{'' if most == 1 else 's'}", path)


def too_long(path: str, most: int) -> Cause:
    return Cause("FieldValueTooLong", f"Too long: may not be more than {most} byte{'' if most == 1 else 's'}", path)


# -- rules of texts ------------------------------------------------------------------------------------------------------------------
_PORT_NAME = re.compile(r"[-a-z0-9]+")
_ENV_NAME: Final = re.compile(r"[ -<>-~]+")
_CONFIG_KEY: Final = re.compile(r"[-._a-zA-Z0-9]+")


def dns_label(text: str) -> list[str]:
    return metadata.dns1123_label_problems(text)


def dns_subdomain(text: str) -> list[str]:
    return metadata.dns1123_subdomain_problems(text)


def path_segment(text: str) -> list[str]:
    return metadata.path_segment_problems(text)


def qualified_name(text: str) -> list[str]:
    return metadata.qualified_name_problems(text)


def port_name(text: str) -> list[str]:
    """IANA service names: RFC 6335, at most 15 characters."""
    if len(text) > 15:
        return ["must be no more than 15 characters"]
    problems = [] if _PORT_NAME.fullmatch(text) else ["must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"]
    if not re.search(r"[a-z]", text):
        problems.append("must contain at least one letter (a-z)")
    if "--" in text:
        problems.append("must not contain consecutive hyphens")
    if text.startswith("-") or text.endswith("-"):
        problems.append("must not begin or end with a hyphen")
    return problems


def env_name(text: str) -> list[str]:
    """Any printable ASCII but ``=`` (KEP-4369)."""
    if _ENV_NAME.fullmatch(text):
        return []
    return ["a valid environment variable name must consist only of printable ASCII characters other than '='"]


def config_key(text: str) -> list[str]:
    """Keys of ConfigMaps and Secrets."""
    if len(text) > 253:
        return ["must be no more than 253 characters"]
    if not _CONFIG_KEY.fullmatch(text):
        what = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
        return [f"{what} (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"]
    if text == "." or text.startswith(".."):
        return [f"must not be '{text}'" if text in (".", "..") else "must not start with '..'"]
    return []


def ip_text(text: str) -> list[str]:
    try:
        ip_address(text)
    except ValueError:
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    return []


def cidr_text(text: str) -> list[str]:
    try:
        ip_network(text, strict=False)
        if "/" in text:
            return []
    except ValueError:
        pass  # said below, in the words of Kubernetes
    return ["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"]


# -- figures -------------------------------------------------------------------------------------------------------------------------
def bounds_cause(path: str, value: Json, bounds: Bounds) -> Cause | None:
    """Why a number is out of bounds, if it is."""
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    low, high = bounds
    if value >= low and (high is None or value <= high):
        return None
    if high is not None:
        return invalid(path, value, f"must be between {low} and {high}, inclusive")
    return invalid(path, value, "must be greater than 0" if low == 1 else f"must be greater than or equal to {low}")


def quantity_causes(path: str, value: Json) -> Iterator[Cause]:
    """A quantity must be one. Negative ones are refused where that is said (see ``resource_list``)."""
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        try:
            parse_quantity(value)
        except ValueError as error:
            yield invalid(path, value, str(error))


def percent_or_number(value: Json, path: str) -> Iterator[Cause]:
    """``25%`` or a number that is not negative."""
    if isinstance(value, bool):
        return
    if isinstance(value, str):
        if not re.fullmatch(r"[0-9]+%", value):
            pattern = "a valid percent string must be a numeric string followed by an ending '%'"
            yield invalid(path, value, f"{pattern} (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')")
    elif isinstance(value, int) and value < 0:
        yield invalid(path, value, "must be greater than or equal to 0")


def at_most_whole(value: Json, path: str) -> Iterator[Cause]:
    if isinstance(value, str) and re.fullmatch(r"[0-9]+%", value) and int(value[:-1][:9]) > 100:
        yield invalid(path, value, "must not be greater than 100%")


def is_zero(value: Json) -> bool:
    """0 or ``0%``."""
    return value in (0, "0%") and not isinstance(value, bool)


# -- selectors -----------------------------------------------------------------------------------------------------------------------
def label_selector(obj: Object, path: str) -> Iterator[Cause]:
    """The rules of ``meta/v1 LabelSelector``."""
    yield from metadata.label_causes(obj.get("matchLabels"), join(path, "matchLabels"))
    for index, term in enumerate(objects(obj, "matchExpressions")):
        at = f"{join(path, 'matchExpressions')}[{index}]"
        values = term.get("values") or []
        match term.get("operator"):
            case "In" | "NotIn":
                if not values:
                    yield field_required(join(at, "values"), "must be specified when `operator` is 'In' or 'NotIn'")
            case "Exists" | "DoesNotExist":
                if values:
                    why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                    yield Cause("FieldValueForbidden", f"Forbidden: {why}", join(at, "values"))
            case operator:
                yield invalid(join(at, "operator"), operator or "", "not a valid selector operator")
        key = term.get("key") or ""
        yield from (invalid(join(at, "key"), key, problem) for problem in metadata.qualified_name_problems(key))
        for number, value in enumerate(values):
            yield from (invalid(f"{join(at, 'values')}[{number}]", value, p) for p in metadata.label_value_problems(value))


# -- the engine ----------------------------------------------------------------------------------------------------------------------
class Rows:
    """The tables of checks that need no code; see ``check_rows``."""

    def __init__(
        self,
        required: dict[str, tuple[str, ...]],
        bounds: dict[str, dict[str, Bounds]],
        texts: dict[str, dict[str, TextRule]],
        unique: dict[str, dict[str, str]],
    ) -> None:
        self.required, self.bounds, self.texts, self.unique = required, bounds, texts, unique


class _Rule:
    """All checks of one type."""

    __slots__ = ("bounds", "enums", "function", "quantities", "required", "texts", "unique")

    def __init__(self, type_name: str, rows: Rows, function: Check | None) -> None:
        self.required = rows.required.get(type_name, ())
        self.bounds = tuple(rows.bounds.get(type_name, {}).items())
        self.texts = tuple(rows.texts.get(type_name, {}).items())
        self.unique = tuple(rows.unique.get(type_name, {}).items())
        self.enums = tuple(enumerations(type_name).items())
        self.quantities = properties_of(type_name, QUANTITY)
        self.function = function

    @property
    def empty(self) -> bool:
        return self.function is None and not any((self.required, self.bounds, self.texts, self.unique, self.enums, self.quantities))

    def causes(self, obj: Object, path: str) -> Iterator[Cause]:
        for field in self.required:
            if obj.get(field) in (None, "", [], {}):
                yield field_required(join(path, field))
        for field, (how, values) in self.enums:
            yield from _enum_causes(obj.get(field), how, values, join(path, field))
        for field, bounds in self.bounds:
            if (cause := bounds_cause(join(path, field), obj.get(field), bounds)) is not None:
                yield cause
        for field, rule in self.texts:
            yield from _text_causes(obj.get(field), rule, join(path, field))
        for field, key in self.unique:
            yield from _duplicates(obj, field, key, path)
        for field, how in self.quantities:
            yield from _quantities(obj.get(field), how, join(path, field))
        if self.function is not None:
            yield from self.function(obj, path)


def _enum_causes(value: Json, how: str, values: tuple[str, ...], path: str) -> Iterator[Cause]:
    if how == "one":
        if isinstance(value, str) and value and value not in values:
            yield field_not_supported(path, value, [v for v in values if v])
        return
    for index, item in enumerate(value if isinstance(value, list) else ()):
        if item not in values:
            yield field_not_supported(f"{path}[{index}]", item, [v for v in values if v])


def _text_causes(value: Json, rule: TextRule, path: str) -> Iterator[Cause]:
    """A rule of a list of texts is a rule of each."""
    if isinstance(value, str) and value:
        yield from (invalid(path, value, problem) for problem in rule(value))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, str):
                yield from (invalid(f"{path}[{index}]", item, problem) for problem in rule(item))


def _duplicates(obj: Object, field: str, key: str, path: str) -> Iterator[Cause]:
    seen: set[str] = set()
    value = obj.get(field)
    for index, item in enumerate(value if isinstance(value, list) else ()):
        name = item.get(key) if isinstance(item, dict) else None
        if isinstance(name, str) and name:
            if name in seen:
                yield field_duplicate(f"{join(path, field)}[{index}].{key}", name)
            seen.add(name)


def _quantities(value: Json, how: str, path: str) -> Iterator[Cause]:
    if how == "one":
        yield from quantity_causes(path, value)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from quantity_causes(f"{path}[{key}]", item)


class Checker:
    """The checks of all built-in types."""

    def __init__(self, rows: Rows, functions: dict[str, Check]) -> None:
        self._rows = rows
        self._functions = functions
        self._planner: Planner[_Rule] = Planner(self._rule)

    def _rule(self, type_name: str) -> _Rule | None:
        rule = _Rule(type_name, self._rows, self._functions.get(type_name))
        return None if rule.empty else rule

    def causes(self, type_name: str, obj: Object) -> list[Cause]:
        """What is wrong with a document of a type, its status and metadata apart."""
        body = {key: value for key, value in obj.items() if key not in ("status", "metadata")}
        found: list[Cause] = []
        for rule, value, path in walk(self._planner.plan(type_name), body):
            for cause in rule.causes(value, path):
                found.append(cause)
                if len(found) >= MAX_CAUSES:
                    return found
        return found
