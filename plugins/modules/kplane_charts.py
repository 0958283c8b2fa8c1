#!/usr/bin/python
# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kplane_charts
short_description: Keep helm charts in a virtual control plane as they are declared
description:
  - Installs, upgrades and, on an explicit word, uninstalls the helm releases of one virtual control plane (VCP) by
    M(kubernetes.core.helm). The role P(kplane.core.fleet#role) does so for the variable C(kplane_helm) of a host.
  - What identifies the charts is kept with the VCP, so that one whose charts have not changed costs one read. It is made of all that is
    said of a chart, and of the files of a chart that lies on the controller.
requirements:
  - the collection C(kubernetes.core)
  - the program C(helm)
extends_documentation_fragment:
  - kplane.core._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
    details:
      - What was changed in a VCP by others is not noticed. O(reinstall=true) looks at every release.
  action:
    description: Indicates this has a corresponding action plugin so some parts of the options can be executed on the controller.
    support: full
  async:
    description: Supports being used with the C(async) keyword.
    support: none
options:
  name:
    description: The name of the VCP.
    type: str
    required: true
  charts:
    description: The charts that it shall have. What each option means is said by M(kubernetes.core.helm).
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The name of the release.
        type: str
        required: true
      chart_ref:
        description: The chart. A relative path of one that lies on the controller starts at the directory of the inventory. If you change
          such a chart, give it another version, by which M(kubernetes.core.helm) tells it from the one before.
        type: str
      chart_repo_url:
        description: Its repository.
        type: str
      chart_version:
        description: Its version. Without it, the release stays at the version that was the latest when it was installed.
        type: str
      release_namespace:
        description: The namespace of the release.
        type: str
        default: default
      create_namespace:
        description: Whether that is made.
        type: bool
        default: true
      release_state:
        description: Whether the release is there.
        type: str
        choices: [present, absent]
        default: present
      values:
        description: The values.
        type: dict
      wait:
        description: Whether to wait until everything is ready. Pods never are where no nodes run them.
        type: bool
      timeout:
        description: How long to wait, for example V(5m).
        type: str
  prune:
    description: Whether releases that this module made, and O(charts) no longer names, are uninstalled. If not, they stay, and a later run
      can still take them away.
    type: bool
    default: false
  reinstall:
    description: Whether to look at every release even where the record says that the charts have not changed.
    type: bool
    default: false
notes:
  - It has to run with the connection P(kplane.core.vcp#connection), which leads C(helm) to the VCP.
  - Variables say where the VCP lives. They are C(kplane_provider), C(kplane_cluster_name), C(kplane_data_dir), C(kplane_config_path),
    C(kplane_management_kubeconfig), C(kplane_management_context) and C(kplane_request_timeout).
seealso:
  - module: kubernetes.core.helm
  - module: kplane.core.kplane_fleet
author:
  - kplane.core contributors (@kplane-dev)
"""

EXAMPLES = r"""
---
- name: A chart in every virtual control plane of the dynamic inventory
  kplane.core.kplane_charts:
    name: "{{ kplane_name }}"
    charts:
      - name: ingress
        chart_ref: charts/ingress
        release_namespace: ingress
        values:
          replicas: 2

- name: Take the releases away that are no longer named
  kplane.core.kplane_charts:
    name: "{{ kplane_name }}"
    charts: []
    prune: true
"""

RETURN = r"""
releases:
  description: What became of each chart; empty if nothing had changed.
  returned: always
  type: list
  elements: dict
  contains:
    release:
      description: The namespace and the name of the release.
      returned: always
      type: str
      sample: ingress/ingress
    changed:
      description: Whether it was installed, upgraded or taken away.
      returned: always
      type: bool
    failed:
      description: Whether something went wrong with it.
      returned: always
      type: bool
    msg:
      description: What went wrong.
      returned: always
      type: str
uninstalled:
  description: The releases that were uninstalled because they are no longer named.
  returned: always
  type: list
  elements: str
  sample: [default/web]
"""
