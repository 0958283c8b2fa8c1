# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Ansible collection kubernetes.core, unmodified, by a playbook (``kubernetes_core.yml``) that asserts what each module did.

The inventory plug-in of this collection ended with its version 6; what reads objects from a playbook is the look-up, which is here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.published import PATIENCE_SECONDS, collections

PLAYBOOK = Path(__file__).parent / "kubernetes_core.yml"


@pytest.mark.timeout(PATIENCE_SECONDS)
def test_kubernetes_core(kubeconfig: Path, tmp_path: Path) -> None:
    found = shutil.which("ansible-playbook", path=str(Path(sys.executable).parent)) or shutil.which("ansible-playbook")
    assert found is not None, "ansible-core is a requirement of this repository"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "K8S_AUTH_"))}
    environment |= {
        "HOME": str(tmp_path),
        "KUBECONFIG": str(kubeconfig),
        "K8S_AUTH_KUBECONFIG": str(kubeconfig),
        "ANSIBLE_COLLECTIONS_PATH": str(collections()),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_NOCOLOR": "true",
    }
    done = subprocess.run([found, str(PLAYBOOK)], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ignored=1" in done.stdout, "the one refused patch"
