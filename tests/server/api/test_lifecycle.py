# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A life of its own: a control plane ends by itself, is paused and resumed, and gets a new signing key."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from support.client import Client, eventually
from support.objects import config_map
from support.planes_of_root import annotate, condition, create_plane, events, make_class, make_plane, status, wait_condition
from support.server import GROUP, Server, unique

MAPS = "/api/v1/namespaces/default/configmaps"


def gone(server: Server, name: str, seconds: float = 15.0) -> None:
    eventually(lambda: server.root.get(f"{GROUP}/controlplanes/{name}").code == 404, seconds, f"{name} gone")


def in_seconds(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


# -- ttl and expires


def test_a_control_plane_ends_after_its_ttl(server: Server) -> None:
    name = unique()
    client = make_plane(server, name, annotations={"ttl": "3s"})
    found = status(server, name)
    created = server.root.get(f"{GROUP}/controlplanes/{name}").ok()["metadata"]["creationTimestamp"]
    ends = datetime.fromisoformat(created) + timedelta(seconds=3)
    assert datetime.fromisoformat(found["expiresAt"]) == ends
    assert condition(server, name, "Expiring")["reason"] in ("Scheduled", "ExpiresSoon")
    gone(server, name)
    assert datetime.now(UTC) >= ends
    client.get("/api").fails(404)
    assert [event["type"] for event in events(server, name, "Expired")] == ["Warning"]


def test_the_end_is_told_before_it_comes(server: Server) -> None:
    name = unique()
    make_plane(server, name, annotations={"expires": in_seconds(3600)})
    assert condition(server, name, "Expiring")["reason"] == "Scheduled"
    annotate(server, name, expires=in_seconds(4))
    assert eventually(lambda: events(server, name, "ExpiresSoon"), 5)[0]["type"] == "Warning"
    gone(server, name)
    assert len(events(server, name, "ExpiresSoon")) == 1


def test_the_earlier_of_two_ends_counts_and_both_can_be_taken_back(server: Server) -> None:
    name = unique()
    moment = in_seconds(7200)
    make_plane(server, name, annotations={"ttl": "30d", "expires": moment})
    assert status(server, name)["expiresAt"] == moment
    annotate(server, name, ttl="1h")
    eventually(lambda: status(server, name)["expiresAt"] < moment, 5)
    annotate(server, name, ttl=None, expires=None)
    eventually(lambda: "expiresAt" not in status(server, name), 5)
    assert condition(server, name, "Expiring") == {}
    server.delete_vcp(name)


def test_a_class_has_a_default_and_a_longest_life(server: Server) -> None:
    klass = unique("short")
    make_class(server, klass, ttl="2h", maxTTL="1d")
    lives = {}
    for annotation in (None, "4h", "9d"):
        name = unique()
        make_plane(server, name, klass, {"ttl": annotation} if annotation else {})
        created = server.root.get(f"{GROUP}/controlplanes/{name}").ok()["metadata"]["creationTimestamp"]
        lives[annotation] = datetime.fromisoformat(status(server, name)["expiresAt"]) - datetime.fromisoformat(created)
        server.delete_vcp(name)
    assert lives == {None: timedelta(hours=2), "4h": timedelta(hours=4), "9d": timedelta(days=1)}


def test_an_end_while_the_server_is_down_comes_with_the_next_start(make_server: Callable[..., Server]) -> None:
    running = make_server().start()
    make_plane(running, "short", annotations={"ttl": "2s"})
    make_plane(running, "long", annotations={"ttl": "2h"})
    running.kill()
    eventually(lambda: in_seconds(0) > in_seconds(-1), 1)
    running.start()
    gone(running, "short")
    assert running.vcp("long").get("/api").code == 200


def test_retained_data_is_kept_at_the_end(server: Server) -> None:
    name = unique()
    make_plane(server, name).post(MAPS, config_map("kept", {"k": "v"})).ok()
    server.root.patch(f"{GROUP}/controlplanes/{name}", {"spec": {"deletionPolicy": "Retain"}}).ok()
    annotate(server, name, expires=in_seconds(0))
    gone(server, name)
    create_plane(server, name, annotations={"reattach": "true"})
    client = server.wait_ready(name)
    assert client.get(f"{MAPS}/kept").ok()["data"] == {"k": "v"}
    server.delete_vcp(name)


@pytest.mark.parametrize(
    ("key", "value"),
    [("ttl", "soon"), ("ttl", "0s"), ("ttl", "-5m"), ("expires", "tomorrow"), ("state", "stopped"), ("resumeOnRequest", "yes")],
)
def test_what_means_nothing_is_refused(server: Server, key: str, value: str) -> None:
    body = {
        "apiVersion": "controlplane.kplane.dev/v1alpha1",
        "kind": "ControlPlane",
        "metadata": {"name": unique(), "annotations": {f"controlplane.kplane.dev/{key}": value}},
        "spec": {"classRef": {"name": "starter"}},
    }
    refused = server.root.post(f"{GROUP}/controlplanes", body).fails(422, "Invalid")
    assert refused["details"]["causes"][0]["field"] == f"metadata.annotations[controlplane.kplane.dev/{key}]"


# -- paused


def test_a_paused_control_plane_says_so_and_resumes(server: Server) -> None:
    name = unique()
    client = make_plane(server, name)
    client.post(MAPS, config_map("kept", {"k": "v"})).ok()
    watch = client.watch(f"{MAPS}?watch=true&timeoutSeconds=60", seconds=30)
    next(watch)
    annotate(server, name, state="paused")
    wait_condition(server, name, "Ready", "Paused")
    assert {event["type"] for event in watch} <= {"ADDED"}, "its watches end"
    for who in (client, client.as_user("")):
        answer = who.get(f"{MAPS}/kept")
        said = answer.fails(503, "ServiceUnavailable")
        assert said["message"] == (
            f'control plane "{name}" is paused; it is resumed by removing annotation controlplane.kplane.dev/state from its ControlPlane'
        )
        assert said["details"] == {"name": name, "group": "controlplane.kplane.dev", "kind": "controlplanes"}
        assert "retry-after" not in answer.headers
    assert condition(server, name, "Programmed")["status"] == "True"
    annotate(server, name, state=None)
    server.wait_ready(name)
    assert client.get(f"{MAPS}/kept").ok()["data"] == {"k": "v"}, "the same credential and the same data"
    server.delete_vcp(name)


def test_a_pause_survives_a_restart_from_the_first_request_on(make_server: Callable[..., Server]) -> None:
    running = make_server().start()
    client = make_plane(running, "one")
    annotate(running, "one", state="paused")
    wait_condition(running, "one", "Ready", "Paused")
    running.kill()
    running.start()
    client.get("/api").fails(503, "ServiceUnavailable")


def test_a_control_plane_can_be_born_paused_and_be_deleted_paused(server: Server) -> None:
    name = unique()
    create_plane(server, name, annotations={"state": "paused"})
    wait_condition(server, name, "Ready", "Paused")
    server.root.at(name).get("/api").fails(503)
    server.delete_vcp(name)
    server.root.at(name).get("/api").fails(404)


def test_a_request_of_somebody_who_is_known_resumes_it(server: Server) -> None:
    name = unique()
    client = make_plane(server, name)
    annotate(server, name, state="paused", resumeOnRequest="true")
    wait_condition(server, name, "Ready", "Paused")
    for who in (client.as_user(""), client.as_user("no.such.token"), server.root.at(name)):
        answer = who.get(MAPS)
        assert answer.fails(503)["message"] == f'control plane "{name}" is paused; an authenticated request resumes it'
    assert condition(server, name, "Ready")["reason"] == "Paused"
    answer = client.get(MAPS)
    assert answer.code == 503
    assert answer.headers["retry-after"] == "1"
    eventually(lambda: client.get(MAPS).code == 200, 5, "resumed")
    server.wait_ready(name)
    server.delete_vcp(name)


# -- rotation


def test_a_new_key_is_asked_for_by_annotation(server: Server) -> None:
    name = unique()
    old = make_plane(server, name)
    keys = {key["kid"] for key in old.get("/openid/v1/jwks").ok()["keys"]}
    annotate(server, name, rotate="one")

    def renewed() -> Client | None:
        new = server.vcp(name)
        return new if new.token != old.token else None

    new: Client = eventually(renewed, 5, "a new Secret")
    assert new.get(MAPS).code == old.get(MAPS).code == 200, "both keys are good"
    assert {key["kid"] for key in new.get("/openid/v1/jwks").ok()["keys"]} > keys
    assert (status(server, name)["observedRotate"], status(server, name)["keyGeneration"]) == ("one", 2)
    assert len(events(server, name, "KeyRotated")) == 1
    server.root.patch(f"{GROUP}/controlplanes/{name}", {"metadata": {"labels": {"a": "b"}}}).ok()
    annotate(server, name, rotate="two")
    eventually(lambda: status(server, name).get("keyGeneration") == 3, 5, "once more")
    eventually(lambda: old.get(MAPS).code == 401, 5, "the first key is no longer good")
    eventually(lambda: server.vcp(name).get(MAPS).code == 200, 5, "the newest is")
    server.delete_vcp(name)
