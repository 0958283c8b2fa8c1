# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kplane configuration file (kind ``KplaneConfig``), shared with the kplane command line.

What a file says is merged over the defaults when it is read; when it is written only the fields that change are touched,
and keys that we do not know stay. PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import contextlib
import copy
import os
import typing as t

from ansible_collections.kplane.core.plugins.module_utils import _io, _yaml
from ansible_collections.kplane.core.plugins.module_utils._contract import DEFAULT_CLUSTER_NAME, DEFAULT_PORT, MANAGEMENT_NAMESPACE
from ansible_collections.kplane.core.plugins.module_utils._diff import patch_for
from ansible_collections.kplane.core.plugins.module_utils._errors import ConfigError

Document = t.Dict[str, t.Any]

API_VERSION: t.Final = "config.kplane.io/v1alpha1"
KIND: t.Final = "KplaneConfig"
DEFAULT_PROFILE: t.Final = "default"
#: In a profile: which of its fields this collection remembered by itself, to be forgotten with the management plane.
REMEMBERED: t.Final = "remembered"

#: What a profile means where it says nothing. The command line fills new profiles with the same values; the provider
#: is left open, because a provider in the file is a choice that somebody made.
PROFILE_DEFAULTS: t.Final[Document] = {
    "clusterName": DEFAULT_CLUSTER_NAME,
    "namespace": MANAGEMENT_NAMESPACE,
    "kubeconfigPath": "~/.kube/config",
    "stackVersion": "latest",
    "crdSource": "https://github.com/kplane-dev/controlplane-operator//config/crd?ref=main",
    "images": {
        "apiserver": "docker.io/kplanedev/apiserver:v0.0.10",
        "operator": "docker.io/kplanedev/controlplane-operator:v0.0.15",
        "etcd": "quay.io/coreos/etcd:v3.5.13",
    },
    "auth": {"policy": "managed", "issuerTemplate": "https://{externalHost}"},
    "kind": {"nodeImage": "kindest/node:v1.29.2", "configPath": "", "ingressPort": DEFAULT_PORT},
    "k3s": {"image": "rancher/k3s:v1.29.2-k3s1", "ingressPort": DEFAULT_PORT},
    "ui": {"enabled": True, "color": True, "upHintCount": 0, "createHintCount": 0},
}


def default_path(environ: t.Mapping[str, str] | None = None) -> str:
    """Where the file is when nobody says otherwise."""
    environ = os.environ if environ is None else environ
    base = environ.get("XDG_CONFIG_HOME") or _io.expand("~/.config")
    return os.path.join(base, "kplane", "config.yaml")


def new_document() -> Document:
    """A file that says nothing yet."""
    return {"apiVersion": API_VERSION, "kind": KIND, "currentProfile": DEFAULT_PROFILE, "profiles": {}}


def check(document: t.Any, source: str) -> Document:
    """``document`` if it is a KplaneConfig that we can read."""
    if document is None:
        return new_document()
    if not isinstance(document, dict):
        raise ConfigError(f"{source} is not a kplane configuration: it is not a mapping", path=source)
    if document.get("kind", KIND) != KIND or document.get("apiVersion", API_VERSION) != API_VERSION:
        raise ConfigError(
            f"{source} is not a kplane configuration that this collection knows: it has apiVersion {document.get('apiVersion')!r} "
            f"and kind {document.get('kind')!r}, not {API_VERSION!r} and {KIND!r}",
            path=source,
        )
    profiles = document.get("profiles")
    if profiles is None:
        return {**document, "profiles": {}}
    if not isinstance(profiles, dict) or any(not isinstance(profile, dict) for profile in profiles.values()):
        raise ConfigError(f"{source} is not a valid kplane configuration: profiles is not a mapping of mappings", path=source)
    return document


def _merged(defaults: Document, said: Document) -> Document:
    result = copy.deepcopy(defaults)
    for key, value in said.items():
        result[key] = _merged(result[key], value) if isinstance(value, dict) and isinstance(result.get(key), dict) else copy.deepcopy(value)
    return result


