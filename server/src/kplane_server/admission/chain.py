# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The chain: plug-ins in a fixed order, all of them first as mutators, then, when the document is complete, as judges.

Source: https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from kplane_server.admission.limitranger import LimitRanger
from kplane_server.admission.namespaces import NamespaceLifecycle
from kplane_server.admission.plugin import Plugin
from kplane_server.admission.priority import Priority
from kplane_server.admission.quota.plugin import ResourceQuotaAdmission
from kplane_server.admission.serviceaccounts import ServiceAccountAdmission
from kplane_server.admission.tolerations import DefaultTolerationSeconds
from kplane_server.registry.attributes import Attributes


class Chain:
    """An :class:`kplane_server.registry.attributes.Admission`. A plug-in refuses by raising ``ApiError``."""

    __slots__ = ("_judges", "_mutators", "_plugins")

    def __init__(self, plugins: Sequence[Plugin]) -> None:
        self._plugins = tuple(plugins)
        self._mutators = tuple(p for p in self._plugins if type(p).admit is not Plugin.admit)
        self._judges = tuple(p for p in self._plugins if type(p).validate is not Plugin.validate)

    @property
    def plugins(self) -> Sequence[Plugin]:
        return self._plugins

    def mutates(self, attributes: Attributes) -> bool:
        return any(plugin.concerns(attributes) for plugin in self._mutators)

    def minds_deletions(self, attributes: Attributes) -> bool:
        return any(plugin.minds_deletions(attributes) for plugin in self._plugins)

    async def admit(self, attributes: Attributes) -> None:
        await self._round(attributes)
        if attributes.reinvoke:  # once: https://github.com/kubernetes/enhancements/issues/1872
            attributes.round = 1
            await self._round(attributes)

    async def _round(self, attributes: Attributes) -> None:
        for plugin in self._mutators:
            if plugin.concerns(attributes):
                await _finish(plugin.admit(attributes))

    async def validate(self, attributes: Attributes) -> None:
        for plugin in self._judges:
            if plugin.concerns(attributes):
                await _finish(plugin.validate(attributes))


async def _finish(pending: Awaitable[None] | None) -> None:
    """Most plug-ins answer at once; those that ask somebody else return something to await."""
    if pending is not None:
        await pending


def default_chain(extra: Sequence[Plugin] = ()) -> Chain:
    """The plug-ins that every control plane has; ``extra`` come last but for quotas. ``access`` checks RBAC escalation around it."""
    first = (NamespaceLifecycle(), LimitRanger(), ServiceAccountAdmission(), Priority(), DefaultTolerationSeconds())
    return Chain([*first, *extra, ResourceQuotaAdmission()])
