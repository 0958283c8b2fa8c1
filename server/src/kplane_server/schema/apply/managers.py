# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of ownership: what an apply and an ordinary update do to a document and to ``metadata.managedFields``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import orjson

from kplane_server.model.errors import BadRequest, Cause, Conflict, Json
from kplane_server.model.metadata import TOTAL_ANNOTATION_SIZE_LIMIT
from kplane_server.schema.apply import fieldset
from kplane_server.schema.apply.atoms import Atom, TypedError, atom_of
from kplane_server.schema.apply.entries import (
    APPLY,
    UPDATE,
    Entry,
    Manager,
    Managers,
    cap_updates,
    identify,
    read_entries,
    write_entries,
)
from kplane_server.schema.apply.fieldset import FieldSet
from kplane_server.schema.apply.merging import merge
from kplane_server.schema.apply.typed import Comparison, compare, fits, reconcile, remove_items, to_fieldset, with_named_fields
from kplane_server.schema.defaulting import copy_json
from kplane_server.schema.structural import Schema

#: The manager of what was there before an object was applied for the first time.
BEFORE_FIRST_APPLY: Final = "before-first-apply"
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_KUBECTL: Final = "kubectl"

#: Fields of metadata that nobody owns.
_UNOWNED_METADATA: Final = (
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "clusterName",
    "generation",
    "managedFields",
    "resourceVersion",
)
_UNOWNED: Final = fieldset.from_paths(
    [("f:apiVersion",), ("f:kind",), ("f:metadata",), *(("f:metadata", f"f:{name}") for name in _UNOWNED_METADATA)]
)
_UNOWNED_NAMES: Final = frozenset(_UNOWNED_METADATA)


def ignored_fields(paths: Iterable[Iterable[str]]) -> FieldSet:
    """The fields that an endpoint resets (``status`` on the main one), as ``ignored`` of :func:`apply` and :func:`update` takes them."""
    return fieldset.from_paths([[f"f:{name}" for name in path] for path in paths])


def update(
    live: Json | None,
    new: Json,
    manager: str,
    schema: Schema,
    api_version: str,
    subresource: str,
    now: str,
    *,
    ignored: FieldSet | None = None,
) -> Json:
    """``new`` with the managedFields of an ordinary write (create, update, patch). ``live`` is ``None`` for a create.

    The result is a shallow copy of ``new``. A document that its schema does not fit loses its managedFields, as upstream.
    """
    entries = (new.get("metadata") or {}).get("managedFields")
    live_entries = (live.get("metadata") or {}).get("managedFields") if live is not None else None
    managers, unchanged = _managers_of_request(entries, live_entries, subresource)
    if not managers and live is not None and (live.get("metadata") or {}).get("uid"):
        # An object that was once without managers is tracked again only from its first apply on.
        return _with_entries(new, None)
    actor = identify(manager, UPDATE, api_version, subresource)
    try:
        changed = _update_managers(live, new, managers, actor, atom_of(schema), api_version, now, ignored)
    except TypedError:
        return _with_entries(new, None)
    if changed is managers and unchanged:
        return _with_entries(new, live_entries)
    return _with_entries(new, write_entries(changed))


def _managers_of_request(entries: Json, live_entries: Json, subresource: str) -> tuple[Managers, bool]:
    """The managers that a write starts from, and whether they are those of the live object.

    A client may set them (not through a sub-resource), or reset them with an empty list or one empty entry.
    """
    if entries is None or subresource or entries == live_entries:
        return _live_managers(live_entries), True
    if entries in ([], [{}]):
        return {}, False
    try:
        return read_entries(entries, trusted=False), False
    except (ValueError, AttributeError, TypeError):
        return _live_managers(live_entries), True


def _live_managers(entries: Json) -> Managers:
    try:
        return read_entries(entries, trusted=True)
    except ValueError:
        return {}


