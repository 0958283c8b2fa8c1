# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""exec, attach, portforward and proxy, with any method: the options of a connection from its URL, for admission to judge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qs

from kplane_server.http.audit import Audited
from kplane_server.http.call import Answer, ResourceCall
from kplane_server.http.request import parse_flag
from kplane_server.model.errors import BadRequest, Json
from kplane_server.registry.options import RequestContext


def _integers(values: list[str]) -> list[int]:
    try:
        return [int(value) for value in values]
    except ValueError as error:
        raise BadRequest(f"ports must be numbers: {', '.join(values)[:64]}") from error


def _flag(values: list[str]) -> bool:
    return parse_flag(values[0])


def _text(values: list[str]) -> str:
    return values[0]


Parameters = dict[str, Callable[[list[str]], Json]]
_STREAMS: Final[Parameters] = {"stdin": _flag, "stdout": _flag, "stderr": _flag, "tty": _flag, "container": _text}
#: kind of the options → parameter → its value; one that says nothing is left out, as Go does.
_OPTIONS: Final[dict[str, Parameters]] = {
    "PodExecOptions": {**_STREAMS, "command": list},
    "PodAttachOptions": _STREAMS,
    "PodPortForwardOptions": {"ports": _integers},
    "PodProxyOptions": {"path": _text},
    "ServiceProxyOptions": {"path": _text},
    "NodeProxyOptions": {"path": _text},
}


async def connect(call: ResourceCall) -> Answer:
    """The answer of a connection, which is always why there is none."""
    if "dryRun" in call.query:
        raise BadRequest("dryRun is not supported")
    ctx = RequestContext(call.user)
    if isinstance(call.incoming, Audited):
        call.incoming.note(ctx.annotations)
    request = call.request
    await call.plane.api.connect(call.info, call.namespace, request.name, request.subresource, _options(call), ctx)


def _options(call: ResourceCall) -> Json:
    kind = call.gvk
    given = parse_qs(call.incoming.query_string, keep_blank_values=True)  # the pipeline has checked its form and its length
    _, _, below = call.request.path.partition(f"/{call.request.name}/{call.request.subresource}")
    if below:
        given["path"] = [below]
    options: dict[str, Json] = {"kind": kind.kind, "apiVersion": kind.api_version}
    for name, value in _OPTIONS[kind.kind].items():
        if name in given and (found := value(given[name])):
            options[name] = found
    return options
