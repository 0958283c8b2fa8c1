# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import errno
import json
import os
import zipfile

import pytest

from ansible_collections.kplane.core.plugins.module_utils._backup_file import STACK, Archive, Unusable, Writer, sha256
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError


def write(path, chunks=(b"one\n", b"two\n")):
    with Writer(str(path)) as writer:
        writer.add("lines", [json.dumps(chunk.decode()).encode() + b"\n" for chunk in chunks])
        writer.add("document", [b'{"a": ', b"1}"])
        return writer.finish({"content": STACK, "provider": "kind", "vcps": 3})


def read(path, names=("lines", "document")):
    with Archive(str(path)) as archive:
        archive.require(STACK, "kind")
        archive.verify(names)
        return list(archive.lines("lines")), archive.document("document")


def test_what_is_written_can_be_read(tmp_path):
    path = tmp_path / "new" / "plane.zip"
    manifest = write(path)
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert os.listdir(path.parent) == ["plane.zip"]
    assert read(path) == (["one\n", "two\n"], {"a": 1})
    with Archive(str(path)) as archive:
        assert archive.manifest == manifest
    assert manifest["files"]["document"]["size"] == 8
    assert len(sha256(str(path))) == 64


@pytest.mark.parametrize("length", [4, 40, -1, -30])
def test_a_file_that_was_cut_off(tmp_path, length):
    path = tmp_path / "plane.zip"
    write(path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(Unusable, match=r"is damaged or was cut off, nothing of it is used"):
        read(path)


@pytest.mark.parametrize("content", [b"", b"dear diary", b"PK"])
def test_a_file_of_something_else(tmp_path, content):
    path = tmp_path / "letter"
    path.write_bytes(content)
    with pytest.raises(Unusable, match=r"is not a backup of kplane"):
        read(path)
    # It is not overwritten either.
    with pytest.raises(KplaneError, match=r"letter is there, and is left as it is"):
        write(path)
    assert path.read_bytes() == content


def rewritten(path, change):
    with zipfile.ZipFile(path) as old:
        content = {name: old.read(name) for name in old.namelist()}
    change(content)
    with zipfile.ZipFile(path, "w") as new:
        for name, data in content.items():
            new.writestr(name, data)


def manifest_with(**changes):
    def change(content):
        content["manifest.json"] = json.dumps({**json.loads(content["manifest.json"]), **changes}).encode()

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content.pop("manifest.json"), r"it has no manifest\.json"),
        (lambda content: content.update({"manifest.json": b"{"}), r"is not JSON"),
        (manifest_with(kind="other"), r"is of something else"),
        (manifest_with(format="1"), r"is of something else"),
        (manifest_with(format=2), r"has format 2, this release reads formats up to 1"),
        (manifest_with(content="kplane-server data directory", provider="embedded"), r"provider embedded"),
        (manifest_with(files={}), r"a part of it is missing"),
        (lambda content: content.pop("lines"), r"a part of it is missing"),
        (lambda content: content.update(lines=b'"three"\n'), r"the content of lines is not what its manifest\.json says"),
        (lambda content: content.update(lines=content["lines"] + b"more"), r"the content of lines is not what its manifest\.json says"),
    ],
)
def test_what_is_wrong_with_it_is_said(tmp_path, change, words):
    path = tmp_path / "plane.zip"
    write(path)
    rewritten(path, change)
    with pytest.raises(Unusable, match=words):
        read(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(Unusable, match=r"There is no backup file .*missing"):
        read(tmp_path / "missing")


def test_what_fails_leaves_the_backup_before(tmp_path):
    path = tmp_path / "here" / "plane.zip"
    first = write(path)

    def full():
        yield b"some"
        raise OSError(errno.ENOSPC, "No space left on device")

    def fail(chunks):
        with Writer(str(path)) as writer:
            writer.add("lines", chunks)
            raise ValueError("what the caller met")

    with pytest.raises(KplaneError, match=r"nothing was changed: No space left on device"):
        fail(full())
    with pytest.raises(ValueError, match="what the caller met"):
        fail([b"some"])
    assert os.listdir(path.parent) == ["plane.zip"]
    with Archive(str(path)) as archive:
        assert archive.manifest == first


def test_what_a_run_that_was_killed_has_left_is_used_up(tmp_path):
    path = tmp_path / "here" / "plane.zip"
    path.parent.mkdir()
    (path.parent / ".plane.zip.partial").write_bytes(b"x" * 100_000)
    write(path)
    assert os.listdir(path.parent) == ["plane.zip"]
    assert path.stat().st_size < 10_000


def test_two_at_once_do_not_mix(tmp_path):
    path = tmp_path / "plane.zip"
    with Writer(str(path)) as first:
        with pytest.raises(KplaneError, match=r"Another backup to .* is under way"), Writer(str(path)):
            pass
        first.add("lines", [b'"one"\n'])
        first.add("document", [b"1"])
        first.finish({"content": STACK})
    assert read(path) == (["one"], 1)
