# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stored bytes at the version that a client asks for, and documents at the version that is stored.

A read at the storage version does no JSON work. Versions of a custom resource differ in ``apiVersion`` alone (strategy ``None``), so
that is spliced; built-in versions of different shape go through ``registry.strategies.conversion``. Where a webhook converts, it was
asked before (``registry.conversion_webhook``), and what comes here is at the wanted version already.
"""

from __future__ import annotations

from kplane_server.model.errors import Json
from kplane_server.registry import codec
from kplane_server.registry.custom_rows import CustomResourceInfo
from kplane_server.registry.resource import ResourceInfo
from kplane_server.registry.strategies.conversion import convert
from kplane_server.storage.api import Stored


def read(stored: Stored, info: ResourceInfo) -> Stored:
    """A stored object as a client of ``info``'s version sees it."""
    if isinstance(info, CustomResourceInfo):
        return info.present(stored)
    if info.storage_version == (info.group, info.version):
        return stored
    document = convert(codec.decode(stored.value), info.storage_version, info.group_version)
    return Stored(stored.key, stored.revision, codec.encode(document).at(stored.revision))


def to_storage(obj: Json, info: ResourceInfo) -> Json:
    """A document of ``info``'s version in the storage version; ``obj`` itself where they are the same."""
    if info.storage_version == (info.group, info.version):
        return obj
    if info.builtin:
        return convert(obj, info.group_version, info.storage_version)
    stored = str(info.storage_version)
    if obj["apiVersion"] == stored:
        return obj
    if isinstance(info, CustomResourceInfo):
        info.check_conversion(obj["apiVersion"], stored)
    return {**obj, "apiVersion": stored}
