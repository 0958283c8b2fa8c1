# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects behind a ControlPlane, as changes to commit: endpoint, management namespace, owner's account and role, kubeconfig Secret."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from kplane_server.controllers import credentials, documents
from kplane_server.controllers.resolution import Endpoints, Refusal, Terms, resolve
from kplane_server.model.keys import ROOT_VCP_ID, ObjectKey, ResourceId, VcpId
from kplane_server.registry import codec
from kplane_server.storage.api import ANY, NEW_VCP, Mutation, Store, Stored, VcpRecord, VcpState
from kplane_server.vcp import contract
from kplane_server.vcp.bootstrap import default_cluster_roles, object_uid, root_ca_config_map
from kplane_server.vcp.plane import ManagementPlane

Document = dict[str, Any]

NAMESPACES: Final = ResourceId("namespaces")
CONFIG_MAPS: Final = ResourceId("configmaps")
SERVICE_ACCOUNTS: Final = ResourceId("serviceaccounts")
CLUSTER_ROLES: Final = ResourceId("clusterroles.rbac.authorization.k8s.io")
CLUSTER_ROLE_BINDINGS: Final = ResourceId("clusterrolebindings.rbac.authorization.k8s.io")

_MANAGED: Final = {"app.kubernetes.io/managed-by": "kplane-server"}
_OWNER_ROLE: Final = "cluster-admin"


@dataclass
class Draft:
    """What one run of the operator wants to commit for a ControlPlane."""

    control_plane: Document
    terms: Terms
    record: VcpRecord
    now: str
    mutations: list[Mutation] = field(default_factory=list)
    settings: str = ""
    due: int | None = None

    @property
    def name(self) -> str:
        name: str = self.control_plane["metadata"]["name"]
        return name

    @property
    def fresh(self) -> bool:
        """Whether the control plane is still to be made."""
        return self.record.id == NEW_VCP


def planned_record(path: str, uid: str, created: int) -> VcpRecord:
    """The record of a control plane that is about to be made: identities already derive from it."""
    return VcpRecord(NEW_VCP, path, uid, created, 0, VcpState.ACTIVE)


class Reader(Protocol):
    """What the provisioner needs of a store."""

    def get(self, key: ObjectKey) -> Stored | None: ...


