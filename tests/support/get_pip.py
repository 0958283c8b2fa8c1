# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for get-pip.py where ansible-test cannot fetch that: pip of the interpreter, then the version asked for from the index.

ansible-test looks for it as ~/.ansible/test/cache/get_pip_<version>.py.
"""

from __future__ import annotations

import os
import subprocess
import sys


def main() -> None:
    """Bootstrap pip into the environment of this interpreter."""
    environment = {key: value for key, value in os.environ.items() if key != "GET_PIP"}
    wanted = [argument for argument in sys.argv[1:] if argument not in ("--no-setuptools", "--no-wheel")]
    subprocess.check_call([sys.executable, "-m", "ensurepip", "--default-pip"], env=environment, stdout=subprocess.DEVNULL)
    subprocess.check_call([sys.executable, "-m", "pip", "install", *wanted], env=environment)


if __name__ == "__main__":
    main()
