# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which strategy a built-in resource has: its row, and what follows from the row for every kind alike."""

from __future__ import annotations

from functools import cache
from typing import Any

from kplane_server.model.errors import Cause
from kplane_server.registry.resource import ResourceInfo
from kplane_server.registry.strategies.base import STATUS, CreateValidator, Document, Strategy, StrategyContext, UpdateValidator
from kplane_server.registry.strategies.check_functions import CHECKER
from kplane_server.registry.strategies.default_functions import DEFAULTS
from kplane_server.registry.strategies.rows import ROWS
from kplane_server.registry.strategies.selectable import fields_hook
from kplane_server.registry.strategies.warnings import warnings_of


def type_name(group: str, version: str, kind: str) -> str:
    """The name of a kind's type in the tables of rules: ``apps.v1.Deployment``."""
    return f"{group.partition('.')[0] or 'core'}.{version}.{kind}"


def _storage_group(info: ResourceInfo) -> str:
    """Events of both groups share a row."""
    return info.storage_version.group


@cache
def _strategy(group: str, version: str, resource: str, kind: str, storage_group: str, namespaced: bool, has_status: bool) -> Strategy:
    row = dict(ROWS.get((storage_group, resource), {}))
    if (hook := fields_hook(group, resource)) is not None:
        row["fields_hook"] = hook
    name = type_name(group, version, kind)

    own_create: CreateValidator | None = row.pop("create_validator", None)
    own_update: UpdateValidator | None = row.pop("update_validator", None)
    settled: tuple[str, ...] = row.pop("settled", ())

    def default(obj: Document) -> None:
        DEFAULTS.apply(name, obj)

    def create(obj: Document, ctx: StrategyContext) -> list[Cause]:
        causes = CHECKER.causes(name, obj)
        return causes + own_create(obj, ctx) if own_create is not None else causes

    def update(new: Document, old: Document, ctx: StrategyContext) -> list[Cause]:
        kept = [field for field in settled if field in new and new[field] == old.get(field)]
        judged = {field: value for field, value in new.items() if field not in kept} if kept else new
        causes = CHECKER.causes(name, judged)
        return causes + own_update(new, old, ctx) if own_update is not None else causes

    def warn(new: Document, old: Document | None) -> list[str]:
        return warnings_of(name, new, old)

    hooks: dict[str, Any] = {"defaulter": default, "create_validator": create, "update_validator": update, "warning_hook": warn}
    return Strategy(namespaced=namespaced, has_status=has_status, **hooks, **row)


def strategy_for(info: ResourceInfo) -> Strategy:
    """The strategy of a built-in resource at one version; made at the first use and kept."""
    return _strategy(info.group, info.version, info.resource, info.kind, _storage_group(info), info.namespaced, STATUS in info.subresources)
