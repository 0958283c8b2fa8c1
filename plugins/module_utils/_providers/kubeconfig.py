# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The provider ``kubeconfig``: a cluster that is already there, by a kubeconfig and a context. It is never made or deleted.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.kplane.core.plugins.module_utils import _auth, _io, _kubeconfig, _kubeconfig_files, _stack, _yaml
from ansible_collections.kplane.core.plugins.module_utils._client import Client
from ansible_collections.kplane.core.plugins.module_utils._contract import (
    MANAGEMENT_CONFIG_MAP,
    MANAGEMENT_NAMESPACE,
    Resource,
    vcp_path,
)
from ansible_collections.kplane.core.plugins.module_utils._errors import KubeconfigError, ProviderError
from ansible_collections.kplane.core.plugins.module_utils._providers.base import Drift, Driver, Kubeconfig, Options, Plane
from ansible_collections.kplane.core.plugins.module_utils._providers.containers import probe, settings

#: The oldest Kubernetes that the stack is checked against.
MINIMUM: t.Final = (1, 29)
#: Taking everything away waits for the operator to clean up after every virtual control plane.
_DELETE_TIMEOUT: t.Final = 300.0
_REVIEWS: t.Final = Resource("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview")


class KubeconfigDriver(Driver):
    """Drives the stack on one cluster of the user."""

    provider = "kubeconfig"
    context_prefix = ""
    writes_context = False

    def __init__(
        self, name: str, source: t.Any = None, context: str | None = None, namespace: str = MANAGEMENT_NAMESPACE, timeout: float = 30.0
    ) -> None:
        super().__init__(name)
        self.namespace = namespace
        self._source = source
        self._asked = context
        self._timeout = timeout
        self._found: Kubeconfig | None = None
        self._addresses: tuple[str, str] | None = None

    @property
    def context(self) -> str:
        return self.kubeconfig().context

    # What is there

    def kubeconfig(self) -> Kubeconfig:
        if self._found is None:
            document, source, base = self._read()
            context = self._asked or _kubeconfig.current_context(document)
            if not context:
                raise KubeconfigError(
                    f"{source} has no current context, and none was named; set management_context to the cluster that is meant"
                )
            self._found = Kubeconfig(document, context, source, base)
        return self._found

    def _read(self) -> tuple[_kubeconfig.Document, str, str]:
        if isinstance(self._source, dict):
            return _kubeconfig.check(self._source, "management_kubeconfig"), "management_kubeconfig", os.getcwd()
        if self._source:
            path = _io.expand(str(self._source))
            content = _io.read_bytes(path)
            if content is None:
                raise KubeconfigError(f"The kubeconfig {path} does not exist", path=path)
            return _kubeconfig.check(_yaml.load(content, path), path), path, os.path.dirname(path)
        snapshot = _kubeconfig_files.KubeconfigFiles(_kubeconfig_files.user_paths()).read()
        return snapshot.merged(), ", ".join(snapshot.paths), os.path.dirname(snapshot.paths[0])

    def client(self) -> Client:
        """A client of the cluster."""
        found = self.kubeconfig()
        return Client(_auth.connection(found.document, found.context, found.base, found.source), self._timeout)

    def find(self) -> Plane | None:
        with self.client() as client:
            said = settings(client, self.namespace)
            if said is None and not _stack.begun(client, self.namespace):
                return None
            running, version = probe(client) if said is not None else (False, "")
            said = said or {}
            address = str(said.get("externalEndpoint") or "")
            return Plane(
                provider=self.provider,
                name=self.name,
                context=self.context,
                running=running,
                server=client.connection.server,
                host=address.rpartition("//")[2].rpartition(":")[0],
                port=int(said.get("ingressPort") or 0),
                version=version,
                kubeconfig=self.kubeconfig().source if not isinstance(self._source, dict) else "",
            )

    def endpoints(self, server: str, vcp: str) -> tuple[str, str]:
        if self._addresses is None:
            with self.client() as client:
                said = settings(client, self.namespace) or {}
            internal, external = str(said.get("internalEndpoint") or ""), str(said.get("externalEndpoint") or "")
            if not internal or not external:
                raise ProviderError(f"The ConfigMap {self.namespace}/{MANAGEMENT_CONFIG_MAP} does not say where the shared API server is")
            self._addresses = internal, external
        return self._addresses[0] + vcp_path(vcp), self._addresses[1] + vcp_path(vcp)

    def planes(self) -> list[str]:
        return [self.name] if self.find() is not None else []

    def drift(self, plane: Plane, options: Options) -> list[Drift]:
        return []

    def remembered(self, plane: Plane) -> _kubeconfig.Document:
        found = self.kubeconfig()
        section: _kubeconfig.Document = {"context": found.context}
        if isinstance(self._source, str):
            section["path"] = _io.expand(self._source)
        return section

    # What is done

    def missing(self) -> str:
        return ""

    def create(self, options: Options) -> Plane:
        """Nothing is made: the cluster answers, is new enough, and lets us do what the stack needs."""
        with self.client() as client:
            version = client.request("GET", "/version").json()
            found = (_number(version.get("major")), _number(version.get("minor")))
            if found < MINIMUM:
                raise ProviderError(
                    f"The cluster of the context {self.context!r} is Kubernetes {version.get('gitVersion')}; "
                    f"{MINIMUM[0]}.{MINIMUM[1]} or later is needed"
                )
            for verb, group, resource in (
                ("create", "", "namespaces"),
                ("create", "apiextensions.k8s.io", "customresourcedefinitions"),
                ("create", "rbac.authorization.k8s.io", "clusterroles"),
                ("create", "apps", "deployments"),
            ):
                self._require_right(client, verb, group, resource)
            running, name = probe(client)
            said = settings(client, self.namespace) or {}
            return Plane(
                self.provider,
                self.name,
                self.context,
                running,
                server=client.connection.server,
                port=int(said.get("ingressPort") or 0),
                version=name,
            )

    def _require_right(self, client: Client, verb: str, group: str, resource: str) -> None:
        body = {
            "apiVersion": _REVIEWS.api_version,
            "kind": _REVIEWS.kind,
            "spec": {"resourceAttributes": {"verb": verb, "group": group, "resource": resource}},
        }
        if not (client.create(_REVIEWS, body).get("status") or {}).get("allowed"):
            raise ProviderError(
                f"The user of the context {self.context!r} may not {verb} {resource}{'.' + group if group else ''} on {client.server}; "
                "the stack needs an administrator of the cluster"
            )

    def recreate(self, options: Options) -> Plane:
        raise ProviderError("A cluster of the user's own is never made anew; the option recreate is not for the provider kubeconfig")

    def stop(self) -> None:
        raise ProviderError("A cluster of the user's own is never stopped; the state stopped is not for the provider kubeconfig")

    def delete(self) -> None:
        """Take away what was applied; the cluster stays."""
        with self.client() as client:
            _stack.remove(client, self.namespace, _DELETE_TIMEOUT)


def _number(text: t.Any) -> int:
    digits = "".join(char for char in str(text or "") if char.isdigit())
    return int(digits or 0)
