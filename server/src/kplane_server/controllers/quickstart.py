# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The quick way to make the most common control plane: everything by default, and nothing there yet.

What the provisioner would write for it differs from one to the next in a few texts only. It is encoded once, with marks for these
texts, and cut there; for each new control plane the pieces are joined. Nothing is looked up first: the commit demands that
everything is absent, and where that does not hold, the operator goes the careful way.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Any, Final

import orjson

from kplane_server.controllers import credentials, documents
from kplane_server.controllers.provisioning import SERVICE_ACCOUNTS, Draft, Provisioner, planned_record, ready_event, ready_status
from kplane_server.controllers.resolution import Terms
from kplane_server.model.keys import ROOT_VCP_ID, ObjectKey, ResourceId
from kplane_server.model.uids import random_uid
from kplane_server.storage import api as storage
from kplane_server.storage.api import ABSENT, Mutation, Stored, VcpRecord
from kplane_server.vcp import contract
from kplane_server.vcp.bootstrap import object_uid
from kplane_server.vcp.plane import ManagementPlane

Document = dict[str, Any]

#: A longer name is cut in the management namespace's, which no template can do.
MAX_NAME_LENGTH: Final = 63 - len(contract.NAMESPACE_PREFIX)

#: What asks for more than a control plane that is served.
_UNCOMMON: Final = frozenset(
    {
        contract.INCARNATION_ANNOTATION,
        contract.TTL_ANNOTATION,
        contract.EXPIRES_ANNOTATION,
        contract.STATE_ANNOTATION,
        contract.LIMITS_ANNOTATION,
        contract.ROTATE_ANNOTATION,
    }
)

#: Texts that stand for those that differ. They are legal nowhere, so nothing else can be taken for one.
_NAME, _OWNER, _NOW, _UID, _NONCE = ("@name@", "@owner@", "@now@", "@uid@", "@nonce@")
_SECRET: Final = credentials.SecretContent("@kubeconfig@", "@external@", "@expires@", "@source@")
_SECRET_FIELDS: Final = (b"kubeconfig", b"external", b"expires", b"source")
_MARKS: Final = re.compile(rb"@(name|owner|now|uid|nonce|kubeconfig|external|expires|source)@")


def _format(text: bytes) -> bytes:
    """A text with marks as the format that fills them in from a mapping."""
    return _MARKS.sub(rb"%(\1)b", text.replace(b"%", b"%%"))


class _Template:
    """An object to create, as a format."""

    __slots__ = ("_name", "_namespace", "_owned", "_resource", "_tail", "head")

    def __init__(self, mutation: Mutation, name: str) -> None:
        self.head = mutation.draft.head
        self._tail = _format(mutation.draft.tail.replace(mutation.uid.encode(), _UID.encode()))
        self._resource: ResourceId = mutation.key.resource
        self._namespace, self._name = mutation.key.namespace, name
        self._owned = bool(mutation.owners)

    def mutation(self, texts: dict[bytes, bytes], name: str, owner: str) -> Mutation:
        uid = random_uid()
        texts[b"uid"] = uid.encode()
        key = ObjectKey(ROOT_VCP_ID, self._resource, self._namespace.replace(_NAME, name), self._name.replace(_NAME, name))
        return Mutation(key, storage.Draft(self.head, self._tail % texts), ABSENT, uid=uid, owners=(owner,) if self._owned else ())


class _Nothing:
    """A store without anything in it: the provisioner, asked about it, wants everything."""

    def get(self, key: ObjectKey) -> Stored | None:
        return None


class QuickStart:
    """Writes a whole control plane from templates."""

    def __init__(self, plane: ManagementPlane, clock: Callable[[], float]) -> None:
        self._plane = plane
        self._clock = clock
        metadata: Document = {"name": _NAME, "uid": _OWNER, "generation": 1}
        sample: Document = {"apiVersion": contract.API_VERSION, "kind": "ControlPlane", "metadata": metadata, "spec": {}}
        draft = Draft(sample, Terms(_NAME, "cluster-admin"), planned_record(_NAME, _OWNER, 0), _NOW)
        provisioner = Provisioner(_Nothing(), plane, clock)
        endpoints = provisioner.endpoints(draft)
        provisioner.namespace(draft)
        self._objects = [_Template(mutation, mutation.key.name) for mutation in draft.mutations]
        event = ready_event(sample, endpoints, _NOW)
        nonce = event.key.name.removeprefix(f"{_NAME}.").encode()
        marked = storage.Draft(event.draft.head, event.draft.tail.replace(nonce, _NONCE.encode()))
        self._event = _Template(Mutation(event.key, marked, ABSENT, uid=event.uid), f"{_NAME}.{_NONCE}")
        secret = documents.creation(credentials.secret_key(_NAME), _SECRET.document(_NAME), _NOW)
        self._secret = _Template(secret, contract.kubeconfig_secret(_NAME))
        self._status = _format(b',"status":' + orjson.dumps(ready_status(sample, endpoints, _NOW)))

    def applies(self, document: Document, terms: Terms) -> bool:
        """Whether a ControlPlane is of the common sort: just made, with the default endpoint, path and role."""
        metadata, spec = document["metadata"], document.get("spec") or {}
        return (
            "status" not in document
            and not spec.get("endpointRef")
            and terms.path == metadata["name"]
            and terms.role == "cluster-admin"
            and len(terms.path) <= MAX_NAME_LENGTH
            and metadata.get("generation") == 1
            and contract.FINALIZER in (metadata.get("finalizers") or ())
            and _UNCOMMON.isdisjoint(metadata.get("annotations") or ())
            and terms.common
        )

    def mutations(self, change: Mutation, document: Document, record: VcpRecord, now: str) -> list[Mutation]:
        """Everything to commit with the record of the new control plane. ``change`` stores the ControlPlane as it is; first is ours."""
        name, owner = record.name, document["metadata"]["uid"]
        texts = {b"name": name.encode(), b"owner": owner.encode(), b"now": now.encode()}
        whole = storage.Draft(change.draft.head, b"%b%b}" % (change.draft.tail[:-1], self._status % texts))
        made = [Mutation(change.key, whole, change.expected, uid=owner, owners=documents.owners_of(document["metadata"]))]
        made.extend(template.mutation(texts, name, owner) for template in self._objects)
        made.append(self._make_secret(texts, record, owner))
        nonce = secrets.token_hex(8)
        texts[b"nonce"] = nonce.encode()
        event = self._event.mutation(texts, name, owner)
        made.append(Mutation(event.key._replace(name=f"{name}.{nonce}"), event.draft, ABSENT, uid=event.uid))
        return made

    def _make_secret(self, texts: dict[bytes, bytes], record: VcpRecord, owner: str) -> Mutation:
        account = object_uid(record, SERVICE_ACCOUNTS, contract.SYSTEM_NAMESPACE, contract.ADMIN_ACCOUNT)
        url = self._plane.url_of(record.name)
        content = credentials.secret_content(self._plane, record.name, record, account, url, url, self._clock())
        own = {field: text.encode() for field, text in zip(_SECRET_FIELDS, content, strict=True)}
        return self._secret.mutation({**texts, **own}, record.name, owner)
