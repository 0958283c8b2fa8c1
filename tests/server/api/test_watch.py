# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watch streams: what is in them, how they begin and how they end."""

from __future__ import annotations

import json
import struct
from typing import Any
from urllib.parse import urlsplit

from support.client import Client, eventually
from support.objects import config_map
from support.server import Server, unique

from kplane_server.registry import wire

MAPS = "/api/v1/namespaces/default/configmaps"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


def revision(client: Client) -> str:
    found: str = client.get(f"{MAPS}?limit=1").ok()["metadata"]["resourceVersion"]
    return found


def test_changes_come_in_order(vcp: Client) -> None:
    start = revision(vcp)
    vcp.post(MAPS, config_map("w", {"a": "1"})).ok()
    vcp.patch(f"{MAPS}/w", {"data": {"a": "2"}}).ok()
    vcp.delete(f"{MAPS}/w").ok()
    events = list(vcp.watch(f"{MAPS}?watch=1&resourceVersion={start}&timeoutSeconds=1"))
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "DELETED"]
    revisions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert revisions == sorted(set(revisions))
    assert revisions[0] > int(start)


def test_a_watch_without_a_revision_begins_with_what_is_there(vcp: Client) -> None:
    events = vcp.watch(f"{MAPS}?watch=true&timeoutSeconds=5&fieldSelector=metadata.name%3Dkube-root-ca.crt")
    assert next(events)["object"]["metadata"]["name"] == "kube-root-ca.crt"


def test_the_last_bookmark_comes_at_the_end(vcp: Client) -> None:
    start = revision(vcp)
    vcp.post("/api/v1/namespaces/default/secrets", {"metadata": {"name": unique()}}).ok()
    events = list(vcp.watch(f"{MAPS}?watch=1&resourceVersion={start}&allowWatchBookmarks=true&timeoutSeconds=1"))
    assert [event["type"] for event in events] == ["BOOKMARK"]
    mark = events[0]["object"]
    assert (mark["kind"], mark["apiVersion"]) == ("ConfigMap", "v1")
    assert int(mark["metadata"]["resourceVersion"]) > int(start)


def test_bookmarks_come_in_between(make_server: Any) -> None:
    server: Server = make_server("data", "--limit=bookmark_interval=0.2").start()
    events = [e["type"] for e in server.root.watch(f"{MAPS}?watch=1&resourceVersion=1&allowWatchBookmarks=true&timeoutSeconds=1")]
    assert events.count("BOOKMARK") >= 3


def test_selectors_turn_changes_into_coming_and_going(vcp: Client) -> None:
    start = revision(vcp)
    vcp.post(MAPS, config_map("s", labels={"in": "no"})).ok()
    vcp.patch(f"{MAPS}/s", {"metadata": {"labels": {"in": "yes"}}}).ok()
    vcp.patch(f"{MAPS}/s", {"metadata": {"labels": {"in": "no"}}}).ok()
    events = list(vcp.watch(f"{MAPS}?watch=1&resourceVersion={start}&timeoutSeconds=1&labelSelector=in%3Dyes"))
    assert [event["type"] for event in events] == ["ADDED", "DELETED"]


def test_tables_have_their_columns_once(vcp: Client) -> None:
    start = revision(vcp)
    vcp.post(MAPS, config_map("t1")).ok()
    vcp.post(MAPS, config_map("t2")).ok()
    connection = vcp.connect()
    path = f"{urlsplit(vcp.base).path}{MAPS}?watch=1&resourceVersion={start}&timeoutSeconds=1"
    connection.request("GET", path, headers={"Authorization": f"Bearer {vcp.token}", "Accept": TABLE})
    lines = connection.getresponse().read().splitlines()
    connection.close()
    tables = [json.loads(line)["object"] for line in lines]
    assert [table["rows"][0]["cells"][0] for table in tables] == ["t1", "t2"]
    assert [bool(table["columnDefinitions"]) for table in tables] == [True, False]


def test_a_protobuf_watch_is_framed(vcp: Client) -> None:
    start = revision(vcp)
    vcp.post(MAPS, config_map("framed", {"a": "1"})).ok()
    answer = vcp.get(f"{MAPS}?watch=1&resourceVersion={start}&timeoutSeconds=1", Accept=wire.MEDIA_TYPE)
    assert answer.headers["content-type"] == f"{wire.MEDIA_TYPE};stream=watch"
    (length,) = struct.unpack(">I", answer.body[:4])
    assert len(answer.body) == 4 + length
    assert b"ADDED" in answer.body
    document = answer.body[answer.body.index(b"k8s\x00") :]
    assert wire.decode(document)["data"] == {"a": "1"}


def test_impossible_starts_are_refused(vcp: Client) -> None:
    vcp.get(f"{MAPS}?watch=1&resourceVersion=99999999").fails(504, "Timeout")
    vcp.get(f"{MAPS}?watch=1&resourceVersion=abc").fails(400, "BadRequest")
    vcp.get(f"{MAPS}?watch=1&resourceVersionMatch=Exact").fails(422, "Invalid")
    vcp.get(f"{MAPS}?watch=1", Accept="application/yaml").fails(406, "NotAcceptable")
    vcp.get("/api/v1/componentstatuses?watch=1").fails(405, "MethodNotAllowed")


def test_deleting_a_control_plane_ends_its_watches(server: Server) -> None:
    name = unique()
    client = server.create_vcp(name, deletionPolicy="Destroy")
    events = client.watch(f"{MAPS}?watch=1&timeoutSeconds=60", seconds=20)
    assert next(events)["type"] == "ADDED"
    server.delete_vcp(name)
    assert all(event["type"] in ("DELETED", "ERROR") for event in events), "the stream ends, it does not time out"
    client.get(MAPS).fails(404, "NotFound")


def test_a_client_that_leaves_is_noticed(root: Client, vcp: Client) -> None:
    def open_watches() -> float:
        lines = root.get("/metrics").body.decode().splitlines()
        return next(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("kplane_http_watches_open "))

    before = open_watches()
    watches = [vcp.watch(f"{MAPS}?watch=1&timeoutSeconds=600") for _ in range(20)]
    for watch in watches:
        next(watch)
    assert open_watches() >= before + 20
    for watch in watches:
        watch.close()
    eventually(lambda: open_watches() <= before, what="watches closed")


def test_watches_are_bounded(make_server: Any) -> None:
    server: Server = make_server("data", "--limit=max_watches_per_vcp=2").start()
    open_ones = [server.root.watch(f"{MAPS}?watch=1&timeoutSeconds=60") for _ in range(2)]
    for watch in open_ones:
        next(watch)
    refused = server.root.get(f"{MAPS}?watch=1&timeoutSeconds=60")
    assert refused.fails(429, "TooManyRequests")["details"]["retryAfterSeconds"] == 1
    assert refused.headers["retry-after"] == "1"
    open_ones.pop().close()
    eventually(lambda: server.root.get(f"{MAPS}?watch=1&timeoutSeconds=1").code == 200)
