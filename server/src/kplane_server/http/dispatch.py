# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a request that passed all filters to its handler: tables of paths and of verbs, and the rules of what a resource can do."""

from __future__ import annotations

from collections.abc import Mapping

from kplane_server.http.call import Answer, Call, Handler, ResourceCall, ResourceHandler, Waits
from kplane_server.http.routing import method_not_allowed, path_not_found
from kplane_server.model.resources import GroupVersionResource
from kplane_server.registry.resource import ResourceInfo
from kplane_server.registry.unstored import CONNECTIONS

#: Stored in what they bind, so an ordinary create.
BINDINGS = GroupVersionResource("", "v1", "bindings")
#: A path's handler for all that is below it too.
Prefixes = Mapping[str, Handler]


class Dispatcher:
    """Finds the handler.

    paths: exact non-resource paths. prefixes: first segments whose handler takes everything below. verbs: by verb of a stored resource.
    review: create of a resource that is not stored. token: create of ``serviceaccounts/token``. connect: any verb of a connection.
    """

    def __init__(
        self,
        *,
        paths: Mapping[str, Handler],
        prefixes: Prefixes,
        verbs: Mapping[str, ResourceHandler],
        review: ResourceHandler,
        token: ResourceHandler,
        connect: ResourceHandler,
    ) -> None:
        self._paths = dict(paths)
        self._prefixes = dict(prefixes)
        self._verbs = dict(verbs)
        self._review = review
        self._token = token
        self._connect = connect

    def __call__(self, call: Call) -> Answer | Waits:
        request = call.request
        if not request.resource:
            return self._path(call)
        info = call.plane.api.resources.find(request.group, request.version, request.resource)
        if info is None:
            raise path_not_found()
        check_shape(info, call)
        handler = self._handler(info, call)
        namespace = request.namespace if info.namespaced else ""
        return handler(ResourceCall(call.incoming, call.query, call.plane, request, call.user, info, namespace))

    def _path(self, call: Call) -> Answer | Waits:
        path = call.request.path
        handler = self._paths.get(path.rstrip("/") or "/")
        if handler is None:
            handler = self._prefixes.get(path.split("/", 2)[1])
        if handler is None:
            raise path_not_found()
        if call.request.verb != "get":
            raise method_not_allowed()
        return handler(call)

    def _handler(self, info: ResourceInfo, call: Call) -> ResourceHandler:
        request = call.request
        if not info.stored and info.gvr != BINDINGS:
            return self._review
        if request.subresource in CONNECTIONS and info.builtin:
            return self._connect
        if request.subresource == "token" and (info.group, info.resource) == ("", "serviceaccounts"):
            return self._token
        return self._verbs[request.verb]


def check_shape(info: ResourceInfo, call: Call) -> None:
    """Whether the resource has such a path (404) and knows the verb there (405)."""
    request = call.request
    # A Namespace object is addressed below its own name, which is no namespace that it is in.
    within = bool(request.namespace) and info.resource != "namespaces"
    if within is not info.namespaced and (within or request.subresource or request.verb not in _COLLECTIVE):
        raise path_not_found()
    if request.subresource:
        subresource = info.subresources.get(request.subresource)
        if subresource is None:
            raise path_not_found()
        if request.verb not in subresource.verbs:
            raise method_not_allowed()
        return
    if request.verb in ("create", "deletecollection") and info.namespaced and not within:
        raise method_not_allowed()
    if request.verb not in info.verbs:
        raise method_not_allowed()
    if bool(request.name) is (request.verb == "create") and request.verb not in _COLLECTIVE - {"create"}:
        raise method_not_allowed()


#: Verbs of a collection; the others need a name.
_COLLECTIVE = frozenset({"list", "watch", "create", "deletecollection"})
