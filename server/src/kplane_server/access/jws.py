# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON Web Signatures with ES256 and nothing else: no algorithm is ever taken from the token.

Source: RFC 7515 (JWS compact form), RFC 7517 (JWK), RFC 7518 3.4 (ES256), RFC 7638 (thumbprint).
A JWT library would bring algorithms and claims rules that must then be turned off, and reads the system clock; this is one form.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Final

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kplane_server.model.errors import Json

#: A longer token is refused before it is decoded.
MAX_TOKEN_LENGTH: Final = 16 * 1024

_ALGORITHM: Final = "ES256"
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
_SIGNATURE: Final = ec.ECDSA(hashes.SHA256())
_CURVE: Final = ec.SECP256R1()
_COORDINATE: Final = 32  # bytes of a P-256 coordinate, and of each half of a signature
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of the group of P-256 (FIPS 186-5)


class BadToken(Exception):
    """A token that proves nothing; the message never repeats the token."""


class SigningKey:
    """A P-256 key with its identifier, the RFC 7638 thumbprint of its public half."""

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        self._private = private
        self._public = private.public_key()
        point = self._public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)  # 4, x, y
        self._coordinates = {"x": _encode(point[1 : 1 + _COORDINATE]), "y": _encode(point[1 + _COORDINATE :])}
        thumbprint = orjson.dumps({"crv": "P-256", "kty": "EC", **self._coordinates})  # members in this order, no spaces
        self.key_id: Final = _encode(hashlib.sha256(thumbprint).digest())
        self._header = _encode(orjson.dumps({"alg": _ALGORITHM, "kid": self.key_id}))

    @classmethod
    def derive(cls, secret: bytes, context: bytes) -> SigningKey:
        """The key that ``secret`` has for ``context``: always the same one, and no way from one context to another.

        384 bits are reduced, so that the bias is negligible (FIPS 186-5 A.2.1).
        """
        seed = HKDF(algorithm=hashes.SHA256(), length=48, salt=None, info=context).derive(secret)
        return cls(ec.derive_private_key(int.from_bytes(seed) % (_ORDER - 1) + 1, _CURVE))

    def jwk(self) -> dict[str, Json]:
        """The public half as a JSON Web Key."""
        return {"use": "sig", "kty": "EC", "kid": self.key_id, "crv": "P-256", "alg": _ALGORITHM, **self._coordinates}

    def sign(self, claims: Json) -> str:
        """A token with these claims."""
        message = f"{self._header}.{_encode(orjson.dumps(claims))}"
        r, s = decode_dss_signature(self._private.sign(message.encode(), _SIGNATURE))
        return f"{message}.{_encode(r.to_bytes(_COORDINATE) + s.to_bytes(_COORDINATE))}"

    def verify(self, message: bytes, signature: bytes) -> None:
        """Raises :class:`BadToken` unless this key signed ``message``."""
        if len(signature) != 2 * _COORDINATE:
            raise BadToken("signature has the wrong length")
        r, s = int.from_bytes(signature[:_COORDINATE]), int.from_bytes(signature[_COORDINATE:])
        try:
            self._public.verify(encode_dss_signature(r, s), message, _SIGNATURE)
        except InvalidSignature as error:
            raise BadToken("signature does not verify") from error


class Jws:
    """A token taken apart, its signature not yet checked."""

    __slots__ = ("_message", "_payload", "_signature", "key_id")

    def __init__(self, token: str) -> None:
        """Raises :class:`BadToken` for what is not an ES256 token in compact form."""
        if len(token) > MAX_TOKEN_LENGTH:
            raise BadToken(f"token is longer than {MAX_TOKEN_LENGTH} characters")
        parts = token.split(".")
        if len(parts) != 3:
            raise BadToken("token is not a JWT")
        header = _object(_decode(parts[0]))
        if header.get("alg") != _ALGORITHM:
            raise BadToken("token is not signed with ES256")
        if "crit" in header:
            raise BadToken("token has critical header fields")  # RFC 7515 4.1.11: what is not understood is refused
        key_id = header.get("kid")
        if not isinstance(key_id, str):
            raise BadToken("token names no key")
        self.key_id = key_id
        self._message = f"{parts[0]}.{parts[1]}".encode()
        self._payload = parts[1]
        self._signature = _decode(parts[2])

    def claims(self, key: SigningKey) -> dict[str, Json]:
        """The claims, if ``key`` signed them. Raises :class:`BadToken`."""
        key.verify(self._message, self._signature)
        return _object(_decode(self._payload))


def _encode(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).translate(_URL_SAFE).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error) as error:
        raise BadToken("token is not base64url") from error
    if _encode(data) != text:
        raise BadToken("token is not in canonical base64url")  # one token has one text
    return data


def _object(data: bytes) -> dict[str, Json]:
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise BadToken("token does not hold JSON") from error
    if not isinstance(document, dict):
        raise BadToken("token does not hold a JSON object")
    return document
