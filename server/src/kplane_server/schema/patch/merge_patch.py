# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON Merge Patch (RFC 7386): objects are merged, null deletes, everything else replaces."""

from __future__ import annotations

from kplane_server.model.errors import Json
from kplane_server.schema.defaulting import copy_json


def apply(document: Json, patch: Json) -> Json:
    """``document`` with ``patch`` merged into it."""
    if not isinstance(patch, dict):
        return copy_json(patch)
    result = copy_json(document) if isinstance(document, dict) else {}
    _merge(result, patch)
    return result


def _merge(target: dict[str, Json], patch: dict[str, Json]) -> None:
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        elif isinstance(value, dict):
            current = target.get(name)
            if not isinstance(current, dict):
                current = target[name] = {}
            _merge(current, value)
        else:
            target[name] = copy_json(value)


def diff(before: Json, after: Json) -> Json:
    """A patch that turns ``before`` into ``after``, which must not contain nulls inside objects."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return copy_json(after)
    patch: dict[str, Json] = {name: None for name in before if name not in after}
    for name, value in after.items():
        if name not in before:
            patch[name] = diff({}, value) if isinstance(value, dict) else copy_json(value)
        elif before[name] != value or type(before[name]) is not type(value):
            patch[name] = diff(before[name], value) if isinstance(value, dict) and isinstance(before[name], dict) else copy_json(value)
    return patch
