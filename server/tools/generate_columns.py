# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write ``columns.json``: the columns that ``kubectl get`` shows of each built-in resource, from the column definitions of the release.

Each row is [name, type, format, priority, index of the description in "prose"]; the cells are computed in ``registry/printers.py``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from generate_schemas import Definitions, published
from kubernetes_sources import DATA, compact, sources

_VARIABLE = re.compile(r"^\t(\w+) (?::=|= append\(\w+,) \[\]metav1\.TableColumnDefinition\{")
_COLUMN = re.compile(
    r"\{Name: \"([^\"]*)\", Type: \"(\w+)\"(?:, Format: \"(\w+)\")?(?:, Priority: (\d+))?(?:, Format: \"(\w+)\")?, Description: (.*)\},"
)
_DOCUMENTED = re.compile(r'(\w+?)(?:v\d\w*)?\.(\w+)\{\}\.(?:InvolvedObject\.)?SwaggerDoc\(\)\["(\w+)"\]')

#: Go variable → (group, resource), where the variable's name does not say it.
VARIABLES = {
    "podColumnDefinitions": ("", "pods"),
    "podTemplateColumnDefinitions": ("", "podtemplates"),
    "podDisruptionBudgetColumnDefinitions": ("policy", "poddisruptionbudgets"),
    "replicationControllerColumnDefinitions": ("", "replicationcontrollers"),
    "replicaSetColumnDefinitions": ("apps", "replicasets"),
    "daemonSetColumnDefinitions": ("apps", "daemonsets"),
    "jobColumnDefinitions": ("batch", "jobs"),
    "cronJobColumnDefinitions": ("batch", "cronjobs"),
    "serviceColumnDefinitions": ("", "services"),
    "ingressColumnDefinitions": ("networking.k8s.io", "ingresses"),
    "ingressClassColumnDefinitions": ("networking.k8s.io", "ingressclasses"),
    "statefulSetColumnDefinitions": ("apps", "statefulsets"),
    "endpointColumnDefinitions": ("", "endpoints"),
    "nodeColumnDefinitions": ("", "nodes"),
    "eventColumnDefinitions": ("", "events"),
    "namespaceColumnDefinitions": ("", "namespaces"),
    "secretColumnDefinitions": ("", "secrets"),
    "serviceAccountColumnDefinitions": ("", "serviceaccounts"),
    "persistentVolumeColumnDefinitions": ("", "persistentvolumes"),
    "persistentVolumeClaimColumnDefinitions": ("", "persistentvolumeclaims"),
    "componentStatusColumnDefinitions": ("", "componentstatuses"),
    "deploymentColumnDefinitions": ("apps", "deployments"),
    "horizontalPodAutoscalerColumnDefinitions": ("autoscaling", "horizontalpodautoscalers"),
    "configMapColumnDefinitions": ("", "configmaps"),
    "networkPolicyColumnDefinitioins": ("networking.k8s.io", "networkpolicies"),
    "roleBindingsColumnDefinitions": ("rbac.authorization.k8s.io", "rolebindings"),
    "clusterRoleBindingsColumnDefinitions": ("rbac.authorization.k8s.io", "clusterrolebindings"),
    "certificateSigningRequestColumnDefinitions": ("certificates.k8s.io", "certificatesigningrequests"),
    "leaseColumnDefinitions": ("coordination.k8s.io", "leases"),
    "storageClassColumnDefinitions": ("storage.k8s.io", "storageclasses"),
    "volumeAttributesClassColumnDefinitions": ("storage.k8s.io", "volumeattributesclasses"),
    "controllerRevisionColumnDefinition": ("apps", "controllerrevisions"),
    "resourceQuotaColumnDefinitions": ("", "resourcequotas"),
    "priorityClassColumnDefinitions": ("scheduling.k8s.io", "priorityclasses"),
    "runtimeClassColumnDefinitions": ("node.k8s.io", "runtimeclasses"),
    "volumeAttachmentColumnDefinitions": ("storage.k8s.io", "volumeattachments"),
    "endpointSliceColumnDefinitions": ("discovery.k8s.io", "endpointslices"),
    "csiNodeColumnDefinitions": ("storage.k8s.io", "csinodes"),
    "csiDriverColumnDefinitions": ("storage.k8s.io", "csidrivers"),
    "csiStorageCapacityColumnDefinitions": ("storage.k8s.io", "csistoragecapacities"),
    "mutatingWebhookColumnDefinitions": ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
    "validatingWebhookColumnDefinitions": ("admissionregistration.k8s.io", "validatingwebhookconfigurations"),
    "validatingAdmissionPolicy": ("admissionregistration.k8s.io", "validatingadmissionpolicies"),
    "validatingAdmissionPolicyBinding": ("admissionregistration.k8s.io", "validatingadmissionpolicybindings"),
    "mutatingAdmissionPolicy": ("admissionregistration.k8s.io", "mutatingadmissionpolicies"),
    "mutatingAdmissionPolicyBinding": ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings"),
    "flowSchemaColumnDefinitions": ("flowcontrol.apiserver.k8s.io", "flowschemas"),
    "priorityLevelColumnDefinitions": ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"),
    "scaleColumnDefinitions": ("autoscaling", "scale"),
    "deviceClassColumnDefinitions": ("resource.k8s.io", "deviceclasses"),
    "resourceClaimColumnDefinitions": ("resource.k8s.io", "resourceclaims"),
    "resourceClaimTemplateColumnDefinitions": ("resource.k8s.io", "resourceclaimtemplates"),
    "nodeResourceSliceColumnDefinitions": ("resource.k8s.io", "resourceslices"),
    "serviceCIDRColumnDefinitions": ("networking.k8s.io", "servicecidrs"),
    "ipAddressColumnDefinitions": ("networking.k8s.io", "ipaddresses"),
}


def descriptions(definitions: Definitions) -> dict[tuple[str, str], str]:
    """(type without its package, property) → prose. Old packages have the same types."""
    return {
        (name.rpartition(".")[2], prop): schema.get("description", "")
        for name, definition in definitions.items()
        for prop, schema in definition.get("properties", {}).items()
        if "admissionregistration" not in name or "core" not in name
    }


def columns(source: Path, prose: dict[tuple[str, str], str]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    key = ""
    for line in source.read_text().splitlines():
        if match := _VARIABLE.match(line):
            row = VARIABLES.get(match[1])
            key = f"{row[1]}.{row[0]}" if row and row[0] else row[1] if row else ""
        elif key and (match := _COLUMN.search(line)):
            name, kind, form, priority, late_form, said = match.groups()
            documented = _DOCUMENTED.search(said)
            text = prose.get((documented[2], documented[3]), "") if documented else said.strip('"')
            found.setdefault(key, []).append([name, kind, form or late_form or "", int(priority or 0), text])
    return found


def main() -> None:
    root = sources()
    found = columns(root / "pkg/printers/internalversion/printers.go", descriptions(published(root)))
    texts = sorted({row[4] for rows in found.values() for row in rows})
    tables = {key: [[*row[:4], texts.index(row[4])] for row in rows] for key, rows in sorted(found.items())}
    content = compact({"prose": texts, "columns": tables})
    (DATA / "columns.json").write_bytes(content + b"\n")
    print(f"columns.json: {len(content)} bytes, {len(found)} of {len(VARIABLES)} resources")


if __name__ == "__main__":
    main()
