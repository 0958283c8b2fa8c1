# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two VCPs that look alike in everything a cache could be keyed by, used at once; and what a tenant can forge."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest
from support.client import Client, eventually
from support.objects import cluster_role, cluster_role_binding, config_map, crd, widget
from support.server import Server, unique

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
MAPS = "/api/v1/namespaces/default/configmaps"
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"
ROUNDS = 25

#: One name, two shapes: a number that is required and defaulted here is a text with a pattern there.
NUMBERS: dict[str, Any] = {"size": {"type": "integer", "minimum": 0, "default": 7}, "only-a": {"type": "boolean"}}
TEXTS: dict[str, Any] = {
    "size": {"type": "string", "pattern": "^[a-z]+$", "default": "none"},
    "only-b": {"type": "array", "items": {"type": "string"}},
}


def definition(spec: dict[str, Any], column: str) -> dict[str, Any]:
    made = crd(spec=spec)
    made["spec"]["versions"][0]["additionalPrinterColumns"] = [{"name": column, "type": "string", "jsonPath": ".spec.size"}]
    return made


class Side:
    """One of the two, and what must be true in it whatever the other does."""

    def __init__(self, client: Client, spec: dict[str, Any], column: str, good: Any, bad: Any, default: Any, foreign: str) -> None:
        self.client, self.spec, self.column = client, spec, column
        self.good, self.bad, self.default, self.foreign = good, bad, default, foreign

    def publish(self) -> None:
        self.client.post(CRDS, definition(self.spec, self.column)).ok()
        eventually(lambda: self.client.get("/apis/example.com/v1").code == 200)

    def round(self, number: int) -> None:
        """Create, refuse, default, prune, list, Table, apply, OpenAPI: each answer is this side's."""
        client, name = self.client, f"w{number:03}"
        made = client.post(WIDGETS, widget(name, {"size": self.good, self.foreign: None})).ok()
        assert made["spec"] == {"size": self.good}
        client.post(WIDGETS, widget("bad", {"size": self.bad})).fails(422, "Invalid")
        assert client.post(WIDGETS, widget(f"d{number:03}", {})).ok()["spec"] == {"size": self.default}
        strict = client.post(f"{WIDGETS}?fieldValidation=Strict", widget("strict", {self.foreign: None})).fails(400, "BadRequest")
        assert f'unknown field "spec.{self.foreign}"' in strict["message"]
        applied = client.apply(f"{WIDGETS}/a{number:03}", widget(f"a{number:03}", {"size": self.good}), manager="same")
        assert applied.ok()["spec"] == {"size": self.good}
        listed = client.get(WIDGETS).ok()["items"]
        assert {json.dumps(item["spec"]["size"]) for item in listed} <= {json.dumps(self.good), json.dumps(self.default)}
        table = client.get(WIDGETS, Accept="application/json;as=Table;v=v1;g=meta.k8s.io").ok()
        assert [column["name"] for column in table["columnDefinitions"]] == ["Name", self.column]
        assert set(self.published()) == set(self.spec)
        if number == 0:  # it is megabytes
            found = client.get("/openapi/v2").ok()["definitions"]["com.example.v1.Widget"]["properties"]["spec"]["properties"]
            assert set(found) == set(self.spec)

    def watched(self, since: str, count: int) -> list[Any]:
        """The sizes in the next events, as they come."""
        events = self.client.watch(f"{WIDGETS}?watch=1&resourceVersion={since}&timeoutSeconds=120", seconds=60)
        return [event["object"]["spec"]["size"] for event, _ in zip(events, range(count), strict=False)]

    def published(self) -> dict[str, Any]:
        paths = self.client.get("/openapi/v3").ok()["paths"]
        document = self.client.get(paths["apis/example.com/v1"]["serverRelativeURL"]).ok()
        schemas = document["components"]["schemas"]
        kind = next(value for value in schemas.values() if value.get("x-kubernetes-group-version-kind", [{}])[0].get("kind") == "Widget")
        properties: dict[str, Any] = kind["properties"]["spec"]["properties"]
        return properties


def sides(a: Client, b: Client) -> tuple[Side, Side]:
    return Side(a, NUMBERS, "Number", 3, "three", 7, "only-b"), Side(b, TEXTS, "Text", "three", 3, "none", "only-a")


