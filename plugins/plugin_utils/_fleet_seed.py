# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seeds: manifests from files, templates and lists, and their way into a VCP by server-side apply.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import threading
import time
import typing as t
from urllib.parse import quote

from ansible_collections.kplane.core.plugins.module_utils import _yaml
from ansible_collections.kplane.core.plugins.module_utils._client import APPLY_PATCH, Client, Json
from ansible_collections.kplane.core.plugins.module_utils._contract import Resource
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError, NotFound

Document = t.Dict[str, t.Any]
#: Turns the text of a template file into manifests' text, with the variables of one host.
Render = t.Callable[[str, str], str]

MAX_DOCUMENTS: t.Final = 5_000
_MAX_FILE = 16 * 1024 * 1024
_SUFFIXES = (".yml", ".yaml", ".json")
#: What other objects of a seed need, so it goes first.
_FIRST = ("Namespace", "CustomResourceDefinition")
#: How long the objects of a CustomResourceDefinition in the same seed may be unknown to the server.
_ESTABLISH_SECONDS = 10.0
_ESTABLISH_POLL = 0.1


# From the declaration to documents


def flatten(value: t.Any, source: str) -> t.Iterator[Document]:
    """The manifests in a document, a list of them, or a List object."""
    if value is None:
        return
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from flatten(item, source)
        return
    if not isinstance(value, t.Mapping):
        raise KplaneError(f"{source} holds something that is not a manifest: {str(value)[:80]!r}")
    if str(value.get("kind") or "").endswith("List") and isinstance(value.get("items"), (list, tuple)):
        yield from flatten(value["items"], source)
        return
    # Plain JSON: dates, and the marks that Ansible gives to text, mean nothing to an API server.
    document: Document = json.loads(json.dumps(value, default=str))
    metadata = document.get("metadata")
    if not document.get("apiVersion") or not document.get("kind") or not isinstance(metadata, t.Mapping) or not metadata.get("name"):
        raise KplaneError(f"{source} holds a manifest without apiVersion, kind or metadata.name")
    yield document


def paths_of(pattern: str, base: str) -> list[str]:
    """The files that a path, a directory or a glob pattern means; relative ones start at ``base``."""
    path = os.path.join(base, os.path.expanduser(pattern))
    found = sorted(glob.glob(path, recursive=True)) if glob.has_magic(path) else [path]
    files: list[str] = []
    for entry in found:
        if os.path.isdir(entry):
            files += sorted(os.path.join(entry, name) for name in os.listdir(entry) if name.endswith(_SUFFIXES))
        elif os.path.isfile(entry):
            files.append(entry)
    if not files:
        raise KplaneError(f"kplane_manifests: there is no file {path}")
    return files


