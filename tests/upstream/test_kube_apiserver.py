# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API server that kplane's is derived from, with our arguments, certificates, keys and tokens, on the real etcd."""

from __future__ import annotations

import base64
import http.client
import json
import re
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from components import KPLANE_FLAGS, NAMESPACE, Etcd, KubeApiServer, Secrets, program, settled
from support.client import Client, eventually
from support.server import unique

SERVER_NAME = f"kplane-apiserver.{NAMESPACE}.svc.cluster.local"
ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"


def test_every_rendered_flag_is_known(kube: KubeApiServer) -> None:
    """It started with them; and none of those that it knows is on its way out."""
    assert set(KPLANE_FLAGS) <= {argument.split("=")[0] for argument in kube.rendered_arguments}
    assert re.findall(r"Flag --\S+ has been deprecated.*", kube.log) == []
    assert kube.admin.get("/version").ok()["gitVersion"] == "v1.34.2"


def test_readiness_covers_etcd(kube: KubeApiServer) -> None:
    checks = kube.admin.get("/readyz?verbose").body.decode()
    assert "[+]etcd ok" in checks
    assert "[+]poststarthook/rbac/bootstrap-roles ok" in checks
    assert "[-]" not in checks


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz", "/version"])
def test_anybody_may_ask_for_health(kube: KubeApiServer, path: str) -> None:
    assert kube.anonymous.get(path).code == 200


CLOSED = ["/", "/api", "/apis", "/openapi/v2", "/openapi/v3", "/metrics", "/logs/", "/debug/pprof/", "/.well-known/openid-configuration"]
CLOSED += ["/api/v1/namespaces", "/api/v1/secrets", "/apis/rbac.authorization.k8s.io/v1/clusterroles"]


@pytest.mark.parametrize("path", CLOSED)
def test_anybody_may_ask_for_nothing_else(kube: KubeApiServer, path: str) -> None:
    kube.anonymous.get(path).fails(403, "Forbidden")


def test_wrong_tokens(kube: KubeApiServer) -> None:
    kube.anonymous.as_user("0" * 64).get("/readyz").fails(401, "Unauthorized")
    assert kube.admin.get("/debug/pprof/").code == 404


def connected(kube: KubeApiServer, context: ssl.SSLContext) -> http.client.HTTPResponse:
    connection = http.client.HTTPSConnection("127.0.0.1", int(kube.port), timeout=30, context=context)
    connection.request("GET", "/api/v1/namespaces")
    return connection.getresponse()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_tls(kube: KubeApiServer) -> None:
    """Verified by our authority and no other, at least 1.2."""
    ours = ssl.create_default_context(cadata=kube.anonymous.ca)
    assert connected(kube, ours).status == 403
    with pytest.raises(ssl.SSLCertVerificationError):
        connected(kube, ssl.create_default_context(cadata=kube.secrets["kplane-etcd-ca"]["data"]["ca.crt"]))
    old = ssl.create_default_context(cadata=kube.anonymous.ca)
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError, match=r"(?i)version|handshake"):
        connected(kube, old)


def test_the_certificate_for_kubelets_opens_nothing(kube: KubeApiServer, tmp_path: Path) -> None:
    """No certificate is a credential here: who reads that Secret is nobody."""
    pair = kube.secrets["kplane-kubelet-client"]["data"]
    (tmp_path / "pair").write_text(pair["client.crt"] + pair["client.key"])
    context = ssl.create_default_context(cadata=kube.anonymous.ca)
    context.load_cert_chain(str(tmp_path / "pair"))
    answer = connected(kube, context)
    assert answer.status == 403
    assert b"system:anonymous" in answer.read()


@pytest.fixture
def kubectl(kube: KubeApiServer, tmp_path: Path) -> Any:
    """kubectl with the kubeconfig of our Secret; only the address is another, as there is no Service here."""
    path = tmp_path / "kubeconfig"
    path.write_text(kube.secrets["apiserver-kubeconfig"]["data"]["kubeconfig"])
    assert "insecure" not in path.read_text()
    fixed = ["--kubeconfig", str(path), "--server", f"https://127.0.0.1:{kube.port}", "--tls-server-name"]

    def run(*arguments: str, name: str = SERVER_NAME) -> subprocess.CompletedProcess[str]:
        command = [program("kubectl"), *fixed, name, *arguments]
        return subprocess.run(command, env={"HOME": str(tmp_path)}, capture_output=True, text=True, timeout=120, check=False)

    return run


def test_our_kubeconfig(kubectl: Any) -> None:
    """It is verified under the name of the Service, it is the administrator, and under another name it is refused."""
    who = json.loads(kubectl("auth", "whoami", "-o", "json").stdout)["status"]["userInfo"]
    assert (who["username"], "system:masters" in who["groups"]) == ("kplane-admin", True)
    done = kubectl("create", "namespace", unique())
    assert done.returncode == 0, done.stderr
    assert "certificate" in kubectl("get", "namespaces", name="elsewhere.example.com").stderr


