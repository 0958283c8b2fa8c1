# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Revisions, selectors and bookmarks of lists and watches, with the exact words that informers look for.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions and KEP-3157 (watch list).
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from support.client import Client
from support.objects import config_map, crd, namespace, widget
from support.server import Server, free_port

from kplane_server.registry import wire

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
METADATA = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
LIST_AS_STREAM = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
FUTURE = 10**12


def revision(client: Client, path: str = MAPS) -> str:
    found: str = client.get(f"{path}?limit=1").ok()["metadata"]["resourceVersion"]
    return found


def stream(client: Client, path: str, accept: str = "application/json") -> list[dict[str, Any]]:
    """A watch that has ended, which it does by its own ``timeoutSeconds``."""
    answer = client.get(path, Accept=accept)
    assert answer.code == 200, answer.body
    return [json.loads(line) for line in answer.body.splitlines()]


def types_by_selector(client: Client, path: str, parameter: str, selectors: Iterable[str]) -> dict[str, list[str]]:
    """The types of the events that each selector lets through, watched at once."""

    def watched(selector: str) -> list[str]:
        return [event["type"] for event in stream(client, f"{path}&timeoutSeconds=1&{parameter}={quote(selector)}")]

    with ThreadPoolExecutor(8) as pool:
        chosen = list(selectors)
        return dict(zip(chosen, pool.map(watched, chosen), strict=True))


def names(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(event["type"], event["object"]["metadata"].get("name", "")) for event in events]


#: query → the fields and texts of the causes, as upstream's ValidateListOptions words them.
REFUSED = {
    "resourceVersionMatch=Exact": ["Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"],
    "resourceVersionMatch=NotOlderThan": ["Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"],
    "resourceVersionMatch=Exact&resourceVersion=0": ['Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"'],
    "resourceVersionMatch=Newest&resourceVersion=1": ['Unsupported value: "Newest": supported values: "Exact", "NotOlderThan", ""'],
    "resourceVersionMatch=Exact&resourceVersion=1&continue=x": ["Forbidden: resourceVersionMatch is forbidden when continue is provided"],
    "sendInitialEvents=true": ["Forbidden: sendInitialEvents is forbidden for list"],
    "watch=1&resourceVersionMatch=NotOlderThan&resourceVersion=1": [
        "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
    ],
    "watch=1&sendInitialEvents=true": ["Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"],
    "watch=1&sendInitialEvents=false": ["Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"],
    "watch=1&sendInitialEvents=true&resourceVersionMatch=Exact": [
        "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        'Unsupported value: "Exact": supported values: "NotOlderThan"',
    ],
}


@pytest.mark.parametrize("query", REFUSED)
def test_options_that_do_not_go_together(root: Client, query: str) -> None:
    refused = root.get(f"{MAPS}?{query}").fails(422, "Invalid")
    assert [cause["message"] for cause in refused["details"]["causes"]] == REFUSED[query]
    assert refused["details"]["kind"] == "ListOptions"
    assert refused["message"].startswith('ListOptions.meta.k8s.io "" is invalid: ')


def test_which_revision_a_list_shows(vcp: Client) -> None:
    first = vcp.post(MAPS, config_map("one")).ok()["metadata"]["resourceVersion"]
    vcp.post(MAPS, config_map("two")).ok()
    now = revision(vcp)

    def listed(query: str) -> set[str]:
        return {item["metadata"]["name"] for item in vcp.get(f"{MAPS}?{query}").ok()["items"]} - {"kube-root-ca.crt"}

    assert listed(f"resourceVersion={first}&resourceVersionMatch=Exact") == {"one"}
    assert vcp.get(f"{MAPS}?resourceVersion={first}&resourceVersionMatch=Exact").ok()["metadata"]["resourceVersion"] == first
    # A limit alone makes it exact too; without one, "not older than" is enough.
    assert listed(f"resourceVersion={first}&limit=10") == {"one"}
    for query in (f"resourceVersion={first}", f"resourceVersion={first}&resourceVersionMatch=NotOlderThan", "resourceVersion=0", ""):
        assert listed(query) == {"one", "two"}, query
    vcp.delete(f"{MAPS}/one").ok()
    assert listed(f"resourceVersion={now}&resourceVersionMatch=Exact") == {"one", "two"}


