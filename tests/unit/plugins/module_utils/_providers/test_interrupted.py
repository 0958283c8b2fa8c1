# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ansible_collections.kplane.core.plugins.module_utils._errors import ProviderError
from ansible_collections.kplane.core.plugins.module_utils._providers import making, scratch
from ansible_collections.kplane.core.plugins.module_utils._providers.base import Options
from ansible_collections.kplane.core.plugins.module_utils._providers.cli import Program
from ansible_collections.kplane.core.plugins.module_utils._providers.containers import Node
from ansible_collections.kplane.core.plugins.module_utils._providers.kind import KindDriver


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    return tmp_path


def killed(program, *arguments):
    """Run a program of Python that kills itself."""
    root = os.path.abspath(making.__file__).split("ansible_collections" + os.sep)[0]
    path = os.pathsep.join([root] + [part for part in sys.path if part])
    done = subprocess.run([sys.executable, "-c", program, *arguments], env=dict(os.environ, PYTHONPATH=path), check=False)
    assert done.returncode == -9


def test_a_scratch_directory_of_a_killed_run_is_swept_and_that_of_another_is_not(places):
    killed(
        """
import os, signal, sys, tempfile
from ansible_collections.kplane.core.plugins.module_utils._providers import scratch
tempfile.tempdir = sys.argv[1]
with scratch.directory() as folder:
    open(os.path.join(folder, "kubeconfig"), "w").close()
    os.kill(os.getpid(), signal.SIGKILL)
""",
        str(places / "tmp"),
    )
    (places / "tmp" / "kplane-of-somebody").mkdir()
    assert len(os.listdir(places / "tmp")) == 2
    with scratch.directory() as one:
        assert os.stat(one).st_mode & 0o777 == 0o700
        with scratch.directory() as other:
            assert sorted(os.listdir(places / "tmp")) == sorted(["kplane-of-somebody", os.path.basename(one), os.path.basename(other)])
    assert os.listdir(places / "tmp") == ["kplane-of-somebody"]


def test_a_note_stays_if_the_run_is_killed_and_goes_if_it_ends_well(places):
    note = making.Note("kind", "it")
    assert note.found() == ""
    with note.kept(making.MAKING):
        assert note.found() == making.MAKING
    assert not os.path.exists(places / "state" / "kplane")
    killed(
        """
import os, signal
from ansible_collections.kplane.core.plugins.module_utils._providers import making
with making.Note("kind", "it").kept(making.REMOVING):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    )
    assert note.found() == making.REMOVING
    assert making.Note("kind", "other").found() == ""
    with note.kept(making.REMOVING):
        pass
    assert note.found() == ""


def test_a_note_stays_if_the_run_fails():
    note = making.Note("kind", "it")
    with pytest.raises(ProviderError, match="no space"), note.kept(making.MAKING):
        raise ProviderError("no space")
    assert note.found() == making.MAKING


def test_nothing_is_begun_while_the_program_of_a_killed_run_still_works():
    """kind and k3d hold the note as long as they run, even if the run that started them is gone."""
    note = making.Note("kind", "it")
    program = Program("sleep", "")
    with note.kept(making.MAKING) as handle:
        left = subprocess.Popen(["sleep", "60"], pass_fds=(handle,))
        program.inherited = (handle,)
        assert program.run("0", timeout=10).stdout == ""
        os.rename(note.path, note.path + ".kept")
    os.rename(note.path + ".kept", note.path)
    try:
        with pytest.raises(ProviderError, match="being made or removed by another run"), note.kept(making.MAKING):
            pass
    finally:
        left.kill()
        left.wait()
    with note.kept(making.MAKING):
        pass


def test_a_cluster_whose_removal_was_interrupted_is_not_made_again(monkeypatch):
    """Whoever confirmed that it goes did not say that its data goes for another one."""
    driver = KindDriver("it")
    monkeypatch.setattr(driver, "_require_daemon", lambda: None)
    monkeypatch.setattr(driver, "nodes", list)
    assert driver.find() is None
    with pytest.raises(ProviderError), driver.note.kept(making.REMOVING):
        raise ProviderError("interrupted")
    found = driver.find()
    assert found is not None
    assert not found.running
    with pytest.raises(
        ProviderError, match=r"removal of the kind cluster 'it' was interrupted\. Complete it with the playbook kplane\.core\.down"
    ):
        driver.create(Options())
    driver.delete()
    assert driver.find() is None


@pytest.mark.parametrize("what", [making.MAKING, making.REMOVING])
def test_a_cluster_that_somebody_else_made_meanwhile_is_left_alone(monkeypatch, what):
    driver = KindDriver("it")
    monkeypatch.setattr(driver, "preflight", lambda options: None)
    monkeypatch.setattr(driver, "_require_daemon", lambda: None)
    monkeypatch.setattr(driver, "nodes", lambda: [Node("it-control-plane", "control-plane", "kindest/node", True)])
    monkeypatch.setattr(driver, "destroy", lambda: pytest.fail("it was removed"))
    with pytest.raises(ProviderError, match="killed"), driver.note.kept(what):
        raise ProviderError("killed")
    with pytest.raises(ProviderError, match=r"is not a management plane of kplane\.core"):
        driver.create(Options()) if what == making.MAKING else driver.delete()
