# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fields that a ``fieldSelector`` may name, as data.

Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from kplane_server.model.errors import Json

Document = dict[str, Any]

#: (group, resource) → selectable field → its path in the document, and the text of a field that is missing.
_FIELDS: Final[dict[tuple[str, str], dict[str, tuple[str, str]]]] = {
    ("", "namespaces"): {"status.phase": ("status.phase", ""), "name": ("metadata.name", "")},
    ("", "nodes"): {"spec.unschedulable": ("spec.unschedulable", "false")},
    ("", "persistentvolumeclaims"): {"name": ("metadata.name", "")},
    ("", "persistentvolumes"): {"name": ("metadata.name", "")},
    ("", "pods"): {
        "spec.nodeName": ("spec.nodeName", ""),
        "spec.restartPolicy": ("spec.restartPolicy", ""),
        "spec.schedulerName": ("spec.schedulerName", ""),
        "spec.serviceAccountName": ("spec.serviceAccountName", ""),
        "spec.hostNetwork": ("spec.hostNetwork", "false"),
        "status.phase": ("status.phase", ""),
        "status.podIP": ("status.podIP", ""),
        "status.nominatedNodeName": ("status.nominatedNodeName", ""),
    },
    ("", "replicationcontrollers"): {"status.replicas": ("status.replicas", "0")},
    ("", "secrets"): {"type": ("type", "")},
    ("", "services"): {"spec.clusterIP": ("spec.clusterIP", ""), "spec.type": ("spec.type", "")},
    ("batch", "jobs"): {"status.successful": ("status.succeeded", "0")},
    ("certificates.k8s.io", "certificatesigningrequests"): {"spec.signerName": ("spec.signerName", "")},
    ("resource.k8s.io", "resourceslices"): {"spec.nodeName": ("spec.nodeName", ""), "spec.driver": ("spec.driver", "")},
}

#: Of both groups: the names are those of core/v1, the paths those of each version.
_EVENT: Final = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")


def _text(obj: Document, path: str, absent: str) -> str:
    value: Json = obj
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    if value is None:
        return absent
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _event(obj: Document) -> dict[str, str]:
    about = "involvedObject" if "involvedObject" in obj else "regarding"
    reporter = "reportingComponent" if "reportingComponent" in obj else "reportingController"
    source = "source" if "source" in obj else "deprecatedSource"
    fields = {f"involvedObject.{name}": _text(obj, f"{about}.{name}", "") for name in _EVENT}
    fields["reason"] = _text(obj, "reason", "")
    fields["reportingComponent"] = _text(obj, reporter, "")
    fields["source"] = _text(obj, f"{source}.component", "") or fields["reportingComponent"]
    fields["type"] = _text(obj, "type", "")
    return fields


def fields_hook(group: str, resource: str) -> Callable[[Document], dict[str, str]] | None:
    """The function that reads the selectable fields of a resource, beyond those of its metadata."""
    if resource == "events":
        return _event
    rows = _FIELDS.get((group, resource))
    if not rows:
        return None
    return lambda obj: {field: _text(obj, path, absent) for field, (path, absent) in rows.items()}
