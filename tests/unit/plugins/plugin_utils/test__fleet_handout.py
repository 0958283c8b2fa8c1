# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import json
import os

import pytest

from ansible_collections.kplane.core.plugins.module_utils._credentials import Offer
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError
from ansible_collections.kplane.core.plugins.plugin_utils import _fleet_handout as handout
from ansible_collections.kplane.core.plugins.plugin_utils._fleet_spec import Handout, SecretTarget

SERVER = "https://127.0.0.1:1/clusters/a/control-plane"


def token(expires=4102444800, issued=0):
    claims = base64.urlsafe_b64encode(json.dumps({"iat": issued, "exp": expires}).encode()).decode().rstrip("=")
    return f"x.{claims}.x"


def made(name="a", uid="u1", **life):
    return handout.render(Offer({"server": SERVER}, {"token": token(**life)}), name, "lab", uid)


def test_a_file_is_private_and_good_until_something_changes(tmp_path):
    place = Handout(str(tmp_path / "credentials"))
    assert handout.missing(place, "a", "u1", SERVER, {}) == ["directory"]
    handout.write(None, place, ["directory"], made(), "a", "blue")
    path = handout.path_of(place.directory, "a")
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert handout.missing(place, "a", "u1", SERVER, {}) == []
    assert handout.missing(place, "a", "another incarnation", SERVER, {}) == ["directory"]
    assert handout.missing(place, "a", "u1", "https://elsewhere", {}) == ["directory"]
    os.chmod(path, 0o644)
    assert handout.missing(place, "a", "u1", SERVER, {}) == ["directory"]
    os.chmod(path, 0o600)
    with open(path, "a", encoding="utf-8") as handle:
        handle.write("# edited\n")
    assert handout.missing(place, "a", "u1", SERVER, {}) == ["directory"]


def test_a_token_that_ends_soon_is_replaced(tmp_path):
    place = Handout(str(tmp_path))
    handout.write(None, place, ["directory"], made(expires=1000, issued=0), "a", "blue")
    assert handout.missing(place, "a", "u1", SERVER, {}) == ["directory"]


def test_the_file_of_somebody_else_is_neither_replaced_nor_removed(tmp_path):
    path = tmp_path / "a.kubeconfig"
    path.write_text("apiVersion: v1\nkind: Config\n")
    with pytest.raises(KplaneError, match="was not replaced"):
        handout.write(None, Handout(str(tmp_path)), ["directory"], made(), "a", "blue")
    handout.take_back(None, str(tmp_path), "a", [])
    assert path.exists()


def test_taking_back_removes_what_was_handed_out(tmp_path):
    place = Handout(str(tmp_path / "credentials"))
    handout.write(None, place, ["directory"], made(), "a", "blue")
    handout.take_back(None, place.directory, "b", [])
    assert os.listdir(place.directory) == ["a.kubeconfig"]
    handout.take_back(None, place.directory, "a", [])
    assert os.listdir(place.directory) == []


def test_a_secret_is_compared_by_its_content():
    target = SecretTarget("ns", "a-kubeconfig")
    good = {target: {"data": {"kubeconfig": base64.b64encode(made()).decode()}}}
    assert handout.missing(Handout(secret=target), "a", "u1", SERVER, good) == []
    assert handout.missing(Handout(secret=target), "a", "u2", SERVER, good) == ["secret"]
    assert handout.missing(Handout(secret=target), "a", "u1", SERVER, {}) == ["secret"]