class Sources:
    """Reads the manifests that hosts declare; a file is read and parsed once for all of them."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._parsed: dict[str, list[Document]] = {}

    def _text(self, path: str) -> str:
        if path not in self._texts:
            try:
                if os.path.getsize(path) > _MAX_FILE:
                    raise KplaneError(f"{path} is larger than {_MAX_FILE} bytes", path=path)
                with open(path, encoding="utf-8") as handle:
                    self._texts[path] = handle.read()
            except (OSError, UnicodeDecodeError) as exc:
                raise KplaneError(f"Cannot read {path}: {exc}", path=path) from exc
        return self._texts[path]

    def _file(self, path: str) -> list[Document]:
        if path not in self._parsed:
            self._parsed[path] = list(flatten(_yaml.load_all(self._text(path).encode(), path), path))
        return self._parsed[path]

    def documents(self, declared: t.Any, render: Render, base: str) -> list[Document]:
        """The manifests of one host, in the order in which they are declared; relative paths start at ``base``."""
        entries = declared if isinstance(declared, (list, tuple)) else [declared]
        found: list[Document] = []
        for entry in entries:
            found.extend(self._entry(entry, render, base))
            if len(found) > MAX_DOCUMENTS:
                raise KplaneError(f"kplane_manifests holds more than {MAX_DOCUMENTS} manifests")
        return found

    def _entry(self, entry: t.Any, render: Render, base: str) -> t.Iterator[Document]:
        if entry is None:
            return
        if isinstance(entry, str):
            # A path, or manifests as text; only the latter has several lines or a colon with a space.
            if "\n" in entry or ": " in entry:
                yield from flatten(_yaml.load_all(entry.encode(), "kplane_manifests"), "kplane_manifests")
            else:
                for path in paths_of(entry, base):
                    yield from self._file(path)
            return
        if isinstance(entry, t.Mapping) and set(entry) in ({"template"}, {"file"}):
            ((kind, value),) = entry.items()
            for path in paths_of(str(value), base):
                if kind == "file":
                    yield from self._file(path)
                else:
                    yield from flatten(_yaml.load_all(render(self._text(path), path).encode(), path), path)
            return
        yield from flatten(entry, "kplane_manifests")


def rank_of(kind: str) -> int:
    """The place of a kind in the order of making; deleting goes the other way."""
    return _FIRST.index(kind) if kind in _FIRST else len(_FIRST)


def ordered(documents: t.Iterable[Document]) -> list[Document]:
    """Namespaces and definitions first, else as declared."""
    return sorted(documents, key=lambda document: rank_of(str(document["kind"])))


# Into a VCP


class Discovery:
    """Which resource a kind is: asked once for each group version, for all VCPs of a management plane."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], Resource] = {}

    def forget(self, document: Document) -> None:
        """Ask again for the kind of ``document``."""
        with self._lock:
            self._known.pop((str(document["apiVersion"]), str(document["kind"])), None)

    def of_kind(self, client: Client, group: str, kind: str) -> Resource:
        """The resource of a kind, in the version that the server likes best of those that have it."""
        if not group:
            return self.resource(client, {"apiVersion": "v1", "kind": kind})
        answer = client.request("GET", f"/apis/{quote(group, safe='')}").json()
        liked = (answer.get("preferredVersion") or {}).get("groupVersion")
        versions = [str(entry["groupVersion"]) for entry in answer.get("versions") or []]
        for version in sorted(versions, key=lambda entry: entry != liked):
            with contextlib.suppress(NotFound):
                return self.resource(client, {"apiVersion": version, "kind": kind})
        raise NotFound(f"The VCP knows no {kind} in {group!r}", code=404)

    def resource(self, client: Client, document: Document) -> Resource:
        """The resource of a manifest."""
        api_version, kind = str(document["apiVersion"]), str(document["kind"])
        with self._lock:
            known = self._known.get((api_version, kind))
        if known is not None:
            return known
        group, _slash, version = api_version.rpartition("/")
        try:
            answer = client.request("GET", f"/apis/{api_version}" if group else f"/api/{version}").json()
        except NotFound as exc:
            raise NotFound(f"The VCP has no API {api_version!r}, which a {kind} of the seed needs", code=404) from exc
        with self._lock:
            for row in answer.get("resources") or []:
                if "/" not in row["name"]:
                    found = Resource(group, version, str(row["name"]), str(row["kind"]), bool(row.get("namespaced")))
                    self._known[(api_version, found.kind)] = found
            known = self._known.get((api_version, kind))
        if known is None:
            raise NotFound(f"The VCP knows no {kind} in {api_version!r}", code=404)
        return known


def definitions(documents: t.Iterable[Document]) -> frozenset[str]:
    """The API groups that the seed itself defines."""
    return frozenset(
        str((document.get("spec") or {}).get("group")) for document in documents if document["kind"] == "CustomResourceDefinition"
    )


def apply(client: Client, documents: t.Sequence[Document], discovery: Discovery, force: bool) -> None:
    """Bring every manifest into the VCP of ``client``; the field manager is kplane.core."""
    own = definitions(documents)
    for document in ordered(documents):
        deadline = time.monotonic() + (_ESTABLISH_SECONDS if str(document["apiVersion"]).partition("/")[0] in own else 0.0)
        while True:
            try:
                _apply_one(client, document, discovery, force)
                break
            except NotFound:
                discovery.forget(document)
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_ESTABLISH_POLL)


def _apply_one(client: Client, document: Document, discovery: Discovery, force: bool) -> None:
    resource = discovery.resource(client, document)
    metadata = document["metadata"]
    namespace = str(metadata.get("namespace") or "default") if resource.namespaced else ""
    where = f"{document['kind']} {namespace + '/' if namespace else ''}{metadata['name']}"
    try:
        client.patch(resource, quote(str(metadata["name"]), safe=""), document, quote(namespace, safe=""), APPLY_PATCH, force=force)
    except KplaneError as exc:
        # The same error, so that whoever tries again still knows what kind it is.
        exc.message = f"{where} of the seed was not applied: {exc.message}"
        raise


def names_of(documents: t.Iterable[Document]) -> list[str]:
    """The manifests, in words for a diff."""
    found = []
    for document in documents:
        metadata: Json = document["metadata"]
        namespace = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
        found.append(f"{document['apiVersion']} {document['kind']} {namespace}{metadata['name']}")
    return found
