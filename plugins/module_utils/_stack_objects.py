# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects of the stack: which kinds there may be, in which order they go in, and what they mount.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import copy
import hashlib
import json
import typing as t

from ansible_collections.kplane.core.plugins.module_utils import _yaml
from ansible_collections.kplane.core.plugins.module_utils._contract import (
    CONFIG_MAPS,
    CONTROL_PLANE_CLASSES,
    FIELD_MANAGER,
    MANAGED_BY_LABEL,
    SECRETS,
    SERVICE_ACCOUNTS,
    Resource,
)
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError

Json = t.Dict[str, t.Any]

COMPONENT_LABEL: t.Final = "app.kubernetes.io/component"
CHECKSUM_ANNOTATION: t.Final = "core.kplane.dev/checksum-"

NAMESPACES: t.Final = Resource("", "v1", "namespaces", "Namespace")
DEFINITIONS: t.Final = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition")
STATEFUL_SETS: t.Final = Resource("apps", "v1", "statefulsets", "StatefulSet", True)
DEPLOYMENTS: t.Final = Resource("apps", "v1", "deployments", "Deployment", True)
SERVICES: t.Final = Resource("", "v1", "services", "Service", True)
PODS: t.Final = Resource("", "v1", "pods", "Pod", True)
EVENTS: t.Final = Resource("", "v1", "events", "Event", True)

#: Every kind that a stack may hold: nothing has to be discovered.
KINDS: t.Final = {
    (resource.api_version, resource.kind): resource
    for resource in (
        NAMESPACES,
        DEFINITIONS,
        STATEFUL_SETS,
        DEPLOYMENTS,
        SERVICES,
        CONFIG_MAPS,
        SECRETS,
        SERVICE_ACCOUNTS,
        CONTROL_PLANE_CLASSES,
        Resource("batch", "v1", "cronjobs", "CronJob", True),
        Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", True),
        Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", True),
        Resource("networking.k8s.io", "v1", "ingresses", "Ingress", True),
        Resource("gateway.networking.k8s.io", "v1alpha2", "tlsroutes", "TLSRoute", True),
        Resource("rbac.authorization.k8s.io", "v1", "roles", "Role", True),
        Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding", True),
        Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole"),
        Resource("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding"),
    )
}

#: The order of the workloads; each one serves before the next is touched.
COMPONENTS: t.Final = ("etcd", "apiserver", "operator")
_FIRST: t.Final = (NAMESPACES.kind, DEFINITIONS.kind)
#: After the operator runs, because it is what looks at them.
_LAST: t.Final = (CONTROL_PLANE_CLASSES.kind,)


class Object(t.NamedTuple):
    """One object of the stack."""

    resource: Resource
    namespace: str
    name: str
    body: Json

    @property
    def key(self) -> str:
        """For people, and for the inventory."""
        return "/".join(part for part in (self.resource.api_version, self.resource.kind, self.namespace, self.name) if part)

    @property
    def component(self) -> str:
        """The component that it belongs to."""
        return str((self.body["metadata"].get("labels") or {}).get(COMPONENT_LABEL) or "")

    @property
    def workload(self) -> bool:
        """Whether pods come of it."""
        return self.resource.kind in (STATEFUL_SETS.kind, DEPLOYMENTS.kind)

    def reference(self) -> Json:
        """What the inventory keeps."""
        return {"apiVersion": self.resource.api_version, "kind": self.resource.kind, "namespace": self.namespace, "name": self.name}


def parse(manifests: t.Iterable[t.Any]) -> list[Object]:
    """The objects of rendered manifests: YAML text with any number of documents, or mappings."""
    found: dict[str, Object] = {}
    for index, manifest in enumerate(manifests):
        source = f"manifests[{index}]"
        documents = _yaml.load_all(manifest.encode(), source) if isinstance(manifest, str) else [manifest]
        for document in documents:
            for entry in _entries(document):
                obj = _object(entry, source)
                if obj.key in found:
                    raise KplaneError(f"{source} has {obj.key} again")
                found[obj.key] = obj
    return sorted(found.values(), key=phase)


def _entries(document: t.Any) -> list[t.Any]:
    """The objects of one document, which may be empty or a List."""
    if document is None:
        return []
    if isinstance(document, dict) and document.get("kind") == "List":
        return list(document.get("items") or [])
    return [document]


