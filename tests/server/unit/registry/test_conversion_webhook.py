# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Custom resources that a webhook converts: every verb, the rules for its answers, one call for many watchers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from kplane_server.admission.chain import default_chain
from kplane_server.model.errors import InternalError
from kplane_server.registry.api import ControlPlaneApi
from kplane_server.registry.custom_rows import CustomResourceInfo
from kplane_server.registry.hooks import HookFailure
from kplane_server.registry.options import DeleteOptions, ListOptions, Patch, WatchOptions
from kplane_server.storage.memory import MemoryStore
from kplane_server.storage.overlay import NoLayer

from .conftest import Bench, document
from .test_custom import CRDS, crd

WIDGETS = "widgets.example.com"


def schema(field: str) -> dict[str, Any]:
    spec = {"type": "object", "properties": {field: {"type": "string"}, "note": {"type": "string", "default": "none"}}}
    return {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}


def definition(storage: str = "v1") -> Any:
    """v1 has ``spec.host`` and v2 has ``spec.address``."""
    versions = [
        {"name": name, "served": True, "storage": name == storage, "schema": schema(field), "selectableFields": [{"jsonPath": path}]}
        for name, field, path in (("v1", "host", ".spec.host"), ("v2", "address", ".spec.address"))
    ]
    body = crd("widgets", "Widget", *versions)
    client = {"url": "https://example.com/convert"}
    body["spec"]["conversion"] = {"strategy": "Webhook", "webhook": {"clientConfig": client, "conversionReviewVersions": ["v1"]}}
    return body


def rename(obj: Any, wanted: str) -> Any:
    obj = json.loads(json.dumps(obj))
    spec = obj["spec"]
    old, new = ("host", "address") if wanted.endswith("v2") else ("address", "host")
    if old in spec:
        spec[new] = spec.pop(old)
    return {**obj, "apiVersion": wanted, "spec": spec}


