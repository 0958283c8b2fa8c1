# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import socket
import threading

import pytest

from ansible_collections.kplane.core.plugins.module_utils import _auth, _client, _errors
from ansible_collections.kplane.core.plugins.module_utils._concurrency import run_all
from ansible_collections.kplane.core.plugins.module_utils._contract import CONFIG_MAPS, CONTROL_PLANES
from ansible_collections.kplane.core.tests.unit.fake_api import FakeApi, status


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(_client, "_BACKOFF", 0.001)


@pytest.fixture
def serve():
    made = []

    def make(answers, **options):
        api = FakeApi(answers if callable(answers) else lambda request: answers)
        connection = _auth.entry_connection({"server": api.url}, {"token": "t0ken"}, name="test")
        client = _client.Client(connection, timeout=5, **options)
        made.append((api, client))
        return api, client

    yield make
    for api, client in made:
        client.close()
        api.close()


def test_a_read_carries_the_credential_and_asks_for_json(serve):
    api, client = serve((200, {"kind": "ControlPlane"}))
    assert client.get(CONTROL_PLANES, "demo") == {"kind": "ControlPlane"}
    request = api.requests[0]
    assert (request.method, request.path) == ("GET", "/apis/controlplane.kplane.dev/v1alpha1/controlplanes/demo")
    assert request.headers["Authorization"] == "Bearer t0ken"
    assert request.headers["Accept"] == "application/json"


def test_a_write_is_strict_and_signed(serve):
    api, client = serve((201, {}))
    client.create(CONFIG_MAPS, {"a": 1}, "default", dry_run=True)
    request = api.requests[0]
    assert request.path == "/api/v1/namespaces/default/configmaps"
    assert request.query == {"fieldManager": ["kplane.core"], "fieldValidation": ["Strict"], "dryRun": ["All"]}
    assert request.body == {"a": 1}


def test_patches(serve):
    api, client = serve((200, {}))
    client.patch(CONTROL_PLANES, "demo", {"spec": {}})
    client.patch(CONTROL_PLANES, "demo", {"spec": {}}, content_type=_client.APPLY_PATCH, force=True)
    assert api.requests[0].headers["Content-Type"] == "application/merge-patch+json"
    assert api.requests[1].headers["Content-Type"] == "application/apply-patch+yaml"
    assert api.requests[1].query["force"] == ["true"]


def test_a_delete_names_its_victim(serve):
    api, client = serve((200, {}))
    client.delete(CONTROL_PLANES, "demo", uid="u-1")
    client.delete(CONTROL_PLANES, "demo", dry_run=True)
    assert api.requests[0].body["preconditions"] == {"uid": "u-1"}
    assert "dryRun" not in api.requests[0].body
    assert api.requests[1].body["dryRun"] == ["All"], "with a body, an API server does not look at the query"


def test_a_prefix_leads_to_one_vcp(serve):
    api, client = serve((200, {}), prefix="/clusters/demo/control-plane")
    client.get(CONFIG_MAPS, "a", "b")
    assert api.requests[0].path == "/clusters/demo/control-plane/api/v1/namespaces/b/configmaps/a"


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (400, "BadRequest", _errors.Invalid),
        (401, "Unauthorized", _errors.Unauthorized),
        (403, "Forbidden", _errors.Forbidden),
        (404, "NotFound", _errors.NotFound),
        (409, "AlreadyExists", _errors.AlreadyExists),
        (409, "Conflict", _errors.Conflict),
        (410, "Expired", _errors.Expired),
        (422, "Invalid", _errors.Invalid),
        (500, "InternalError", _errors.Unavailable),
        (418, "Teapot", _errors.ApiError),
    ],
)
def test_a_status_becomes_a_typed_error(serve, code, reason, kind):
    _unused_api, client = serve((code, status(code, reason, "no such luck")))
    with pytest.raises(kind, match="no such luck") as caught:
        client.get(CONTROL_PLANES, "demo")
    assert caught.value.__class__ is kind
    assert (caught.value.code, caught.value.reason) == (code, reason)
    assert "/controlplanes/demo" in caught.value.details["request"]


def test_an_error_without_a_status_says_what_came(serve):
    _unused_api, client = serve((502, b"<html>bad gateway</html>"))
    with pytest.raises(_errors.Unavailable, match=r"502.*bad gateway"):
        client.get(CONTROL_PLANES, "demo")


@pytest.mark.parametrize("content", [b"not json", b"[1]"])
def test_a_success_that_is_no_object_is_an_error(serve, content):
    _unused_api, client = serve((200, content))
    with pytest.raises(_errors.KplaneError, match="JSON"):
        client.get(CONTROL_PLANES, "demo")


def test_a_busy_server_is_asked_again_as_it_says(serve):
    answers = [(429, status(429, "TooManyRequests"), {"Retry-After": "0"}), (503, status(503, "ServiceUnavailable")), (200, {"ok": True})]
    api, client = serve(lambda request: answers.pop(0))
    assert client.get(CONTROL_PLANES, "demo") == {"ok": True}
    assert len(api.requests) == 3


