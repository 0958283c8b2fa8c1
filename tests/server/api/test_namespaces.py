# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Namespaces as they are born."""

from __future__ import annotations

from support.client import Client
from support.objects import namespace


def test_nobody_sees_a_namespace_without_its_account_and_the_ca(vcp: Client) -> None:
    pattern = vcp.get("/api/v1/namespaces/kube-system/configmaps/kube-root-ca.crt").ok()
    for number in range(40):
        name = f"n{number}"
        made = vcp.post("/api/v1/namespaces", namespace(name)).ok()
        maps = vcp.get(f"/api/v1/namespaces/{name}/configmaps").ok()["items"]
        accounts = vcp.get(f"/api/v1/namespaces/{name}/serviceaccounts").ok()["items"]
        assert [item["metadata"]["name"] for item in maps] == ["kube-root-ca.crt"]
        assert [item["metadata"]["name"] for item in accounts] == ["default"]
        assert maps[0]["data"] == pattern["data"]
        assert maps[0]["metadata"]["annotations"] == pattern["metadata"]["annotations"]
        revisions = {int(item["metadata"]["resourceVersion"]) for item in (made, *maps, *accounts)}
        assert max(revisions) - min(revisions) == 2, "one commit"


def test_a_dry_run_makes_none_of_it(vcp: Client) -> None:
    vcp.post("/api/v1/namespaces?dryRun=All", namespace("dry")).ok()
    vcp.get("/api/v1/namespaces/dry").fails(404, "NotFound")
    vcp.get("/api/v1/namespaces/dry/configmaps/kube-root-ca.crt").fails(404, "NotFound")
    assert "dry" not in {item["metadata"]["namespace"] for item in vcp.get("/api/v1/serviceaccounts").ok()["items"]}
