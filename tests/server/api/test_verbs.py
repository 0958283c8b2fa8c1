# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs through the front door: codes, forms and headers of the answers."""

from __future__ import annotations

import json

import pytest
import yaml
from support.client import Client
from support.objects import config_map

from kplane_server.registry import wire

MAPS = "/api/v1/namespaces/default/configmaps"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
METADATA = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
PROTOBUF = "application/vnd.kubernetes.protobuf"


def test_a_life(vcp: Client) -> None:
    created = vcp.post(MAPS, config_map("life", {"a": "1"}))
    assert created.code == 201
    vcp.post(MAPS, config_map("life")).fails(409, "AlreadyExists")
    found = vcp.get(f"{MAPS}/life").ok()
    assert found == created.json
    replaced = vcp.put(f"{MAPS}/life", {**found, "data": {"a": "2"}})
    assert (replaced.code, replaced.json["data"]) == (200, {"a": "2"})
    vcp.put(f"{MAPS}/life", {**found, "data": {"a": "3"}}).fails(409, "Conflict")
    assert vcp.patch(f"{MAPS}/life", {"data": {"b": "3"}}).ok()["data"] == {"a": "2", "b": "3"}
    gone = vcp.delete(f"{MAPS}/life").ok()
    assert (gone["kind"], gone["status"]) == ("Status", "Success")
    assert gone["details"] == {"name": "life", "kind": "configmaps", "uid": found["metadata"]["uid"]}
    status = vcp.get(f"{MAPS}/life").fails(404, "NotFound")
    assert status["details"] == {"name": "life", "kind": "configmaps"}


def test_an_object_that_waits_is_shown(vcp: Client) -> None:
    vcp.post(MAPS, config_map("held", finalizers=["example.com/hold"])).ok()
    waiting = vcp.delete(f"{MAPS}/held").ok()
    assert (waiting["kind"], "deletionTimestamp" in waiting["metadata"]) == ("ConfigMap", True)
    vcp.patch(f"{MAPS}/held", {"metadata": {"finalizers": None}}).ok()
    vcp.get(f"{MAPS}/held").fails(404)


def test_apply_creates_with_201(vcp: Client) -> None:
    assert vcp.apply(f"{MAPS}/applied", config_map("applied", {"a": "1"})).code == 201
    assert vcp.apply(f"{MAPS}/applied", config_map("applied", {"a": "1"})).code == 200


def test_yaml_bodies_and_answers(vcp: Client) -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: yaml}\ndata:\n  a: '1'\n"
    answer = vcp.request("POST", MAPS, text.encode(), {"Content-Type": "application/yaml", "Accept": "application/yaml"})
    assert (answer.code, answer.headers["content-type"]) == (201, "application/yaml")
    assert yaml.safe_load(answer.body)["data"] == {"a": "1"}
    large = vcp.request("PUT", f"{MAPS}/yaml", (text + "  b: " + "x" * 20_000 + "\n").encode(), {"Content-Type": "application/yaml"})
    assert len(large.ok()["data"]["b"]) == 20_000


def test_lists_and_pages(vcp: Client) -> None:
    for number in range(5):
        vcp.post(MAPS, config_map(f"page-{number}", labels={"page": "yes"})).ok()
    whole = vcp.get(f"{MAPS}?labelSelector=page%3Dyes").ok()
    assert (whole["kind"], whole["apiVersion"]) == ("ConfigMapList", "v1")
    assert "remainingItemCount" not in whole["metadata"]
    names = [item["metadata"]["name"] for item in whole["items"]]
    assert names == [f"page-{number}" for number in range(5)]
    paged: list[str] = []
    token, revisions = "", set()
    while True:
        page = vcp.get(f"{MAPS}?labelSelector=page%3Dyes&limit=2&continue={token}").ok()
        paged += [item["metadata"]["name"] for item in page["items"]]
        revisions.add(page["metadata"]["resourceVersion"])
        token = page["metadata"].get("continue", "")
        if not token:
            break
    assert paged == names
    assert len(revisions) == 1
    empty = vcp.get("/api/v1/namespaces/default/pods").ok()
    assert empty["items"] == []


def test_tables(vcp: Client) -> None:
    vcp.post(MAPS, config_map("tabled", {"a": "1"})).ok()
    table = vcp.get(MAPS, Accept=TABLE).ok()
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert [column["name"] for column in table["columnDefinitions"]][:2] == ["Name", "Data"]
    row = next(row for row in table["rows"] if row["cells"][0] == "tabled")
    assert row["object"]["kind"] == "PartialObjectMetadata"
    single = vcp.get(f"{MAPS}/tabled?includeObject=Object", Accept=TABLE).ok()
    assert single["rows"][0]["object"]["data"] == {"a": "1"}
    assert single["metadata"]["resourceVersion"] == row["object"]["metadata"]["resourceVersion"]
    vcp.get(f"{MAPS}/tabled?includeObject=Nonsense", Accept=TABLE).fails(400, "BadRequest")


