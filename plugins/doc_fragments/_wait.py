# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation fragment: waiting.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  wait:
    description:
      - Whether to wait until what was asked for has come true.
      - The wait ends at once with a failure when it has become clear that it cannot, and the message says what was seen last.
    type: bool
    default: true
  wait_timeout:
    description: How many seconds to wait at most, for all objects of the task together.
    type: float
    default: 120
"""
