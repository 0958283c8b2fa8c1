# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Creation through the verbs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kplane_server.model.errors import (
    AlreadyExists,
    BadRequest,
    Conflict,
    Forbidden,
    Invalid,
    MethodNotAllowed,
    NotFound,
    RequestEntityTooLarge,
)
from kplane_server.registry.generic import generate_name
from kplane_server.registry.options import DeleteOptions

from .conftest import Bench

DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "d"},
    "spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}},
    },
}


async def test_the_server_sets_what_is_its_own(bench: Bench) -> None:
    sent = {
        "metadata": {
            "name": "a",
            "uid": "mine",
            "creationTimestamp": "2001-01-01T00:00:00Z",
            "deletionTimestamp": "2001-01-01T00:00:00Z",
            "generation": 7,
            "selfLink": "x",
        },
        "data": {"k": "v"},
    }
    made = await bench.create("configmaps", sent)
    metadata = made["metadata"]
    assert (made["apiVersion"], made["kind"], made["data"]) == ("v1", "ConfigMap", {"k": "v"})
    assert metadata["namespace"] == "default"
    assert len(metadata["uid"]) == 36
    assert metadata["creationTimestamp"] > "2020"
    assert not {"deletionTimestamp", "selfLink", "generation"} & set(metadata)
    assert metadata["resourceVersion"] == str(bench.store.revision)
    assert bench.get("configmaps", "a") == made


async def test_a_name_is_taken_once(bench: Bench) -> None:
    await bench.create("configmaps", {"metadata": {"name": "a"}})
    with pytest.raises(AlreadyExists, match='configmaps "a" already exists'):
        await bench.create("configmaps", {"metadata": {"name": "a"}})
    with pytest.raises(AlreadyExists):
        await bench.create("configmaps", {"metadata": {"name": "a"}}, dry_run=True)


async def test_generated_names(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await bench.create("configmaps", {"metadata": {"generateName": "web-"}})
    assert made["metadata"]["name"].startswith("web-")
    assert len(made["metadata"]["name"]) == 9
    names = iter(["web-1", "web-1", "web-1", "web-2"])
    monkeypatch.setattr("kplane_server.registry.create.generate_name", lambda prefix: next(names))
    assert (await bench.create("configmaps", {"metadata": {"generateName": "web-"}}))["metadata"]["name"] == "web-1"
    assert (await bench.create("configmaps", {"metadata": {"generateName": "web-"}}))["metadata"]["name"] == "web-2"
    monkeypatch.setattr("kplane_server.registry.create.generate_name", lambda prefix: "web-1")
    with pytest.raises(AlreadyExists, match="the server was not able to generate a unique name for the object"):
        await bench.create("configmaps", {"metadata": {"generateName": "web-"}})


@given(st.text(max_size=80))
def test_a_generated_name_fits(prefix: str) -> None:
    name = generate_name(prefix)
    assert len(name) <= 63
    assert name[:-5] == prefix[:58]


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        ({"metadata": {"name": "a", "resourceVersion": "1"}}, BadRequest, "resourceVersion should not be set on objects to be created"),
        ({"metadata": {"name": "a", "namespace": "other"}}, BadRequest, "namespace of the provided object does not match"),
        ({"apiVersion": "v2", "metadata": {"name": "a"}}, BadRequest, "does not match the expected API version"),
        ({"kind": "Secret", "metadata": {"name": "a"}}, BadRequest, "does not match the expected kind"),
        ({"metadata": {}}, Invalid, "name or generateName is required"),
        ({"metadata": {"name": "A_b"}}, Invalid, "RFC 1123 subdomain"),
        ({"metadata": {"name": "a", "labels": {"-": "x"}}}, Invalid, "metadata.labels"),
        ({"metadata": {"name": "a", "labels": {"a": 5}}}, BadRequest, "metadata.labels"),
        ({"metadata": {"name": "a", "finalizers": "x"}}, BadRequest, "metadata.finalizers"),
        ({"metadata": {"name": 5}}, BadRequest, "metadata.name"),
        ({"metadata": []}, BadRequest, "metadata"),
        ({"metadata": {"name": "a", "ownerReferences": [{"kind": "X"}]}}, Invalid, "must not be empty"),
        ({"metadata": {"name": "a", "ownerReferences": ["x"]}}, BadRequest, "ownerReferences"),
        ({"metadata": {"name": "a"}, "data": {"a": 1}}, BadRequest, "cannot unmarshal number into Go"),
        ([], BadRequest, "ConfigMap"),
        ("x", BadRequest, "ConfigMap"),
    ],
)
async def test_documents_that_are_refused(bench: Bench, body: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        await bench.create("configmaps", body)
    assert words in str(caught.value)
    assert bench.names("configmaps") == []


async def test_a_namespace_must_be_there_and_stay(bench: Bench) -> None:
    with pytest.raises(NotFound, match='namespaces "nowhere" not found'):
        await bench.create("configmaps", {"metadata": {"name": "a"}}, "nowhere")
    await bench.create("namespaces", {"metadata": {"name": "leaving"}}, "")
    await bench.api.delete(bench.info("namespaces"), "", "leaving", DeleteOptions(), bench.context())
    assert bench.get("namespaces", "leaving", "")["status"]["phase"] == "Terminating"
    with pytest.raises(Forbidden, match="unable to create new content in namespace leaving because it is being terminated") as caught:
        await bench.create("configmaps", {"metadata": {"name": "a"}}, "leaving")
    assert caught.value.causes[0].reason == "NamespaceTerminating"


async def test_defaults_and_generation(bench: Bench) -> None:
    made = await bench.create("deployments.apps", DEPLOYMENT)
    assert made["spec"]["replicas"] == 1
    assert made["spec"]["template"]["spec"]["restartPolicy"] == "Always"
    assert made["metadata"]["generation"] == 1


async def test_a_status_that_is_sent_along_is_dropped(bench: Bench) -> None:
    made = await bench.create("deployments.apps", {**DEPLOYMENT, "status": {"replicas": 9}})
    assert "replicas" not in made.get("status", {})
    assert not any("f:status" in entry["fieldsV1"] for entry in made["metadata"]["managedFields"])


async def test_a_dry_run_shows_everything_and_keeps_nothing(bench: Bench) -> None:
    before = bench.store.revision
    made = await bench.create("deployments.apps", DEPLOYMENT, dry_run=True)
    assert made["spec"]["replicas"] == 1
    assert made["metadata"]["uid"]
    assert "resourceVersion" not in made["metadata"]
    assert bench.store.revision == before
    with pytest.raises(Invalid):
        await bench.create("configmaps", {"metadata": {"name": "_"}}, dry_run=True)


async def test_field_validation(bench: Bench) -> None:
    body = {"metadata": {"name": "a", "foo": 1}, "data": {}, "bar": 2}
    with pytest.raises(BadRequest) as caught:
        await bench.create("configmaps", body, field_validation="Strict", duplicates=['duplicate field "data"'])
    assert str(caught.value) == (
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: '
        'duplicate field "data", unknown field "metadata.foo", unknown field "bar"'
    )
    ctx = bench.context(field_validation="Warn")
    await bench.api.create(bench.info("configmaps"), "default", {"metadata": {"name": "a", "foo": 1}, "bar": 2}, ctx)
    assert ctx.warnings == ['unknown field "metadata.foo"', 'unknown field "bar"']
    assert "bar" not in bench.get("configmaps", "a")
    ctx = bench.context(field_validation="Ignore")
    await bench.api.create(bench.info("configmaps"), "default", {"metadata": {"name": "b"}, "bar": 2}, ctx)
    assert ctx.warnings == []


async def test_managed_fields_of_a_creation(bench: Bench) -> None:
    made = await bench.create("configmaps", {"metadata": {"name": "a"}, "data": {"k": "v"}}, field_manager="me")
    (entry,) = made["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"], entry["apiVersion"]) == ("me", "Update", "v1")
    assert entry["fieldsV1"] == {"f:data": {".": {}, "f:k": {}}}
    unmanaged = await bench.create("configmaps", {"metadata": {"name": "b"}, "data": {"k": "v"}}, field_manager="")
    assert "managedFields" not in unmanaged["metadata"]


