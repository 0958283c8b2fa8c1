# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a ControlPlane, its class and its endpoint mean together. Pure: documents in, a decision out."""

from __future__ import annotations

from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from kplane_server.model.names import is_dns_subdomain, is_vcp_name
from kplane_server.vcp.contract import cluster_path
from kplane_server.vcp.policy import url_problem

Document = dict[str, Any]

RETAIN: Final = "Retain"
DESTROY: Final = "Destroy"

#: What a class may ask for, and what it means here.
SUPPORTED_AUTH_MODELS: Final = frozenset({"", "basic"})  # a ServiceAccount token in a kubeconfig
SUPPORTED_MODES: Final = frozenset({"Virtual"})

_UNCOMMON_RULES: Final = frozenset({"limits", "ttl", "maxTTL"})
_ROLES: Final = {"": "cluster-admin", "admin": "cluster-admin"}


class Refusal(Exception):
    """Why a ControlPlane is not what it asks to be: the condition that is False, its reason, and a message for people.

    retry_after: look again after so many seconds, where no event would tell.
    """

    def __init__(self, condition: str, reason: str, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.condition, self.reason, self.message, self.retry_after = condition, reason, message, retry_after


class Endpoints(NamedTuple):
    """The URLs of one control plane, each with its path."""

    internal: str
    external: str
    join: str


class Terms(NamedTuple):
    """What a ControlPlane gets: its name in URLs, and the ClusterRole of its owner.

    common: its class gives it neither an end nor limits of what it may hold, so that there is nothing to say of them in its status.
    """

    path: str
    role: str
    common: bool = True


def class_problems(spec: Document) -> list[str]:
    """What a ControlPlaneClass asks for that is not supported here."""
    problems = [f'addon "{addon}" cannot be the name of a ConfigMap' for addon in spec.get("addons") or () if not is_dns_subdomain(addon)]
    model = (spec.get("auth") or {}).get("model") or ""
    if model not in SUPPORTED_AUTH_MODELS:
        problems.append(f'auth.model "{model}" is not supported; it may be "basic"')
    return problems


def terms(control_plane: Document, klass: Document | None) -> Terms:
    """Judge a ControlPlane by the rules of its class. Raises :class:`Refusal` with condition Accepted."""
    spec = control_plane.get("spec") or {}
    path, mode = cluster_path(control_plane), spec.get("mode") or "Virtual"
    class_name = (spec.get("classRef") or {}).get("name") or ""
    if not is_vcp_name(path):
        raise Refusal("Accepted", "InvalidClusterPath", f'"{path}" cannot be the name of a control plane: not a DNS label, or reserved')
    if class_name and klass is None:
        raise Refusal("Accepted", "ClassNotFound", f'ControlPlaneClass "{class_name}" does not exist')
    rules = (klass or {}).get("spec") or {}
    allowed = rules.get("modesAllowed") or ()
    if allowed and mode not in allowed:
        raise Refusal("Accepted", "ModeNotAllowed", f'class "{class_name}" does not allow mode {mode}; it allows {", ".join(allowed)}')
    if mode not in SUPPORTED_MODES:
        raise Refusal("Accepted", "ModeNotSupported", f"mode {mode} is not supported by this management plane; it supports Virtual")
    if problems := class_problems(rules):
        raise Refusal("Accepted", "ClassNotSupported", f'class "{class_name}": {"; ".join(problems)}')
    role = (rules.get("auth") or {}).get("defaultRole") or ""
    return Terms(path, _ROLES.get(role, role), _UNCOMMON_RULES.isdisjoint(rules))


def deletion_policy(control_plane: Document, klass: Document | None) -> str:
    """What becomes of the data: the ControlPlane's own word, else its class's, else it is kept."""
    own = (control_plane.get("spec") or {}).get("deletionPolicy")
    of_class = ((klass or {}).get("spec") or {}).get("deletionPolicy")
    return str(own or of_class or RETAIN)


def resolve(endpoint: Document, path: str) -> Endpoints:
    """The URLs that a ControlPlaneEndpoint gives the control plane ``path``. Raises :class:`Refusal` with condition Programmed."""
    spec, status = endpoint.get("spec") or {}, endpoint.get("status") or {}
    name = endpoint["metadata"]["name"]

    def first(*fields: str) -> str:
        return next((str(source[field]) for field in fields for source in (status, spec) if source.get(field)), "")

    internal = first("endpoint")
    if not internal:
        raise Refusal("Programmed", "EndpointPending", f'ControlPlaneEndpoint "{name}" has no endpoint yet')
    external = first("externalEndpoint") or internal
    join = first("joinEndpoint") or external
    return Endpoints(*(with_path(url, path, name) for url in (internal, external, join)))


def with_path(url: str, path: str, endpoint: str) -> str:
    """``url`` with the path of the control plane ``path``. One that names another control plane is refused (kplane defect O5)."""
    wanted = ["clusters", path, "control-plane"]
    problem = url_problem(url)
    if problem:
        raise Refusal("Programmed", "InvalidEndpoint", f'ControlPlaneEndpoint "{endpoint}": "{url}" {problem}')
    parts = urlsplit(url)
    segments = parts.path.strip("/").split("/") if parts.path.strip("/") else []
    if any(segment in ("", ".", "..") or "%" in segment or ";" in segment for segment in segments):
        text = f'ControlPlaneEndpoint "{endpoint}": the path of "{url}" has empty, relative or escaped parts'
        raise Refusal("Programmed", "InvalidEndpoint", text)
    base = f"{parts.scheme}://{parts.netloc}"
    if segments[-3:] == wanted and "clusters" not in segments[:-3]:
        return "/".join([base, *segments])
    if "clusters" in segments or "control-plane" in segments:
        text = f'ControlPlaneEndpoint "{endpoint}": "{url}" names another control plane than "{path}"'
        raise Refusal("Programmed", "ForeignClusterPath", text)
    return "/".join([base, *segments, *wanted])