class Webhook:
    """Stands for the webhook: converts, counts, and can be told to answer something else."""

    def __init__(self) -> None:
        self.reviews: list[Any] = []
        self.change: Callable[[Any], Any] = lambda answer: answer
        self.fail = ""
        self.gate = asyncio.Event()
        self.gate.set()

    async def call(self, client_config: Any, review: Any, timeout: float) -> Any:
        assert client_config == {"url": "https://example.com/convert"}
        self.reviews.append(review)
        await self.gate.wait()
        if self.fail:
            raise HookFailure(self.fail)
        request = review["request"]
        objects = [rename(obj, request["desiredAPIVersion"]) for obj in request["objects"]]
        response = {"uid": request["uid"], "convertedObjects": objects, "result": {"status": "Success"}}
        return self.change({"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "response": response})


@pytest.fixture
async def webhook() -> Webhook:
    return Webhook()


@pytest.fixture
async def bench(webhook: Webhook) -> AsyncIterator[Bench]:
    store = MemoryStore(layer=NoLayer())
    record = store.vcp("root")
    assert record is not None
    made = Bench(ControlPlaneApi(record, store, admission=default_chain(), hooks=webhook))
    await made.create("namespaces", {"metadata": {"name": "default"}}, "")
    await made.create(CRDS, definition(), "")
    yield made
    await store.close()


def row(bench: Bench, version: str) -> CustomResourceInfo:
    info = bench.info(WIDGETS, version)
    assert isinstance(info, CustomResourceInfo)
    return info


def widget(name: str = "w", version: str = "v1", **spec: Any) -> dict[str, Any]:
    return {"apiVersion": f"example.com/{version}", "kind": "Widget", "metadata": {"name": name}, "spec": spec}


async def read(bench: Bench, name: str = "w", version: str = "v2") -> Any:
    return document(await bench.api.get_converted(row(bench, version), "default", name))


async def test_a_read_at_another_version_asks_the_webhook(bench: Bench, webhook: Webhook) -> None:
    await bench.create(WIDGETS, widget(host="h"))
    assert webhook.reviews == []
    seen = await read(bench)
    assert seen["apiVersion"] == "example.com/v2"
    assert seen["spec"] == {"address": "h", "note": "none"}
    (review,) = webhook.reviews
    assert review["apiVersion"] == "apiextensions.k8s.io/v1"
    assert review["kind"] == "ConversionReview"
    assert review["request"]["desiredAPIVersion"] == "example.com/v2"
    assert review["request"]["objects"][0]["apiVersion"] == "example.com/v1"
    assert (await read(bench, version="v1"))["spec"]["host"] == "h"


async def test_a_write_at_another_version_is_stored_in_the_storage_version(bench: Bench) -> None:
    made = await bench.create(WIDGETS, widget(version="v2", address="a"), version="v2")
    assert made["spec"]["address"] == "a"
    assert bench.get(WIDGETS, "w")["spec"] == {"host": "a", "note": "none"}
    made["spec"]["address"] = "b"
    changed = await bench.update(WIDGETS, made, version="v2")
    assert changed["spec"]["address"] == "b"
    assert changed["metadata"]["uid"] == made["metadata"]["uid"]
    patched = await bench.patch(WIDGETS, "w", "merge", {"spec": {"address": "c"}}, version="v2")
    assert patched["spec"]["address"] == "c"
    assert bench.get(WIDGETS, "w")["spec"]["host"] == "c"
    applied = await bench.patch(WIDGETS, "w", "apply", widget(version="v2", address="d"), version="v2", force=True)
    assert applied["spec"]["address"] == "d"
    gone = await bench.api.delete(row(bench, "v2"), "default", "w", DeleteOptions(), bench.context())
    assert document(gone.stored)["spec"]["address"] == "d"


async def test_what_is_stored_in_an_older_version_is_still_read_and_deleted(bench: Bench) -> None:
    await bench.create(WIDGETS, widget(host="h"))
    stored = bench.get(CRDS, "widgets.example.com", "")
    stored["spec"]["versions"][0]["storage"], stored["spec"]["versions"][1]["storage"] = False, True
    await bench.update(CRDS, stored, "")
    assert (await read(bench, version="v2"))["spec"]["address"] == "h"
    assert (await read(bench, version="v1"))["spec"]["host"] == "h"
    await bench.patch(WIDGETS, "w", "merge", {"spec": {"host": "i"}})
    assert bench.get(WIDGETS, "w", version="v2")["spec"]["address"] == "i"
    result = await bench.api.delete(row(bench, "v1"), "default", "w", DeleteOptions(), bench.context())
    assert result.finished


async def test_lists_are_converted_in_one_review_and_paged(bench: Bench, webhook: Webhook) -> None:
    for index in range(5):
        await bench.create(WIDGETS, widget(f"w{index}", host=f"h{index}"))
    info = row(bench, "v2")
    everything = await bench.api.list_converted(info, "default")
    assert [document(item)["spec"]["address"] for item in everything.items] == ["h0", "h1", "h2", "h3", "h4"]
    assert len(webhook.reviews) == 1
    names, token = [], ""
    while True:
        page = await bench.api.list_converted(info, "default", ListOptions(limit=2, continue_token=token))
        names += [item.key.name for item in page.items]
        token = page.continue_token
        if not token:
            break
        assert page.remaining in (None, 5 - len(names))
    assert names == ["w0", "w1", "w2", "w3", "w4"]
    chosen = await bench.api.list_converted(info, "default", ListOptions(field_selector="spec.address=h3"))
    assert [item.key.name for item in chosen.items] == ["w3"]
    first = await bench.api.list_converted(info, "default", ListOptions(field_selector="spec.address!=h0", limit=3))
    assert [item.key.name for item in first.items] == ["w1", "w2", "w3"]
    assert first.continue_token


async def test_a_collection_is_deleted_at_another_version(bench: Bench) -> None:
    for index in range(3):
        await bench.create(WIDGETS, widget(f"w{index}", host=f"h{index}"))
    chosen = ListOptions(field_selector="spec.address!=h1")
    gone = await bench.api.delete_collection(row(bench, "v2"), "default", chosen, DeleteOptions(), bench.context())
    assert [document(item)["spec"]["address"] for item in gone.items] == ["h0", "h2"]
    assert bench.names(WIDGETS, "default") == ["w1"]


async def test_watches_convert_state_and_changes(bench: Bench) -> None:
    await bench.create(WIDGETS, widget("old", host="h"))
    watch = bench.api.watch(row(bench, "v2"), "default", WatchOptions(field_selector="spec.address=h"))
    before = watch.revision
    assert [(e.type, document(e.object)["spec"]["address"]) for e in await watch.next(1)] == [("ADDED", "h")]
    await bench.create(WIDGETS, widget("new", host="h"))
    await bench.create(WIDGETS, widget("other", host="x"))
    await bench.patch(WIDGETS, "old", "merge", {"spec": {"host": "y"}})
    events = []
    while len(events) < 2:
        events += await watch.next(1)
    assert [(e.type, e.object.key.name, document(e.object)["spec"]["address"]) for e in events] == [
        ("ADDED", "new", "h"),
        ("DELETED", "old", "h"),
    ]
    assert watch.revision > before
    watch.close()


async def test_a_watch_does_not_claim_what_it_has_not_handed_out(bench: Bench, webhook: Webhook) -> None:
    watch = bench.api.watch(row(bench, "v2"), "default", WatchOptions(resource_version=bench.store.revision))
    reached = watch.revision
    webhook.gate.clear()
    await bench.create(WIDGETS, widget(host="h"))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(watch.next(5), 0.05)
    assert watch.revision == reached
    webhook.gate.set()
    assert [e.type for e in await watch.next(1)] == ["ADDED"]
    assert watch.revision > reached


async def test_many_readers_one_call(bench: Bench, webhook: Webhook) -> None:
    await bench.create(WIDGETS, widget(host="h"))
    seen = await asyncio.gather(*(read(bench) for _ in range(20)))
    assert {one["spec"]["address"] for one in seen} == {"h"}
    assert len(webhook.reviews) == 1


async def test_a_reader_that_leaves_takes_nothing_from_the_others(bench: Bench, webhook: Webhook) -> None:
    await bench.create(WIDGETS, widget(host="h"))
    webhook.gate.clear()
    first = asyncio.create_task(read(bench))
    second = asyncio.create_task(read(bench))
    await asyncio.sleep(0.01)
    first.cancel()
    webhook.gate.set()
    assert (await second)["spec"]["address"] == "h"
    assert len(webhook.reviews) == 1


async def test_labels_and_annotations_are_the_webhooks_other_metadata_is_not(bench: Bench, webhook: Webhook) -> None:
    made = await bench.create(WIDGETS, widget(host="h"))

    def change(answer: Any) -> Any:
        metadata = answer["response"]["convertedObjects"][0]["metadata"]
        metadata["labels"], metadata["annotations"] = {"a": "b"}, {"c": "d"}
        metadata["finalizers"], metadata["resourceVersion"] = ["x.example.com/y"], "1"
        return answer

    webhook.change = change
    seen = (await read(bench))["metadata"]
    assert seen["labels"] == {"a": "b"}
    assert seen["annotations"] == {"c": "d"}
    assert "finalizers" not in seen
    assert seen["resourceVersion"] == made["metadata"]["resourceVersion"]


def replaced(**fields: Any) -> Callable[[Any], Any]:
    def change(answer: Any) -> Any:
        return {**answer, "response": {**answer["response"], **fields}}

    return change


def first_object(**fields: Any) -> Callable[[Any], Any]:
    def change(answer: Any) -> Any:
        objects = answer["response"]["convertedObjects"]
        return {**answer, "response": {**answer["response"], "convertedObjects": [{**objects[0], **fields}]}}

    return change


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (replaced(uid="other"), 'failed: expected response.uid="'),
        (replaced(result={"status": "Failure", "message": "no such field"}), "failed: no such field"),
        (replaced(result={"status": "Failure"}), "failed: response.result.status was 'Failure', not 'Success'"),
        (replaced(convertedObjects=[]), "returned 0 objects, expected 1"),
        (lambda answer: {**answer, "kind": "Other"}, "expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview"),
        (lambda answer: {**answer, "response": None}, "failed: no response provided"),
        (first_object(apiVersion="example.com/v1"), "invalid groupVersion (expected example.com/v2, received example.com/v1)"),
        (first_object(kind="Other"), "invalid kind (expected Widget, received Other)"),
        (first_object(metadata={"name": "other"}), "must have the same name: w != other"),
        (first_object(metadata=None), "missing metadata"),
        (first_object(metadata={"name": "w", "namespace": "default", "uid": "1"}), "must have the same UID"),
    ],
)
async def test_answers_that_are_refused(bench: Bench, webhook: Webhook, change: Callable[[Any], Any], text: str) -> None:
    await bench.create(WIDGETS, widget(host="h"))
    webhook.change = change
    with pytest.raises(InternalError) as caught:
        await read(bench)
    assert str(caught.value).startswith("conversion webhook for example.com/v1, Kind=Widget ")
    assert text in str(caught.value)