def _with_entries(document: Json, entries: Json) -> Json:
    """A shallow copy of a document with other managedFields (``None``: without)."""
    metadata = dict(document.get("metadata") or {})
    if entries:
        metadata["managedFields"] = entries
    else:
        metadata.pop("managedFields", None)
    return {**document, "metadata": metadata}


def _owned_part(document: Json) -> Json:
    """A document without what nobody owns, so that these fields are not even compared."""
    metadata = document.get("metadata")
    if not isinstance(metadata, dict):
        return document
    kept = {name: value for name, value in metadata.items() if name not in _UNOWNED_NAMES}
    return {**document, "metadata": kept}


def _update_managers(
    live: Json | None,
    new: Json,
    managers: Managers,
    actor: Manager,
    atom: Atom,
    api_version: str,
    now: str,
    ignored: FieldSet | None,
) -> Managers:
    """The managers after a write by ``actor``; the very same mapping if nothing changed."""
    before = _owned_part(live) if live is not None else {key: new[key] for key in ("apiVersion", "kind") if key in new}
    if managers:
        managers = _reconciled(managers, atom)
    comparison = compare(before, _owned_part(new), atom)
    if not comparison:
        return managers
    comparison = _without(comparison, ignored)
    taken = fieldset.union(comparison.modified, comparison.added)
    changed = _without_fields(managers, fieldset.union(taken, comparison.removed)) if managers else {}
    own = fieldset.difference(taken, _UNOWNED)
    if own:
        previous, stored = changed.get(actor), managers.get(actor)
        fields = own if previous is None else fieldset.union(previous.fields, own)
        if stored is not None and stored.source is not None and stored.time and fields == stored.fields:
            changed[actor] = Entry(stored.fields, api_version, now, {**stored.source, "time": now})  # the usual case: new values only
        else:
            changed[actor] = Entry(fields, api_version, now)
    return cap_updates(changed)


def _reconciled(managers: Managers, atom: Atom) -> Managers:
    """Ownership after a schema made granular parts atomic."""
    out: Managers | None = None
    for manager, entry in managers.items():
        fields = reconcile(entry.fields, atom)
        if fields is not entry.fields:
            out = out if out is not None else dict(managers)
            out[manager] = Entry(fields, entry.api_version, entry.time)
    return managers if out is None else out


def _without(comparison: Comparison, ignored: FieldSet | None) -> Comparison:
    if not ignored:
        return comparison
    return Comparison(
        fieldset.recursive_difference(comparison.removed, ignored),
        fieldset.recursive_difference(comparison.modified, ignored),
        fieldset.recursive_difference(comparison.added, ignored),
    )


def _without_fields(managers: Managers, fields: FieldSet, keep: Manager | None = None) -> Managers:
    """The managers after they lost some fields; one that is left with none is gone."""
    out: Managers = {}
    for manager, entry in managers.items():
        if manager == keep or not fieldset.overlaps(entry.fields, fields):
            out[manager] = entry
            continue
        left = fieldset.difference(entry.fields, fields)
        if left:
            out[manager] = Entry(left, entry.api_version, entry.time)
    return out


# -- apply


class _Conflicts(Exception):
    """Fields that the configuration sets to another value than their owners want."""

    def __init__(self, found: dict[Manager, FieldSet]) -> None:
        self.found = found

    def error(self) -> Conflict:
        pairs = [(m, p) for m in sorted(self.found, key=Manager.sort_key) for p in fieldset.members(self.found[m])]
        causes = [Cause("FieldManagerConflict", f"conflict with {manager}", fieldset.path_text(path)) for manager, path in pairs]
        if len(pairs) == 1:
            manager, path = pairs[0]
            return Conflict(f"Apply failed with 1 conflict: conflict with {manager}: {fieldset.path_text(path)}", causes=causes)
        lines: list[str] = []
        for manager in sorted(self.found, key=Manager.sort_key):
            lines.append(f"conflicts with {manager}:")
            lines.extend(f"- {fieldset.path_text(path)}" for path in fieldset.members(self.found[manager]))
        return Conflict(f"Apply failed with {len(pairs)} conflicts: " + "\n".join(lines), causes=causes)


