# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the fields of a review's body: absent is the zero value, of another type is a 400 as Go's decoder would answer."""

from __future__ import annotations

from typing import Final

from kplane_server.model.errors import BadRequest, Json

#: Entries of one list or map in a review: groups, audiences, extra fields.
MAX_ENTRIES: Final = 1024

_JSON_NAMES: Final = {dict: "object", list: "array", str: "string", bool: "bool", int: "number", float: "number"}


class Fields:
    """An object in a body, read by type. ``path`` names it in errors."""

    __slots__ = ("_document", "_kind", "_path")

    def __init__(self, document: Json, kind: str, path: str = "") -> None:
        if not isinstance(document, dict):
            raise BadRequest(_unfit(kind, path, document, "object"))
        self._document, self._kind, self._path = document, kind, path

    def __contains__(self, key: str) -> bool:
        return self._document.get(key) is not None

    def document(self) -> dict[str, Json]:
        return self._document

    def object(self, key: str) -> Fields:
        """The object under ``key``; an empty one if there is none."""
        value = self._document.get(key)
        return Fields({} if value is None else value, self._kind, self._at(key))

    def text(self, key: str) -> str:
        value = self._document.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise BadRequest(_unfit(self._kind, self._at(key), value, "string"))
        return value

    def integer(self, key: str, default: int) -> int:
        value = self._document.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            raise BadRequest(_unfit(self._kind, self._at(key), value, "int64"))
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._document.get(key)
        if value is None:
            return ()
        return _texts(value, self._kind, self._at(key))

    def text_lists(self, key: str) -> dict[str, tuple[str, ...]]:
        """A map of lists of strings, such as ``extra``."""
        value = self.object(key).document()
        _bounded(value, self._kind, self._at(key))
        return {name: _texts(values or [], self._kind, f"{self._at(key)}.{name}") for name, values in value.items()}

    def _at(self, key: str) -> str:
        return f"{self._path}.{key}" if self._path else key


def _texts(value: Json, kind: str, path: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise BadRequest(_unfit(kind, path, value, "[]string"))
    _bounded(value, kind, path)
    for item in value:
        if not isinstance(item, str):
            raise BadRequest(_unfit(kind, path, item, "string"))
    return tuple(value)


def _bounded(value: list[Json] | dict[str, Json], kind: str, path: str) -> None:
    if len(value) > MAX_ENTRIES:
        raise BadRequest(f'{kind} in version "v1" cannot be handled as a {kind}: {path} has more than {MAX_ENTRIES} entries')


def _unfit(kind: str, path: str, value: Json, wanted: str) -> str:
    found = _JSON_NAMES.get(type(value), "null")
    field = f"{kind}.{path}" if path else kind
    why = f"json: cannot unmarshal {found} into Go struct field {field} of type {wanted}"
    return f'{kind} in version "v1" cannot be handled as a {kind}: {why}'
