# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drivers are imported when they are wanted, and only the one that is."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import ansible_collections.kplane.core as collection
from ansible_collections.kplane.core.plugins.module_utils._providers import drivers

UTILS = "ansible_collections.kplane.core.plugins.module_utils"
COSTLY = {f"{UTILS}._providers.{name}" for name in ("embedded", "kind", "k3s", "kubeconfig", "containers", "cli", "requirements")}
COSTLY |= {f"{UTILS}._stack", f"{UTILS}._pki", "cryptography"}


def imported(statement: str) -> set[str]:
    root = os.path.abspath(os.path.join(collection.__path__[0], *[os.pardir] * 3))
    code = f"import sys\n{statement}\nprint(*sys.modules, sep='\\n')"
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join([root, *sys.path]))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["kplane_vcp", "kplane_credentials_info", "kplane_config"])
def test_a_module_imports_no_driver(module):
    assert not imported(f"import ansible_collections.kplane.core.plugins.modules.{module}") & COSTLY


def test_the_embedded_driver_brings_nothing_of_the_others():
    found = imported(f"from {UTILS}._providers import drivers; drivers.embedded()") & COSTLY
    assert found == {f"{UTILS}._providers.embedded"}


@pytest.mark.parametrize("provider", drivers.PROVIDERS)
def test_each_provider_has_a_driver(provider):
    assert getattr(drivers, provider)().provider == provider
