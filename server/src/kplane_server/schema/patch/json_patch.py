# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON Patch (RFC 6902), with the limits and words of Kubernetes' API server.

A patch that is not a patch is a 400; one that does not apply (a failed ``test`` too) is a 422.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from kplane_server.model.errors import BadRequest, Invalid, Json, RequestEntityTooLarge
from kplane_server.schema.defaulting import copy_json

#: As upstream's limit for one patch.
MAX_OPERATIONS: Final = 10_000
#: ``copy`` operations may add at most this many bytes of JSON in all.
MAX_COPIED_BYTES: Final = 3 * 1024 * 1024
MAX_PATH_DEPTH: Final = 128

_INDEX = re.compile(r"-?[0-9]{1,9}")


class TestFailed(Invalid):
    """A ``test`` operation found another value."""


class _Fails(Exception):
    """An operation does not apply."""


class _TestFails(_Fails):
    """The value is not what a ``test`` says."""


class _Target:
    """The document under change, below one imaginary root, so that the path "" is a member like any other."""

    def __init__(self, document: Json) -> None:
        self.root: dict[str, Json] = {"": document}
        self.copied = 0

    def find(self, pointer: str) -> tuple[Json, str] | None:
        """The container of the member that a pointer names, and the member's name there; ``None`` if there is no such container."""
        node: Json = self.root
        *parents, last = _parts(pointer)
        for part in parents:
            try:
                node = _get(node, part)
            except _Fails:
                return None
            if not isinstance(node, (dict, list)):
                return None
        return node, last


def _parts(pointer: str) -> list[str]:
    if pointer and not pointer.startswith("/"):
        raise Invalid(f"invalid JSON pointer {pointer[:256]!r}: must be empty or start with a slash")
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")]
    if len(parts) > MAX_PATH_DEPTH:
        raise Invalid(f"JSON pointer has more than {MAX_PATH_DEPTH} parts")
    return parts


def _position(container: list[Json], part: str, *, end: int) -> int:
    """An index into a list; negative ones count from ``end``."""
    if not _INDEX.fullmatch(part):
        raise _Fails(f"value was not a proper array index: '{part}'")
    index = int(part)
    if index >= end or index < -end:
        raise _Fails(f"Unable to access invalid index: {index}: invalid index referenced")
    return index + end if index < 0 else index


def _get(container: Json, part: str) -> Json:
    if isinstance(container, list):
        return container[_position(container, part, end=len(container))]
    if part not in container:
        raise _Fails("missing value")
    return container[part]


def _add(container: Json, part: str, value: Json) -> None:
    if isinstance(container, dict):
        container[part] = value
    elif part == "-":
        container.append(value)
    else:
        container.insert(_position(container, part, end=len(container) + 1), value)


def _remove(container: Json, part: str) -> Json:
    if isinstance(container, list):
        return container.pop(_position(container, part, end=len(container)))
    if part not in container:
        raise _Fails(f"Unable to remove nonexistent key: {part}: missing value")
    return container.pop(part)


def _op_add(target: _Target, operation: Mapping[str, Json], path: str) -> None:
    found = target.find(path)
    if found is None:
        raise _Fails(f'add operation does not apply: doc is missing path: "{path}": missing value')
    _within(f"error in add for path: '{path}'", lambda: _add(*found, copy_json(_value(operation))))


def _op_remove(target: _Target, operation: Mapping[str, Json], path: str) -> None:
    found = target.find(path)
    if found is None:
        raise _Fails(f'remove operation does not apply: doc is missing path: "{path}": missing value')
    _within(f"error in remove for path: '{path}'", lambda: _remove(*found))


def _op_replace(target: _Target, operation: Mapping[str, Json], path: str) -> None:
    found = target.find(path)
    if found is None:
        raise _Fails(f"replace operation does not apply: doc is missing path: {path}: missing value")
    container, part = found
    if isinstance(container, dict):  # as upstream (and unlike the RFC) a missing member of an object may be replaced
        container[part] = copy_json(_value(operation))
        return
    try:
        container[_position(container, part, end=len(container))] = copy_json(_value(operation))
    except _Fails as error:
        raise _Fails(f"replace operation does not apply: doc is missing key: {path}: missing value") from error


