# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CA and the serving certificate: made once, renewed in time, damaged ones repaired or told."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from kplane_server.process import pki
from kplane_server.process.failures import ProcessError

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def names_of(path: Path) -> set[str]:
    found = certificate(path).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in found}


def test_a_new_identity(tmp_path: Path) -> None:
    identity = pki.ensure(tmp_path, ["kplane.example", "192.0.2.7", "[2001:db8::1]", "münchen.example"], NOW)
    authority = x509.load_pem_x509_certificate(identity.ca_pem)
    leaf = certificate(identity.cert_path)
    leaf.verify_directly_issued_by(authority)
    constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)
    assert leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value._usages == [x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]
    assert names_of(identity.cert_path) == {
        "kplane.example", "192.0.2.7", "2001:db8::1", "xn--mnchen-3ya.example", "localhost", "127.0.0.1", "::1",
    }  # fmt: skip
    assert authority.not_valid_after_utc - NOW == timedelta(days=3650)
    assert identity.not_after - NOW == timedelta(days=365)
    assert authority.serial_number != leaf.serial_number
    assert authority.serial_number.bit_length() > 64
    key = load_pem_private_key(identity.key_path.read_bytes(), None)
    assert key.public_key() == leaf.public_key()
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / pki.DIRECTORY).iterdir()}
    assert modes == {"ca.crt": 0o644, "ca.key": 0o600, "server.crt": 0o644, "server.key": 0o600}


@pytest.mark.parametrize(
    ("days", "names", "renewed"),
    [
        (0, ["a"], False),
        (0, [], False),
        (200, ["a"], False),
        (242, ["a"], False),
        (244, ["a"], True),
        (500, ["a"], True),
        (-2, ["a"], True),
        (0, ["a", "b"], True),
    ],
)
def test_when_the_serving_certificate_is_renewed(tmp_path: Path, days: int, names: list[str], renewed: bool) -> None:
    first = pki.ensure(tmp_path, ["a"], NOW)
    before = first.cert_path.read_bytes(), first.key_path.read_bytes()
    second = pki.ensure(tmp_path, names, NOW + timedelta(days=days))
    assert second.ca_pem == first.ca_pem
    assert ((second.cert_path.read_bytes(), second.key_path.read_bytes()) != before) is renewed
    assert second.renew_at > NOW + timedelta(days=days)


@pytest.mark.parametrize("damage", ["server.crt", "server.key"])
@pytest.mark.parametrize("content", [None, b"", b"garbage", b"\xff\x00"])
def test_a_damaged_serving_certificate_is_made_again(tmp_path: Path, damage: str, content: bytes | None) -> None:
    first = pki.ensure(tmp_path, [], NOW)
    path = tmp_path / pki.DIRECTORY / damage
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    second = pki.ensure(tmp_path, [], NOW)
    assert second.ca_pem == first.ca_pem
    certificate(second.cert_path).verify_directly_issued_by(x509.load_pem_x509_certificate(first.ca_pem))
    assert load_pem_private_key(second.key_path.read_bytes(), None).public_key() == certificate(second.cert_path).public_key()


def test_a_key_that_is_not_the_certificates_is_replaced(tmp_path: Path) -> None:
    one, two = pki.ensure(tmp_path, [], NOW), pki.ensure(tmp_path, ["other"], NOW)
    (tmp_path / "second").mkdir()
    stranger = pki.ensure(tmp_path / "second", [], NOW)
    two.key_path.write_bytes(stranger.key_path.read_bytes())
    again = pki.ensure(tmp_path, [], NOW)
    assert load_pem_private_key(again.key_path.read_bytes(), None).public_key() == certificate(again.cert_path).public_key()
    two.cert_path.write_bytes(stranger.cert_path.read_bytes())
    two.key_path.write_bytes(stranger.key_path.read_bytes())
    assert pki.ensure(tmp_path, [], NOW).ca_pem == one.ca_pem
    certificate(again.cert_path).verify_directly_issued_by(x509.load_pem_x509_certificate(one.ca_pem))


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda d: (d / "ca.crt").write_bytes(b"x"), "damaged"),
        (lambda d: (d / "ca.key").write_bytes(b"x"), "damaged"),
        (lambda d: (d / "ca.key").unlink(), "damaged"),
        (lambda d: (d / "ca.key").write_bytes((d / "server.key").read_bytes()), "not the key of"),
    ],
)
def test_a_damaged_authority_is_told_and_never_replaced(tmp_path: Path, damage: object, text: str) -> None:
    pki.ensure(tmp_path, [], NOW)
    directory = tmp_path / pki.DIRECTORY
    assert callable(damage)
    damage(directory)
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    with pytest.raises(ProcessError, match=text) as caught:
        pki.ensure(tmp_path, [], NOW)
    assert caught.value.reason == "CertificateUnusable"
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before


def test_an_authority_whose_making_was_interrupted_is_made(tmp_path: Path) -> None:
    pki.ensure(tmp_path, [], NOW)
    (tmp_path / pki.DIRECTORY / "ca.crt").unlink()
    identity = pki.ensure(tmp_path, [], NOW)
    certificate(identity.cert_path).verify_directly_issued_by(x509.load_pem_x509_certificate(identity.ca_pem))


def test_an_authority_ends(tmp_path: Path) -> None:
    pki.ensure(tmp_path, [], NOW)
    late = pki.ensure(tmp_path, [], NOW + timedelta(days=3500))
    assert late.not_after == NOW + timedelta(days=3650)
    with pytest.raises(ProcessError, match="ended on 2035-12-30"):
        pki.ensure(tmp_path, [], NOW + timedelta(days=3650))


@pytest.mark.parametrize("name", ["a b", "a/b", "https://a", "a..b", "", "a" * 64, "x\n"])
def test_what_is_no_name_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(ProcessError, match="neither a host name nor an IP address"):
        pki.ensure(tmp_path, [name], NOW)


def test_local_names_can_be_certified(tmp_path: Path) -> None:
    names = pki.local_names()
    assert {"localhost", "127.0.0.1", "::1"} <= set(names)
    assert set(names) <= names_of(pki.ensure(tmp_path, names, NOW).cert_path) | {str(ipaddress.ip_address("::1"))}


def test_a_client_that_trusts_the_authority_accepts_the_server(tmp_path: Path) -> None:
    identity = pki.ensure(tmp_path, [], datetime.now(UTC))
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(identity.cert_path, identity.key_path)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            accepted, _ = listening.accept()
            with serving.wrap_socket(accepted, server_side=True) as secured:
                secured.sendall(b"hello")

        thread = threading.Thread(target=serve)
        thread.start()
        context = ssl.create_default_context(cadata=identity.ca_pem.decode())
        with (
            socket.create_connection(listening.getsockname(), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
        ):
            assert secured.recv(5) == b"hello"
        thread.join()