class Provisioner:
    """Compares what is there with what should be, and adds the differences to a draft. Writes nothing itself."""

    def __init__(self, store: Reader, plane: ManagementPlane, clock: Callable[[], float]) -> None:
        self._store = store
        self._plane = plane
        self._clock = clock

    def endpoints(self, draft: Draft) -> Endpoints:
        """The URLs of the control plane. Adds the default ControlPlaneEndpoint if none is named and none is there."""
        reference = (draft.control_plane["spec"].get("endpointRef") or {}).get("name")
        name = reference or contract.default_endpoint(draft.name)
        stored = self._store.get(contract.root_key(contract.ENDPOINTS, name))
        if stored is None and reference:
            raise Refusal("Programmed", "EndpointPending", f'ControlPlaneEndpoint "{name}" does not exist')
        url = self._plane.url_of(draft.terms.path)
        if stored is None:
            document = self._default_endpoint(draft, url)
            draft.mutations.append(documents.creation(contract.root_key(contract.ENDPOINTS, name), document, draft.now))
            return Endpoints(url, url, url)
        document = codec.decode(stored.value)
        if is_default_endpoint(document, draft.control_plane) and (document.get("spec") or {}).get("endpoint") != url:
            document["spec"] = {**(document.get("spec") or {}), "endpoint": url, "externalEndpoint": url}
            document["metadata"]["generation"] = document["metadata"].get("generation", 1) + 1
            document["status"] = endpoint_status(document, draft.now)
            draft.mutations.append(documents.change(stored, document))
        return resolve(document, draft.terms.path)

    def _default_endpoint(self, draft: Draft, url: str) -> Document:
        owner = draft.control_plane["metadata"]
        reference = {
            "apiVersion": contract.API_VERSION,
            "kind": "ControlPlane",
            "name": owner["name"],
            "uid": owner["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
        document: Document = {
            "apiVersion": contract.API_VERSION,
            "kind": "ControlPlaneEndpoint",
            "metadata": {"generation": 1, "labels": {**_MANAGED, contract.NAME_LABEL: draft.name}, "ownerReferences": [reference]},
            "spec": {"endpoint": url, "externalEndpoint": url},
        }
        document["status"] = endpoint_status(document, draft.now)
        return document

    def namespace(self, draft: Draft) -> None:
        """The management namespace, with what every namespace has. One that is not ours is never taken over (kplane defect O11)."""
        name = contract.management_namespace(draft.name)
        stored = self._store.get(contract.root_key(NAMESPACES, name))
        if stored is None:
            draft.mutations.extend(self._new_namespace(name, draft))
            return
        metadata = codec.decode(stored.value)["metadata"]
        if (metadata.get("labels") or {}).get(contract.NAME_LABEL) != draft.name:
            text = f'namespace "{name}" exists and has no label {contract.NAME_LABEL}={draft.name}: it is not taken over'
            raise Refusal("Programmed", "NamespaceConflict", text, retry_after=30.0)
        if metadata.get("deletionTimestamp"):
            raise Refusal("Programmed", "NamespaceTerminating", f'namespace "{name}" is being deleted; it is made again when it is gone')

    def _new_namespace(self, name: str, draft: Draft) -> list[Mutation]:
        labels = {**_MANAGED, contract.NAME_LABEL: draft.name, "kubernetes.io/metadata.name": name}
        namespace = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"labels": labels},
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Active"},
        }
        account: Document = {"apiVersion": "v1", "kind": "ServiceAccount"}
        authority = root_ca_config_map(name, self._plane.ca_certificate.decode())
        return [
            documents.creation(contract.root_key(NAMESPACES, name), namespace, draft.now),
            documents.creation(contract.root_key(SERVICE_ACCOUNTS, "default", name), account, draft.now),
            documents.creation(contract.root_key(CONFIG_MAPS, "kube-root-ca.crt", name), authority, draft.now),
        ]

    def account(self, draft: Draft) -> str:
        """The uid of the owner's ServiceAccount inside the control plane; one that was deleted is made again, with a new uid."""
        record = draft.record
        if draft.fresh:
            return object_uid(record, SERVICE_ACCOUNTS, contract.SYSTEM_NAMESPACE, contract.ADMIN_ACCOUNT)
        key = ObjectKey(record.id, SERVICE_ACCOUNTS, contract.SYSTEM_NAMESPACE, contract.ADMIN_ACCOUNT)
        stored = self._store.get(key)
        if stored is not None:
            uid: str = codec.decode(stored.value)["metadata"]["uid"]
            return uid
        namespace = ObjectKey(record.id, NAMESPACES, "", contract.SYSTEM_NAMESPACE)
        if self._store.get(namespace) is None:
            document: Document = {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"labels": {"kubernetes.io/metadata.name": namespace.name}},
                "spec": {"finalizers": ["kubernetes"]},
                "status": {"phase": "Active"},
            }
            draft.mutations.append(documents.creation(namespace, document, draft.now))
        made = documents.creation(key, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"labels": _MANAGED}}, draft.now)
        draft.mutations.append(made)
        return made.uid

    def role(self, draft: Draft) -> None:
        """Bind the owner to the ClusterRole that the class names, inside the control plane."""
        role, vcp = draft.terms.role, draft.record.id
        if not self._has_role(role, vcp):
            raise Refusal("Accepted", "DefaultRoleNotFound", f'the class names ClusterRole "{role}", which the control plane does not have')
        key = ObjectKey(vcp, CLUSTER_ROLE_BINDINGS, "", contract.ADMIN_ACCOUNT)
        stored = None if draft.fresh else self._store.get(key)
        if draft.fresh and role == _OWNER_ROLE:
            return  # the bootstrap layer says so
        if stored is not None and codec.decode(stored.value).get("roleRef", {}).get("name") == role:
            return
        mutation = documents.creation(key, _binding(role), draft.now)  # a new object: the role of a binding never changes
        expected = ANY if draft.fresh else stored.revision if stored is not None else mutation.expected
        draft.mutations.append(Mutation(key, mutation.draft, expected, uid=mutation.uid))

    def _has_role(self, role: str, vcp: VcpId) -> bool:
        if vcp == NEW_VCP:
            return role in default_cluster_roles()
        return self._store.get(ObjectKey(vcp, CLUSTER_ROLES, "", role)) is not None

    def secret(self, draft: Draft, account_uid: str, endpoints: Endpoints) -> None:
        """The kubeconfig Secret, written only if it is missing, outdated, damaged or near its end."""
        key = credentials.secret_key(draft.name)
        stored = self._store.get(key)
        old: Document | None = codec.decode(stored.value) if stored is not None else None
        record, now = draft.record, self._clock()
        if old is not None and credentials.is_current(old, self._plane, record, account_uid, endpoints.internal, endpoints.external, now):
            return
        content = credentials.secret_content(self._plane, draft.name, record, account_uid, endpoints.internal, endpoints.external, now)
        document = content.document(draft.name)
        if stored is None or old is None:
            draft.mutations.append(documents.creation(key, document, draft.now))
            return
        metadata = old["metadata"]
        for part in ("labels", "annotations"):
            metadata[part] = {**(metadata.get(part) or {}), **document["metadata"][part]}
        draft.mutations.append(documents.change(stored, {**old, "metadata": metadata, "data": document["data"]}))


