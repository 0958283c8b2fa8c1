# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small documents that the tests create."""

from __future__ import annotations

from typing import Any


def config_map(name: str, data: dict[str, str] | None = None, **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": data or {}}


def namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def crd(
    plural: str = "widgets",
    kind: str = "Widget",
    group: str = "example.com",
    *,
    spec: dict[str, Any] | None = None,
    versions: tuple[str, ...] = ("v1",),
    scope: str = "Namespaced",
) -> dict[str, Any]:
    """A CustomResourceDefinition whose ``spec`` has the given properties (a string ``size`` when none are)."""
    schema = {
        "type": "object",
        "properties": {
            "spec": {"type": "object", "properties": spec or {"size": {"type": "string"}}},
            "status": {"type": "object", "properties": {"phase": {"type": "string"}}},
        },
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": scope,
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"},
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": version == versions[0],
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {"status": {}},
                }
                for version in versions
            ],
        },
    }


def widget(name: str, spec: dict[str, Any], api_version: str = "example.com/v1", kind: str = "Widget") -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, "spec": spec}


def cluster_role(name: str, resources: list[str], verbs: list[str], groups: list[str] | None = None) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": [{"apiGroups": groups or [""], "resources": resources, "verbs": verbs}],
    }


def cluster_role_binding(name: str, role: str, *users: str, accounts: tuple[tuple[str, str], ...] = ()) -> dict[str, Any]:
    subjects: list[dict[str, str]] = [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"} for user in users]
    subjects += [{"kind": "ServiceAccount", "namespace": namespace, "name": name} for namespace, name in accounts]
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": subjects,
    }
