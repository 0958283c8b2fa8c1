# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
from datetime import timedelta

import pytest

pytest.importorskip("cryptography")

from ansible_collections.kplane.core.plugins.module_utils import _pki, _yaml
from ansible_collections.kplane.core.plugins.module_utils import _stack_secrets as secrets
from ansible_collections.kplane.core.plugins.module_utils._contract import CA_SECRET
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError
from ansible_collections.kplane.core.plugins.module_utils._stack_held import Held, Rotation, checksum, decode, encode

WANTED = secrets.Wanted("kplane-system", ("127.0.0.1", "kplane.example.com"))


@pytest.fixture(scope="module")
def first():
    return secrets.settle({}, WANTED)


def test_all_are_made_once(first):
    assert set(first.held) == set(first.reasons) == set(secrets.NAMES)
    again = secrets.settle(first.held, WANTED)
    assert again.reasons == {}
    assert again.held == first.held


def test_what_the_api_keeps_is_what_was_made(first):
    for name, held in first.held.items():
        assert decode(encode(name, "ns", held)) == held


def test_a_name_that_is_missing_makes_one_certificate_anew(first):
    again = secrets.settle(first.held, WANTED._replace(names=("127.0.0.1", "other.example.com")))
    assert again.reasons == {secrets.API_TLS_SECRET: "it does not name other.example.com"}
    assert again.held[CA_SECRET] == first.held[CA_SECRET]


def test_the_domain_of_the_cluster_is_in_every_name(first):
    """etcd's members and the operator call each other by their whole names."""
    again = secrets.settle(first.held, WANTED._replace(domain="example.internal"))
    assert set(again.reasons) == {secrets.API_TLS_SECRET, secrets.ETCD_SECRET, secrets.KUBECONFIG_SECRET}
    assert "kplane-etcd-0.kplane-etcd-peers.kplane-system.svc.example.internal" in again.reasons[secrets.ETCD_SECRET]
    assert "https://kplane-apiserver.kplane-system.svc.example.internal:6443" in again.held[secrets.KUBECONFIG_SECRET].data["kubeconfig"]


def test_certificates_are_renewed_before_they_end(first):
    again = secrets.settle(first.held, WANTED._replace(renew_before=timedelta(days=400)))
    assert set(again.reasons) == {secrets.API_TLS_SECRET, secrets.KUBELET_SECRET, secrets.ETCD_SECRET, secrets.ETCD_CLIENT_SECRET}


def test_a_certificate_of_another_authority_is_replaced(first):
    other = secrets.settle({}, WANTED)
    mixed = {**first.held, secrets.API_TLS_SECRET: other.held[secrets.API_TLS_SECRET]}
    assert secrets.settle(mixed, WANTED).reasons == {secrets.API_TLS_SECRET: "it was made by another authority"}


def test_an_authority_is_never_replaced(first):
    broken = {**first.held, CA_SECRET: Held({"ca.crt": "x"}, {})}
    with pytest.raises(KplaneError, match=r"has no ca\.crt or no ca\.key"):
        secrets.settle(broken, WANTED)


def test_signing_keys_overlap(first):
    old = first.held[secrets.SIGNING_SECRET].data
    turned = secrets.settle(first.held, WANTED._replace(rotation=Rotation("one", (secrets.ROTATE_KEYS,))))
    new = turned.held[secrets.SIGNING_SECRET].data
    assert new["sa.key"] != old["sa.key"]
    assert new["sa.pub"].endswith(old["sa.pub"])
    assert set(turned.reasons) == {secrets.SIGNING_SECRET}
    assert secrets.settle(turned.held, WANTED).reasons == {}
    over = secrets.settle(turned.held, WANTED._replace(key_overlap=timedelta(0)))
    assert over.reasons == {secrets.SIGNING_SECRET: "the overlap of earlier keys is over"}
    assert over.held[secrets.SIGNING_SECRET].data["sa.pub"] == new["sa.pub"][: -len(old["sa.pub"])]
    assert over.held[secrets.SIGNING_SECRET].data["sa.key"] == new["sa.key"]


def test_a_rotation_is_done_once(first):
    """A run that was killed in its middle has made some Secrets anew; the next one makes those that it did not reach."""
    what = (secrets.ROTATE_CERTIFICATES, secrets.ROTATE_KEYS, secrets.ROTATE_TOKEN)
    wanted = WANTED._replace(rotation=Rotation("one", what))
    turned = secrets.settle(first.held, wanted)
    assert set(turned.reasons) == set(secrets.NAMES) - {CA_SECRET, secrets.ETCD_CA_SECRET}
    assert secrets.settle(turned.held, wanted).reasons == {}
    half = {**turned.held, secrets.TOKEN_SECRET: first.held[secrets.TOKEN_SECRET]}
    rest = secrets.settle(half, wanted)
    assert set(rest.reasons) == {secrets.TOKEN_SECRET, secrets.KUBECONFIG_SECRET}
    again = secrets.settle(turned.held, wanted._replace(rotation=Rotation("two", what)))
    assert secrets.SIGNING_SECRET in again.reasons


def test_a_new_token_goes_where_it_is_used(first):
    turned = secrets.settle(first.held, WANTED._replace(rotation=Rotation("one", (secrets.ROTATE_TOKEN,))))
    assert set(turned.reasons) == {secrets.TOKEN_SECRET, secrets.KUBECONFIG_SECRET}
    token = secrets.admin_token(turned.held[secrets.TOKEN_SECRET])
    assert token != secrets.admin_token(first.held[secrets.TOKEN_SECRET])
    assert token in turned.held[secrets.KUBECONFIG_SECRET].data["kubeconfig"]


def test_the_operators_kubeconfig_verifies(first):
    document = _yaml.load(first.held[secrets.KUBECONFIG_SECRET].data["kubeconfig"].encode(), "it")
    cluster = document["clusters"][0]["cluster"]
    assert "insecure-skip-tls-verify" not in cluster
    assert base64.b64decode(cluster["certificate-authority-data"]).decode() == first.held[CA_SECRET].data["ca.crt"]


def test_no_certificate_is_of_a_group(first):
    from cryptography import x509

    for entry in secrets.certificates(first.held):
        certificate = x509.load_pem_x509_certificate(first.held[entry["secret"]].data[entry["key"]].encode())
        assert certificate.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME) == []
    serials = [_pki._load(first.held[entry["secret"]].data[entry["key"]]).serial_number for entry in secrets.certificates(first.held)]
    assert len(set(serials)) == len(serials)


def test_public_parts_are_no_secrets(first):
    hidden = secrets.secret_values(first.held)
    assert first.held[CA_SECRET].data["ca.key"] in hidden
    assert first.held[CA_SECRET].data["ca.crt"] not in hidden


def test_a_digest_of_what_is_mounted_only(first):
    held = first.held[CA_SECRET]
    other = Held({**held.data, "ca.key": "another"}, {})
    assert checksum(held, ["ca.crt"]) == checksum(other, ["ca.crt"])
    assert checksum(held) != checksum(other)