FROM_THE_FUTURE = (
    f"{MAPS}?resourceVersion={FUTURE}",
    f"{MAPS}?resourceVersion={FUTURE}&resourceVersionMatch=Exact",
    f"{MAPS}?resourceVersion={FUTURE}&resourceVersionMatch=NotOlderThan",
    f"{MAPS}?watch=1&resourceVersion={FUTURE}",
    f"{MAPS}?{LIST_AS_STREAM}&resourceVersion={FUTURE}",
    f"{MAPS}/kube-root-ca.crt?resourceVersion={FUTURE}",
)


def test_a_revision_that_has_not_happened(root: Client) -> None:
    with ThreadPoolExecutor(len(FROM_THE_FUTURE)) as pool:  # the server waits for the revision, within a bound
        answers = list(pool.map(root.get, FROM_THE_FUTURE))
    for answer in answers:
        refused = answer.fails(504, "Timeout")
        assert [cause["reason"] for cause in refused["details"]["causes"]] == ["ResourceVersionTooLarge"]
        assert refused["details"]["retryAfterSeconds"] == 1
        assert answer.headers["retry-after"] == "1"
        assert f"Too large resource version: {FUTURE}, current: " in refused["message"]


@pytest.fixture
def compacted(make_server: Callable[..., Server]) -> tuple[Client, dict[str, Any]]:
    """A control plane, and the metadata of a first page of a list that is older than what it keeps.

    A server under a new address makes its own objects anew, so what was before it starts cannot be shown any more.
    """
    server = make_server().start()
    client = server.create_vcp("compacted")
    for number in range(4):
        client.post(MAPS, config_map(f"m{number}")).ok()
    page = client.get(f"{MAPS}?limit=2").ok()["metadata"]
    client.post(MAPS, config_map("m4")).ok()
    client.delete(f"{MAPS}/m0").ok()
    assert server.stop() == 0
    server.port = free_port()
    server.start()
    return server.vcp("compacted"), page


def test_a_revision_that_is_no_longer_kept(compacted: tuple[Client, dict[str, Any]]) -> None:
    client, page = compacted
    old = page["resourceVersion"]
    for query in (f"resourceVersion={old}&resourceVersionMatch=Exact", f"resourceVersion={old}&limit=1"):
        expired = client.get(f"{MAPS}?{query}").fails(410, "Expired")
        assert expired["message"] == "The resourceVersion for the provided list is too old."
    # A watch begins all the same, and says it in the stream: informers look for it there.
    for path in (MAPS, f"{MAPS}?fieldSelector=metadata.name%3Dm1"):
        (event,) = stream(client, f"{path}{'&' if '?' in path else '?'}watch=1&resourceVersion={old}")
        expired = event["object"]
        assert (event["type"], expired["kind"], expired["code"], expired["reason"]) == ("ERROR", "Status", 410, "Expired")
        assert expired["message"].startswith(f"too old resource version: {old} (")
    for accept in (TABLE, METADATA):
        (event,) = stream(client, f"{MAPS}?watch=1&resourceVersion={old}", accept)
        assert (event["type"], event["object"]["kind"], event["object"]["code"]) == ("ERROR", "Status", 410)
    framed = client.get(f"{MAPS}?watch=1&resourceVersion={old}", Accept="application/vnd.kubernetes.protobuf;stream=watch")
    assert framed.headers["content-type"] == "application/vnd.kubernetes.protobuf;stream=watch"
    (length,) = struct.unpack(">I", framed.body[:4])
    assert length == len(framed.body) - 4
    assert b"ERROR" in framed.body
    assert b"Expired" in framed.body
    # Where the state of now is as good, it is given.
    assert len(client.get(f"{MAPS}?resourceVersion={old}").ok()["items"]) == 5
    assert names(stream(client, f"{MAPS}?{LIST_AS_STREAM}&resourceVersion={old}&timeoutSeconds=1"))[-1][0] == "BOOKMARK"
    # And an informer that begins again goes on from there.
    now = revision(client)
    client.post(MAPS, config_map("again")).ok()
    assert names(stream(client, f"{MAPS}?watch=1&resourceVersion={now}&timeoutSeconds=1")) == [("ADDED", "again")]


