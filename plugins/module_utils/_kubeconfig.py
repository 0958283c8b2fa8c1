# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubeconfig documents: pure functions that select, merge, remove and redact entries.

Nothing here reads or writes a file; _kubeconfig_files.py does. Documents are plain dicts and are never changed in place.
PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import copy
import os
import typing as t

from ansible_collections.kplane.core.plugins.module_utils._errors import KubeconfigError

Document = t.Dict[str, t.Any]

#: The lists of a kubeconfig and the key that holds the value of their entries.
SECTIONS: t.Final[dict[str, str]] = {"clusters": "cluster", "contexts": "context", "users": "user"}
#: Under this name contexts of ours say which management plane and VCP they belong to.
EXTENSION: t.Final = "kplane.core"
_REDACTED = "VALUE_REMOVED"
_SECRET_KEYS = frozenset(
    {"token", "password", "client-key-data", "client-certificate-data", "id-token", "refresh-token", "access-token", "client-secret"}
)


class EntrySet(t.NamedTuple):
    """What one context needs: a cluster, a user and a context, all of the same name."""

    name: str
    cluster: Document
    user: Document
    plane: str
    vcp: str = ""
    namespace: str = ""

    def context(self) -> Document:
        """The context that ties the two together and says whose it is."""
        owner = {"name": EXTENSION, "extension": {"managementPlane": self.plane, "vcp": self.vcp}}
        context: Document = {"cluster": self.name, "user": self.name}
        if self.namespace:
            context["namespace"] = self.namespace
        context["extensions"] = [owner]
        return context


class Owner(t.NamedTuple):
    """Whose a context is: the context name of the management plane, and the VCP (empty for the plane itself)."""

    plane: str
    vcp: str


def empty() -> Document:
    """A kubeconfig without entries, as kubectl writes it."""
    return {"apiVersion": "v1", "kind": "Config", "clusters": [], "contexts": [], "current-context": "", "preferences": {}, "users": []}


def check(document: t.Any, source: str) -> Document:
    """``document`` if it has the shape of a kubeconfig; an error that names ``source`` if it has not."""
    if document is None:
        return empty()
    if not isinstance(document, dict):
        raise KubeconfigError(f"{source} is not a kubeconfig: it is not a mapping")
    kind = document.get("kind", "Config")
    if kind not in ("Config", ""):
        raise KubeconfigError(f"{source} is not a kubeconfig: its kind is {kind!r}")
    for section, key in SECTIONS.items():
        entries = document.get(section)
        if entries is None:
            continue
        if not isinstance(entries, list):
            raise KubeconfigError(f"{source} is not a valid kubeconfig: {section} is not a list")
        for index, entry in enumerate(entries):
            if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
                raise KubeconfigError(f"{source} is not a valid kubeconfig: {section}[{index}] is not a mapping with a name")
            if entry.get(key) is not None and not isinstance(entry[key], dict):
                raise KubeconfigError(f"{source} is not a valid kubeconfig: {section}[{index}].{key} is not a mapping")
    return document


def find(document: Document, section: str, name: str) -> Document | None:
    """The value of the entry ``name`` of ``section``, the first if there are several (as client-go reads it)."""
    for entry in document.get(section) or []:
        if entry["name"] == name:
            return entry.get(SECTIONS[section]) or {}
    return None


def names(document: Document, section: str = "contexts") -> list[str]:
    """The names of the entries of ``section``, in their order."""
    return [entry["name"] for entry in document.get(section) or []]


def current_context(document: Document) -> str:
    """The current context, or an empty string."""
    return str(document.get("current-context") or "")


def owner_of(context: Document | None) -> Owner | None:
    """Whose ``context`` is, or ``None`` if this collection did not write it."""
    for entry in (context or {}).get("extensions") or []:
        if isinstance(entry, dict) and entry.get("name") == EXTENSION and isinstance(entry.get("extension"), dict):
            extension = entry["extension"]
            return Owner(str(extension.get("managementPlane") or ""), str(extension.get("vcp") or ""))
    return None


