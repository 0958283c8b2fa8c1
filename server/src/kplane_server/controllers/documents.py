# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents that controllers write straight to the store, in batches: new ones, changed ones, removals, conditions and Events."""

from __future__ import annotations

import secrets
from typing import Any, Final

from kplane_server.model.errors import Json
from kplane_server.model.keys import ObjectKey, ResourceId, VcpId
from kplane_server.model.uids import random_uid
from kplane_server.registry import codec
from kplane_server.storage.api import ABSENT, Mutation, Stored

Document = dict[str, Any]

#: Where Events live, whatever group they are read through.
EVENTS: Final = ResourceId("events")
COMPONENT: Final = "kplane-operator"


def creation(key: ObjectKey, document: Document, now: str) -> Mutation:
    """Make an object that must not be there yet. Name, namespace, uid and creationTimestamp are filled in."""
    uid = random_uid()
    metadata: Document = {"name": key.name, "namespace": key.namespace} if key.namespace else {"name": key.name}
    metadata.update(uid=uid, creationTimestamp=now, **document.get("metadata", {}))
    return Mutation(key, codec.encode({**document, "metadata": metadata}), ABSENT, uid=uid, owners=owners_of(metadata))


def change(stored: Stored, document: Document) -> Mutation:
    """Replace an object by another state of it, if nobody else changed it meanwhile."""
    metadata = document["metadata"]
    return Mutation(
        stored.key,
        codec.encode(document),
        stored.revision,
        uid=metadata.get("uid", ""),
        owners=owners_of(metadata),
        terminating="deletionTimestamp" in metadata,
    )


def removal(stored: Stored, document: Document | None = None) -> Mutation:
    """Delete an object, if nobody else changed it meanwhile. ``document`` is its last state, where it differs from the stored one."""
    metadata = (document or codec.decode(stored.value))["metadata"]
    draft = codec.encode(document) if document is not None else codec.draft_of(stored.value)
    return Mutation(stored.key, draft, stored.revision, True, metadata.get("uid", ""))


def owners_of(metadata: Json) -> tuple[str, ...]:
    """The uids that the collector looks for."""
    references = metadata.get("ownerReferences")
    return tuple(reference["uid"] for reference in references) if references else ()


def condition(kind: str, status: bool | str, reason: str, message: str) -> Document:
    """A condition without its times; see :func:`with_conditions`."""
    text = status if isinstance(status, str) else str(status)
    return {"type": kind, "status": text, "reason": reason, "message": message}


def with_conditions(old: list[Document] | None, new: list[Document], generation: int, now: str) -> list[Document]:
    """The conditions ``old`` with those of ``new`` set. A transition time moves only when the status does."""
    known = {c["type"]: c for c in old or ()}
    for wanted in new:
        before = known.get(wanted["type"])
        since = before["lastTransitionTime"] if before and before["status"] == wanted["status"] else now
        known[wanted["type"]] = {**wanted, "observedGeneration": generation, "lastTransitionTime": since}
    return list(known.values())


def find_condition(document: Document, kind: str) -> Document | None:
    """The condition of a type, if the document has it."""
    conditions = (document.get("status") or {}).get("conditions") or ()
    return next((c for c in conditions if c.get("type") == kind), None)


def event(
    vcp: VcpId, involved: Json, reason: str, message: str, now: str, *, warning: bool = False, component: str = COMPONENT
) -> Mutation:
    """An Event about an object; it is in the object's namespace, or in ``default``."""
    about = involved["metadata"]
    namespace = about.get("namespace", "")
    key = ObjectKey(vcp, EVENTS, namespace or "default", f"{about['name'][:230]}.{secrets.token_hex(8)}")
    reference: Document = {"apiVersion": involved["apiVersion"], "kind": involved["kind"], "name": about["name"]}
    reference["uid"] = about.get("uid", "")
    if namespace:
        reference["namespace"] = namespace
    document: Document = {
        "apiVersion": "v1",
        "kind": "Event",
        "involvedObject": reference,
        "reason": reason,
        "message": message[:1024],
        "source": {"component": component},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
        "type": "Warning" if warning else "Normal",
        "eventTime": None,
        "reportingComponent": component,
        "reportingInstance": "",
    }
    return creation(key, document, now)
