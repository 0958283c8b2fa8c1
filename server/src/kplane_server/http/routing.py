# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a path to a frozen request: which control plane, which resource, which verb. Pure.

The path arrives percent-decoded, so a segment is checked and never trusted for its boundary; the same decoded path is what authorization
sees and what the handlers use. Source of the grammar:
https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris and upstream's request info rules.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from kplane_server.http.request import parse_flag
from kplane_server.model.errors import ApiError, BadRequest, MethodNotAllowed, NotFound
from kplane_server.model.names import ROOT, is_dns_label

CLUSTERS: Final = "/clusters/"
CONTROL_PLANE: Final = "control-plane"

#: What each method does to a resource; a GET is refined to list or watch.
METHOD_VERBS: Final = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}

#: Sub-resources of a Namespace itself; anything else below a namespace is a collection in it.
NAMESPACE_SUBRESOURCES: Final = frozenset({"status", "finalize"})

#: NUL and control characters, and what a transport puts for bytes that are no UTF-8.
_UNCLEAN = re.compile(r"[\x00-\x1f\x7f\ufffd\ud800-\udfff]")

#: Selecting one object by name in a list is authorized as that name, as upstream does.
_NAME_SELECTOR = re.compile(r"metadata\.name==?([^,=!]+)")


class ApiRequest(NamedTuple):
    """What is asked of one control plane.

    For a non-resource path ``resource`` is empty and ``verb`` is the method in lower case. ``namespace`` of a Namespace object is its own
    name, as authorization expects it. ``path`` is relative to the control plane.
    """

    path: str
    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""


def check_path(path: str, limit: int) -> None:
    """Refuse what no client of good will sends, before anything else looks at it."""
    if len(path) > limit:
        raise BadRequest(f"the path is longer than {limit} characters")
    if _UNCLEAN.search(path) is not None:
        raise BadRequest("the path contains control characters or is not UTF-8")
    if not path.startswith("/"):
        raise BadRequest("the path does not start with a slash")
    if "/." in path and any(part in (".", "..") for part in path.split("/")):
        raise BadRequest("the path contains dot segments")


def split_vcp(path: str) -> tuple[str, str]:
    """The name of the control plane and the path below it. A name that cannot exist is 404, as one that does not."""
    if not path.startswith(CLUSTERS):
        return ROOT, path
    name, slash, rest = path[len(CLUSTERS) :].partition("/")
    if slash and is_dns_label(name):
        if rest == CONTROL_PLANE:
            return name, "/"
        if rest.startswith(CONTROL_PLANE + "/"):
            return name, rest[len(CONTROL_PLANE) :]
        raise path_not_found()
    raise unknown_vcp(name)


def unknown_vcp(name: str) -> NotFound:
    """The one answer for every control plane that is not served, whoever asks."""
    if not is_dns_label(name):
        return NotFound("the server could not find the requested resource")
    return NotFound(f'virtual control plane "{name}" not found', group="controlplane.kplane.dev", kind="controlplanes", name=name)


def path_not_found() -> NotFound:
    return NotFound("the server could not find the requested resource")


def method_not_allowed() -> ApiError:
    return MethodNotAllowed("the server does not allow this method on the requested resource")


def resolve(method: str, path: str, query: dict[str, str]) -> ApiRequest:
    """Parse a path below a control plane. Raises 404 for malformed resource paths and 405 for methods that the API does not know."""
    if method not in METHOD_VERBS:
        raise method_not_allowed()
    parts = path.split("/")[1:]
    if parts[-1] == "" and len(parts) > 1:
        parts.pop()
    core = parts[0] == "api"
    if not (core and len(parts) >= 3) and not (parts[0] == "apis" and len(parts) >= 4):
        return ApiRequest(path, method.lower())
    if "" in parts:
        raise path_not_found()
    group, version, rest = ("", parts[1], parts[2:]) if core else (parts[1], parts[2], parts[3:])
    return _resolve_resource(method, path, query, group, version, rest)


def _resolve_resource(method: str, path: str, query: dict[str, str], group: str, version: str, rest: list[str]) -> ApiRequest:
    verb = METHOD_VERBS[method]
    watching = False
    if rest[0] == "watch" and len(rest) > 1 and verb == "get":  # the deprecated /api/v1/watch/… form still works upstream
        rest, watching = rest[1:], True
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        if len(rest) > 2 and rest[2] not in NAMESPACE_SUBRESOURCES:
            rest = rest[2:]
            if rest[0] == "namespaces" and not group:
                raise path_not_found()  # a Namespace is in no namespace
    resource = rest[0]
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    if len(rest) > 3 and subresource != "proxy":
        raise path_not_found()
    if verb == "get" and not name:
        verb = "watch" if watching or parse_flag(query.get("watch")) else "list"
        if selected := _NAME_SELECTOR.fullmatch(query.get("fieldSelector", "")):
            name = selected.group(1)
    elif watching:
        verb = "watch"
    elif not name and verb == "delete":
        verb = "deletecollection"
    return ApiRequest(path, verb, group, version, resource, namespace, name, subresource)
