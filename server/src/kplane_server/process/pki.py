# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The management plane's CA, made once and kept, and the serving certificate that it signs.

Both are ECDSA P-256. The CA signs serving certificates only: no credential of the API is a certificate, so its key opens no control plane.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kplane_server.process import files
from kplane_server.process.failures import ProcessError

DIRECTORY: Final = "pki"
CA_LIFE: Final = timedelta(days=3650)
SERVING_LIFE: Final = timedelta(days=365)
#: Certificates begin this much earlier than they are made, for clients whose clock is late.
BACKDATE: Final = timedelta(hours=1)

_PUBLIC: Final = 0o644


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """What the transport and the clients need.

    ca_pem: what clients verify with; cert_path, key_path: what the server shows; not_after: when that ends;
    renew_at: from then on a start makes a new one.
    """

    ca_pem: bytes
    cert_path: Path
    key_path: Path
    not_after: datetime
    renew_at: datetime


@dataclass(frozen=True, slots=True)
class _Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def ensure(data_dir: Path, names: Iterable[str], now: datetime) -> ServerIdentity:
    """The serving identity for these host names and addresses: the one that is there, or a new one from the same CA.

    A new one is made when less than a third of its life is left, when it lacks a name, or when it is damaged.
    ``now`` is an aware datetime. Raises :class:`~kplane_server.process.failures.ProcessError` (CertificateUnusable).
    """
    directory = data_dir / DIRECTORY
    wanted = _general_names(names)
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        authority = _authority(directory, now)
        cert_path, key_path = directory / "server.crt", directory / "server.key"
        certificate = _load_serving(cert_path, key_path, authority, wanted, now)
        if certificate is None:
            certificate = _issue(cert_path, key_path, authority, wanted, now)
        for private in (key_path, directory / "ca.key"):
            files.tighten(private)
    except OSError as error:
        raise _unusable(f"{directory} cannot be used: {error}") from error
    ca_pem = authority.certificate.public_bytes(serialization.Encoding.PEM)
    return ServerIdentity(ca_pem, cert_path, key_path, certificate.not_valid_after_utc, _renew_at(certificate))


def local_names() -> tuple[str, ...]:
    """What this machine calls itself: loopback, and its host names as far as they are legal ones."""
    found = ["localhost", "127.0.0.1", "::1"]
    host = socket.gethostname()
    for name in (host, host.partition(".")[0]):
        try:
            _general_name(name)
        except ProcessError:
            continue  # a machine may bear a name that no certificate can carry; clients reach it by another
        found.append(name)
    return tuple(dict.fromkeys(found))


def _authority(directory: Path, now: datetime) -> _Authority:
    cert_path, key_path = directory / "ca.crt", directory / "ca.key"
    if not cert_path.exists():
        # The key is written first: a key without a certificate is a first start that was interrupted.
        authority = _new_authority(now)
        files.write(key_path, _private_pem(authority.key))
        files.write(cert_path, authority.certificate.public_bytes(serialization.Encoding.PEM), _PUBLIC)
        return authority
    try:
        certificate = x509.load_pem_x509_certificate(cert_path.read_bytes())
        key = serialization.load_pem_private_key(key_path.read_bytes(), None)
    except (FileNotFoundError, ValueError, TypeError) as error:
        # Never replaced silently: every kubeconfig that was handed out trusts this CA.
        raise _unusable(f"the CA in {directory} is damaged ({error}): restore ca.crt and ca.key, or remove both to begin anew") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise _unusable(f"ca.key in {directory} is not the key of ca.crt")
    if now >= certificate.not_valid_after_utc:
        ended = f"{certificate.not_valid_after_utc:%Y-%m-%d}"
        raise _unusable(f"the CA in {directory} ended on {ended}: remove ca.crt and ca.key to begin anew")
    return _Authority(certificate, key)


def _new_authority(now: datetime) -> _Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"kplane management plane CA {identifier.digest.hex()[:8]}")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    return _Authority(certificate, key)


def _issue(cert_path: Path, key_path: Path, authority: _Authority, names: list[x509.GeneralName], now: datetime) -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.certificate
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kplane-server")]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(min(now + SERVING_LIFE, issuer.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_authority_identifier(issuer), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    # Key first; a crash in between leaves a pair that does not match, which the next start replaces.
    files.write(key_path, _private_pem(key))
    files.write(cert_path, certificate.public_bytes(serialization.Encoding.PEM), _PUBLIC)
    return certificate


def _load_serving(
    cert_path: Path, key_path: Path, authority: _Authority, wanted: list[x509.GeneralName], now: datetime
) -> x509.Certificate | None:
    """The serving certificate, if it may stay."""
    try:
        certificate = x509.load_pem_x509_certificate(cert_path.read_bytes())
        key = serialization.load_pem_private_key(key_path.read_bytes(), None)
        certificate.verify_directly_issued_by(authority.certificate)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (FileNotFoundError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return None  # missing or damaged: it is ours alone and can be made again from the same CA
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        return None
    if not set(wanted) <= set(names) or now >= _renew_at(certificate) or now < certificate.not_valid_before_utc:
        return None
    return certificate


def _renew_at(certificate: x509.Certificate) -> datetime:
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return certificate.not_valid_after_utc - life / 3


def _general_names(names: Iterable[str]) -> list[x509.GeneralName]:
    return list(dict.fromkeys(_general_name(name) for name in (*names, "localhost", "127.0.0.1", "::1")))


def _general_name(name: str) -> x509.GeneralName:
    text = name.strip("[]").rstrip(".")
    try:
        return x509.IPAddress(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        pass  # not an address: a host name
    try:
        ascii_name = text.encode("idna").decode().lower()
    except UnicodeError as error:
        raise _unusable(f"{name!r} is neither a host name nor an IP address: {error}") from error
    labels = ascii_name.removeprefix("*.").split(".")
    if not all(label and label.replace("-", "a").replace("_", "a").isalnum() for label in labels):
        raise _unusable(f"{name!r} is neither a host name nor an IP address")
    return x509.DNSName(ascii_name)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _unusable(message: str) -> ProcessError:
    return ProcessError("CertificateUnusable", message)
