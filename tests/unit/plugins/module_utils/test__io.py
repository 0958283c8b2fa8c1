# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import stat
import subprocess
import sys
import textwrap

import pytest

from ansible_collections.kplane.core.plugins.module_utils import _io
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError, LockTimeout


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def environment():
    """Of processes that import the collection too."""
    root = os.path.abspath(_io.__file__).split("ansible_collections" + os.sep)[0]
    return dict(os.environ, PYTHONPATH=os.pathsep.join([root] + [part for part in sys.path if part]))


def test_a_new_file_is_private_and_so_is_its_new_directory(tmp_path):
    path = tmp_path / "new" / "file"
    _io.write_atomic(str(path), b"content")
    assert path.read_bytes() == b"content"
    assert mode(path) == 0o600
    assert mode(path.parent) == 0o700


def test_an_existing_file_keeps_its_mode_unless_told(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o640)
    _io.write_atomic(str(path), b"new")
    assert (path.read_bytes(), mode(path)) == (b"new", 0o640)
    _io.write_atomic(str(path), b"newer", 0o600)
    assert mode(path) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_an_existing_file_keeps_its_owner(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    os.chown(path, 12345, 23456)
    _io.write_atomic(str(path), b"new")
    found = path.stat()
    assert (found.st_uid, found.st_gid) == (12345, 23456)


def test_a_symbolic_link_stays_and_its_target_is_replaced(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    _io.write_atomic(str(link), b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_a_failed_write_leaves_the_file_and_no_scraps(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full(unused):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(KplaneError, match="No space left"):
        _io.write_atomic(str(path), b"new")
    assert path.read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["file", "home"]


def test_what_is_not_there_is_none_and_what_cannot_be_read_is_an_error(tmp_path):
    assert _io.read_bytes(str(tmp_path / "missing")) is None
    with pytest.raises(KplaneError, match="Cannot read"):
        _io.read_bytes(str(tmp_path))


def test_a_lock_is_the_file_that_kubectl_makes_and_it_goes_away(tmp_path):
    path = str(tmp_path / "config")
    with _io.locked(path):
        assert os.path.exists(path + ".lock")
    assert not os.path.exists(path + ".lock")


def test_a_lock_goes_away_after_an_error(tmp_path):
    path = str(tmp_path / "config")
    with pytest.raises(RuntimeError), _io.locked(path):
        raise RuntimeError
    assert not os.path.exists(path + ".lock")


def test_a_lock_of_somebody_else_is_waited_for_then_named_and_never_broken(tmp_path):
    path = tmp_path / "config"
    lock = tmp_path / "config.lock"
    lock.write_bytes(b"")
    with pytest.raises(LockTimeout, match=r"config\.lock did not go away within 0\.1 seconds"), _io.locked(str(path), 0.1):
        pass
    assert lock.exists()


def test_a_lock_of_a_killed_run_is_taken_away_with_what_it_was_writing(tmp_path):
    path = tmp_path / "config"
    path.write_bytes(b"old")
    program = """
import os, signal, sys
from ansible_collections.kplane.core.plugins.module_utils import _io
os.replace = lambda *unused: os.kill(os.getpid(), signal.SIGKILL)
with _io.locked(sys.argv[1]):
    _io.write_atomic(sys.argv[1], b"new")
"""
    done = subprocess.run([sys.executable, "-c", program, str(path)], env=environment(), check=False)
    assert done.returncode == -9
    assert len(os.listdir(tmp_path)) == 4
    with _io.locked(str(path), 0.1):
        assert sorted(os.listdir(tmp_path)) == ["config", "config.lock", "home"]
    assert sorted(os.listdir(tmp_path)) == ["config", "home"]
    assert path.read_bytes() == b"old"


def test_a_lock_that_was_left_goes_even_if_nothing_is_to_be_written(tmp_path):
    path = str(tmp_path / "config")
    os.close(os.open(path + ".lock", os.O_CREAT, 0o200))
    _io.tidy(path)
    assert os.listdir(tmp_path) == ["home"]
    with _io.locked(path):
        _io.tidy(path)
        assert os.path.exists(path + ".lock")


def test_a_lock_of_a_run_that_lives_is_not_taken_away(tmp_path):
    path = str(tmp_path / "config")
    with _io.locked(path):
        with pytest.raises(LockTimeout), _io.locked(path, 0.1):
            pass
        assert os.path.exists(path + ".lock")


def test_processes_take_turns(tmp_path):
    """Five processes count in one file under the lock; without it, some counts would be lost."""
    path = tmp_path / "count"
    path.write_text("0")
    program = textwrap.dedent(
        """
        import sys
        from ansible_collections.kplane.core.plugins.module_utils import _io
        for unused in range(10):
            with _io.locked(sys.argv[1], 60):
                count = int(_io.read_bytes(sys.argv[1]))
                _io.write_atomic(sys.argv[1], str(count + 1).encode())
        """
    )
    script = tmp_path / "count.py"
    script.write_text(program)
    running = [subprocess.Popen([sys.executable, str(script), str(path)], env=environment()) for unused in range(5)]
    assert [process.wait(120) for process in running] == [0] * 5
    assert path.read_text() == "50"
