# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which strategy a built-in resource has. A resource without an entry has the plain one, made from its row alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from kplane_server.registry.catalog import BUILTIN
from kplane_server.registry.resource import ResourceInfo
from kplane_server.registry.strategies.base import STATUS, Strategy

#: (group, version, resource) → what its row alone does not say.
_SPECIAL: Final[dict[tuple[str, str, str], Strategy]] = {}


def _complete(info: ResourceInfo) -> Strategy:
    strategy = _SPECIAL.get((info.group, info.version, info.resource), Strategy())
    return replace(strategy, namespaced=info.namespaced, has_status=STATUS in info.subresources)


_STRATEGIES: Final[Mapping[tuple[str, str, str], Strategy]] = MappingProxyType(
    {(info.group, info.version, info.resource): _complete(info) for info in BUILTIN}
)


def strategy_for(info: ResourceInfo) -> Strategy:
    """The strategy of a built-in resource at one version. Raises ``KeyError`` for a resource that is not built in."""
    return _STRATEGIES[info.group, info.version, info.resource]
