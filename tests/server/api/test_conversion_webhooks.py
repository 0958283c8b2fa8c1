# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conversion webhooks at the front door: every read and write of a custom resource at a version that is not the stored one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.client import Client
from support.server import Server
from support.webhook import WebhookServer, admission, patch

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
V1 = "/apis/example.com/v1/namespaces/default/hosts"
V2 = "/apis/example.com/v2/namespaces/default/hosts"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("conversion") / "data", options=("--outbound-allow", "loopback"))
    try:
        yield running.start()
    finally:
        running.stop()


@pytest.fixture
def hooks(tmp_path: Any) -> Iterator[WebhookServer]:
    made = WebhookServer(tmp_path)
    made.at("/convert", convert)
    yield made
    made.close()


def convert(review: Any) -> Any:
    """v1 has ``spec.hostPort``, v2 has ``spec.host`` and ``spec.port``."""
    wanted = review["request"]["desiredAPIVersion"]
    converted = [_convert(obj, wanted) for obj in review["request"]["objects"]]
    response = {"uid": review["request"]["uid"], "convertedObjects": converted, "result": {"status": "Success"}}
    return {"apiVersion": review["apiVersion"], "kind": "ConversionReview", "response": response}


def _convert(obj: Any, wanted: str) -> Any:
    spec = obj["spec"]
    if wanted.endswith("v2"):
        host, _, port = spec["hostPort"].partition(":")
        return {**obj, "apiVersion": wanted, "spec": {"host": host, "port": port}}
    return {**obj, "apiVersion": wanted, "spec": {"hostPort": f"{spec['host']}:{spec['port']}"}}


def define(vcp: Client, client: dict[str, Any]) -> None:
    def version(name: str, *fields: str) -> dict[str, Any]:
        spec = {"type": "object", "properties": {field: {"type": "string"} for field in fields}}
        schema = {"type": "object", "properties": {"spec": spec, "status": {"type": "object", "properties": {"ok": {"type": "boolean"}}}}}
        return {
            "name": name, "served": True, "storage": name == "v1", "schema": {"openAPIV3Schema": schema}, "subresources": {"status": {}},
        }  # fmt: skip

    body = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "hosts.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "hosts", "kind": "Host"},
            "versions": [version("v1", "hostPort"), version("v2", "host", "port")],
            "conversion": {"strategy": "Webhook", "webhook": {"clientConfig": client, "conversionReviewVersions": ["v1"]}},
        },
    }
    vcp.post(CRDS, body).ok()


def at(hooks: WebhookServer) -> dict[str, Any]:
    return {"url": hooks.url("/convert"), "caBundle": hooks.ca_bundle}


def host(name: str = "h", value: str = "a:1") -> dict[str, Any]:
    return {"apiVersion": "example.com/v1", "kind": "Host", "metadata": {"name": name}, "spec": {"hostPort": value}}


def test_read_list_table_and_watch(vcp: Client, hooks: WebhookServer) -> None:
    define(vcp, at(hooks))
    for index in range(3):
        vcp.post(V1, host(f"h{index}", f"a{index}:1")).ok()
    assert hooks.reviews["/convert"] == []
    assert vcp.get(f"{V2}/h0").ok()["spec"] == {"host": "a0", "port": "1"}
    assert [item["spec"]["host"] for item in vcp.get(V2).ok()["items"]] == ["a0", "a1", "a2"]
    assert vcp.get(f"{V2}?limit=2").ok()["metadata"]["continue"]
    table = vcp.get(V2, Accept="application/json;as=Table;v=v1;g=meta.k8s.io").ok()
    assert [row["cells"][0] for row in table["rows"]] == ["h0", "h1", "h2"]
    assert vcp.get(f"{V1}/h0").ok()["spec"] == {"hostPort": "a0:1"}
    events = vcp.watch(f"{V2}?watch=1&timeoutSeconds=5")
    assert [next(events)["object"]["spec"]["host"] for _ in range(3)] == ["a0", "a1", "a2"]
    vcp.patch(f"{V1}/h1", {"spec": {"hostPort": "b:2"}}).ok()
    event = next(events)
    assert (event["type"], event["object"]["apiVersion"], event["object"]["spec"]) == (
        "MODIFIED",
        "example.com/v2",
        {"host": "b", "port": "2"},
    )
    events.close()


