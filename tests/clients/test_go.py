# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""client-go, controller-runtime and helm, unmodified, built from their published modules (see ``go/``)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SUITE = Path(__file__).parent / "go"


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("test", ["TestTypedClients", "TestServerSideApplyConfigurations", "TestSharedInformers", "TestLeaderElection",
                                  "TestConcurrentOptimisticUpdates", "TestDiscoveryAndDynamicClient", "TestOperatorWithManager",
                                  "TestMetadataClientAndRESTMapper", "TestHelm"])  # fmt: skip
def test_go(test: str, go_suite: str, kubeconfig: Path) -> None:
    done = subprocess.run(
        [go_suite, "-test.run", f"^{test}$", "-test.v", "-test.timeout", "120s"],
        env={"KUBECONFIG": str(kubeconfig), "HOME": str(kubeconfig.parent), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"--- PASS: {test}" in done.stdout


@pytest.fixture(scope="session")
def go_suite(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The compiled suite: compiling takes minutes the first time on a machine, seconds after it."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("NO GO: client-go, controller-runtime and helm are not run")
    program = tmp_path_factory.mktemp("go") / "suite"
    subprocess.run([go, "test", "-c", "-o", str(program), "."], cwd=SUITE, check=True)
    return str(program)
