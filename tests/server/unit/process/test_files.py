# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private files: replaced as a whole, with the mode asked for, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kplane_server.process import files


@pytest.mark.parametrize(("mode", "umask"), [(0o600, 0o022), (0o644, 0o077), (0o600, 0o777)])
def test_a_file_has_the_mode_asked_for(tmp_path: Path, mode: int, umask: int) -> None:
    before = os.umask(umask)
    try:
        files.write(tmp_path / "a", b"one", mode)
        files.write(tmp_path / "a", b"two", mode)
    finally:
        os.umask(before)
    assert (tmp_path / "a").read_bytes() == b"two"
    assert (tmp_path / "a").stat().st_mode & 0o777 == mode
    assert os.listdir(tmp_path) == ["a"]


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"mine")
    (tmp_path / "a").symlink_to(tmp_path / "precious")
    files.write(tmp_path / "a", b"new")
    assert (tmp_path / "precious").read_bytes() == b"mine"
    assert not (tmp_path / "a").is_symlink()


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        files.write(tmp_path / "a", b"new")
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize(("given", "expected"), [(0o644, 0o600), (0o600, 0o600), (0o400, 0o400), (0o777, 0o600)])
def test_tightening_only_takes_away(tmp_path: Path, given: int, expected: int) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "a").chmod(given)
    files.tighten(tmp_path / "a")
    assert (tmp_path / "a").stat().st_mode & 0o777 == expected
