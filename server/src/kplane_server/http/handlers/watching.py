# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""WATCH: begins at once or fails with a Status; the stream itself runs outside of the deadline and the bound of requests in flight.

What is too old to begin at is told in the stream, as upstream does, for clients that list again look for it there.
"""

from __future__ import annotations

from dataclasses import replace

from kplane_server.http.call import Answer, ResourceCall, Waits
from kplane_server.http.inflight import InFlight
from kplane_server.http.negotiation import WATCH_VIEWS, Encoding, View
from kplane_server.http.response import Outlet, StreamResponse
from kplane_server.http.views import MetadataView, ProtobufView, TableView, include_object
from kplane_server.http.watchstream import PlainView, WatchStream, WatchStreams
from kplane_server.http.watchstream import View as StreamView
from kplane_server.model.errors import Expired
from kplane_server.registry.options import WatchOptions, parse_watch_options
from kplane_server.vcp.activity import Activity


class Watching:
    """The handler of watches, with the bound on how many are open."""

    def __init__(self, streams: WatchStreams, open_watches: InFlight, activity: Activity) -> None:
        self._streams = streams
        self._open = open_watches
        self._activity = activity

    def watch(self, call: ResourceCall) -> Answer | Waits:
        """A stream of changes of a collection, or of one object by the selector on its name."""
        options = parse_watch_options(call.query)
        if call.request.name and not options.field_selector:  # only the deprecated /watch/… path can have a name here
            options = replace(options, field_selector=f"metadata.name={call.request.name}")
        if options.resource_version:
            return self._settled(call, options, options.resource_version)
        return self._begin(call, options)

    async def _settled(self, call: ResourceCall, options: WatchOptions, revision: int) -> Answer:
        await call.plane.api.settle(revision)
        return self._begin(call, options)

    def _begin(self, call: ResourceCall, options: WatchOptions) -> Answer:
        view = _view(call)
        plane = call.plane.record.id
        self._open.enter(plane)
        try:
            source = call.plane.api.watch(call.info, call.namespace or None, options)
        except Expired as error:
            self._open.leave(plane)
            return _refusing(view, error)
        except BaseException:
            self._open.leave(plane)
            raise
        self._activity.watch_opened(plane)

        def close() -> None:
            source.close()
            self._open.leave(plane)
            self._activity.watch_closed(plane)

        stream = WatchStream(
            self._streams,
            source,
            view,
            lifetime=self._streams.lifetime(options.timeout_seconds),
            bookmarks=options.allow_bookmarks,
        )
        return StreamResponse(stream.run, close, content_type=view.content_type)


def _refusing(view: StreamView, error: Expired) -> StreamResponse:
    """A stream that says one thing and ends."""

    async def run(outlet: Outlet) -> None:
        await outlet.send(view.error(error.status()))

    return StreamResponse(run, lambda: None, content_type=view.content_type)


def _view(call: ResourceCall) -> StreamView:
    accepted = call.accept(WATCH_VIEWS)
    if accepted.view is View.TABLE:
        return TableView(call.info, accepted.version, include_object(call.query))
    if accepted.view is View.METADATA:
        return MetadataView(accepted.version)
    return ProtobufView() if accepted.encoding is Encoding.PROTOBUF else PlainView()
