# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit log of a running server: who did what in which VCP, and no secret ever."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.client import eventually
from support.objects import config_map
from support.server import Server, free_port, kplane_server, unique

MAPS = "/api/v1/namespaces/default/configmaps"
POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "omitManagedFields": True,
    "rules": [
        {"level": "None", "nonResourceURLs": ["/readyz*", "/livez*"]},
        {"level": "None", "verbs": ["list"], "resources": [{"group": "", "resources": ["namespaces"]}]},
        {"level": "Request", "verbs": ["delete"]},
        {"level": "RequestResponse", "resources": [{"group": "", "resources": ["configmaps", "secrets", "serviceaccounts/token"]}]},
        {"level": "Metadata"},
    ],
}


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    folder = tmp_path_factory.mktemp("audit")
    (folder / "policy.yaml").write_text(yaml.safe_dump(POLICY))
    log = folder / "audit.log"
    running = Server(folder / "data", options=("--audit-log", str(log), "--audit-policy", str(folder / "policy.yaml")))
    try:
        yield running.start(), log
    finally:
        running.stop()


def events(log: Path, vcp: str, **fields: Any) -> list[dict[str, Any]]:
    """The events of a VCP whose fields are these."""
    found = [json.loads(line) for line in log.read_text().splitlines()]
    mine = [event for event in found if event["annotations"]["kplane.dev/vcp"] == vcp]
    return [event for event in mine if all(event.get(key) == value for key, value in fields.items())]


def wait_event(log: Path, vcp: str, **fields: Any) -> dict[str, Any]:
    found: list[dict[str, Any]] = eventually(lambda: events(log, vcp, **fields), 5, f"{fields} of {vcp}")
    return found[-1]


def test_a_write_is_told_with_what_was_sent_and_answered(audited: tuple[Server, Path]) -> None:
    server, log = audited
    name = unique()
    client = server.create_vcp(name, deletionPolicy="Destroy")
    answer = client.post(f"{MAPS}?fieldManager=me", config_map("one", {"k": "v"}))
    event = wait_event(log, name, verb="create")
    assert event["auditID"] == answer.headers["audit-id"]
    assert (event["kind"], event["apiVersion"], event["level"], event["stage"]) == (
        "Event",
        "audit.k8s.io/v1",
        "RequestResponse",
        "ResponseComplete",
    )
    assert event["requestURI"] == f"/clusters/{name}/control-plane{MAPS}?fieldManager=me"
    assert event["user"]["username"] == "system:serviceaccount:kplane-system:controlplane-admin"
    assert event["objectRef"] == {"resource": "configmaps", "namespace": "default", "name": "one", "apiVersion": "v1"}
    assert event["requestObject"]["data"] == event["responseObject"]["data"] == {"k": "v"}
    assert "managedFields" not in event["responseObject"]["metadata"]
    assert event["responseStatus"]["code"] == 201
    assert event["sourceIPs"] == ["127.0.0.1"]
    assert event["annotations"]["authorization.k8s.io/decision"] == "allow"
    assert event["requestReceivedTimestamp"] <= event["stageTimestamp"]
    client.delete(f"{MAPS}/one").ok()
    assert "responseObject" not in wait_event(log, name, verb="delete")
    assert events(log, name, stage="RequestReceived") == []
    server.delete_vcp(name)


def test_no_secret_reaches_the_log(audited: tuple[Server, Path]) -> None:
    server, log = audited
    name = unique()
    client = server.create_vcp(name, deletionPolicy="Destroy")
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": "very-secret-value"}}
    client.post("/api/v1/namespaces/default/secrets", secret).ok()
    client.get("/api/v1/secrets").ok()
    client.get("/api/v1/namespaces/default/secrets/s").ok()
    token = client.post("/api/v1/namespaces/default/serviceaccounts/default/token", {}).ok()["status"]["token"]
    client.post("/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": token}}).ok()
    client.get("/api").ok()
    wait_event(log, name, verb="get", requestURI=f"/clusters/{name}/control-plane/api")
    created = events(log, name, verb="create")
    assert [(event["level"], event["objectRef"]["resource"]) for event in created] == [
        ("Metadata", "secrets"),
        ("Metadata", "serviceaccounts"),
        ("Metadata", "tokenreviews"),
    ]
    text = log.read_text()
    assert "dmVyeS1zZWNyZXQtdmFsdWU" not in text
    assert "very-secret-value" not in text
    assert token not in text
    assert client.token not in text
    server.delete_vcp(name)


def test_refusals_impersonation_and_bad_credentials(audited: tuple[Server, Path]) -> None:
    server, log = audited
    name = unique()
    client = server.create_vcp(name, deletionPolicy="Destroy")
    client.request("GET", MAPS, headers={"Impersonate-User": "nobody"}).fails(403)
    event = wait_event(log, name, verb="list")
    assert event["user"]["username"].endswith("controlplane-admin")
    assert event["impersonatedUser"]["username"] == "nobody"
    assert event["annotations"]["authorization.k8s.io/decision"] == "forbid"
    assert (event["responseStatus"]["code"], event["responseStatus"]["reason"]) == (403, "Forbidden")
    client.as_user("bad.token.here").get(f"{MAPS}/x").fails(401)
    refused = wait_event(log, name, verb="get", user={})
    assert refused["responseStatus"]["code"] == 401
    server.delete_vcp(name)


def test_rules_that_say_none_leave_nothing_and_watches_have_two_stages(audited: tuple[Server, Path]) -> None:
    server, log = audited
    name = unique()
    client = server.create_vcp(name, deletionPolicy="Destroy")
    client.get("/api/v1/namespaces").ok()
    client.get("/readyz")
    list(client.watch(f"{MAPS}?watch=true&timeoutSeconds=1"))
    wait_event(log, name, verb="watch", stage="ResponseComplete")
    assert [event["stage"] for event in events(log, name)] == ["ResponseStarted", "ResponseComplete"]
    server.delete_vcp(name)


def test_metrics_count_what_was_written_and_dropped(audited: tuple[Server, Path]) -> None:
    server, _ = audited
    metrics = server.root.get("/metrics").body.decode()
    figures = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if line.startswith("kplane_audit_"))
    assert int(float(figures["kplane_audit_events_written"])) > 0
    assert int(float(figures["kplane_audit_events_dropped"])) == 0


def test_what_was_answered_is_in_the_log_after_a_stop(make_server: Callable[..., Server], tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    running = make_server("data", "--audit-log", str(log)).start()
    for number in range(50):
        running.root.post(MAPS, config_map(f"c{number}", {})).ok()
    running.stop()
    assert len(events(log, "root", verb="create", level="Metadata")) == 50


@pytest.mark.parametrize(
    ("policy", "why"),
    [("{", "policy.yaml"), ("{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: Loud}]}", "rules[0].level")],
)
def test_a_bad_policy_keeps_the_server_from_starting(tmp_path: Path, policy: str, why: str) -> None:
    (tmp_path / "policy.yaml").write_text(policy)
    options = ["--audit-log", str(tmp_path / "audit.log"), "--audit-policy", str(tmp_path / "policy.yaml"), "--port", str(free_port())]
    command = [*kplane_server(), "run", "--data-dir", str(tmp_path / "data"), *options]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 19
    assert why in ended.stderr
