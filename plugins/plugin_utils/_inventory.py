# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the VCPs of management planes to hosts and groups; what is fetched, and pure functions on it.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import fnmatch
import os
import re
import typing as t

from ansible_collections.kplane.core.plugins.module_utils import _contract, _io, _kubeconfig_files, _plane
from ansible_collections.kplane.core.plugins.module_utils._client import Json
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError
from ansible_collections.kplane.core.plugins.module_utils._wait import condition
from ansible_collections.kplane.core.plugins.plugin_utils._fleet_spec import PAUSED, STATE_ANNOTATION

#: Labels that say nothing about a VCP that a group would be wanted for.
_DULL_LABELS = frozenset({_contract.MANAGED_BY_LABEL})
_NO_NAME = re.compile(r"[^A-Za-z0-9_]")


class Found(t.NamedTuple):
    """What one management plane holds. Nothing in it is secret, so it may be cached."""

    name: str
    #: The variables that lead to it.
    variables: dict[str, t.Any]
    ca_certificate: str
    vcps: list[Json]


def fetch(options: t.Mapping[str, t.Any], label_selector: str) -> Found:
    """Ask one management plane: one paged list."""
    reached = _plane.reach(options)
    with reached.client as client:
        objects, _version = client.list_all(_contract.CONTROL_PLANES, label_selector=label_selector)
        variables = {"kplane_management_context": reached.context}
        path = _kubeconfig_path(options, reached)
        if path:
            variables["kplane_management_kubeconfig"] = path
        elif options.get("management_kubeconfig"):
            raise KplaneError("The kubeconfig of a management plane has to be a path here, because the hosts refer to it")
        name = str(options.get("name") or reached.context)
        return Found(name, variables, client.connection.ca_certificate, [facts(obj) for obj in objects])


def _kubeconfig_path(options: t.Mapping[str, t.Any], reached: _plane.Reached) -> str:
    """The file that leads to the management plane, so that whatever a host runs finds it without asking how it was found."""
    given = options.get("management_kubeconfig")
    if isinstance(given, str):
        return _io.expand(given)
    if reached.driver is not None:
        source = reached.driver.kubeconfig().source
        return source if os.path.isfile(source) else ""
    if given:
        return ""
    snapshot = _kubeconfig_files.KubeconfigFiles(_kubeconfig_files.user_paths()).read()
    for path in snapshot.paths:
        if any(entry.get("name") == reached.context for entry in (snapshot.documents.get(path) or {}).get("contexts") or []):
            return path
    return ""


def facts(obj: Json) -> Json:
    """What a host says of its VCP."""
    metadata, spec, status = obj.get("metadata") or {}, obj.get("spec") or {}, obj.get("status") or {}
    ready = condition(obj, "Ready")
    annotations = metadata.get("annotations") or {}
    name = str(metadata["name"])
    return {
        "name": name,
        "class": str((spec.get("classRef") or {}).get("name") or ""),
        "ready": ready.get("status") == "True",
        "reason": str(ready.get("reason") or ""),
        "message": str(ready.get("message") or ""),
        "paused": annotations.get(STATE_ANNOTATION) == PAUSED,
        "deleting": bool(metadata.get("deletionTimestamp")),
        "labels": metadata.get("labels") or {},
        "annotations": annotations,
        "deletion_policy": str(spec.get("deletionPolicy") or ""),
        "endpoint": str(status.get("endpoint") or ""),
        "context": _contract.vcp_context(name),
        "uid": str(metadata.get("uid") or ""),
        "created": str(metadata.get("creationTimestamp") or ""),
    }


def name_filter(patterns: t.Sequence[str]) -> t.Callable[[str], bool]:
    """Whether a name matches one of the patterns: globs, and regular expressions after a tilde, as in Ansible's host patterns."""
    if not patterns:
        return lambda name: True
    compiled = []
    for pattern in patterns:
        try:
            compiled.append(re.compile(pattern[1:] if pattern.startswith("~") else fnmatch.translate(pattern)))
        except re.error as exc:
            raise KplaneError(f"{pattern!r} in names is not a valid pattern: {exc}") from exc
    return lambda name: any(regexp.match(name) for regexp in compiled)


def host_names(planes: t.Sequence[tuple[str, t.Sequence[Json]]], style: str) -> list[list[str]]:
    """The host name of each VCP of each plane; ``auto`` adds the plane's name where there are several planes."""
    qualified = style == "qualified" or (style == "auto" and len(planes) > 1)
    names = [[f"{vcp['name']}.{plane}" if qualified else str(vcp["name"]) for vcp in vcps] for plane, vcps in planes]
    seen: dict[str, str] = {}
    for (plane, _vcps), of_plane in zip(planes, names):
        for name in of_plane:
            if name in seen:
                raise KplaneError(
                    f"The management planes {seen[name]!r} and {plane!r} both have a VCP that makes the host {name!r}; "
                    "give them different names, or set hostnames to qualified"
                )
            seen[name] = plane
    return names


def group_part(text: str) -> str:
    """``text`` with nothing in it that a group name may not have."""
    return _NO_NAME.sub("_", text)


def groups_of(vcp: Json, plane: str, label_keys: t.Container[str] | None) -> list[str]:
    """The groups of one VCP; ``label_keys`` of ``None`` means every label."""
    state = "paused" if vcp["paused"] else "ready" if vcp["ready"] else "not_ready"
    groups = [f"kplane_plane_{group_part(plane)}", f"kplane_{state}"]
    if vcp["class"]:
        groups.append(f"kplane_class_{group_part(vcp['class'])}")
    for key, value in vcp["labels"].items():
        if (key not in _DULL_LABELS) if label_keys is None else (key in label_keys):
            groups.append(f"kplane_label_{group_part(key)}_{group_part(value)}" if value else f"kplane_label_{group_part(key)}")
    return groups