def test_an_expired_list_can_be_finished_inconsistently(compacted: tuple[Client, dict[str, Any]]) -> None:
    client, page = compacted
    assert page["remainingItemCount"] == 3
    answer = client.get(f"{MAPS}?limit=2&continue={page['continue']}").fails(410, "Expired")
    assert answer["message"].startswith("The provided continue parameter is too old to display a consistent list result.")
    token = answer["metadata"]["continue"]
    assert token != page["continue"]
    rest = client.get(f"{MAPS}?limit=2&continue={token}").ok()
    assert [item["metadata"]["name"] for item in rest["items"]] == ["m1", "m2"]
    assert int(rest["metadata"]["resourceVersion"]) > int(page["resourceVersion"])
    last = client.get(f"{MAPS}?limit=2&continue={rest['metadata']['continue']}").ok()
    assert [item["metadata"]["name"] for item in last["items"]] == ["m3", "m4"]
    assert "continue" not in last["metadata"]


def test_pages_are_of_one_moment(vcp: Client) -> None:
    for number in range(6):
        vcp.post(MAPS, config_map(f"p{number}", labels={"paged": "yes"})).ok()
    first = vcp.get(f"{MAPS}?limit=2&labelSelector=paged").ok()
    assert "remainingItemCount" not in first["metadata"], "not known with a selector"
    vcp.delete(f"{MAPS}/p3").ok()
    vcp.post(MAPS, config_map("p9", labels={"paged": "yes"})).ok()
    found, token = [item["metadata"]["name"] for item in first["items"]], first["metadata"]["continue"]
    while token:
        page = vcp.get(f"{MAPS}?limit=2&labelSelector=paged&continue={token}").ok()
        assert page["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
        found += [item["metadata"]["name"] for item in page["items"]]
        token = page["metadata"].get("continue", "")
    assert found == [f"p{number}" for number in range(6)]


def test_continue_tokens_are_checked(vcp: Client) -> None:
    def token(document: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")

    for bad in (
        "no-base64!",
        token([]),
        token({"v": "meta.k8s.io/v0", "rv": 1, "start": "a\0"}),
        token({"v": "meta.k8s.io/v1", "rv": 0, "start": "a\0"}),
        token({"v": "meta.k8s.io/v1", "rv": 1, "start": ""}),
        token({"v": "meta.k8s.io/v1", "rv": 1, "start": "../../b\0"}),
    ):
        refused = vcp.get(f"{MAPS}?limit=1&continue={quote(bad)}").fails(400, "BadRequest")
        assert "continue key is not valid" in refused["message"]
    vcp.post(MAPS, config_map("x")).ok()
    right = vcp.get(f"{MAPS}?limit=1").ok()["metadata"]
    refused = vcp.get(f"{MAPS}?limit=1&continue={right['continue']}&resourceVersion={right['resourceVersion']}").fails(400, "BadRequest")
    assert refused["message"] == "specifying resource version is not allowed when using continue"


def test_a_list_as_a_stream(vcp: Client) -> None:
    for number in range(3):
        vcp.post(MAPS, config_map(f"s{number}", labels={"in": "yes"})).ok()
    written = revision(vcp)
    for query in ("", "&resourceVersion=0", f"&resourceVersion={written}"):
        events = stream(vcp, f"{MAPS}?{LIST_AS_STREAM}&labelSelector=in%3Dyes&timeoutSeconds=1{query}")
        assert names(events)[:3] == [("ADDED", "s0"), ("ADDED", "s1"), ("ADDED", "s2")]
        end = events[3]
        assert end["type"] == "BOOKMARK"
        assert end["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        # Revisions are the server's, so others may have taken one meanwhile.
        assert int(written) <= int(end["object"]["metadata"]["resourceVersion"]) <= int(revision(vcp))
        assert "annotations" not in events[-1]["object"]["metadata"], "the last bookmark is an ordinary one"


def test_a_list_as_a_stream_goes_on(vcp: Client) -> None:
    with closing(vcp.watch(f"{MAPS}?{LIST_AS_STREAM}&timeoutSeconds=60")) as events:
        assert next(events)["object"]["metadata"]["name"] == "kube-root-ca.crt"
        assert next(events)["type"] == "BOOKMARK"
        made = vcp.post(MAPS, config_map("later")).ok()
        assert next(events) == {"type": "ADDED", "object": made}


def test_no_initial_events_when_they_are_not_wanted(vcp: Client) -> None:
    start = revision(vcp)
    vcp.post(MAPS, config_map("x")).ok()
    without = "watch=1&sendInitialEvents=false&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=1"
    assert names(stream(vcp, f"{MAPS}?{without}&resourceVersion={start}")) == [("ADDED", "x"), ("BOOKMARK", "")]
    assert names(stream(vcp, f"{MAPS}?{without}")) == [("BOOKMARK", "")]


@pytest.mark.parametrize(("accept", "kind"), [(TABLE, "Table"), (METADATA, "PartialObjectMetadata")])
def test_lists_as_streams_in_other_forms(vcp: Client, accept: str, kind: str) -> None:
    events = stream(vcp, f"{MAPS}?{LIST_AS_STREAM}&timeoutSeconds=1", accept)
    assert [event["type"] for event in events[:2]] == ["ADDED", "BOOKMARK"]
    assert {event["object"]["kind"] for event in events} == {kind}
    assert {event["object"]["apiVersion"] for event in events} == {"meta.k8s.io/v1"}
    assert events[1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert int(events[1]["object"]["metadata"]["resourceVersion"]) > 0


def test_metadata_alone_has_no_more(vcp: Client) -> None:
    start = revision(vcp)
    vcp.post(MAPS, config_map("m", {"secret": "data"}, labels={"a": "b"})).ok()
    vcp.patch(f"{MAPS}/m", {"metadata": {"labels": {"a": "c"}}}).ok()
    vcp.delete(f"{MAPS}/m").ok()
    events = stream(vcp, f"{MAPS}?watch=1&resourceVersion={start}&timeoutSeconds=1", METADATA)
    assert names(events) == [("ADDED", "m"), ("MODIFIED", "m"), ("DELETED", "m")]
    assert all(set(event["object"]) == {"kind", "apiVersion", "metadata"} for event in events)
    assert [event["object"]["metadata"]["labels"]["a"] for event in events] == ["b", "c", "c"]


def test_tables_of_changes(vcp: Client) -> None:
    start = revision(vcp)
    vcp.post(MAPS, config_map("t", {"a": "1"})).ok()
    vcp.patch(f"{MAPS}/t", {"data": {"b": "2"}}).ok()
    vcp.delete(f"{MAPS}/t").ok()
    path = f"{MAPS}?watch=1&resourceVersion={start}&allowWatchBookmarks=1&timeoutSeconds=1&includeObject=Object"
    events = stream(vcp, path, TABLE)
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    assert [row["cells"][:2] for event in events for row in event["object"]["rows"]] == [["t", 1], ["t", 2], ["t", 2]]
    assert [row["object"]["kind"] for event in events for row in event["object"]["rows"]] == ["ConfigMap"] * 3
    assert [bool(event["object"].get("columnDefinitions")) for event in events] == [True, False, False, False]


def pod(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}


def test_fields_that_change_take_objects_in_and_out(vcp: Client) -> None:
    start = revision(vcp, PODS)
    vcp.post(PODS, pod("p")).ok()
    unbound = vcp.get(f"{PODS}/p").ok()["metadata"]["resourceVersion"]
    binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n1"}}
    vcp.post(f"{PODS}/p/binding", binding).ok()
    vcp.patch(f"{PODS}/p/status", {"status": {"phase": "Running"}}).ok()
    vcp.patch(f"{PODS}/p/status", {"status": {"phase": "Succeeded"}}).ok()

    expected = {
        "spec.nodeName=n1": ["ADDED", "MODIFIED", "MODIFIED"],
        "spec.nodeName=": ["ADDED", "DELETED"],
        "status.phase=Running": ["ADDED", "DELETED"],
        "status.phase!=Succeeded": ["ADDED", "MODIFIED", "MODIFIED", "DELETED"],
        "spec.nodeName=n1,status.phase=Running": ["ADDED", "DELETED"],
        "metadata.name=p,spec.nodeName=n2": [],
    }
    assert types_by_selector(vcp, f"{PODS}?watch=1&resourceVersion={start}", "fieldSelector", expected) == expected
    gone = stream(vcp, f"{PODS}?watch=1&resourceVersion={start}&timeoutSeconds=1&fieldSelector=spec.nodeName%3D")[-1]["object"]
    assert "nodeName" not in gone["spec"], "the last state that the client was to see"
    assert int(gone["metadata"]["resourceVersion"]) > int(unbound), "at the revision of the change"


def test_labels_of_every_kind_of_requirement(vcp: Client) -> None:
    start = revision(vcp)
    vcp.post(MAPS, config_map("l", labels={"tier": "a"})).ok()
    for value in ("b", "c", None):
        vcp.patch(f"{MAPS}/l", {"metadata": {"labels": {"tier": value}}}).ok()
    vcp.delete(f"{MAPS}/l").ok()

    expected = {
        "tier in (a, b)": ["ADDED", "MODIFIED", "DELETED"],
        "tier": ["ADDED", "MODIFIED", "MODIFIED", "DELETED"],
        "!tier": ["ADDED", "DELETED"],
        "tier notin (a)": ["ADDED", "MODIFIED", "MODIFIED", "DELETED"],
        "tier=b,tier!=a": ["ADDED", "DELETED"],
    }
    assert types_by_selector(vcp, f"{MAPS}?watch=1&resourceVersion={start}", "labelSelector", expected) == expected
    vcp.get(f"{MAPS}?watch=1&labelSelector={quote('a in b')}").fails(400, "BadRequest")
    vcp.get(f"{MAPS}?watch=1&fieldSelector=data.a%3D1").fails(400, "BadRequest")


def test_one_namespace_and_all(vcp: Client) -> None:
    for name in ("one", "two"):
        vcp.post("/api/v1/namespaces", namespace(name)).ok()
    start = revision(vcp)
    for name in ("one", "two"):
        vcp.post(f"/api/v1/namespaces/{name}/configmaps", config_map(f"in-{name}")).ok()
    query = f"watch=1&resourceVersion={start}&timeoutSeconds=1"
    assert names(stream(vcp, f"/api/v1/namespaces/one/configmaps?{query}")) == [("ADDED", "in-one")]
    assert names(stream(vcp, f"/api/v1/configmaps?{query}")) == [("ADDED", "in-one"), ("ADDED", "in-two")]
    only_two = f"/api/v1/configmaps?{query}&fieldSelector=metadata.namespace%3Dtwo"
    assert names(stream(vcp, only_two)) == [("ADDED", "in-two")]
    # The paths that the first clients used.
    assert names(stream(vcp, f"/api/v1/watch/namespaces/two/configmaps?{query}")) == [("ADDED", "in-two")]
    assert names(stream(vcp, f"/api/v1/watch/namespaces/two/configmaps/in-two?{query}")) == [("ADDED", "in-two")]
    assert stream(vcp, f"/api/v1/watch/namespaces/two/configmaps/other?{query}") == []


def test_custom_resources_are_watched_alike(vcp: Client) -> None:
    vcp.post(CRDS, crd()).ok()
    path = "/apis/example.com/v1/namespaces/default/widgets"
    with closing(vcp.watch(f"{path}?{LIST_AS_STREAM}&timeoutSeconds=60")) as events:
        first = next(events)
        assert (first["type"], first["object"]["kind"]) == ("BOOKMARK", "Widget")
        vcp.post(path, widget("w", {"size": "1"})).ok()
        assert next(events)["object"]["spec"] == {"size": "1"}
        vcp.delete(f"{CRDS}/widgets.example.com").ok()
        rest = [event["type"] for event in events]
        assert rest[:1] == ["DELETED"], rest


def frames(body: bytes) -> Iterator[bytes]:
    while body:
        (length,) = struct.unpack(">I", body[:4])
        yield body[4 : 4 + length]
        body = body[4 + length :]


def test_protobuf_carries_every_kind_of_event(vcp: Client) -> None:
    vcp.post(MAPS, config_map("framed", {"a": "1"})).ok()
    with ThreadPoolExecutor(1) as pool:
        path = f"{MAPS}?{LIST_AS_STREAM}&timeoutSeconds=2&fieldSelector=metadata.name%3Dframed"
        reading = pool.submit(lambda: vcp.get(path, Accept=wire.MEDIA_TYPE))
        vcp.patch(f"{MAPS}/framed", {"data": {"a": "2"}}).ok()
        vcp.delete(f"{MAPS}/framed").ok()
        answer = reading.result()
    assert answer.headers["content-type"] == f"{wire.MEDIA_TYPE};stream=watch"
    got = list(frames(answer.body))
    assert all(b"k8s\x00" in frame for frame in got)
    marks = [wire.decode(frame[frame.index(b"k8s\x00") :]) for frame in got if b"BOOKMARK" in frame]
    assert {"k8s.io/initial-events-end": "true"} in [mark["metadata"].get("annotations") for mark in marks]
    last = [frame for frame in got if b"BOOKMARK" not in frame][-1:]
    assert not last or wire.decode(last[0][last[0].index(b"k8s\x00") :])["metadata"]["name"] == "framed"


def test_a_bookmark_is_a_promise(vcp: Client) -> None:
    """A watch that begins at a bookmark misses nothing and repeats nothing."""
    seen: list[str] = []
    start = revision(vcp)
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(lambda: [vcp.post(MAPS, config_map(f"b{number:03}")).ok() for number in range(120)])
        while len(seen) < 120:
            for event in stream(vcp, f"{MAPS}?watch=1&resourceVersion={start}&allowWatchBookmarks=true&timeoutSeconds=1"):
                start = event["object"]["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    seen.append(event["object"]["metadata"]["name"])
        writing.result()
    assert seen == [f"b{number:03}" for number in range(120)]


def test_hundreds_of_watchers_of_one_object_see_the_same(vcp: Client) -> None:
    watchers, changes = 300, 20
    vcp.post(MAPS, config_map("popular")).ok()
    start = revision(vcp)
    with ExitStack() as stack:
        path = f"{MAPS}?watch=1&resourceVersion={start}&timeoutSeconds=60&fieldSelector=metadata.name%3Dpopular"
        open_ones = [vcp.connect() for _ in range(watchers)]
        for connection in open_ones:
            stack.callback(connection.close)
            connection.request("GET", urlsplit(vcp.base).path + path, headers={"Authorization": f"Bearer {vcp.token}"})
        answers = [connection.getresponse() for connection in open_ones]
        for number in range(changes):
            vcp.patch(f"{MAPS}/popular", {"data": {"n": str(number)}}).ok()
        lines = [b"".join(answer.readline() for _ in range(changes)) for answer in answers]
    assert len(set(lines)) == 1, "every watcher gets the same bytes in the same order"
    events = [json.loads(line) for line in lines[0].splitlines()]
    assert [event["object"]["data"]["n"] for event in events] == [str(number) for number in range(changes)]