def test_metadata_alone(vcp: Client) -> None:
    vcp.post(MAPS, config_map("partial", {"a": "1"})).ok()
    one = vcp.get(f"{MAPS}/partial", Accept=METADATA).ok()
    assert (one["kind"], set(one)) == ("PartialObjectMetadata", {"kind", "apiVersion", "metadata"})
    many = vcp.get(MAPS, Accept=METADATA_LIST).ok()
    assert many["kind"] == "PartialObjectMetadataList"
    assert one in many["items"]


def test_protobuf_bodies_and_answers(vcp: Client) -> None:
    body = wire.encode(config_map("proto", {"a": "1"}))
    assert body is not None
    created = vcp.request("POST", MAPS, body, {"Content-Type": PROTOBUF, "Accept": f"{PROTOBUF},application/json"})
    assert (created.code, created.headers["content-type"]) == (201, "application/json"), "who takes both gets what is cheap here"
    assert created.json["data"] == {"a": "1"}
    answer = vcp.get(f"{MAPS}/proto", Accept=PROTOBUF)
    assert answer.headers["content-type"] == PROTOBUF
    assert wire.decode(answer.body)["data"] == {"a": "1"}
    listed = wire.decode(vcp.get(MAPS, Accept=PROTOBUF).body)
    assert "proto" in [item["metadata"]["name"] for item in listed["items"]]
    for broken in (body[:-3], b"k8s\x00" + b"\xff" * 20, b"nonsense"):
        vcp.request("POST", MAPS, broken, {"Content-Type": PROTOBUF}).fails(400, "BadRequest")


def test_warnings_come_as_headers(vcp: Client) -> None:
    answer = vcp.request("POST", f"{MAPS}?fieldValidation=Warn", json.dumps({**config_map("warned"), "nonsense": 1}).encode())
    assert answer.code == 201
    assert answer.headers["warning"] == '299 - "unknown field \\"nonsense\\""'
    strict = vcp.request("POST", f"{MAPS}?fieldValidation=Strict", b'{"metadata":{"name":"a"},"data":{"k":"1","k":"2"},"nonsense":1}')
    message = strict.fails(400, "BadRequest")["message"]
    assert 'duplicate field "data.k"' in message
    assert 'unknown field "nonsense"' in message


@pytest.mark.parametrize("resource", ["authorization.k8s.io/v1/selfsubjectaccessreviews", "authentication.k8s.io/v1/selfsubjectreviews"])
def test_reviews_are_answered_and_not_kept(vcp: Client, resource: str) -> None:
    path = f"/apis/{resource}"
    body = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}} if "access" in path else {}
    answer = vcp.post(path, body)
    assert answer.code == 201
    assert answer.json["status"]
    vcp.get(path).fails(405, "MethodNotAllowed")


def test_tokens_are_issued(vcp: Client) -> None:
    answer = vcp.post("/api/v1/namespaces/default/serviceaccounts/default/token", {"spec": {"expirationSeconds": 600}})
    assert answer.code == 201
    account = vcp.as_user(answer.json["status"]["token"])
    user = account.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", {}).ok()["status"]["userInfo"]
    assert user["username"] == "system:serviceaccount:default:default"
    vcp.post("/api/v1/namespaces/default/serviceaccounts/nobody/token", {}).fails(404, "NotFound")


def test_a_strategic_merge_patch_does_not_change_the_type(vcp: Client) -> None:
    """Upstream decodes its result into the type that the object has; kubernetes.core patches a Scale as a Deployment."""
    path = "/apis/apps/v1/namespaces/default/deployments"
    labels = {"a": "b"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    vcp.post(path, {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": labels}, "template": template}}).ok()
    other = {"kind": "Deployment", "metadata": {"name": "d", "namespace": "default"}, "spec": {"replicas": 5}}
    scale = vcp.patch(f"{path}/d/scale", other, "strategic-merge-patch+json").ok()
    assert (scale["apiVersion"], scale["kind"], scale["spec"]) == ("autoscaling/v1", "Scale", {"replicas": 5})
    assert vcp.patch(f"{path}/d", {"kind": "Else", "spec": {"replicas": 6}}, "strategic-merge-patch+json").ok()["kind"] == "Deployment"
    vcp.patch(f"{path}/d/scale", other).fails(400, "BadRequest")
    vcp.patch(f"{path}/d", {"kind": "Else"}).fails(422, "Invalid")
