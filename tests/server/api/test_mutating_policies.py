# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MutatingAdmissionPolicies through the front door."""

from __future__ import annotations

from typing import Any

from support.client import Client
from support.objects import config_map

GROUP = "admissionregistration.k8s.io/v1beta1"
MAPS = "/api/v1/namespaces/default/configmaps"
POLICIES = f"/apis/{GROUP}/mutatingadmissionpolicies"
BINDINGS = f"/apis/{GROUP}/mutatingadmissionpolicybindings"
RULES = [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE", "UPDATE"]}]


def policy(name: str, *mutations: dict[str, Any], **spec: Any) -> dict[str, Any]:
    body = {"matchConstraints": {"resourceRules": RULES}, "mutations": list(mutations), "reinvocationPolicy": "Never", **spec}
    return {"apiVersion": GROUP, "kind": "MutatingAdmissionPolicy", "metadata": {"name": name}, "spec": body}


def binding(name: str, of: str, **spec: Any) -> dict[str, Any]:
    kind = "MutatingAdmissionPolicyBinding"
    return {"apiVersion": GROUP, "kind": kind, "metadata": {"name": name}, "spec": {"policyName": of, **spec}}


def json_patch(expression: str) -> dict[str, Any]:
    return {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}


def configuration(expression: str) -> dict[str, Any]:
    return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}


def label(value: str) -> dict[str, Any]:
    return configuration(f'Object{{metadata: Object.metadata{{labels: {{"made-by": "{value}"}}}}}}')


def test_a_policy_changes_what_is_written(vcp: Client) -> None:
    vcp.post(POLICIES, policy("labels", label("policy"))).ok()
    assert "labels" not in vcp.post(MAPS, config_map("before", {})).ok()["metadata"]
    vcp.post(BINDINGS, binding("b", "labels")).ok()
    assert vcp.post(MAPS, config_map("m", {})).ok()["metadata"]["labels"] == {"made-by": "policy"}
    assert vcp.get(f"{MAPS}/m").ok()["metadata"]["labels"] == {"made-by": "policy"}
    assert vcp.patch(f"{MAPS}/before", {"data": {"a": "b"}}).ok()["metadata"]["labels"] == {"made-by": "policy"}
    vcp.delete(f"{BINDINGS}/b").ok()
    assert "labels" not in vcp.post(MAPS, config_map("after", {})).ok()["metadata"]


def test_dry_run_shows_the_change_and_stores_nothing(vcp: Client) -> None:
    vcp.post(POLICIES, policy("labels", label("policy"))).ok()
    vcp.post(BINDINGS, binding("b", "labels")).ok()
    assert vcp.post(f"{MAPS}?dryRun=All", config_map("m", {})).ok()["metadata"]["labels"] == {"made-by": "policy"}
    vcp.get(f"{MAPS}/m").fails(404, "NotFound")


def test_json_patches_take_their_values_from_parameters(vcp: Client) -> None:
    vcp.post(MAPS, config_map("settings", {"tier": "gold"})).ok()
    patch = '[JSONPatch{op: "add", path: "/data/" + jsonpatch.escapeKey("tier"), value: params.data.tier}]'
    spec = {"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}}
    vcp.post(POLICIES, policy("tiers", json_patch(patch), **spec)).ok()
    reference = {"name": "settings", "namespace": "default", "parameterNotFoundAction": "Deny"}
    vcp.post(BINDINGS, binding("b", "tiers", paramRef=reference)).ok()
    assert vcp.post(MAPS, config_map("m", {"a": "b"})).ok()["data"] == {"a": "b", "tier": "gold"}


def test_a_patch_that_does_not_apply_refuses(vcp: Client) -> None:
    vcp.post(POLICIES, policy("broken", json_patch('[JSONPatch{op: "remove", path: "/data/missing"}]'))).ok()
    vcp.post(BINDINGS, binding("b", "broken")).ok()
    refused = vcp.post(MAPS, config_map("m", {"a": "b"})).fails(403, "Invalid")
    assert refused["message"].startswith("policy 'broken' with binding 'b' denied request: JSON Patch: error in remove for path:")
    assert refused["details"]["causes"] == [{"message": refused["message"]}]
    lenient = policy("broken", json_patch('[JSONPatch{op: "remove", path: "/data/missing"}]'), failurePolicy="Ignore")
    version = vcp.get(f"{POLICIES}/broken").ok()["metadata"]["resourceVersion"]
    lenient["metadata"]["resourceVersion"] = version
    vcp.put(f"{POLICIES}/broken", lenient).ok()
    vcp.post(MAPS, config_map("m", {"a": "b"})).ok()


def test_policies_of_one_name_elsewhere(two_vcps: tuple[Client, Client]) -> None:
    for client, value in zip(two_vcps, ("one", "two"), strict=True):
        client.post(POLICIES, policy("p", label(value))).ok()
        client.post(BINDINGS, binding("b", "p")).ok()
    for name in ("x", "y"):  # cold, then warm
        for client, value in zip(two_vcps, ("one", "two"), strict=True):
            assert client.post(MAPS, config_map(name, {})).ok()["metadata"]["labels"] == {"made-by": value}
    first, second = two_vcps
    first.delete(f"{POLICIES}/p").ok()
    assert "labels" not in first.post(MAPS, config_map("z", {})).ok()["metadata"]
    assert second.post(MAPS, config_map("z", {})).ok()["metadata"]["labels"] == {"made-by": "two"}


def test_where_they_are_served(vcp: Client) -> None:
    """At v1beta1 only, with no other beta beside them; v1 stays the preferred version of the group."""
    group = vcp.get("/apis/admissionregistration.k8s.io").ok()
    assert [version["version"] for version in group["versions"]] == ["v1", "v1beta1"]
    assert group["preferredVersion"]["version"] == "v1"
    served = {row["name"] for row in vcp.get(f"/apis/{GROUP}").ok()["resources"]}
    assert served == {"mutatingadmissionpolicies", "mutatingadmissionpolicybindings"}
    assert f"apis/{GROUP}" in vcp.get("/openapi/v3").ok()["paths"]
    schemas = vcp.get(f"/openapi/v3/apis/{GROUP}").ok()["components"]["schemas"]
    assert "io.k8s.api.admissionregistration.v1beta1.MutatingAdmissionPolicy" in schemas
    betas = [
        version["groupVersion"]
        for found in vcp.get("/apis").ok()["groups"]
        for version in found["versions"]
        if "alpha" in version["version"] or "beta" in version["version"]
    ]
    assert betas == [GROUP]
    vcp.get("/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies").fails(404, "NotFound")
    vcp.get("/apis/admissionregistration.k8s.io/v1beta1/validatingadmissionpolicies").fails(404, "NotFound")


def test_they_are_shown_as_tables(vcp: Client) -> None:
    vcp.post(POLICIES, policy("labels", label("x"), label("y"))).ok()
    vcp.post(BINDINGS, binding("b", "labels")).ok()
    headers = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    table = vcp.request("GET", POLICIES, None, headers).ok()
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Mutations", "ParamKind", "Age"]
    assert table["rows"][0]["cells"][:3] == ["labels", 2, "<unset>"]
    table = vcp.request("GET", BINDINGS, None, headers).ok()
    assert table["rows"][0]["cells"][:3] == ["b", "labels", "<unset>"]
