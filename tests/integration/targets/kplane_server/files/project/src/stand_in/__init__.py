# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that can only say its version: the installation is tested, not the server."""

from __future__ import annotations

VERSION = "0.0.1"


def main() -> None:
    """Say it."""
    print(f'{{"version": "{VERSION}"}}')
