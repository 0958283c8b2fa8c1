# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The issuer of a control plane: claims in upstream's form, time, audiences, generations, and the borders between VCPs."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from support.planes import BASE_URL, MASTER_SECRET, Clock

from kplane_server.access.claims import Reference
from kplane_server.access.jws import BadToken
from kplane_server.access.tokens import BoundObject, TokenIssuer
from kplane_server.model.keys import VcpId
from kplane_server.storage.api import VcpRecord, VcpState

RECORD = VcpRecord(VcpId(7), "demo", "uid-demo", 0, 1, VcpState.ACTIVE)
URL = f"{BASE_URL}/clusters/demo/control-plane"


def issuer(clock: Clock, record: VcpRecord = RECORD, secret: bytes = MASTER_SECRET, base: str = BASE_URL, **more: Any) -> TokenIssuer:
    return TokenIssuer(secret, record, base, clock=clock, **more)


def payload(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    document: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return document


def test_claims_have_upstreams_form(clock: Clock) -> None:
    issued = issuer(clock).issue("home", "robot", "uid-1", expiration_seconds=600)
    claims = payload(issued.token)
    now = int(clock.now)
    assert len(claims.pop("jti")) == 36
    assert claims == {
        "iss": URL,
        "sub": "system:serviceaccount:home:robot",
        "aud": [URL],
        "iat": now,
        "nbf": now,
        "exp": now + 600,
        "kubernetes.io": {"namespace": "home", "serviceaccount": {"name": "robot", "uid": "uid-1"}},
    }
    assert issued.expiration == "2023-11-14T22:23:20Z"


@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        (BoundObject("Pod", "p", "u", Reference("n", "")), {"pod": {"name": "p", "uid": "u"}, "node": {"name": "n"}}),
        (BoundObject("Pod", "p", "u"), {"pod": {"name": "p", "uid": "u"}}),
        (BoundObject("Secret", "s", "u"), {"secret": {"name": "s", "uid": "u"}}),
        (BoundObject("Node", "n", "u"), {"node": {"name": "n", "uid": "u"}}),
    ],
)
def test_a_bound_object_is_named(clock: Clock, bound: BoundObject, expected: dict[str, Any]) -> None:
    made = issuer(clock)
    token = made.issue("home", "robot", "uid-1", bound_object=bound).token
    private = payload(token)["kubernetes.io"]
    assert {key: private.get(key) for key in expected} == expected
    assert set(private) == {"namespace", "serviceaccount", *expected}
    claims = made.verify(token)
    assert {kind: getattr(claims, kind) for kind in expected} == {k: Reference(v["name"], v.get("uid", "")) for k, v in expected.items()}


@pytest.mark.parametrize(
    ("bound", "seconds", "audiences", "extended"),
    [
        (BoundObject("Pod", "p", "u"), 3607, (), True),
        (BoundObject("Pod", "p", "u"), 3600, (), False),
        (BoundObject("Secret", "s", "u"), 3607, (), False),
        (BoundObject("Pod", "p", "u"), 3607, ("vault",), False),
    ],
)
def test_a_projected_token_warns_before_it_ends(
    clock: Clock, bound: BoundObject, seconds: int, audiences: tuple[str, ...], extended: bool
) -> None:
    claims = payload(issuer(clock).issue("a", "b", "c", expiration_seconds=seconds, audiences=audiences, bound_object=bound).token)
    lasts, warns = claims["exp"] - claims["iat"], claims["kubernetes.io"].get("warnafter")
    assert (lasts, warns) == ((31_536_000, claims["iat"] + 3607) if extended else (seconds, None))


def test_a_token_lives_for_its_time(clock: Clock) -> None:
    made = issuer(clock)
    token = made.issue("home", "robot", "uid-1", expiration_seconds=600).token
    clock.now += 599
    assert made.verify(token).service_account == Reference("robot", "uid-1")
    clock.now += 1
    with pytest.raises(BadToken, match="expired"):
        made.verify(token)
    clock.now -= 600 + 3600
    with pytest.raises(BadToken, match="not valid yet"):
        made.verify(token)


@pytest.mark.parametrize(
    ("held", "wanted", "common"),
    [
        ((), None, (URL,)),
        ((), ("vault",), None),
        (("vault",), None, None),
        (("vault", "db"), ("db", "x"), ("db",)),
        (("vault", URL), None, (URL,)),
    ],
)
def test_audiences(clock: Clock, held: tuple[str, ...], wanted: tuple[str, ...] | None, common: tuple[str, ...] | None) -> None:
    made = issuer(clock)
    token = made.issue("a", "b", "c", audiences=held).token
    if common is None:
        with pytest.raises(BadToken, match="audiences"):
            made.verify(token, wanted)
    else:
        assert made.verify(token, wanted).audiences == common


