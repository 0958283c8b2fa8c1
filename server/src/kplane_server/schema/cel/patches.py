# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What expressions make patches of: JSON from values, the names of nested objects, and ``jsonpatch.escapeKey``.

Source: https://kubernetes.io/docs/reference/access-authn-authz/mutating-admission-policy/
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator

from kplane_server.model.errors import Json
from kplane_server.schema.cel.conversions import duration_text, timestamp_text
from kplane_server.schema.cel.registry import function, need
from kplane_server.schema.cel.values import Duration, EvaluationError, Meter, ObjectValue, QuantityValue, Timestamp, Value, type_name


@function("jsonpatch.escapeKey", 1)
def escape_key(meter: Meter, key: Value) -> Value:
    """A key as a JSON pointer names it (RFC 6901)."""
    meter.text(len(need(key, str)))
    return key.replace("~", "~0").replace("/", "~1")


def to_json(value: Value, meter: Meter) -> Json:
    """A value as JSON. Raises EvaluationError for what has none."""
    meter.charge(1)
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise EvaluationError(f"map key {key!r} is of type {type_name(key)}, not string")
            meter.text(len(key))
        return {key: to_json(item, meter) for key, item in value.items()}
    if isinstance(value, list):
        return [to_json(item, meter) for item in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise EvaluationError(f"json: unsupported value: {value}")
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if isinstance(value, str):
        meter.text(len(value))
        return value
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, bytes):
        meter.text(len(value))
        return base64.b64encode(value).decode()
    if isinstance(value, Duration):
        return duration_text(value)
    if isinstance(value, Timestamp):
        return timestamp_text(value)
    if isinstance(value, QuantityValue):
        return value.text
    raise EvaluationError(f"unsupported conversion of a value of type {type_name(value)} to JSON")


def name_problems(value: ObjectValue) -> list[str]:
    """Objects below whose names are not the path to them: ``Object.spec{selector: Object.spec.wrong{}}``."""
    return list(_problems(value, value.name))


def _problems(value: Value, path: str) -> Iterator[str]:
    if isinstance(value, ObjectValue):
        if value.name != path:
            yield f'unexpected type name "{value.name}", expected "{path}", which matches field name path from root Object type'
        for field, child in value.items():
            yield from _problems(child, f"{path}.{field}")
    elif isinstance(value, dict):
        for child in value.values():
            yield from _problems(child, path)
    elif isinstance(value, list):
        for child in value:
            yield from _problems(child, path)
