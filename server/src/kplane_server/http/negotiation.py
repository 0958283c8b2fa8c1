# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which form of an answer a client accepts, and which form its body has. Pure, and cached by the header's text.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#alternate-representations-of-resources, RFC 9110 12.5.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple

from kplane_server.model.errors import NotAcceptable, UnsupportedMediaType

JSON: Final = "application/json"
YAML: Final = "application/yaml"
PROTOBUF: Final = "application/vnd.kubernetes.protobuf"
META_GROUP: Final = "meta.k8s.io"
MAX_ACCEPT_LENGTH: Final = 2048


class View(Enum):
    """What is made of the objects of an answer."""

    OBJECT = "object"
    TABLE = "Table"
    METADATA = "PartialObjectMetadata"
    METADATA_LIST = "PartialObjectMetadataList"


class Encoding(Enum):
    """How documents are written, in answers and in bodies."""

    JSON = JSON
    YAML = YAML
    PROTOBUF = PROTOBUF


class Accepted(NamedTuple):
    """The outcome for a resource: its form, the version of meta.k8s.io that was asked for, and the encoding."""

    view: View = View.OBJECT
    version: str = "v1"
    encoding: Encoding = Encoding.JSON


class MediaRange(NamedTuple):
    """One entry of an Accept header."""

    type: str
    parameters: Mapping[str, str]
    quality: float


PLAIN: Final = Accepted()

#: Which views each verb can answer with, as upstream's endpoints declare them.
GET_VIEWS: Final = frozenset({View.TABLE, View.METADATA})
LIST_VIEWS: Final = frozenset({View.TABLE, View.METADATA_LIST})
WATCH_VIEWS: Final = frozenset({View.TABLE, View.METADATA})
WRITE_VIEWS: Final = frozenset({View.TABLE, View.METADATA})


@lru_cache(maxsize=512)
def media_ranges(accept: str) -> tuple[MediaRange, ...]:
    """The entries of an Accept header, best first: by quality, then by position."""
    ranges: list[MediaRange] = []
    for entry in accept.split(","):
        media, *rest = (part.strip() for part in entry.split(";"))
        if not media:
            continue
        parameters: dict[str, str] = {}
        quality = 1.0
        for part in rest:
            key, _, value = part.partition("=")
            value = value.strip().strip('"')
            if key.strip().lower() == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 0.0
            else:
                parameters[key.strip().lower()] = value
        if quality > 0:
            ranges.append(MediaRange(media.lower(), parameters, min(quality, 1.0)))
    ranges.sort(key=lambda r: -r.quality)
    return tuple(ranges)


def accept_object(accept: str | None, views: frozenset[View], *, stream: bool = False, protobuf: bool = False) -> Accepted:
    """The form in which to answer with objects. Raises 406 when none that the client accepts can be had.

    protobuf: whether the kind has such a form. It is used for clients that take nothing else: documents are kept as JSON, so JSON is
    what a client that takes both is served with best.
    """
    if not accept or accept in (JSON, "*/*"):
        return PLAIN
    if len(accept) > MAX_ACCEPT_LENGTH:
        raise not_acceptable(stream)
    return _accept_object(accept, views, stream, protobuf)


@lru_cache(maxsize=512)
def _accept_object(accept: str, views: frozenset[View], stream: bool, protobuf: bool) -> Accepted:
    fallback: Accepted | None = None
    for entry in media_ranges(accept):
        if entry.type in (JSON, "application/*", "*/*"):
            encoding = Encoding.JSON
        elif entry.type == YAML and not stream:
            encoding = Encoding.YAML
        elif entry.type == PROTOBUF and protobuf and "as" not in entry.parameters:
            fallback = fallback or Accepted(View.OBJECT, "v1", Encoding.PROTOBUF)
            continue
        else:
            continue
        wanted = entry.parameters.get("as")
        if wanted is None:
            return Accepted(View.OBJECT, "v1", encoding)
        version = entry.parameters.get("v", "")
        if entry.parameters.get("g") != META_GROUP or version not in ("v1", "v1beta1"):
            continue
        for view in views:
            if view.value == wanted:
                return Accepted(view, version, encoding)
    if fallback is None:
        raise not_acceptable(stream)
    return fallback


def not_acceptable(stream: bool = False) -> NotAcceptable:
    types = f"{JSON}, {PROTOBUF}" if stream else f"{JSON}, {YAML}, {PROTOBUF}"
    return NotAcceptable(f"only the following media types are accepted: {types}")


class DiscoveryForm(Enum):
    """The forms of ``/api`` and ``/apis``."""

    LEGACY = ""
    AGGREGATED = "v2"


@lru_cache(maxsize=128)
def accept_discovery(accept: str | None) -> DiscoveryForm:
    """Whether a client takes the aggregated form of discovery (GA version only, as upstream since 1.33)."""
    if not accept:
        return DiscoveryForm.LEGACY
    for entry in media_ranges(accept[:MAX_ACCEPT_LENGTH]):
        if entry.type not in (JSON, "application/*", "*/*"):
            continue
        parameters = entry.parameters
        if "as" not in parameters:
            return DiscoveryForm.LEGACY
        if (parameters["as"], parameters.get("g"), parameters.get("v")) == ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2"):
            return DiscoveryForm.AGGREGATED
    raise not_acceptable()


@lru_cache(maxsize=128)
def accepts_type(accept: str | None, media_type: str) -> bool:
    """Whether a client names a media type in so many words."""
    return bool(accept) and any(entry.type == media_type.lower() for entry in media_ranges((accept or "")[:MAX_ACCEPT_LENGTH]))


def require_json(accept: str | None) -> None:
    """Documents that exist as JSON only. Raises 406."""
    if accept and not any(entry.type in (JSON, "application/*", "*/*") for entry in media_ranges(accept[:MAX_ACCEPT_LENGTH])):
        raise NotAcceptable(f"only the following media types are accepted: {JSON}")


def body_encoding(content_type: str | None) -> Encoding:
    """How a document in a body is written; upstream takes a missing Content-Type as JSON. Raises 415."""
    media = (content_type or JSON).partition(";")[0].strip().lower()
    found = _BODY_ENCODINGS.get(media)
    if found is None:
        raise unsupported(JSON, YAML, PROTOBUF)
    return found


_BODY_ENCODINGS: Final = {"": Encoding.JSON, JSON: Encoding.JSON, YAML: Encoding.YAML, PROTOBUF: Encoding.PROTOBUF}


def unsupported(*types: str) -> UnsupportedMediaType:
    return UnsupportedMediaType(f"the body of the request was in an unknown format - accepted media types include: {', '.join(types)}")


#: The patch formats, as upstream lists them in its 415.
PATCH_TYPES: Final = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)


def patch_type(content_type: str | None) -> str:
    """The media type of a patch without its parameters. Raises 415."""
    media = (content_type or "").partition(";")[0].strip().lower()
    if media not in PATCH_TYPES:
        raise unsupported(*PATCH_TYPES)
    return media


def accepts_gzip(accept_encoding: str | None) -> bool:
    """Whether a client takes gzip."""
    return bool(accept_encoding) and any(r.type == "gzip" for r in media_ranges((accept_encoding or "")[:MAX_ACCEPT_LENGTH]))
