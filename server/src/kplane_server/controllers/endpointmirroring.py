# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Endpoints of Services without a selector are mirrored into EndpointSlices, which is what everybody reads today.

One instance for all control planes.
Source: https://kubernetes.io/docs/concepts/services-networking/service/#endpointslice-mirroring
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Iterator
from typing import Any, Final, NamedTuple

from kplane_server.controllers import documents
from kplane_server.controllers.runtime import WorkQueue
from kplane_server.model import timestamps
from kplane_server.model.errors import Json
from kplane_server.model.keys import ObjectKey, ResourceId, Scope, VcpId
from kplane_server.registry import codec
from kplane_server.registry.generic import generate_name
from kplane_server.storage.api import Event, EventType, Mutation, Stored
from kplane_server.vcp.directory import Directory

Document = dict[str, Any]

ENDPOINTS: Final = ResourceId("endpoints")
SERVICES: Final = ResourceId("services")
SLICES: Final = ResourceId("endpointslices.discovery.k8s.io")

#: Addresses of one subset that are mirrored, and endpoints in one slice (upstream's defaults).
MAX_ADDRESSES: Final = 1000
MAX_ENDPOINTS: Final = 1000

_MANAGER: Final = "endpointslicemirroring-controller.k8s.io"
_SERVICE_LABEL: Final = "kubernetes.io/service-name"
_MANAGED_LABEL: Final = "endpointslice.kubernetes.io/managed-by"
_SKIP_LABEL: Final = "endpointslice.kubernetes.io/skip-mirror"
_LEADER: Final = "control-plane.alpha.kubernetes.io/leader"
_NOT_COPIED: Final = frozenset({"endpoints.kubernetes.io/last-change-trigger-time", "kubectl.kubernetes.io/last-applied-configuration"})
_MANAGED_BY: Final = f'"{_MANAGED_LABEL}":"{_MANAGER}"'.encode()


class Service(NamedTuple):
    """A Service whose Endpoints may have to be mirrored."""

    vcp: VcpId
    namespace: str
    name: str


class EndpointMirror:
    """Keys are :class:`Service`."""

    name = "endpointslicemirroring"
    resources: frozenset[ResourceId] | None = frozenset({ENDPOINTS, SERVICES, SLICES})
    concurrency = 4

    def __init__(self, directory: Directory, clock: Callable[[], float] = time.time) -> None:
        self._store = directory.store
        self._clock = clock

    def attach(self, queue: WorkQueue) -> None:
        return None

    def observe(self, event: Event) -> Iterable[Hashable]:
        vcp, resource, namespace, name = event.key
        if resource == SLICES:
            if event.type is EventType.ADDED or _MANAGED_BY not in (event.previous or event.value):
                return ()
            service = (codec.decode(event.previous or event.value)["metadata"].get("labels") or {}).get(_SERVICE_LABEL)
            return (Service(vcp, namespace, service),) if service else ()
        if resource == SERVICES and self._store.get(ObjectKey(vcp, ENDPOINTS, namespace, name)) is None:
            return ()  # nothing to mirror, as mostly
        return (Service(vcp, namespace, name),)

    async def resync(self) -> AsyncIterator[Hashable]:
        return
        yield

    async def reconcile(self, key: Hashable) -> float | None:
        assert isinstance(key, Service)  # what observe gives
        wanted = list(self._wanted(key))
        mutations: list[Mutation] = []
        existing = list(self._existing(key))
        now = timestamps.from_epoch(self._clock())
        for slice_ in wanted:
            index = next((i for i, (_, document) in enumerate(existing) if _place(document) == _place(slice_)), None)
            if index is None:
                name = generate_name(f"{key.name}-")
                mutations.append(documents.creation(ObjectKey(key.vcp, SLICES, key.namespace, name), slice_, now))
                continue
            stored, document = existing.pop(index)
            changed = _merged(document, slice_)
            if changed != document:
                mutations.append(documents.change(stored, changed))
        mutations += [documents.removal(stored) for stored, _ in existing]
        if mutations:
            await self._store.commit(mutations)
        return None

    def _existing(self, key: Service) -> Iterator[tuple[Stored, Document]]:
        """The slices that were made here for a Service."""
        for item in self._store.page(Scope(key.vcp, SLICES, key.namespace)).items:
            if _MANAGED_BY not in item.value:
                continue
            document = codec.decode(item.value)
            if (document["metadata"].get("labels") or {}).get(_SERVICE_LABEL) == key.name:
                yield item, document

    def _wanted(self, key: Service) -> Iterator[Document]:
        """The slices that there should be."""
        service = self._store.get(ObjectKey(key.vcp, SERVICES, key.namespace, key.name))
        endpoints = self._store.get(ObjectKey(key.vcp, ENDPOINTS, key.namespace, key.name))
        if service is None or endpoints is None or (codec.decode(service.value).get("spec") or {}).get("selector"):
            return
        document = codec.decode(endpoints.value)
        metadata = document["metadata"]
        labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
        if labels.get(_SKIP_LABEL) == "true" or _LEADER in annotations or "deletionTimestamp" in metadata:
            return
        yield from slices_of(document)