def owned(document: Document, plane: str) -> list[str]:
    """The contexts that this collection wrote for the management plane ``plane``."""
    found = []
    for name in names(document):
        owner = owner_of(find(document, "contexts", name))
        if owner is not None and owner.plane == plane:
            found.append(name)
    return found


def set_entry(document: Document, section: str, name: str, value: Document) -> Document:
    """``document`` with exactly one entry ``name`` in ``section``; unknown keys of the entry itself stay."""
    result = dict(document)
    entries: list[Document] = []
    placed = False
    for entry in document.get(section) or []:
        if entry["name"] != name:
            entries.append(entry)
        elif not placed:
            entries.append({**entry, SECTIONS[section]: copy.deepcopy(value)})
            placed = True
    if not placed:
        entries.append({"name": name, SECTIONS[section]: copy.deepcopy(value)})
    result[section] = entries
    return result


def drop_entry(document: Document, section: str, name: str) -> Document:
    """``document`` without any entry ``name`` in ``section``."""
    entries = document.get(section) or []
    if all(entry["name"] != name for entry in entries):
        return document
    return {**document, section: [entry for entry in entries if entry["name"] != name]}


def set_current(document: Document, name: str) -> Document:
    """``document`` with ``name`` as its current context."""
    return document if current_context(document) == name else {**document, "current-context": name}


def merged_context(existing: Document | None, wanted: Document) -> Document:
    """``wanted``, with the namespace and the foreign extensions that the user gave to ``existing``."""
    if existing is None:
        return wanted
    result = {**existing, "cluster": wanted["cluster"], "user": wanted["user"]}
    if "namespace" in wanted:
        result["namespace"] = wanted["namespace"]
    foreign = [entry for entry in existing.get("extensions") or [] if not (isinstance(entry, dict) and entry.get("name") == EXTENSION)]
    result["extensions"] = foreign + list(wanted.get("extensions") or [])
    return result


def merge(document: Document, entries: EntrySet) -> Document:
    """``document`` with the three entries of ``entries``; everything else, the current context included, as it was."""
    context = merged_context(find(document, "contexts", entries.name), entries.context())
    result = set_entry(document, "clusters", entries.name, entries.cluster)
    result = set_entry(result, "contexts", entries.name, context)
    return set_entry(result, "users", entries.name, entries.user)


def remove(document: Document, name: str) -> Document:
    """``document`` without the context, cluster and user ``name``; a cluster or user that another context uses stays.

    If it was the current context there is none afterwards, so that nothing points to what is gone.
    """
    result = drop_entry(document, "contexts", name)
    for section, key in (("clusters", "cluster"), ("users", "user")):
        if not any((entry.get("context") or {}).get(key) == name for entry in result.get("contexts") or []):
            result = drop_entry(result, section, name)
    return {**result, "current-context": ""} if current_context(result) == name and name else result


#: The fields of clusters and users that name files.
_PATHS: t.Final = {"clusters": ("certificate-authority",), "users": ("client-certificate", "client-key", "tokenFile")}


def absolute(document: Document, base: str) -> Document:
    """``document`` with the files that it names as they are seen from anywhere; they start at the directory ``base``."""
    result = dict(document)
    for section, fields in _PATHS.items():
        entries = []
        for entry in document.get(section) or []:
            value = dict(entry.get(SECTIONS[section]) or {})
            value.update({field: os.path.join(base, str(value[field])) for field in fields if value.get(field)})
            entries.append({**entry, SECTIONS[section]: value})
        result[section] = entries
    return result


def redact(value: t.Any) -> t.Any:
    """``value`` with every secret leaf replaced; names, addresses and CA certificates stay readable."""
    if isinstance(value, dict):
        return {key: _REDACTED if key in _SECRET_KEYS and item else redact(item) for key, item in value.items()}
    if isinstance(value, list):
        return [redact(item) for item in value]
    return value


def secrets(value: t.Any) -> set[str]:
    """Every secret leaf in ``value``, for the list of strings that Ansible must never print."""
    found: set[str] = set()
    if isinstance(value, dict):
        for key, item in value.items():
            if key in _SECRET_KEYS and isinstance(item, str) and item:
                found.add(item)
            else:
                found |= secrets(item)
    elif isinstance(value, list):
        for item in value:
            found |= secrets(item)
    return found
