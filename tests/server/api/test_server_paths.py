# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of the server itself: health, version, metrics, its token issuers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.client import Client
from support.server import Server


def anonymous(client: Client) -> Client:
    return replace(client, token="")


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz"])
def test_health_is_for_everybody(root: Client, path: str) -> None:
    for client in (root, anonymous(root)):
        answer = client.get(path)
        assert (answer.code, answer.body) == (200, b"ok")
        assert answer.headers["content-type"].startswith("text/plain")


def test_single_checks_are_for_who_may(root: Client) -> None:
    assert root.get("/readyz/ping").body == b"ok"
    assert root.get("/readyz/").body == b"ok"
    anonymous(root).get("/readyz/ping").fails(403, "Forbidden")


def test_verbose_health_lists_the_checks(root: Client) -> None:
    text = root.get("/readyz?verbose").body.decode()
    assert "[+]ping ok\n" in text
    assert "[+]storage ok\n" in text
    for hook in (
        "start-system-namespaces-controller",
        "bootstrap-controller",
        "start-cluster-authentication-info-controller",
        "start-legacy-token-tracking-controller",
        "rbac/bootstrap-roles",
    ):
        assert f"[+]poststarthook/{hook} ok\n" in text
    assert text.endswith("readyz check passed\n")
    assert "[+]ping excluded: ok" in root.get("/livez?verbose&exclude=ping").body.decode()
    root.get("/readyz/nonsense").fails(404, "NotFound")


def test_version_is_for_everybody_everywhere(root: Client, vcp: Client) -> None:
    for client in (anonymous(root), anonymous(vcp), vcp):
        version = client.get("/version").ok()
        assert (version["major"], version["minor"]) == ("1", "34")
        assert version["gitVersion"].startswith("v1.34.")
        assert {"gitCommit", "gitTreeState", "buildDate", "goVersion", "compiler", "platform"} <= set(version)


def test_anonymous_gets_nothing_else(root: Client, vcp: Client) -> None:
    for client in (anonymous(root), anonymous(vcp)):
        for path in ("/", "/api", "/apis", "/metrics", "/openapi/v3", "/debug/pprof", "/cache", "/api/v1/namespaces", "/nothing"):
            client.get(path).fails(403, "Forbidden")
        client.as_user("wrong").get("/version").fails(401, "Unauthorized")


def test_metrics_are_in_root_for_who_may(root: Client, vcp: Client, server: Server) -> None:
    root.get("/api/v1/namespaces").ok()
    answer = root.get("/metrics")
    assert answer.code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    samples = dict(line.rsplit(" ", 1) for line in answer.body.decode().splitlines() if line and not line.startswith("#"))
    assert float(samples['kplane_requests_total{verb="list",group="core",code="200"}']) >= 1
    assert float(samples["process_resident_memory_bytes"]) > 1e6
    assert any(name.startswith("kplane_storage_") for name in samples)
    for line in answer.body.decode().splitlines():
        assert line.startswith("#") or len(line.rsplit(" ", 1)) == 2
    vcp.get("/metrics").fails(404, "NotFound")


def test_the_root_path_lists_paths(vcp: Client) -> None:
    paths = vcp.get("/").ok()["paths"]
    assert {"/api/v1", "/apis/apps/v1", "/readyz"} <= set(paths)


def test_each_control_plane_has_its_own_issuer(two_vcps: tuple[Client, Client]) -> None:
    found = []
    for client in two_vcps:
        issuer = client.get("/.well-known/openid-configuration").ok()
        assert issuer["issuer"].endswith(client.base.removeprefix("https://").split("/", 1)[1])
        found.append((issuer["issuer"], client.get("/openid/v1/jwks").body))
    assert found[0][0] != found[1][0]
    assert found[0][1] != found[1][1]


def test_answers_carry_an_audit_id_of_their_own(root: Client) -> None:
    first, second = root.get("/version"), root.get("/api/v1/nothing")
    assert first.headers["audit-id"] != second.headers["audit-id"]
    assert first.headers["cache-control"] == "no-cache, private"