@pytest.mark.parametrize("order", ["a first", "b first"])
def test_one_kind_with_two_shapes_used_at_once(two_vcps: tuple[Client, Client], order: str) -> None:
    both = sides(*two_vcps)
    first, second = both if order == "a first" else both[::-1]
    first.publish()
    first.round(900)  # the caches of the first are warm before the second has the kind at all
    second.client.get(WIDGETS).fails(404, "NotFound")
    second.publish()
    since = {side: side.client.get(WIDGETS).ok()["metadata"]["resourceVersion"] for side in both}
    with ThreadPoolExecutor(4 + len(both)) as pool:
        watches = {side: pool.submit(side.watched, since[side], 3 * ROUNDS) for side in both}
        for done in [pool.submit(side.round, number) for number in range(ROUNDS) for side in both]:
            done.result()
        for side in both:
            assert Counter(watches[side].result()) == {side.good: 2 * ROUNDS, side.default: ROUNDS}
    # The kind goes in one of them; the other does not notice.
    assert first.client.delete(f"{CRDS}/widgets.example.com").code in (200, 202)
    eventually(lambda: first.client.get(WIDGETS).code == 404)
    second.round(901)
    assert len(second.client.get(WIDGETS).ok()["items"]) == 3 * (ROUNDS + 1)


def test_a_thousand_requests_of_many_users_in_two_planes(two_vcps: tuple[Client, Client]) -> None:
    """Each user may do in one plane what it may not in the other: no answer depends on what was asked before."""
    verbs = ("get", "list", "create", "delete")
    users = [f"user-{number}" for number in range(8)]
    rights: dict[int, dict[str, set[str]]] = {}
    for side, client in enumerate(two_vcps):
        client.post(MAPS, config_map("shared", {"of": str(side)})).ok()
        rights[side] = {}
        for number, user in enumerate(users):
            mask = number if side == 0 else number ^ 0b111  # of A: the bits of the number; of B: the opposite
            allowed = {verb for bit, verb in enumerate(verbs[:3]) if mask >> bit & 1}
            rights[side][user] = allowed
            if allowed:
                client.post(f"{RBAC}/clusterroles", cluster_role(user, ["configmaps"], sorted(allowed))).ok()
                client.post(f"{RBAC}/clusterrolebindings", cluster_role_binding(user, user, user)).ok()
    draw = random.Random(20260101)
    asked = [(draw.randrange(2), draw.choice(users), draw.choice(verbs)) for _ in range(1_000)]
    wrong: list[str] = []

    def ask(question: tuple[int, str, str]) -> int:
        side, user, verb = question
        client = two_vcps[side]
        headers = {"Impersonate-User": user, "Impersonate-Group": "system:authenticated"}
        method, path, body = {
            "get": ("GET", f"{MAPS}/shared", None),
            "list": ("GET", MAPS, None),
            "create": ("POST", f"{MAPS}?dryRun=All", config_map("new")),
            "delete": ("DELETE", f"{MAPS}/shared?dryRun=All", None),
        }[verb]
        answer = client.request(method, path, body, headers)
        expected = verb in rights[side][user]
        if (answer.code < 300) is not expected or answer.code not in (200, 201, 403):
            wrong.append(f"{side} {user} {verb}: {answer.code}")
        if answer.code == 200 and verb == "get" and answer.json["data"] != {"of": str(side)}:
            wrong.append(f"{side} {user} {verb}: {answer.json['data']}")
        return answer.code

    with ThreadPoolExecutor(8) as pool:
        codes = Counter(pool.map(ask, asked))
    assert wrong == []
    assert codes[200] > 100
    assert codes[403] > 100


def test_masters_of_one_plane_are_nobody_in_another(two_vcps: tuple[Client, Client], root: Client) -> None:
    a, b = two_vcps
    b.post("/api/v1/namespaces/default/secrets", {"metadata": {"name": "of-b"}}).ok()
    strangers = [
        {"Impersonate-User": "kplane-admin", "Impersonate-Group": "system:masters"},
        {"Impersonate-User": "system:serviceaccount:kplane-system:controlplane-admin"},
        {"Impersonate-User": "x", "Impersonate-Uid": "1", "Impersonate-Extra-authentication.kubernetes.io%2Fcontrol-plane": "root"},
    ]
    for headers in strangers:
        for elsewhere in (b, root):
            elsewhere.as_user(a.token).request("GET", "/api/v1/secrets", headers=headers).fails(401, "Unauthorized")
        answer = a.request("GET", "/api/v1/secrets", headers=headers)
        assert answer.code in (200, 403)
        assert b"of-b" not in answer.body
    # Headers that other servers route by choose nothing here.
    for header in ("X-Cluster", "X-Kubernetes-Cluster", "X-Forwarded-Prefix", "X-Original-URL", "X-Rewrite-URL"):
        value = b.base[b.base.index("/clusters/") :]
        assert b"of-b" not in a.request("GET", "/api/v1/secrets", headers={header: value}).body