class Profile(t.NamedTuple):
    """The settings of one profile: what the file says, over the defaults."""

    name: str
    said: Document

    @property
    def values(self) -> Document:
        """Everything, with defaults."""
        return {key: value for key, value in _merged(PROFILE_DEFAULTS, self.said).items() if key != REMEMBERED}

    @property
    def provider(self) -> str:
        """The provider that the file names, or an empty string."""
        return str(self.said.get("provider") or "")

    @property
    def cluster_name(self) -> str:
        """The name of the management plane."""
        return str(self.said.get("clusterName") or DEFAULT_CLUSTER_NAME)

    @property
    def namespace(self) -> str:
        """The namespace of the stack."""
        return str(self.said.get("namespace") or MANAGEMENT_NAMESPACE)

    @property
    def kubeconfig_path(self) -> str:
        """The kubeconfig that the file names, or an empty string."""
        return str(self.said.get("kubeconfigPath") or "")

    def section(self, name: str) -> Document:
        """The settings of one provider."""
        value = self.said.get(name)
        return value if isinstance(value, dict) else {}


class ConfigFile:
    """One kplane configuration file."""

    def __init__(self, path: str | None = None) -> None:
        self.path = _io.expand(path) if path else default_path()

    def read(self) -> Document:
        """The document, or a new one if there is no file."""
        content = _io.read_bytes(self.path)
        return new_document() if content is None else check(_yaml.load(content, self.path), self.path)

    def profile(self, name: str | None = None) -> Profile:
        """The profile ``name``, or the current one."""
        document = self.read()
        name = name or str(document.get("currentProfile") or DEFAULT_PROFILE)
        said = document["profiles"].get(name)
        if said is None and name != DEFAULT_PROFILE:
            known = ", ".join(document["profiles"]) or "none"
            raise ConfigError(f"{self.path} has no profile {name!r} (its profiles: {known})", path=self.path)
        return Profile(name, said or {})

    def change(self, change: t.Callable[[Document], Document], dry_run: bool = False) -> tuple[Document, Document]:
        """Apply ``change`` under the lock and write the result if it differs; a document that says nothing has no file."""
        before = self.read()
        after = change(copy.deepcopy(before))
        if dry_run:
            return before, after
        if before == after:
            _io.tidy(self.path)
            return before, after
        with _io.locked(self.path):
            before = self.read()
            after = change(copy.deepcopy(before))
            if before == after:
                return before, after
            if after == new_document():
                self._remove()
            else:
                _io.write_atomic(self.path, _yaml.dump(after))
        return before, after

    def _remove(self) -> None:
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            pass
        except OSError as exc:
            raise ConfigError(f"Cannot remove {self.path}: {exc.strerror or exc}", path=self.path) from exc

    def tidy(self) -> None:
        """Take what a killed run has left, and the directory of the file if nothing is in it."""
        _io.tidy(self.path)
        with contextlib.suppress(OSError):  # it holds something, or is gone: both are fine
            os.rmdir(os.path.dirname(self.path))


def with_profile(document: Document, name: str, fields: Document) -> Document:
    """``document`` with ``fields`` merged into the profile ``name``; ``None`` takes a field away."""
    said = document["profiles"].get(name) or {}
    patch = patch_for(said, fields)
    if not patch:
        return document
    return {**document, "profiles": {**document["profiles"], name: apply_patch(said, patch)}}


def apply_patch(target: Document, patch: Document) -> Document:
    """RFC 7386, on plain mappings."""
    result = dict(target)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            current = result.get(key)
            result[key] = apply_patch(current if isinstance(current, dict) else {}, value)
        else:
            result[key] = value
    return result


def remember(document: Document, profile: str, fields: Document) -> Document:
    """``document`` with what this run settled on; fields that it did not say before are noted as remembered."""
    said = document["profiles"].get(profile) or {}
    noted = list(said.get(REMEMBERED) or [])
    noted += [key for key in fields if key not in said and key not in noted]
    return with_profile(document, profile, {**fields, REMEMBERED: noted} if noted else fields)


def forget(document: Document, profile: str) -> Document:
    """``document`` without what :func:`remember` noted; a profile that says nothing more goes too."""
    said = document["profiles"].get(profile) or {}
    if not said.get(REMEMBERED):
        return document
    kept = {key: value for key, value in said.items() if key != REMEMBERED and key not in said[REMEMBERED]}
    profiles = {name: value for name, value in document["profiles"].items() if name != profile}
    return {**document, "profiles": {**profiles, profile: kept} if kept else profiles}