def slices_of(endpoints: Document) -> Iterator[Document]:
    """The slices of an Endpoints object: one for each kind of address and set of ports, or more where there are many addresses."""
    groups: dict[str, tuple[str, list[Json], dict[str, Json]]] = {}
    for subset in endpoints.get("subsets") or ():
        ports = [_port(port) for port in subset.get("ports") or ()]
        ready = [(address, True) for address in subset.get("addresses") or ()]
        waiting = [(address, False) for address in subset.get("notReadyAddresses") or ()]
        for address, is_ready in (ready + waiting)[:MAX_ADDRESSES]:
            try:
                parsed = ipaddress.ip_address(address.get("ip") or "")
            except ValueError:
                continue  # upstream leaves it out, too
            kind = f"IPv{parsed.version}"
            found = groups.setdefault(f"{kind} {_port_key(ports)}", (kind, ports, {}))
            endpoint = _endpoint(address, str(parsed), is_ready)
            found[2].setdefault(f"{parsed} {endpoint.get('targetRef', {}).get('uid', '')}", endpoint)
    for kind, ports, members in groups.values():
        listed = list(members.values())
        for start in range(0, len(listed), MAX_ENDPOINTS):
            yield _slice(endpoints, kind, ports, listed[start : start + MAX_ENDPOINTS])


def _slice(endpoints: Document, kind: str, ports: list[Json], members: list[Json]) -> Document:
    own = endpoints["metadata"]
    annotations = {key: value for key, value in (own.get("annotations") or {}).items() if key not in _NOT_COPIED}
    owner = {"apiVersion": "v1", "kind": "Endpoints", "name": own["name"], "uid": own["uid"], "controller": True}
    metadata: Document = {
        "labels": {**(own.get("labels") or {}), _SERVICE_LABEL: own["name"], _MANAGED_LABEL: _MANAGER},
        **({"annotations": annotations} if annotations else {}),
        "ownerReferences": [{**owner, "blockOwnerDeletion": True}],
        "generateName": f"{own['name']}-",
        "generation": 1,
    }
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": metadata,
        "addressType": kind,
        "endpoints": members,
        "ports": ports,
    }


def _port(port: Json) -> Document:
    found = {"name": port.get("name") or "", "port": port.get("port"), "protocol": port.get("protocol") or "TCP"}
    return {**found, "appProtocol": port["appProtocol"]} if port.get("appProtocol") else found


def _port_key(ports: list[Json]) -> str:
    return str(sorted((p["name"], p["port"] or 0, p["protocol"], p.get("appProtocol", "")) for p in ports))


def _endpoint(address: Json, ip: str, ready: bool) -> Document:
    endpoint: Document = {"addresses": [ip], "conditions": {"ready": ready}}
    for name in ("hostname", "nodeName", "targetRef"):
        if address.get(name):
            endpoint[name] = address[name]
    return endpoint


def _place(document: Document) -> tuple[str, str]:
    """What never changes in a slice: the kind of its addresses, and here also its ports."""
    return document["addressType"], _port_key([_port(port) for port in document.get("ports") or ()])


def _merged(document: Document, wanted: Document) -> Document:
    """The slice that is there, saying what it should; its name and identity stay."""
    metadata = dict(document["metadata"])
    for key in ("labels", "annotations", "ownerReferences"):
        if key in wanted["metadata"]:
            metadata[key] = wanted["metadata"][key]
        else:
            metadata.pop(key, None)
    changed = {**document, "endpoints": wanted["endpoints"], "ports": wanted["ports"]}
    if (changed["endpoints"], changed["ports"]) != (document.get("endpoints"), document.get("ports")):
        metadata["generation"] = metadata.get("generation", 1) + 1
    return {**changed, "metadata": metadata}