def _op_move(target: _Target, operation: Mapping[str, Json], path: str) -> None:
    source = _text(operation, "from")
    found = target.find(source)
    if found is None:
        raise _Fails(f"move operation does not apply: doc is missing from path: {source}: missing value")
    if path.startswith(f"{source}/"):
        raise _Fails(f"move operation does not apply: {path} is inside of {source}")
    value = _within(f"error in move for path: '{found[1]}'", lambda: _remove(*found))
    destination = target.find(path)
    if destination is None:
        raise _Fails(f"move operation does not apply: doc is missing destination path: {path}: missing value")
    _within(f"error in move for path: '{path}'", lambda: _add(*destination, value))


def _op_copy(target: _Target, operation: Mapping[str, Json], path: str) -> None:
    source = _text(operation, "from")
    found = target.find(source)
    if found is None:
        raise _Fails(f"copy operation does not apply: doc is missing from path: {source}: missing value")
    value = _within(f"error in copy for from: '{source}'", lambda: _get(*found))
    destination = target.find(path)
    if destination is None:
        raise _Fails(f"copy operation does not apply: doc is missing destination path: {path}: missing value")
    target.copied += len(orjson.dumps(value))
    if target.copied > MAX_COPIED_BYTES:
        size = f"the accumulated size increase of copy is {target.copied}, exceeding the limit {MAX_COPIED_BYTES}"
        raise _Fails(f"Unable to complete the copy, {size}")
    _within("error while adding value during copy", lambda: _add(*destination, copy_json(value)))


def _op_test(target: _Target, operation: Mapping[str, Json], path: str) -> None:
    found = target.find(path)
    if found is None:
        raise _Fails(f"test operation does not apply: is missing path: {path}: missing value")
    container, part = found
    # As upstream: a missing member equals null.
    value = container.get(part) if isinstance(container, dict) else _within(f"error in test for path: '{path}'", lambda: _get(*found))
    if not equal(value, operation.get("value")):
        raise _TestFails(f"testing value {path} failed: test failed")


_OPERATIONS: Final[dict[str, Callable[[_Target, Mapping[str, Json], str], None]]] = {
    "add": _op_add,
    "remove": _op_remove,
    "replace": _op_replace,
    "move": _op_move,
    "copy": _op_copy,
    "test": _op_test,
}


def _within(context: str, action: Callable[[], Any]) -> Any:
    try:
        return action()
    except _Fails as error:
        raise _Fails(f"{context}: {error}") from error


def _text(operation: Mapping[str, Json], key: str) -> str:
    value = operation.get(key)
    if not isinstance(value, str):
        raise Invalid(f"a JSON patch operation needs {key!r} as a string")
    return value


def _value(operation: Mapping[str, Json]) -> Json:
    if "value" not in operation:
        raise Invalid(f"a JSON patch operation {operation.get('op')!r} needs a value")
    return operation["value"]


def equal(left: Json, right: Json) -> bool:
    """Equality of JSON values: unlike Python, a number never equals a boolean."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(value, right[key]) for key, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    return bool(left == right)


def apply(document: Json, operations: Json) -> Json:
    """``document`` after all operations. Raises BadRequest (no patch), Invalid (one that does not apply) or RequestEntityTooLarge."""
    if not isinstance(operations, list):
        raise BadRequest("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    if len(operations) > MAX_OPERATIONS:
        raise RequestEntityTooLarge(f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(operations)}")
    target = _Target(copy_json(document))
    for operation in operations:
        if not isinstance(operation, dict):
            raise BadRequest("a JSON patch operation must be an object")
        kind = operation.get("op")
        run = _OPERATIONS.get(kind) if isinstance(kind, str) else None
        if run is None:
            raise Invalid(f"Unexpected kind: {str(kind)[:64]}")
        try:
            run(target, operation, _text(operation, "path"))
        except _TestFails as error:
            raise TestFailed(str(error)) from error
        except _Fails as error:
            raise Invalid(str(error)) from error
    if "" not in target.root:
        raise Invalid("the patch removes the whole document")
    return target.root[""]