def test_writes(vcp: Client, hooks: WebhookServer) -> None:
    define(vcp, at(hooks))
    body = {"apiVersion": "example.com/v2", "kind": "Host", "metadata": {"name": "h"}, "spec": {"host": "a", "port": "1"}}
    made = vcp.post(V2, body).ok()
    assert made["spec"] == {"host": "a", "port": "1"}
    assert vcp.get(f"{V1}/h").ok()["spec"] == {"hostPort": "a:1"}
    assert vcp.patch(f"{V2}/h", {"spec": {"port": "2"}}).ok()["spec"] == {"host": "a", "port": "2"}
    assert vcp.patch(f"{V2}/h/status", {"status": {"ok": True}}).ok()["spec"]["host"] == "a"
    applied = vcp.apply(f"{V2}/h", {**body, "spec": {"host": "b", "port": "3"}}, force=True).ok()
    assert applied["spec"] == {"host": "b", "port": "3"}
    assert vcp.get(f"{V1}/h").ok()["spec"] == {"hostPort": "b:3"}
    assert vcp.post(f"{V2}?dryRun=All", {**body, "metadata": {"name": "dry"}}).ok()["spec"]["host"] == "a"
    vcp.delete(f"{V2}/h").ok()
    vcp.get(f"{V1}/h").fails(404)


def test_an_admission_webhook_sees_the_version_it_knows(vcp: Client, hooks: WebhookServer) -> None:
    define(vcp, at(hooks))
    add = patch({"op": "replace", "path": "/spec/port", "value": "443"})
    webhook = {
        "name": "hook.example.com",
        "clientConfig": hooks.at("/admit", lambda review: admission(review, **add)),
        "rules": [{"apiGroups": ["example.com"], "apiVersions": ["v2"], "operations": ["CREATE"], "resources": ["hosts"]}],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    configuration = {"metadata": {"name": "c"}, "webhooks": [webhook]}
    vcp.post("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations", configuration).ok()
    assert vcp.post(V1, host()).ok()["spec"] == {"hostPort": "a:443"}
    request = hooks.reviews["/admit"][0]["request"]
    assert (request["kind"]["version"], request["requestKind"]["version"]) == ("v2", "v1")
    assert request["object"]["spec"] == {"host": "a", "port": "1"}


def test_failures_are_told(vcp: Client, hooks: WebhookServer, server: Server) -> None:
    define(vcp, {"url": "https://127.0.0.1:1/convert"})
    vcp.post(V1, host()).ok()
    message = vcp.get(f"{V2}/h").fails(500)["message"]
    assert message.startswith("conversion webhook for example.com/v1, Kind=Host failed: Post ")
    assert message.endswith("connection refused")
    vcp.get(V2).fails(500)
    assert next(vcp.watch(f"{V2}?watch=1"))["type"] == "ERROR"
    vcp.get(f"{V1}/h").ok()


def test_two_vcps_with_the_same_definition(two_vcps: tuple[Client, Client], hooks: WebhookServer, tmp_path: Any) -> None:
    """Each asks its own webhook, though kind, version and object look the same."""
    mine, other = two_vcps

    def shout(review: Any) -> Any:
        answer = convert(review)
        for obj in answer["response"]["convertedObjects"]:
            obj["spec"] = {key: value.upper() for key, value in obj["spec"].items()}
        return answer

    hooks.at("/shout", shout)
    define(mine, at(hooks))
    define(other, {"url": hooks.url("/shout"), "caBundle": hooks.ca_bundle})
    for vcp in two_vcps:
        vcp.post(V1, host()).ok()
    for _ in range(2):
        assert mine.get(f"{V2}/h").ok()["spec"]["host"] == "a"
        assert other.get(f"{V2}/h").ok()["spec"]["host"] == "A"
    assert len(hooks.reviews["/convert"]) == len(hooks.reviews["/shout"]) == 1


def test_the_definition_goes_although_the_webhook_is_away(vcp: Client, hooks: WebhookServer) -> None:
    define(vcp, at(hooks))
    vcp.post(V1, host()).ok()
    vcp.patch(f"{CRDS}/hosts.example.com", {"spec": {"conversion": {"webhook": {"clientConfig": {"url": "https://127.0.0.1:1/"}}}}}).ok()
    vcp.delete(f"{CRDS}/hosts.example.com").ok()
    for _ in range(200):
        if vcp.get(f"{CRDS}/hosts.example.com").code == 404:
            return
    raise AssertionError(vcp.get(f"{CRDS}/hosts.example.com").json)