async def test_a_webhook_that_fails_fails_the_request_and_is_asked_again(bench: Bench, webhook: Webhook) -> None:
    await bench.create(WIDGETS, widget(host="h"))
    webhook.fail = "connection refused"
    with pytest.raises(InternalError, match="Kind=Widget failed: connection refused"):
        await read(bench)
    with pytest.raises(InternalError):
        await bench.create(WIDGETS, widget("x", "v2", address="a"), version="v2")
    patch = Patch("application/merge-patch+json", {"spec": {"address": "z"}})
    with pytest.raises(InternalError):
        await bench.api.patch(row(bench, "v2"), "default", "w", patch, bench.context())
    webhook.fail = ""
    assert (await read(bench))["spec"]["address"] == "h"
    assert bench.names(WIDGETS, "default") == ["w"]


async def test_a_new_shape_of_the_definition_forgets_what_was_converted(bench: Bench, webhook: Webhook) -> None:
    await bench.create(WIDGETS, widget(host="h"))
    await read(bench)
    stored = bench.get(CRDS, "widgets.example.com", "")
    stored["spec"]["versions"][1]["schema"] = schema("address") | {}
    stored["spec"]["versions"][1]["schema"]["openAPIV3Schema"]["description"] = "new"
    await bench.update(CRDS, stored, "")
    await read(bench)
    assert len(webhook.reviews) == 2
