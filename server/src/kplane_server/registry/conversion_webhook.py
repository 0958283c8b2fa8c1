# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Custom resources whose versions only a webhook can convert: ConversionReviews, and a memory of what was converted.

Source: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/#webhook-conversion
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import orjson

from kplane_server.model.errors import InternalError, Json
from kplane_server.model.resources import GroupVersion
from kplane_server.registry import codec
from kplane_server.registry.custom_rows import CustomResourceInfo
from kplane_server.registry.hooks import HookCaller, HookFailure
from kplane_server.storage.api import Event, Stored

#: Seconds that a webhook has for one review (upstream: the time limit of its client).
TIMEOUT: Final = 30.0
#: Objects in one review: a page of a list.
BATCH: Final = 500
#: How much of what was converted is remembered for one control plane (bytes): many watchers, one call.
MEMORY: Final = 4 * 1024 * 1024

_GROUP: Final = "apiextensions.k8s.io"
_KIND: Final = "ConversionReview"
_VERSIONS: Final = ("v1", "v1beta1")

#: What was converted, from which bytes, to which version, by which shape of the definition.
_Key = tuple[bytes, str, int]


class Converter:
    """The conversions of one control plane."""

    __slots__ = ("_caller", "_flying", "_memory", "_size")

    def __init__(self, caller: HookCaller) -> None:
        self._caller = caller
        self._memory: OrderedDict[_Key, bytes] = OrderedDict()
        self._size = 0
        self._flying: dict[_Key, asyncio.Task[dict[_Key, bytes]]] = {}

    async def read(self, items: Sequence[Stored], info: CustomResourceInfo) -> list[Stored]:
        """Stored objects at the version of ``info``, each as :meth:`CustomResourceInfo.present` takes it."""
        values = await self._values([item.value for item in items], info)
        return [Stored(item.key, item.revision, value) for item, value in zip(items, values, strict=True)]

    async def events(self, events: Sequence[Event], info: CustomResourceInfo, *, previous: bool) -> list[Event]:
        """Events at the version of ``info``; with ``previous``, the states before as well."""
        before = [e.previous for e in events if e.previous is not None] if previous else []
        values = await self._values([*(e.value for e in events), *before], info)
        later = iter(values[len(events) :])
        converted = []
        for event, value in zip(events, values, strict=False):
            was = next(later) if previous and event.previous is not None else event.previous
            converted.append(event._replace(value=value, previous=was))
        return converted

    async def to_storage(self, obj: Json, info: CustomResourceInfo) -> Json:
        """A document in the storage version."""
        return (await self.documents([obj], info, info.storage_version))[0]

    async def documents(self, documents: Sequence[Json], info: CustomResourceInfo, wanted: GroupVersion) -> list[Json]:
        """Documents at another version; those that are at it already stay as they are. Raises InternalError."""
        version = str(wanted)
        foreign = [document for document in documents if document["apiVersion"] != version]
        if not foreign:
            return list(documents)
        if not info.by_webhook:
            return [{**document, "apiVersion": version} for document in documents]
        converted: list[Json] = []
        for start in range(0, len(foreign), BATCH):
            converted += await self._review(foreign[start : start + BATCH], info, version)
        ready = iter(converted)
        return [document if document["apiVersion"] == version else next(ready) for document in documents]

    async def _values(self, values: Sequence[bytes], info: CustomResourceInfo) -> list[bytes]:
        version = str(info.group_version)
        keys = [None if value.startswith(info.prefix) else _key(value, version, info.since) for value in values]
        found: dict[_Key, bytes] = {}
        missing: dict[_Key, bytes] = {}
        tasks: set[asyncio.Task[dict[_Key, bytes]]] = set()
        for key, value in zip(keys, values, strict=True):
            if key is None:
                continue
            if (known := self._memory.get(key)) is not None:
                self._memory.move_to_end(key)
                found[key] = known
            elif (task := self._flying.get(key)) is not None:
                tasks.add(task)
            else:
                missing[key] = value
        if missing:
            tasks.add(self._start(missing, info))
        for task in tasks:
            found |= await asyncio.shield(task)  # others may wait for it too
        return [value if key is None else found[key] for key, value in zip(keys, values, strict=True)]

    def _start(self, missing: dict[_Key, bytes], info: CustomResourceInfo) -> asyncio.Task[dict[_Key, bytes]]:
        task = asyncio.get_running_loop().create_task(self._fetch(missing, info), name=f"conversion of {info.definition}")
        self._flying.update(dict.fromkeys(missing, task))

        def done(finished: asyncio.Task[dict[_Key, bytes]]) -> None:
            for key in missing:
                self._flying.pop(key, None)
            if not finished.cancelled():
                finished.exception()  # whoever waited has it; nobody may have

        task.add_done_callback(done)
        return task

    async def _fetch(self, missing: dict[_Key, bytes], info: CustomResourceInfo) -> dict[_Key, bytes]:
        documents = [codec.decode(value) for value in missing.values()]
        converted = await self.documents(documents, info, info.group_version)
        results = {key: _encoded(document) for key, document in zip(missing, converted, strict=True)}
        for key, value in results.items():
            self._remember(key, value)
        return results

    def _remember(self, key: _Key, value: bytes) -> None:
        self._memory[key] = value
        self._size += len(value)
        while self._size > MEMORY:
            _, dropped = self._memory.popitem(last=False)
            self._size -= len(dropped)

    async def _review(self, documents: Sequence[Json], info: CustomResourceInfo, version: str) -> list[Json]:
        hook = orjson.loads(info.conversion)
        review = next((v for v in hook.get("conversionReviewVersions") or () if v in _VERSIONS), None)
        if review is None:
            raise InternalError("no supported conversion review versions")
        first = documents[0]
        at = f"{first['apiVersion']}, Kind={first['kind']}"
        uid = str(uuid.uuid4())
        request = {
            "kind": _KIND,
            "apiVersion": f"{_GROUP}/{review}",
            "request": {"uid": uid, "desiredAPIVersion": version, "objects": list(documents)},
        }
        try:
            answer = await self._caller.call(hook.get("clientConfig") or {}, request, TIMEOUT)
            converted = _converted_objects(answer, review, uid)
        except HookFailure as error:
            raise InternalError(f"conversion webhook for {at} failed: {error}") from error
        if len(converted) != len(documents):
            raise InternalError(f"conversion webhook for {at} returned {len(converted)} objects, expected {len(documents)}")
        return [_checked(old, new, version, at, index) for index, (old, new) in enumerate(zip(documents, converted, strict=True))]


