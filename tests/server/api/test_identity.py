# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Token issuers, bootstrap tokens, and Endpoints that become EndpointSlices, through the front door."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

from support.client import Client, eventually

DISCOVERY = "/.well-known/openid-configuration"


def service_account_token(client: Client) -> str:
    token: str = client.post("/api/v1/namespaces/default/serviceaccounts/default/token", {"spec": {}}).ok()["status"]["token"]
    return token


def test_issuer_discovery_is_for_service_accounts_and_tells_of_the_own_keys(two_vcps: tuple[Client, Client]) -> None:
    keys: list[set[str]] = []
    for client in two_vcps:
        replace(client, token="").get(DISCOVERY).fails(403, "Forbidden")
        account = client.as_user(service_account_token(client))
        document = account.get(DISCOVERY).ok()
        assert document["issuer"] == client.base
        assert document["jwks_uri"] == f"{client.base}/openid/v1/jwks"
        assert document["id_token_signing_alg_values_supported"] == ["ES256"]
        answer = account.get("/openid/v1/jwks")
        assert answer.headers["content-type"].startswith("application/jwk-set+json")
        keys.append({key["kid"] for key in answer.ok()["keys"]})
    assert keys[0]
    assert not keys[0] & keys[1]


def test_a_bootstrap_token_joins_its_own_vcp_only(two_vcps: tuple[Client, Client]) -> None:
    a, b = two_vcps
    fields = {"token-id": "abcdef", "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true"}
    data = {key: base64.b64encode(value.encode()).decode() for key, value in fields.items()}
    metadata = {"name": "bootstrap-token-abcdef"}
    secret: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "bootstrap.kubernetes.io/token",
        "metadata": metadata,
        "data": data,
    }
    a.post("/api/v1/namespaces/kube-system/secrets", secret).ok()
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    joined = a.as_user("abcdef.0123456789abcdef").post(path, review).ok()
    assert joined["status"]["userInfo"]["username"] == "system:bootstrap:abcdef"
    assert joined["status"]["userInfo"]["groups"] == ["system:bootstrappers", "system:authenticated"]
    b.as_user("abcdef.0123456789abcdef").post(path, review).fails(401, "Unauthorized")
    a.delete("/api/v1/namespaces/kube-system/secrets/bootstrap-token-abcdef").ok()
    a.as_user("abcdef.0123456789abcdef").post(path, review).fails(401, "Unauthorized")


def test_endpoints_are_mirrored_in_their_own_vcp(two_vcps: tuple[Client, Client]) -> None:
    a, b = two_vcps
    core = "/api/v1/namespaces/default"
    for client, address in ((a, "10.9.0.1"), (b, "10.9.0.2")):
        service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "db"}, "spec": {"ports": [{"port": 5432}]}}
        client.post(f"{core}/services", service).ok()
        subsets = [{"addresses": [{"ip": address}], "ports": [{"port": 5432}]}]
        client.post(f"{core}/endpoints", {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "db"}, "subsets": subsets}).ok()
    path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Ddb"
    for client, address in ((a, "10.9.0.1"), (b, "10.9.0.2")):

        def found(client: Client = client) -> Any:
            return client.get(path).ok()["items"]

        (slice_,) = eventually(found, what="the mirror")
        assert slice_["endpoints"][0]["addresses"] == [address]
    a.delete(f"{core}/services/db").ok()
    eventually(lambda: not a.get(path).ok()["items"], what="the mirror goes")
    assert len(b.get(path).ok()["items"]) == 1
