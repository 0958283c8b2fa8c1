# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Request bodies to documents: JSON and YAML, bounded in depth and size of expansion, with duplicate fields told on request.

Duplicate fields matter only for ``fieldValidation`` Warn and Strict; they are worded as Kubernetes words them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

import orjson
import yaml

from kplane_server.model.errors import Json

#: Documents nested deeper are refused: every walk of the server recurses at most this far.
MAX_DEPTH: Final = 120
#: YAML aliases may repeat parts of a document up to this many nodes in all.
MAX_YAML_NODES: Final = 300_000
#: No more field errors than this are reported for one document.
MAX_STRICT_ERRORS: Final = 100

_QUOTE_COLON = re.compile(rb'"[ \t\r\n]*:')


def decode_json(body: bytes, *, duplicates: bool = False, max_depth: int = MAX_DEPTH) -> tuple[Json, list[str]]:
    """The document of a JSON body, and (if ``duplicates``) a message for each field that is there twice.

    The last of two equal fields wins. Raises ``ValueError`` for what is not JSON, or is nested too deeply.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"json parse error: {error}") from error
    if body.count(b"{") + body.count(b"[") > max_depth:
        _check_depth(document, max_depth)
    # Every field has a quote and a colon after it in the text, so equal counts prove that no field came twice.
    if duplicates and len(_QUOTE_COLON.findall(body)) != _count_fields(document):
        return document, _duplicate_fields(body)
    return document, []


def _check_depth(document: Json, max_depth: int) -> None:
    level: list[Json] = [document]
    for _ in range(max_depth):
        level = [child for node in level for child in _children(node) if isinstance(child, (dict, list))]
        if not level:
            return
    raise ValueError(f"document is nested deeper than {max_depth} levels")


def _children(node: Json) -> Iterable[Json]:
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()


def _count_fields(document: Json) -> int:
    count = 0
    pending: list[Json] = [document]
    for node in pending:  # it grows meanwhile
        if isinstance(node, dict):
            count += len(node)
            node = node.values()
        elif not isinstance(node, list):
            continue
        pending += [child for child in node if child.__class__ is dict or child.__class__ is list]
    return count


class _Pairs(list[tuple[str, Json]]):
    """An object whose fields are still in the order, and number, of the text."""


def _duplicate_fields(body: bytes) -> list[str]:
    """The slow way: parse again, keeping repeated fields. The depth has been checked before."""
    messages: dict[str, None] = {}
    _find_duplicates(json.loads(body, object_pairs_hook=_Pairs), "", messages)
    return list(messages)


def _find_duplicates(node: Json, path: str, messages: dict[str, None]) -> None:
    if isinstance(node, _Pairs):
        seen: set[str] = set()
        for name, child in node:
            here = f"{path}.{name}" if path else name
            if name in seen and len(messages) < MAX_STRICT_ERRORS:
                messages[f'duplicate field "{here}"'] = None
            seen.add(name)
            _find_duplicates(child, here, messages)
    elif isinstance(node, list):
        for index, child in enumerate(node):
            _find_duplicates(child, f"{path}[{index}]", messages)


_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _KubernetesLoader(_Loader):  # type: ignore[misc]
    """YAML as Kubernetes' Go library reads it: no dates, no base-60 numbers; field names are strings."""

    def __init__(self, stream: bytes) -> None:
        super().__init__(stream)
        self.duplicates: list[str] = []


_KubernetesLoader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"^(?:y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$", "yYnNtTfFoO"),
    ("int", r"^(?:[-+]?0b[0-1_]+|[-+]?0o?[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+)$", "-+0123456789"),
    ("float", r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$", "-+0123456789."),
    ("merge", r"^<<$", "<"),
):
    _KubernetesLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))
_KubernetesLoader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])


def _construct_mapping(loader: Any, node: Any) -> dict[str, Json]:
    seen: set[str] = set()
    for key, _ in node.value:
        if key.tag != "tag:yaml.org,2002:merge" and isinstance(key, yaml.ScalarNode):
            if key.value in seen and len(loader.duplicates) < MAX_STRICT_ERRORS:
                loader.duplicates.append(f'line {key.start_mark.line + 1}: key "{key.value}" already set in map')
            seen.add(key.value)
    loader.flatten_mapping(node)
    return {_field_name(loader, key): loader.construct_object(value, deep=True) for key, value in node.value}


