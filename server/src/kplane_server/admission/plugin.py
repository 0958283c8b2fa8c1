# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plug-in is."""

from __future__ import annotations

from collections.abc import Awaitable

from kplane_server.model.errors import Forbidden
from kplane_server.registry.attributes import Attributes


class Plugin:
    """One rule. It overrides ``admit`` (it changes the document, or must refuse before anything else), ``validate``, or both."""

    name: str = ""

    def concerns(self, attributes: Attributes) -> bool:
        """Whether this write is any of its business. Called often: no look-ups here."""
        raise NotImplementedError

    def minds_deletions(self, attributes: Attributes) -> bool:
        """Whether somebody outside of the server asked to judge some deletions in this control plane."""
        return False

    def admit(self, attributes: Attributes) -> Awaitable[None] | None:
        """Complete ``attributes.object`` (and set ``attributes.mutated``), or raise ``ApiError``."""
        return None

    def validate(self, attributes: Attributes) -> Awaitable[None] | None:
        """Judge the complete document. Raises ``ApiError``."""
        return None


def forbidden(attributes: Attributes, why: str) -> Forbidden:
    """The 403 of a plug-in, in upstream's words."""
    info = attributes.info
    subject = f'{info.group_resource} "{attributes.name}"' if attributes.name else str(info.group_resource)
    return Forbidden(f"{subject} is forbidden: {why}", group=info.group, kind=info.resource, name=attributes.name)


def is_pod_creation(attributes: Attributes) -> bool:
    """Whether a pod is made."""
    info = attributes.info
    return attributes.operation == "CREATE" and info.resource == "pods" and not info.group and not attributes.subresource
