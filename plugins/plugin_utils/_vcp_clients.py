# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients of many VCPs: each has a credential of its own, all of one server share their connections.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import threading

from ansible_collections.kplane.core.plugins.module_utils import _auth, _contract, _credentials
from ansible_collections.kplane.core.plugins.module_utils._client import Client, Json
from ansible_collections.kplane.core.plugins.module_utils._contract import SECRETS
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError, NotFound


def offer_of(plane: Client, control_plane: Json) -> _credentials.Offer:
    """The server and the credential that the management plane has for a VCP that is ready: one read."""
    name = str(control_plane["metadata"]["name"])
    reference = (control_plane.get("status") or {}).get("kubeconfigSecretRef") or {}
    namespace = str(reference.get("namespace") or _contract.vcp_namespace(name))
    secret = str(reference.get("name") or _contract.vcp_secret(name))
    try:
        return _credentials.parse_offer(plane.get(SECRETS, secret, namespace), f"the Secret {namespace}/{secret}")
    except NotFound as exc:
        raise KplaneError(f"The Secret {namespace}/{secret} with the kubeconfig of {name!r} does not exist") from exc


class VcpClients:
    """Makes clients of VCPs; safe to share between threads."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._lock = threading.Lock()
        self._first: dict[tuple[str, str], Client] = {}

    def client(self, offer: _credentials.Offer, name: str) -> Client:
        """A client of the VCP of ``offer`` as the user of ``offer``."""
        if set(offer.user) != {"token"}:
            return Client(_auth.entry_connection(offer.cluster, offer.user, name=name), self._timeout)
        server = str(offer.cluster["server"])
        others = {key: value for key, value in offer.cluster.items() if key != "server"}
        key = ("/".join(server.split("/", 3)[:3]), str(sorted(others.items())))
        with self._lock:
            first = self._first.get(key)
            if first is None:
                first = self._first[key] = Client(_auth.entry_connection(offer.cluster, offer.user, name=name), self._timeout)
        return first.sibling(server.rstrip("/"), f"Bearer {offer.token}", name)

    def close(self) -> None:
        """Close all connections."""
        for client in self._first.values():
            client.close()
