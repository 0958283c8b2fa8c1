# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation fragment: the kubeconfig of the user.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - The kubeconfig of the user, where it is read or written.
      - If it is not given, it is the files in E(KUBECONFIG), else the one that the kplane configuration file names, else
        C(~/.kube/config). Of several files, each entry is changed in the one that has it; new ones go to the first file that exists.
    type: path
"""
