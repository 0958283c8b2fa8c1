# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON Web Signatures: the example of the standard, derived keys, and everything that must be refused."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from kplane_server.access import jws
from kplane_server.access.jws import BadToken, Jws, SigningKey

KEY = SigningKey.derive(b"s" * 32, b"context")
TOKEN = KEY.sign({"sub": "x"})


def encode(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_the_example_of_rfc_7515_verifies() -> None:
    """Appendix A.3, whose header has no kid."""
    numbers = ec.EllipticCurvePublicNumbers(
        int.from_bytes(base64.urlsafe_b64decode("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU=")),
        int.from_bytes(base64.urlsafe_b64decode("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0=")),
        ec.SECP256R1(),
    )
    secret = int.from_bytes(base64.urlsafe_b64decode("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI="))
    key = SigningKey(ec.EllipticCurvePrivateNumbers(secret, numbers).private_key())
    message = b"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    key.verify(message, base64.urlsafe_b64decode(signature + "=="))
    with pytest.raises(BadToken):
        key.verify(message + b"x", base64.urlsafe_b64decode(signature + "=="))


def test_a_derived_key_depends_on_all_of_its_origin() -> None:
    ids = {SigningKey.derive(secret, context).key_id for secret in (b"s" * 32, b"t" * 32) for context in (b"context", b"context2", b"")}
    assert len(ids) == 6
    assert SigningKey.derive(b"s" * 32, b"context").key_id == KEY.key_id


def test_a_signature_can_be_verified_with_the_published_key() -> None:
    published = KEY.jwk()
    assert {published[field] for field in ("kty", "crv", "alg", "use")} == {"EC", "P-256", "ES256", "sig"}
    assert published["kid"] == KEY.key_id == Jws(TOKEN).key_id
    x, y = (int.from_bytes(base64.urlsafe_b64decode(published[axis] + "==")) for axis in "xy")
    assert KEY._public.public_numbers() == ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1())


def test_what_was_signed_is_read() -> None:
    assert Jws(TOKEN).claims(KEY) == {"sub": "x"}


HEADER, PAYLOAD, SIGNATURE = TOKEN.split(".")


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "a.b",
        "a.b.c.d",
        "..",
        f"{encode({'alg': 'none', 'kid': KEY.key_id})}.{PAYLOAD}.",
        f"{encode({'alg': 'None', 'kid': KEY.key_id})}.{PAYLOAD}.{SIGNATURE}",
        f"{encode({'alg': 'HS256', 'kid': KEY.key_id})}.{PAYLOAD}.{SIGNATURE}",
        f"{encode({'alg': 'RS256', 'kid': KEY.key_id})}.{PAYLOAD}.{SIGNATURE}",
        f"{encode({'alg': ['ES256'], 'kid': KEY.key_id})}.{PAYLOAD}.{SIGNATURE}",
        f"{encode({'alg': 'ES256'})}.{PAYLOAD}.{SIGNATURE}",
        f"{encode({'alg': 'ES256', 'kid': 1})}.{PAYLOAD}.{SIGNATURE}",
        f"{encode({'alg': 'ES256', 'kid': KEY.key_id, 'crit': ['x']})}.{PAYLOAD}.{SIGNATURE}",
        f"{encode([])}.{PAYLOAD}.{SIGNATURE}",
        f"{encode(b'{')}.{PAYLOAD}.{SIGNATURE}",
        f"{encode(b'[' * 3000)}.{PAYLOAD}.{SIGNATURE}",
        f"{encode(bytes([255, 254]))}.{PAYLOAD}.{SIGNATURE}",
        f"{HEADER}=.{PAYLOAD}.{SIGNATURE}",
        f"{HEADER}.{PAYLOAD}. {SIGNATURE}",
        f"{HEADER}.{PAYLOAD}.{SIGNATURE}\n",
        f"ü{HEADER}.{PAYLOAD}.{SIGNATURE}",
        f"{HEADER}.{PAYLOAD}.{'A' * jws.MAX_TOKEN_LENGTH}",
    ],
)
def test_what_is_no_token_is_refused_unverified(token: str) -> None:
    with pytest.raises(BadToken):
        Jws(token)


@pytest.mark.parametrize(
    "token",
    [
        f"{HEADER}.{encode({'sub': 'y'})}.{SIGNATURE}",
        f"{HEADER}.{PAYLOAD}.",
        f"{HEADER}.{PAYLOAD}.{encode(bytes(64))}",
        f"{HEADER}.{PAYLOAD}.{encode(bytes([255]) * 64)}",
        f"{HEADER}.{PAYLOAD}.{encode(bytes(60))}",
        f"{HEADER}.{PAYLOAD}.{encode(bytes(66))}",
        SigningKey.derive(b"t" * 32, b"context").sign({"sub": "x"}),
        KEY.sign([]),
        KEY.sign("x"),
    ],
)
def test_what_the_key_did_not_sign_as_an_object_is_refused(token: str) -> None:
    found = Jws(token)
    with pytest.raises(BadToken):
        found.claims(KEY)


@given(st.text(max_size=200))
def test_law_no_text_makes_anything_but_a_refusal(text: str) -> None:
    with pytest.raises(BadToken):
        Jws(text).claims(KEY)


@given(st.integers(0, len(TOKEN) - 1), st.sampled_from("ABCxyz019-_."))
def test_law_one_changed_character_voids_a_token(position: int, character: str) -> None:
    changed = TOKEN[:position] + character + TOKEN[position + 1 :]
    if changed == TOKEN:
        return
    with pytest.raises(BadToken):
        Jws(changed).claims(KEY)
