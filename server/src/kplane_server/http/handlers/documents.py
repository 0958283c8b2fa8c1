# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Discovery and OpenAPI: documents that change with the definitions of a control plane, cached with it, with entity tags."""

from __future__ import annotations

from kplane_server.http.call import Answer, Call, Waits
from kplane_server.http.discovery import AGGREGATED_TYPE, Discovery, Document
from kplane_server.http.negotiation import DiscoveryForm, accept_discovery, require_json
from kplane_server.http.response import JSON, Response
from kplane_server.http.routing import path_not_found
from kplane_server.registry.catalog import BUILTIN
from kplane_server.vcp.controlplane import ControlPlane

_CACHE = "http.discovery"


class Documents:
    """The handlers of ``/api``, ``/apis`` and below, as far as these are no resources."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._builtin = Discovery(BUILTIN.groups())

    def discovery(self, plane: ControlPlane) -> Discovery:
        """The documents of a control plane; all that have no definitions of their own share one set."""
        resources = plane.api.resources
        if not len(resources.custom.catalog):
            return self._builtin
        generation = resources.generation
        cached = plane.caches.get(_CACHE)
        if isinstance(cached, tuple) and cached[0] == generation:
            found: Discovery = cached[1]
            return found
        made = Discovery(resources.groups())
        plane.caches[_CACHE] = (generation, made)
        return made

    def api(self, call: Call) -> Answer | Waits:
        """``/api``."""
        discovery = self.discovery(call.plane)
        if accept_discovery(call.incoming.header("accept")) is DiscoveryForm.AGGREGATED:
            return conditional(call, discovery.aggregated(core=True), AGGREGATED_TYPE)
        return conditional(call, discovery.api_versions(self._address))

    def apis(self, call: Call) -> Answer | Waits:
        """``/apis``."""
        discovery = self.discovery(call.plane)
        if accept_discovery(call.incoming.header("accept")) is DiscoveryForm.AGGREGATED:
            return conditional(call, discovery.aggregated(core=False), AGGREGATED_TYPE)
        return conditional(call, discovery.group_list())

    def below(self, call: Call) -> Answer | Waits:
        """``/api/v1``, ``/apis/<group>`` and ``/apis/<group>/<version>``."""
        require_json(call.incoming.header("accept"))
        parts = call.request.path.strip("/").split("/")
        discovery = self.discovery(call.plane)
        document: Document | None = None
        if parts[0] == "api" and len(parts) == 2:
            document = discovery.resource_list("", parts[1])
        elif parts[0] == "apis" and len(parts) == 2:
            document = discovery.group(parts[1])
        elif parts[0] == "apis" and len(parts) == 3:
            document = discovery.resource_list(parts[1], parts[2])
        if document is None:
            raise path_not_found()
        return conditional(call, document)


def conditional(call: Call, document: Document, content_type: str = JSON) -> Answer:
    """A document, or 304 for a client that has it."""
    headers = [("etag", document.etag), ("vary", "accept")]
    known = call.incoming.header("if-none-match")
    if known is not None and document.etag in (tag.strip().removeprefix("W/") for tag in known.split(",")):
        return Response(304, b"", content_type, headers)
    return Response(200, document.body, content_type, headers)
