# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents to bytes and back: compact JSON whose first fields have a fixed order, so that revision and version are spliced, not parsed.

Every stored document begins ``{"apiVersion":"…","kind":"…","metadata":{"resourceVersion":"…"``.
"""

from __future__ import annotations

from typing import Final

import orjson

from kplane_server.model.errors import BadRequest, Json, RequestEntityTooLarge
from kplane_server.storage.api import Draft

#: The largest document that is stored, as etcd's default request limit (1.5 MiB).
MAX_DOCUMENT_BYTES: Final = 1_572_864

_REVISION_FIELD: Final = b'"metadata":{"resourceVersion":"'
_HEADER_FIELDS: Final = frozenset(("apiVersion", "kind", "metadata"))

decode = orjson.loads


def encode(obj: Json) -> Draft:
    """A document, complete but for its revision. Raises ``RequestEntityTooLarge`` and, for text that is no Unicode, ``BadRequest``."""
    metadata = obj["metadata"]
    if "resourceVersion" in metadata:
        metadata = {k: v for k, v in metadata.items() if k != "resourceVersion"}
    try:
        header = orjson.dumps({"apiVersion": obj["apiVersion"], "kind": obj["kind"]})
        body = orjson.dumps(metadata)
        rest = orjson.dumps({k: v for k, v in obj.items() if k not in _HEADER_FIELDS})
    except (TypeError, orjson.JSONEncodeError) as error:
        raise BadRequest(f"the object cannot be encoded: {error}") from error
    if len(header) + len(body) + len(rest) > MAX_DOCUMENT_BYTES:
        raise RequestEntityTooLarge("etcdserver: request is too large")
    first = b'",' if len(body) > 2 else b'"'
    second = b"," if len(rest) > 2 else b""
    return Draft(b"%b,%b" % (header[:-1], _REVISION_FIELD), b"%b%b%b%b" % (first, body[1:], second, rest[1:]))


def encode_without_revision(obj: Json) -> bytes:
    """A document that was never stored (the answer to a dry run of a create)."""
    metadata = {k: v for k, v in obj["metadata"].items() if k != "resourceVersion"}
    rest = {k: v for k, v in obj.items() if k not in _HEADER_FIELDS}
    try:
        return orjson.dumps({"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": metadata, **rest})
    except (TypeError, orjson.JSONEncodeError) as error:
        raise BadRequest(f"the object cannot be encoded: {error}") from error


def with_revision(value: bytes, revision: int) -> bytes:
    """The same document at another revision (a DELETED event carries the revision of the deletion)."""
    start = value.find(_REVISION_FIELD)
    if start < 0 or start > 600:
        obj = decode(value)
        return encode(obj).at(revision)
    start += len(_REVISION_FIELD)
    end = value.index(b'"', start)
    return b"%b%d%b" % (value[:start], revision, value[end:])


def with_api_version(value: bytes, stored: str, wanted: str) -> bytes:
    """The same document under another apiVersion: the whole of conversion strategy ``None``."""
    prefix = b'{"apiVersion":"%b"' % stored.encode()
    if value.startswith(prefix):
        return b'{"apiVersion":"%b"%b' % (wanted.encode(), value[len(prefix) :])
    obj = decode(value)
    revision = obj["metadata"].get("resourceVersion")
    draft = encode({**obj, "apiVersion": wanted})
    return draft.at(int(revision)) if revision else encode_without_revision({**obj, "apiVersion": wanted})


def revision_text(value: bytes) -> str:
    """``metadata.resourceVersion`` of a stored document."""
    start = value.find(_REVISION_FIELD)
    if start < 0:
        return str(decode(value)["metadata"].get("resourceVersion", ""))
    start += len(_REVISION_FIELD)
    return value[start : value.index(b'"', start)].decode()


def draft_of(value: bytes) -> Draft:
    """The draft of a stored document, for a change that leaves its content as it is (a deletion)."""
    start = value.find(_REVISION_FIELD)
    if start < 0:
        return encode(decode(value))
    start += len(_REVISION_FIELD)
    return Draft(value[:start], value[value.index(b'"', start) :])
