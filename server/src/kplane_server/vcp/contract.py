# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contract of the group ``controlplane.kplane.dev``: names, annotations, and what a ControlPlane document means. Pure."""

from __future__ import annotations

import hashlib
from typing import Final

from kplane_server.model.errors import Json
from kplane_server.model.keys import ROOT_VCP_ID, ObjectKey, ResourceId

GROUP: Final = "controlplane.kplane.dev"
API_VERSION: Final = f"{GROUP}/v1alpha1"

CONTROL_PLANES: Final = ResourceId(f"controlplanes.{GROUP}")
CLASSES: Final = ResourceId(f"controlplaneclasses.{GROUP}")
ENDPOINTS: Final = ResourceId(f"controlplaneendpoints.{GROUP}")
REGISTRATIONS: Final = ResourceId(f"controlplaneregistrations.{GROUP}")

#: Holds a ControlPlane until its control plane is retained or destroyed.
FINALIZER: Final = f"{GROUP}/finalizer"
#: Label of what belongs to a ControlPlane in root: its name.
NAME_LABEL: Final = f"{GROUP}/name"
#: The explicit choice about retained data of the same name: ``true``, the uid of an incarnation, or ``false`` (start empty).
REATTACH_ANNOTATION: Final = f"{GROUP}/reattach"
#: Which incarnation a ControlPlane took over. Only the operator writes it.
INCARNATION_ANNOTATION: Final = f"{GROUP}/incarnation"
#: When the token in a kubeconfig Secret ends (RFC 3339).
EXPIRY_ANNOTATION: Final = f"{GROUP}/token-expires"

#: How long a ControlPlane lives from its creation on (``72h``, ``7d``), and when it ends (RFC 3339); the earlier counts.
TTL_ANNOTATION: Final = f"{GROUP}/ttl"
EXPIRES_ANNOTATION: Final = f"{GROUP}/expires"
#: ``paused``: not served until the annotation goes. With ``resumeOnRequest: "true"`` a request of somebody who is known takes it away.
STATE_ANNOTATION: Final = f"{GROUP}/state"
PAUSED: Final = "paused"
RESUME_ANNOTATION: Final = f"{GROUP}/resumeOnRequest"
#: Limits of its own, as a JSON object; they only lower those of its class.
LIMITS_ANNOTATION: Final = f"{GROUP}/limits"

#: Any new value asks for a new signing key; ``status.observedRotate`` says which value has been seen to.
ROTATE_ANNOTATION: Final = f"{GROUP}/rotate"

SYSTEM_NAMESPACE: Final = "kplane-system"
ADMIN_ACCOUNT: Final = "controlplane-admin"
NAMESPACE_PREFIX: Final = "kplane-cp-"

_LABEL_LENGTH: Final = 63
_KEPT_LENGTH: Final = 40


def cluster_path(control_plane: Json) -> str:
    """The name under which a ControlPlane is served."""
    virtual = (control_plane.get("spec") or {}).get("virtual") or {}
    path: str = virtual.get("clusterPath") or control_plane["metadata"]["name"]
    return path


def incarnation(control_plane: Json) -> str:
    """The uid of the incarnation that is a ControlPlane's own: the one that it took over, else the one that it made."""
    metadata = control_plane["metadata"]
    uid: str = (metadata.get("annotations") or {}).get(INCARNATION_ANNOTATION) or metadata["uid"]
    return uid


def management_namespace(name: str) -> str:
    """The namespace in root that holds what belongs to ControlPlane ``name``; a long name is cut and made unique by a hash."""
    full = NAMESPACE_PREFIX + name
    if len(full) <= _LABEL_LENGTH:
        return full
    return f"{full[:_KEPT_LENGTH].rstrip('-')}-{hashlib.sha256(full.encode()).hexdigest()[:8]}"


def kubeconfig_secret(name: str) -> str:
    """The Secret with the kubeconfig files of ControlPlane ``name``."""
    return f"controlplane-{name}-kubeconfig"


def default_endpoint(name: str) -> str:
    """The ControlPlaneEndpoint of a ControlPlane that names none."""
    return f"{name}-endpoint"


def root_key(resource: ResourceId, name: str, namespace: str = "") -> ObjectKey:
    """The key of an object in root."""
    return ObjectKey(ROOT_VCP_ID, resource, namespace, name)
