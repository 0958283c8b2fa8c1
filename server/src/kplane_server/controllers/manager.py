# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All controllers of a server, put together."""

from __future__ import annotations

import time
from collections.abc import Callable

from kplane_server.controllers.addons import AddonController
from kplane_server.controllers.aggregation import ClusterRoleAggregator
from kplane_server.controllers.configuration import ConfigurationController
from kplane_server.controllers.customresources import CustomResourceCleaner
from kplane_server.controllers.dispatcher import Dispatcher
from kplane_server.controllers.endpointmirroring import EndpointMirror
from kplane_server.controllers.eventexpiry import EventExpirer
from kplane_server.controllers.expiry import Expirer
from kplane_server.controllers.fleets import FleetController
from kplane_server.controllers.garbage import GarbageCollector
from kplane_server.controllers.legacytokens import LegacyTokenCleaner
from kplane_server.controllers.namespaces import NamespaceController
from kplane_server.controllers.operator import Operator
from kplane_server.controllers.policystatus import PolicyStatusController
from kplane_server.controllers.registration import RegistrationController
from kplane_server.controllers.resourcequota import ResourceQuotaController
from kplane_server.controllers.rootca import RootCaController
from kplane_server.controllers.runtime import Controller
from kplane_server.controllers.serviceaccounts import ServiceAccountController
from kplane_server.controllers.usage import UsageReporter
from kplane_server.vcp import contract
from kplane_server.vcp.directory import Directory


class Controllers:
    """What the composition root starts and stops."""

    def __init__(self, directory: Directory, clock: Callable[[], float] = time.time, *, usage_interval: float = 30.0) -> None:
        self._directory = directory
        self._namespaces = NamespaceController(directory, clock)
        self._operator = Operator(directory, self._namespaces, clock)
        usage = UsageReporter(directory, self._operator.look, usage_interval)
        accounts = ServiceAccountController(directory, self._operator.look, clock)
        self.dispatcher = Dispatcher(directory.store, [self._operator, self._namespaces, usage, accounts, *_others(directory, clock)])
        self._operator.on_revival = self.dispatcher.look_again

    async def start(self) -> None:
        """Begin to work. Returns at once."""
        await self.dispatcher.start()
        self._directory.root.api.registry.births[contract.CONTROL_PLANES] = self._operator.birth
        self._directory.on_resume = self._operator.resume

    async def stop(self) -> None:
        """End all work; what was begun is found again at the next start."""
        self._directory.root.api.registry.births.pop(contract.CONTROL_PLANES, None)
        self._directory.on_resume = None
        await self.dispatcher.stop()

    def healthy(self) -> str | None:
        """None, or why the controllers do not work."""
        return self.dispatcher.healthy()

    @property
    def idle(self) -> bool:
        """Whether there is nothing left to do now."""
        return self.dispatcher.idle

    def statistics(self) -> dict[str, int]:
        """Figures for /metrics: ``<controller>.depth|reconciled|failures``."""
        kept = {"retained": len(self._directory.retained()), "wiping": len(self._directory.wiping())}
        return {**self.dispatcher.statistics(), **{f"controlplane.{state}": count for state, count in kept.items()}}


def _others(directory: Directory, clock: Callable[[], float]) -> list[Controller]:
    """One of each of those that know nothing of each other."""
    return [
        ConfigurationController(directory, clock),
        RegistrationController(directory, clock),
        FleetController(directory, clock),
        AddonController(directory, clock),
        CustomResourceCleaner(directory),
        RootCaController(directory, clock),
        ClusterRoleAggregator(directory),
        GarbageCollector(directory, clock),
        EventExpirer(directory, clock),
        ResourceQuotaController(directory, clock),
        PolicyStatusController(directory),
        EndpointMirror(directory, clock),
        Expirer(directory, clock),
        LegacyTokenCleaner(directory, clock),
    ]
