# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The strategy of custom resources: what their definition says, and nothing more."""

from __future__ import annotations

from dataclasses import dataclass

from kplane_server.model.errors import Json
from kplane_server.model.metadata import subdomain_name
from kplane_server.registry.strategies.base import Document, Path, Strategy, read


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomStrategy(Strategy):
    """selectable: (name in a field selector, path) of each selectable field."""

    selectable: tuple[tuple[str, Path], ...] = ()

    def generation_changed(self, new: Document, old: Document) -> bool:
        """Everything but metadata is desired state; with a status sub-resource, everything but that too."""
        if bool(new["metadata"].get("deletionTimestamp")) != bool(old["metadata"].get("deletionTimestamp")):
            return True
        ignored = ("metadata", "apiVersion", "status") if self.has_status else ("metadata", "apiVersion")
        return {k: v for k, v in new.items() if k not in ignored} != {k: v for k, v in old.items() if k not in ignored}

    def selectable_fields(self, obj: Document) -> dict[str, str]:
        fields = Strategy.selectable_fields(self, obj)
        for name, path in self.selectable:
            fields[name] = _text(read(obj, path))
        return fields

    def reset_fields(self, subresource: str = "") -> tuple[Path, ...]:
        """What a server-side apply never owns: the status, or through ``/status`` all that is not status."""
        if subresource == "status":
            return (("spec",), ("metadata", "labels"), ("metadata", "annotations"))
        return (("status",),) if self.has_status else ()


def custom_strategy(version: Json, *, namespaced: bool) -> CustomStrategy:
    """The strategy of one version of a definition."""
    declared = version.get("subresources") or {}
    paths = [field["jsonPath"] for field in version.get("selectableFields") or ()]
    return CustomStrategy(
        namespaced=namespaced,
        name_validation=subdomain_name,
        has_status=declared.get("status") is not None,
        has_generation=True,
        allow_unconditional_update=False,
        selectable=tuple((path.lstrip("."), tuple(step for step in path.split(".") if step)) for path in paths),
    )


def _text(value: Json) -> str:
    """A scalar as field selectors compare it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
