# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bootstrap layer: what a control plane starts with, shared by all and made on the fly.

An object of the layer is a template, encoded once: bytes with gaps. The gaps are what derives from the VCP's record: uid (uuid5 of the
VCP's uid and the object's key), creationTimestamp, resourceVersion (both of the VCP's creation) and the VCP's name. A read joins them.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib import resources
from typing import Any, Final, NamedTuple

import yaml

from kplane_server.model.keys import ROOT_VCP_ID, ResourceId
from kplane_server.model.timestamps import from_epoch
from kplane_server.model.uids import derived_uid
from kplane_server.registry.codec import encode
from kplane_server.storage.api import VcpRecord
from kplane_server.vcp.plane import ManagementPlane

Document = dict[str, Any]

#: The namespaces of every control plane.
NAMESPACES: Final = ("default", "kube-node-lease", "kube-public", "kube-system", "kplane-system")

#: Where each kind of the layer is stored.
RESOURCES: Final[Mapping[str, ResourceId]] = {
    kind: ResourceId(resource)
    for kind, resource in (
        ("ClusterRole", "clusterroles.rbac.authorization.k8s.io"),
        ("ClusterRoleBinding", "clusterrolebindings.rbac.authorization.k8s.io"),
        ("ConfigMap", "configmaps"),
        ("ControlPlaneClass", "controlplaneclasses.controlplane.kplane.dev"),
        ("CustomResourceDefinition", "customresourcedefinitions.apiextensions.k8s.io"),
        ("EndpointSlice", "endpointslices.discovery.k8s.io"),
        ("Endpoints", "endpoints"),
        ("FlowSchema", "flowschemas.flowcontrol.apiserver.k8s.io"),
        ("IPAddress", "ipaddresses.networking.k8s.io"),
        ("Namespace", "namespaces"),
        ("PriorityClass", "priorityclasses.scheduling.k8s.io"),
        ("PriorityLevelConfiguration", "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io"),
        ("Role", "roles.rbac.authorization.k8s.io"),
        ("RoleBinding", "rolebindings.rbac.authorization.k8s.io"),
        ("Service", "services"),
        ("ServiceAccount", "serviceaccounts"),
        ("ServiceCIDR", "servicecidrs.networking.k8s.io"),
    )
}

#: The name space of uids that derive from a record.
_UID_SPACE: Final = uuid.UUID("7f3c1a52-4c0e-5b6e-9d55-0d6b7c6f4b21").bytes

#: The gaps that a record fills, as they stand in a template.
_GAP: Final = re.compile(rb"@(uid|created|date|name)@")
_ROOT_CA_NOTE: Final = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP"
    " or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters."
)
_AUTO_UPDATE: Final = {"apf.kubernetes.io/autoupdate-spec": "true"}

#: The fast loader where PyYAML was built with libyaml.
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

#: One encoded object: the text before the revision, then text and gaps in turn.
_Template = tuple[bytes, tuple[bytes, ...]]
_Templates = dict[ResourceId, dict[tuple[str, str], _Template]]


class _Tables(NamedTuple):
    templates: _Templates
    names: dict[ResourceId, tuple[tuple[str, str], ...]]


def object_uid(record: VcpRecord, resource: ResourceId, namespace: str, name: str) -> str:
    """The uid of a layer object: the same for one incarnation of a VCP, and for no other."""
    return derived_uid(_UID_SPACE, f"{record.uid}/{resource}/{namespace}/{name}")


class BootstrapLayer:
    """``storage.api.Layer``: pure, the same record gives the same bytes."""

    def __init__(self, plane: ManagementPlane) -> None:
        common = [*shared_objects(), *_documents("layer.yaml")]
        self._root = _compile([*common, *root_objects()], plane, plane.base_url)
        self._virtual = _compile([*common, *_documents("virtual.yaml")], plane, f"{plane.base_url}/clusters/@name@/control-plane")

    @property
    def version(self) -> str:
        """Stands for the content: a store that was last opened with another one gives the layer's objects a new revision."""
        digest = hashlib.sha256()
        for tables in (self._root, self._virtual):
            for resource, objects in sorted(tables.templates.items()):
                digest.update(repr((resource, sorted(objects.items()))).encode())
        return digest.hexdigest()

    def get(self, vcp: VcpRecord, resource: ResourceId, namespace: str, name: str) -> bytes | None:
        """The object, or ``None`` if the layer has none of that key."""
        objects = self._of(vcp).templates.get(resource)
        template = objects.get((namespace, name)) if objects is not None else None
        if template is None:
            return None
        head, parts = template
        created = from_epoch(vcp.created)
        gaps = {
            b"uid": object_uid(vcp, resource, namespace, name).encode(),
            b"created": created.encode(),
            b"date": created[:10].encode(),
            b"name": vcp.name.encode(),
        }
        filled = [head, b"%d" % vcp.revision]
        filled.extend(gaps[part] if index & 1 else part for index, part in enumerate(parts))
        return b"".join(filled)

    def names(self, vcp: VcpRecord, resource: ResourceId) -> Sequence[tuple[str, str]]:
        """The (namespace, name) pairs of ``resource``, sorted."""
        return self._of(vcp).names.get(resource, ())

    def resources(self, vcp: VcpRecord) -> Iterable[ResourceId]:
        """Every resource that the layer holds objects of."""
        return self._of(vcp).names.keys()

    def _of(self, vcp: VcpRecord) -> _Tables:
        return self._root if vcp.id == ROOT_VCP_ID else self._virtual