def _key(value: bytes, version: str, since: int) -> _Key:
    return hashlib.blake2b(value, digest_size=16).digest(), version, since


def _encoded(document: Json) -> bytes:
    """The bytes of a document that carries its revision."""
    return codec.encode(document).at(int(document["metadata"].get("resourceVersion") or 0))


def _converted_objects(answer: Json, review: str, uid: str) -> list[Json]:
    """The objects of an answer. Raises HookFailure for one that is malformed, or that says why not."""
    response = answer.get("response")
    if review == "v1":
        given = f"{answer.get('apiVersion') or ''}, Kind={answer.get('kind') or ''}"
        if given != f"{_GROUP}/v1, Kind={_KIND}":
            raise HookFailure(f"expected webhook response of {_GROUP}/v1, Kind={_KIND}, got {given[:256]}")
    if not isinstance(response, dict):
        raise HookFailure("no response provided")
    if review == "v1" and response.get("uid") != uid:
        raise HookFailure(f'expected response.uid="{uid}", got "{str(response.get("uid") or "")[:64]}"')
    result = response.get("result")
    result = result if isinstance(result, dict) else {}
    if result.get("status") != "Success":
        raise HookFailure(result.get("message") or f"response.result.status was '{result.get('status') or ''}', not 'Success'")
    objects = response.get("convertedObjects") or []
    if not isinstance(objects, list):
        raise HookFailure("response.convertedObjects is no list")
    return objects


def _checked(old: Json, new: Json, version: str, at: str, index: int) -> Json:
    """A converted object with the metadata of the original: only labels and annotations are the webhook's."""
    invalid = f"conversion webhook for {at} returned invalid converted object at index {index}"
    if not isinstance(new, dict):
        raise InternalError(f"{invalid}: it is no object")
    if new.get("apiVersion") != version:
        got = str(new.get("apiVersion"))[:256]
        raise InternalError(f"{invalid}: invalid groupVersion (expected {version}, received {got})")
    if new.get("kind") != old["kind"]:
        raise InternalError(f"{invalid}: invalid kind (expected {old['kind']}, received {str(new.get('kind'))[:256]})")
    metadata, before = new.get("metadata"), old["metadata"]
    if not isinstance(metadata, dict):
        raise InternalError(f"conversion webhook for {at} returned invalid metadata in object at index {index}: missing metadata")
    for field, word in (("name", "name"), ("namespace", "namespace"), ("uid", "UID")):
        was, now = before.get(field) or "", metadata.get(field) or ""
        if was != now:
            raise InternalError(f"{invalid}: must have the same {word}: {was} != {str(now)[:256]}")
    kept = {key: value for key, value in before.items() if key not in ("labels", "annotations")}
    for field in ("labels", "annotations"):
        if metadata.get(field):
            kept[field] = _strings(metadata[field], field, at, index)
    return {**new, "metadata": kept}


def _strings(value: Json, field: str, at: str, index: int) -> Json:
    if isinstance(value, dict) and all(isinstance(v, str) for v in value.values()):
        return value
    why = f"conversion webhook for {at} returned invalid metadata in object at index {index}"
    raise InternalError(f"{why}: invalid {field}: must be a map of strings")
