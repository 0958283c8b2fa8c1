# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What custom resources, server-side apply and webhooks cost."""

from __future__ import annotations

import itertools
import json
import statistics
import time
from pathlib import Path

import uvloop
from support.client import Client
from support.objects import config_map, crd
from support.server import Server
from support.webhook import WebhookServer, admission

from benchmarks import load
from benchmarks.report import Figure
from benchmarks.target import endpoint

DEFINITIONS, APPLIES, APPLIERS, CALLS = 20, 5_000, 16, 300
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
MAPS = "/api/v1/namespaces/default/configmaps"


def measure(folder: Path) -> list[Figure]:
    server = Server(folder / "data", options=("--outbound-allow", "loopback", "--outbound-allow", "own"))
    try:
        server.start(120)
        return [_publication(server.create_vcp("crds")), _applies(server.create_vcp("apply")), _webhook(server.create_vcp("hooks"), folder)]
    finally:
        server.stop(60)


def _publication(vcp: Client) -> Figure:
    """From sending a definition until discovery and OpenAPI show it."""
    seconds = []
    for number in range(DEFINITIONS):
        group = f"g{number}.example.com"
        began = time.perf_counter()
        vcp.post(CRDS, crd(group=group)).ok()
        while vcp.get(f"/apis/{group}/v1").code != 200 or f"apis/{group}/v1" not in vcp.get("/openapi/v3").ok()["paths"]:
            pass
        seconds.append(time.perf_counter() - began)
    text = f"p50 {statistics.median(seconds) * 1e3:.0f} ms, worst {max(seconds) * 1e3:.0f} ms (3 requests on new connections)"
    return Figure("CRD until discovery and OpenAPI show it", "<= 1 s", text)


def _applies(vcp: Client) -> Figure:
    """Server-side apply: every second one creates, the other changes."""
    host, port, tls, token, base = endpoint(vcp)
    numbers = itertools.count()

    def apply() -> tuple[str, str, bytes] | None:
        number = next(numbers)
        if number >= APPLIES:
            return None
        name = f"a{number // 2}"
        body = config_map(name, {"turn": str(number)}) | {"apiVersion": "v1", "kind": "ConfigMap"}
        return "PATCH", f"{base}{MAPS}/{name}?fieldManager=bench&force=true", json.dumps(body).encode()

    outcome = uvloop.run(load.run(host, port, tls, token, [apply] * APPLIERS, content_type="application/apply-patch+yaml"))
    failed = sum(count for code, count in outcome.codes.items() if code >= 400)
    text = f"{outcome.rate:,.0f}/s, p50 {outcome.percentile(0.5) * 1e3:.1f} ms" + (
        f", {failed} FAILED: {outcome.sample[:200]!r}" if failed else ""
    )
    return Figure(f"server-side apply, {APPLIERS} writers", "", text)


def _webhook(vcp: Client, folder: Path) -> Figure:
    """One validating webhook, against none: a create at a time."""

    def creates(prefix: str) -> float:
        host, port, tls, token, base = endpoint(vcp)
        numbers = itertools.count()

        def create() -> tuple[str, str, bytes] | None:
            number = next(numbers)
            return ("POST", base + MAPS, json.dumps(config_map(f"{prefix}{number}")).encode()) if number < CALLS else None

        return uvloop.run(load.run(host, port, tls, token, [create])).percentile(0.5)

    without = creates("plain")
    hook = WebhookServer(folder)
    try:
        webhook = {
            "name": "bench.example.com",
            "clientConfig": hook.at("/allow", lambda review: admission(review)),
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }
        configuration = {"metadata": {"name": "bench"}, "webhooks": [webhook]}
        vcp.post("/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", configuration).ok()
        creates("warm")
        having = creates("hooked")
    finally:
        hook.close()
    return Figure("CREATE with one validating webhook", "", f"p50 {having * 1e3:.1f} ms, {without * 1e3:.1f} ms without")
