# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys and certificates of a management plane: made, looked at, and judged. Nothing here reads or writes anything.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import ipaddress
import re
import traceback
import typing as t
from datetime import datetime, timedelta, timezone

from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
except ImportError:
    IMPORT_ERROR: str | None = traceback.format_exc()
else:
    IMPORT_ERROR = None

#: The library behind this file, for missing_required_lib.
LIBRARY: t.Final = "cryptography >= 42"
CA_DAYS: t.Final = 3650
LEAF_DAYS: t.Final = 365
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", re.DOTALL)
#: Clocks differ: a certificate is valid a little before it was made.
_SKEW = timedelta(minutes=5)


def now() -> datetime:
    """The time that everything here is judged by."""
    return datetime.now(timezone.utc)


class Pair(t.NamedTuple):
    """A certificate (or a public key) and its private key, as PEM."""

    public: str
    private: str


class Leaf(t.NamedTuple):
    """What a certificate has to say."""

    common_name: str
    names: tuple[str, ...] = ()
    server: bool = False
    client: bool = False


def _private_pem(key: t.Any) -> str:
    text: bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return text.decode()


def _subject(common_name: str) -> t.Any:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(subject: t.Any, issuer: t.Any, key: t.Any, end: datetime) -> t.Any:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() - _SKEW)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def make_ca(common_name: str) -> Pair:
    """A certificate authority that can certify leaves only (path length 0). No two have the same name: clients tell them apart by it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _subject(f"{common_name} {x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest.hex()[:8]}")
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    built = _builder(name, name, key, now() + timedelta(days=CA_DAYS)).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    certificate = built.add_extension(usage, critical=True).sign(key, hashes.SHA256())
    return Pair(certificate.public_bytes(serialization.Encoding.PEM).decode(), _private_pem(key))


def make_leaf(ca: Pair, leaf: Leaf) -> Pair:
    """A certificate by ``ca``, with a key of its own; it does not outlive its authority."""
    authority: t.Any = x509.load_pem_x509_certificate(ca.public.encode())
    signer = serialization.load_pem_private_key(ca.private.encode(), None)
    key = ec.generate_private_key(ec.SECP256R1())
    usages = [
        oid for oid, wanted in ((ExtendedKeyUsageOID.SERVER_AUTH, leaf.server), (ExtendedKeyUsageOID.CLIENT_AUTH, leaf.client)) if wanted
    ]
    built = (
        _builder(_subject(leaf.common_name), authority.subject, key, min(now() + timedelta(days=LEAF_DAYS), authority.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
    )
    if leaf.names:
        built = built.add_extension(x509.SubjectAlternativeName([_general(name) for name in leaf.names]), critical=False)
    certificate = built.sign(signer, hashes.SHA256())
    return Pair(certificate.public_bytes(serialization.Encoding.PEM).decode(), _private_pem(key))


def _general(name: str) -> t.Any:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def make_signing_key() -> Pair:
    """A key that signs tokens of service accounts (ES256)."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return Pair(public.decode(), _private_pem(key))


def ends(certificate: str) -> datetime:
    """When a certificate ends."""
    found: datetime = _load(certificate).not_valid_after_utc
    return found


def split(bundle: str) -> list[str]:
    """The certificates of a bundle, each as PEM."""
    return _CERTIFICATE.findall(bundle)


def certificate_of(bundle: str, private: str) -> str | None:
    """The certificate of a bundle that belongs to a private key, or ``None`` if none does."""
    try:
        public = serialization.load_pem_private_key(private.encode(), None).public_key()
    except ValueError as exc:
        raise KplaneError(f"A key of the management plane is malformed: {exc}") from exc
    return next((text for text in split(bundle) if _load(text).public_key() == public), None)


def _load(certificate: str) -> t.Any:
    try:
        return x509.load_pem_x509_certificate(certificate.encode())
    except ValueError as exc:
        raise KplaneError(f"A certificate of the management plane is malformed: {exc}") from exc


def leaf_problem(certificate: str, ca: str, leaf: Leaf, renew_before: timedelta) -> str:
    """Why a certificate has to be replaced, or an empty string."""
    found, authority = _load(certificate), _load(ca)
    try:
        found.verify_directly_issued_by(authority)
    except Exception:  # pylint: disable=broad-except
        # The library says by many types of errors that a signature is not that of this authority.
        return "it was made by another authority"
    # One that ends with its authority cannot get any better: that is renewed first.
    if found.not_valid_after_utc - now() < renew_before and found.not_valid_after_utc < authority.not_valid_after_utc:
        return f"it ends on {found.not_valid_after_utc:%Y-%m-%d}"
    try:
        extension = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        has = {str(entry.value) for entry in extension}
    except x509.ExtensionNotFound:
        has = set()
    lacks = [name for name in leaf.names if _canonical(name) not in has]
    return f"it does not name {', '.join(lacks)}" if lacks else ""


def _canonical(name: str) -> str:
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name