def _field_name(loader: Any, node: Any) -> str:
    value = loader.construct_object(node, deep=True)
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return orjson.dumps(value).decode()
    raise ValueError(f"line {node.start_mark.line + 1}: a field name must be a string")


def _construct_int(loader: Any, node: Any) -> int | float:
    number = _parse_int(loader, node)
    return number if -(2**63) <= number < 2**64 else float(number)


def _parse_int(loader: Any, node: Any) -> int:
    text = loader.construct_scalar(node).replace("_", "")
    sign, digits = (-1, text[1:]) if text[0] == "-" else (1, text.lstrip("+"))
    if digits[:2] in ("0b", "0x", "0o"):
        return sign * int(digits[2:], {"b": 2, "x": 16, "o": 8}[digits[1]])
    return sign * int(digits, 8 if len(digits) > 1 and digits[0] == "0" else 10)


def _construct_bool(loader: Any, node: Any) -> bool:
    return loader.construct_scalar(node).lower() in ("y", "yes", "true", "on")


def _construct_sequence(loader: Any, node: Any) -> list[Json]:
    return [loader.construct_object(child, deep=True) for child in node.value]


def _construct_other(loader: Any, node: Any) -> Json:
    """Dates without a type of their own, and tags that JSON has no counterpart for: their text, if they have one."""
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    raise ValueError(f"line {node.start_mark.line + 1}: tag {node.tag} is not supported")


_KubernetesLoader.add_constructor("tag:yaml.org,2002:map", _construct_mapping)
_KubernetesLoader.add_constructor("tag:yaml.org,2002:seq", _construct_sequence)
_KubernetesLoader.add_constructor("tag:yaml.org,2002:int", _construct_int)
_KubernetesLoader.add_constructor("tag:yaml.org,2002:bool", _construct_bool)
for _name in ("timestamp", "binary", "set", "omap", "pairs"):
    _KubernetesLoader.add_constructor(f"tag:yaml.org,2002:{_name}", _construct_other)
_KubernetesLoader.add_constructor(None, _construct_other)


def decode_yaml(body: bytes, *, duplicates: bool = False, max_depth: int = MAX_DEPTH) -> tuple[Json, list[str]]:
    """The first document of a YAML body (JSON is YAML too), as :func:`decode_json` does."""
    if body.lstrip()[:1] == b"{":
        try:
            return decode_json(body, duplicates=duplicates, max_depth=max_depth)
        except ValueError as error:
            if not isinstance(error.__cause__, orjson.JSONDecodeError):
                raise  # too deep; else it may still be YAML in flow style
    try:
        _check_yaml_events(body, max_depth)
        loader = _KubernetesLoader(body)
        try:
            document = loader.get_data() if loader.check_data() else None
        finally:
            loader.dispose()
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"error converting YAML to JSON: yaml: {_one_line(error)}") from error
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"error converting YAML to JSON: yaml: {error}") from error
    _check_expansion(document)
    _check_depth(document, max_depth)
    if b"&" in body:
        document = orjson.loads(orjson.dumps(document))  # aliases become copies: a later change must not show in two places
    return document, loader.duplicates if duplicates else []


def _check_yaml_events(body: bytes, max_depth: int) -> None:
    """Depth, before anything recursive is built from the text; only the first document is looked at."""
    depth = 0
    events: Iterator[Any] = yaml.parse(body, Loader=_Loader)
    for event in events:
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            depth += 1
            if depth > max_depth:
                raise ValueError(f"document is nested deeper than {max_depth} levels")
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            depth -= 1
        elif isinstance(event, yaml.DocumentEndEvent):
            return


def _check_expansion(document: Json) -> None:
    """Refuse documents whose aliases multiply (a small text can stand for gigabytes), and numbers that JSON lacks."""
    sizes: dict[int, int] = {}

    def size(node: Json) -> int:
        if isinstance(node, float) and (node != node or node in (float("inf"), float("-inf"))):
            raise ValueError("error converting YAML to JSON: json: unsupported value")
        if not isinstance(node, (dict, list)):
            return 1
        known = sizes.get(id(node))
        if known is None:
            sizes[id(node)] = MAX_YAML_NODES + 1  # an alias to an ancestor never ends
            known = sizes[id(node)] = 1 + sum(size(child) for child in _children(node))
        if known > MAX_YAML_NODES:
            raise ValueError("error converting YAML to JSON: yaml: document contains excessive aliasing")
        return known

    size(document)


def _one_line(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
    return f"line {mark.line + 1}: {problem}" if mark is not None else problem