def test_rbac_decides(kube: KubeApiServer) -> None:
    """What is not granted is refused; a grant takes effect; nobody gives what he has not."""
    name = unique()
    admin = kube.admin
    user = {"Impersonate-User": name}
    assert admin.request("GET", "/api/v1/secrets", headers=user).code == 403
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}
    role = {"metadata": {"name": name}, "rules": [rule]}
    binding = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"}],
    }
    admin.post("/apis/rbac.authorization.k8s.io/v1/clusterroles", role).ok()
    admin.post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding).ok()
    review = {"spec": {"user": name, "resourceAttributes": {"verb": "list", "resource": "secrets"}}}

    def verdict() -> Any:
        status = admin.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", review).ok()["status"]
        return status["allowed"] and status["reason"]

    assert "RBAC" in eventually(verdict)
    assert admin.request("GET", "/api/v1/secrets", headers=user).code == 200
    assert admin.request("DELETE", "/api/v1/namespaces/default/secrets/x", headers=user).code == 403


def issued(admin: Client, account: str) -> str:
    token: str = admin.post(f"{ACCOUNTS}/{account}/token", {"spec": {"expirationSeconds": 3600}}).ok()["status"]["token"]
    return token


def name_of(client: Client) -> str:
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    name: str = client.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", review).ok()["status"]["userInfo"]["username"]
    return name


@pytest.fixture(scope="module")
def account(kube: KubeApiServer) -> str:
    name = unique()
    kube.admin.post(ACCOUNTS, {"metadata": {"name": name}}).ok()
    return name


def test_service_account_tokens(kube: KubeApiServer, account: str) -> None:
    """Signed by the key of the Secret, for the issuer of the arguments, and dead with their account."""
    token = issued(kube.admin, account)
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert claims["iss"] == f"https://{SERVER_NAME}:6443"
    assert claims["aud"] == [claims["iss"]]
    assert name_of(kube.anonymous.as_user(token)) == f"system:serviceaccount:default:{account}"
    other = unique()
    kube.admin.post(ACCOUNTS, {"metadata": {"name": other}}).ok()
    dead = issued(kube.admin, other)
    kube.admin.delete(f"{ACCOUNTS}/{other}").ok()
    # A token that was not seen before is not in the cache of the authenticator.
    kube.anonymous.as_user(dead).get("/api").fails(401, "Unauthorized")


@pytest.fixture(scope="module")
def rotated(kube: KubeApiServer) -> Secrets:
    return settled(kube.secrets, ("certificates", "service-account-keys", "administrator-token"))


@pytest.fixture(scope="module")
def successor(tmp_path_factory: pytest.TempPathFactory, rotated: Secrets, etcd: Etcd) -> Iterator[KubeApiServer]:
    """A replica of the same control plane, after a rotation of everything that can be."""
    made = KubeApiServer(tmp_path_factory.mktemp("rotated"), rotated, etcd)
    try:
        made.wait()
        yield made
    finally:
        made.stop()


def test_rotation_keeps_what_was_issued(kube: KubeApiServer, successor: KubeApiServer, account: str) -> None:
    """Tokens of accounts and the kubeconfig's authority outlive it; the administrator's old token does not."""
    name = f"system:serviceaccount:default:{account}"
    before, after = issued(kube.admin, account), issued(successor.admin, account)
    assert before.split(".")[0] != after.split(".")[0]
    assert name_of(successor.anonymous.as_user(before)) == name
    assert name_of(successor.anonymous.as_user(after)) == name
    assert successor.anonymous.ca == kube.anonymous.ca
    assert successor.secrets["kplane-apiserver-tls"] != kube.secrets["kplane-apiserver-tls"]
    successor.anonymous.as_user(kube.admin.token).get("/api").fails(401, "Unauthorized")


def test_the_overlap_ends(
    kube: KubeApiServer, rotated: Secrets, etcd: Etcd, account: str, tmp_path: Path, successor: KubeApiServer
) -> None:
    """A week later the retired key verifies nothing more."""
    before, after = issued(kube.admin, account), issued(successor.admin, account)
    keys = rotated["apiserver-serviceaccount-keys"]
    retired = json.loads(keys["annotations"]["core.kplane.dev/retired"])
    aged = {**keys, "annotations": {"core.kplane.dev/retired": json.dumps(dict.fromkeys(retired, "2020-01-01T00:00:00Z"))}}
    made = KubeApiServer(tmp_path, settled({**rotated, "apiserver-serviceaccount-keys": aged}), etcd)
    try:
        made.wait()
        assert name_of(made.anonymous.as_user(after)) == f"system:serviceaccount:default:{account}"
        made.anonymous.as_user(before).get("/api").fails(401, "Unauthorized")
    finally:
        made.stop()


def test_the_audit_policy(kube: KubeApiServer) -> None:
    """Who wrote what, without what it said; health checks are not in it."""
    name, secret = unique(), unique("never-shown")
    kube.admin.post("/api/v1/namespaces/default/secrets", {"metadata": {"name": name}, "stringData": {"key": secret}}).ok()
    kube.admin.get(f"/api/v1/namespaces/default/secrets/{name}").ok()
    events = [json.loads(line) for line in kube.log.splitlines() if line.startswith('{"kind":"Event"')]
    verbs = [event["verb"] for event in events if event.get("objectRef", {}).get("name") == name]
    assert sorted(set(verbs)) == ["create", "get"]
    assert secret not in kube.log
    assert base64.b64encode(secret.encode()).decode() not in kube.log
    assert not any(event["requestURI"].startswith(("/readyz", "/livez")) for event in events)
    assert all(event["level"] == "Metadata" for event in events)
