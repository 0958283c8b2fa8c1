# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One request on its way through the pipeline to its handler."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from kplane_server.http.negotiation import PROTOBUF, Accepted, View, accept_object
from kplane_server.http.request import Incoming
from kplane_server.http.response import Response, StreamResponse
from kplane_server.http.routing import ApiRequest
from kplane_server.model.identity import UserInfo
from kplane_server.model.resources import GroupVersionKind
from kplane_server.registry import wire
from kplane_server.registry.resource import ResourceInfo
from kplane_server.vcp.controlplane import ControlPlane

Answer = Response | StreamResponse
Waits = Coroutine[Any, Any, Answer]
#: A handler that can answer at once does so; one that must wait returns a coroutine, which runs in turns and under the deadline.
Handler = Callable[["Call"], Answer | Waits]


@dataclass(slots=True)
class Call:
    """What a handler gets: everything is checked by now."""

    incoming: Incoming
    query: dict[str, str]
    plane: ControlPlane
    request: ApiRequest
    user: UserInfo


@dataclass(slots=True)
class ResourceCall(Call):
    """A call of a resource. ``namespace`` is empty for cluster-scoped ones, Namespace objects too."""

    info: ResourceInfo
    namespace: str

    @property
    def gvk(self) -> GroupVersionKind:
        """The type of the documents that come and go: of the resource, or of its sub-resource."""
        request = self.request
        return self.info.subresources[request.subresource].kind if request.subresource else self.info.gvk

    def accept(self, views: frozenset[View]) -> Accepted:
        """The form of the answer. Raises 406."""
        header = self.incoming.header("accept")
        protobuf = header is not None and PROTOBUF in header and wire.message_of(self.gvk) is not None
        return accept_object(header, views, stream=self.request.verb == "watch", protobuf=protobuf)


ResourceHandler = Callable[[ResourceCall], Answer | Waits]