def is_default_endpoint(endpoint: Document, control_plane: Document) -> bool:
    """Whether the operator itself made this endpoint for this ControlPlane."""
    metadata = endpoint["metadata"]
    owners = {reference.get("uid") for reference in metadata.get("ownerReferences") or ()}
    managed = (metadata.get("labels") or {}).get("app.kubernetes.io/managed-by") == _MANAGED["app.kubernetes.io/managed-by"]
    return managed and control_plane["metadata"]["uid"] in owners


def endpoint_status(endpoint: Document, now: str) -> Document:
    """The status of a ControlPlaneEndpoint: the URLs in force.

    They are the spec's, unless something else (a gateway) wrote others: those, we recognise by their differing from the spec that we saw.
    """
    spec, status = endpoint.get("spec") or {}, dict(endpoint.get("status") or {})
    generation = endpoint["metadata"].get("generation", 1)
    fields = ("endpoint", "externalEndpoint", "joinEndpoint")
    ours = documents.find_condition(endpoint, "Accepted")
    current = ours is not None and ours.get("observedGeneration") == generation
    given = any(status.get(f) not in (None, "", spec.get(f)) for f in fields)
    foreign = given and (ours is None or current or ours["reason"] == "StatusProvided")
    if foreign:
        verdict = documents.condition("Accepted", True, "StatusProvided", "the URLs in the status were provided by another controller")
    elif any(spec.get(f) for f in fields):
        verdict = documents.condition("Accepted", True, "SpecResolved", "the URLs of the spec are in force")
        status.update({f: spec[f] for f in fields if spec.get(f)})
        for missing in [f for f in fields if f in status and not spec.get(f)]:
            del status[missing]
    else:
        verdict = documents.condition("Accepted", False, "EndpointPending", "neither the spec nor the status has a URL")
    status["observedGeneration"] = generation
    status["conditions"] = documents.with_conditions(status.get("conditions"), [verdict], generation, now)
    return status


def ready_status(control_plane: Document, endpoints: Endpoints, now: str) -> Document:
    """The status of a ControlPlane that has all it needs."""
    metadata = control_plane["metadata"]
    name, generation = metadata["name"], metadata.get("generation", 1)
    conditions = [
        documents.condition("Accepted", True, "Accepted", "the control plane is acceptable"),
        documents.condition("Programmed", True, "Programmed", "the control plane and its kubeconfig are set up"),
        documents.condition("Ready", True, "Reconciled", "the control plane is served"),
    ]
    status = control_plane.get("status") or {}
    return {
        **status,
        "endpoint": endpoints.external,
        "kubeconfigSecretRef": {"name": contract.kubeconfig_secret(name), "namespace": contract.management_namespace(name)},
        "observedGeneration": generation,
        "conditions": documents.with_conditions(status.get("conditions"), conditions, generation, now),
    }


def ready_event(control_plane: Document, endpoints: Endpoints, now: str) -> Mutation:
    """The Event that says so."""
    return documents.event(ROOT_VCP_ID, control_plane, "Ready", f"the control plane is served at {endpoints.external}", now)


def _binding(role: str) -> Document:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"labels": _MANAGED},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": contract.ADMIN_ACCOUNT, "namespace": contract.SYSTEM_NAMESPACE}],
    }


def owned_endpoint(store: Store, control_plane: Document) -> Stored | None:
    """The default endpoint of a ControlPlane, if the operator made it."""
    stored = store.get(contract.root_key(contract.ENDPOINTS, contract.default_endpoint(control_plane["metadata"]["name"])))
    return stored if stored is not None and is_default_endpoint(codec.decode(stored.value), control_plane) else None
