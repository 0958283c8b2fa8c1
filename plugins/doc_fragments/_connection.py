# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation fragment: how the API of the management plane is reached.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  management_kubeconfig:
    description:
      - A kubeconfig that leads to the management plane, as a path or as a mapping, in place of the one that its provider gives.
      - With it O(provider), O(cluster_name) and O(data_dir) are not looked at, unless O(provider=kubeconfig), where it is the kubeconfig of
        the cluster that the stack runs in.
      - Bearer tokens, token files, client certificates, basic authentication and credential plugins (C(exec)) are supported. The
        certificate of the server is always verified.
      - If it is not given, it is the path in E(KPLANE_MANAGEMENT_KUBECONFIG), if that is set.
    type: raw
  management_context:
    description:
      - The context of O(management_kubeconfig) to use, in place of its current one.
      - Without O(management_kubeconfig), a context of the user's own kubeconfig files (E(KUBECONFIG), or C(~/.kube/config)).
      - If it is not given, it is the name in E(KPLANE_MANAGEMENT_CONTEXT), if that is set.
    type: str
  request_timeout:
    description: How many seconds one request to the API server may take.
    type: float
    default: 30
"""
