# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A note in root of the address and CA that all ControlPlanes have: where it still holds, a start need not look at each of them."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from kplane_server.controllers import documents
from kplane_server.model.keys import ResourceId
from kplane_server.registry import codec
from kplane_server.storage.api import Store
from kplane_server.vcp import contract
from kplane_server.vcp.plane import ManagementPlane

Document = dict[str, Any]

CONFIG_MAPS: Final = ResourceId("configmaps")
#: The ConfigMap that holds the note.
NAME: Final = "kplane-operator"
#: The ConfigMap that tells clients the port.
MANAGEMENT: Final = "kplane-management"


class AddressNote:
    """What endpoints and kubeconfig files of ControlPlanes were last made from."""

    def __init__(self, store: Store, plane: ManagementPlane) -> None:
        self._store = store
        self._port = str(plane.port)
        ca = hashlib.sha256(plane.ca_certificate).hexdigest()
        self._data = {"baseURL": plane.base_url, "caSHA256": ca, "adminTokenLifetime": str(plane.admin_token_lifetime)}
        self._key = contract.root_key(CONFIG_MAPS, NAME, contract.SYSTEM_NAMESPACE)

    def differs(self) -> bool:
        """Whether the note is missing, or about another address."""
        stored = self._store.get(self._key)
        return stored is None or codec.decode(stored.value).get("data") != self._data

    async def publish_port(self) -> None:
        """ConfigMap ``kplane-management`` names the present port, also where somebody wrote to it."""
        stored = self._store.get(contract.root_key(CONFIG_MAPS, MANAGEMENT, contract.SYSTEM_NAMESPACE))
        if stored is None:
            return
        document: Document = codec.decode(stored.value)
        data = {**(document.get("data") or {}), "ingressPort": self._port}
        if data != document.get("data"):
            await self._store.commit([documents.change(stored, {**document, "data": data})])

    async def note(self, now: str) -> None:
        """All ControlPlanes have the present address."""
        stored = self._store.get(self._key)
        if stored is None:
            document: Document = {"apiVersion": "v1", "kind": "ConfigMap", "data": self._data}
            await self._store.commit([documents.creation(self._key, document, now)])
        elif self.differs():
            await self._store.commit([documents.change(stored, {**codec.decode(stored.value), "data": self._data})])
