# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write ``catalog.json``: every built-in resource, from the published discovery documents of Kubernetes."""

from __future__ import annotations

import json
from typing import Any

from kubernetes_sources import DATA, VERSION, compact, file_stem, group_versions, serves, sources

#: Versions whose objects are stored in another version (upstream: pkg/apis/*/install and the storage factory's overrides).
STORED_AS = {("events.k8s.io", "v1", "events"): ["", "v1"], ("autoscaling", "v1", "horizontalpodautoscalers"): ["autoscaling", "v2"]}

#: Where versions, or groups, share their objects under an id other than their own.
STORAGE_IDS = {("events.k8s.io", "events"): "events"}

#: Texts of warnings, as the release answers with them (pkg/apis/*/v1/zz_generated.prerelease-lifecycle.go and the core's lifecycle).
DEPRECATIONS = {
    ("", "v1", "componentstatuses"): "v1 ComponentStatus is deprecated in v1.19+",
    ("", "v1", "endpoints"): "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
}


def kind_of(row: dict[str, Any], group: str, version: str) -> list[str]:
    return [row.get("group", group) if "version" in row else group, row.get("version", version), row["kind"]]


def resources(document: dict[str, Any], group: str, version: str) -> list[dict[str, Any]]:
    """The rows of one group version, sub-resources nested in their resource."""
    rows: dict[str, dict[str, Any]] = {}
    for row in document["resources"]:
        name, _, subresource = row["name"].partition("/")
        if not serves(group, version, name):
            continue
        verbs = row["verbs"]
        if subresource:
            rows[name].setdefault("subresources", {})[subresource] = {"kind": kind_of(row, group, version), "verbs": verbs}
            continue
        entry: dict[str, Any] = {"name": name, "kind": row["kind"], "singular": row["singularName"]}
        entry |= {"namespaced": row["namespaced"], "verbs": verbs}
        for source, target in (("shortNames", "short"), ("categories", "categories")):
            if row.get(source):
                entry[target] = row[source]
        if verbs == ["create"]:
            entry["stored"] = False
        if stored_as := STORED_AS.get((group, version, name)):
            entry["storedAs"] = stored_as
        if storage_id := STORAGE_IDS.get((group, name)):
            entry["storageId"] = storage_id
        if deprecation := DEPRECATIONS.get((group, version, name)):
            entry["deprecation"] = deprecation
        rows[name] = entry
    return list(rows.values())


def main() -> None:
    root = sources()
    catalog = []
    for group, version in group_versions(root):
        document = json.loads((root / "api/discovery" / f"{file_stem(group, version)}.json").read_text())
        catalog.append({"group": group, "version": version, "resources": resources(document, group, version)})
    content = compact({"kubernetes": VERSION, "groupVersions": catalog})
    (DATA / "catalog.json").write_bytes(content + b"\n")
    print(f"catalog.json: {len(content)} bytes, {sum(len(gv['resources']) for gv in catalog)} resources in {len(catalog)} group versions")


if __name__ == "__main__":
    main()
