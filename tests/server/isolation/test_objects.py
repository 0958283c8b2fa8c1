# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same names in two VCPs are different objects, in every verb (T14, T19, T21 to T23, A2, O9)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from support.client import Client, eventually
from support.objects import config_map, namespace
from support.server import GROUP, Server, unique

MAPS = "/api/v1/namespaces/default/configmaps"


def test_crud_of_one_name_in_three_control_planes(two_vcps: tuple[Client, Client], root: Client) -> None:
    a, b = two_vcps
    name = unique("same")
    for client, text in ((a, "a"), (b, "b"), (root, "root")):
        client.get(f"{MAPS}/{name}").fails(404, "NotFound")
        client.post(MAPS, config_map(name, {"of": text})).ok()
    uids = set()
    for client, text in ((a, "a"), (b, "b"), (root, "root")):
        found = client.get(f"{MAPS}/{name}").ok()
        assert found["data"] == {"of": text}
        uids.add(found["metadata"]["uid"])
        found["data"]["of"] = text * 2
        assert client.put(f"{MAPS}/{name}", found).ok()["data"] == {"of": text * 2}
    assert len(uids) == 3
    a.delete(f"{MAPS}/{name}").ok()
    a.get(f"{MAPS}/{name}").fails(404)
    assert b.get(f"{MAPS}/{name}").ok()["data"] == {"of": "bb"}
    root.delete(f"{MAPS}/{name}").ok()
    assert b.get(f"{MAPS}/{name}").code == 200


def test_lists_and_watches_show_the_own_vcp_only(two_vcps: tuple[Client, Client]) -> None:
    a, b = two_vcps
    a.post(MAPS, config_map("shared", {"of": "a"}, labels={"app": "x"})).ok()
    b.post(MAPS, config_map("shared", {"of": "b"}, labels={"app": "x"})).ok()
    for client, text in ((a, "a"), (b, "b")):
        for path in (MAPS, "/api/v1/configmaps", f"{MAPS}?labelSelector=app%3Dx", f"{MAPS}?fieldSelector=metadata.name%3Dshared"):
            found = [item["data"].get("of") for item in client.get(path).ok()["items"] if item["metadata"]["name"] == "shared"]
            assert found == [text], path
        events = [e for e in client.watch(f"{MAPS}?watch=1&resourceVersion=0&timeoutSeconds=1") if e["type"] == "ADDED"]
        assert [e["object"]["data"].get("of") for e in events if e["object"]["metadata"]["name"] == "shared"] == [text]
    since = a.get(MAPS).ok()["metadata"]["resourceVersion"]
    b.post(MAPS, config_map("later-b")).ok()
    a.post(MAPS, config_map("later-a")).ok()
    watched = list(a.watch(f"{MAPS}?watch=1&resourceVersion={since}&timeoutSeconds=1"))
    assert [(e["type"], e["object"]["metadata"]["name"]) for e in watched] == [("ADDED", "later-a")]


@pytest.mark.parametrize("accept", ["as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", "as=Table;v=v1;g=meta.k8s.io"])
def test_other_representations_stay_inside_too(two_vcps: tuple[Client, Client], accept: str) -> None:
    a, b = two_vcps
    b.post(MAPS, config_map("only-in-b")).ok()
    answer = a.request("GET", "/api/v1/configmaps", headers={"Accept": f"application/json;{accept}"})
    assert answer.code == 200
    assert b"only-in-b" not in answer.body
    assert b"kube-root-ca.crt" in answer.body


def test_a_namespace_called_clusters_is_like_any_other(two_vcps: tuple[Client, Client]) -> None:
    a, b = two_vcps
    maps = "/api/v1/namespaces/clusters/configmaps"
    for client, text in ((a, "a"), (b, "b")):
        client.post("/api/v1/namespaces", namespace("clusters")).ok()
        client.post(maps, config_map("x", {"of": text})).ok()
    assert a.get(f"{maps}/x").ok()["data"] == {"of": "a"}
    assert "x" in [item["metadata"]["name"] for item in a.get(maps).ok()["items"]]
    a.delete(f"{maps}/x").ok()
    assert b.get(f"{maps}/x").ok()["data"] == {"of": "b"}


def test_names_that_are_prefixes_of_each_other(server: Server) -> None:
    prefix = unique("c")
    one, ten = server.create_vcp(f"{prefix}-1", deletionPolicy="Destroy"), server.create_vcp(f"{prefix}-10", deletionPolicy="Destroy")
    one.post(MAPS, config_map("x", {"of": "1"})).ok()
    ten.post(MAPS, config_map("x", {"of": "10"})).ok()
    server.delete_vcp(f"{prefix}-1")
    assert ten.get(f"{MAPS}/x").ok()["data"] == {"of": "10"}
    server.delete_vcp(f"{prefix}-10")