def test_a_server_that_stays_busy_is_given_up_on(serve):
    api, client = serve((503, status(503, "ServiceUnavailable")))
    with pytest.raises(_errors.Unavailable):
        client.get(CONTROL_PLANES, "demo")
    assert len(api.requests) == 4


def test_connections_are_kept_and_shared(serve):
    api, client = serve((200, {}))
    for _again in range(10):
        client.get(CONTROL_PLANES, "demo")
    assert api.connections == 1
    run_all(lambda name: client.get(CONTROL_PLANES, name), [str(number) for number in range(40)], 4)
    assert len(api.requests) == 50
    assert api.connections <= 5


def test_a_connection_that_the_server_closed_is_replaced(serve):
    answers = {0: (200, {}), 1: None}
    api, client = serve(lambda request: answers.pop(len(api.requests) - 1, (200, {"again": True})))
    client.get(CONTROL_PLANES, "demo")
    assert client.get(CONTROL_PLANES, "demo") == {"again": True}
    assert api.connections == 2


def test_a_create_is_never_sent_twice_when_nobody_knows_whether_it_arrived(serve):
    api, client = serve(None)
    with pytest.raises(_errors.ConnectionFailed, match="after 1 attempts"):
        client.create(CONTROL_PLANES, {})
    assert len(api.requests) == 1


def test_an_unreachable_server_is_named_with_its_context():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    client = _client.Client(_auth.entry_connection({"server": url}, {}, name="my-context"))
    with pytest.raises(_errors.ConnectionFailed) as caught:
        client.get(CONTROL_PLANES, "demo")
    assert url in caught.value.message
    assert "my-context" in caught.value.message
    assert "refused" in caught.value.message.lower()
    assert not client.ready()


def test_a_list_is_read_page_by_page(serve):
    def answers(request):
        start = int(request.query.get("continue", ["0"])[0])
        more = {"continue": str(start + 1)} if start < 2 else {}
        return 200, {"metadata": {"resourceVersion": str(100 + start), **more}, "items": [{"n": start}]}

    api, client = serve(answers)
    items, version = client.list_all(CONTROL_PLANES, label_selector="a=b")
    assert [item["n"] for item in items] == [0, 1, 2]
    assert version == "102"
    assert [request.query["labelSelector"] for request in api.requests] == [["a=b"]] * 3


def test_a_list_that_took_too_long_starts_again_without_pages(serve):
    def answers(request):
        if "continue" in request.query:
            return 410, status(410, "Expired")
        if "limit" in request.query:
            return 200, {"metadata": {"continue": "x"}, "items": [{"n": 0}]}
        return 200, {"metadata": {"resourceVersion": "7"}, "items": [{"n": 0}, {"n": 1}]}

    _unused_api, client = serve(answers)
    assert client.list_all(CONTROL_PLANES) == ([{"n": 0}, {"n": 1}], "7")


def test_a_watch_yields_events_and_ends_with_the_server(serve):
    lines = [{"type": "ADDED", "object": {"n": 1}}, {"type": "BOOKMARK", "object": {"n": 2}}]
    api, client = serve((200, b"".join(json.dumps(line).encode() + b"\n" for line in lines)))
    assert [(event.type, event.object["n"]) for event in client.watch(CONTROL_PLANES, "5", 3)] == [("ADDED", 1), ("BOOKMARK", 2)]
    assert api.requests[0].query["resourceVersion"] == ["5"]
    assert api.requests[0].query["timeoutSeconds"] == ["3"]


def test_a_watch_that_fell_behind_is_an_error(serve):
    _unused_api, client = serve((200, json.dumps({"type": "ERROR", "object": status(410, "Expired")}).encode() + b"\n"))
    with pytest.raises(_errors.Expired):
        list(client.watch(CONTROL_PLANES, "5", 3))


def test_a_watch_on_which_nothing_happens_ends_in_time(serve):
    released = threading.Event()

    def answers(unused_request):
        released.wait(10)
        return 200, b""

    _unused_api, client = serve(answers)
    try:
        assert list(client.watch(CONTROL_PLANES, "5", 0.2)) == []
    finally:
        released.set()


def test_warnings_are_collected_once(serve):
    _unused_api, client = serve((200, {}, {"Warning": '299 - "this is \\"old\\""'}))
    client.get(CONTROL_PLANES, "demo")
    client.get(CONTROL_PLANES, "demo")
    assert client.warnings == ['this is "old"']


def test_a_proxy_of_the_kubeconfig_is_used(serve):
    api, _unused_client = serve((200, {}))
    connection = _auth.entry_connection({"server": "http://far.example:8080", "proxy-url": api.url}, {})
    with pytest.raises((_errors.ConnectionFailed, _errors.ApiError)):
        _client.Client(connection).request("GET", "/version", attempts=1)
    assert api.requests[0].method == "CONNECT"


def test_a_proxy_that_is_not_http_is_refused():
    connection = _auth.entry_connection({"server": "http://far.example:8080", "proxy-url": "socks5://127.0.0.1:1"}, {})
    with pytest.raises(_errors.ConnectionFailed, match="socks5"):
        _client.Client(connection).request("GET", "/version", attempts=1)
