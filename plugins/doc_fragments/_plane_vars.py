# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation fragment: which management plane is meant, for plugins that read it from variables.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  provider:
    description: The provider of the management plane. See O(kplane.core.kplane_management_plane#module:provider).
    type: str
    choices: [auto, embedded, kind, k3s, kubeconfig, k3d]
    default: auto
    vars:
      - name: kplane_provider
  cluster_name:
    description: The name of the management plane.
    type: str
    vars:
      - name: kplane_cluster_name
  data_dir:
    description: The data directory of an V(embedded) management plane.
    type: path
    vars:
      - name: kplane_data_dir
  config_path:
    description: The kplane configuration file.
    type: path
    vars:
      - name: kplane_config_path
  management_kubeconfig:
    description: A kubeconfig that leads to the management plane, as a path or as a mapping, in place of the one that its provider gives.
    type: raw
    vars:
      - name: kplane_management_kubeconfig
  management_context:
    description: The context of that kubeconfig, or of the own kubeconfig files of the user.
    type: str
    vars:
      - name: kplane_management_context
  request_timeout:
    description: How many seconds one request to the API server may take.
    type: float
    default: 30.0
    vars:
      - name: kplane_request_timeout
"""
