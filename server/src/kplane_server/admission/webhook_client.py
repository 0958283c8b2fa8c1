# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls of the webhooks of one control plane: a ``clientConfig`` to a place, a review to an answer.

A Service is one of the same control plane. There is no proxy and no cluster network behind it, so it is resolved to its endpoints:
EndpointSlices first, then Endpoints, then, for ExternalName, the name. Names that end with ``.svc`` mean the same in a URL, so that
none of them is ever looked up in a cluster that the server itself may run in.
"""

from __future__ import annotations

import base64
import binascii
import random
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import urlencode, urlsplit, urlunsplit

import orjson

from kplane_server.admission.outbound import Outbound, Target
from kplane_server.model.errors import Json
from kplane_server.model.keys import ObjectKey, ResourceId, Scope, VcpId
from kplane_server.registry.hooks import HookFailure
from kplane_server.storage.api import Store

_SERVICES: Final = ResourceId("services")
_SLICES: Final = ResourceId("endpointslices.discovery.k8s.io")
_ENDPOINTS: Final = ResourceId("endpoints")
_SERVICE_NAME: Final = "kubernetes.io/service-name"
_CLUSTER_DOMAIN: Final = ".cluster.local"
_DEFAULT_PORT: Final = 443


class WebhookClient:
    """A :class:`kplane_server.registry.hooks.HookCaller`."""

    __slots__ = ("_outbound", "_store", "_vcp")

    def __init__(self, vcp: VcpId, store: Store, outbound: Outbound) -> None:
        self._vcp = vcp
        self._store = store
        self._outbound = outbound

    async def call(self, client_config: Json, review: Json, timeout: float) -> Json:
        """Post a review. Raises HookFailure, also when what is answered is no JSON object."""
        target = target_of(client_config, timeout)
        answer = await self._outbound.post(self._vcp, target, orjson.dumps(review), timeout, self.inside)
        try:
            document = orjson.loads(answer)
        except orjson.JSONDecodeError as error:
            raise HookFailure(f"couldn't get version/kind; json parse error: {error}") from error
        if not isinstance(document, dict):
            raise HookFailure("couldn't get version/kind; json parse error: the answer is no JSON object")
        return document

    def inside(self, host: str, port: int) -> Sequence[tuple[str, int]] | None:
        """Where a Service of this control plane is; None for a name that is none of a Service. Raises HookFailure."""
        name = host.rstrip(".").lower()
        name = name.removesuffix(_CLUSTER_DOMAIN)
        if not name.endswith(".svc"):
            if host.rstrip(".").lower().endswith(_CLUSTER_DOMAIN):
                raise HookFailure(f"lookup {host}: no such host")
            return None
        parts = name.split(".")
        if len(parts) != 3:
            raise HookFailure(f"lookup {host}: no such host")
        return self._service(parts[1], parts[0], port)

    def _service(self, namespace: str, name: str, port: int) -> Sequence[tuple[str, int]] | None:
        service = self._read(_SERVICES, namespace, name)
        if service is None:
            raise HookFailure(f'service "{name}" not found')
        spec = service.get("spec") or {}
        if spec.get("type") == "ExternalName":
            raise HookFailure(f'service "{name}" is of type ExternalName; name the host in the url of the webhook instead')
        wanted = next((p for p in spec.get("ports") or () if p.get("port") == port), None)
        if wanted is None:
            raise HookFailure(f'no service port {port} found for service "{name}"')
        places = list(self._slice_places(namespace, name, wanted)) or list(self._endpoints_places(namespace, name, wanted))
        if not places:
            raise HookFailure(f'no endpoints available for service "{name}"')
        random.shuffle(places)
        return places

    def _slice_places(self, namespace: str, name: str, wanted: Json) -> Iterator[tuple[str, int]]:
        needle = b'"%b":"%b"' % (_SERVICE_NAME.encode(), name.encode())
        for item in self._store.page(Scope(self._vcp, _SLICES, namespace)).items:
            if needle not in item.value:
                continue
            document = orjson.loads(item.value)
            if (document["metadata"].get("labels") or {}).get(_SERVICE_NAME) != name or document.get("addressType") == "FQDN":
                continue
            port = _port_number(document.get("ports"), wanted)
            for endpoint in document.get("endpoints") or ():
                if port and (endpoint.get("conditions") or {}).get("ready") is not False:
                    yield from ((address, port) for address in endpoint.get("addresses") or ())

    def _endpoints_places(self, namespace: str, name: str, wanted: Json) -> Iterator[tuple[str, int]]:
        document = self._read(_ENDPOINTS, namespace, name) or {}
        for subset in document.get("subsets") or ():
            if port := _port_number(subset.get("ports"), wanted):
                yield from ((address["ip"], port) for address in subset.get("addresses") or () if address.get("ip"))

    def _read(self, resource: ResourceId, namespace: str, name: str) -> Json | None:
        stored = self._store.get(ObjectKey(self._vcp, resource, namespace, name))
        return None if stored is None else orjson.loads(stored.value)


def _port_number(ports: Json, wanted: Json) -> int | None:
    """The port of an endpoint that stands for a port of its Service: the one of the same name."""
    name = wanted.get("name") or ""
    for port in ports or ():
        if (port.get("name") or "") == name and (port.get("protocol") or "TCP") == "TCP" and port.get("port"):
            return int(port["port"])
    return None


def target_of(client_config: Json, timeout: float | None = None) -> Target:
    """The place that a ``clientConfig`` names. ``timeout`` becomes the query parameter that tells the webhook how long it has."""
    service = client_config.get("service")
    if service:
        path = service.get("path") or "/"
        url = f"https://{service['name']}.{service['namespace']}.svc:{service.get('port') or _DEFAULT_PORT}{path}"
    else:
        url = client_config.get("url") or ""
        if not url:
            raise HookFailure("webhook configuration must have either service or URL")
    if timeout is not None:
        parts = urlsplit(url)
        url = urlunsplit(parts._replace(query=urlencode({"timeout": f"{max(1, -int(-timeout // 1))}s"})))
    bundle = client_config.get("caBundle") or ""
    try:
        return Target(url, base64.b64decode(bundle, validate=True))
    except binascii.Error as error:
        raise HookFailure(f"unable to load root certificates: {error}") from error
