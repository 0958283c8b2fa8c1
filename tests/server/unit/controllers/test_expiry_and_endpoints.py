# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mirrored EndpointSlices; what ends by itself: bootstrap tokens and signing requests."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from support.world import ADMIN, World

from kplane_server.access import bootstrap_tokens
from kplane_server.controllers.endpointmirroring import slices_of
from kplane_server.controllers.expiry import request_end
from kplane_server.model import timestamps
from kplane_server.model.errors import Forbidden, Unauthorized
from kplane_server.model.identity import UserInfo
from kplane_server.registry.options import RequestContext

Document = dict[str, Any]


@pytest.fixture(params=["root", "demo"])
async def vcp(request: pytest.FixtureRequest, world: World) -> str:
    name: str = request.param
    if name != "root":
        await world.control_plane(name)
    return name


# -- endpoints


def service(name: str = "db", **spec: Any) -> Document:
    spec = {"ports": [{"port": 5432}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"}, "spec": spec}


def endpoints(*addresses: str, name: str = "db", waiting: tuple[str, ...] = (), **metadata: Any) -> Document:
    subset = {
        "addresses": [{"ip": ip} for ip in addresses],
        "notReadyAddresses": [{"ip": ip} for ip in waiting],
        "ports": [{"name": "sql", "port": 5432, "protocol": "TCP"}],
    }
    subset = {key: value for key, value in subset.items() if value}
    return {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": name, "namespace": "default", **metadata}, "subsets": [subset]}


def mirrored(world: World, vcp: str = "root") -> list[Document]:
    return [
        world.read("EndpointSlice", name, "default", vcp) for name in world.names("EndpointSlice", "default", vcp) if name != "kubernetes"
    ]


async def test_endpoints_without_a_selector_are_mirrored(world: World, vcp: str) -> None:
    await world.create(endpoints("10.1.0.1", "fd00::1", waiting=("10.1.0.2",), labels={"a": "b"}), vcp)
    await world.settle()
    assert mirrored(world, vcp) == []  # no Service yet
    await world.create(service(), vcp)
    await world.settle(lambda: len(mirrored(world, vcp)) == 2)
    by_type = {document["addressType"]: document for document in mirrored(world, vcp)}
    four = by_type["IPv4"]
    assert [(e["addresses"], e["conditions"]["ready"]) for e in four["endpoints"]] == [(["10.1.0.1"], True), (["10.1.0.2"], False)]
    assert four["ports"] == [{"name": "sql", "port": 5432, "protocol": "TCP"}]
    assert four["metadata"]["labels"] == {
        "a": "b",
        "kubernetes.io/service-name": "db",
        "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io",
    }
    owner = world.read("Endpoints", "db", "default", vcp)["metadata"]["uid"]
    assert four["metadata"]["ownerReferences"][0]["uid"] == owner
    assert by_type["IPv6"]["endpoints"][0]["addresses"] == ["fd00::1"]


async def test_mirrors_follow_and_go(world: World, vcp: str) -> None:
    await world.create(service(), vcp)
    await world.create(endpoints("10.1.0.1"), vcp)
    await world.settle(lambda: len(mirrored(world, vcp)) == 1)
    (first,) = mirrored(world, vcp)
    subset = endpoints("10.1.0.7")["subsets"]
    await world.merge("Endpoints", "db", {"subsets": subset}, "default", vcp)
    await world.settle(lambda: mirrored(world, vcp)[0]["endpoints"][0]["addresses"] == ["10.1.0.7"])
    assert mirrored(world, vcp)[0]["metadata"]["name"] == first["metadata"]["name"]
    await world.delete("EndpointSlice", first["metadata"]["name"], "default", vcp)
    await world.settle(lambda: len(mirrored(world, vcp)) == 1)  # it comes back
    await world.merge("Service", "db", {"spec": {"selector": {"app": "db"}}}, "default", vcp)
    await world.settle(lambda: mirrored(world, vcp) == [])
    await world.merge("Service", "db", {"spec": {"selector": None}}, "default", vcp)
    await world.settle(lambda: len(mirrored(world, vcp)) == 1)
    await world.delete("Endpoints", "db", "default", vcp)
    await world.settle(lambda: mirrored(world, vcp) == [])


@pytest.mark.parametrize(
    "metadata",
    [
        {"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
        {"annotations": {"control-plane.alpha.kubernetes.io/leader": "{}"}},
    ],
)
async def test_some_endpoints_are_not_mirrored(world: World, metadata: Document) -> None:
    await world.create(service())
    await world.create(endpoints("10.1.0.1", **metadata))
    await world.settle()
    assert mirrored(world) == []


def test_many_addresses_are_cut_and_bad_ones_left_out() -> None:
    many = [{"ip": f"10.0.{i // 250}.{i % 250}"} for i in range(1200)]
    document = {"metadata": {"name": "x", "uid": "u"}, "subsets": [{"addresses": many}, {"addresses": [{"ip": "nonsense"}]}]}
    (found,) = slices_of(document)
    assert len(found["endpoints"]) == 1000
    split = {"metadata": {"name": "x", "uid": "u"}, "subsets": [{"addresses": many[:800]}, {"addresses": many[800:]}]}
    assert [len(s["endpoints"]) for s in slices_of(split)] == [1000, 200]


# -- bootstrap tokens


def token_secret(expires: str = "", name: str = "bootstrap-token-abcdef", **data: str) -> Document:
    fields = {"token-id": "abcdef", "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true", **data}
    if expires:
        fields["expiration"] = expires
    encoded = {key.replace("_", "-"): base64.b64encode(value.encode()).decode() for key, value in fields.items()}
    metadata = {"name": name, "namespace": "kube-system"}
    return {"apiVersion": "v1", "kind": "Secret", "type": bootstrap_tokens.SECRET_TYPE, "metadata": metadata, "data": encoded}


def identity(world: World, vcp: str, token: str = "abcdef.0123456789abcdef") -> UserInfo:
    found = world.directory.find(vcp)
    assert found is not None
    return found.authenticator.authenticate(f"Bearer {token}")


async def test_a_bootstrap_token_is_good_in_its_own_control_plane_until_it_ends(world: World) -> None:
    for name in ("a", "b"):
        await world.control_plane(name)
    ends = timestamps.from_epoch(world.clock() + 60)
    await world.create(token_secret(ends, auth_extra_groups="system:bootstrappers:workers"), "a")
    user = identity(world, "a")
    assert user == UserInfo(
        "system:bootstrap:abcdef", groups=("system:bootstrappers", "system:bootstrappers:workers", "system:authenticated")
    )
    for vcp, token in (("b", "abcdef.0123456789abcdef"), ("root", "abcdef.0123456789abcdef"), ("a", "abcdef.0123456789abcdee")):
        with pytest.raises(Unauthorized):
            identity(world, vcp, token)
    world.clock.now += 61
    with pytest.raises(Unauthorized):
        identity(world, "a")


@pytest.mark.parametrize(
    "data",
    [
        {"usage_bootstrap_authentication": "false"},
        {"token_id": "bbbbbb"},
        {"auth_extra_groups": "system:masters"},
        {"expires": "nonsense"},
    ],
)
async def test_secrets_that_make_no_token(world: World, data: dict[str, str]) -> None:
    await world.create(token_secret(data.get("expires", ""), **{k.replace("_", "-"): v for k, v in data.items() if k != "expires"}))
    with pytest.raises(Unauthorized):
        identity(world, "root")


async def test_expired_tokens_are_deleted(world: World, vcp: str) -> None:
    await world.create(token_secret("2020-01-01T00:00:00Z"), vcp)
    await world.create(token_secret("2099-01-01T00:00:00Z", "bootstrap-token-bbbbbb"), vcp)
    await world.settle(lambda: "bootstrap-token-abcdef" not in world.names("Secret", "kube-system", vcp))
    assert "bootstrap-token-bbbbbb" in world.names("Secret", "kube-system", vcp)


async def test_tokens_of_an_earlier_run_are_found(world: World) -> None:
    await world.control_plane("demo")
    await world.create(token_secret(timestamps.from_epoch(world.clock() + 3600)), "demo")
    await world.settle()
    world.clock.now += 3601
    await world.restart()
    await world.settle()
    await world.create(token_secret("2099-01-01T00:00:00Z", "bootstrap-token-bbbbbb"), "demo")
    await world.settle(lambda: "bootstrap-token-abcdef" not in world.names("Secret", "kube-system", "demo"))


# -- signing requests


def signing_request(name: str = "r", group: str = "dev", signer: str = "kubernetes.io/kube-apiserver-client") -> Document:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ann"), x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)])
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    spec = {"request": base64.b64encode(request.public_bytes(Encoding.PEM)).decode(), "signerName": signer, "usages": ["client auth"]}
    return {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": name}, "spec": spec}


async def approve(world: World, kind: str = "Approved", user: UserInfo = ADMIN) -> None:
    info = world.info("CertificateSigningRequest")
    document = world.read("CertificateSigningRequest", "r")
    document["status"] = {"conditions": [{"type": kind, "status": "True", "reason": "Test"}]}
    await world.api().update(info, "", "r", document, RequestContext(user), "approval")


async def test_a_request_that_was_denied_goes_after_an_hour(world: World) -> None:
    await world.create(signing_request())
    await approve(world, "Denied")
    conditions = world.read("CertificateSigningRequest", "r")["status"]["conditions"]
    assert conditions[0]["type"] == "Denied"
    assert request_end(world.read("CertificateSigningRequest", "r")) == world.clock() + 3600
    await world.settle()
    world.clock.now += 3601
    await world.restart()
    await world.settle(lambda: world.names("CertificateSigningRequest") == [])


def test_when_requests_end() -> None:
    made = {"metadata": {"creationTimestamp": "1970-01-01T00:00:00Z"}}
    assert request_end(made) == 24 * 3600
    approved = {"type": "Approved", "lastUpdateTime": "1970-01-01T00:00:00Z"}
    assert request_end({**made, "status": {"conditions": [approved]}}) is None
    start = datetime(2020, 1, 1, tzinfo=UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    certificate = builder.not_valid_before(start).not_valid_after(start + timedelta(hours=1)).sign(key, hashes.SHA256())
    issued = base64.b64encode(certificate.public_bytes(Encoding.PEM)).decode()
    later = {"type": "Approved", "lastUpdateTime": "2030-01-01T00:00:00Z"}
    assert request_end({**made, "status": {"conditions": [later], "certificate": issued}}) == (start + timedelta(hours=1)).timestamp()
    assert request_end({**made, "status": {"conditions": [approved], "certificate": issued}}) == 3600


async def test_only_who_holds_the_signer_approves(world: World) -> None:
    await world.create(signing_request())
    nobody = UserInfo("ann", groups=("system:authenticated",))
    with pytest.raises(Forbidden, match=r'user not permitted to approve requests with signerName "kubernetes\.io/kube-apiserver-client"'):
        await approve(world, user=nobody)
    rule = {"apiGroups": ["certificates.k8s.io"], "resources": ["signers"], "resourceNames": ["kubernetes.io/*"], "verbs": ["approve"]}
    group = "rbac.authorization.k8s.io"
    await world.create({"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": "signer"}, "rules": [rule]})
    reference = {"apiGroup": group, "kind": "ClusterRole", "name": "signer"}
    subjects = [{"apiGroup": group, "kind": "User", "name": "ann"}]
    metadata = {"name": "signer"}
    bound = {"apiVersion": f"{group}/v1", "kind": "ClusterRoleBinding", "metadata": metadata, "roleRef": reference, "subjects": subjects}
    await world.create(bound)
    await approve(world, user=nobody)


async def test_nobody_asks_to_be_a_master(world: World) -> None:
    why = r"use of kubernetes\.io/kube-apiserver-client signer with system:masters group is not allowed"
    with pytest.raises(Forbidden, match=why):
        await world.create(signing_request(group="system:masters"))
