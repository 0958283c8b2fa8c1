# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``metadata.managedFields``: the entries, their identities and order, to and from documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import orjson

from kplane_server.model import timestamps
from kplane_server.model.errors import Json
from kplane_server.schema.apply.fieldset import FieldSet, canonical, decode, union

APPLY: Final = "Apply"
UPDATE: Final = "Update"
#: More ordinary writers than this are merged, oldest first, into one entry for each version.
MAX_UPDATE_MANAGERS: Final = 10
#: The manager of merged entries.
OLD_UPDATES: Final = "ancient-changes"


class Manager(NamedTuple):
    """Who owns. An applier is the same at every version, so ``api_version`` is empty for it."""

    name: str
    operation: str
    api_version: str
    subresource: str

    def sort_key(self) -> str:
        """The text that upstream orders managers by."""
        fields = {"manager": self.name, "operation": self.operation, "apiVersion": self.api_version, "subresource": self.subresource}
        return orjson.dumps({key: value for key, value in fields.items() if value}).decode()

    def __str__(self) -> str:
        """As conflicts name it."""
        text = orjson.dumps(self.name).decode()
        if self.subresource:
            text += f" with subresource {orjson.dumps(self.subresource).decode()}"
        return f"{text} using {self.api_version}" if self.operation == UPDATE else text


class Entry(NamedTuple):
    """What a manager owns, at which version, since when. ``source``: the entry as it was read, while it is unchanged."""

    fields: FieldSet
    api_version: str
    time: str = ""
    source: Mapping[str, Json] | None = None


Managers = dict[Manager, Entry]


def identify(name: str, operation: str, api_version: str, subresource: str) -> Manager:
    """The identity of a manager; one without a name is ``unknown``."""
    return Manager(name or "unknown", operation, "" if operation == APPLY else api_version, subresource)


def read_entries(entries: Json, *, trusted: bool) -> Managers:
    """The managers of a document. ``trusted``: this server wrote the sets. Raises ``ValueError`` for malformed entries."""
    managers: Managers = {}
    for entry in entries or ():
        operation, api_version = entry.get("operation"), entry.get("apiVersion")
        if operation not in (APPLY, UPDATE):
            raise ValueError("operation must be `Apply` or `Update`")
        if not api_version or not isinstance(api_version, str):
            raise ValueError("apiVersion must not be empty")
        if entry.get("fieldsType") != "FieldsV1":
            raise ValueError(f"invalid fieldsType {entry.get('fieldsType')!r}")
        manager = Manager(entry.get("manager") or "", operation, "" if operation == APPLY else api_version, entry.get("subresource") or "")
        fields = entry.get("fieldsV1") or {}
        time = entry.get("time") or ""
        if trusted:
            managers[manager] = Entry(fields, api_version, time, entry)
        else:
            managers[manager] = Entry(decode(fields), api_version, timestamps.canonical(time) if time else "")
    return managers


def write_entries(managers: Managers) -> list[Json]:
    """``metadata.managedFields``, in its canonical order."""
    ordered = sorted(managers.items(), key=_entry_order) if len(managers) > 1 else managers.items()
    return [entry.source if entry.source is not None else _entry_document(manager, entry) for manager, entry in ordered]


def _entry_order(item: tuple[Manager, Entry]) -> tuple[str, str, str, str, str]:
    manager, entry = item
    return (manager.operation, entry.time, manager.name, entry.api_version, manager.subresource)


def _entry_document(manager: Manager, entry: Entry) -> dict[str, Json]:
    document: dict[str, Json] = {"manager": manager.name, "operation": manager.operation, "apiVersion": entry.api_version}
    if entry.time:
        document["time"] = entry.time
    document["fieldsType"] = "FieldsV1"
    document["fieldsV1"] = canonical(entry.fields)
    if manager.subresource:
        document["subresource"] = manager.subresource
    return document


def cap_updates(managers: Managers) -> Managers:
    """Merge the oldest ordinary writers until there are no more than ``MAX_UPDATE_MANAGERS``."""
    if len(managers) <= MAX_UPDATE_MANAGERS:
        return managers
    updaters = [manager for manager in managers if manager.operation == UPDATE]
    excess = len(updaters) - MAX_UPDATE_MANAGERS
    if excess <= 0:
        return managers
    managers = dict(managers)
    updaters.sort(key=lambda manager: (managers[manager].time, manager.sort_key()))
    first_of: dict[str, Manager] = {}
    for manager in updaters:
        if excess <= 0:
            break
        entry = managers[manager]
        first = first_of.setdefault(entry.api_version, manager)
        if first is manager:
            continue
        bucket = Manager(OLD_UPDATES, UPDATE, entry.api_version, "")
        if bucket not in managers:
            managers[bucket] = managers.pop(first)
        fields = union(entry.fields, managers[bucket].fields)
        managers.pop(manager)
        managers[bucket] = Entry(fields, entry.api_version, entry.time)  # the time of the youngest that went in
        excess -= 1
    return managers