def token_of(document: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


def test_continue_tokens_of_another_plane(two_vcps: tuple[Client, Client]) -> None:
    a, b = two_vcps
    for client, prefix in ((a, "a"), (b, "b")):
        for number in range(4):
            client.post(MAPS, config_map(f"{prefix}{number}")).ok()
    page = b.get(f"{MAPS}?limit=1").ok()["metadata"]
    a.get(f"{MAPS}?limit=10&continue={page['continue']}").fails(400, "BadRequest")
    inside = json.loads(base64.urlsafe_b64decode(a.get(f"{MAPS}?limit=1").ok()["metadata"]["continue"] + "=="))
    for change in (
        {"start": "../clusters/x/default/b1\0"},
        {"vcp": "1"},
        {"vcp": 2},
        {"vcp": hashlib.sha256(b"2").hexdigest()[:16]},
        {"vcp": None},
        {"rv": -2},
        {"rv": "1"},
        {"rv": True},
    ):
        a.get(f"{MAPS}?limit=10&continue={token_of({**inside, **change})}").fails(400, "BadRequest")
    # A start that is somewhere else in the own plane is no secret: it shows what a list would.
    anywhere = a.get(f"/api/v1/configmaps?limit=500&continue={token_of({**inside, 'start': 'a/a' + chr(0)})}").ok()
    assert not [item for item in anywhere["items"] if item["metadata"]["name"].startswith("b")]


def test_forged_metadata_is_the_tenants_own(two_vcps: tuple[Client, Client]) -> None:
    a, b = two_vcps
    victim = b.post(MAPS, config_map("victim", {"k": "v"})).ok()["metadata"]
    forged = config_map(
        "forged",
        uid=victim["uid"],
        resourceVersion=victim["resourceVersion"],
        creationTimestamp="2001-01-01T00:00:00Z",
        generation=99,
        selfLink="/clusters/other/control-plane/api/v1",
        labels={"kplane.dev/cluster": "other", "multicluster.k8s.io/cluster": "root", "metadata.cluster": "x"},
        annotations={"kcp.io/cluster": "root"},
    )
    a.post(MAPS, forged).fails(400, "BadRequest")  # a resourceVersion may not be given on create
    del forged["metadata"]["resourceVersion"]
    made = a.post(MAPS, forged).ok()["metadata"]
    assert made["uid"] != victim["uid"]
    assert made["creationTimestamp"] > "2002"
    assert made["labels"]["multicluster.k8s.io/cluster"] == "root", "a label like any other"
    b.get(f"{MAPS}/forged").fails(404, "NotFound")
    assert "forged" not in [
        item["metadata"]["name"] for item in b.get("/api/v1/configmaps?labelSelector=metadata.cluster%3Dx").ok()["items"]
    ]
    a.get("/api/v1/configmaps?fieldSelector=metadata.cluster%3Droot").fails(400, "BadRequest")
    # Revisions of another plane's objects are no keys to anything.
    a.put(f"{MAPS}/forged", config_map("forged", resourceVersion=victim["resourceVersion"])).fails(409, "Conflict")
    a.put(f"{MAPS}/victim", config_map("victim", resourceVersion=victim["resourceVersion"])).fails(404, "NotFound")
    a.delete(f"{MAPS}/forged", {"preconditions": {"uid": victim["uid"]}}).fails(409, "Conflict")
    a.delete(f"{MAPS}/victim", {"preconditions": {"uid": victim["uid"]}}).fails(404, "NotFound")
    assert b.get(f"{MAPS}/victim").ok()["data"] == {"k": "v"}


def test_owners_in_another_plane_own_nothing(two_vcps: tuple[Client, Client]) -> None:
    """An owner that is not here does not exist: the dependent goes, as upstream's collector does, and the owner's plane sees nothing."""
    a, b = two_vcps
    owner = b.post(MAPS, config_map("owner")).ok()["metadata"]
    kept = b.post(MAPS, config_map("dependent-of-b", ownerReferences=[reference(owner)])).ok()["metadata"]
    a.post(MAPS, config_map("dependent", ownerReferences=[{**reference(owner), "blockOwnerDeletion": True}])).ok()
    eventually(lambda: a.get(f"{MAPS}/dependent").code == 404, 20, "the dependent of an owner that is not here")
    assert b.get(f"{MAPS}/owner").ok()["metadata"]["uid"] == owner["uid"]
    assert b.get(f"{MAPS}/dependent-of-b").ok()["metadata"]["uid"] == kept["uid"]
    # The same in the other order: an owner that goes takes the dependents of its own plane.
    same = a.post(MAPS, config_map("owner")).ok()["metadata"]
    a.post(MAPS, config_map("dependent", ownerReferences=[reference(same)])).ok()
    assert b.delete(f"{MAPS}/owner").code == 200
    eventually(lambda: b.get(f"{MAPS}/dependent-of-b").code == 404, 20)
    assert a.get(f"{MAPS}/dependent").code == 200


def reference(owner: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "name": owner["name"], "uid": owner["uid"]}


def test_revisions_tell_nothing_of_other_planes_objects(two_vcps: tuple[Client, Client]) -> None:
    """A list at a revision at which only the other plane wrote shows the own state; a watch from it has the own changes alone."""
    a, b = two_vcps
    foreign = b.post(MAPS, config_map("f")).ok()["metadata"]["resourceVersion"]
    a.post(MAPS, config_map("mine")).ok()
    exact = a.get(f"{MAPS}?resourceVersion={foreign}&resourceVersionMatch=Exact").ok()
    assert [item["metadata"]["name"] for item in exact["items"]] == ["kube-root-ca.crt"]
    events = list(a.watch(f"{MAPS}?watch=1&resourceVersion={foreign}&timeoutSeconds=1"))
    assert [event["object"]["metadata"]["name"] for event in events] == ["mine"]


def test_deleting_one_while_the_other_is_watched(server: Server) -> None:
    """Ten watches of the plane that stays get every change, in order, while its neighbour is written to and destroyed."""
    gone, stays = unique("gone"), unique("stays")
    leaving, staying = server.create_vcp(gone, deletionPolicy="Destroy"), server.create_vcp(stays, deletionPolicy="Destroy")
    since = staying.get(MAPS).ok()["metadata"]["resourceVersion"]
    changes, watchers = 60, 10
    collected: list[list[str]] = [[] for _ in range(watchers)]

    def collect(number: int) -> None:
        for event in staying.watch(f"{MAPS}?watch=1&resourceVersion={since}&timeoutSeconds=60", seconds=20):
            collected[number].append(f"{event['type']} {event['object']['metadata']['name']}")
            if len(collected[number]) == changes:
                return

    threads = [threading.Thread(target=collect, args=(number,)) for number in range(watchers)]
    for thread in threads:
        thread.start()
    ended = leaving.watch(f"{MAPS}?watch=1&resourceVersion=0", seconds=20)
    assert next(ended)["type"] == "ADDED"
    for number in range(changes):
        staying.post(MAPS, config_map(f"c{number:03}")).ok()
        if number < changes // 2:
            leaving.post(MAPS, config_map(f"c{number:03}")).ok()
        elif number == changes // 2:
            server.delete_vcp(gone)
    for thread in threads:
        thread.join(30)
    assert collected == [[f"ADDED c{number:03}" for number in range(changes)]] * watchers
    assert all(event["type"] in ("ADDED", "DELETED", "ERROR") for event in ended), "the other stream is over"
    leaving.get(MAPS).fails(404, "NotFound")
    server.delete_vcp(stays)


def test_planes_that_come_and_go_under_one_name(server: Server) -> None:
    """Whatever is cached of a plane (types, rights, tokens, discovery) goes with it."""
    name = unique("phoenix")
    tags: set[str] = set()
    for number in range(6):
        client = server.create_vcp(name, deletionPolicy="Destroy")
        plural = "widgets" if number % 2 else "gadgets"
        assert client.get("/apis/example.com/v1").code == 404
        client.post(CRDS, crd(plural=plural, kind=plural[:-1].title())).ok()
        eventually(lambda client=client: client.get("/apis/example.com/v1").code == 200)
        found = [row["name"] for row in client.get("/apis/example.com/v1").ok()["resources"]]
        assert plural in found
        assert not {"widgets", "gadgets"} - {plural} & set(found)
        tags.add(client.get("/api/v1/namespaces/default").ok()["metadata"]["uid"])
        server.delete_vcp(name)
        client.get("/apis/example.com/v1").fails(404, "NotFound")
    assert len(tags) == 6


@pytest.mark.parametrize("encode", [str, quote])
def test_paths_that_would_leave_the_plane(two_vcps: tuple[Client, Client], encode: Callable[[str], str]) -> None:
    a, b = two_vcps
    b.post("/api/v1/namespaces/default/secrets", {"metadata": {"name": "of-b"}}).ok()
    other = b.base[b.base.index("/clusters/") + len("/clusters/") :]
    for path in (f"/../../{other}/api/v1/secrets", f"/api/../../../{other}/api/v1/secrets", f"//clusters/{other}/api/v1/secrets",
                 f"/clusters/{other}/api/v1/secrets", "/..%2f..%2f" + other + "/api/v1/secrets"):  # fmt: skip
        answer = a.request("GET", encode(path))
        assert answer.code in (400, 403, 404), (path, answer.code)
        assert b"of-b" not in answer.body
