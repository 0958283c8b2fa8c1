# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ResourceQuotas and LimitRanges through the front door."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from support.client import Client, Response, eventually
from support.objects import config_map

CORE = "/api/v1/namespaces/default"


def quota(name: str, **hard: str) -> dict[str, Any]:
    limits = {key.replace("_", "."): value for key, value in hard.items()}
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": name}, "spec": {"hard": limits}}


def pod(name: str, **resources: Any) -> dict[str, Any]:
    container = {"name": "c", "image": "i", "resources": resources}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container]}}


def used(client: Client, name: str = "q") -> dict[str, str]:
    found: dict[str, str] = client.get(f"{CORE}/resourcequotas/{name}").ok().get("status", {}).get("used", {})
    return found


def test_the_third_pod_of_two(vcp: Client) -> None:
    vcp.post(f"{CORE}/resourcequotas", quota("q", pods="2")).ok()
    for name in ("a", "b"):
        vcp.post(f"{CORE}/pods", pod(name)).ok()
    refused = vcp.post(f"{CORE}/pods", pod("c")).fails(403, "Forbidden")
    assert refused["message"] == 'pods "c" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2'
    assert refused["details"] == {"name": "c", "kind": "pods"}
    vcp.delete(f"{CORE}/pods/a").ok()
    eventually(lambda: used(vcp) == {"pods": "1"}, what="the pod is given back")
    vcp.post(f"{CORE}/pods", pod("c")).ok()


def test_64_at_once_at_the_limit(vcp: Client) -> None:
    vcp.post(f"{CORE}/resourcequotas", quota("q", configmaps="11")).ok()

    def create(number: int) -> Response:
        return vcp.post(f"{CORE}/configmaps", config_map(f"m{number}", {}))

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(create, range(64)))
    codes = [answer.code for answer in answers]
    assert (codes.count(201), codes.count(403)) == (10, 54)  # kube-root-ca.crt is the eleventh
    assert used(vcp) == {"configmaps": "11"}
    for number in range(64):
        if codes[number] == 201:
            vcp.delete(f"{CORE}/configmaps/m{number}").ok()
    eventually(lambda: used(vcp) == {"configmaps": "1"}, what="all are given back")


def test_the_namespace_goes_with_its_quota(vcp: Client) -> None:
    vcp.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gone"}}).ok()
    path = "/api/v1/namespaces/gone"
    vcp.post(f"{path}/resourcequotas", quota("q", configmaps="5", secrets="5")).ok()
    for number in range(3):
        vcp.post(f"{path}/configmaps", config_map(f"m{number}", {})).ok()
    vcp.delete(path).ok()
    eventually(lambda: vcp.get(path).code == 404, what="the namespace is gone")


def test_a_quota_of_the_same_name_elsewhere(two_vcps: tuple[Client, Client]) -> None:
    a, b = two_vcps
    a.post(f"{CORE}/resourcequotas", quota("q", configmaps="2")).ok()
    b.post(f"{CORE}/resourcequotas", quota("q", configmaps="3")).ok()
    for client, room in ((a, 1), (b, 2)):
        for number in range(room):
            client.post(f"{CORE}/configmaps", config_map(f"m{number}", {})).ok()
        client.post(f"{CORE}/configmaps", config_map("more", {})).fails(403, "Forbidden")
    assert (used(a), used(b)) == ({"configmaps": "2"}, {"configmaps": "3"})


def test_limits_fill_in_and_refuse(vcp: Client) -> None:
    limits = [{"type": "Container", "default": {"cpu": "200m"}, "max": {"cpu": "1"}}]
    vcp.post(f"{CORE}/limitranges", {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "l"}, "spec": {"limits": limits}}).ok()
    made = vcp.post(f"{CORE}/pods", pod("a")).ok()
    assert made["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "200m"}, "requests": {"cpu": "200m"}}
    refused = vcp.post(f"{CORE}/pods", pod("b", limits={"cpu": "2"})).fails(403, "Forbidden")
    assert refused["message"] == 'pods "b" is forbidden: maximum cpu usage per Container is 1, but limit is 2'
