# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation fragment: what modules say of themselves.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
  idempotent:
    description: When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
  platform:
    description: Target OS or families that can be operated against.
    support: full
    platforms: posix
"""

    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - This action does not modify state.
  diff_mode:
    support: N/A
    details:
      - This action does not modify state.
  idempotent:
    support: full
    details:
      - This action does not modify state.
"""

    ACTIONGROUP_KPLANE = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/kplane.core.kplane) or C(group/kplane) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - kplane.core.kplane
      - kplane
"""

    ACTIONGROUP_KPLANE_API = r"""
options: {}
attributes:
  action_group:
    description:
      - Use C(group/kplane.core.kplane) or C(group/kplane) in C(module_defaults) to set defaults for this module; for those of
        O(management_kubeconfig), O(management_context) and O(request_timeout) use C(group/kplane.core.kplane_api).
    support: full
    membership:
      - kplane.core.kplane
      - kplane
      - kplane.core.kplane_api
      - kplane_api
"""
