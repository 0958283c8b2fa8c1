# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kubeconfig files of a user: one file or a KUBECONFIG list, read as one and changed where an entry lives.

The rules are those of client-go: the first file that has an entry wins; a change goes to the file that has the entry;
a new entry goes to the first file of the list that exists, else to the last one.
PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import contextlib
import os
import typing as t

from ansible_collections.kplane.core.plugins.module_utils import _io, _kubeconfig, _yaml
from ansible_collections.kplane.core.plugins.module_utils._errors import KubeconfigError

Document = _kubeconfig.Document
Documents = t.Dict[str, Document]
Change = t.Callable[["Snapshot"], "Snapshot"]

DEFAULT_PATH: t.Final = "~/.kube/config"


def user_paths(explicit: str | None = None, environ: t.Mapping[str, str] | None = None) -> list[str]:
    """The kubeconfig files in the order of their precedence: ``explicit``, else ``KUBECONFIG``, else the default one."""
    if explicit:
        parts = [explicit]
    else:
        value = (os.environ if environ is None else environ).get("KUBECONFIG", "")
        parts = [part for part in value.split(os.pathsep) if part] or [DEFAULT_PATH]
    return list(dict.fromkeys(_io.expand(part) for part in parts))


class Snapshot(t.NamedTuple):
    """What the files held at one moment; a file that is not there has no document."""

    paths: tuple[str, ...]
    documents: Documents

    @property
    def default_path(self) -> str:
        """Where new entries go."""
        return next((path for path in self.paths if path in self.documents), self.paths[-1])

    def _holder(self, section: str, name: str) -> str | None:
        for path in self.paths:
            if _kubeconfig.find(self.documents.get(path, {}), section, name) is not None:
                return path
        return None

    def find(self, section: str, name: str) -> Document | None:
        """The value of the entry that wins."""
        path = self._holder(section, name)
        return None if path is None else _kubeconfig.find(self.documents[path], section, name)

    def contexts(self) -> list[str]:
        """The names of all contexts, each once."""
        return list(dict.fromkeys(name for path in self.paths for name in _kubeconfig.names(self.documents.get(path, {}))))

    def current_context(self) -> str:
        """The current context that wins, or an empty string."""
        return next(filter(None, (_kubeconfig.current_context(self.documents.get(path, {})) for path in self.paths)), "")

    def owned(self, plane: str) -> list[str]:
        """The contexts that this collection wrote for ``plane``."""
        return [name for name in self.contexts() if self._is_owned(name, plane)]

    def _is_owned(self, name: str, plane: str) -> bool:
        owner = _kubeconfig.owner_of(self.find("contexts", name))
        return owner is not None and owner.plane == plane

    def merged(self) -> Document:
        """All files as one document; the files that they name are absolute."""
        result = _kubeconfig.empty()
        documents = [_kubeconfig.absolute(self.documents[path], os.path.dirname(path)) for path in self.paths if path in self.documents]
        for section in _kubeconfig.SECTIONS:
            seen: dict[str, Document] = {}
            for document in documents:
                for entry in document.get(section) or []:
                    seen.setdefault(entry["name"], entry)
            result[section] = list(seen.values())
        result["current-context"] = self.current_context()
        return result

    def _with(self, path: str, document: Document) -> Snapshot:
        return self if self.documents.get(path) == document else Snapshot(self.paths, {**self.documents, path: document})

    def put(self, entries: _kubeconfig.EntrySet) -> Snapshot:
        """This, with the entries of one context set."""
        existing = self.find("contexts", entries.name)
        values = {
            "clusters": entries.cluster,
            "contexts": _kubeconfig.merged_context(existing, entries.context()),
            "users": entries.user,
        }
        home = self._holder("contexts", entries.name) or self.default_path
        result = self
        for section, value in values.items():
            path = result._holder(section, entries.name) or home
            document = result.documents.get(path) or _kubeconfig.empty()
            result = result._with(path, _kubeconfig.set_entry(document, section, entries.name, value))
        return result

    def remove(self, name: str) -> Snapshot:
        """This, without the context ``name`` and what only it used, in every file."""
        result = self
        for path, document in self.documents.items():
            result = result._with(path, _kubeconfig.remove(document, name))
        return result

    def set_current(self, name: str) -> Snapshot:
        """This, with ``name`` as the current context."""
        holders = [path for path in self.paths if _kubeconfig.current_context(self.documents.get(path, {}))]
        path = holders[0] if holders else self.default_path
        return self._with(path, _kubeconfig.set_current(self.documents.get(path) or _kubeconfig.empty(), name))


class KubeconfigFiles:
    """The kubeconfig files of one user, on disk."""

    def __init__(self, paths: t.Sequence[str], lock_timeout: float = _io.LOCK_TIMEOUT) -> None:
        self.paths = tuple(paths)
        self.lock_timeout = lock_timeout

    def read(self) -> Snapshot:
        """What the files hold now. A file that cannot be read or understood is an error, never an empty kubeconfig."""
        documents = {}
        for path in self.paths:
            content = _io.read_bytes(path)
            if content is not None:
                documents[path] = _kubeconfig.check(_yaml.load(content, path), path)
        return Snapshot(self.paths, documents)

    def change(self, change: Change, dry_run: bool = False, mode: int | None = None) -> tuple[Snapshot, Snapshot]:
        """Apply ``change`` and write the files that it altered; returns what was and what is.

        Nothing is locked or written when nothing is to change. Otherwise the change is computed again under the locks,
        from what the files hold then.
        """
        before = self.read()
        after = change(before)
        if dry_run:
            return before, after
        if not altered(before, after):
            for path in self.paths:
                _io.tidy(path)
            return before, after
        with contextlib.ExitStack() as stack:
            for path in sorted(set(before.documents) | set(after.documents)):
                stack.enter_context(_io.locked(path, self.lock_timeout))
            before = self.read()
            after = change(before)
            for path in altered(before, after):
                if path not in before.documents and os.path.isdir(path):
                    raise KubeconfigError(f"{path} is a directory, not a kubeconfig", path=path)
                if after.documents[path] == _kubeconfig.empty() and not os.path.islink(path):
                    os.unlink(path)  # our entries were all that it held: nothing is left behind
                else:
                    _io.write_atomic(path, _yaml.dump(after.documents[path]), mode)
        return before, after


def altered(before: Snapshot, after: Snapshot) -> list[str]:
    """The files that differ between two snapshots."""
    return [path for path in after.documents if after.documents[path] != before.documents.get(path)]


def unified(before: Snapshot, after: Snapshot) -> dict[str, str]:
    """The altered files before and after, without secrets, for a diff."""
    paths = altered(before, after)

    def text(snapshot: Snapshot) -> str:
        documents = [_kubeconfig.redact(snapshot.documents[path]) for path in paths if path in snapshot.documents]
        return "".join(_yaml.dump(document).decode() for document in documents)

    return {"before": text(before), "after": text(after), "before_header": ", ".join(paths), "after_header": ", ".join(paths)}