def apply(
    live: Json | None,
    applied: Json,
    manager: str,
    force: bool,
    schema: Schema,
    api_version: str,
    subresource: str,
    now: str,
    *,
    ignored: FieldSet | None = None,
) -> Json:
    """The document after ``manager`` applied a configuration. ``live`` is ``None`` when this creates the object.

    The result shares nothing but managedFields with the arguments. A part that lost all its fields may be null in it.
    Raises Conflict (with a cause for each field) unless ``force``, and BadRequest for a configuration that does not fit the schema.
    """
    _check_configuration(applied, api_version)
    atom = atom_of(schema)
    try:
        fits(applied, atom)
    except TypedError as error:
        raise BadRequest(f"failed to create typed patch object ({_title(applied)}): {error}") from error
    base = live if live is not None else {key: applied[key] for key in ("apiVersion", "kind")}
    managers = _live_managers((base.get("metadata") or {}).get("managedFields"))
    bare = _with_entries(base, None) if base.get("metadata") else base
    try:
        if not managers and live is not None:
            first = identify(BEFORE_FIRST_APPLY, UPDATE, api_version, subresource)
            managers = _update_managers(None, bare, {}, first, atom, api_version, now, ignored)
        managers = _reconciled(managers, atom)
        actor = identify(manager, APPLY, api_version, subresource)
        step = _Apply(bare, applied, actor, managers, atom, api_version, now, ignored)
        document, managers = _run(step, manager, force)
    except TypedError as error:
        raise BadRequest(f"failed to apply ({_title(applied)}): {error}") from error
    except _Conflicts as conflicts:
        raise conflicts.error() from None
    document = copy_json(document)
    if manager == _KUBECTL:
        _renew_last_applied(document, applied)
    return _with_entries(document, write_entries(managers))


def _run(step: _Apply, manager: str, force: bool) -> tuple[Json, Managers]:
    """Apply; conflicts that only stem from an earlier client-side apply do not count for kubectl."""
    try:
        return step.run(force)
    except _Conflicts as conflicts:
        allowed = step.last_applied_fields() if manager == _KUBECTL else None
        if allowed is None:
            raise
        left = {m: rest for m, fields in conflicts.found.items() if (rest := fieldset.difference(fields, allowed))}
        if left:
            raise _Conflicts(left) from None
        return step.run(True)


def _check_configuration(applied: Json, api_version: str) -> None:
    if applied.get("apiVersion") != api_version:
        found = str(applied.get("apiVersion") or "")[:256]
        raise BadRequest(f"Incorrect version specified in apply patch. Specified patch version: {found}, expected: {api_version}")
    if (applied.get("metadata") or {}).get("managedFields") is not None:
        raise BadRequest("metadata.managedFields must be nil")


def _title(document: Json) -> str:
    metadata = document.get("metadata") or {}
    return f"{metadata.get('namespace', '')}/{metadata.get('name', '')}; {document.get('apiVersion')}, Kind={document.get('kind')}"


