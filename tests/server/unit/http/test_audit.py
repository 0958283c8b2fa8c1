# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Audit policies rule by rule, and the log file under load, rotation and a full queue."""

from __future__ import annotations

import stat
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest

from kplane_server.http import auditlog
from kplane_server.http.audit import Audited, Trace
from kplane_server.http.auditlog import AuditLog
from kplane_server.http.auditpolicy import AuditPolicy, Level, Verdict, parse_policy
from kplane_server.http.routing import ApiRequest, resolve
from kplane_server.model.identity import UserInfo

ADA = UserInfo("ada", groups=("devs", "system:authenticated"))


def policy(*rules: dict[str, Any], **more: Any) -> AuditPolicy:
    return parse_policy({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": list(rules), **more})


def request(method: str, path: str) -> ApiRequest:
    return resolve(method, path, {})


POD = request("GET", "/api/v1/namespaces/shop/pods/one")
LOG = request("GET", "/api/v1/namespaces/shop/pods/one/log")
SCALE = request("PUT", "/apis/apps/v1/namespaces/shop/deployments/web/scale")


@pytest.mark.parametrize(
    ("rule", "which", "matches"),
    [
        ({}, POD, True),
        ({"users": ["ada"]}, POD, True),
        ({"users": ["bob"]}, POD, False),
        ({"userGroups": ["devs"]}, POD, True),
        ({"userGroups": ["ops"]}, POD, False),
        ({"verbs": ["get", "list"]}, POD, True),
        ({"verbs": ["watch"]}, POD, False),
        ({"namespaces": ["shop"]}, POD, True),
        ({"namespaces": [""]}, POD, False),
        ({"resources": [{"group": "", "resources": ["pods"]}]}, POD, True),
        ({"resources": [{"group": "", "resources": ["pods"]}]}, LOG, False),
        ({"resources": [{"group": "", "resources": ["pods/log"]}]}, LOG, True),
        ({"resources": [{"group": "", "resources": ["pods/*"]}]}, LOG, True),
        ({"resources": [{"group": "", "resources": ["pods/*"]}]}, POD, False),
        ({"resources": [{"group": "", "resources": ["*"]}]}, LOG, True),
        ({"resources": [{"group": "apps", "resources": ["*/scale"]}]}, SCALE, True),
        ({"resources": [{"group": "apps"}]}, SCALE, True),
        ({"resources": [{"group": ""}]}, SCALE, False),
        ({"resources": [{"group": "", "resources": ["pods"], "resourceNames": ["one"]}]}, POD, True),
        ({"resources": [{"group": "", "resources": ["pods"], "resourceNames": ["two"]}]}, POD, False),
        ({"nonResourceURLs": ["/api*"]}, POD, False),
        ({"nonResourceURLs": ["/healthz*"]}, request("GET", "/healthz/ping"), True),
        ({"nonResourceURLs": ["/version"]}, request("GET", "/version"), True),
        ({"resources": [{"group": ""}]}, request("GET", "/version"), False),
    ],
)
def test_a_rule_matches(rule: dict[str, Any], which: ApiRequest, matches: bool) -> None:
    found = policy({"level": "Metadata", **rule}).judge(ADA, which)
    assert found.level is (Level.METADATA if matches else Level.NONE)


def test_the_first_rule_counts_and_secrets_are_never_told() -> None:
    rules = policy({"level": "None", "users": ["bob"]}, {"level": "RequestResponse"}, omitStages=["RequestReceived"])
    assert rules.judge(UserInfo("bob"), POD).level is Level.NONE
    assert rules.judge(ADA, POD) == Verdict(Level.REQUEST_RESPONSE, frozenset({"RequestReceived"}))
    assert rules.judge(None, POD).level is Level.REQUEST_RESPONSE
    for method, path in (
        ("GET", "/api/v1/secrets"),
        ("PUT", "/api/v1/namespaces/a/secrets/b"),
        ("POST", "/api/v1/namespaces/a/serviceaccounts/b/token"),
        ("POST", "/apis/authentication.k8s.io/v1/tokenreviews"),
    ):
        assert rules.judge(ADA, request(method, path)).level is Level.METADATA


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ([], "the policy"),
        ({"apiVersion": "v1", "kind": "Policy", "rules": []}, "apiVersion"),
        ({"apiVersion": "audit.k8s.io/v1", "kind": "Policy"}, "rules"),
        ({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{}]}, r"rules\[0\]\.level"),
        ({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "All"}]}, r"rules\[0\]\.level"),
        ({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "None", "user": ["x"]}]}, "'user'"),
        ({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "None", "users": "x"}]}, "users"),
        ({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "None", "omitStages": ["Later"]}]}, "omitStages"),
        ({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "None", "nonResourceURLs": ["a*b"]}]}, "nonResourceURLs"),
        ({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "None", "resources": [{"group": "a/v1"}]}]}, "group"),
    ],
)
def test_a_policy_that_means_nothing_says_where(document: Any, where: str) -> None:
    with pytest.raises(ValueError, match=where):
        parse_policy(document)


def trace(number: int = 0) -> Trace:
    incoming: Any = SimpleNamespace(method="GET", path=f"/{number}", query_string="", client="127.0.0.1:5", header=lambda name: None)
    audited = Audited(incoming, f"id-{number}", "demo", POD, ADA, Verdict(Level.METADATA))
    return Trace("ResponseComplete", 0.0, audited, 200, None)


def lines(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def test_the_log_is_rotated_and_the_oldest_goes(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    size = len(auditlog.encode(trace()))
    log = AuditLog(path, max_bytes=size * 3 + 10, backups=2)
    for number in range(10):
        log.write(trace(number))
    log.close()
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["audit.log", "audit.log.1", "audit.log.2"]
    told = [event["auditID"] for name in ("audit.log.2", "audit.log.1", "audit.log") for event in lines(tmp_path / name)]
    assert told == [f"id-{number}" for number in range(3, 10)]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert log.statistics()["events_written"] == 10


def test_an_old_log_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    for number in range(2):
        log = AuditLog(path, 1 << 20, 2)
        log.write(trace(number))
        log.close()
    assert [event["auditID"] for event in lines(path)] == ["id-0", "id-1"]


def test_what_the_queue_cannot_hold_is_dropped_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    encode = auditlog.encode

    def slow(one: Trace) -> bytes:
        gate.wait(10)
        return encode(one)

    monkeypatch.setattr(auditlog, "encode", slow)
    log = AuditLog(tmp_path / "audit.log", 1 << 20, 1, max_queued=5)
    for number in range(50):
        log.write(trace(number))
    assert log.statistics()["events_dropped"] >= 44
    gate.set()
    log.close()
    written = int(log.statistics()["events_written"])
    assert written == len(lines(tmp_path / "audit.log"))
    assert written + log.dropped == 50


def test_a_disk_that_takes_no_more_costs_events_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = AuditLog(tmp_path / "audit.log", 1 << 20, 1)

    def full(line: bytes) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(log, "_append", full)
    log.write(trace())
    log.close()
    assert (log.events, log.dropped) == (0, 1)
    assert cast(Any, log)._thread.is_alive() is False