@pytest.mark.parametrize(
    "stranger",
    [
        replace(RECORD, uid="uid-of-the-next-demo"),
        replace(RECORD, name="other", uid="uid-other"),
        replace(RECORD, name="other"),  # same keys can only be in a copied directory; the issuer differs still
    ],
)
def test_a_token_is_unknown_in_every_other_control_plane(clock: Clock, stranger: VcpRecord) -> None:
    token = issuer(clock).issue("kube-system", "robot", "uid-1").token
    with pytest.raises(BadToken):
        issuer(clock, stranger).verify(token)
    with pytest.raises(BadToken):
        issuer(clock, secret=b"x" * 32).verify(token)


def test_a_rotation_has_an_overlap_of_one_generation(clock: Clock) -> None:
    tokens = [issuer(clock, replace(RECORD, key_generation=generation)).issue("a", "b", "c").token for generation in (1, 2, 3)]
    newest = issuer(clock, replace(RECORD, key_generation=3))
    newest.verify(tokens[2])
    newest.verify(tokens[1])
    with pytest.raises(BadToken, match="unknown here"):
        newest.verify(tokens[0])
    with pytest.raises(BadToken, match="unknown here"):
        issuer(clock).verify(tokens[1])
    assert len(newest.jwks()["keys"]) == 2
    assert len(issuer(clock).jwks()["keys"]) == 1


def test_a_token_outlives_a_change_of_the_port(clock: Clock) -> None:
    before = issuer(clock).issue("a", "b", "c").token
    moved = issuer(clock, base="https://127.0.0.1:9443", accepted_base_urls=[BASE_URL])
    assert moved.verify(before).namespace == "a"
    assert payload(moved.issue("a", "b", "c").token)["iss"] == "https://127.0.0.1:9443/clusters/demo/control-plane"
    with pytest.raises(BadToken, match="issuer"):
        issuer(clock, base="https://127.0.0.1:9443").verify(before)


def test_discovery_names_the_keys_under_the_vcps_own_path(clock: Clock) -> None:
    made = issuer(clock)
    document = made.discovery()
    assert document["issuer"] == URL == made.url
    assert document["jwks_uri"] == f"{URL}/openid/v1/jwks"
    assert document["id_token_signing_alg_values_supported"] == ["ES256"]
    header = made.issue("a", "b", "c").token.split(".")[0]
    kid = json.loads(base64.urlsafe_b64decode(header + "=="))["kid"]
    assert [key["kid"] for key in made.jwks()["keys"]] == [kid]
    assert not any("d" in key for key in made.jwks()["keys"])


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://else"},
        {"iss": None},
        {"sub": "system:serviceaccount:home:boss"},
        {"sub": None},
        {"aud": 7},
        {"aud": [7]},
        {"aud": None},
        {"exp": None},
        {"exp": "never"},
        {"exp": True},
        {"exp": 1e300},
        {"iat": None},
        {"nbf": "x"},
        {"jti": None},
        {"kubernetes.io": None},
        {"kubernetes.io": []},
        {"kubernetes.io": {"namespace": "home"}},
        {"kubernetes.io": {"serviceaccount": {"name": "robot", "uid": "uid-1"}}},
        {"kubernetes.io": {"namespace": "home", "serviceaccount": {"name": "robot", "uid": 1}}},
        {"kubernetes.io": {"namespace": "home", "serviceaccount": {"name": "robot", "uid": "uid-1"}, "pod": []}},
        {"kubernetes.io": {"namespace": "home", "serviceaccount": {"name": "robot", "uid": "uid-1"}, "pod": {}}},
        {"kubernetes.io": {"namespace": "home", "serviceaccount": {"name": "robot", "uid": "uid-1"}, "warnafter": "x"}},
    ],
)
def test_odd_claims_under_a_good_signature_are_refused(clock: Clock, change: dict[str, Any]) -> None:
    made = issuer(clock)
    claims = {**payload(made.issue("home", "robot", "uid-1").token), **change}
    with pytest.raises(BadToken):
        made.verify(made._signing_keys()[0].sign(claims))


def test_a_single_audience_may_be_a_string(clock: Clock) -> None:
    made = issuer(clock)
    claims = {**payload(made.issue("home", "robot", "uid-1").token), "aud": URL}
    assert made.verify(made._signing_keys()[0].sign(claims)).audiences == (URL,)
