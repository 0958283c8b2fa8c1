# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NamespaceLifecycle: nothing new in a namespace that is missing or on its way out, and three namespaces that stay."""

from __future__ import annotations

from typing import Final

from kplane_server.admission.plugin import Plugin, forbidden
from kplane_server.model.errors import Cause, not_found
from kplane_server.model.keys import ResourceId
from kplane_server.registry.attributes import Attributes, Operation

_NAMESPACES: Final = ResourceId("namespaces")
#: Namespaces that cannot be deleted.
IMMORTAL: Final = frozenset({"default", "kube-system", "kube-public"})
#: Resources that are never kept, so that a missing namespace does not matter (the answer must be the same).
_REVIEWS: Final = frozenset({("authorization.k8s.io", "localsubjectaccessreviews")})


class NamespaceLifecycle(Plugin):
    name = "NamespaceLifecycle"

    def concerns(self, attributes: Attributes) -> bool:
        if attributes.operation is Operation.CREATE:
            return attributes.info.namespaced
        return attributes.operation is Operation.DELETE and attributes.name in IMMORTAL and attributes.info.storage_id == _NAMESPACES

    def admit(self, attributes: Attributes) -> None:
        if attributes.operation is Operation.DELETE:
            raise forbidden(attributes, "this namespace may not be deleted")
        info = attributes.info
        if (info.group, info.resource) in _REVIEWS:
            return
        namespace = attributes.lookup.get(_NAMESPACES, "", attributes.namespace)
        if namespace is None:
            raise not_found("namespaces", "", attributes.namespace)
        if "deletionTimestamp" not in namespace["metadata"]:
            return
        error = forbidden(attributes, f"unable to create new content in namespace {attributes.namespace} because it is being terminated")
        cause = Cause("NamespaceTerminating", f"namespace {attributes.namespace} is being terminated", "metadata.namespace")
        error.causes = (cause,)
        raise error