class _Apply:
    """One attempt to apply a configuration."""

    def __init__(
        self,
        live: Json,
        applied: Json,
        actor: Manager,
        managers: Managers,
        atom: Atom,
        api_version: str,
        now: str,
        ignored: FieldSet | None,
    ) -> None:
        self.live, self.applied, self.actor, self.managers, self.atom = live, applied, actor, managers, atom
        self.api_version, self.now, self.ignored = api_version, now, ignored

    def run(self, force: bool) -> tuple[Json, Managers]:
        """The merged document and its managers. Raises :class:`_Conflicts`."""
        last = self.managers.get(self.actor)
        fields = to_fieldset(self.applied, self.atom)
        if self.ignored:
            fields = fieldset.recursive_difference(fields, self.ignored)
        managers = dict(self.managers)
        managers[self.actor] = Entry(fields, self.api_version)
        document = merge(self.live, self.applied, self.atom)
        if last is not None and last.fields:
            document = self._prune(document, last.fields, managers)
        managers = self._resolve(document, managers, force)
        owned = fieldset.difference(fields, _UNOWNED)
        if not owned:
            managers.pop(self.actor, None)
        elif self.atom.same(document, self.live):  # nothing moved: the time of the last real change stays
            managers[self.actor] = self._entry(owned, last, last.time if last is not None else "")
        else:
            managers[self.actor] = self._entry(owned, last, self.now)
        return document, managers

    def _entry(self, fields: FieldSet, last: Entry | None, time: str) -> Entry:
        if last is not None and last.source is not None and last.fields == fields and last.api_version == self.api_version:
            return last if last.time == time else Entry(last.fields, self.api_version, time)
        return Entry(fields, self.api_version, time)

    def _resolve(self, document: Json, managers: Managers, force: bool) -> Managers:
        """Take changed fields from their owners, if there is no conflict or conflicts are forced."""
        comparison = _without(compare(_owned_part(self.live), _owned_part(document), self.atom), self.ignored)
        if not comparison:
            return managers
        taken = fieldset.union(comparison.modified, comparison.added)
        if not force:
            conflicts = {
                manager: found
                for manager, entry in managers.items()
                if manager != self.actor and (found := fieldset.intersection(entry.fields, taken))
            }
            if conflicts:
                raise _Conflicts(conflicts)
        return _without_fields(managers, fieldset.union(taken, comparison.removed), keep=self.actor)

    def _prune(self, merged: Json, last: FieldSet, managers: Managers) -> Json:
        """Remove what this manager applied before, does not apply now, and nobody else owns."""
        atom = self.atom
        if not fieldset.difference(last, managers[self.actor].fields):
            return merged
        last = with_named_fields(last, atom)
        owned: FieldSet = {}
        for entry in managers.values():
            owned = fieldset.union(owned, entry.fields)
        owned = with_named_fields(owned, atom)
        everything = with_named_fields(to_fieldset(merged, atom), atom)
        pruned = remove_items(merged, last, atom) or {}
        kept = fieldset.union(with_named_fields(to_fieldset(pruned, atom), atom), owned)
        pruned = remove_items(merged, fieldset.difference(everything, kept), atom) or {}
        # What was never owned by this manager comes back, though nobody else owns it either.
        left = with_named_fields(to_fieldset(pruned, atom), atom)
        unwanted = fieldset.intersection(fieldset.difference(everything, left), last)
        return remove_items(merged, unwanted, atom) or {}

    def last_applied_fields(self) -> FieldSet | None:
        """What kubectl applied from the client side and is still as it was applied; ``None`` if that cannot be told."""
        text = ((self.live.get("metadata") or {}).get("annotations") or {}).get(LAST_APPLIED)
        if not text:
            return None
        try:
            document = orjson.loads(text)
            if not isinstance(document, dict) or document.get("apiVersion") != self.api_version:
                return None
            fits(document, self.atom)
            comparison = compare(document, self.live, self.atom)
            fields = to_fieldset(document, self.atom)
        except (TypedError, orjson.JSONDecodeError):
            return None
        for different in (comparison.modified, comparison.added, comparison.removed):
            fields = fieldset.difference(fields, different)
        return fields


def _renew_last_applied(document: Json, applied: Json) -> None:
    """Keep kubectl's client-side annotation in step, where there is one, for a user who goes back to client-side apply."""
    annotations: dict[str, Any] = (document.get("metadata") or {}).get("annotations") or {}
    if not annotations.get(LAST_APPLIED):
        return
    configuration = copy_json(applied)
    own = (configuration.get("metadata") or {}).get("annotations")
    if own:
        own.pop(LAST_APPLIED, None)
    annotations[LAST_APPLIED] = orjson.dumps(configuration, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE).decode()
    if sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items()) > TOTAL_ANNOTATION_SIZE_LIMIT:
        del annotations[LAST_APPLIED]
