# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import io
import tarfile

import pytest

from ansible_collections.kplane.core.plugins.module_utils import _source
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError


@pytest.fixture
def project(tmp_path):
    root = tmp_path / "project"
    (root / "src" / "pkg").mkdir(parents=True)
    (root / "pyproject.toml").write_text("[project]")
    (root / "src" / "pkg" / "__init__.py").write_text("x = 1")
    return root


def test_what_is_packed_is_unpacked_with_the_same_fingerprint(project, tmp_path):
    _source.pack(str(project), str(tmp_path / "a.tar.gz"))
    _source.unpack(str(tmp_path / "a.tar.gz"), str(tmp_path / "out"))
    assert _source.fingerprint(str(tmp_path / "out")) == _source.fingerprint(str(project))
    _source.copy(str(project), str(tmp_path / "copy"))
    assert _source.fingerprint(str(tmp_path / "copy")) == _source.fingerprint(str(project))


def test_only_content_counts(project):
    before = _source.fingerprint(str(project))
    for leftover in ("src/pkg/__pycache__/x.pyc", "build/lib/x.py", "src/pkg.egg-info/PKG-INFO", ".mypy_cache/x", "src/pkg/.hidden"):
        (project / leftover).parent.mkdir(parents=True, exist_ok=True)
        (project / leftover).write_text("x")
    assert _source.fingerprint(str(project)) == before
    (project / "src" / "pkg" / "__init__.py").write_text("x = 2")
    assert _source.fingerprint(str(project)) != before


def test_a_name_counts_too(project):
    before = _source.fingerprint(str(project))
    (project / "src" / "pkg" / "__init__.py").rename(project / "src" / "pkg" / "other.py")
    assert _source.fingerprint(str(project)) != before


def test_what_is_no_project_is_refused(tmp_path):
    with pytest.raises(KplaneError, match=r"pyproject\.toml"):
        _source.fingerprint(str(tmp_path))


@pytest.mark.parametrize("name", ["../outside", "/absolute", "a/../../outside"])
def test_an_archive_cannot_reach_outside(tmp_path, name):
    archive = tmp_path / "a.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size = 1
        tar.addfile(member, io.BytesIO(b"x"))
    with pytest.raises(KplaneError):
        _source.unpack(str(archive), str(tmp_path / "out"))
    assert not (tmp_path / "outside").exists()


def test_an_archive_of_links_is_refused(tmp_path):
    archive = tmp_path / "a.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        member = tarfile.TarInfo("link")
        member.type = tarfile.SYMTYPE
        member.linkname = "/etc/passwd"
        tar.addfile(member)
    with pytest.raises(KplaneError, match="plain file"):
        _source.unpack(str(archive), str(tmp_path / "out"))


def test_garbage_is_no_archive(tmp_path):
    (tmp_path / "a.tar.gz").write_bytes(b"garbage")
    with pytest.raises(KplaneError, match="archive"):
        _source.unpack(str(tmp_path / "a.tar.gz"), str(tmp_path / "out"))
