# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody who has only the built collection, and no repository."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import yaml
from support.machine import ROOT, Machine, copy_of_repository


def test_the_playbooks_of_an_installed_tarball(tmp_path: Path, home: Path) -> None:
    source = Machine(home, copy_of_repository(tmp_path / "source"))
    tools = Path(sys.executable).parent
    source.run(str(tools / "ansible-galaxy"), "collection", "build", "--output-path", str(tmp_path / "dist"))
    (tarball,) = (tmp_path / "dist").glob("kplane-core-*.tar.gz")
    shutil.rmtree(source.folder)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    person = Machine(home, elsewhere)
    assert ROOT not in elsewhere.parents
    person.run(str(tools / "ansible-galaxy"), "collection", "install", str(tarball))
    playbook = str(tools / "ansible-playbook")
    try:
        person.run(playbook, "kplane.core.up", "-e", "kplane_provider=embedded", "-e", "kplane_cluster_name=tarball")
        person.run(playbook, "kplane.core.create_cluster", "-e", "kplane_vcp_name=one")
        listed = person.run(playbook, "kplane.core.get_clusters")
        assert "one" in listed.stdout
        config = yaml.safe_load((home / ".kube" / "config").read_text())
        assert "kplane-one" in [entry["name"] for entry in config["contexts"]]
        person.run(playbook, "kplane.core.delete_cluster", "-e", "kplane_vcp_name=one", "-e", "kplane_confirm=true")
    finally:
        person.run(playbook, "kplane.core.down", "-e", "kplane_confirm=true")
