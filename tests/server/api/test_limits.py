# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much one control plane may hold and do: by its class, lowered by itself, told before it hurts."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from support.client import Client, Response, eventually
from support.objects import config_map
from support.planes_of_root import annotate, condition, events, make_class, make_plane, status, wait_condition
from support.server import GROUP, Server, unique

MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that reports usage at once."""
    running = Server(tmp_path_factory.mktemp("limits") / "data", options=("--limit", "usage_interval=0.1"))
    try:
        yield running.start()
    finally:
        running.stop()


@pytest.fixture
def small(server: Server) -> str:
    """A class of ten objects."""
    name = unique("small")
    make_class(server, name, limits={"objects": 10})
    return name


def fill(client: Client, count: int, prefix: str = "c") -> list[Response]:
    return [client.post(MAPS, config_map(f"{prefix}{number}", {"k": "v"})) for number in range(count)]


def test_objects_are_limited_by_the_class(server: Server, small: str) -> None:
    name = unique()
    client = make_plane(server, name, small)
    answers = fill(client, 12)
    assert [answer.code for answer in answers] == [201] * 10 + [403] * 2
    refusal = answers[-1].fails(403, "Forbidden")
    assert refusal["message"] == (
        f'configmaps "c11" is forbidden: exceeded the limits of control plane "{name}": '
        f'1 objects more asked for, 10 used, limited to 10 by ControlPlaneClass "{small}"'
    )
    assert refusal["details"] == {"name": "c11", "kind": "configmaps"}
    client.put(f"{MAPS}/c1", config_map("c1", {"k": "changed"})).ok()
    client.delete(f"{MAPS}/c0").ok()
    client.post(MAPS, config_map("again", {})).ok()
    assert client.post(MAPS, config_map("more", {})).code == 403


def test_limits_are_exact_under_concurrency(server: Server, small: str) -> None:
    client = make_plane(server, unique(), small)
    codes: list[int] = []

    def write(number: int) -> None:
        codes.extend(answer.code for answer in fill(client, 3, f"w{number}-"))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes.count(201) == 10
    assert codes.count(403) == 14


def test_bytes_are_limited_and_shrinking_is_always_allowed(server: Server) -> None:
    klass = unique("bytes")
    make_class(server, klass, limits={"bytes": 20_000})
    client = make_plane(server, unique(), klass)
    client.post(MAPS, config_map("one", {"k": "x" * 15_000})).ok()
    message = client.post(MAPS, config_map("two", {"k": "x" * 10_000})).fails(403, "Forbidden")["message"]
    assert f'limited to 20000 by ControlPlaneClass "{klass}"' in message
    make_class(server, klass, limits={"bytes": 5_000})
    assert client.put(f"{MAPS}/one", config_map("one", {"k": "x" * 16_000})).code == 403
    client.put(f"{MAPS}/one", config_map("one", {"k": "x" * 12_000})).ok()
    client.delete(f"{MAPS}/one").ok()
    assert client.get(f"{MAPS}/one").code == 404


def test_a_control_plane_may_lower_its_limits_and_not_raise_them(server: Server, small: str) -> None:
    name = unique()
    client = make_plane(server, name, small, {"limits": '{"objects": 3}'})
    refused = fill(client, 4)[-1].fails(403)
    assert "3 used, limited to 3 by annotation controlplane.kplane.dev/limits of its ControlPlane" in refused["message"]
    annotate(server, name, limits='{"objects": 1000}')
    eventually(lambda: client.post(MAPS, config_map(unique("x"), {})).code == 201, 5, "the class's limit is in force")
    assert 403 in {answer.code for answer in fill(client, 10, "y")}
    annotate(server, name, limits=None)
    assert client.post(MAPS, config_map("z", {})).fails(403)["message"].endswith(f'by ControlPlaneClass "{small}"')


@pytest.mark.parametrize(
    "text", ["no", "[]", '{"objects": -1}', '{"objects": "5"}', '{"pods": 3}', '{"requestsInFlight": 0}', '{"objects": true}']
)
def test_limits_that_mean_nothing_are_refused(server: Server, text: str) -> None:
    body = {
        "apiVersion": "controlplane.kplane.dev/v1alpha1",
        "kind": "ControlPlane",
        "metadata": {"name": unique(), "annotations": {"controlplane.kplane.dev/limits": text}},
        "spec": {"classRef": {"name": "starter"}},
    }
    refused = server.root.post(f"{GROUP}/controlplanes", body).fails(422, "Invalid")
    assert refused["details"]["causes"][0]["field"] == "metadata.annotations[controlplane.kplane.dev/limits]"


def test_limits_of_a_class_are_validated(server: Server) -> None:
    for limits in ({"objects": -1}, {"bytes": "many"}, {"writesPerSecond": 0}):
        body = {"apiVersion": "controlplane.kplane.dev/v1alpha1", "kind": "ControlPlaneClass", "metadata": {"name": unique()}}
        server.root.post(f"{GROUP}/controlplaneclasses", {**body, "spec": {"limits": limits}}).fails(422, "Invalid")


def test_being_near_a_limit_is_told_once_and_cleared(server: Server, small: str) -> None:
    name = unique()
    client = make_plane(server, name, small)
    assert condition(server, name, "WithinLimits")["status"] == "True"
    fill(client, 8)
    near = wait_condition(server, name, "WithinLimits", "LimitsNear")
    assert near["status"] == "False"
    assert "80%" in near["message"]
    assert "10 objects" in near["message"]
    client.put(f"{MAPS}/c1", config_map("c1", {"k": "changed"})).ok()
    eventually(lambda: status(server, name)["usage"]["bytes"] > 0, 5)
    assert [event["type"] for event in events(server, name, "LimitsNear")] == ["Warning"]
    client.delete(MAPS).ok()
    cleared = wait_condition(server, name, "WithinLimits", "BelowLimits")
    assert cleared["status"] == "True"
    assert len(events(server, name, "LimitsNear")) == 1


def test_usage_is_reported_in_the_status_and_in_metrics(server: Server) -> None:
    name = unique()
    client = make_plane(server, name)
    assert "usage" not in status(server, name)
    fill(client, 5)
    eventually(lambda: status(server, name).get("usage", {}).get("objects") == 5, 5, "usage")
    usage = status(server, name)["usage"]
    assert usage["bytes"] > 5 * 100
    assert usage["watches"] == 0
    metrics = server.root.get("/metrics").body.decode()
    assert f'kplane_vcp_objects{{vcp="{name}"}} 5' in metrics
    assert f'kplane_vcp_bytes{{vcp="{name}"}} {usage["bytes"]}' in metrics
    watch = client.watch(f"{MAPS}?watch=true&timeoutSeconds=20", seconds=10)
    next(watch)
    assert f'kplane_vcp_watches{{vcp="{name}"}} 1' in server.root.get("/metrics").body.decode()
    eventually(lambda: status(server, name)["usage"]["watches"] == 1, 5, "the watch is counted")
    watch.close()
    eventually(lambda: status(server, name)["usage"]["watches"] == 0, 5, "its end, too")


def test_usage_survives_a_kill(make_server: object) -> None:
    running: Server = make_server("usage", "--limit", "usage_interval=0.1")  # type: ignore[operator]
    running.start()
    make_class(running, "few", limits={"objects": 3})
    client = make_plane(running, "one", "few")
    assert [answer.code for answer in fill(client, 3)] == [201] * 3
    running.kill()
    running.start()
    assert running.vcp("one").post(MAPS, config_map("more", {})).code == 403


def test_writes_a_second_are_limited(server: Server) -> None:
    klass = unique("slow")
    make_class(server, klass, limits={"writesPerSecond": 2})
    name = unique()
    client = make_plane(server, name, klass)
    answers = fill(client, 30)
    refused = [answer for answer in answers if answer.code == 429]
    assert refused, "thirty writes took less than fifteen seconds"
    assert refused[0].headers["retry-after"] == "1"
    refused[0].fails(429, "TooManyRequests")
    assert client.get(MAPS).code == 200, "reads go on"
    assert server.root.get(f"{GROUP}/controlplanes/{name}").code == 200


def test_requests_in_flight_are_limited(server: Server) -> None:
    klass = unique("narrow")
    make_class(server, klass, limits={"requestsInFlight": 1})
    client = make_plane(server, unique(), klass)
    codes: list[int] = []

    def write(number: int) -> None:
        codes.extend(answer.code for answer in fill(client, 10, f"w{number}-"))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(codes) <= {201, 429}
    assert codes.count(201) >= 10