def test_a_namespace_of_one_vcp_is_not_in_another(vcp: Client, root: Client) -> None:
    name = unique("ns")
    vcp.post("/api/v1/namespaces", namespace(name)).ok()
    root.get(f"/api/v1/namespaces/{name}").fails(404, "NotFound")
    vcp.post(f"/api/v1/namespaces/{name}/serviceaccounts", {"metadata": {"name": "robot"}}).ok()
    accounts = [item["metadata"]["name"] for item in vcp.get(f"/api/v1/namespaces/{name}/serviceaccounts").ok()["items"]]
    assert accounts == ["default", "robot"]


def _texts(document: Any) -> str:
    return json.dumps(document)


def test_nothing_in_an_answer_names_the_vcp(vcp: Client, vcp_name: str) -> None:
    made = vcp.post(MAPS, config_map("plain", {"k": "v"})).ok()
    listed = vcp.get(MAPS).ok()["items"]
    made["data"]["k"] = "w"
    updated = vcp.put(f"{MAPS}/plain", made).ok()
    watched = [e["object"] for e in vcp.watch(f"{MAPS}?watch=1&resourceVersion=0&timeoutSeconds=1")]
    for document in [made, updated, *listed, *watched]:
        metadata = document["metadata"]
        assert vcp_name not in _texts(metadata)
        assert "kplane" not in _texts({k: metadata.get(k) for k in ("labels", "annotations")})


def test_stored_bytes_do_not_name_the_vcp(make_server: Callable[..., Server]) -> None:
    server = make_server().start()
    name = "very-much-a-name"
    server.create_vcp(name).post(MAPS, config_map("plain", {"k": "v"})).ok()
    assert server.stop() == 0
    databases = [p for p in server.data_dir.rglob("*") if p.is_file() and p.read_bytes()[:15] == b"SQLite format 3"]
    assert databases
    values = []
    for path in databases:
        with sqlite3.connect(path) as database:
            values += [bytes(row[0]) for row in database.execute("SELECT value FROM objects WHERE name = 'plain'")]
    assert len(values) == 1
    assert name.encode() not in values[0]
    assert b"kplane" not in values[0]


def test_an_unknown_vcp_is_404_and_is_not_made_by_asking(server: Server, root: Client) -> None:
    name = unique("nobody")
    stranger = root.at(name)
    for client in (stranger, stranger.as_user(""), stranger.as_user("garbage")):
        for path in ("/api/v1/namespaces", "/version", "/readyz", "/apis", "/"):
            client.get(path).fails(404, "NotFound")
        client.post("/api/v1/namespaces", namespace("x")).fails(404, "NotFound")
    assert name not in [item["metadata"]["name"] for item in root.get(f"{GROUP}/controlplanes").ok()["items"]]
    stranger.get("/api/v1/namespaces").fails(404)


def test_a_vcp_made_again_sees_nothing_of_the_old_one(server: Server) -> None:
    name = unique("again")
    old = server.create_vcp(name, deletionPolicy="Destroy")
    old_uid = old.get("/api/v1/namespaces/default").ok()["metadata"]["uid"]
    old.post(MAPS, config_map("left-behind")).ok()
    server.delete_vcp(name)
    eventually(lambda: old.get("/api/v1/namespaces").code == 404)
    new = server.create_vcp(name, deletionPolicy="Destroy")
    new.get(f"{MAPS}/left-behind").fails(404)
    assert new.get("/api/v1/namespaces/default").ok()["metadata"]["uid"] != old_uid
    new.as_user(old.token).get("/api/v1/namespaces").fails(401)
    server.delete_vcp(name)


def test_deleting_a_vcp_ends_its_watches_and_no_others(server: Server) -> None:
    gone, stays = unique("gone"), unique("stays")
    watched, other = server.create_vcp(gone, deletionPolicy="Destroy"), server.create_vcp(stays, deletionPolicy="Destroy")
    stream = watched.watch(f"{MAPS}?watch=1&resourceVersion=0", seconds=20)
    assert next(stream)["type"] == "ADDED"
    server.delete_vcp(gone)
    for _ in stream:
        pass  # the stream ends; a watch that hangs would raise TimeoutError inside and return only after 20 s
    assert next(iter(other.watch(f"{MAPS}?watch=1&resourceVersion=0&timeoutSeconds=2")))["type"] == "ADDED"
    server.delete_vcp(stays)
