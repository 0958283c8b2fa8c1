# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import json

import pytest

from ansible_collections.kplane.core.plugins.module_utils import _tokens


def token(**claims):
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'ES256'})}.{part(claims)}.c2ln"


def test_a_token_says_when_it_ends():
    assert _tokens.lifetime(token(iat=100, exp=200)) == (100, 200)
    assert _tokens.timestamp(0) == ""
    assert _tokens.timestamp(1767225600) == "2026-01-01T00:00:00Z"


@pytest.mark.parametrize("text", ["", "static", "a.b.c", "a.b", "...", "e30.W10.x", "e30." + "A" * 5 + ".x"])
def test_what_is_not_a_token_says_nothing_and_does_not_end(text):
    assert _tokens.lifetime(text) == (0, 0)
    assert not _tokens.lifetime(text).ends_within(10**9, now=0)


@pytest.mark.parametrize(
    ("now", "seconds", "ends"),
    [
        (0, None, False),
        (79, None, False),
        (80, None, True),
        (100, None, True),
        (0, 99, False),
        (0, 100, True),
        (99, 0, False),
        (100, 0, True),
    ],
)
def test_it_is_renewed_in_the_last_fifth_of_its_life_or_when_told(now, seconds, ends):
    assert _tokens.lifetime(token(iat=0, exp=100)).ends_within(seconds, now=now) is ends
