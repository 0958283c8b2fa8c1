# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all control planes of one management plane share: where clients reach it, its CA, its secret."""

from __future__ import annotations

import base64
import ipaddress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from kplane_server.model.names import ROOT

DAY: Final = 86_400


@dataclass(frozen=True)
class ManagementPlane:
    """The surroundings of every control plane. Built once, by the composition root."""

    base_url: str
    """``https://host:port`` as clients reach it, without a path."""
    port: int
    """The port of ``base_url``; ConfigMap ``kplane-management`` names it."""
    ca_certificate: bytes
    """The PEM text of the CA that signed the serving certificate."""
    master_secret: bytes = field(repr=False)
    """The secret of the data directory, from which token-signing keys are derived."""
    advertise_address: str = "127.0.0.1"
    """The IP address behind Service ``default/kubernetes`` of every control plane."""
    admin_token_lifetime: int = 365 * DAY
    """How long (seconds) the token in a VCP's kubeconfig is valid. It is renewed when a third of that is left."""

    former_base_urls: tuple[str, ...] = ()
    """Base URLs of earlier runs (the port may have changed): tokens that name them stay good."""

    def url_of(self, name: str) -> str:
        """The base URL of the control plane ``name``."""
        return self.base_url if name == ROOT else f"{self.base_url}/clusters/{name}/control-plane"

    @cached_property
    def ca_base64(self) -> str:
        """The CA as kubeconfig files carry it."""
        return base64.b64encode(self.ca_certificate).decode()

    @property
    def address_family(self) -> str:
        """``IPv4`` or ``IPv6``: the kind of ``advertise_address``."""
        return f"IPv{ipaddress.ip_address(self.advertise_address).version}"
