# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The front door put together: filters, handlers and transport around a directory of control planes."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from kplane_server.http.audit import Auditor
from kplane_server.http.bodies import Bodies
from kplane_server.http.call import Answer, Call, Handler, Waits
from kplane_server.http.dispatch import Dispatcher
from kplane_server.http.fairness import Writes
from kplane_server.http.handlers import reading
from kplane_server.http.handlers.connecting import connect
from kplane_server.http.handlers.documents import Documents
from kplane_server.http.handlers.openapi import OpenApi
from kplane_server.http.handlers.serverpaths import Check, ServerPaths
from kplane_server.http.handlers.snapshots import Snapshots
from kplane_server.http.handlers.virtual import Virtual
from kplane_server.http.handlers.watching import Watching
from kplane_server.http.handlers.writing import Writing
from kplane_server.http.inflight import InFlight
from kplane_server.http.metrics import Metrics
from kplane_server.http.pipeline import Pipeline
from kplane_server.http.response import Response, json_response
from kplane_server.http.watchstream import WatchStreams
from kplane_server.registry.catalog import BUILTIN
from kplane_server.settings import Settings
from kplane_server.vcp.directory import Directory


class FrontDoor:
    """Everything between a transport and the control planes. ``handle`` answers one request."""

    def __init__(
        self,
        settings: Settings,
        directory: Directory,
        metrics: Metrics,
        *,
        liveness: Mapping[str, Check],
        readiness: Mapping[str, Check],
        auditor: Auditor | None = None,
    ) -> None:
        limits = settings.limits
        self.streams = WatchStreams(limits.bookmark_interval, limits.min_watch_timeout)
        self.watches = InFlight(limits.max_watches, limits.max_watches_per_vcp, "watches")
        self._writes = Writes(limits.max_queued_writes_per_vcp)
        self._watching = Watching(self.streams, self.watches, directory.activity)
        server = ServerPaths(metrics, liveness, readiness)
        listen = settings.listen
        dispatcher = self._dispatcher(Bodies(limits), server, Documents(f"{listen.advertised_host}:{listen.port}"))
        self._pipeline = Pipeline(directory, dispatcher, BUILTIN.groups(), limits, metrics, auditor)
        metrics.add_source("kplane_http", "Of the front door.", self._figures)
        self.handle = self._pipeline.handle

    def _dispatcher(self, bodies: Bodies, server: ServerPaths, documents: Documents) -> Dispatcher:
        writing, virtual, watching, openapi = Writing(bodies, self._writes), Virtual(bodies), self._watching, OpenApi()
        paths: dict[str, Handler] = {
            "/": root_paths,
            "/version": server.version,
            "/metrics": server.metrics,
            "/snapshot": Snapshots().get,
            "/api": documents.api,
            "/apis": documents.apis,
            "/.well-known/openid-configuration": issuer_discovery,
            "/openid/v1/jwks": issuer_keys,
        }
        prefixes: dict[str, Handler] = {
            "livez": server.health,
            "readyz": server.health,
            "healthz": server.health,
            "api": documents.below,
            "apis": documents.below,
            "openapi": openapi.handle,
        }
        return Dispatcher(
            paths=paths,
            prefixes=prefixes,
            verbs={
                "get": reading.get,
                "list": reading.list_objects,
                "watch": watching.watch,
                "create": writing.create,
                "update": writing.update,
                "patch": writing.patch,
                "delete": writing.delete,
                "deletecollection": writing.delete_collection,
            },
            review=virtual.review,
            token=virtual.token,
            connect=connect,
        )

    def _figures(self) -> dict[str, float]:
        return {"requests_in_flight": self._pipeline.in_flight.total, "watches_open": self.watches.total}


def root_paths(call: Call) -> Answer | Waits:
    """``/``: where to look next."""
    paths = ["/api", "/api/v1", "/apis"]
    for group, versions in call.plane.api.resources.groups().items():
        if group:
            paths += [f"/apis/{group}", *(f"/apis/{group}/{version}" for version in versions)]
    paths += ["/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3", "/readyz", "/snapshot", "/version"]
    return json_response({"paths": paths})


def issuer_discovery(call: Call) -> Answer | Waits:
    """The OpenID configuration of this control plane's token issuer."""
    return json_response(call.plane.issuer.discovery())


def issuer_keys(call: Call) -> Answer | Waits:
    """The public keys of this control plane's token issuer."""
    return Response(200, orjson.dumps(call.plane.issuer.jwks()), "application/jwk-set+json")
