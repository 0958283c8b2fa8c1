# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which strategy and which schema a row has: built-in ones by data, custom ones by their definition."""

from __future__ import annotations

from typing import Final, NamedTuple

from kplane_server.registry.builtin_schemas import schema_for
from kplane_server.registry.catalog import BUILTIN
from kplane_server.registry.custom_definition import DEFINITIONS, definition_strategy
from kplane_server.registry.custom_rows import CustomResourceInfo
from kplane_server.registry.resource import ResourceInfo
from kplane_server.registry.strategies.base import Strategy
from kplane_server.registry.strategies.index import strategy_for
from kplane_server.schema.structural import Schema

_DEFINITION: Final = definition_strategy(
    next(strategy_for(row) for row in BUILTIN if row.storage_id == DEFINITIONS),
)


class _Kind(NamedTuple):
    """What a built-in row means, found by the identity of the row, for the rows live as long as the process."""

    info: ResourceInfo
    strategy: Strategy
    schema: Schema


_KINDS: Final[dict[int, _Kind]] = {}


def _kind_of(info: ResourceInfo) -> _Kind:
    known = _KINDS.get(id(info))
    if known is not None and known.info is info:
        return known
    found = _Kind(info, _DEFINITION if info.storage_id == DEFINITIONS else strategy_for(info), schema_for(info.gvk))
    if BUILTIN.find(*info.gvr) is info:
        _KINDS[id(info)] = found
    return found


def strategy_of(info: ResourceInfo) -> Strategy:
    """The behaviour of a kind."""
    return info.strategy if isinstance(info, CustomResourceInfo) else _kind_of(info).strategy


def schema_of(info: ResourceInfo) -> Schema:
    """The shape of a kind's documents at the row's version."""
    return info.schema if isinstance(info, CustomResourceInfo) else _kind_of(info).schema
