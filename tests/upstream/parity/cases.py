# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All cases."""

from __future__ import annotations

from parity import access, applied, custom, defaults, deletion, lists, objects, patches, validation

CASES = [case for module in (objects, patches, applied, lists, deletion, defaults, validation, custom, access) for case in module.CASES]
