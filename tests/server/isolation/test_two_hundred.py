# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""200 virtual control planes with a definition each (reference test T20), with a bound on memory where the reference only logs it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.client import Client, eventually
from support.objects import crd, widget
from support.server import GROUP, Server

PLANES = 200
WORKERS = 12  # as the reference test has
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"

#: Resident memory that a VCP with a definition of its own, just used, may cost; with all its caches warm (up to 512 are kept). The
#: measure is VmRSS of a server of this test's own, after the 200 and before the first; the reference system needs 0.8 to 3 MB.
MOST_KIB_EACH = 400


def resident(server: Server) -> int:
    """KiB."""
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_two_hundred_planes_with_a_definition_each(make_server: Callable[..., Server]) -> None:
    server = make_server().start()
    fill(server, "warm-up")  # what is loaded once for all
    before = resident(server)
    names = [f"p{number:03}" for number in range(PLANES)]
    with ThreadPoolExecutor(WORKERS) as pool:
        clients = dict(zip(names, pool.map(lambda name: fill(server, name), names), strict=True))
        wrong = [name for name, found in zip(names, pool.map(look, names, clients.values()), strict=True) if not found]
    assert wrong == []
    each = (resident(server) - before) / PLANES
    assert each < MOST_KIB_EACH, f"{each:.0f} KiB for each VCP"
    ready = server.root.get(f"{GROUP}/controlplanes?limit=500").ok()["items"]
    assert len(ready) == PLANES + 1


def fill(server: Server, name: str) -> Client:
    """A VCP, ready, with a definition that is its own, served in it, and an object of it."""
    client = server.create_vcp(name)
    assert client.get("/readyz").code == 200
    client.get("/api/v1/namespaces/default").ok()
    client.post(CRDS, crd(spec={f"only-{name}": {"type": "string"}, "of": {"type": "string", "enum": [name]}})).ok()

    def established() -> bool:
        conditions = client.get(f"{CRDS}/widgets.example.com").ok()["status"].get("conditions", [])
        return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)

    eventually(established, 20, f"the definition in {name}")
    eventually(lambda: client.get("/apis/example.com/v1").code == 200, 20)
    client.post(WIDGETS, widget("w", {"of": name})).ok()
    return client


def look(name: str, client: Client) -> bool:
    """Whether a VCP has its own, and nothing else, when all are there."""
    kinds = {row["kind"] for row in client.get("/apis/example.com/v1").ok()["resources"]}
    (only,) = client.get(WIDGETS).ok()["items"]
    strict = client.post(f"{WIDGETS}?fieldValidation=Strict&dryRun=All", widget("x", {f"only-{name}": "mine"}))
    foreign = client.post(f"{WIDGETS}?fieldValidation=Strict&dryRun=All", widget("x", {"only-warm-up": "another's"}))
    return kinds == {"Widget"} and only["spec"] == {"of": name} and (strict.code, foreign.code) == (201, 400)