def shared_objects() -> list[Document]:
    """The objects of every control plane that follow from tables: namespaces and what is in each, roles, flow control."""
    objects: list[Document] = []
    for name in NAMESPACES:
        objects.append(
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
                "spec": {"finalizers": ["kubernetes"]},
                "status": {"phase": "Active"},
            }
        )
        objects.append({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}})
        objects.append(root_ca_config_map(name, "@ca@"))
    objects.extend(json.loads(_read("rbac.json")))
    flow_control = _load("flowcontrol.yaml")
    for name, spec in flow_control["levels"].items():
        objects.append(_flow_control("PriorityLevelConfiguration", name, spec))
    for name, schema in flow_control["schemas"].items():
        objects.append(_flow_control("FlowSchema", name, _flow_schema(schema)))
    return objects


@lru_cache(maxsize=1)
def default_cluster_roles() -> frozenset[str]:
    """The names of the ClusterRoles that every control plane starts with."""
    return frozenset(item["metadata"]["name"] for item in json.loads(_read("rbac.json")) if item["kind"] == "ClusterRole")


def root_objects() -> list[Document]:
    """The objects of root alone."""
    definitions = [*_load("crds.yaml"), *_load("fleets.yaml")]
    return [*map(established, definitions), *_documents("root.yaml")]


def root_ca_config_map(namespace: str, ca: str) -> Document:
    """The ConfigMap ``kube-root-ca.crt`` of a namespace, as upstream's root-ca-certificate-publisher writes it."""
    metadata = {"name": "kube-root-ca.crt", "namespace": namespace, "annotations": {"kubernetes.io/description": _ROOT_CA_NOTE}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"ca.crt": ca}}


def established(crd: Document) -> Document:
    """A CustomResourceDefinition of ours as it stands once it is served."""
    versions = [version["name"] for version in crd["spec"]["versions"]]
    conditions = [
        {"type": kind, "status": "True", "lastTransitionTime": "@created@", "reason": reason, "message": message}
        for kind, reason, message in (
            ("NamesAccepted", "NoConflicts", "no conflicts found"),
            ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        )
    ]
    metadata = {**crd["metadata"], "generation": 1}
    status = {"conditions": conditions, "acceptedNames": crd["spec"]["names"], "storedVersions": versions}
    return {**crd, "metadata": metadata, "status": status}


def _flow_schema(schema: Document) -> Document:
    spec: Document = {"priorityLevelConfiguration": {"name": schema["level"]}, "matchingPrecedence": schema["precedence"]}
    if "distinguisher" in schema:
        spec["distinguisherMethod"] = {"type": schema["distinguisher"]}
    return {**spec, "rules": schema["rules"]}


def _flow_control(kind: str, name: str, spec: Document) -> Document:
    metadata = {"name": name, "generation": 1, "annotations": _AUTO_UPDATE}
    return {"apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": kind, "metadata": metadata, "spec": spec, "status": {}}


def _read(name: str) -> bytes:
    return (resources.files(__package__) / "data" / name).read_bytes()


def _load(name: str) -> Any:
    return yaml.load(_read(name), Loader=_LOADER)


def _documents(name: str) -> list[Document]:
    return [document for document in yaml.load_all(_read(name), Loader=_LOADER) if document]


def _compile(objects: list[Document], plane: ManagementPlane, url: str) -> _Tables:
    """Templates of ``objects`` with everything filled in that all control planes share."""
    shared: dict[str, str | int] = {
        "@ca@": plane.ca_certificate.decode(),
        "@ca64@": plane.ca_base64,
        "@address@": plane.advertise_address,
        "@family@": plane.address_family,
        "@port@": plane.port,
        "@port-text@": str(plane.port),
        "@url@": url,
    }
    templates: _Templates = {}
    for document in objects:
        metadata = {**document["metadata"], "uid": "@uid@", "creationTimestamp": "@created@"}
        draft = encode({**_fill(document, shared), "metadata": _fill(metadata, shared)})
        key = (metadata.get("namespace", ""), metadata["name"])
        templates.setdefault(RESOURCES[document["kind"]], {})[key] = (draft.head, tuple(_GAP.split(draft.tail)))
    return _Tables(templates, {resource: tuple(sorted(keys)) for resource, keys in templates.items()})


def _fill(value: Any, texts: Mapping[str, str | int]) -> Any:
    """``value`` with the texts between @ signs replaced; a value that is such a text alone takes its type."""
    if isinstance(value, dict):
        return {key: _fill(item, texts) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, texts) for item in value]
    if not isinstance(value, str) or "@" not in value:
        return value
    if value in texts:
        return texts[value]
    for mark, text in texts.items():
        value = value.replace(mark, str(text))
    return value
