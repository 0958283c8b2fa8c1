# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the user's own data is kept.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.kplane.core.plugins.module_utils import _io


def user_data_home(environ: t.Mapping[str, str] | None = None) -> str:
    """Where programs keep data of the user (XDG Base Directory Specification)."""
    environ = os.environ if environ is None else environ
    return environ.get("XDG_DATA_HOME") or _io.expand("~/.local/share")
