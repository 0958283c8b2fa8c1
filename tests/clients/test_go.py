# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""client-go, controller-runtime, envtest and helm (both generations), unmodified, from their published modules (see ``go/``)."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from support.published import PATIENCE_SECONDS, program

SUITE = Path(__file__).parent / "go"
FOUND = {name for file in SUITE.glob("*_test.go") for name in re.findall(r"^func (Test\w+)\(", file.read_text(), re.MULTILINE)}
TESTS = sorted(FOUND - {"TestAcrossARestart"})  # test_expired_watches.py runs that one


@pytest.mark.timeout(PATIENCE_SECONDS)
@pytest.mark.parametrize("test", TESTS)
def test_go(test: str, kubeconfig: Path) -> None:
    suite = program("clients.test")
    if suite is None:
        pytest.skip("NO GO: client-go, controller-runtime, envtest and helm are not run")
    done = subprocess.run(
        [str(suite), "-test.run", f"^{test}$", "-test.v", "-test.timeout", "120s"],
        env={"KUBECONFIG": str(kubeconfig), "HOME": str(kubeconfig.parent), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"--- PASS: {test}" in done.stdout
