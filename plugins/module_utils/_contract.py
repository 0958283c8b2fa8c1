# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contract: names and shapes that a management plane and its clients agree on.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import hashlib
import re
import typing as t

API_GROUP: t.Final = "controlplane.kplane.dev"
API_VERSION: t.Final = "v1alpha1"
GROUP_VERSION: t.Final = API_GROUP + "/" + API_VERSION

FIELD_MANAGER: t.Final = "kplane.core"
MANAGED_BY_LABEL: t.Final = "app.kubernetes.io/managed-by"
#: Marks an endpoint whose address this collection worked out (nobody declared one).
DEFAULT_ENDPOINT_ANNOTATION: t.Final = "core.kplane.dev/default-endpoint"

MANAGEMENT_NAMESPACE: t.Final = "kplane-system"
MANAGEMENT_CONFIG_MAP: t.Final = "kplane-management"
ADMIN_SERVICE_ACCOUNT: t.Final = "controlplane-admin"
KUBECONFIG_KEY: t.Final = "kubeconfig"
EXTERNAL_KUBECONFIG_KEY: t.Final = "kubeconfig-external"

#: The stack on a real cluster: the Service of the shared API server, the fixed node port of its way in, our inventory.
API_SERVICE: t.Final = "kplane-apiserver"
API_SERVICE_PORT: t.Final = 6443
NODE_PORT: t.Final = 30443
STACK_CONFIG_MAP: t.Final = "kplane-core-stack"
#: The CA that certifies the shared API server.
CA_SECRET: t.Final = "kplane-cluster-signing-keys"

DEFAULT_CLUSTER_NAME: t.Final = "kplane-management"
DEFAULT_CLASS: t.Final = "starter"
DEFAULT_PORT: t.Final = 8443
#: How many ports after the default one are tried when nobody asked for a certain one.
PORT_RANGE: t.Final = 100

#: The release of kplane-server that belongs to this release of the collection.
SERVER_REQUIREMENT: t.Final = "kplane-server==0.1.0"

#: The path prefix of one VCP, before the Kubernetes path.
VCP_PATH: t.Final = "/clusters/{name}/control-plane"
#: Prefix of the kubeconfig entries of VCPs; context, cluster and user all bear the same name.
VCP_CONTEXT_PREFIX: t.Final = "kplane-"

RESERVED_VCP_NAMES: t.Final = frozenset({"root", "clusters"})

_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?")
_LABEL_MAX = 63
#: Upstream shortens a management namespace that would be too long to this many characters and a hash.
_SHORT_NAMESPACE = 40
_SHORT_SECRET = 30


class Resource(t.NamedTuple):
    """One REST resource of the Kubernetes API, known without discovery."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = False

    @property
    def api_version(self) -> str:
        """The ``apiVersion`` of its objects."""
        return self.group + "/" + self.version if self.group else self.version

    def path(self, name: str = "", namespace: str = "") -> str:
        """The URL path of the collection, or of the object called ``name``."""
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        if name:
            parts.append(name)
        return "/".join(parts)


CONTROL_PLANES: t.Final = Resource(API_GROUP, API_VERSION, "controlplanes", "ControlPlane")
CONTROL_PLANE_CLASSES: t.Final = Resource(API_GROUP, API_VERSION, "controlplaneclasses", "ControlPlaneClass")
CONTROL_PLANE_ENDPOINTS: t.Final = Resource(API_GROUP, API_VERSION, "controlplaneendpoints", "ControlPlaneEndpoint")
CONFIG_MAPS: t.Final = Resource("", "v1", "configmaps", "ConfigMap", True)
SECRETS: t.Final = Resource("", "v1", "secrets", "Secret", True)
SERVICE_ACCOUNTS: t.Final = Resource("", "v1", "serviceaccounts", "ServiceAccount", True)
SELF_SUBJECT_REVIEWS: t.Final = Resource("authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview")


def is_dns_label(value: str) -> bool:
    """Whether ``value`` is a DNS-1123 label of at most 63 characters."""
    return len(value) <= _LABEL_MAX and _LABEL.fullmatch(value) is not None


def vcp_name_problem(name: str) -> str | None:
    """Why ``name`` cannot name a VCP, or ``None`` if it can."""
    if not is_dns_label(name):
        return (
            f"{name!r} is not a valid name: a VCP name has 1 to 63 characters, lower-case letters, digits and '-', "
            "and starts and ends with a letter or a digit"
        )
    if name in RESERVED_VCP_NAMES:
        return f"{name!r} is a reserved name (reserved are: {', '.join(sorted(RESERVED_VCP_NAMES))})"
    return None


def cluster_name_problem(name: str) -> str | None:
    """Why ``name`` cannot name a management plane, or ``None`` if it can."""
    if is_dns_label(name):
        return None
    return (
        f"{name!r} is not a valid name of a management plane: it has 1 to 63 characters, lower-case letters, "
        "digits and '-', and starts and ends with a letter or a digit"
    )


def vcp_path(name: str) -> str:
    """The URL path prefix of the VCP ``name``."""
    return VCP_PATH.format(name=name)


def vcp_context(name: str) -> str:
    """The name of the kubeconfig context, cluster and user of the VCP ``name``."""
    return VCP_CONTEXT_PREFIX + name


def endpoint_name(name: str) -> str:
    """The name of the ControlPlaneEndpoint that belongs to the VCP ``name``."""
    return name + "-endpoint"


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def vcp_namespace(name: str) -> str:
    """The management namespace of the VCP ``name`` (shortened with a hash where it would be too long)."""
    namespace = "kplane-cp-" + name
    return namespace if len(namespace) <= _LABEL_MAX else namespace[:_SHORT_NAMESPACE].rstrip("-") + "-" + _digest(name)


def vcp_secret(name: str) -> str:
    """The name of the Secret that holds the kubeconfigs of the VCP ``name``, where its status names none."""
    secret = "controlplane-" + name + "-kubeconfig"
    return secret if len(secret) <= _LABEL_MAX else "cp-" + name[:_SHORT_SECRET].rstrip("-") + "-kubeconfig-" + _digest(name)
