# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which objects of a collection a list or a watch wants: label and field selectors over stored bytes."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import orjson

from kplane_server.model.errors import BadRequest, Json
from kplane_server.model.selectors import FieldSelector, LabelSelector, parse_field_selector, parse_label_selector
from kplane_server.registry import codec, conversion
from kplane_server.registry.kinds import strategy_of
from kplane_server.registry.resource import ResourceInfo
from kplane_server.storage.api import Stored

#: Labels of documents up to this size (bytes) are remembered, so that many watchers with selectors parse an event once.
_REMEMBERED_SIZE: Final = 8_192
_KEY_FIELDS: Final = ("metadata.name", "metadata.namespace")


class Selection:
    """Parsed selectors, ready to judge objects. Raises BadRequest for text that cannot be parsed and for fields that cannot be selected."""

    __slots__ = ("_fields", "_info", "_labels", "_needles", "_needs_document", "everything", "text")

    def __init__(self, info: ResourceInfo, label_selector: str, field_selector: str) -> None:
        try:
            self._labels: LabelSelector = parse_label_selector(label_selector)
            self._fields: FieldSelector = parse_field_selector(field_selector)
        except ValueError as error:
            raise BadRequest(str(error)) from error
        self._info = info
        self.text = (label_selector, field_selector)
        self.everything = self._labels.empty and self._fields.empty
        self._needs_document = any(r.field not in _KEY_FIELDS for r in self._fields.requirements)
        self._needles = tuple(
            tuple(orjson.dumps(value) for value in r.values) for r in self._labels.requirements if r.operator in ("=", "==", "in")
        )
        if not self._fields.empty:
            _check_fields(info, self._fields)

    @property
    def name(self) -> str | None:
        """The one name that is wanted, if the selector demands one."""
        return self._fields.exact("metadata.name")

    @property
    def namespace(self) -> str | None:
        """The one namespace that is wanted, if the selector demands one."""
        return self._fields.exact("metadata.namespace")

    def matches(self, stored: Stored) -> bool:
        """Whether an object, at any version, is wanted."""
        if self.everything:
            return True
        if not self._fields.empty and not self._matches_fields(stored):
            return False
        if self._labels.empty:
            return True
        value = stored.value
        for alternatives in self._needles:  # a value that is nowhere in the text is no label's value either
            if not any(needle in value for needle in alternatives):
                return False
        return self._labels.matches(_labels_of(value))

    def _matches_fields(self, stored: Stored) -> bool:
        if not self._needs_document:
            key = stored.key
            return self._fields.matches({"metadata.name": key.name, "metadata.namespace": key.namespace})
        document = codec.decode(conversion.read(stored, self._info).value)
        return self._fields.matches(strategy_of(self._info).selectable_fields(document))


def _check_fields(info: ResourceInfo, selector: FieldSelector) -> None:
    known = strategy_of(info).selectable_fields({"metadata": {}})
    for requirement in selector.requirements:
        if requirement.field in known or (requirement.field == "metadata.namespace" and info.namespaced):
            continue
        if set(known) <= set(_KEY_FIELDS):
            raise BadRequest(f'"{requirement.field[:256]}" is not a known field selector: only "metadata.name", "metadata.namespace"')
        raise BadRequest(f"field label not supported: {requirement.field[:256]}")


def _labels_of(value: bytes) -> dict[str, str]:
    return _remembered_labels(value) if len(value) <= _REMEMBERED_SIZE else _parse_labels(value)


def _parse_labels(value: bytes) -> dict[str, str]:
    metadata: Json = codec.decode(value)["metadata"]
    labels: dict[str, str] = metadata.get("labels") or {}
    return labels


_remembered_labels = lru_cache(maxsize=1024)(_parse_labels)