async def test_what_is_never_kept_cannot_be_created_here(bench: Bench) -> None:
    with pytest.raises(MethodNotAllowed):
        await bench.create("subjectaccessreviews.authorization.k8s.io", {"metadata": {}}, "")


async def test_the_name_in_the_path_and_in_the_document_agree(bench: Bench) -> None:
    info, ctx = bench.info("configmaps"), bench.context()
    with pytest.raises(BadRequest, match="does not match the name on the URL"):
        await bench.api.create(info, "default", {"metadata": {"name": "a"}}, ctx, name="b")


async def test_a_cluster_scoped_object_has_no_namespace(bench: Bench) -> None:
    """One that is sent is dropped, as upstream does: manifests in the wild carry it."""
    made = await bench.create("namespaces", {"metadata": {"name": "a", "namespace": "b"}}, "")
    assert "namespace" not in made["metadata"]


async def test_conflicting_uid_on_a_creating_update(bench: Bench) -> None:
    lease = {"metadata": {"name": "a", "uid": "x"}, "spec": {}}
    with pytest.raises(Conflict, match="uid mismatch: the provided object specified uid x"):
        await bench.update("leases.coordination.k8s.io", lease)
    made = await bench.update("leases.coordination.k8s.io", {"metadata": {"name": "a"}, "spec": {}})
    assert made["metadata"]["name"] == "a"


async def test_an_owner_is_named_once(bench: Bench) -> None:
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"}
    ctx = bench.context()
    body = {"metadata": {"name": "a", "ownerReferences": [owner, dict(owner), {**owner, "uid": "v"}]}}
    await bench.api.create(bench.info("configmaps"), "default", body, ctx)
    assert [r["uid"] for r in bench.get("configmaps", "a")["metadata"]["ownerReferences"]] == ["u", "v"]
    assert "duplicate UID(s) observed: u" in ctx.warnings[0]
    await bench.api.delete(bench.info("configmaps"), "default", "a", DeleteOptions(), bench.context())


async def test_an_object_over_the_limit_is_refused(bench: Bench) -> None:
    annotations = {f"k{n}": "x" * 1000 for n in range(200)}
    await bench.create("secrets", {"metadata": {"name": "a", "annotations": annotations}})
    with pytest.raises(RequestEntityTooLarge, match="request is too large"):
        await bench.create("leases.coordination.k8s.io", {"metadata": {"name": "b"}, "spec": {"holderIdentity": "x" * 2_000_000}})
