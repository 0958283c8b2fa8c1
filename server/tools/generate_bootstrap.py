# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generate ``vcp/data/rbac.json``: the default roles and bindings of Kubernetes, with the aggregated roles filled in.

Source: the golden files of the bootstrap policy in the module k8s.io/kubernetes (facts, not code).
Usage: ``python server/tools/generate_bootstrap.py``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from kubernetes_sources import sources

FOLDER = "plugin/pkg/auth/authorizer/rbac/bootstrappolicy/testdata"
FILES = (
    "cluster-roles.yaml",
    "controller-roles.yaml",
    "cluster-role-bindings.yaml",
    "controller-role-bindings.yaml",
    "namespace-roles.yaml",
    "namespace-role-bindings.yaml",
)
TARGET = Path(__file__).resolve().parent.parent / "src" / "kplane_server" / "vcp" / "data" / "rbac.json"


def aggregate(role: dict[str, Any], roles: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rules that the selectors of an aggregated role collect, in the order of names, each once."""
    selectors = [selector["matchLabels"] for selector in role["aggregationRule"]["clusterRoleSelectors"]]
    rules: list[dict[str, Any]] = []
    for other in sorted(roles, key=lambda r: str(r["metadata"]["name"])):
        labels = other["metadata"].get("labels", {})
        if other is role or not any(all(labels.get(k) == v for k, v in selector.items()) for selector in selectors):
            continue
        found = aggregate(other, roles) if "aggregationRule" in other else other.get("rules") or []
        rules.extend(rule for rule in found if rule not in rules)
    return rules


def main() -> None:
    folder = sources() / FOLDER
    items: list[dict[str, Any]] = []
    for name in FILES:
        items.extend(yaml.safe_load((folder / name).read_text())["items"])
    cluster_roles = [item for item in items if item["kind"] == "ClusterRole"]
    for item in items:
        item["metadata"].pop("creationTimestamp", None)
        if "aggregationRule" in item:
            item["rules"] = aggregate(item, cluster_roles)
    items.sort(key=lambda i: (i["kind"], i["metadata"].get("namespace", ""), i["metadata"]["name"]))
    TARGET.write_text(json.dumps(items, separators=(",", ":"), ensure_ascii=False) + "\n")
    print(f"{TARGET.name}: {len(items)} objects")


if __name__ == "__main__":
    main()
