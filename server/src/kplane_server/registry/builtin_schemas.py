# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The schemas of built-in kinds: compiled on demand from generated data, and shared by all control planes."""

from __future__ import annotations

import lzma
from functools import lru_cache
from typing import Final

import orjson

from kplane_server.model.errors import Json
from kplane_server.model.resources import GroupVersionKind
from kplane_server.registry.catalog import DATA
from kplane_server.schema.structural import Definitions, Schema


@lru_cache(maxsize=1)
def _data() -> tuple[dict[str, str], dict[str, bytes]]:
    """(``group/version/kind`` → definition name, definition name → JSON text); 200 KB, read at the first use."""
    first, *lines = lzma.decompress((DATA / "schemas.xz").read_bytes()).split(b"\n")
    pairs = (line.partition(b"\t") for line in lines)
    return orjson.loads(first), {name.decode(): text for name, _, text in pairs}


def _load(name: str) -> dict[str, Json]:
    document: dict[str, Json] = orjson.loads(_data()[1][name])
    return document


#: Every built-in definition; a node is compiled when something first walks over it.
DEFINITIONS: Final = Definitions(_load, typed=True)


def definition_name(gvk: GroupVersionKind) -> str | None:
    """The name of a kind's definition (``io.k8s.api.apps.v1.Deployment``), or None for a kind that is not built in."""
    return _data()[0].get(f"{gvk.group}/{gvk.version}/{gvk.kind}")


def schema_for(gvk: GroupVersionKind) -> Schema:
    """The schema of a built-in kind. Raises ``KeyError`` for another."""
    name = definition_name(gvk)
    if name is None:
        raise KeyError(f"{gvk.api_version} {gvk.kind} is not a built-in kind")
    return DEFINITIONS.named(name)
