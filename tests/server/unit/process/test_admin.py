# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The administrator's kubeconfig: made once, brought up to date, never taken from somebody else."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import yaml

from kplane_server.process.admin import AdminCredential, ensure_admin_credential
from kplane_server.process.failures import ProcessError

URL = "https://127.0.0.1:8443"


def ensure(path: Path, url: str = URL, cluster: str = "kplane-management", ca: bytes = b"CA") -> AdminCredential:
    return ensure_admin_credential(path, cluster, url, ca)


def token_in(path: Path) -> str:
    token: str = yaml.safe_load(path.read_text())["users"][0]["user"]["token"]
    return token


def test_a_new_credential(tmp_path: Path) -> None:
    made = ensure(tmp_path / "admin.kubeconfig")
    assert made.path.stat().st_mode & 0o777 == 0o600
    document = yaml.safe_load(made.path.read_text())
    name = "embedded-kplane-management"
    assert document["current-context"] == name
    assert document["contexts"] == [{"name": name, "context": {"cluster": name, "user": name}}]
    assert document["clusters"] == [{"name": name, "cluster": {"server": URL, "certificate-authority-data": "Q0E="}}]
    assert len(token_in(made.path)) >= 43
    assert made.digest == hashlib.sha256(token_in(made.path).encode()).digest()
    assert ensure(tmp_path / "other").digest != made.digest


def test_the_token_stays_when_the_rest_changes(tmp_path: Path) -> None:
    path = tmp_path / "admin.kubeconfig"
    first = ensure(path)
    inode = path.stat().st_ino
    assert ensure(path) == first
    assert path.stat().st_ino == inode  # not even written
    path.chmod(0o644)
    assert ensure(path, "https://127.0.0.1:9443", "renamed", b"CA2").digest == first.digest
    assert path.stat().st_mode & 0o777 == 0o600
    document = yaml.safe_load(path.read_text())
    assert document["clusters"][0] == {
        "name": "embedded-renamed",
        "cluster": {"server": "https://127.0.0.1:9443", "certificate-authority-data": "Q0Ey"},
    }
    path.unlink()
    assert ensure(path).digest != first.digest


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[",
        b"- 1",
        b"users: []",
        b"users: [{name: me, user: {token: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}}]",
        b"users: [{name: embedded-x, user: {token: short}}]",
        b"users: [{name: embedded-x, user: {}}]",
        b"users: [{name: embedded-x, user: {token: 1}}]",
        b"users: [{name: 1, user: {token: x}}]",
    ],
)
def test_somebody_elses_file_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "config"
    path.write_bytes(content)
    with pytest.raises(ProcessError, match="left as it is") as caught:
        ensure(path)
    assert caught.value.reason == "CredentialUnusable"
    assert path.read_bytes() == content


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ProcessError, match="cannot be used"):
        ensure(tmp_path / "missing" / "config")