def _object(document: t.Any, source: str) -> Object:
    metadata = document.get("metadata") if isinstance(document, dict) else None
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        raise KplaneError(f"{source} has a document that is not a Kubernetes object with a name")
    resource = KINDS.get((str(document.get("apiVersion")), str(document.get("kind"))))
    if resource is None:
        raise KplaneError(
            f"{source} has the kind {document.get('kind')!r} of {document.get('apiVersion')!r}, which no part of the stack has"
        )
    namespace = str(metadata.get("namespace") or "")
    if resource.namespaced != bool(namespace):
        raise KplaneError(f"{source}: {resource.kind} {metadata['name']} {'needs a' if resource.namespaced else 'has no'} namespace")
    body = copy.deepcopy(document)
    body["metadata"].setdefault("labels", {})[MANAGED_BY_LABEL] = FIELD_MANAGER
    return Object(resource, namespace, metadata["name"], body)


def phase(obj: Object) -> int:
    """When an object goes in: all of a phase before any of the next."""
    if obj.resource.kind in _FIRST:
        return _FIRST.index(obj.resource.kind)
    if obj.workload and obj.component in COMPONENTS:
        return len(_FIRST) + 1 + COMPONENTS.index(obj.component)
    return 9 if obj.resource.kind in _LAST else len(_FIRST)


def _volumes(obj: Object) -> t.Iterator[tuple[str, str, frozenset[str] | None]]:
    """What the pods mount: kind, name and keys (all of them if ``None``)."""
    for volume in obj.body["spec"]["template"]["spec"].get("volumes") or []:
        sources = [volume, *((volume.get("projected") or {}).get("sources") or [])]
        for source in sources:
            for kind, field, key in (("Secret", "secret", "secretName"), ("ConfigMap", "configMap", "name")):
                section = source.get(field)
                if section:
                    items = section.get("items")
                    name = str(section.get(key) or section.get("name") or "")
                    yield kind, name, frozenset(str(item["key"]) for item in items) if items else None


def with_checksums(obj: Object, digests: t.Callable[[str, str, frozenset[str] | None], str]) -> Object:
    """``obj`` with a digest of everything that it mounts in its pods' annotations, so that a change of it rolls them."""
    if not obj.workload:
        return obj
    body = copy.deepcopy(obj.body)
    annotations = body["spec"]["template"].setdefault("metadata", {}).setdefault("annotations", {})
    for kind, name, keys in _volumes(obj):
        value = digests(kind, name, keys)
        if value:
            annotations[CHECKSUM_ANNOTATION + name] = value
    return obj._replace(body=body)


def config_digest(obj: Object, keys: frozenset[str] | None) -> str:
    """A digest of a ConfigMap of the stack."""
    data = {key: value for key, value in (obj.body.get("data") or {}).items() if keys is None or key in keys}
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def images(objects: t.Iterable[Object]) -> dict[str, str]:
    """The image of each component."""
    found = {}
    for obj in objects:
        if obj.workload and obj.component in COMPONENTS:
            found[obj.component] = str(obj.body["spec"]["template"]["spec"]["containers"][0]["image"])
    return found


def version_of(image: str) -> tuple[int, ...] | None:
    """The version that the tag of an image says, or ``None`` if it says none. A port of a registry or a digest is no tag."""
    name = image.split("@", 1)[0].rsplit("/", 1)[-1]
    tag = name.partition(":")[2].lstrip("v").split("-", 1)[0].split("+", 1)[0]
    parts = tag.split(".")
    return tuple(int(part) for part in parts) if len(parts) > 1 and all(part.isdigit() for part in parts) else None


def repository_of(image: str) -> str:
    """The last part of the repository of an image, which stays the same on a mirror."""
    return image.split("@", 1)[0].rsplit("/", 1)[-1].partition(":")[0]


def downgrades(before: t.Mapping[str, str], after: t.Mapping[str, str]) -> list[str]:
    """The components that would become older."""
    found = []
    for component, image in after.items():
        old = before.get(component, "")
        was, becomes = version_of(old), version_of(image)
        if was and becomes and repository_of(old) == repository_of(image) and becomes < was:
            found.append(f"{component} from {old} to {image}")
    return found
