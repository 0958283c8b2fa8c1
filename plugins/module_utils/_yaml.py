# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML of files that are not ours alone: what is not changed keeps its meaning for every reader.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import json
import re
import traceback
import typing as t

from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError

try:
    import yaml
except ImportError:
    YAML_IMPORT_ERROR: str | None = traceback.format_exc()
    _CODEC: tuple[t.Any, t.Any] | None = None
else:
    YAML_IMPORT_ERROR = None
    _CODEC = None


def _codec() -> tuple[t.Any, t.Any]:
    """The loader and the dumper, made at their first use."""
    global _CODEC
    if YAML_IMPORT_ERROR is not None:
        raise KplaneError(
            "Failed to import the required Python library (PyYAML) with the interpreter that runs this task. "
            "Install it there (python3-yaml on Debian, Ubuntu and Fedora), or set ansible_python_interpreter to one that has it."
        )
    if _CODEC is None:
        base_loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        base_dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
        # YAML 1.1 turns 2026-01-01 into a date, 1_000 into a number and 12:30:45 into seconds; written back they would
        # be something else. Only the numbers of JSON are numbers here, and dates stay text.
        resolvers = {
            first: [(tag, regexp) for tag, regexp in rules if not tag.endswith((":timestamp", ":int", ":float"))]
            for first, rules in base_loader.yaml_implicit_resolvers.items()
        }
        loader: t.Any = type("FileLoader", (base_loader,), {"yaml_implicit_resolvers": resolvers})
        digits = list("-0123456789")
        loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^(?:0|-?[1-9][0-9]*)$"), digits)
        loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"^-?(?:0|[1-9][0-9]*)\.[0-9]+(?:[eE][-+][0-9]+)?$"), digits)
        _CODEC = loader, base_dumper
    return _CODEC


def load(content: bytes, source: str) -> t.Any:
    """The document in ``content``; ``source`` names it in errors (which never quote it: it may hold secrets)."""
    if content.lstrip()[:1] == b"{":
        try:
            return json.loads(content)
        except ValueError:
            pass  # flow style YAML starts with a brace too
    loader = _codec()[0]
    try:
        return yaml.load(content, Loader=loader)
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark is not None else ""
        raise KplaneError(f"{source} is not valid YAML{where}: {getattr(exc, 'problem', None) or 'it cannot be parsed'}") from None
    except UnicodeDecodeError as exc:
        raise KplaneError(f"{source} is not valid YAML: it is not UTF-8 text") from exc


def load_all(content: bytes, source: str) -> list[t.Any]:
    """Every document of a YAML stream; ``source`` names it in errors."""
    if content.lstrip()[:1] == b"{":
        return [load(content, source)]
    try:
        return list(yaml.load_all(content, Loader=_codec()[0]))
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark is not None else ""
        raise KplaneError(f"{source} is not valid YAML{where}: {getattr(exc, 'problem', None) or 'it cannot be parsed'}") from None


def dump(document: t.Any) -> bytes:
    """``document`` as YAML, keys in the order they have."""
    dumper = _codec()[1]
    text: bytes = yaml.dump(document, Dumper=dumper, sort_keys=False, default_flow_style=False, allow_unicode=True, encoding="utf-8")
    return text
