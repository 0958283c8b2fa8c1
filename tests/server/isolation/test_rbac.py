# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rights and identities of one VCP mean nothing in another (T2 to T5, T24 of the reference's suite, and what it leaves out)."""

from __future__ import annotations

from collections.abc import Callable

from support.client import Client, eventually
from support.objects import cluster_role, cluster_role_binding
from support.server import Server, unique

RBAC = "/apis/rbac.authorization.k8s.io/v1"
AUTHORIZATION = "/apis/authorization.k8s.io/v1"


def allowed(client: Client, user: str, verb: str = "list", resource: str = "secrets") -> bool:
    """What a SubjectAccessReview says of ``user``."""
    spec = {"user": user, "resourceAttributes": {"verb": verb, "resource": resource, "namespace": "default"}}
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
    answer: bool = client.post(f"{AUTHORIZATION}/subjectaccessreviews", body).ok()["status"]["allowed"]
    return answer


def token_for(client: Client, account: str = "default", namespace: str = "default", **spec: object) -> str:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    answer: str = client.post(f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token", body).ok()["status"]["token"]
    return answer


def authenticated(client: Client, token: str) -> bool:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    return bool(client.post("/apis/authentication.k8s.io/v1/tokenreviews", body).ok()["status"].get("authenticated"))


def test_a_role_bound_in_one_vcp_grants_nothing_elsewhere(two_vcps: tuple[Client, Client], root: Client) -> None:
    a, b = two_vcps
    for warm_first in (b, root):
        assert not allowed(warm_first, "alice")
    a.post(f"{RBAC}/clusterroles", cluster_role("reader", ["secrets"], ["get", "list"])).ok()
    a.post(f"{RBAC}/clusterrolebindings", cluster_role_binding("alice-reads", "reader", "alice")).ok()
    eventually(lambda: allowed(a, "alice"))
    assert not allowed(b, "alice")
    assert not allowed(root, "alice")
    # The same role in B, taken from A again: both caches are warm now, in both orders.
    b.post(f"{RBAC}/clusterroles", cluster_role("reader", ["secrets"], ["get", "list"])).ok()
    b.post(f"{RBAC}/clusterrolebindings", cluster_role_binding("alice-reads", "reader", "alice")).ok()
    a.delete(f"{RBAC}/clusterrolebindings/alice-reads").ok()
    eventually(lambda: not allowed(a, "alice"))
    assert allowed(b, "alice")


def test_a_token_is_known_only_where_it_was_issued(two_vcps: tuple[Client, Client], root: Client) -> None:
    a, b = two_vcps
    token_a, token_root = token_for(a), token_for(root)
    assert authenticated(a, token_a)
    assert authenticated(root, token_root)
    assert not authenticated(b, token_a)
    assert not authenticated(root, token_a)
    assert not authenticated(a, token_root)
    for elsewhere in (b, root):
        elsewhere.as_user(token_a).get("/api/v1/namespaces").fails(401, "Unauthorized")
    a.as_user(token_a).get("/api/v1/namespaces").fails(403, "Forbidden")


def test_a_vcp_administrator_is_nobody_elsewhere(two_vcps: tuple[Client, Client], root: Client) -> None:
    a, b = two_vcps
    b.as_user(a.token).get("/api/v1/secrets").fails(401, "Unauthorized")
    root.as_user(a.token).get("/api/v1/secrets").fails(401, "Unauthorized")
    a.as_user(root.token).get("/api/v1/secrets").fails(401, "Unauthorized")


def test_impersonation_stays_inside(two_vcps: tuple[Client, Client], root: Client) -> None:
    a, b = two_vcps
    masters = {"Impersonate-User": "system:apiserver", "Impersonate-Group": "system:masters"}
    extra = {"Impersonate-Extra-kplane.internal%2Fcross-cluster-read": "true"}
    b.post("/api/v1/namespaces/default/secrets", {"metadata": {"name": "of-b"}, "data": {}}).ok()
    listed = a.request("GET", "/api/v1/secrets", headers=masters | extra).ok()
    assert "of-b" not in [item["metadata"]["name"] for item in listed["items"]]
    # An identity without the right to impersonate may not.
    plain = a.as_user(token_for(a))
    plain.request("GET", "/api/v1/secrets", headers=masters).fails(403, "Forbidden")
    root.as_user(a.token).request("GET", "/api/v1/secrets", headers=masters).fails(401)


def test_rights_are_the_same_after_a_restart(make_server: Callable[..., Server]) -> None:
    server = make_server().start()
    a = server.create_vcp("a")
    a.post(f"{RBAC}/clusterroles", cluster_role("reader", ["secrets"], ["list"])).ok()
    a.post(f"{RBAC}/clusterrolebindings", cluster_role_binding("alice-reads", "reader", "alice")).ok()
    assert server.stop() == 0
    server.start()
    assert allowed(a, "alice")
    assert not allowed(server.root, "alice")
    server.root.get(f"{RBAC}/clusterroles/reader").fails(404, "NotFound")


def test_every_vcp_has_the_default_roles(vcp: Client) -> None:
    for role in ("cluster-admin", "admin", "edit", "view", "system:discovery", "system:basic-user"):
        assert vcp.get(f"{RBAC}/clusterroles/{role}").ok()["metadata"]["uid"]
    vcp.post(f"{RBAC}/clusterroles", cluster_role("mine", ["pods"], ["get"])).ok()


def test_anonymous_requests_see_health_and_version_only(server: Server, vcp: Client, root: Client) -> None:
    for client in (vcp.as_user(""), root.as_user("")):
        for path in ("/version", "/livez", "/readyz", "/healthz"):
            assert client.get(path).code == 200, path
        for path in ("/api/v1/namespaces", "/apis", "/api", "/openapi/v3", "/metrics", "/debug", "/logs", "/"):
            assert client.get(path).code in (401, 403, 404), path


def test_what_an_account_may_do_is_what_rbac_says(vcp: Client) -> None:
    account = unique("sa")
    vcp.post("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": account}}).ok()
    client = vcp.as_user(token_for(vcp, account))
    refused = client.get("/api/v1/namespaces/default/configmaps").fails(403, "Forbidden")
    assert f'User "system:serviceaccount:default:{account}" cannot list resource "configmaps"' in refused["message"]
    vcp.post(f"{RBAC}/clusterroles", cluster_role(account, ["configmaps"], ["list"])).ok()
    vcp.post(f"{RBAC}/clusterrolebindings", cluster_role_binding(account, account, accounts=(("default", account),))).ok()
    eventually(lambda: client.get("/api/v1/namespaces/default/configmaps").code == 200)
    client.post("/api/v1/namespaces/default/configmaps", {"metadata": {"name": "x"}}).fails(403)
    # A custom resource goes through the same chain: unknown to the role, so refused.
    client.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions").fails(403)


def test_a_token_dies_with_its_account(vcp: Client) -> None:
    account = unique("sa")
    path = "/api/v1/namespaces/default/serviceaccounts"
    vcp.post(path, {"metadata": {"name": account}}).ok()
    client = vcp.as_user(token_for(vcp, account))
    client.get("/api/v1/namespaces").fails(403)
    assert vcp.delete(f"{path}/{account}").code == 200
    eventually(lambda: client.get("/api/v1/namespaces").code == 401)
    # An account of the same name is somebody else.
    vcp.post(path, {"metadata": {"name": account}}).ok()
    client.get("/api/v1/namespaces").fails(401)
