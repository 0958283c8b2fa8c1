# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents of built-in kinds in protobuf: the generated tables of messages, and the kinds that they are for."""

from __future__ import annotations

import lzma
from functools import lru_cache
from typing import Final

import orjson

from kplane_server.model.errors import Json
from kplane_server.model.resources import GroupVersion, GroupVersionKind
from kplane_server.registry.builtin_schemas import definition_name
from kplane_server.registry.catalog import DATA
from kplane_server.schema.protobuf import Codec, Envelope, unwrap, wrap

MEDIA_TYPE: Final = "application/vnd.kubernetes.protobuf"

#: Kinds of ``meta/v1`` travel under whatever apiVersion the client's scheme gave them.
_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1."
_META_KINDS: Final = frozenset({"DeleteOptions", "Status"})


@lru_cache(maxsize=1)
def _tables() -> dict[str, bytes]:
    """message → JSON text of its rows; 110 KB, read when the first protobuf body comes."""
    lines = lzma.decompress((DATA / "protobuf.xz").read_bytes()).split(b"\n")
    pairs = (line.partition(b"\t") for line in lines)
    return {name.decode(): text for name, _, text in pairs}


def _load(name: str) -> list[tuple[int, str | None, str, int]]:
    rows: list[tuple[int, str | None, str, int]] = orjson.loads(_tables()[name])
    return rows


CODEC: Final = Codec(_load)


def message_of(gvk: GroupVersionKind) -> str | None:
    """The message of a kind, or None for a kind that has no protobuf form (custom resources, Table, …)."""
    name = _META + gvk.kind if gvk.kind in _META_KINDS else definition_name(gvk)
    return name if name in _tables() else None


def decode(body: bytes, default: GroupVersionKind | None = None) -> dict[str, Json]:
    """A document from a request body. Raises ``ValueError`` for bytes that are none, or a kind without a protobuf form.

    ``default``: what the document is when its envelope does not say.
    """
    envelope = unwrap(body)
    if envelope.kind or default is None:
        version = GroupVersion.parse(envelope.api_version)
        gvk = GroupVersionKind(version.group, version.version, envelope.kind)
    else:
        gvk = default
    name = message_of(gvk)
    if name is None:
        raise ValueError(f"{gvk.api_version} {gvk.kind} has no protobuf form")
    return {"apiVersion": gvk.api_version, "kind": gvk.kind} | CODEC.decode(name, envelope.raw)


def encode(document: dict[str, Json]) -> bytes | None:
    """A document in protobuf, or None when its kind has no protobuf form."""
    version = GroupVersion.parse(document.get("apiVersion", ""))
    gvk = GroupVersionKind(version.group, version.version, document.get("kind", ""))
    name = message_of(gvk)
    if name is None:
        return None
    return wrap(Envelope(gvk.api_version, gvk.kind, CODEC.encode(name, document)))
