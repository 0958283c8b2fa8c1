# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ValidatingAdmissionPolicies through the front door."""

from __future__ import annotations

from typing import Any

from support.client import Client, eventually
from support.objects import config_map

MAPS = "/api/v1/namespaces/default/configmaps"
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
RULES = [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE", "UPDATE"]}]


def policy(name: str, *validations: dict[str, Any], **spec: Any) -> dict[str, Any]:
    body = {"matchConstraints": {"resourceRules": RULES}, "validations": list(validations), **spec}
    return {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name}, "spec": body}


def binding(name: str, of: str, *actions: str) -> dict[str, Any]:
    body = {"policyName": of, "validationActions": list(actions)}
    kind = "ValidatingAdmissionPolicyBinding"
    return {"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "spec": body}


def test_a_policy_refuses_until_its_binding_goes(vcp: Client) -> None:
    rule = {"expression": "object.metadata.name.startsWith('ok')", "messageExpression": "'not ' + object.metadata.name"}
    vcp.post(POLICIES, policy("names", rule)).ok()
    vcp.post(MAPS, config_map("before", {})).ok()
    vcp.post(BINDINGS, binding("everywhere", "names", "Deny")).ok()
    refused = vcp.post(MAPS, config_map("bad", {})).fails(422, "Invalid")
    why = "ValidatingAdmissionPolicy 'names' with binding 'everywhere' denied request: not bad"
    assert refused["message"] == f'configmaps "bad" is forbidden: {why}'
    assert refused["details"]["causes"] == [{"message": why}]
    vcp.post(f"{MAPS}?dryRun=All", config_map("bad", {})).fails(422, "Invalid")
    vcp.post(MAPS, config_map("ok", {})).ok()
    vcp.apply(f"{MAPS}/bad", config_map("bad", {})).fails(422, "Invalid")
    vcp.patch(f"{MAPS}/before", {"data": {"a": "b"}}).fails(422, "Invalid")
    vcp.delete(f"{BINDINGS}/everywhere").ok()
    vcp.post(MAPS, config_map("bad", {})).ok()


def test_warnings_are_headers(vcp: Client) -> None:
    vcp.post(POLICIES, policy("empty", {"expression": "size(object.data) > 0", "message": "empty"})).ok()
    vcp.post(BINDINGS, binding("b", "empty", "Warn")).ok()
    answer = vcp.post(MAPS, config_map("m", {}))
    answer.ok()
    assert "Validation failed for ValidatingAdmissionPolicy 'empty' with binding 'b': empty" in answer.headers["warning"]


def test_types_are_checked(vcp: Client) -> None:
    vcp.post(POLICIES, policy("types", {"expression": "object.dat.a == 'x'"})).ok()
    found = eventually(lambda: vcp.get(f"{POLICIES}/types").ok().get("status", {}).get("typeChecking"), what="the status")
    assert "v1, Kind=ConfigMap: ERROR: <input>:1:7: undefined field 'dat'" in found["expressionWarnings"][0]["warning"]


def test_the_authority_of_the_user_who_asks(vcp: Client) -> None:
    ask = "authorizer.group('').resource('secrets').namespace('default').check('get').allowed()"
    vcp.post(POLICIES, policy("secrets", {"expression": ask, "reason": "Forbidden"})).ok()
    vcp.post(BINDINGS, binding("b", "secrets", "Deny")).ok()
    vcp.post(MAPS, config_map("m", {})).ok()
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "maps"}}
    role["rules"] = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}]  # type: ignore[assignment]
    vcp.post("/apis/rbac.authorization.k8s.io/v1/clusterroles", role).ok()
    subjects = [{"kind": "User", "name": "ann", "apiGroup": "rbac.authorization.k8s.io"}]
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "maps"}
    bound = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "maps"}}
    vcp.post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", {**bound, "subjects": subjects, "roleRef": reference}).ok()
    as_ann = {"Impersonate-User": "ann"}
    refused = vcp.request("POST", MAPS, config_map("n", {}), as_ann).fails(403, "Forbidden")
    assert "failed expression: authorizer" in refused["message"]


