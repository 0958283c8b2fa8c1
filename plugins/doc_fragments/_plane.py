# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation fragment: which management plane is meant.

PRIVATE to the collection: it may change in any release.
"""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  provider:
    description:
      - The provider of the management plane.
      - V(auto) takes the one that the kplane configuration file names, then what the host has (V(kind), then V(k3s), where
        their program is installed and a Docker daemon answers), else V(embedded).
      - V(embedded) is a C(kplane-server) process of the user, without Docker.
      - V(kind) and V(k3s) (also spelled V(k3d)) are clusters in containers of this host, made by C(kind) and C(k3d).
      - V(kubeconfig) is a cluster that is already there.
    type: str
    choices: [auto, embedded, kind, k3s, kubeconfig, k3d]
    default: auto
  cluster_name:
    description:
      - The name of the management plane.
      - If it is not given, it is the one that the kplane configuration file names, else V(kplane-management).
    type: str
  data_dir:
    description:
      - The data directory of an V(embedded) management plane.
      - If it is not given, it is the one that the kplane configuration file remembers, else
        C(${XDG_DATA_HOME:-~/.local/share}/kplane/<cluster_name>).
    type: path
  config_path:
    description:
      - The kplane configuration file.
      - If it is not given, it is C(${XDG_CONFIG_HOME:-~/.config}/kplane/config.yaml).
    type: path
"""

    # For modules that read the kplane configuration file and no management plane.
    CONFIG_PATH = r"""
options:
  config_path:
    description:
      - The kplane configuration file.
      - If it is not given, it is C(${XDG_CONFIG_HOME:-~/.config}/kplane/config.yaml).
    type: path
"""
