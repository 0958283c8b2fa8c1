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
    metadata = {"resourceVersion": "", **obj["metadata"]}
    metadata["resourceVersion"] = ""
    text = _dump(obj, metadata)
    if len(text) > MAX_DOCUMENT_BYTES:
        raise RequestEntityTooLarge("etcdserver: request is too large")
    start = text.index(_REVISION_FIELD) + len(_REVISION_FIELD)  # the first: what comes before cannot hold an unescaped quote
    return Draft(text[:start], text[start:])


def encode_without_revision(obj: Json) -> bytes:
    """A document that was never stored (the answer to a dry run of a create)."""
    return _dump(obj, {k: v for k, v in obj["metadata"].items() if k != "resourceVersion"})


def _dump(obj: Json, metadata: Json) -> bytes:
    """Compact JSON in the fixed order."""
    ordered = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": metadata}
    for key, value in obj.items():
        if key not in _HEADER_FIELDS:
            ordered[key] = value
    try:
        return orjson.dumps(ordered)
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


def draft_of(value: bytes) -> Draft:
    """The draft of a stored document, for a change that leaves its content as it is (a deletion)."""
    start = value.find(_REVISION_FIELD)
    if start < 0:
        return encode(decode(value))
    start += len(_REVISION_FIELD)
    return Draft(value[:start], value[value.index(b'"', start) :])
