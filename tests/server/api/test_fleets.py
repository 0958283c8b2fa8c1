# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Fleet through the front door (reference test T15): members that can be used, scale, and an end that leaves nothing."""

from __future__ import annotations

from typing import Any

from support.client import eventually
from support.objects import config_map
from support.server import GROUP, Server, unique

FLEETS = "/apis/kplane.dev/v1/fleets"
MAPS = "/api/v1/namespaces/default/configmaps"


def test_a_fleet(server: Server) -> None:
    root, name = server.root, unique("flt")
    fleet = {"apiVersion": "kplane.dev/v1", "kind": "Fleet", "metadata": {"name": name}, "spec": {"replicas": 2}}
    root.post(FLEETS, fleet).ok()

    def ready(count: int) -> Any:
        status = root.get(f"{FLEETS}/{name}").ok().get("status", {})
        return status if status.get("readyReplicas") == len(status.get("members", ())) == count else None

    found = eventually(lambda: ready(2), 30, "two members")
    members = [member["clusterID"] for member in found["members"]]
    assert members == [f"{name}-0000", f"{name}-0001"]
    for member in members:  # ready is ready: what is made at once is kept
        server.vcp(member).post(MAPS, config_map("m")).ok()
    table = root.get(f"{FLEETS}/{name}", Accept="application/json;as=Table;v=v1;g=meta.k8s.io").ok()
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Desired", "Ready", "Age"]
    assert table["rows"][0]["cells"][:3] == [name, 2, 2]
    scaled = root.patch(f"{FLEETS}/{name}/scale", {"spec": {"replicas": 3}}).ok()
    assert scaled["spec"]["replicas"] == 3
    eventually(lambda: ready(3), 30, "three members")
    root.patch(f"{FLEETS}/{name}", {"spec": {"replicas": 1}}).ok()
    eventually(lambda: ready(1), 30, "one member")
    eventually(lambda: root.at(members[1]).get("/readyz").code == 404, 30, "the second is not served any more")
    assert server.vcp(members[0]).get(f"{MAPS}/m").code == 200, "the first is the one that it was"
    root.delete(f"{FLEETS}/{name}").ok()
    eventually(lambda: root.get(f"{GROUP}/controlplanes/{members[0]}").code == 404, 30, "no member is left")
    server.create_vcp("plain-of-" + name, deletionPolicy="Destroy").get("/apis/kplane.dev/v1").fails(404)
    server.delete_vcp("plain-of-" + name)
