# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a new Namespace holds from its first commit on, so that nobody sees it without: the default account and the CA."""

from __future__ import annotations

from typing import Final

from kplane_server.model.keys import ResourceId
from kplane_server.registry.strategies.base import Companion, Document, StrategyContext

ACCOUNTS: Final = ResourceId("serviceaccounts")
CONFIG_MAPS: Final = ResourceId("configmaps")
DEFAULT_ACCOUNT: Final = "default"
ROOT_CA: Final = "kube-root-ca.crt"
#: Every control plane has this namespace, and the CA in it, from the beginning.
_PATTERN: Final = "kube-system"


def namespace_companions(new: Document | None, old: Document | None, ctx: StrategyContext) -> list[Companion]:
    """The ServiceAccount ``default`` and the ConfigMap ``kube-root-ca.crt``, which controllers keep there afterwards."""
    if new is None or old is not None or ctx.subresource:
        return []
    name, lookup = new["metadata"]["name"], ctx.lookup
    made = []
    if not lookup.exists(ACCOUNTS, name, DEFAULT_ACCOUNT):
        made.append(Companion(ACCOUNTS, name, DEFAULT_ACCOUNT, {"apiVersion": "v1", "kind": "ServiceAccount"}))
    pattern = lookup.get(CONFIG_MAPS, _PATTERN, ROOT_CA)
    if pattern is not None and not lookup.exists(CONFIG_MAPS, name, ROOT_CA):
        metadata = {"annotations": pattern["metadata"].get("annotations") or {}}
        document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": pattern.get("data") or {}}
        made.append(Companion(CONFIG_MAPS, name, ROOT_CA, document))
    return made