def test_policies_of_one_name_elsewhere(two_vcps: tuple[Client, Client]) -> None:
    for client, limit in zip(two_vcps, (1, 2), strict=True):
        client.post(POLICIES, policy("p", {"expression": f"size(object.data) <= {limit}"})).ok()
        client.post(BINDINGS, binding("b", "p", "Deny")).ok()
    a, b = two_vcps
    for name in ("x", "y"):
        a.post(MAPS, config_map(name, {"a": "1", "b": "2"})).fails(422, "Invalid")
        b.post(MAPS, config_map(name, {"a": "1", "b": "2"})).ok()
        b.post(MAPS, config_map(name + "3", {"a": "1", "b": "2", "c": "3"})).fails(422, "Invalid")


def _allow(vcp: Client, user: str, name: str, *rules: dict[str, Any]) -> None:
    head = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": name}}
    vcp.post("/apis/rbac.authorization.k8s.io/v1/clusterroles", {**head, "kind": "ClusterRole", "rules": list(rules)}).ok()
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    subjects = [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}]
    bound = {**head, "kind": "ClusterRoleBinding", "subjects": subjects, "roleRef": reference}
    vcp.post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", bound).ok()


def test_who_writes_a_policy_may_read_its_parameters(vcp: Client) -> None:
    _allow(vcp, "ann", "policies", {"apiGroups": ["admissionregistration.k8s.io"], "resources": ["*"], "verbs": ["*"]})
    ann = {"Impersonate-User": "ann"}
    rule = {"expression": "params.data.max == '1'"}
    with_secrets = policy("p", rule, paramKind={"apiVersion": "v1", "kind": "Secret"})
    refused = vcp.request("POST", POLICIES, with_secrets, ann).fails(422, "Invalid")
    needed = 'user ann must have "get" permission on all objects of the referenced paramKind (kind=Secret, apiVersion=v1)'
    cause = {"reason": "FieldValueForbidden", "message": f"Forbidden: {needed}", "field": "spec.paramKind"}
    assert refused["details"]["causes"] == [cause]
    vcp.request("POST", POLICIES, policy("plain", rule | {"expression": "true"}), ann).ok()
    unknown = policy("q", rule, paramKind={"apiVersion": "example.com/v1", "kind": "Nothing"})
    vcp.request("POST", POLICIES, unknown, ann).fails(422, "Invalid")

    vcp.post(POLICIES, with_secrets).ok()
    patching = {**ann, "Content-Type": "application/merge-patch+json"}
    vcp.request("PATCH", f"{POLICIES}/p", {"metadata": {"labels": {"a": "b"}}}, patching).ok()
    changed = {"spec": {"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}}}
    vcp.request("PATCH", f"{POLICIES}/p", changed, patching).fails(422, "Invalid")

    named = binding("b", "p", "Deny")
    named["spec"]["paramRef"] = {"name": "limits", "namespace": "default", "parameterNotFoundAction": "Deny"}
    refused = vcp.request("POST", BINDINGS, named, ann).fails(422, "Invalid")
    why = 'Forbidden: user ann does not have "get" permission on the object referenced by paramRef'
    assert refused["details"]["causes"] == [{"reason": "FieldValueForbidden", "message": why, "field": "spec.paramRef"}]
    _allow(vcp, "ann", "limits", {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["limits"], "verbs": ["get"]})
    made = vcp.request("POST", BINDINGS, named, ann).ok()
    made["spec"]["paramRef"] = {"selector": {}, "parameterNotFoundAction": "Deny"}
    refused = vcp.request("PUT", f"{BINDINGS}/b", made, ann).fails(422, "Invalid")
    assert 'does not have "list" permission' in refused["message"]
    made["spec"] |= {"policyName": "gone"}
    refused = vcp.request("PUT", f"{BINDINGS}/b", made, ann).fails(422, "Invalid")
    assert "unable to get policy gone to determine minimum required permissions" in refused["message"]
    _allow(vcp, "ann", "secrets", {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]})
    vcp.request("POST", POLICIES, policy("r", rule, paramKind={"apiVersion": "v1", "kind": "Secret"}), ann).ok()
    mutating = "/apis/admissionregistration.k8s.io/v1beta1/mutatingadmissionpolicies"
    document = policy("m", rule, paramKind={"apiVersion": "v1", "kind": "ConfigMap"})
    del document["spec"]["validations"]
    document["spec"] |= {"reinvocationPolicy": "Never", "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": "[]"}}]}
    document |= {"apiVersion": "admissionregistration.k8s.io/v1beta1", "kind": "MutatingAdmissionPolicy"}
    vcp.request("POST", mutating, document, ann).fails(422, "Invalid")
    vcp.post(mutating, document).ok()
